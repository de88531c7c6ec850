"""Outstations directly on a line, a serial port or a pty: what `TcpServer` is to TCP."""

from __future__ import annotations

import asyncio
from typing import Protocol

from bridge.endpoints.local_outstation import Outstation
from bridge.endpoints.pty_line import PtyLine
from bridge.endpoints.serial_line import SerialLine
from bridge.endpoints.serial_port import SerialSettings
from bridge.endpoints.timer import Timer
from bridge.link.frame import Frame
from bridge.link.framer import LinkErrorMode, LinkFramer
from bridge.routing.timing import default_frame_timeout_s

_WRITE_STALL_S = 10.0
_PTY_FRAME_TIMEOUT_S = 0.5


class Line(Protocol):
    """What a line of either kind can do."""

    @property
    def is_open(self) -> bool:
        """Whether octets can be written."""

    def start(self) -> None:
        """Open it."""

    def write(self, octets: bytes) -> None:
        """Send octets."""

    async def close(self, *, drain_s: float) -> None:
        """Let it go."""


class LineOutstations:
    """Serves outstations on one line, told apart by link address. Damage is discarded."""

    line: Line

    def __init__(self, *, frame_timeout_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._framer = LinkFramer(LinkErrorMode.DISCARD, frame_timeout_s=frame_timeout_s)
        self._timer = Timer(self._loop, self._on_frame_timeout)
        self._outstations: list[Outstation] = []
        self.counters = self._framer.counters

    def add(self, outstation: Outstation) -> None:
        """Serve an outstation on this line. To be called before `start`."""
        self._outstations.append(outstation)

    def start(self) -> None:
        """Open the line, and keep it open from now on."""
        self.line.start()

    async def close(self, *, drain_s: float = 0.5) -> None:
        """Send what is being sent, for `drain_s` seconds at most, and let the line go."""
        await self.line.close(drain_s=drain_s)
        self._timer.cancel()

    # FrameWire

    def send(self, octets: bytes) -> bool:
        """Send whole frames; tell whether the line is there."""
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
        """Take what the line read."""
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


class SerialOutstations(LineOutstations):
    """Outstations on a serial port, which is opened again whenever it comes back.

    Make it in a running loop, `add` the outstations, `start`, and in the end `await close()`. A frame that
    stalls for `frame_timeout_s` is given up; the default follows from the baud rate. `line.reason` says why
    the port is not open.
    """

    line: SerialLine

    def __init__(
        self, settings: SerialSettings, *, frame_timeout_s: float | None = None, name: str = "serial"
    ) -> None:
        if frame_timeout_s is None:
            parity_bits = int(settings.parity != "none")
            frame_timeout_s = default_frame_timeout_s(
                settings.baud, parity_bits=parity_bits, stop_bits=settings.stop_bits
            )
        super().__init__(frame_timeout_s=frame_timeout_s)
        self.line = SerialLine(name, settings, self, write_stall_s=_WRITE_STALL_S)


class PtyOutstations(LineOutstations):
    """As `SerialOutstations`, behind a fresh pty: a master opens `device` as its port."""

    line: PtyLine

    def __init__(self) -> None:
        super().__init__(frame_timeout_s=_PTY_FRAME_TIMEOUT_S)
        self.line = PtyLine(self)

    @property
    def device(self) -> str:
        """The path that masters open."""
        return self.line.device
