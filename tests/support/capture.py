"""Recording what passes over a TCP connection, and writing it as pcap. Needs no right to capture packets."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from types import TracebackType
from typing import Self

import dpkt

_HOST = "127.0.0.1"
_READ_OCTETS = 65536


@dataclass(frozen=True, slots=True)
class Segment:
    """Octets as they were read at once; `time_s` is seconds since the epoch."""

    time_s: float
    from_master: bool
    octets: bytes


class RecordingProxy:
    """Stands between one master and the bridge for the length of a `with` block, and changes nothing."""

    def __init__(self, target_port: int) -> None:
        """Listen for the master; its connection is passed on to `target_port` of this machine."""
        self.segments: list[Segment] = []
        self.connections = 0
        self._target_port = target_port
        self._listener = socket.create_server((_HOST, 0))
        self.port = int(self._listener.getsockname()[1])
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, daemon=True, name="recording proxy")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wake_writer.close()
        self._thread.join()
        self._listener.close()
        self._wake_reader.close()

    def _serve(self) -> None:
        while self._listener in select.select([self._listener, self._wake_reader], [], [])[0]:
            master, _ = self._listener.accept()
            self.connections += 1
            with master, socket.create_connection((_HOST, self._target_port)) as bridge:
                for end in (master, bridge):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with contextlib.suppress(ConnectionError):
                    self._carry(master, bridge)

    def _carry(self, master: socket.socket, bridge: socket.socket) -> None:
        ends = {master: bridge, bridge: master}
        while True:
            ready = select.select([*ends, self._wake_reader], [], [])[0]
            if self._wake_reader in ready:
                return
            for end in ready:
                octets = end.recv(_READ_OCTETS)
                if not octets:
                    return
                self.segments.append(Segment(time.time(), end is master, octets))
                ends[end].sendall(octets)


def write_pcap(path: Path, segments: Iterable[Segment], *, port: int, master_port: int = 40_000) -> None:
    """Write segments as the TCP connection of a master with the bridge's `port`, a packet for each."""
    sequences = {True: 1, False: 1}
    ports = {True: (master_port, port), False: (port, master_port)}
    with path.open("wb") as file:
        writer = dpkt.pcap.Writer(file, linktype=dpkt.pcap.DLT_RAW)
        for segment in segments:
            source_port, destination_port = ports[segment.from_master]
            tcp = dpkt.tcp.TCP(
                sport=source_port,
                dport=destination_port,
                seq=sequences[segment.from_master],
                ack=sequences[not segment.from_master],
                flags=dpkt.tcp.TH_ACK | dpkt.tcp.TH_PUSH,
                data=segment.octets,
            )
            address = IPv4Address(_HOST).packed
            ip = dpkt.ip.IP(src=address, dst=address, p=dpkt.ip.IP_PROTO_TCP, data=tcp)
            ip.len = len(ip)
            writer.writepkt(bytes(ip), segment.time_s)
            sequences[segment.from_master] += len(segment.octets)
