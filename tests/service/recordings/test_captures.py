from __future__ import annotations

import io
import random
import struct
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import dpkt
import pytest

from bridge.service.recordings.captures import CaptureError, Piece, decode, read
from tests.vectors import LINK_FRAMES

STATUS = LINK_FRAMES["request-link-status-m-1"]
READ = LINK_FRAMES["read-m-1"]
ANSWER = LINK_FRAMES["response-o-3"]
STATUS_LINE = "master 1 -> outstation 1024  REQUEST_LINK_STATUS  10 octets"
MASTER, RTU = (b"\x0a\x00\x00\x01", 50000), (b"\x0a\x00\x00\x09", 20000)
OUT, BACK = "10.0.0.1:50000 -> 10.0.0.9:20000", "10.0.0.9:20000 -> 10.0.0.1:50000"
NOON_S = 1_714_564_800.0
Packet = tuple[float, bytes]


def ip_of(source: tuple[bytes, int], destination: tuple[bytes, int], protocol: int, data: object) -> object:
    if len(source[0]) == 4:
        return dpkt.ip.IP(src=source[0], dst=destination[0], p=protocol, data=data)
    plen = len(bytes(data))  # type: ignore[call-overload]
    return dpkt.ip6.IP6(src=source[0], dst=destination[0], nxt=protocol, plen=plen, data=data)


class Wire:
    """Packets as a capture on Ethernet sees them, a millisecond apart."""

    def __init__(self) -> None:
        self.packets: list[Packet] = []

    def tcp(
        self,
        octets: bytes = b"",
        sequence: int = 1000,
        *,
        acknowledges: int | None = None,
        syn: bool = False,
        reverse: bool = False,
        ends: tuple[tuple[bytes, int], tuple[bytes, int]] = (MASTER, RTU),
    ) -> Wire:
        source, destination = reversed(ends) if reverse else ends
        flags = (0 if acknowledges is None else dpkt.tcp.TH_ACK) | (dpkt.tcp.TH_SYN if syn else 0)
        segment = dpkt.tcp.TCP(
            sport=source[1],
            dport=destination[1],
            seq=sequence % 2**32,
            ack=(acknowledges or 0) % 2**32,
            flags=flags,
            data=octets,
        )
        return self.add(ip_of(source, destination, 6, segment))

    def udp(self, octets: bytes) -> Wire:
        datagram = dpkt.udp.UDP(sport=MASTER[1], dport=RTU[1], ulen=8 + len(octets), data=octets)
        return self.add(ip_of(MASTER, RTU, 17, datagram))

    def add(self, ip: object) -> Wire:
        kind = 0x86DD if isinstance(ip, dpkt.ip6.IP6) else 0x0800
        octets = bytes(dpkt.ethernet.Ethernet(type=kind, data=ip))
        # Ethernet pads to 60 octets; the padding is no data.
        return self.raw(octets.ljust(60, b"\xee"))

    def raw(self, octets: bytes) -> Wire:
        self.packets.append((NOON_S + len(self.packets) / 1000, octets))
        return self

    def pcap(self, link_type: int = 1, *, cut: int = 0, header: bytes = b"", nano: bool = False) -> bytes:
        file = io.BytesIO()
        writer = dpkt.pcap.Writer(file, linktype=link_type, nano=nano)
        writer.writepkts([(time_s, header + octets[cut:]) for time_s, octets in self.packets])
        return file.getvalue()

    def pcapng(self) -> bytes:
        file = io.BytesIO()
        dpkt.pcapng.Writer(file).writepkts(self.packets)
        return file.getvalue()


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    return tmp_path / "a.pcap"


def pieces(path: Path, content: bytes, port: int | None = None) -> list[Piece]:
    path.write_bytes(content)
    return list(read(str(path), port=port))


def octets_by_label(found: Iterable[Piece]) -> dict[str, bytes]:
    octets: dict[str, bytes] = {}
    for piece in found:
        octets[piece.label] = octets.get(piece.label, b"") + piece.octets
    return octets


def decoded(source: str, port: int | None = None) -> tuple[int, list[str]]:
    out = io.StringIO()
    status = decode(source, out, port=port)
    return status, out.getvalue().splitlines()


def conversation() -> Wire:
    wire = Wire().tcp(sequence=999, syn=True).tcp(sequence=4999, acknowledges=1000, syn=True, reverse=True)
    wire.tcp(READ, 1000, acknowledges=5000)
    return wire.tcp(ANSWER, 5000, acknowledges=1000 + len(READ), reverse=True)


# Hex text


