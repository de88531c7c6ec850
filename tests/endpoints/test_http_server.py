"""The HTTP that programs look in by: pages, refusals, and clients that mean no good."""

from __future__ import annotations

import asyncio
import gzip
import random
from collections.abc import AsyncIterator, Mapping

import pytest

from bridge.endpoints import http_server
from bridge.endpoints.endpoint import Endpoint
from bridge.endpoints.http_server import HttpServer, Page, Refusal
from bridge.errors import BindError
from tests.support.descriptors import open_descriptors
from tests.support.eventually import eventually
from tests.support.masters import Master

pytestmark = pytest.mark.wire

GET = b"GET /page HTTP/1.1\r\nHost: here\r\n\r\n"
TEXT = b"one two three\n"
LONG = b"0123456789abcdef" * 1024
"""In a page of thousands it is more than the kernel's buffers hold."""


async def _page(_headers: Mapping[str, str]) -> Page:
    return Page("text/plain", [b"one ", b"two ", b"three\n"])


async def _long(_headers: Mapping[str, str]) -> Page:
    return Page("text/plain", [LONG] * 2000)


async def _broken(_headers: Mapping[str, str]) -> Page:
    raise RuntimeError("no page today")


async def _told(headers: Mapping[str, str]) -> Page:
    return Page("text/plain", [headers.get("accept", "nothing").encode()])


@pytest.fixture
async def server() -> AsyncIterator[HttpServer]:
    pages = {"/page": _page, "/long": _long, "/broken": _broken, "/told": _told}
    server = HttpServer(Endpoint.parse("127.0.0.1:0"), pages)
    await server.bind()
    yield server
    server.close()


async def _exchange(server: HttpServer, *parts: bytes) -> tuple[str, dict[str, str], bytes]:
    """Send a request in parts; return the status line, the headers and the body."""
    with await Master.connect(server.endpoint) as client:
        for part in parts:
            await client.send(part)
            await asyncio.sleep(0)
        answer = await client.receive_to_the_end()
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *fields = head.decode().split("\r\n")
    headers = dict(field.split(": ", 1) for field in fields)
    assert int(headers["Content-Length"]) == len(body)
    assert headers["Connection"] == "close"
    return status, headers, body


async def test_a_page(server: HttpServer) -> None:
    status, headers, body = await _exchange(server, GET)
    assert (status, headers["Content-Type"], body) == ("HTTP/1.1 200 OK", "text/plain", TEXT)
    assert (server.answered, server.refusals) == (1, {})


@pytest.mark.parametrize(
    "request_octets",
    [
        b"GET /page?name[]=x HTTP/1.1\r\n\r\n",
        b"GET /page HTTP/1.0\r\n\r\n",
        b"GET /page HTTP/1.1\n\n",
        b"GET /page HTTP/1.1\r\nno colon\r\n: no name\r\nX: \xff\r\n\r\n",
        b"GET /page HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
    ],
)
async def test_requests_that_are_answered(server: HttpServer, request_octets: bytes) -> None:
    status, _, body = await _exchange(server, request_octets)
    assert (status, body) == ("HTTP/1.1 200 OK", TEXT)


async def test_a_request_may_come_octet_by_octet(server: HttpServer) -> None:
    _, _, body = await _exchange(server, *(GET[at : at + 1] for at in range(len(GET))))
    assert body == TEXT


async def test_the_page_gets_the_headers(server: HttpServer) -> None:
    _, _, body = await _exchange(server, b"GET /told HTTP/1.1\r\nACCEPT:  text/x \r\n\r\n")
    assert body == b"text/x"


async def test_a_client_that_can_unpack_gets_it_packed(server: HttpServer) -> None:
    request = b"GET /long HTTP/1.1\r\nAccept-Encoding: gzip\r\n\r\n"
    _, headers, body = await _exchange(server, request)
    assert headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(body) == LONG * 2000


