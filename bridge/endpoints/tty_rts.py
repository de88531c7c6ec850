"""RTS of an open port, and what its driver has not sent yet."""

from __future__ import annotations

import struct
import termios
from fcntl import ioctl

from bridge.endpoints.ioctl_errors import UNSUPPORTED

_INT = struct.Struct("i")
_RTS = _INT.pack(termios.TIOCM_RTS)


class TtyRts:
    """RTS and the transmitter of an open port. All of it raises `OSError`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._tells_transmitter = True

    def set_rts(self, *, is_raised: bool) -> None:
        """Raise or lower RTS. On a USB adapter this takes a transfer, about a millisecond."""
        ioctl(self._descriptor, termios.TIOCMBIS if is_raised else termios.TIOCMBIC, _RTS)

    def is_raised(self) -> bool | None:
        """Whether RTS is raised, None where the driver does not tell."""
        try:
            bits = _INT.unpack(ioctl(self._descriptor, termios.TIOCMGET, bytes(_INT.size)))[0]
        except OSError as error:
            if error.errno in UNSUPPORTED:
                return None
            raise
        return bool(bits & termios.TIOCM_RTS)

    def unsent(self) -> int:
        """Return how many octets the driver has; 1 also for what its transmitter still shifts out."""
        queued: int = _INT.unpack(ioctl(self._descriptor, termios.TIOCOUTQ, bytes(_INT.size)))[0]
        if queued or not self._tells_transmitter:
            return queued
        try:
            status = _INT.unpack(ioctl(self._descriptor, termios.TIOCSERGETLSR, bytes(_INT.size)))[0]
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                raise
            self._tells_transmitter = False
            return 0
        return 0 if status & termios.TIOCSER_TEMT else 1


def set_hang_up(descriptor: int, *, lowers_rts: bool) -> None:
    """Let the closing of the port lower RTS, or leave it: a closed port must not drive the bus."""
    attributes = termios.tcgetattr(descriptor)
    attributes[2] &= ~termios.HUPCL
    if lowers_rts:
        attributes[2] |= termios.HUPCL
    termios.tcsetattr(descriptor, termios.TCSANOW, attributes)
