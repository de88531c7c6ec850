"""Records as packets that Wireshark dissects without any setting.

Rules:
  1. A frame is the payload of a UDP datagram to or from port 20000: DNP3 by its port, each frame by itself.
     (As TCP it would need sequence numbers without gaps, which a recording with drops does not have.)
  2. A device's IP address is made of its link address: outstation 258 is 198.18.1.2 (or 2001:db8::102), a
     master on a line 198.19.x.x. A master's session has its real address. So the transport sequences of two
     devices are never taken for one.
  3. Octets in no frame are packets of IP protocol 253, an event is a syslog message.
  4. A comment gives the reasons, in the words of the counters: "discarded: body_crc", "dropped: late".
     A frame that was dropped when it came has the comment; one dropped later comes once more, with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from bridge.recording.ip import datagram, packet
from bridge.recording.pcapng import Direction, interface, section
from bridge.recording.pcapng import packet as block
from bridge.recording.record import Channel, Interface, Kind, Record

_HEARD, _SENT, _DISCARDED, _DROPPED, _EVENT = map(int, Kind)
_DNP3_PORT = 20000
_LINE_PORT = 40000
"""Of masters on a line; the interface's number is added."""
_DROPPED_PORT = 45000
"""The same for frames that come once more, being dropped: their transport sequence has been seen."""
_SYSLOG_PORT = 514
_SYSLOG_NOTICE = b"<133>"
"""Facility local0, severity notice."""

_OUTSTATIONS, _MASTERS = IPv4Address("198.18.0.0"), IPv4Address("198.19.0.0")
"""RFC 2544: addresses for benchmarks, 131072 of them, and in no network."""
_OUTSTATIONS_V6 = IPv6Address("2001:db8::")
_ALL_DEVICES = IPv4Address("192.0.2.1").packed
_BRIDGE = IPv4Address("192.0.2.2").packed
_BRIDGE_V6 = IPv6Address("2001:db8:ffff::2").packed
"""RFC 5737 and 3849: addresses for documentation."""
_FROM_MASTER = 0x80
"""DIR in the control octet, the fourth of a frame."""


class Encoder:
    """Turns records into the octets of one pcapng file. Wall time is monotonic time and `offset_ns`."""

    def __init__(self, interfaces: Sequence[Interface], *, offset_ns: int) -> None:
        self._interfaces = interfaces
        self._offset_ns = offset_ns

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
            if kind <= _SENT:
                content = _frame(channel, octets, is_sent=kind == _SENT)
                if kind == _SENT:
                    direction = Direction.OUTBOUND
                elif id(octets) in reasons:
                    comment = f"dropped: {reasons[id(octets)]}"
            elif kind == _DISCARDED:
                content, comment = _no_frame(channel, octets), f"discarded: {detail}"
            elif kind == _EVENT:
                content, direction = _event(detail), Direction.UNKNOWN
            elif id(octets) in heard:
                continue
            else:
                content, comment = _dropped(channel, octets), f"dropped: {detail}"
            blocks.append(block(channel.interface, time_ns + self._offset_ns, content, direction, comment))
        return b"".join(blocks)

    def event(self, time_ns: int, text: str) -> bytes:
        """Return a packet that tells something of the recording itself, at the first interface."""
        return block(0, time_ns + self._offset_ns, _event(text), Direction.UNKNOWN, text)


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


def _frame(channel: Channel, octets: bytes, *, is_sent: bool) -> bytes:
    if channel.peer is None:
        return _on_line(octets, _LINE_PORT + channel.interface)
    peer = _peer(*channel.peer)
    base = _OUTSTATIONS_V6 if len(peer.address) == 16 else _OUTSTATIONS
    destination, source = octets[4:6], octets[6:8]
    if is_sent:
        return datagram(_device(base, source), _DNP3_PORT, *peer, octets)
    return datagram(*peer, _device(base, destination), _DNP3_PORT, octets)


def _dropped(channel: Channel, octets: bytes) -> bytes:
    return _on_line(octets, _DROPPED_PORT + channel.interface)


def _on_line(octets: bytes, port: int) -> bytes:
    destination, source = octets[4:6], octets[6:8]
    if octets[3] & _FROM_MASTER:
        return datagram(
            _device(_MASTERS, source), port, _device(_OUTSTATIONS, destination), _DNP3_PORT, octets
        )
    return datagram(_device(_OUTSTATIONS, source), _DNP3_PORT, _device(_MASTERS, destination), port, octets)


def _device(base: IPv4Address | IPv6Address, link_address: bytes) -> bytes:
    """Return the IP address of a device; a link address has its low octet first."""
    return base.packed[:-2] + link_address[::-1]


def _no_frame(channel: Channel, octets: bytes) -> bytes:
    if channel.peer is None:
        return packet(_ALL_DEVICES, _BRIDGE, octets)
    address = _peer(*channel.peer).address
    return packet(address, _BRIDGE_V6 if len(address) == 16 else _BRIDGE, octets)


def _event(text: str) -> bytes:
    message = _SYSLOG_NOTICE + text.encode("utf-8", "backslashreplace")
    return datagram(_BRIDGE, _SYSLOG_PORT, _BRIDGE, _SYSLOG_PORT, message)
