from __future__ import annotations

import asyncio
import json
import os
import stat
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bridge.endpoints import control
from bridge.endpoints.control import LONGEST_REQUEST_OCTETS, ControlServer, ask, control_path
from bridge.endpoints.status import StatusServer, fetch
from bridge.errors import BindError
from tests.support.descriptors import open_descriptors
from tests.support.eventually import eventually

pytestmark = pytest.mark.wire


class Bench:
    """A control socket that notes what it is asked, and fails when told to."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.asked: list[Mapping[str, Any]] = []
        self.server = ControlServer(path, self._obey)

    def _obey(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        self.asked.append(request)
        return {"done": 1 / request.get("divide by", 1)}

    async def say(self, *octets: bytes, is_ended: bool = False) -> Any:
        reader, writer = await asyncio.open_unix_connection(self.path)
        for each in octets:
            writer.write(each)
            await writer.drain()
            await asyncio.sleep(0)
        if is_ended:
            writer.write_eof()
        answer = await reader.read()
        writer.close()
        assert answer.count(b"\n") == 1
        return json.loads(answer)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="rtu-") as folder:
        bench = Bench(f"{folder}/s.ctl")
        await bench.server.bind()
        yield bench
        bench.server.close()


async def test_a_request_is_answered(bench: Bench) -> None:
    assert await asyncio.to_thread(ask, bench.path, {"do": "it"}) == {"done": 1.0}
    assert bench.asked == [{"do": "it"}]


async def test_however_it_is_cut_and_ended(bench: Bench) -> None:
    assert await bench.say(b'{"a"', b": 1}", b"\n") == {"done": 1.0}
    assert await bench.say(b'{"a": 2}', is_ended=True) == {"done": 1.0}
    assert await bench.say(b'{"a": 3}\n{"a": 4}\n') == {"done": 1.0}
    assert [request["a"] for request in bench.asked] == [1, 2, 3], "one request a connection"


@pytest.mark.parametrize(
    ("octets", "error"),
    [
        (b"\n", "the request is no JSON"),
        (b"garbage\n", "the request is no JSON"),
        (b"\xff\xfe\n", "the request is no JSON"),
        (b"[" * 4000 + b"\n", "the request is no JSON"),
        (b"[1]\n", "the request is no JSON object"),
        (b"x" * (LONGEST_REQUEST_OCTETS + 1), "the request is longer than 4096 octets"),
        (b"GET / HTTP/1.1\r\n\r\n", "the request is no JSON"),
    ],
)
async def test_garbage_is_refused_and_not_passed_on(bench: Bench, octets: bytes, error: str) -> None:
    assert await bench.say(octets) == {"error": error}
    assert bench.asked == []


async def test_a_request_that_fails_does_not_end_the_server(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    assert "failed" in (await bench.say(b'{"divide by": 0}\n'))["error"]
    assert [record.getMessage() for record in caplog.records] == ["control failed"]
    assert await bench.say(b"{}\n") == {"done": 1.0}


async def test_who_says_nothing_is_dropped_and_delays_nobody(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert control._PATIENCE_S == 5
    monkeypatch.setattr(control, "_PATIENCE_S", 0.2)
    reader, writer = await asyncio.open_unix_connection(bench.path)
    writer.write(b'{"a"')
    assert await bench.say(b"{}\n") == {"done": 1.0}
    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()


async def test_who_asks_and_leaves_costs_nothing(bench: Bench) -> None:
    before = open_descriptors()
    for _ in range(20):
        _, writer = await asyncio.open_unix_connection(bench.path)
        writer.write(b"{}\n")
        writer.transport.abort()
    await eventually(lambda: open_descriptors() == before, "no descriptor left behind")


async def test_it_lies_beside_the_status_which_is_answered_as_ever(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="rtu-") as folder:
        path = f"{folder}/s"
        status = StatusServer(path, lambda: {"version": "1"})
        server = ControlServer(control_path(path), lambda request: {"done": "yes"})
        await status.bind()
        await server.bind()
        assert await asyncio.to_thread(fetch, path) == {"version": "1"}
        assert await asyncio.to_thread(ask, control_path(path), {}) == {"done": "yes"}
        assert stat.S_IMODE(os.stat(control_path(path)).st_mode) == 0o660
        with pytest.raises(BindError, match="another bridge answers"):
            await ControlServer(control_path(path), lambda request: {}).bind()
        status.close()
        server.close()
        server.close()
        assert os.listdir(folder) == []
