"""Blocks against the draft's figures, octet by octet, and as dpkt reads them."""

from __future__ import annotations

import io

import dpkt

from bridge.recording import pcapng
from bridge.recording.pcapng import Direction

SECTION = bytes.fromhex(
    "0a0d0d0a 38000000 4d3c2b1a 0100 0000 ffffffffffffffff"  # type, length, byte order, version, no length
    "0100 0300 77687900"  # opt_comment "why"
    "0400 0a00 5254552042726964 6765 0000"  # shb_userappl "RTU Bridge"
    "0000 0000 38000000"
)
INTERFACE = bytes.fromhex(
    "01000000 40000000 6500 0000 00000000"  # type, length, LINKTYPE_RAW, any packet length
    "0200 0400 62617931"  # if_name "bay1"
    "0300 0500 6c696e65 3a000000"  # if_description "line:"
    "0800 0800 8025000000000000"  # if_speed 9600
    "0900 0100 09000000"  # if_tsresol: nanoseconds
    "0000 0000 40000000"
)
PACKET = bytes.fromhex(
    "06000000 3c000000 02000000 01000000 07000000 05000000 05000000"  # type, length, interface, time, sizes
    "68656c6c 6f000000"
    "0200 0400 01000000"  # epb_flags: inbound
    "0100 0400 6c617465"  # opt_comment "late"
    "0000 0000 3c000000"
)


def test_a_section_begins_the_file() -> None:
    assert pcapng.section("RTU Bridge", "why") == SECTION


def test_an_interface() -> None:
    assert pcapng.interface("bay1", "line:", 9600) == INTERFACE


def test_a_packet() -> None:
    assert pcapng.packet(2, (1 << 32) + 7, b"hello", Direction.INBOUND, "late") == PACKET


def test_dpkt_reads_it_all() -> None:
    time_ns = 1_700_000_000_123_456_789
    file = pcapng.section("RTU Bridge", "") + pcapng.interface("bay1", "", 0)
    file += b"".join(
        pcapng.packet(0, time_ns + number, bytes(number), Direction.OUTBOUND, "x" * (number % 9))
        for number in range(40)
    )
    reader = dpkt.pcapng.Reader(io.BytesIO(file))
    assert reader.datalink() == pcapng.LINK_TYPE_IP
    packets = list(reader)
    assert [octets for _, octets in packets] == [bytes(number) for number in range(40)]
    assert all(abs(time_s - time_ns / 1e9) < 1e-5 for time_s, _ in packets)


def test_text_that_is_no_unicode_is_escaped() -> None:
    assert b"\\udcff" in pcapng.packet(0, 0, b"", Direction.UNKNOWN, "\udcff")
