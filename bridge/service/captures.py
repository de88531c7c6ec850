"""What `rtu-bridge decode` reads: hex text, pcap and pcapng files, as octets in the order they were sent.

Rules:
  1. A piece is what one side of a conversation sent. TCP is put in order; what came twice is left out.
  2. Octets that a TCP stream lacks are named: once the other side acknowledged what follows them, or when
     the capture or the connection ends without them.
  3. Input that cannot be read is a `CaptureError` of one line, raised after the pieces before it.
"""

from __future__ import annotations

import heapq
import io
import math
import os
import re
import stat
import struct
import sys
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TextIO

from bridge.errors import CaptureError
from bridge.service.explain import StreamExplainer

_FINE, _DOUBTFUL, _UNUSABLE = range(3)
_EPOCH = datetime.fromtimestamp(0, UTC)

_MARKS = ("<", ">")
_SEPARATOR = re.compile(r"0[xX]|\\x|[:,-]")
_HEX = re.compile(r"[0-9a-fA-F]*")
_SHOWN = 60
_LONGEST_OCTETS = 1 << 30
_READ_OCTETS = 1 << 20

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
_TIME_UNIT, _TIME_OFFSET = 9, 14

_ETHERNET = 1
_IP_AT = {0: 4, 108: 4, 12: 0, 14: 0, 101: 0, 228: 0, 229: 0, 113: 16, 276: 20}
"""Where IP begins in packets of the other link types: loopback, raw IP, Linux cooked versions 1 and 2."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Octets that one side sent, in order.

    `time_s` is seconds since 1970 UTC, None where the input has no times. `label` names the direction; the
    pieces of one label continue each other, but for `missing` octets lost before these by the capture, and
    where `begins` says that a new connection or datagram starts.
    """

    time_s: float | None
    label: str
    octets: bytes
    missing: int = 0
    begins: bool = False


def decode(source: str, out: TextIO, *, port: int | None = None) -> int:
    """Explain a capture on `out`: the command `rtu-bridge decode`. For `source` and `port` see `read`.

    Returns the exit status: 0 all octets are in frames, 1 some are not or there is no frame, 2 the input is
    unusable, with the reason as one line on stderr.
    """
    explainers: dict[str, StreamExplainer] = {}
    has_gaps = is_unusable = False
    try:
        for piece in read(source, port=port):
            explainer = explainers.setdefault(piece.label, StreamExplainer())
            _show(piece.time_s, piece.label, _explain(piece, explainer), out)
            has_gaps |= piece.missing > 0
    except CaptureError as error:
        print(f"rtu-bridge decode: {error}", file=sys.stderr)
        is_unusable = True
    for label, explainer in explainers.items():
        _show(None, label, explainer.finish(), out)
    if is_unusable:
        return _UNUSABLE
    has_frames = any(explainer.frames for explainer in explainers.values())
    if not has_frames:
        print("! no frame found", file=out)
    has_discards = any(explainer.octets_discarded for explainer in explainers.values())
    return _FINE if has_frames and not has_gaps and not has_discards else _DOUBTFUL


def read(source: str, *, port: int | None = None) -> Iterator[Piece]:
    """Yield the pieces of `source`: '-' for stdin, the path of a file, or else octets in hex.

    A file is pcap, pcapng or hex text, told apart by its first octets. Of packets only those from or to
    `port`, TCP or UDP, are read, when it is given. Raises `CaptureError`.
    """
    if source == "-":
        yield from _named("standard input", _stream_pieces(sys.stdin.buffer, port))
    elif os.path.exists(source):
        yield from _named(source, _file_pieces(Path(source), port))
    else:
        yield from _named(f"no file {_shortened(source)!r}, read as hex", _text_pieces(source))


def _explain(piece: Piece, explainer: StreamExplainer) -> Iterator[str]:
    if piece.begins or piece.missing:
        yield from explainer.finish()
    if piece.missing:
        yield f"! gap: {piece.missing} octets are not in the capture"
    yield from explainer.receive(piece.octets)


def _show(time_s: float | None, label: str, blocks: Iterable[str], out: TextIO) -> None:
    """Print the blocks below a heading, or plainly where there is neither time nor label."""
    heading = "  ".join(filter(None, (_clock(time_s), label)))
    for number, block in enumerate(blocks):
        if heading and number == 0:
            print(heading, file=out)
        print(textwrap.indent(block, "  ") if heading else block, file=out)


def _clock(time_s: float | None) -> str:
    if time_s is None:
        return ""
    try:
        return f"{_EPOCH + timedelta(seconds=time_s):%Y-%m-%d %H:%M:%S.%f}Z"
    except OverflowError:
        return f"{time_s:.6f} s"


def _named(name: str, pieces: Iterator[Piece]) -> Iterator[Piece]:
    try:
        yield from pieces
    except CaptureError as error:
        raise CaptureError(f"{name}: {error}") from error


