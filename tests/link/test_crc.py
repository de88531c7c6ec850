from __future__ import annotations

import random

from bridge.link.crc import crc, is_intact
from tests.support import wire_crc
from tests.vectors import LINK_FRAMES


def test_check_value() -> None:
    assert crc(b"123456789") == (0xEA82).to_bytes(2, "little")


def test_equals_the_bitwise_definition() -> None:
    rng = random.Random(1)
    for octets in range(1, 20):
        block = rng.randbytes(octets)
        assert crc(block) == wire_crc.crc(block)
        assert is_intact(block + crc(block))


def test_every_single_bit_error_of_a_header_shows() -> None:
    header = next(iter(LINK_FRAMES.values()))[:10]
    assert is_intact(header)
    for bit in range(80):
        broken = bytearray(header)
        broken[bit // 8] ^= 1 << bit % 8
        assert not is_intact(bytes(broken))
