"""Connections for which the system has no room: they wait, it is told once, and the processor rests."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import resource
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.endpoints import accepting
from bridge.endpoints.accepting import Acceptor
from tests.support.bridge_process import HOST, BridgeProcess, Site, running
from tests.support.eventually import eventually
from tests.support.frames import link_status_request
from tests.support.ptys import Pty
from tests.support.raw_peers import RawMaster
from tests.support.waiting import until

pytestmark = pytest.mark.wire

_NO_ROOM = OSError(errno.ENFILE, os.strerror(errno.ENFILE))


async def test_it_tells_once_and_tries_again_until_there_is_room(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(accepting, "_RETRY_S", 0.01)
    caplog.set_level(logging.INFO)
    accept, errors = socket.socket.accept, [_NO_ROOM] * 5

    def failing_accept(listening: socket.socket) -> object:
        if errors:
            raise errors.pop()
        return accept(listening)

    monkeypatch.setattr(socket.socket, "accept", failing_accept)
    made: list[asyncio.BaseProtocol] = []

    def protocol(_: object) -> asyncio.BaseProtocol:
        made.append(asyncio.Protocol())
        return made[-1]

    listening = socket.create_server((HOST, 0))
    acceptor = Acceptor(listening, protocol, "server main")
    with socket.create_connection(listening.getsockname()), socket.create_connection(listening.getsockname()):
        await eventually(lambda: len(made) == 2, "both are accepted")
    acceptor.close()
    told = [(record.message, record.fields) for record in caplog.records]  # type: ignore[attr-defined]
    assert told == [
        ("no connections", {"socket": "server main", "reason": os.strerror(errno.ENFILE)}),
        ("connections again", {"socket": "server main"}),
    ]


async def test_it_can_be_closed_while_it_waits_for_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accepting, "_RETRY_S", 0.01)
    tries: list[None] = []

    def failing_accept(_: socket.socket) -> object:
        tries.append(None)
        raise _NO_ROOM

    monkeypatch.setattr(socket.socket, "accept", failing_accept)
    listening = socket.create_server((HOST, 0))
    acceptor = Acceptor(listening, lambda _: asyncio.Protocol(), "status")
    with socket.create_connection(listening.getsockname()):
        await eventually(lambda: len(tries) > 2, "it tries again")
        acceptor.close()
        tried = len(tries)
        await asyncio.sleep(0.05)
        assert len(tries) == tried


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket in it."""
    with tempfile.TemporaryDirectory(prefix="rtu-") as folder:
        yield Path(folder)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _limit(bridge: BridgeProcess, descriptors: int) -> None:
    _, hard = resource.prlimit(bridge.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(bridge.pid, resource.RLIMIT_NOFILE, (descriptors, hard))


def test_the_running_program_without_descriptors(folder: Path) -> None:
    with Pty() as adapter, running(folder, Site(device=adapter.device)) as bridge:
        port = bridge.port
        with RawMaster(HOST, port) as first:
            first.send(link_status_request(10).octets)
            until(lambda: adapter.read(), "its request is on the line")
            _limit(bridge, 3)
            began_s, used_s = time.monotonic(), _cpu_s(bridge.pid)
            with RawMaster(HOST, port) as second, socket.socket(socket.AF_UNIX) as asking:
                asking.connect(str(folder / "s"))
                second.send(link_status_request(10).octets)
                warnings = bridge.wait_for_events("no connections", expected=["no connections"] * 2)
                assert {each["socket"] for each in warnings} == {"server main", "status"}
                until(lambda: time.monotonic() - began_s > 1, "a second went by")
                share = (_cpu_s(bridge.pid) - used_s) / (time.monotonic() - began_s)
                assert share < 0.2, "it spins"
                adapter.read()
                first.send(link_status_request(10).octets)
                until(lambda: adapter.read(), "the session before goes on")
                assert bridge.events("master disconnected", "line down") == []
                _limit(bridge, 1024)
                until(lambda: asking.recv(1), "the status comes")
                bridge.wait_for_events("connections again", expected=["connections again"] * 2)
                (ended,) = bridge.wait_for_events("master disconnected", expected=["master disconnected"])
                assert ended["by"] == second.name, "who waited takes over"


def test_a_line_comes_back_when_there_are_descriptors_again(folder: Path, tmp_path: Path) -> None:
    device = tmp_path / "tty"
    with Pty() as first, Pty() as second:
        device.symlink_to(first.device)
        with running(folder, Site(device=device)) as bridge:
            _limit(bridge, 3)
            first.unplug()
            device.unlink()
            device.symlink_to(second.device)
            until(
                lambda: (
                    bridge.events("line down")[-1:]
                    and "open files" in bridge.events("line down")[-1]["reason"]
                ),
                "the log says why it cannot be opened",
            )
            _limit(bridge, 1024)
            bridge.wait_until_lines_are_up()
