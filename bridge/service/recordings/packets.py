"""The packets of pcap and pcapng files, with their comments."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from bridge.errors import CaptureError

_PCAP = {
    b"\xd4\xc3\xb2\xa1": ("<", 1e-6),
    b"\xa1\xb2\xc3\xd4": (">", 1e-6),
    b"\x4d\x3c\xb2\xa1": ("<", 1e-9),
    b"\xa1\xb2\x3c\x4d": (">", 1e-9),
}
"""First octets of a pcap file: its byte order and the unit of its fractions of a second."""
_PCAP_HEADER_OCTETS = 24

_PCAPNG = b"\x0a\x0d\x0d\x0a"
_PCAPNG_ORDERS = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
_SECTION, _INTERFACE = 0x0A0D0D0A, 1
_PACKET_FIELDS = {6: "IIII", 2: "HxxIII"}
"""pcapng blocks that hold a packet (Enhanced, and the older Packet): interface, time high and low, octets."""
_PACKET_AT = 20
_ENHANCED = 6
_COMMENT, _TIME_UNIT, _TIME_OFFSET = 1, 9, 14
_INTERFACE_OPTIONS_AT = 8


class Packet(NamedTuple):
    """One packet of a capture file."""

    time_s: float
    link_type: int
    octets: bytes
    comment: str = ""


def packets(content: bytes) -> Iterator[Packet]:
    """Yield the packets of a file. Raises `CaptureError` after those before the damage."""
    # dpkt has readers too; they take only the first interface of a pcapng file, and a file that ends inside
    # a packet for whole.
    number = 0
    try:
        for packet in _pcapng_packets(content) if content.startswith(_PCAPNG) else _pcap_packets(content):
            yield packet
            number += 1
    except (struct.error, LookupError, EOFError) as error:
        raise CaptureError(f"damaged or cut short after packet {number}") from error


def _pcap_packets(content: bytes) -> Iterator[Packet]:
    order, unit = _PCAP[content[:4]]
    (link_type,) = struct.unpack_from(f"{order}20xI", content)
    link_type &= 0xFFFF  # above are the octets of the frame check sequence
    at = _PCAP_HEADER_OCTETS
    while at < len(content):
        seconds, fraction, size = struct.unpack_from(f"{order}III4x", content, at)
        at += 16
        yield Packet(seconds + fraction * unit, link_type, _take(content, at, size))
        at += size


class _Interface(NamedTuple):
    """What a pcapng file says of an interface: link type, unit and offset of its times."""

    link_type: int
    unit_s: float = 1e-6
    offset_s: int = 0


def _pcapng_packets(content: bytes) -> Iterator[Packet]:
    order = "<"
    interfaces: list[_Interface] = []
    at = 0
    while at < len(content):
        if content.startswith(_PCAPNG, at):
            order = _PCAPNG_ORDERS[content[at + 8 : at + 12]]
            interfaces = []
        kind, size = struct.unpack_from(f"{order}II", content, at)
        body = _take(content, at + 8, size - 12)
        _take(content, at, size)
        if kind == _INTERFACE:
            interfaces.append(_interface(order, body))
        elif kind in _PACKET_FIELDS:
            number, high, low, kept = struct.unpack_from(order + _PACKET_FIELDS[kind], body)
            interface = interfaces[number]
            time_s = (high << 32 | low) * interface.unit_s + interface.offset_s
            octets = _take(body, _PACKET_AT, kept)
            comment = _comment(order, body, _PACKET_AT + kept + -kept % 4) if kind == _ENHANCED else ""
            yield Packet(time_s, interface.link_type, octets, comment)
        at += size


def _interface(order: str, body: bytes) -> _Interface:
    (link_type,) = struct.unpack_from(f"{order}H", body)
    interface = _Interface(link_type)
    for option, value in _options(order, body, _INTERFACE_OPTIONS_AT):
        if option == _TIME_UNIT:
            (unit,) = struct.unpack_from("B", value)
            base = 2.0 if unit & 0x80 else 10.0
            interface = interface._replace(unit_s=base ** -(unit & 0x7F))
        elif option == _TIME_OFFSET:
            (offset_s,) = struct.unpack_from(f"{order}q", value)
            interface = interface._replace(offset_s=offset_s)
    return interface


def _comment(order: str, body: bytes, at: int) -> str:
    comments = (value for option, value in _options(order, body, at) if option == _COMMENT)
    return "; ".join(comment.decode("utf-8", "backslashreplace") for comment in comments)


def _options(order: str, body: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    while at < len(body):
        option, size = struct.unpack_from(f"{order}HH", body, at)
        yield option, _take(body, at + 4, size)
        at += 4 + size + -size % 4


def _take(content: bytes, at: int, size: int) -> bytes:
    if size < 0 or at + size > len(content):
        raise EOFError
    return content[at : at + size]


def is_capture(content: bytes) -> bool:
    """Tell whether a file is pcap or pcapng, by its first octets."""
    return content[:4] in _PCAP or content.startswith(_PCAPNG)
