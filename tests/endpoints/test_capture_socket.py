from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import stat
import tempfile
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bridge.endpoints.capture_socket import CaptureServer, Stream, capture_path
from bridge.recording.packets import Encoder
from bridge.recording.record import Channel, Interface
from bridge.recording.tap import Recording
from tests.support.descriptors import open_descriptors
from tests.support.eventually import eventually, turns_of_the_loop
from tests.support.frames import link_status

pytestmark = pytest.mark.wire

FRAME = link_status().octets
OPENING = b"\x0a\x0d\x0d\x0a" + bytes(24)
_LOST = re.compile(rb"<133>records lost count=(\d+)")


class Bench:
    """A capture socket whose records are numbered, so that each can be found in what is read."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.counter = itertools.count()
        self.recording = Recording(0, clock=lambda: 0, report=lambda *_: None)
        self.tap = self.recording.open(Channel(0), "begins")
        self.written = asyncio.Event()
        self.is_broken = False
        self.server = CaptureServer(path, self.recording.ring, self._opening, self._write)

    def _opening(self) -> tuple[bytes, Encoder]:
        return OPENING, Encoder([Interface("bay1", "")], offset_ns=0)

    async def _write(self) -> dict[str, Any]:
        await self.written.wait()
        if self.is_broken:
            raise ZeroDivisionError
        return {"done": "/there"}

    def record(self, events: int) -> None:
        for _ in range(events):
            self.tap.event(f"number {next(self.counter):09}")

    async def ask(self, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_unix_connection(self.path)
        writer.write(request + b"\n")
        await writer.drain()
        return reader, writer

    async def answer(self, request: bytes) -> bytes:
        reader, writer = await self.ask(request)
        answer = await reader.read()
        writer.close()
        return answer


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="rtu-") as folder:
        bench = Bench(capture_path(f"{folder}/s"))
        await bench.server.bind()
        yield bench
        bench.server.close()


def numbers(octets: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"number (\d{9})", octets)]


async def read_until(reader: asyncio.StreamReader, number: int) -> bytes:
    octets = b""
    async with asyncio.timeout(20):
        while b"number %09d" % number not in octets:
            chunk = await reader.read(65536)
            assert chunk, octets[-200:]
            octets += chunk
    return octets


async def test_what_is_kept_and_then_the_end(bench: Bench) -> None:
    bench.record(500)
    answer = await bench.answer(b"{}")
    assert answer.startswith(OPENING)
    assert numbers(answer) == list(range(500))


async def test_what_is_recorded_after_the_request_is_another_capture(bench: Bench) -> None:
    bench.record(500)
    reader, writer = await bench.ask(b"{}")
    assert await reader.read(len(OPENING)) == OPENING
    bench.record(5)
    assert numbers(await reader.read())[-1] == 499
    writer.close()


async def test_following_goes_on(bench: Bench) -> None:
    bench.record(10)
    reader, writer = await bench.ask(b'{"follow": true}')
    octets = await read_until(reader, 9)
    bench.record(10)
    octets += await read_until(reader, 19)
    assert numbers(octets) == list(range(20))
    writer.close()


async def test_a_frame_is_its_octets(bench: Bench) -> None:
    bench.tap.sent(FRAME)
    assert FRAME in await bench.answer(b"{}")


async def test_several_at_once_each_from_where_it_is(bench: Bench) -> None:
    bench.record(300)
    clients = [await bench.ask(b'{"follow": true}') for _ in range(4)]
    for reader, writer in clients:
        assert numbers(await read_until(reader, 299)) == list(range(300))
        writer.close()


async def test_a_slow_reader_loses_records_and_is_told_how_many(bench: Bench) -> None:
    reader, writer = await bench.ask(b'{"follow": true}')
    bench.record(1)
    octets = await read_until(reader, 0)
    # It reads nothing, while so much is recorded that the ring turns over: socket buffers hold some.
    last = 60_000
    while bench.recording.ring.next < last:
        bench.record(200)
        await asyncio.sleep(0)
    bench.record(1)
    octets += await read_until(reader, bench.recording.ring.next - 2)
    seen = numbers(octets)
    lost = sum(map(int, _LOST.findall(octets)))
    assert seen == sorted(set(seen))
    assert lost > 0
    assert len(seen) + lost == seen[-1] + 1
    writer.close()


async def test_a_reader_that_does_not_read_holds_nobody_up(bench: Bench) -> None:
    _, slow_writer = await bench.ask(b'{"follow": true}')
    quick, quick_writer = await bench.ask(b'{"follow": true}')
    bench.record(500)
    assert numbers(await read_until(quick, 499)) == list(range(500))
    slow_writer.close()
    quick_writer.close()


async def test_nothing_is_kept_for_a_reader(bench: Bench) -> None:
    """What is under way to it is bounded, whatever was recorded."""
    _, writer = await bench.ask(b'{"follow": true}')
    await eventually(lambda: bench.server._clients, "it is there")
    (client,) = bench.server._clients
    for _ in range(300):
        bench.record(100)
        await asyncio.sleep(0)
        assert client._transport is not None
        assert client._transport.get_write_buffer_size() < 128 * 1024
    writer.close()


@pytest.mark.parametrize("request_", [b"", b"[]", b"nonsense", b"{" * 5000])
async def test_a_malformed_request_is_answered(bench: Bench, request_: bytes) -> None:
    assert json.loads(await bench.answer(request_)) == {"error": "the request is no JSON object"}


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"folow": True}, 'no request has "folow"; it may have follow or write'),
        ({"x" * 99: True}, f'no request has "{"x" * 40}"; it may have follow or write'),
        ({"follow": "yes"}, "follow is neither true nor false"),
        ({"write": 1}, "write is neither true nor false"),
        ({"follow": True, "write": True}, "write and follow are two requests"),
    ],
)
async def test_a_request_that_is_spelt_wrongly_is_not_taken_for_another(
    bench: Bench, request_: dict[str, object], error: str
) -> None:
    assert json.loads(await bench.answer(json.dumps(request_).encode())) == {"error": error}


async def test_a_request_without_its_line_end(bench: Bench) -> None:
    reader, writer = await asyncio.open_unix_connection(bench.path)
    writer.write(b"{}")
    writer.write_eof()
    assert (await reader.read()).startswith(OPENING)
    writer.close()


async def test_writing_is_answered_when_it_is_done(bench: Bench) -> None:
    reader, writer = await bench.ask(b'{"write": true}')
    await turns_of_the_loop()
    bench.written.set()
    assert json.loads(await reader.read()) == {"done": "/there"}
    writer.close()


async def test_writing_that_fails_is_answered(bench: Bench) -> None:
    reader, writer = await bench.ask(b'{"write": true}')
    await turns_of_the_loop()
    bench.is_broken = True
    bench.written.set()
    assert json.loads(await reader.read()) == {"error": "it failed; the log of the bridge says how"}
    writer.close()


async def test_too_many_are_refused(bench: Bench) -> None:
    clients = [await bench.ask(b'{"follow": true}') for _ in range(8)]
    assert json.loads(await bench.answer(b"{}")) == {"error": "8 captures are being read already"}
    clients[0][1].close()
    await eventually(lambda: len(bench.server._clients) == 7, "one is forgotten")
    assert (await bench.answer(b"{}")).startswith(OPENING)
    for _, writer in clients[1:]:
        writer.close()


async def test_who_hangs_up_is_forgotten_also_while_nothing_is_recorded(bench: Bench) -> None:
    _, writer = await bench.ask(b'{"follow": true}')
    await eventually(lambda: bench.server._clients, "it is there")
    writer.close()
    await eventually(lambda: not bench.server._clients, "it is forgotten")


async def test_it_is_for_user_and_group_and_goes_away(bench: Bench) -> None:
    assert stat.S_IMODE(os.stat(bench.path).st_mode) == 0o660
    reader, writer = await bench.ask(b'{"follow": true}')
    await reader.read(len(OPENING))
    before = open_descriptors()
    bench.server.close()
    assert not os.path.exists(bench.path)
    await reader.read()
    writer.close()
    # The one that listened, and both ends of the connection.
    await eventually(lambda: len(open_descriptors()) == len(before) - 3, "its descriptors are closed")


def test_a_stream_never_reads_backwards() -> None:
    recording = Recording(0, clock=lambda: 0, report=lambda *_: None)
    tap = recording.open(Channel(0), "begins")
    stream = Stream(recording.ring, Encoder([Interface("bay1", "")], offset_ns=0), is_following=True)
    seen: list[int] = []
    for number in range(30_000):
        tap.event(f"number {number:09}")
        if number % 7000 == 0:
            while octets := stream.read():
                seen += numbers(octets)
    while octets := stream.read():
        seen += numbers(octets)
    assert seen == sorted(set(seen))
    assert len(seen) + stream.lost == 30_000
    assert stream.lost > 0
