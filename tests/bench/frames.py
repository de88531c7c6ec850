"""The DNP3 frames the bench sends and expects, built without the code under test.

Every request is a frame a master could send, every answer one an RTU could give, because our bridge forwards
nothing else: right CRCs, right DIR, known addresses, and an answer that repeats the request's application
sequence. The filler is real too (READ object headers; analog inputs g30v1), so a dissector stays silent.
"""

from __future__ import annotations

from dataclasses import dataclass

MASTER = 1
RTU = 12
SEQUENCES = 16

HEADER_OCTETS = 10  # 05 64, length, control, destination, source, CRC
BLOCK_OCTETS = 16  # user data octets per CRC

REQUEST_LINK_STATUS = 0xC9  # DIR PRM, function 9
LINK_STATUS = 0x0B
REQUEST_DATA = 0xC4  # DIR PRM, UNCONFIRMED_USER_DATA
RESPONSE_DATA = 0x44


def _crc_table() -> tuple[int, ...]:
    table = []
    for octet in range(256):
        crc = octet
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA6BC if crc & 1 else crc >> 1
        table.append(crc)
    return tuple(table)


_CRC_TABLE = _crc_table()


def crc(octets: bytes) -> bytes:
    """CRC-16/DNP, low octet first, as it stands on the wire."""
    value = 0
    for octet in octets:
        value = (value >> 8) ^ _CRC_TABLE[(value ^ octet) & 0xFF]
    return (value ^ 0xFFFF).to_bytes(2, "little")


def frame(control: int, destination: int, source: int, user_data: bytes = b"") -> bytes:
    """One link frame with its header CRC and a CRC after every 16 octets of user data."""
    header = bytes((0x05, 0x64, 5 + len(user_data), control))
    header += destination.to_bytes(2, "little") + source.to_bytes(2, "little")
    out = header + crc(header)
    for start in range(0, len(user_data), BLOCK_OCTETS):
        block = user_data[start : start + BLOCK_OCTETS]
        out += block + crc(block)
    return out


def user_octets(frame_octets: int) -> int:
    """How much user data makes a frame of exactly this many octets.

    Raises ValueError where none does: the CRCs leave gaps, such as 11 to 12 and 29 to 30.
    """
    for count in range(251):
        if HEADER_OCTETS + count + 2 * -(-count // BLOCK_OCTETS) == frame_octets:
            return count
    raise ValueError(f"no DNP3 frame has {frame_octets} octets")


@dataclass(frozen=True, slots=True)
class Exchange:
    """Requests of one size and the answers to them, one pair per application sequence number."""

    octets: int
    requests: tuple[bytes, ...]
    answers: tuple[bytes, ...]

    def table(self) -> bytes:
        """The answers as responder.c reads them: frame size, then 16 frames."""
        return self.octets.to_bytes(2, "little") + b"".join(self.answers)


def exchange(frame_octets: int) -> Exchange:
    """A link status request for 10 octets; for anything longer a READ and its response, equally long."""
    if frame_octets == HEADER_OCTETS:
        request = frame(REQUEST_LINK_STATUS, RTU, MASTER)
        answer = frame(LINK_STATUS, MASTER, RTU)
        return Exchange(frame_octets, (request,) * SEQUENCES, (answer,) * SEQUENCES)
    octets = user_octets(frame_octets)
    return Exchange(
        frame_octets,
        tuple(frame(REQUEST_DATA, RTU, MASTER, _read(octets, seq)) for seq in range(SEQUENCES)),
        tuple(frame(RESPONSE_DATA, MASTER, RTU, _response(octets, seq)) for seq in range(SEQUENCES)),
    )


def _read(octets: int, sequence: int) -> bytes:
    """Transport octet, READ, and object headers: three octets (all objects) or five (a range), to fill it."""
    out = bytes((0xC0 | sequence, 0xC0 | sequence, 0x01))
    ranges = next(n for n in range(3) if (octets - len(out) - 5 * n) % 3 == 0)
    out += bytes((30, 1, 0x00, 0, 9)) * ranges
    return out + bytes((60, 2, 0x06)) * ((octets - len(out)) // 3)


def _response(octets: int, sequence: int) -> bytes:
    """Transport octet, RESPONSE without IIN, and as many analog inputs g30v1 as fill it.

    The five octets of each value leave no rest at 100 and 292 octets; another size is padded with zeros,
    which no bridge looks at.
    """
    out = bytes((0xC0 | sequence, 0xC0 | sequence, 0x81, 0x00, 0x00))
    points = (octets - len(out) - 5) // 5
    if points > 0:
        out += bytes((30, 1, 0x00, 0, points - 1))
        out += b"".join(b"\x01" + (1000 * n).to_bytes(4, "little") for n in range(points))
    return out.ljust(octets, b"\x00")