@pytest.mark.parametrize(
    "text",
    [
        STATUS.hex(),
        STATUS.hex(" "),
        STATUS.hex(":").upper(),
        STATUS.hex("-"),
        " ".join(f"0x{octet:02X}," for octet in STATUS),
        STATUS.hex(" ", 5).replace(" ", "\r\n\n  "),
        f"# a comment\n{STATUS.hex()}  # and another",
        f"{STATUS.hex()[:7]}\n{STATUS.hex()[7:]}",
    ],
)
def test_hex_in_every_dress(text: str) -> None:
    assert list(read(text)) == [Piece(None, "", STATUS)]
    assert decoded(text) == (0, [STATUS_LINE])


def test_direction_marks_part_the_octets() -> None:
    text = f"> {READ[:9].hex(' ')}\n  {READ[9:].hex(' ')}\n< {ANSWER[:100].hex()}\n>{STATUS.hex()}\n"
    assert list(read(text)) == [
        Piece(None, ">", READ),
        Piece(None, "<", ANSWER[:100]),
        Piece(None, ">", STATUS),
    ]
    status, lines = decoded(text)
    assert status == 1
    assert lines[0] == ">"
    assert lines[1].startswith("  master 1 -> outstation 1024  UNCONFIRMED_USER_DATA")
    assert lines[-4:-2] == [">", f"  {STATUS_LINE}"]
    assert lines[-2] == "<"
    assert lines[-1].startswith("  ! 100 octets: incomplete frame")


