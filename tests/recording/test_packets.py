from __future__ import annotations

import io
from ipaddress import ip_address

import dpkt
import pytest

from bridge.link.control import LinkFunction
from bridge.recording.packets import Encoder
from bridge.recording.record import Channel, Interface, Kind
from tests.support import frames as f

INTERFACES = [Interface("bay1", "line: /dev/ttyS0", 9600), Interface("main", "server: [::]:20000")]
LINE, SESSION, SESSION_6, MAPPED, LOW_PORT = 1, 2, 3, 4, 5
CHANNELS = {
    LINE: Channel(0),
    SESSION: Channel(1, ("10.1.1.5", 40321)),
    SESSION_6: Channel(1, ("fe80::1%eth0", 50000)),
    MAPPED: Channel(1, ("::ffff:10.1.1.6", 50001)),
    LOW_PORT: Channel(1, ("10.1.1.7", 502)),
}
REQUEST, ANSWER = f.request(1, to=258).octets, f.response(1, source=258, to=3).octets
HOUR_NS = 3_600_000_000_000


def encoded(*records: tuple[int, Kind, bytes, str]) -> list[str]:
    """Return packets in words: interface, source, destination, comment."""
    encoder = Encoder(INTERFACES, offset_ns=HOUR_NS)
    octets = encoder.encode(
        [
            (number, channel, int(kind), each, detail)
            for number, (channel, kind, each, detail) in enumerate(records)
        ],
        CHANNELS,
    )
    return [in_words(block) for block in blocks_of(octets)]


def blocks_of(octets: bytes) -> list[dpkt.pcapng.EnhancedPacketBlockLE]:
    found = []
    while octets:
        size = int.from_bytes(octets[4:8], "little")
        found.append(dpkt.pcapng.EnhancedPacketBlockLE(octets[:size]))
        octets = octets[size:]
    return found


def in_words(block: dpkt.pcapng.EnhancedPacketBlockLE) -> str:
    packet = block.pkt_data
    layer = dpkt.ip.IP(packet) if packet[0] >> 4 == 4 else dpkt.ip6.IP6(packet)
    ends = [str(ip_address(layer.src)), str(ip_address(layer.dst))]
    if isinstance(layer.data, dpkt.udp.UDP):
        ends = [f"{ends[0]} {layer.data.sport}", f"{ends[1]} {layer.data.dport}"]
    comments = [option.text for option in block.opts if option.code == 1]
    return " | ".join([INTERFACES[block.iface_id].name, *ends, *comments])


def test_a_line_has_addresses_made_of_link_addresses() -> None:
    assert encoded((LINE, Kind.SENT, REQUEST, ""), (LINE, Kind.HEARD, ANSWER, "")) == [
        "bay1 | 198.19.0.1 40000 | 198.18.1.2 20000",
        "bay1 | 198.18.1.2 20000 | 198.19.0.3 40000",
    ]


@pytest.mark.parametrize(
    ("channel", "master", "outstation"),
    [
        (SESSION, "10.1.1.5 40321", "198.18.1.2 20000"),
        (SESSION_6, "fe80::1 50000", "2001:db8::102 20000"),
        (MAPPED, "10.1.1.6 50001", "198.18.1.2 20000"),
        (LOW_PORT, "10.1.1.7 40502", "198.18.1.2 20000"),
    ],
)
def test_a_session_has_its_masters_address(channel: int, master: str, outstation: str) -> None:
    assert encoded((channel, Kind.HEARD, REQUEST, ""), (channel, Kind.SENT, ANSWER, "")) == [
        f"main | {master} | {outstation}",
        f"main | {outstation} | {master}",
    ]


def test_a_frame_that_comes_from_the_wrong_side_goes_where_it_went() -> None:
    wrong = f.from_rtu(LinkFunction.LINK_STATUS, source=5, to=258).octets
    assert encoded((SESSION, Kind.HEARD, wrong, "")) == ["main | 10.1.1.5 40321 | 198.18.1.2 20000"]


