"""The RS-485 mode of a serial port's driver (TIOCSRS485): it switches RTS around what it sends."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from enum import IntFlag
from fcntl import ioctl
from pathlib import Path

from bridge.endpoints.ioctl_errors import GONE, UNSUPPORTED

_TIOCGRS485 = 0x542E
_TIOCSRS485 = 0x542F
_SERIAL_RS485 = struct.Struct("3I20x")
"""`struct serial_rs485` of linux/serial.h: flags, delay before and after sending in ms, padding."""

_TTYS = Path("/sys/class/tty")
_BOOT_PROPERTY = "linux,rs485-enabled-at-boot-time"


class Rs485Flag(IntFlag):
    """The flags of `struct serial_rs485`."""

    ENABLED = 1 << 0
    RTS_ON_SEND = 1 << 1
    RTS_AFTER_SEND = 1 << 2
    RX_DURING_TX = 1 << 4
    TERMINATE_BUS = 1 << 5


@dataclass(frozen=True, slots=True)
class Rs485Mode:
    """What a driver does by itself around what it sends; `flags` are `Rs485Flag` and what is unknown."""

    flags: int = 0
    before_ms: int = 0
    after_ms: int = 0

    @property
    def is_enabled(self) -> bool:
        """Whether the driver switches RTS."""
        return bool(self.flags & Rs485Flag.ENABLED)

    def in_words(self) -> str:
        """Return it as the operator reads it."""
        if not self.is_enabled:
            return "off"
        return f"RTS {self.level} while sending, {self.before_ms} ms before and {self.after_ms} ms after"

    @property
    def level(self) -> str:
        """What RTS is while octets are sent: "raised" or "lowered"."""
        return in_a_word(is_raised=bool(self.flags & Rs485Flag.RTS_ON_SEND))


def difference(asked: Rs485Mode, read_back: Rs485Mode) -> str | None:
    """Say in what the driver does something else than asked; None if in nothing."""
    if not read_back.is_enabled:
        return "the driver took the settings but leaves its RS-485 mode off"
    found = []
    if read_back.level != asked.level:
        found.append(f"RTS while sending: {asked.level} asked, {read_back.level} in force")
    for name, wanted_ms, real_ms in (
        ("before", asked.before_ms, read_back.before_ms),
        ("after", asked.after_ms, read_back.after_ms),
    ):
        if real_ms != wanted_ms:
            found.append(f"delay {name} sending: {wanted_ms} ms asked, {real_ms} ms in force")
    if read_back.flags & Rs485Flag.RX_DURING_TX:
        found.append("it receives what it sends")
    return "; ".join(found) or None


def read_mode(descriptor: int) -> Rs485Mode | None:
    """Return the driver's RS-485 settings, None where it has none. Raises `OSError` if the port is gone."""
    try:
        octets = ioctl(descriptor, _TIOCGRS485, bytes(_SERIAL_RS485.size))
    except OSError as error:
        if error.errno in UNSUPPORTED:
            return None
        raise
    flags, before_ms, after_ms = _SERIAL_RS485.unpack(octets)
    return Rs485Mode(flags, before_ms, after_ms)


def set_mode(descriptor: int, settings: Rs485Mode) -> int | None:
    """Give the driver its settings; return the code of its refusal. Raises `OSError` if the port is gone."""
    octets = _SERIAL_RS485.pack(settings.flags, settings.before_ms, settings.after_ms)
    try:
        ioctl(descriptor, _TIOCSRS485, octets)
    except OSError as error:
        if error.errno in GONE:
            raise
        return error.errno
    return None


def clear_left_over(descriptor: int) -> tuple[str | None, str | None]:
    """Switch the driver's RS-485 mode off. Return what it was, if it was on, or why it still is."""
    found = read_mode(descriptor)
    if found is None or not found.is_enabled:
        return None, None
    set_mode(descriptor, Rs485Mode())
    left = read_mode(descriptor)
    if left is not None and left.is_enabled:
        return None, f"the driver keeps RS-485 settings that another program left: {left.in_words()}"
    return found.in_words(), None


def is_set_at_boot(device: str) -> bool:
    """Whether the device tree, and not a program, has switched the port's RS-485 mode on."""
    port = (_TTYS / Path(os.path.realpath(device)).name / "device").resolve()
    # Newer kernels put a controller and a port between a tty and the UART that the device tree describes.
    return any((place / "of_node" / _BOOT_PROPERTY).exists() for place in (port, *port.parents[:2]))


def in_a_word(*, is_raised: bool) -> str:
    """Return what RTS is, in a word."""
    return "raised" if is_raised else "lowered"