def _file_pieces(path: Path, port: int | None) -> Iterator[Piece]:
    try:
        mode = path.stat().st_mode
        # Before it is opened: a device may not end, and to open one can do more than to read it.
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode) or stat.S_ISDIR(mode)):
            raise CaptureError("is no regular file and no pipe; name a file, or - for standard input")
        with path.open("rb") as file:
            content = _content(file)
    except OSError as error:
        raise CaptureError(error.strerror or str(error)) from error
    yield from _pieces(content, port)


def _stream_pieces(stream: BinaryIO, port: int | None) -> Iterator[Piece]:
    try:
        content = _content(stream)
    except OSError as error:
        raise CaptureError(error.strerror or str(error)) from error
    yield from _pieces(content, port)


def _content(file: BinaryIO) -> bytes:
    # In steps: a read of the longest that is allowed would take that much memory for a short file.
    content = io.BytesIO()
    while part := file.read(_READ_OCTETS):
        if content.tell() + len(part) > _LONGEST_OCTETS:
            raise CaptureError(f"is longer than {_LONGEST_OCTETS >> 20} MiB; cut it with editcap or split")
        content.write(part)
    return content.getvalue()


def _pieces(content: bytes, port: int | None) -> Iterator[Piece]:
    magic = content[:4]
    if magic in _PCAP or magic == _PCAPNG:
        yield from _conversations(_packets(content), port)
        return
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CaptureError("neither pcap, pcapng nor hex text") from error
    yield from _text_pieces(text)


# Hex text


def _text_pieces(text: str) -> Iterator[Piece]:
    """Yield a piece for each line marked '<' or '>' and the unmarked lines that continue it."""
    label = ""
    run: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        content = line.partition("#")[0].strip()
        if content.startswith(_MARKS):
            if run:
                yield Piece(None, label, _octets_of(run))
            label, content, run = content[0], content[1:], []
        run.append((number, _digits(content, number)))
    if run:
        yield Piece(None, label, _octets_of(run))


def _digits(content: str, line: int) -> str:
    words = content.split()
    for word in words:
        if not _HEX.fullmatch(_SEPARATOR.sub("", word)):
            raise CaptureError(f"line {line}: {_shortened(word)!r} is not hex")
    return _SEPARATOR.sub("", "".join(words))


def _octets_of(run: list[tuple[int, str]]) -> bytes:
    # Text that was wrapped inside an octet is read all the same, so only their sum can be wrong.
    digits = "".join(digits for _, digits in run)
    if len(digits) % 2:
        line = next(number for number, digits in run if len(digits) % 2)
        raise CaptureError(f"line {line}: odd number of hex digits ({len(digits)})")
    return bytes.fromhex(digits)


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


# Capture files


class _Packet(NamedTuple):
    """One packet of a capture file."""

    time_s: float
    link_type: int
    octets: bytes


def _packets(content: bytes) -> Iterator[_Packet]:
    # dpkt has readers too; they take only the first interface of a pcapng file, and a file that ends inside
    # a packet for whole.
    number = 0
    try:
        for packet in _pcapng_packets(content) if content.startswith(_PCAPNG) else _pcap_packets(content):
            yield packet
            number += 1
    except (struct.error, LookupError, EOFError) as error:
        raise CaptureError(f"damaged or cut short after packet {number}") from error


def _pcap_packets(content: bytes) -> Iterator[_Packet]:
    order, unit = _PCAP[content[:4]]
    (link_type,) = struct.unpack_from(f"{order}20xI", content)
    link_type &= 0xFFFF  # above are the octets of the frame check sequence
    at = _PCAP_HEADER_OCTETS
    while at < len(content):
        seconds, fraction, size = struct.unpack_from(f"{order}III4x", content, at)
        at += 16
        yield _Packet(seconds + fraction * unit, link_type, _take(content, at, size))
        at += size


class _Interface(NamedTuple):
    """What a pcapng file says of an interface: link type, unit and offset of its times."""

    link_type: int
    unit_s: float = 1e-6
    offset_s: int = 0


def _pcapng_packets(content: bytes) -> Iterator[_Packet]:
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
            yield _Packet(time_s, interface.link_type, _take(body, _PACKET_AT, kept))
        at += size


def _interface(order: str, body: bytes) -> _Interface:
    (link_type,) = struct.unpack_from(f"{order}H", body)
    interface = _Interface(link_type)
    at = 8
    while at < len(body):
        option, size = struct.unpack_from(f"{order}HH", body, at)
        if option == _TIME_UNIT:
            (unit,) = struct.unpack_from("B", body, at + 4)
            base = 2.0 if unit & 0x80 else 10.0
            interface = interface._replace(unit_s=base ** -(unit & 0x7F))
        elif option == _TIME_OFFSET:
            (offset_s,) = struct.unpack_from(f"{order}q", body, at + 4)
            interface = interface._replace(offset_s=offset_s)
        at += 4 + size + -size % 4
    return interface


def _take(content: bytes, at: int, size: int) -> bytes:
    if size < 0 or at + size > len(content):
        raise EOFError
    return content[at : at + size]


# TCP and UDP