def test_each_fragment_of_several_segments_has_an_address_of_its_own() -> None:
    first, last = f.response(1, transport=f.FIR).octets, f.response(transport=f.FIN).octets
    other = f.response(1, source=13, transport=f.FIR).octets
    told = encoded(
        *((LINE, Kind.HEARD, octets, "") for octets in (first, other, last, first, last, ANSWER)),
        *((SESSION_6, Kind.SENT, octets, "") for octets in (first, last, ANSWER)),
        (LINE, Kind.DROPPED, last, "late"),
        (LINE, Kind.HEARD, f.link_status().octets, ""),
    )
    assert [line.split(" ")[2] for line in told] == [
        "240.0.0.12",
        "240.1.0.13",
        "240.0.0.12",
        "240.2.0.12",
        "240.2.0.12",
        "198.18.1.2",
        "2001:db8:4::c",
        "2001:db8:4::c",
        "2001:db8::102",
        "198.18.0.12",
    ]


def test_numbers_of_fragments_begin_anew_and_are_not_kept_for_ever() -> None:
    encoder = Encoder(INTERFACES, offset_ns=0)
    for number in range(3000):
        octets = f.response(1, source=number, transport=f.FIR).octets
        (block,) = blocks_of(encoder.encode([(0, LINE, int(Kind.HEARD), octets, "")], CHANNELS))
        assert in_words(block).startswith(f"bay1 | 240.{number % 256}.{number // 256}.{number % 256} ")
    assert len(encoder._fragments._open) <= 1000


def test_octets_in_no_frame() -> None:
    assert encoded(
        (LINE, Kind.DISCARDED, b"\xff", "noise header_crc"), (SESSION_6, Kind.DISCARDED, b"GET", "noise")
    ) == [
        "bay1 | 192.0.2.1 | 192.0.2.2 | discarded: noise header_crc",
        "main | fe80::1 | 2001:db8:ffff::2 | discarded: noise",
    ]


def test_a_frame_dropped_when_it_came_has_the_comment() -> None:
    assert encoded((LINE, Kind.HEARD, ANSWER, ""), (LINE, Kind.DROPPED, ANSWER, "late")) == [
        "bay1 | 198.18.1.2 20000 | 198.19.0.3 40000 | dropped: late"
    ]
    # The line names the reason for what came from a session.
    assert encoded((SESSION, Kind.HEARD, REQUEST, ""), (LINE, Kind.DROPPED, REQUEST, "line_down")) == [
        "main | 10.1.1.5 40321 | 198.18.1.2 20000 | dropped: line_down"
    ]


def test_a_frame_dropped_later_comes_once_more() -> None:
    same_octets = bytes(bytearray(REQUEST))
    assert encoded((SESSION, Kind.HEARD, REQUEST, ""), (LINE, Kind.DROPPED, same_octets, "expired")) == [
        "main | 10.1.1.5 40321 | 198.18.1.2 20000",
        "bay1 | 198.19.0.1 45000 | 198.18.1.2 20000 | dropped: expired",
    ]


def test_an_event_is_a_syslog_message() -> None:
    encoder = Encoder(INTERFACES, offset_ns=HOUR_NS)
    text = 'line down reason="no such device"'
    (block,) = blocks_of(encoder.encode([(5, LINE, int(Kind.EVENT), b"", text)], CHANNELS))
    assert dpkt.ip.IP(block.pkt_data).data.data == b"<133>" + text.encode()
    assert in_words(block) == "bay1 | 192.0.2.2 514 | 192.0.2.2 514"
    assert block.ts_high << 32 | block.ts_low == HOUR_NS + 5


def test_a_broadcast_and_the_highest_addresses() -> None:
    broadcast = f.request(1, to=0xFFFF, source=0xFFEF).octets
    assert encoded((LINE, Kind.SENT, broadcast, "")) == ["bay1 | 198.19.255.239 40000 | 198.18.255.255 20000"]


def test_a_whole_file() -> None:
    encoder = Encoder(INTERFACES, offset_ns=HOUR_NS)
    records = [(0, LINE, int(Kind.SENT), REQUEST, "")]
    file = encoder.opening("RTU Bridge", "why") + encoder.encode(records, CHANNELS)
    ((time_s, packet),) = list(dpkt.pcapng.Reader(io.BytesIO(file)))
    assert time_s == 3600.0
    assert dpkt.ip.IP(packet).data.data == REQUEST
