"""An outstation of this program as the bridge serves it: counted, shown on an LED, and told who asks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from bridge.endpoints.line_reporter import OutstationObserver
from bridge.endpoints.local_outstation import FrameWire, Outstation
from bridge.endpoints.tcp_session import TcpSession
from bridge.link.address import SELF_ADDRESS
from bridge.link.frame import Frame
from bridge.outstation.config import OutstationConfig
from bridge.outstation.handlers import ControlHandler
from bridge.routing.drop import Drop


@dataclass(slots=True)
class Asker:
    """Who sent the frame that is being processed: for the controls that it may carry."""

    peer: str = ""
    source: int = 0
    is_broadcast: bool = False


class LocalOutstation(Outstation):
    """An `Outstation` whose frames are counted and told to an observer. Satisfies `ServedOutstation`."""

    def __init__(
        self,
        config: OutstationConfig,
        *,
        observer: OutstationObserver,
        asker: Asker,
        takes_broadcasts: bool,
        controls: ControlHandler | None = None,
        **parts: Any,
    ) -> None:
        """Tell `asker` whose frame it is before anything comes of it; `parts` are those of `Outstation`."""
        self.controls = controls or ControlHandler()
        super().__init__(config, controls=self.controls, **parts)
        self._observer = observer
        self._asker = asker
        self._takes_broadcasts = takes_broadcasts
        self._counted: _CountedWire | None = None
        self.frames_from_master = self.frames_to_master = 0
        self.drops: Counter[Drop] = Counter()

    def session_started(self, session: FrameWire) -> None:
        """A master is there."""
        self._counted = _CountedWire(session, self)
        super().session_started(self._counted)

    def session_ended(self, session: FrameWire) -> None:
        """The master is gone."""
        counted = self._counted
        super().session_ended(counted if counted is not None and counted.wire is session else session)

    def receive(self, session: FrameWire, frame: Frame, now: float) -> None:
        """Take a master's frame."""
        is_broadcast = frame.destination > SELF_ADDRESS
        if is_broadcast and not self._takes_broadcasts:
            self.drops[Drop.BROADCAST_DENIED] += 1
            return
        self.frames_from_master += 1
        if isinstance(session, TcpSession):
            self._asker.peer = session.peer
        self._asker.source, self._asker.is_broadcast = frame.source, is_broadcast
        self._observer.request_sent()
        super().receive(session, frame, now)

    def frame_sent(self) -> None:
        """Count a frame that went to the master."""
        self.frames_to_master += 1
        self._observer.answer_received()


class _CountedWire:
    def __init__(self, wire: FrameWire, outstation: LocalOutstation) -> None:
        self.wire = wire
        self._outstation = outstation

    def send(self, octets: bytes) -> bool:
        is_sent = self.wire.send(octets)
        if is_sent:
            self._outstation.frame_sent()
        return is_sent

    def link_dead(self) -> None:
        self.wire.link_dead()
