"""A second, bit by bit CRC-16/DNP and frame builder of the tests, so that ours is not checked by itself."""

from __future__ import annotations

import struct


def crc(octets: bytes) -> bytes:
    register = 0
    for octet in octets:
        register ^= octet
        for _ in range(8):
            register = (register >> 1) ^ 0xA6BC if register & 1 else register >> 1
    return struct.pack("<H", register ^ 0xFFFF)


def frame(control: int, destination: int, source: int, user_data: bytes = b"") -> bytes:
    header = struct.pack("<BBBBHH", 5, 0x64, 5 + len(user_data), control, destination, source)
    blocks = (user_data[at : at + 16] for at in range(0, len(user_data), 16))
    return header + crc(header) + b"".join(block + crc(block) for block in blocks)
