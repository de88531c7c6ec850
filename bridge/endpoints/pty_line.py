"""A fresh pty in place of a serial port: this end is ours, the other is a device that anybody can open.

When it is full and nobody reads for a second, all that waits is thrown away, as on a wire without a listener.
"""

from __future__ import annotations

import asyncio
import os
import termios
import tty

from bridge.endpoints.serial_line import LineUser
from bridge.endpoints.timer import Timer
from bridge.errors import LineError

_READ_OCTETS = 4096
_STALL_S = 1.0


class PtyLine:
    """Used as a `SerialLine`. `device` is the path that the other side opens; it exists until `close`.

    To be made raises `LineError` where there is no pty to be had.
    """

    def __init__(self, user: LineUser) -> None:
        self._loop = asyncio.get_running_loop()
        self._user = user
        self._waiting = bytearray()
        self._stall_timer = Timer(self._loop, self._on_stall)
        # The far side stays open here too: one who closes it is no hang-up for us.
        try:
            # Not pty's, which falls back to what no system has any more, and loses the reason.
            self._ours, self._theirs = os.openpty()
        except OSError as error:
            raise LineError(error.errno, f"cannot make a pty: {error.strerror}") from None
        tty.setraw(self._theirs)
        os.set_blocking(self._ours, False)
        self.device = os.ttyname(self._theirs)
        self.is_open = False

    def start(self) -> None:
        """Begin to listen."""
        self.is_open = True
        self._loop.add_reader(self._ours, self._read)
        self._user.line_opened()

    def write(self, octets: bytes) -> None:
        """Send octets; none are sent before `start` and after `close`."""
        if not self.is_open:
            return
        self._waiting += octets
        if len(self._waiting) == len(octets):
            self._stall_timer.set(self._loop.time() + _STALL_S)
            self._write_some()

    async def close(self, *, drain_s: float = 0.0) -> None:
        """Take the device away, as if unplugged."""
        if self._ours < 0:
            return
        self._stall_timer.cancel()
        if self.is_open:
            self.is_open = False
            self._loop.remove_reader(self._ours)
            self._loop.remove_writer(self._ours)
            self._user.line_lost("closed")
        os.close(self._ours)
        os.close(self._theirs)
        self._ours = -1

    def _read(self) -> None:
        try:
            octets = os.read(self._ours, _READ_OCTETS)
        except (BlockingIOError, InterruptedError):
            return
        self._user.octets_heard(octets)

    def _write_some(self) -> None:
        try:
            written = os.write(self._ours, self._waiting)
        except (BlockingIOError, InterruptedError):
            written = 0
        del self._waiting[:written]
        if not self._waiting:
            self._stop_writing()
        elif written:
            self._stall_timer.set(self._loop.time() + _STALL_S)
        if self._waiting:
            self._loop.add_writer(self._ours, self._write_some)

    def _on_stall(self) -> None:
        self._waiting.clear()
        self._stop_writing()
        termios.tcflush(self._theirs, termios.TCIFLUSH)

    def _stop_writing(self) -> None:
        self._stall_timer.set(None)
        self._loop.remove_writer(self._ours)
