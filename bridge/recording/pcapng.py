"""The few blocks of a pcapng file that a recording needs (draft-ietf-opsawg-pcapng, sections 4.1 to 4.3).

Written here and not with dpkt, which reads them in the tests: it takes 12 times as long for a packet, and
its import alone 45 ms and the memory of a hundred protocols, in a program that must not be held up.
"""

from __future__ import annotations

import struct
from enum import IntEnum

LINK_TYPE_IP = 101
"""Packets begin with an IPv4 or IPv6 header."""

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_BYTE_ORDER = 0x1A2B3C4D
_LENGTH_UNKNOWN = 0xFFFF_FFFF_FFFF_FFFF
_NO_LIMIT = 0
_END = bytes(4)
_COMMENT = 1
_APPLICATION = 4
_NAME, _DESCRIPTION, _SPEED, _TIME_UNIT = 2, 3, 8, 9
_NANOSECONDS = b"\x09"

_block_ends = struct.Struct("<II")
_option_head = struct.Struct("<HH")
_packet_head = struct.Struct("<IIIIIII")


class Direction(IntEnum):
    """Bits 0 and 1 of a packet's flags."""

    UNKNOWN = 0
    INBOUND = 1
    OUTBOUND = 2


_FLAGS = {direction: struct.pack("<HHI", 2, 4, direction) for direction in Direction}


def section(application: str, comment: str) -> bytes:
    """Return the block that a file begins with."""
    head = struct.pack("<IHHQ", _BYTE_ORDER, 1, 0, _LENGTH_UNKNOWN)
    return _block(_SECTION, head + _text(_COMMENT, comment) + _text(_APPLICATION, application) + _END)


def interface(name: str, description: str, speed_bits_s: int = 0) -> bytes:
    """Return the block of the next interface; they are counted from 0. Its times are nanoseconds."""
    head = struct.pack("<HHI", LINK_TYPE_IP, 0, _NO_LIMIT)
    options = _text(_NAME, name) + _text(_DESCRIPTION, description)
    if speed_bits_s:
        options += _option(_SPEED, struct.pack("<Q", speed_bits_s))
    return _block(_INTERFACE, head + options + _option(_TIME_UNIT, _NANOSECONDS) + _END)


def packet(number: int, time_ns: int, octets: bytes, direction: Direction, comment: str = "") -> bytes:
    """Return the block of one packet at an interface; `time_ns` counts from 1970 UTC."""
    size = len(octets)
    options = _FLAGS[direction] + (_text(_COMMENT, comment) if comment else b"") + _END
    padding = bytes(-size % 4)
    total = _packet_head.size + size + len(padding) + len(options) + 4
    head = _packet_head.pack(
        _PACKET, total, number, time_ns >> 32 & 0xFFFFFFFF, time_ns & 0xFFFFFFFF, size, size
    )
    return b"".join((head, octets, padding, options, total.to_bytes(4, "little")))


def _block(kind: int, body: bytes) -> bytes:
    total = len(body) + 12
    return _block_ends.pack(kind, total) + body + total.to_bytes(4, "little")


def _text(code: int, text: str) -> bytes:
    return _option(code, text.encode("utf-8", "backslashreplace"))


def _option(code: int, value: bytes) -> bytes:
    return _option_head.pack(code, len(value)) + value + bytes(-len(value) % 4)
