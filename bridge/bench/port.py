"""One end of a bench line: a pty that behaves like a serial port that others open."""

from __future__ import annotations

import fcntl
import os
import termios
import tty

_READ_OCTETS = 4096


class Port:
    """A pty. Others open `path`; what they write is read here, what is written here they read.

    Its far side stays open here too, so that nobody's opening or closing is a hang-up; `close` is.
    """

    def __init__(self) -> None:
        # Not pty's, which loses the reason where there is none to be had.
        self.descriptor, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self.descriptor, False)
        self.path = os.ttyname(self._slave)
        self.users = 0
        """How often others have it open."""

    def read(self) -> bytes:
        """Return what was written, at most 4096 octets; empty when there is nothing."""
        try:
            octets = os.read(self.descriptor, _READ_OCTETS)
        except BlockingIOError:
            return b""
        # Two openings in the same moment are told as one; whoever writes has it open.
        self.users = max(1, self.users)
        return octets

    def write(self, octets: bytes) -> int:
        """Deliver octets and return how many were lost: an unread buffer is full, as a UART's is."""
        if not self.users:
            return len(octets)
        try:
            return len(octets) - os.write(self.descriptor, octets)
        except BlockingIOError:
            return len(octets)

    def note_opening(self, *, is_open: bool) -> None:
        """Count who has it open. The last one who closes it leaves nothing behind, as with a real port."""
        self.users = self.users + 1 if is_open else max(0, self.users - 1)
        if not self.users:
            self.flush()
            # A program that was killed took it for itself, and cannot give it back.
            fcntl.ioctl(self._slave, termios.TIOCNXCL)

    def flush(self) -> None:
        """Throw away what was delivered and not read."""
        termios.tcflush(self._slave, termios.TCIFLUSH)

    def close(self) -> None:
        """Hang up on everybody who has it open."""
        os.close(self._slave)
        os.close(self.descriptor)
