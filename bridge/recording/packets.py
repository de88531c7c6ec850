"""Records as packets that Wireshark dissects without any setting.

Rules:
  1. A frame is the payload of a UDP datagram to or from port 20000: DNP3 by its port, each frame by itself.
     (As TCP it would need sequence numbers without gaps, which a recording with drops does not have.)
  2. A device's IP address is made of its link address: outstation 258 is 198.18.1.2 (or 2001:db8::102), a
     master on a line 198.19.x.x. A master's session has its real address and port.
  3. The dissector takes segments together by their addresses and transport sequence. So the outstation has
     another address for each fragment of several segments, 240.n.1.2 (or 2001:db8:n::102): what one fragment
     lacks, the next must not complete.
  4. Octets in no frame are packets of IP protocol 253, an event is a syslog message.
  5. A comment gives the reasons, in the words of the counters: "discarded: body_crc", "dropped: late".
     A frame that was dropped when it came has the comment; one dropped later comes once more, with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from bridge.link.control import Control
from bridge.link.frame import HEADER_OCTETS
from bridge.recording.ip import datagram, packet
from bridge.recording.pcapng import Direction, interface, section
from bridge.recording.pcapng import packet as block
from bridge.recording.record import Channel, Interface, Kind, Record

_HEARD, _SENT, _DISCARDED, _DROPPED, _EVENT = map(int, Kind)
_DNP3_PORT = 20000
_LINE_PORT = 40000
"""Of masters on a line; the interface's number is added."""
_DROPPED_PORT = 45000
"""The same for frames that come once more, being dropped."""
_FRAGMENT_NUMBERS = 256
"""The dissector forgets what is 64 packets old."""
_MOST_OPEN_FRAGMENTS = 1000
_SYSLOG_PORT = 514
_SYSLOG_NOTICE = b"<133>"
"""Facility local0, severity notice."""
_FIR, _FIN = 0x40, 0x80
"""Of the transport header, a frame's first octet of user data."""

_OUTSTATIONS, _MASTERS = IPv4Address("198.18.0.0").packed, IPv4Address("198.19.0.0").packed
"""RFC 2544: addresses for benchmarks, 131072 of them, and in no network."""
_OUTSTATIONS_V6 = IPv6Address("2001:db8::").packed
_RESERVED = 240
"""RFC 1112: the first octet of addresses that nobody may have."""
_ALL_DEVICES = IPv4Address("192.0.2.1").packed
_BRIDGE = IPv4Address("192.0.2.2").packed
_BRIDGE_V6 = IPv6Address("2001:db8:ffff::2").packed
"""RFC 5737 and 3849: addresses for documentation."""


class Encoder:
    """Turns records into the octets of one pcapng file. Wall time is monotonic time and `offset_ns`."""

    def __init__(self, interfaces: Sequence[Interface], *, offset_ns: int) -> None:
        self._interfaces = interfaces
        self._offset_ns = offset_ns
        self._fragments = _Fragments()

    def opening(self, application: str, comment: str) -> bytes:
        """Return what the file begins with; the comment says what the recording was made for."""
        blocks = [interface(each.name, each.description, each.speed_bits_s) for each in self._interfaces]
        return section(application, comment) + b"".join(blocks)

    def encode(self, records: Sequence[Record], channels: Mapping[int, Channel]) -> bytes:
        """Return the packets of records that follow each other."""
        reasons = {id(octets): detail for _, _, kind, octets, detail in records if kind == _DROPPED}
        heard = {id(octets) for _, _, kind, octets, _ in records if kind == _HEARD} if reasons else ()
        blocks = []
        for time_ns, number, kind, octets, detail in records:
            comment = ""
            direction = Direction.INBOUND
            channel = channels[number]
            if kind == _EVENT:
                content, direction = _event(detail), Direction.UNKNOWN
            elif kind == _DISCARDED:
                content, comment = _no_frame(channel, octets), f"discarded: {detail}"
            elif kind == _DROPPED:
                if id(octets) in heard:
                    continue
                content, comment = self._frame(channel, number, kind, octets), f"dropped: {detail}"
            else:
                content = self._frame(channel, number, kind, octets)
                if kind == _SENT:
                    direction = Direction.OUTBOUND
                elif id(octets) in reasons:
                    comment = f"dropped: {reasons[id(octets)]}"
            blocks.append(block(channel.interface, time_ns + self._offset_ns, content, direction, comment))
        return b"".join(blocks)

    def event(self, time_ns: int, text: str) -> bytes:
        """Return a packet that tells something of the recording itself, at the first interface."""
        return block(0, time_ns + self._offset_ns, _event(text), Direction.UNKNOWN, text)

    def _frame(self, channel: Channel, number: int, kind: int, octets: bytes) -> bytes:
        fragment = self._fragments.number_of(number, kind, octets)
        if kind == _DROPPED:
            return _on_line(octets, _DROPPED_PORT + channel.interface, fragment)
        if channel.peer is None:
            return _on_line(octets, _LINE_PORT + channel.interface, fragment)
        return _in_session(_peer(*channel.peer), octets, fragment, is_sent=kind == _SENT)


