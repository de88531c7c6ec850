"""Packets as what was said: TCP in order, datagrams, and the events of a recording.

Rules:
  1. What came twice is left out. Octets that a TCP stream lacks are named: once the other side acknowledged
     what follows them, or when the capture or the connection ends without them.
  2. A packet that is neither TCP nor UDP over IP, or is damaged, is passed over; but not one of the
     protocol in which a recording has its octets in no frame.
"""

from __future__ import annotations

import heapq
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from typing import Any, NamedTuple

from bridge.errors import CaptureError
from bridge.service.recordings.packets import Packet

_ETHERNET = 1
_NO_FRAMES = 253
"""The IP protocol in which a recording has octets that are in no frame."""
_SYSLOG = 514
_PRIORITY = re.compile(r"<\d{1,3}>")
_IP_AT = {0: 4, 108: 4, 12: 0, 14: 0, 101: 0, 228: 0, 229: 0, 113: 16, 276: 20}
"""Where IP begins in packets of the other link types: loopback, raw IP, Linux cooked versions 1 and 2."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Octets that one side sent, in order.

    `time_s` is seconds since 1970 UTC, None where the input has no times. `label` names the direction; the
    pieces of one label continue each other, but for `missing` octets lost before these by the capture, and
    where `begins` says that a new connection or datagram starts, and `ends` that nothing follows in it. A
    `remark` says more of this piece, or tells an event; then there are no octets.
    """

    time_s: float | None
    label: str
    octets: bytes
    missing: int = 0
    begins: bool = False
    ends: bool = False
    remark: str = ""


class _Segment(NamedTuple):
    """A TCP segment, or a datagram: it has no sequence, and without UDP no ports."""

    time_s: float
    source: str
    destination: str
    ports: tuple[int, int]
    octets: bytes
    sequence: int | None = None
    acknowledged: int | None = None
    is_syn: bool = False
    comment: str = ""


def _segment(packet: Packet) -> _Segment | None:
    """Take a packet apart; None where it is neither TCP nor UDP over IP, or is damaged."""
    import dpkt

    if packet.link_type != _ETHERNET and packet.link_type not in _IP_AT:
        raise CaptureError(f"link type {packet.link_type} is neither Ethernet, Linux cooked, loopback nor IP")
    try:
        ip = _ip(packet)
        inner = ip.data if ip else None
        if ip and ip.p == _NO_FRAMES:
            source, destination = _host(ip.src), _host(ip.dst)
            return _Segment(
                packet.time_s, source, destination, (0, 0), bytes(ip.data), comment=packet.comment
            )
        if not isinstance(inner, dpkt.tcp.TCP | dpkt.udp.UDP):
            return None
        segment = _Segment(
            packet.time_s,
            f"{_host(ip.src)}:{inner.sport}",
            f"{_host(ip.dst)}:{inner.dport}",
            (inner.sport, inner.dport),
            bytes(inner.data),
            comment=packet.comment,
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


def _ip(packet: Packet) -> Any:
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


def _host(address: bytes) -> str:
    shown = ip_address(address)
    return f"[{shown}]" if isinstance(shown, IPv6Address) else f"{shown}"


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


def conversations(packets: Iterator[Packet], port: int | None) -> Iterator[Piece]:
    """Yield what was said, if `port` is given only from or to it. Raises `CaptureError`, in the end."""
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
        yield _of_datagram(segment, label)
        return
    if segment.is_syn or segment.octets:
        stream = streams.setdefault((source, destination), _Stream(label, sequence))
        yield from stream.receive(segment, sequence)
    answered = streams.get((destination, source))
    if answered and segment.acknowledged is not None:
        yield from answered.deliver(answered.position(segment.acknowledged))


def _of_datagram(segment: _Segment, label: str) -> Piece:
    if _SYSLOG in segment.ports:
        text = _PRIORITY.sub("", segment.octets.decode("utf-8", "backslashreplace"), count=1)
        return Piece(segment.time_s, "event", b"", begins=True, ends=True, remark=text)
    kind = "UDP" if any(segment.ports) else "in no frame"
    return Piece(
        segment.time_s, f"{label} {kind}", segment.octets, begins=True, ends=True, remark=segment.comment
    )