class _Segment(NamedTuple):
    """A TCP segment, or a UDP datagram: it has no sequence."""

    time_s: float
    source: str
    destination: str
    ports: tuple[int, int]
    octets: bytes
    sequence: int | None = None
    acknowledged: int | None = None
    is_syn: bool = False


def _segment(packet: _Packet) -> _Segment | None:
    """Take a packet apart; None where it is neither TCP nor UDP over IP, or is damaged."""
    import dpkt

    if packet.link_type != _ETHERNET and packet.link_type not in _IP_AT:
        raise CaptureError(f"link type {packet.link_type} is neither Ethernet, Linux cooked, loopback nor IP")
    try:
        ip = _ip(packet)
        inner = ip.data if ip else None
        if not isinstance(inner, dpkt.tcp.TCP | dpkt.udp.UDP):
            return None
        segment = _Segment(
            packet.time_s,
            _endpoint(ip.src, inner.sport),
            _endpoint(ip.dst, inner.dport),
            (inner.sport, inner.dport),
            bytes(inner.data),
        )
    except Exception:
        # dpkt raises what it happens to stumble over when a packet is damaged.
        return None
    if isinstance(inner, dpkt.udp.UDP):
        return segment
    return segment._replace(
        sequence=inner.seq,
        acknowledged=inner.ack if inner.flags & dpkt.tcp.TH_ACK else None,
        is_syn=bool(inner.flags & dpkt.tcp.TH_SYN),
    )


def _ip(packet: _Packet) -> Any:
    """Return dpkt's IP or IP6 packet inside, or None."""
    import dpkt

    if packet.link_type != _ETHERNET:
        octets = packet.octets[_IP_AT[packet.link_type] :]
        version = {4: dpkt.ip.IP, 6: dpkt.ip6.IP6}.get(octets[0] >> 4)
        return version(octets) if version else None
    layer = dpkt.ethernet.Ethernet(packet.octets)
    while isinstance(layer, dpkt.Packet) and not isinstance(layer, dpkt.ip.IP | dpkt.ip6.IP6):
        layer = layer.data
    return layer if isinstance(layer, dpkt.Packet) else None


def _endpoint(address: bytes, port: int) -> str:
    shown = ip_address(address)
    return f"[{shown}]:{port}" if isinstance(shown, IPv6Address) else f"{shown}:{port}"


@dataclass(slots=True)
class _Stream:
    """One direction of TCP. Positions are sequence numbers that never wrap."""

    label: str
    expected: int
    begun_at: int | None = None
    waiting: list[tuple[int, float, bytes]] = field(default_factory=list)

    def receive(self, segment: _Segment, sequence: int) -> Iterator[Piece]:
        """Take a segment and yield what is now in order."""
        if segment.is_syn:
            sequence += 1
            # A SYN that is sent again begins nothing.
            if sequence != self.begun_at:
                yield from self.deliver(math.inf)
                self.expected = self.begun_at = sequence
                yield Piece(segment.time_s, self.label, b"", begins=True)
        if segment.octets:
            heapq.heappush(self.waiting, (self.position(sequence), segment.time_s, segment.octets))
            yield from self.deliver(self.expected)

    def position(self, sequence: int) -> int:
        """Return where a 32-bit sequence number stands: the place nearest to the expected one."""
        return self.expected + (sequence - self.expected + 0x8000_0000) % 0x1_0000_0000 - 0x8000_0000

    def deliver(self, acknowledged: float) -> Iterator[Piece]:
        """Yield what waits, up to a position before which nothing more can come."""
        while self.waiting and self.waiting[0][0] <= max(self.expected, acknowledged):
            position, time_s, octets = heapq.heappop(self.waiting)
            missing = max(0, position - self.expected)
            fresh = octets[max(0, self.expected - position) :]
            if fresh:
                self.expected += missing + len(fresh)
                yield Piece(time_s, self.label, fresh, missing)


def _conversations(packets: Iterator[_Packet], port: int | None) -> Iterator[Piece]:
    streams: dict[tuple[str, str], _Stream] = {}
    damage = None
    try:
        for segment in filter(None, map(_segment, packets)):
            if port is None or port in segment.ports:
                yield from _continue(streams, segment)
    except CaptureError as error:
        damage = error
    for stream in streams.values():
        yield from stream.deliver(math.inf)
    if damage:
        raise damage


def _continue(streams: dict[tuple[str, str], _Stream], segment: _Segment) -> Iterator[Piece]:
    source, destination, sequence = segment.source, segment.destination, segment.sequence
    label = f"{source} -> {destination}"
    if sequence is None:
        yield Piece(segment.time_s, f"{label} UDP", segment.octets, begins=True)
        return
    if segment.is_syn or segment.octets:
        stream = streams.setdefault((source, destination), _Stream(label, sequence))
        yield from stream.receive(segment, sequence)
    answered = streams.get((destination, source))
    if answered and segment.acknowledged is not None:
        yield from answered.deliver(answered.position(segment.acknowledged))