def test_a_frame_continues_over_the_other_sides_octets() -> None:
    text = f"> {READ[:9].hex()}\n< {LINK_FRAMES['link-status-o-1'].hex()}\n> {READ[9:].hex()}"
    status, lines = decoded(text)
    assert status == 0
    assert [line for line in lines if line[0] != " "] == ["<", ">"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0564 0", "line 1: odd number of hex digits (5)"),
        ("0564\n056\n0", None),
        ("0564\n\n056", "line 3: odd number of hex digits (7)"),
        ("0564 zz", "line 1: 'zz' is not hex"),
        ("0564\n05é4", "line 2: '05é4' is not hex"),
        ("hello " + "x" * 500, "line 1: 'hello' is not hex"),
        ("0564 ٠٥", "line 1: '٠٥' is not hex"),
        ("\0", "line 1: '\\x00' is not hex"),
    ],
)
def test_text_that_is_not_hex(text: str, message: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    status, lines = decoded(text)
    error = capsys.readouterr().err
    if message is None:
        assert (status, error) == (1, "")
        return
    assert (status, lines) == (2, [])
    assert error.startswith("rtu-bridge decode: no file ")
    assert error.endswith(f", read as hex: {message}\n")
    assert error.count("\n") == 1
    assert len(error) < 200


def test_a_missing_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert decoded("/no/such.pcap") == (2, [])
    assert capsys.readouterr().err == (
        "rtu-bridge decode: no file '/no/such.pcap', read as hex: line 1: '/no/such.pcap' is not hex\n"
    )


def test_a_folder_and_a_file_of_other_content(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert decoded(str(tmp_path)) == (2, [])
    assert capsys.readouterr().err == f"rtu-bridge decode: {tmp_path}: Is a directory\n"
    binary = tmp_path / "x"
    binary.write_bytes(b"\x89PNG\xff\xfe")
    assert decoded(str(binary)) == (2, [])
    assert capsys.readouterr().err == f"rtu-bridge decode: {binary}: neither pcap, pcapng nor hex text\n"


def test_a_text_file_and_stdin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "frames.txt"
    path.write_bytes(b"\xef\xbb\xbf> " + STATUS.hex().encode())
    assert decoded(str(path)) == (0, [">", f"  {STATUS_LINE}"])
    for content in (path.read_bytes(), conversation().pcap()):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        assert decoded("-")[0] == 0


@pytest.mark.parametrize("text", ["", "# nothing\n", ">"])
def test_nothing_found(text: str) -> None:
    assert decoded(text) == (1, ["! no frame found"])


def test_octets_without_a_frame() -> None:
    assert decoded("01 02 03") == (1, ["! 3 octets: noise  01 02 03", "! no frame found"])


# Capture files


def test_a_conversation(capture: Path) -> None:
    found = pieces(capture, conversation().pcap())
    assert found[0] == Piece(NOON_S, OUT, b"", begins=True)
    assert found[2] == Piece(pytest.approx(NOON_S + 0.002), OUT, READ)
    assert octets_by_label(found) == {OUT: READ, BACK: ANSWER}
    status, lines = decoded(str(capture))
    assert status == 0
    assert lines[0] == f"2024-05-01 12:00:00.002000Z  {OUT}"
    assert [line for line in lines if line[0] != " "][1] == f"2024-05-01 12:00:00.003000Z  {BACK}"


SLL = b"\0\0\0\x01\0\x06" + bytes(8) + b"\x08\x00"
SLL2 = b"\x08\x00" + bytes(18)


@pytest.mark.parametrize(
    ("link_type", "header"),
    [(101, b""), (228, b""), (12, b""), (0, b"\x02\0\0\0"), (108, b"\0\0\0\x02"), (113, SLL), (276, SLL2)],
)
def test_link_types_without_ethernet(capture: Path, link_type: int, header: bytes) -> None:
    found = pieces(capture, conversation().pcap(link_type, cut=14, header=header))
    assert octets_by_label(found) == {OUT: READ, BACK: ANSWER}


def test_a_link_type_that_carries_no_ip(capture: Path) -> None:
    with pytest.raises(CaptureError, match=r"a\.pcap: link type 147 is neither Ethernet"):
        pieces(capture, conversation().pcap(147))


def test_nanoseconds_and_big_endian(capture: Path) -> None:
    assert pieces(capture, conversation().pcap(nano=True))[2].time_s == pytest.approx(NOON_S + 0.002)
    header = struct.pack(">IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    content = header + b"".join(
        struct.pack(">IIII", int(time_s), 500_000, len(octets), len(octets)) + octets
        for time_s, octets in conversation().packets
    )
    assert pieces(capture, content)[2] == Piece(NOON_S + 0.5, OUT, READ)


def test_a_vlan_tag(capture: Path) -> None:
    wire = conversation()
    wire.packets = [
        (time_s, octets[:12] + b"\x81\x00\x00\x05" + octets[12:]) for time_s, octets in wire.packets
    ]
    assert octets_by_label(pieces(capture, wire.pcap())) == {OUT: READ, BACK: ANSWER}


def test_ip_version_6(capture: Path) -> None:
    ends = (bytes(15) + b"\x01", 50000), (b"\xfe\x80" + bytes(13) + b"\x09", 20000)
    found = pieces(capture, Wire().tcp(READ, ends=ends).pcap())
    assert octets_by_label(found) == {"[::1]:50000 -> [fe80::9]:20000": READ}


def test_each_datagram_stands_alone(capture: Path) -> None:
    capture.write_bytes(Wire().udp(READ).udp(STATUS[:5]).udp(STATUS).pcap())
    status, lines = decoded(str(capture))
    assert status == 1
    assert lines[-4:] == [
        f"2024-05-01 12:00:00.001000Z  {OUT} UDP",
        "  ! 5 octets: incomplete frame  05 64 05 c9 00",
        f"2024-05-01 12:00:00.002000Z  {OUT} UDP",
        f"  {STATUS_LINE}",
    ]


def test_only_the_port_that_was_asked_for(capture: Path) -> None:
    wire = conversation().udp(STATUS).tcp(b"GET /", ends=(MASTER, (RTU[0], 80)))
    assert len(octets_by_label(pieces(capture, wire.pcap()))) == 4
    assert set(octets_by_label(pieces(capture, wire.pcap(), 20000))) == {OUT, BACK, f"{OUT} UDP"}
    assert decoded(str(capture), 20000)[0] == 0
    assert decoded(str(capture))[0] == 1
    assert decoded(str(capture), 1) == (1, ["! no frame found"])


def test_packets_of_other_protocols_and_damaged_ones_are_passed_over(capture: Path) -> None:
    wire = Wire().raw(b"\xff" * 12 + b"\x08\x06" + bytes(46)).raw(b"").raw(b"\0" * 14).raw(b"\0" * 13)
    wire.raw(bytes(12) + b"\x08\x00\x45")
    wire.tcp(READ).add(dpkt.ip.IP(p=1, data=b"ping"))
    assert octets_by_label(pieces(capture, wire.pcap())) == {OUT: READ}
    assert decoded(str(capture))[0] == 0


# TCP in order


@pytest.mark.parametrize("start", [1000, 2**32 - 5])
@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_frame_split_over_segments(capture: Path, start: int, size: int) -> None:
    wire = Wire()
    for at in range(0, len(ANSWER), size):
        wire.tcp(ANSWER[at : at + size], start + at)
    found = pieces(capture, wire.pcap())
    assert octets_by_label(found) == {OUT: ANSWER}
    assert not any(piece.missing for piece in found)
    assert decoded(str(capture))[0] == 0


def test_retransmissions_and_overlaps_come_once(capture: Path) -> None:
    wire = Wire().tcp(ANSWER[:100]).tcp(ANSWER[:100]).tcp(ANSWER[50:150], 1050).tcp(ANSWER[120:130], 1120)
    wire.tcp(ANSWER[:200]).tcp(ANSWER[150:], 1150).tcp(b"\0", 1000 + len(ANSWER) - 1)
    found = pieces(capture, wire.pcap())
    assert octets_by_label(found) == {OUT: ANSWER}
    assert [len(piece.octets) for piece in found] == [100, 50, 50, 92]
    assert decoded(str(capture))[0] == 0


@pytest.mark.parametrize("start", [1000, 2**32 - 150])
def test_out_of_order(capture: Path, start: int) -> None:
    wire = Wire().tcp(sequence=start - 1, syn=True)
    for at in (200, 100, 0, 50):
        wire.tcp(ANSWER[at : at + 100], start + at)
        # An old acknowledgement tells nothing of what is awaited.
        wire.tcp(acknowledges=start, reverse=True)
    found = pieces(capture, wire.pcap())
    assert octets_by_label(found) == {OUT: ANSWER}
    assert not any(piece.missing for piece in found)


def test_a_gap_is_known_when_the_octets_behind_it_are_acknowledged(capture: Path) -> None:
    wire = Wire().tcp(ANSWER[:100]).tcp(STATUS, 1292).tcp(acknowledges=1302, reverse=True).tcp(STATUS, 1302)
    found = pieces(capture, wire.pcap())
    assert found == [
        Piece(NOON_S, OUT, ANSWER[:100]),
        Piece(pytest.approx(NOON_S + 0.001), OUT, STATUS, missing=192),
        Piece(pytest.approx(NOON_S + 0.003), OUT, STATUS),
    ]
    status, lines = decoded(str(capture))
    assert status == 1
    assert lines[0] == f"2024-05-01 12:00:00.001000Z  {OUT}"
    assert lines[1].startswith("  ! 100 octets: incomplete frame  05 64 ff 44")
    assert lines[2:4] == ["  ! gap: 192 octets are not in the capture", f"  {STATUS_LINE}"]
    assert lines[4:] == [f"2024-05-01 12:00:00.003000Z  {OUT}", f"  {STATUS_LINE}"]


def test_a_gap_between_frames_is_named_too(capture: Path) -> None:
    capture.write_bytes(Wire().tcp(STATUS).tcp(STATUS, 1020).pcap())
    status, lines = decoded(str(capture))
    assert status == 1
    assert lines[3] == "  ! gap: 10 octets are not in the capture"


def test_a_new_connection_of_the_same_ports_begins_anew(capture: Path) -> None:
    wire = Wire().tcp(sequence=999, syn=True).tcp(STATUS[:5])
    wire.tcp(sequence=999, syn=True).tcp(STATUS[5:], 1005)
    wire.tcp(READ[:4], 1010).tcp(sequence=77_777, syn=True).tcp(READ, 77_778)
    found = pieces(capture, wire.pcap())
    assert octets_by_label(found) == {OUT: STATUS + READ[:4] + READ}
    assert [piece.begins for piece in found] == [True, False, False, False, True, False]
    assert "  ! 4 octets: incomplete frame  05 64 14 c4" in decoded(str(capture))[1]


# pcapng


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    size = struct.pack(f"{order}I", 12 + len(body))
    return struct.pack(f"{order}I", kind) + size + body + size


def section(order: str = "<") -> bytes:
    return block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link_type: int, options: bytes = b"", order: str = "<") -> bytes:
    return block(1, struct.pack(f"{order}HHI", link_type, 0, 0) + options, order)


def packet(number: int, ticks: int, octets: bytes, order: str = "<") -> bytes:
    fields = struct.pack(f"{order}IIIII", number, ticks >> 32, ticks % 2**32, len(octets), len(octets))
    return block(6, fields + octets, order)


def test_pcapng_as_dpkt_writes_it(capture: Path) -> None:
    found = pieces(capture, conversation().pcapng())
    assert octets_by_label(found) == {OUT: READ, BACK: ANSWER}
    assert found[2].time_s == pytest.approx(NOON_S + 0.002)


@pytest.mark.parametrize("order", ["<", ">"])
def test_each_interface_has_its_own_link_type_and_times(capture: Path, order: str) -> None:
    ethernet = [octets for _, octets in Wire().tcp(READ).tcp(STATUS, 1000 + len(READ)).packets]
    nanoseconds = struct.pack(f"{order}HHB3x", 9, 1, 9) + struct.pack(f"{order}HHq", 14, 8, 1000)
    halves = struct.pack(f"{order}HHB3xHH", 9, 1, 0x81, 0, 0)
    content = section(order) + block(5, b"statistics", order)
    content += interface(1, nanoseconds, order) + interface(101, halves, order)
    content += packet(0, 2_500_000_000, ethernet[0], order) + packet(1, 3, ethernet[1][14:], order)
    content += section(order) + interface(101, b"", order) + packet(0, 7, ethernet[1][14:], order)
    assert pieces(capture, content) == [
        Piece(1002.5, OUT, READ),
        Piece(1.5, OUT, STATUS),
    ]


def test_the_older_packet_block(capture: Path) -> None:
    octets = Wire().tcp(READ).packets[0][1]
    fields = struct.pack("<HHIIII", 0, 9, 0, 1_500_000, len(octets), len(octets))
    content = section() + interface(1) + block(2, fields + octets)
    assert pieces(capture, content) == [Piece(1.5, OUT, READ)]


def test_times_beyond_the_calendar(capture: Path) -> None:
    octets = Wire().tcp(STATUS).packets[0][1]
    seconds = struct.pack("<HHB3x", 9, 1, 0)
    capture.write_bytes(section() + interface(1, seconds) + packet(0, 10**15, octets))
    assert decoded(str(capture)) == (0, [f"1000000000000000.000000 s  {OUT}", f"  {STATUS_LINE}"])


# Damage


def captures() -> list[bytes]:
    return [conversation().pcap(), conversation().pcapng()]


@pytest.mark.parametrize("content", captures(), ids=["pcap", "pcapng"])
def test_a_capture_that_ends_inside_a_packet(
    capture: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    capture.write_bytes(content[:-8])
    status, lines = decoded(str(capture))
    assert status == 2
    assert lines[0] == f"2024-05-01 12:00:00.002000Z  {OUT}"
    assert capsys.readouterr().err == (f"rtu-bridge decode: {capture}: damaged or cut short after packet 3\n")


def test_what_waited_is_shown_before_the_damage_is_told(capture: Path) -> None:
    content = Wire().tcp(STATUS).tcp(STATUS, 1020).tcp(STATUS, 1030).pcap()
    capture.write_bytes(content[:-1])
    status, lines = decoded(str(capture))
    assert status == 2
    assert lines[-2:] == ["  ! gap: 10 octets are not in the capture", f"  {STATUS_LINE}"]


@pytest.mark.parametrize(
    "content",
    [
        b"\xd4\xc3\xb2\xa1",
        b"\x0a\x0d\x0d\x0a",
        section()[:8] + b"\0" * 20,
        section() + bytes(12),
        section() + packet(0, 0, b""),
        section() + interface(1) + block(6, bytes(8)),
        section() + interface(1) + block(6, struct.pack("<IIIII", 0, 0, 0, 99, 99)),
        section() + interface(1, struct.pack("<HH", 14, 8)),
    ],
)
def test_damaged_headers(capture: Path, content: bytes) -> None:
    with pytest.raises(CaptureError, match="damaged or cut short after packet 0"):
        pieces(capture, content)


@pytest.mark.parametrize("content", captures(), ids=["pcap", "pcapng"])
def test_damage_never_raises_anything_else(capture: Path, content: bytes) -> None:
    rng = random.Random(1815)
    for _ in range(60):
        broken = bytearray(content)
        for _ in range(rng.randrange(1, 6)):
            broken[rng.randrange(4, len(broken))] = rng.randrange(256)
        capture.write_bytes(broken[: rng.choice([len(broken), rng.randrange(len(broken))])])
        assert decoded(str(capture))[0] in (0, 1, 2)


def test_random_packets_never_raise(capture: Path) -> None:
    rng = random.Random(64)
    wire = Wire()
    for _ in range(120):
        octets = bytearray(rng.choice(conversation().packets)[1][: rng.randrange(80)])
        for _ in range(min(len(octets), 4)):
            octets[rng.randrange(len(octets))] = rng.randrange(256)
        wire.raw(bytes(octets))
    for link_type, cut in ((1, 0), (101, 14), (0, 10), (276, 0)):
        capture.write_bytes(wire.pcap(link_type, cut=cut))
        assert decoded(str(capture))[0] in (0, 1)


def test_random_text_never_raises() -> None:
    rng = random.Random(5)
    for _ in range(300):
        text = "".join(rng.choices("0564c9 :x<>#\n\0zé٣", k=rng.randrange(40)))
        assert decoded(f" {text}")[0] in (0, 1, 2)


def test_dpkt_is_not_imported_before_a_capture_is_read() -> None:
    program = "import sys, bridge.service.recordings.captures; sys.exit('dpkt' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