@pytest.mark.parametrize(
    ("request_octets", "status"),
    [
        (b"GET /other HTTP/1.1\r\n\r\n", "404 Not Found"),
        (b"GET /../page HTTP/1.1\r\n\r\n", "404 Not Found"),
        (b"POST /page HTTP/1.1\r\n\r\n", "405 Method Not Allowed"),
        (b"HEAD /page HTTP/1.1\r\n\r\n", "405 Method Not Allowed"),
        (b"GET /page\r\n\r\n", "400 Bad Request"),
        (b"GET /page SPDY/3\r\n\r\n", "400 Bad Request"),
        (b"\r\n\r\n", "400 Bad Request"),
        (b"\x05\x64\x05\xc9\x04\x00\x01\x00\x98\x81\r\n\r\n", "400 Bad Request"),
        (b"GET /page HTTP/1.1\r\nX: " + b"x" * 8192, "431 Request Header Fields Too Large"),
    ],
)
async def test_what_is_refused(server: HttpServer, request_octets: bytes, status: str) -> None:
    told, _, body = await _exchange(server, request_octets)
    assert (told, body.decode()) == (f"HTTP/1.1 {status}", f"{status}\n")
    assert (server.answered, server.refusals) == (0, {Refusal.BAD_REQUEST: 1})


async def test_whatever_is_said_gets_an_answer(server: HttpServer, caplog: pytest.LogCaptureFixture) -> None:
    rng = random.Random(9815)
    words = [
        b"GET",
        b" ",
        b"/page",
        b"HTTP/1.1",
        b"\r\n",
        b"\n",
        b":",
        b"Accept",
        b"\x00",
        b"\x85",
        b"\xff",
        b"?",
    ]
    for _ in range(60):
        request = b"".join(rng.choice([*words, rng.randbytes(3)]) for _ in range(rng.randrange(12)))
        status, _, _ = await _exchange(server, request + b"\r\n\r\n")
        assert status.split(" ")[1] in ("200", "400", "404", "405")
    assert caplog.records == []


async def test_a_page_that_fails_ends_nothing(server: HttpServer, caplog: pytest.LogCaptureFixture) -> None:
    status, _, body = await _exchange(server, b"GET /broken HTTP/1.1\r\n\r\n")
    assert status == "HTTP/1.1 500 Internal Server Error"
    assert b"no page today" not in body
    assert [record.getMessage() for record in caplog.records] == ["metrics failed"]
    assert (await _exchange(server, GET))[2] == TEXT


async def test_who_says_nothing_is_cut_off(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "_PATIENCE_S", 0.05)
    with await Master.connect(server.endpoint) as silent, await Master.connect(server.endpoint) as slow:
        await slow.send(GET[:-1])
        assert await silent.receive_to_the_end() == b""
        assert await slow.receive_to_the_end() == b""
    assert server.refusals == {Refusal.TOO_SLOW: 2}


async def test_who_does_not_read_is_cut_off(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "_PATIENCE_S", 0.2)
    with await Master.connect(server.endpoint, receive_buffer=4096) as deaf:
        await deaf.send(b"GET /long HTTP/1.1\r\n\r\n")
        await eventually(lambda: server.refusals == {Refusal.TOO_SLOW: 1}, "it is cut off")


async def test_clients_that_hold_all_connections_lock_nobody_out(server: HttpServer) -> None:
    silent = [await Master.connect(server.endpoint) for _ in range(8)]
    try:
        for client in silent:
            await client.send(b"GET ")
        for _ in range(8):
            assert (await _exchange(server, GET))[2] == TEXT
        assert server.refusals[Refusal.CROWDED_OUT] >= 1
        assert await silent[0].receive_to_the_end() == b"", "the oldest went first"
    finally:
        for client in silent:
            client.close()


async def test_who_asks_and_leaves_costs_nothing(server: HttpServer) -> None:
    before = open_descriptors()
    for _ in range(20):
        with await Master.connect(server.endpoint) as client:
            await client.send(b"GET /long HTTP/1.1\r\n\r\n")
    await eventually(lambda: open_descriptors() == before, "no descriptor left behind")
    assert (await _exchange(server, GET))[2] == TEXT


async def test_close_lets_go_of_everybody(server: HttpServer) -> None:
    # What the loop itself opens at its first connection is open now.
    await _exchange(server, GET)
    before = open_descriptors()
    server = HttpServer(Endpoint.parse("127.0.0.1:0"), {"/page": _page})
    await server.bind()
    with await Master.connect(server.endpoint) as client:
        await client.send(b"GET ")
        await eventually(lambda: server._connections, "it is connected")
        server.close()
        assert await client.receive_to_the_end() == b""
    server.close()
    await eventually(lambda: open_descriptors() == before, "no descriptor left behind")


async def test_a_port_that_is_taken(server: HttpServer) -> None:
    with pytest.raises(BindError, match="Address already in use"):
        await HttpServer(server.endpoint, {}).bind()
