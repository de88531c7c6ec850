"""An RTU on a serial line, as the TCP server sees it."""

from __future__ import annotations

from bridge.endpoints.hub import LineHub
from bridge.endpoints.line_reporter import OutstationCounters, OutstationObserver
from bridge.endpoints.tcp_session import TcpSession
from bridge.endpoints.when_down import WhenDown
from bridge.link.frame import Frame


class BridgedOutstation:
    """Passes the frames of its master on to its line. Satisfies `ServedOutstation`."""

    def __init__(
        self,
        name: str,
        link_address: int,
        hub: LineHub,
        observer: OutstationObserver | None = None,
        *,
        when_down: WhenDown = WhenDown.HOLD,
    ) -> None:
        self.name = name
        self.link_address = link_address
        self.when_down = when_down
        self._hub = hub
        self.counters: OutstationCounters = hub.add_station(link_address, name, observer)

    @property
    def bus(self) -> str:
        """The line, which a broadcast reaches once."""
        return self._hub.name

    @property
    def is_alone_on_bus(self) -> bool:
        """Whether the self-address can mean only this RTU."""
        return len(self._hub.addresses) == 1

    @property
    def is_reachable(self) -> bool:
        """Whether its line is open."""
        return self._hub.line.is_open

    def session_started(self, session: TcpSession) -> None:
        """A master is there."""
        self._hub.attach(session, self.link_address)

    def receive(self, session: TcpSession, frame: Frame, now: float) -> None:
        """Take a master's frame."""
        self._hub.submit(session, self.link_address, frame, now)

    def session_ended(self, session: TcpSession) -> None:
        """The master is gone."""
        self._hub.detach(session)
