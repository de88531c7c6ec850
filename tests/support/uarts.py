"""A UART's driver behind `ioctl`, as the Linux serial core behaves: for machines that have none."""

from __future__ import annotations

import errno
import os
import struct
import termios
from collections.abc import Callable

import pytest

from bridge.endpoints import rs485_mode, tty_rts

TIOCGRS485 = 0x542E
TIOCSRS485 = 0x542F
ENABLED, RTS_ON_SEND, RTS_AFTER_SEND, RX_DURING_TX, TERMINATE_BUS = 1, 2, 4, 16, 32
_LONGEST_DELAY_MS = 100


def plugged(monkeypatch: pytest.MonkeyPatch) -> Uart:
    """Return a driver in place of those of all ports."""
    uart = Uart()
    answer_ioctl(monkeypatch, uart.ioctl)
    return uart


def answer_ioctl(monkeypatch: pytest.MonkeyPatch, ioctl: Callable[..., object]) -> None:
    """Let a function answer what a port's direction asks of its driver."""
    for module in (rs485_mode, tty_rts):
        monkeypatch.setattr(module, "ioctl", ioctl)


class Uart:
    """Put its `ioctl` in place of the system's."""

    def __init__(self) -> None:
        self.requests: list[int] = []
        self.events: list[str] = []
        """RTS, each time that it was raised or lowered."""
        self.gone: int | None = None
        """The code of a port that is no more."""

        self.has_rs485 = True
        self.refusal: int | None = None
        """The code with which RS-485 settings are refused."""
        self.flags = 0
        self.stuck_flags: int | None = None
        """What the flags become, whatever is asked."""
        self.before_ms = 0
        self.after_ms = 0

        self.no_rts: int | None = None
        """The code of a port without modem lines."""
        self.is_raised = False
        self.follows_rts = True
        self.tells_rts = True

        self.queued = 0
        self.is_shifting = False
        self.tells_transmitter = True

    def ioctl(self, descriptor: int, request: int, octets: bytes) -> bytes:
        os.fstat(descriptor)  # raises for one that is closed
        self.requests.append(request)
        _raise(self.gone)
        match request:
            case 0x542E | 0x542F:
                return self._rs485(request, octets)
            case termios.TIOCMBIS | termios.TIOCMBIC:
                return self._set_rts(octets, is_raised=request == termios.TIOCMBIS)
            case termios.TIOCMGET:
                _raise(None if self.tells_rts else errno.ENOTTY)
                return struct.pack("i", termios.TIOCM_DTR | termios.TIOCM_RTS * self.is_raised)
            case termios.TIOCOUTQ:
                return struct.pack("i", self.queued)
            case termios.TIOCSERGETLSR:
                _raise(None if self.tells_transmitter else errno.ENOTTY)
                return struct.pack("i", 0 if self.is_shifting or self.queued else termios.TIOCSER_TEMT)
        raise AssertionError(f"unexpected ioctl {request:#x}")

    def _rs485(self, request: int, octets: bytes) -> bytes:
        _raise(None if self.has_rs485 else errno.ENOTTY)
        if request == TIOCSRS485:
            _raise(self.refusal)
            flags, before_ms, after_ms = struct.unpack_from("3I", octets)
            if flags & RTS_ON_SEND and flags & RTS_AFTER_SEND:
                flags &= ~RTS_AFTER_SEND
            if not flags & ENABLED:
                flags = before_ms = after_ms = 0
            self.flags = flags if self.stuck_flags is None else self.stuck_flags
            self.before_ms = min(before_ms, _LONGEST_DELAY_MS)
            self.after_ms = min(after_ms, _LONGEST_DELAY_MS)
        return struct.pack("3I20x", self.flags, self.before_ms, self.after_ms)

    def _set_rts(self, octets: bytes, *, is_raised: bool) -> bytes:
        _raise(self.no_rts)
        assert struct.unpack("i", octets) == (termios.TIOCM_RTS,)
        # The serial core leaves RTS to its RS-485 mode.
        if self.follows_rts and not self.flags & ENABLED:
            self.is_raised = is_raised
            self.events.append("raised" if is_raised else "lowered")
        return octets


def _raise(code: int | None) -> None:
    if code is not None:
        raise OSError(code, os.strerror(code))
