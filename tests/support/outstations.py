"""Outstations, listeners and sessions that only write down what they are told."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from bridge.endpoints.connection_state import ConnectionState
from bridge.endpoints.tcp_session import TcpSession
from bridge.endpoints.when_down import WhenDown
from bridge.link.frame import Frame

Told = tuple[str, ConnectionState, str]
"""Whose listener, what it heard, about which peer."""


@dataclass(eq=False)
class Listener:
    """A `ConnectionStateListener` that writes into `log`, which several may share to show their order."""

    name: str = ""
    log: list[Told] = field(default_factory=list)

    def connection_state_changed(self, state: ConnectionState, peer: str) -> None:
        self.log.append((self.name, state, peer))

    @property
    def states(self) -> list[ConnectionState]:
        """What it heard, without the peers."""
        return [state for name, state, _ in self.log if name == self.name]


@dataclass(eq=False)
class FailingListener:
    """A listener that always raises."""

    calls: int = 0

    def connection_state_changed(self, state: ConnectionState, peer: str) -> None:
        self.calls += 1
        raise RuntimeError(f"this listener fails on {state.value}")


@dataclass(eq=False)
class Outstation:
    """A `ServedOutstation` that keeps the frames it gets."""

    name: str
    link_address: int
    bus: Hashable = ""
    is_alone_on_bus: bool = True
    is_reachable: bool = True
    when_down: WhenDown = WhenDown.HOLD
    frames: list[Frame] = field(default_factory=list)
    session: TcpSession | None = None
    events: list[tuple[str, TcpSession]] = field(default_factory=list)
    on_frame: Callable[[TcpSession, Frame], None] = lambda session, frame: None

    def session_started(self, session: TcpSession) -> None:
        self.events.append(("started", session))
        self.session = session

    def receive(self, session: TcpSession, frame: Frame, now: float) -> None:
        assert session is self.session, "a frame of another session than the one that was started last"
        self.frames.append(frame)
        self.on_frame(session, frame)

    def session_ended(self, session: TcpSession) -> None:
        self.events.append(("ended", session))
        self.session = None


@dataclass(eq=False)
class SessionStub:
    """What a hub needs of a session, without a connection."""

    name: str = "master"
    sent: list[bytes] = field(default_factory=list)
    holders: set[Hashable] = field(default_factory=set)
    holds: int = 0
    is_open: bool = True

    def send(self, octets: bytes) -> bool:
        if self.is_open:
            self.sent.append(octets)
        return self.is_open

    def hold(self, holder: Hashable) -> None:
        self.holds += 1
        self.holders.add(holder)

    def release(self, holder: Hashable) -> None:
        self.holders.discard(holder)
