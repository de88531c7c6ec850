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
