"""IP packets around what is recorded, with right checksums: a capture of packets that nobody sent.

Addresses are packed, 4 or 16 octets, both of one version.
"""

from __future__ import annotations

import struct

_UDP = 17
_EXPERIMENT = 253
"""RFC 3692: no program takes it for a protocol that it knows, as Wireshark does with noise in UDP."""
_TTL = 64
_DO_NOT_FRAGMENT = 0x4000

_v4 = struct.Struct(">HHHHBBH4s4s")
_v6 = struct.Struct(">IHBB16s16s")
_udp = struct.Struct(">HHHH")


def datagram(source: bytes, source_port: int, destination: bytes, port: int, payload: bytes) -> bytes:
    """Return a UDP datagram in an IP packet."""
    size = _udp.size + len(payload)
    padded = payload + b"\0" if size % 2 else payload
    # The one's complement sum of 16-bit words is the number they make, modulo 0xFFFF: 0x10000 leaves 1.
    total = int.from_bytes(source, "big") + int.from_bytes(destination, "big") + _UDP + 2 * size
    checksum = -(total + source_port + port + int.from_bytes(padded, "big")) % 0xFFFF or 0xFFFF
    return packet(source, destination, _udp.pack(source_port, port, size, checksum) + payload, _UDP)


def packet(source: bytes, destination: bytes, payload: bytes, protocol: int = _EXPERIMENT) -> bytes:
    """Return an IP packet whose payload is of no known protocol, or of the one given."""
    if len(source) == 16:
        return _v6.pack(0x6000_0000, len(payload), protocol, _TTL, source, destination) + payload
    fields = (0x4500, _v4.size + len(payload), 0, _DO_NOT_FRAGMENT, _TTL, protocol)
    header = _v4.pack(*fields, 0, source, destination)
    checksum = -int.from_bytes(header, "big") % 0xFFFF
    return _v4.pack(*fields, checksum, source, destination) + payload
