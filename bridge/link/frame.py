"""One link frame, kept octet for octet as it came (IEEE 1815 clause 9.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bridge.errors import FrameError
from bridge.link.control import CONTROLS, Control
from bridge.link.crc import crc

START = b"\x05\x64"
HEADER_OCTETS = 10
BLOCK_OCTETS = 16
CRC_OCTETS = 2
SHORTEST_LENGTH = 5
"""LEN of a frame without user data: it counts control, destination and source."""
LONGEST_USER_DATA = 250
LONGEST_FRAME = 292


def octets_of_frame(length: int) -> int:
    """Return the octets on the wire of a frame whose LEN octet is `length` (5 to 255), CRCs included."""
    user_data = length - SHORTEST_LENGTH
    blocks = -(-user_data // BLOCK_OCTETS)
    return HEADER_OCTETS + user_data + blocks * CRC_OCTETS


FRAME_OCTETS = tuple(octets_of_frame(max(length, SHORTEST_LENGTH)) for length in range(256))
"""The same by LEN octet, for who asks with every frame; LEN under 5 counts as 5."""


def encode_header(control: Control, destination: int, source: int, user_data_octets: int) -> bytes:
    """Encode a frame's first ten octets.

    Raises `FrameError` for over 250 octets of user data or an address over 16 bits.
    """
    if user_data_octets > LONGEST_USER_DATA:
        raise FrameError(f"{user_data_octets} octets of user data; a frame holds {LONGEST_USER_DATA}")
    if not (0 <= destination <= 0xFFFF and 0 <= source <= 0xFFFF):
        raise FrameError(f"destination {destination}, source {source}: an address is 0 to 65535")
    header = START + bytes((SHORTEST_LENGTH + user_data_octets, control.octet))
    header += destination.to_bytes(2, "little") + source.to_bytes(2, "little")
    return header + crc(header)


def encode_blocks(user_data: bytes) -> bytes:
    """Encode user data with a CRC after every 16 octets and at the end."""
    parts: list[bytes] = []
    for at in range(0, len(user_data), BLOCK_OCTETS):
        block = user_data[at : at + BLOCK_OCTETS]
        parts += (block, crc(block))
    return b"".join(parts)


@dataclass(slots=True, unsafe_hash=True)
class Frame:
    """A whole frame whose CRCs are right.

    `octets` is what a relay forwards: it is never encoded anew. The other fields are read from it.
    """

    # Final, so that mypy keeps it as it is: to make a frozen one takes five times as long, for each frame.
    octets: Final[bytes]
    control: Final[Control]
    destination: Final[int]
    source: Final[int]

    @classmethod
    def of_octets(cls, octets: bytes) -> Frame:
        """Wrap the octets of one whole frame, already checked (`LinkFramer` does that)."""
        return cls(octets, CONTROLS[octets[3]], octets[4] | octets[5] << 8, octets[6] | octets[7] << 8)

    @classmethod
    def build(cls, control: Control, destination: int, source: int, user_data: bytes = b"") -> Frame:
        """Encode a frame. Raises `FrameError` for over 250 octets of user data or an address over 16 bits."""
        octets = encode_header(control, destination, source, len(user_data)) + encode_blocks(user_data)
        return cls(octets, control, destination, source)

    @property
    def user_data(self) -> bytes:
        """The user data without block CRCs, 0 to 250 octets."""
        octets = self.octets
        step = BLOCK_OCTETS + CRC_OCTETS
        return b"".join(
            octets[at : min(at + BLOCK_OCTETS, len(octets) - CRC_OCTETS)]
            for at in range(HEADER_OCTETS, len(octets), step)
        )
