"""CRC-16/DNP (IEEE 1815 clause 9.2.3.3), sent low octet first."""

from __future__ import annotations

from fastcrc.crc16 import dnp as _dnp

_RESIDUE = 0x993A
"""CRC-16/DNP of any octets followed by their own CRC: one comparison instead of splitting the block."""


def crc(octets: bytes) -> bytes:
    """Return the two CRC octets that follow `octets` on the wire."""
    return _dnp(octets).to_bytes(2, "little")


def is_intact(block: bytes) -> bool:
    """Tell whether `block`, whose last two octets are its CRC, arrived as it was sent."""
    return _dnp(block) == _RESIDUE


def intact_until(octets: bytes, at: int, end: int, block_octets: int) -> int:
    """Return where the first block from `at` on begins that is not intact; `end` if all are.

    Each has `block_octets` with its CRC, the last one those that are left.
    """
    while at < end:
        after = at + block_octets
        if after > end:
            after = end
        if _dnp(octets[at:after]) != _RESIDUE:
            return at
        at = after
    return end
