"""What the endpoints' tests share. They run in both event loops: the program prefers uvloop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import pytest

from bridge.endpoints.address_filter import AddressFilter
from bridge.endpoints.connection_state import ConnectionStateListener
from bridge.endpoints.endpoint import Endpoint
from bridge.endpoints.session_groups import ServedOutstation
from bridge.endpoints.tcp_server import TcpServer
from bridge.endpoints.tcp_session import SessionLimits
from bridge.link.framer import LinkErrorMode
from tests.support.masters import Master
from tests.support.ptys import Jack, Pty

Member = tuple[ServedOutstation, ConnectionStateListener, str]
"""An outstation, its listener, and the one entry of its filter."""


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run each asynchronous test of this folder in each event loop that there is."""
    factories: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.SelectorEventLoop}
    with contextlib.suppress(ImportError):
        import uvloop

        factories["uvloop"] = lambda: _with_reserve(uvloop.new_event_loop())
    return factories


def _with_reserve(loop: asyncio.AbstractEventLoop) -> asyncio.AbstractEventLoop:
    """Let it open the descriptor that libuv keeps in reserve from the first stream on: tests count them."""

    async def make_a_stream() -> None:
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        server.close()
        await server.wait_closed()

    loop.run_until_complete(make_a_stream())
    return loop


class Serve(Protocol):
    def __call__(
        self,
        *members: Member,
        mode: LinkErrorMode = LinkErrorMode.DISCARD,
        endpoint: str = "127.0.0.1:0",
        limits: SessionLimits | None = None,
    ) -> Awaitable[TcpServer]: ...


class Connect(Protocol):
    def __call__(
        self, endpoint: Endpoint, source: str = "127.0.0.1", *, receive_buffer: int | None = None
    ) -> Awaitable[Master]: ...


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Bind a server for the length of the test."""
    servers: list[TcpServer] = []

    async def serve(
        *members: Member,
        mode: LinkErrorMode = LinkErrorMode.DISCARD,
        endpoint: str = "127.0.0.1:0",
        limits: SessionLimits | None = None,
    ) -> TcpServer:
        server = TcpServer(mode, endpoint, limits=limits)
        for outstation, listener, masters in members:
            server.add_outstation(outstation, listener, AddressFilter.parse([masters]))
        servers.append(server)
        await server.bind()
        return server

    yield serve
    for server in servers:
        await server.close(drain_s=0)


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Connect masters for the length of the test."""
    masters: list[Master] = []

    async def connect(
        endpoint: Endpoint, source: str = "127.0.0.1", *, receive_buffer: int | None = None
    ) -> Master:
        master = await Master.connect(endpoint, source, receive_buffer=receive_buffer)
        masters.append(master)
        return master

    yield connect
    for master in masters:
        master.close()


@pytest.fixture
def adapter() -> Iterator[Pty]:
    """One serial adapter, plugged in."""
    with Pty() as adapter:
        yield adapter


@pytest.fixture
def jack(tmp_path: Path) -> Iterator[Jack]:
    """A place to plug adapters in, empty."""
    with Jack(tmp_path / "ttyUSB0") as jack:
        yield jack
