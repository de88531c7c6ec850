"""Link frames in a stream that must have nothing else in it, by the tests' own CRC."""

from __future__ import annotations

from tests.support import wire_crc

START = b"\x05\x64"
HEADER_OCTETS = 10


def octets_of_frame(header: bytes) -> int:
    """Return how many octets the frame has that begins with these three or more."""
    user_data = header[2] - 5
    assert user_data >= 0, f"LEN {header[2]}"
    return HEADER_OCTETS + user_data + 2 * -(-user_data // 16)


def take_frame(octets: bytearray) -> bytes | None:
    """Remove the frame at the front and return it; None while it is not whole. Anything else fails."""
    assert START.startswith(octets[:2]), f"no frame begins with {octets[:2].hex(' ')}"
    if len(octets) < 3 or len(octets) < octets_of_frame(octets):
        return None
    length = octets_of_frame(octets)
    taken = bytes(octets[:length])
    del octets[:length]
    right = wire_crc.frame(taken[3], destination(taken), source(taken), user_data(taken))
    assert taken == right, taken.hex(" ")
    return taken


def take_frames(octets: bytes) -> list[bytes]:
    """Return the frames that `octets` consist of."""
    rest = bytearray(octets)
    frames = []
    while (taken := take_frame(rest)) is not None:
        frames.append(taken)
    assert not rest, f"half a frame: {rest.hex(' ')}"
    return frames


def destination(frame: bytes) -> int:
    """Return a frame's destination address."""
    return int.from_bytes(frame[4:6], "little")


def source(frame: bytes) -> int:
    """Return a frame's source address."""
    return int.from_bytes(frame[6:8], "little")


def user_data(frame: bytes) -> bytes:
    """Return a frame's user data without CRCs."""
    blocks = (frame[at : at + 18] for at in range(HEADER_OCTETS, len(frame), 18))
    return b"".join(block[:-2] for block in blocks)
