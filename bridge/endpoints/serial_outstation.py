"""An outstation directly on a serial line: what `TcpServer` is to TCP."""

from __future__ import annotations

import asyncio

from bridge.endpoints.local_outstation import Outstation
from bridge.endpoints.serial_line import SerialLine, SerialSettings
from bridge.endpoints.timer import Timer
from bridge.link.frame import Frame
from bridge.link.framer import LinkErrorMode, LinkFramer

_WRITE_STALL_S = 10.0


class SerialOutstations:
    """Serves outstations on one serial port, told apart by link address. Damage is discarded.

    Make it in a running loop, `add` the outstations, `start`, and in the end `await close()`. The port is
    opened again whenever it comes back.
    """

    def __init__(self, settings: SerialSettings, *, frame_timeout_s: float, name: str = "serial") -> None:
        self._loop = asyncio.get_running_loop()
        self._framer = LinkFramer(LinkErrorMode.DISCARD, frame_timeout_s=frame_timeout_s)
        self._timer = Timer(self._loop, self._on_frame_timeout)
        self._outstations: list[Outstation] = []
        self.line = SerialLine(name, settings, self, write_stall_s=_WRITE_STALL_S)
        self.counters = self._framer.counters

    def add(self, outstation: Outstation) -> None:
        """Serve an outstation on this port. To be called before `start`."""
        self._outstations.append(outstation)

    def start(self) -> None:
        """Open the port, and keep it open from now on."""
        self.line.start()

    async def close(self, *, drain_s: float = 0.5) -> None:
        """Send what is being sent, for `drain_s` seconds at most, and let the port go."""
        await self.line.close(drain_s=drain_s)
        self._timer.cancel()

    # FrameWire

    def send(self, octets: bytes) -> bool:
        """Send whole frames; tell whether the port is there."""
        self.line.write(octets)
        return self.line.is_open

    def link_dead(self) -> None:
        """Do nothing: on a line, a master that is silent may speak again."""

    # LineUser

    def line_opened(self) -> None:
        """Begin with clean buffers."""
        self._framer.reset()
        for outstation in self._outstations:
            outstation.session_started(self)

    def octets_heard(self, octets: bytes) -> None:
        """Take what the port read."""
        now = self._loop.time()
        self._pass_on(self._framer.receive(octets, now), now)

    def line_lost(self, reason: str) -> None:
        """Forget what was under way."""
        for outstation in self._outstations:
            outstation.session_ended(self)

    def _on_frame_timeout(self) -> None:
        now = self._loop.time()
        self._pass_on(self._framer.on_deadline(now), now)

    def _pass_on(self, frames: list[Frame], now: float) -> None:
        # Each outstation knows which frames are its own.
        for frame in frames:
            for outstation in self._outstations:
                outstation.receive(self, frame, now)
        self._timer.set(self._framer.next_deadline())
