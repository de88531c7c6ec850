"""A TCP master inside an event loop: a bare socket, so that what is not read stays in the kernel."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from types import TracebackType
from typing import Self

from bridge.endpoints.endpoint import Endpoint
from bridge.endpoints.tcp_session import TcpSession
from tests.support.waiting import PATIENCE_S

_READ_OCTETS = 65536
_SHUT_AT_ONCE = struct.pack("ii", 1, 0)


class Master:
    """One connection. Every wait has a deadline."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def connect(
        cls, endpoint: Endpoint, source: str = "127.0.0.1", *, receive_buffer: int | None = None
    ) -> Self:
        """Connect to a server's endpoint from a loopback address; IPv4 sources also reach "[::]"."""
        master = cls(unconnected(source, receive_buffer=receive_buffer))
        try:
            async with asyncio.timeout(PATIENCE_S):
                await master._loop.sock_connect(master.socket, _target(endpoint, source))
        except BaseException:
            master.close()
            raise
        return master

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def name(self) -> str:
        """Its own "address:port", as the server names an IPv4 peer or an IPv6 one."""
        host, port = self.socket.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def send(self, *octets: bytes) -> None:
        """Send everything, in one segment if it fits."""
        async with asyncio.timeout(PATIENCE_S):
            await self._loop.sock_sendall(self.socket, b"".join(octets))

    def send_what_fits(self, octets: bytes) -> int:
        """Send until the window and the buffers are full, without waiting; return how many octets went."""
        sent = 0
        with contextlib.suppress(BlockingIOError):
            while sent < len(octets):
                sent += self.socket.send(octets[sent : sent + _READ_OCTETS])
        return sent

    async def receive(self, octets: int) -> bytes:
        """Return exactly so many octets."""
        received = bytearray()
        async with asyncio.timeout(PATIENCE_S):
            while len(received) < octets:
                part = await self._loop.sock_recv(self.socket, octets - len(received))
                assert part, f"the end after {len(received)} octets"
                received += part
        return bytes(received)

    async def receive_to_the_end(self) -> bytes:
        """Wait until the server ends the connection and return what came before that."""
        received = bytearray()
        async with asyncio.timeout(PATIENCE_S):
            with contextlib.suppress(ConnectionResetError):
                while part := await self._loop.sock_recv(self.socket, _READ_OCTETS):
                    received += part
        return bytes(received)

    def received_now(self) -> bytes:
        """Return what arrived and was not read, without waiting."""
        with contextlib.suppress(BlockingIOError):
            return self.socket.recv(_READ_OCTETS)
        return b""

    def is_at_end(self) -> bool:
        """Whether the server has ended the connection and everything before that was read."""
        try:
            return self.socket.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except ConnectionError:
            return True

    def close(self) -> None:
        """Hang up with FIN (with RST, if something was not read)."""
        self.socket.close()

    def reset(self) -> None:
        """Hang up with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _SHUT_AT_ONCE)
        self.socket.close()


def unconnected(source: str, *, receive_buffer: int | None = None) -> socket.socket:
    """Return a socket that will connect from `source`, and sends each write at once."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.bind((source, 0))
    return sock


def _target(endpoint: Endpoint, source: str) -> tuple[str, int]:
    host = endpoint.host
    if host.is_unspecified:
        return ("::1" if ":" in source else "127.0.0.1"), endpoint.port
    return str(host), endpoint.port


def overfill(session: TcpSession) -> int:
    """Send a peer that does not read about twice what Linux lets the buffers of a connection grow to.

    Returns how many octets that is. The session's limit must be higher.
    """
    for _ in range(1024):
        assert session.send(bytes(8192))
    return 1024 * 8192
