"""User data to the octets of frames, for a station that says the same again and again.

The answers of an outstation differ from poll to poll in the first octets of each frame (sequence numbers,
indications), and where values changed. So the blocks after a frame's first are remembered as they were
encoded, by what is in them: a frame that was said before costs one CRC instead of seventeen.
"""

from __future__ import annotations

from functools import lru_cache

from bridge.link.control import Control
from bridge.link.crc import crc
from bridge.link.frame import BLOCK_OCTETS, encode_blocks, encode_header

_REMEMBERED_HEADERS = 32
_REMEMBERED_FRAMES = 256
"""About 170 kB at most. 25 frames carry a thousand 32-bit analogs."""


class FrameEncoder:
    """Encodes the frames of one control octet and one source."""

    def __init__(self, control: Control, source: int) -> None:
        # Keyed by two numbers: hashing a control octet's object would cost more than its CRC.
        self._header = lru_cache(_REMEMBERED_HEADERS)(
            lambda destination, octets: encode_header(control, destination, source, octets)
        )
        self._later_blocks = lru_cache(_REMEMBERED_FRAMES)(encode_blocks)

    def encode(self, destination: int, user_data: bytes) -> bytes:
        """Encode a frame with at least one octet of user data. Raises `FrameError` as `Frame.build` does."""
        header = self._header(destination, len(user_data))
        first = user_data[:BLOCK_OCTETS]
        return header + first + crc(first) + self._later_blocks(user_data[BLOCK_OCTETS:])