class _Fragments:
    """Numbers for fragments that have several segments (rule 3)."""

    def __init__(self) -> None:
        self._open: dict[tuple[int, int, bytes], int] = {}
        self._last = -1

    def number_of(self, channel: int, kind: int, octets: bytes) -> int | None:
        """Return the number of a frame's fragment; None for a frame that is whole by itself."""
        if len(octets) <= HEADER_OCTETS or not Control.of(octets[3]).carries_user_data:
            return None
        transport = octets[HEADER_OCTETS]
        if transport & _FIR and transport & _FIN:
            return None
        ends = channel, kind, octets[4:8]
        number = None if transport & _FIR else self._open.get(ends)
        if number is None:
            number = self._last = (self._last + 1) % _FRAGMENT_NUMBERS
            if len(self._open) >= _MOST_OPEN_FRAGMENTS:
                self._open.clear()
            self._open[ends] = number
        return number


class _Peer(NamedTuple):
    address: bytes
    port: int


@lru_cache(maxsize=256)
def _peer(host: str, port: int) -> _Peer:
    address = ip_address(host.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    # The dissector of the lower port comes first, and some ports below have one.
    return _Peer(address.packed, port if port > _DNP3_PORT else _LINE_PORT + port)


def _in_session(peer: _Peer, octets: bytes, fragment: int | None, *, is_sent: bool) -> bytes:
    is_v6 = len(peer.address) == 16
    destination, source = octets[4:6], octets[6:8]
    if is_sent:
        return datagram(_outstation(source, fragment, is_v6=is_v6), _DNP3_PORT, *peer, octets)
    return datagram(*peer, _outstation(destination, fragment, is_v6=is_v6), _DNP3_PORT, octets)


def _on_line(octets: bytes, port: int, fragment: int | None) -> bytes:
    destination, source = octets[4:6], octets[6:8]
    if Control.of(octets[3]).from_master:
        return datagram(_master(source), port, _outstation(destination, fragment), _DNP3_PORT, octets)
    return datagram(_outstation(source, fragment), _DNP3_PORT, _master(destination), port, octets)


# A link address has its low octet first, an IP address its high one.


def _master(link_address: bytes) -> bytes:
    return _MASTERS[:2] + link_address[::-1]


def _outstation(link_address: bytes, fragment: int | None, *, is_v6: bool = False) -> bytes:
    if is_v6:
        number = 0 if fragment is None else fragment + 1
        return _OUTSTATIONS_V6[:4] + number.to_bytes(2, "big") + bytes(8) + link_address[::-1]
    if fragment is None:
        return _OUTSTATIONS[:2] + link_address[::-1]
    return bytes((_RESERVED, fragment)) + link_address[::-1]


def _no_frame(channel: Channel, octets: bytes) -> bytes:
    if channel.peer is None:
        return packet(_ALL_DEVICES, _BRIDGE, octets)
    address = _peer(*channel.peer).address
    return packet(address, _BRIDGE_V6 if len(address) == 16 else _BRIDGE, octets)


def _event(text: str) -> bytes:
    message = _SYSLOG_NOTICE + text.encode("utf-8", "backslashreplace")
    return datagram(_BRIDGE, _SYSLOG_PORT, _BRIDGE, _SYSLOG_PORT, message)
