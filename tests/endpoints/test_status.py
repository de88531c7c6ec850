from __future__ import annotations

import asyncio
import errno
import json
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.endpoints.status import StatusServer, fetch
from bridge.errors import BindError
from tests.support.descriptors import open_descriptors
from tests.support.eventually import eventually

pytestmark = pytest.mark.wire

DOCUMENT = {"version": "1", "lines": [{"name": "bay1", "is_up": True, "reason": None}], "text": 'ü"\n'}


@pytest.fixture
def path() -> Iterator[str]:
    """A path that is short enough for a socket, in a folder that is not there yet."""
    with tempfile.TemporaryDirectory(prefix="rtu-") as folder:
        yield f"{folder}/run/status.sock"


async def _fetch(path: str) -> dict[str, Any]:
    return await asyncio.to_thread(fetch, path)


async def test_every_connection_gets_the_document_of_the_moment(path: str) -> None:
    count = 0

    def snapshot() -> dict[str, Any]:
        nonlocal count
        count += 1
        return DOCUMENT | {"count": count}

    server = StatusServer(path, snapshot)
    await server.bind()
    assert await _fetch(path) == DOCUMENT | {"count": 1}
    assert await _fetch(path) == DOCUMENT | {"count": 2}
    # Everybody may read it, and to connect is to write.
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o666
    server.close()
    assert not Path(path).exists()
    server.close()
    with pytest.raises(FileNotFoundError):
        fetch(path)


async def test_a_large_document_arrives_whole(path: str) -> None:
    large = {"lines": ["x" * 100] * 50_000}
    server = StatusServer(path, lambda: large)
    await server.bind()
    assert await _fetch(path) == large
    server.close()


async def test_the_document_is_one_line_of_json_and_then_the_end(path: str) -> None:
    server = StatusServer(path, lambda: DOCUMENT)
    await server.bind()
    reader, writer = await asyncio.open_unix_connection(path)
    octets = await reader.read()
    assert octets.endswith(b"}\n")
    assert octets.count(b"\n") == 1
    assert json.loads(octets) == DOCUMENT
    writer.close()
    server.close()


async def test_the_socket_of_a_killed_bridge_is_replaced(path: str) -> None:
    Path(path).parent.mkdir()
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(path)
    assert Path(path).exists()
    server = StatusServer(path, lambda: DOCUMENT)
    await server.bind()
    assert await _fetch(path) == DOCUMENT
    server.close()


@pytest.mark.parametrize("kind", ["file", "directory"])
async def test_what_is_no_socket_is_left_alone(path: str, kind: str) -> None:
    there = Path(path)
    there.parent.mkdir()
    if kind == "file":
        there.write_text("precious")
    else:
        there.mkdir()
    with pytest.raises(BindError) as caught:
        await StatusServer(path, lambda: DOCUMENT).bind()
    assert caught.value.strerror == f"{path} is there and is no socket; set service.status_socket"
    assert there.is_dir() or there.read_text() == "precious"


async def test_a_second_bridge_is_refused_and_leaves_the_first_its_socket(path: str) -> None:
    first, second = StatusServer(path, lambda: DOCUMENT), StatusServer(path, dict)
    await first.bind()
    with pytest.raises(BindError) as caught:
        await second.bind()
    assert caught.value.errno == errno.EADDRINUSE
    assert caught.value.strerror == (
        f"another bridge answers at {path}; stop it, or set another service.status_socket"
    )
    second.close()
    assert await _fetch(path) == DOCUMENT
    first.close()


async def test_a_bridge_too_busy_to_answer_keeps_its_socket(path: str) -> None:
    Path(path).parent.mkdir()
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(path)
        busy.listen(0)
        waiting.connect(path)
        with pytest.raises(BindError, match="another bridge"):
            await StatusServer(path, lambda: DOCUMENT).bind()
        assert Path(path).exists()


@pytest.mark.parametrize("folder", ["/proc/rtu-bridge", "/dev/null"])
async def test_a_place_that_cannot_be_used_is_refused_with_the_systems_reason(folder: str) -> None:
    with pytest.raises(BindError) as caught:
        await StatusServer(f"{folder}/status.sock", lambda: DOCUMENT).bind()
    assert str(caught.value.strerror).startswith(f"cannot offer the status at {folder}/status.sock: ")
    assert caught.value.errno


@pytest.mark.parametrize("broken", [lambda: 1 / 0, lambda: {"a": object()}], ids=["raises", "no JSON"])
async def test_a_snapshot_that_fails_does_not_end_the_server(
    path: str, broken: Any, caplog: pytest.LogCaptureFixture
) -> None:
    snapshots = [lambda: DOCUMENT, broken]
    server = StatusServer(path, lambda: snapshots.pop()())
    await server.bind()
    with pytest.raises(ValueError, match="Expecting value"):
        await _fetch(path)
    assert [record.getMessage() for record in caplog.records] == ["status failed"]
    assert await _fetch(path) == DOCUMENT
    server.close()


async def test_who_asks_and_leaves_costs_nothing(path: str) -> None:
    server = StatusServer(path, lambda: {"lines": ["x" * 100] * 50_000})
    await server.bind()
    before = open_descriptors()
    for _ in range(20):
        _reader, writer = await asyncio.open_unix_connection(path)
        writer.transport.abort()
    await eventually(lambda: open_descriptors() == before, "no descriptor left behind")
    assert (await _fetch(path))["lines"]
    server.close()


def test_fetch_without_a_bridge(path: str) -> None:
    with pytest.raises(FileNotFoundError):
        fetch(path)


async def test_fetch_takes_nothing_but_an_object(path: str) -> None:
    server = StatusServer(path, lambda: [1])  # type: ignore[arg-type, return-value]
    await server.bind()
    with pytest.raises(ValueError, match="no JSON object"):
        await _fetch(path)
    server.close()


async def test_fetch_gives_up_on_a_bridge_that_says_nothing(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.endpoints.status._READ_TIMEOUT_S", 0.05)
    Path(path).parent.mkdir()
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(path)
        silent.listen()
        with pytest.raises(TimeoutError):
            fetch(path)
