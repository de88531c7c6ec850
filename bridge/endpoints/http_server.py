"""HTTP for programs that look in: GET of a few pages, one request a connection, everything bounded.

Rules:
  1. A connection has 10 s for all of it: its request, the page, and to read the answer. Then it is cut off.
  2. A request has at most 8 KiB; what it sends beyond its head is not read.
  3. There are at most 8 connections. One more ends the oldest: clients that say nothing, or do not read,
     lock nobody out.
  4. Only GET. No keep-alive, no bodies: what is not spoken cannot be spoken wrongly.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import StrEnum
from http import HTTPStatus
from typing import Final, NamedTuple, cast

from bridge.endpoints.accepting import Acceptor
from bridge.endpoints.endpoint import Endpoint
from bridge.endpoints.events import warn
from bridge.endpoints.listening import listening_socket

_MOST_CONNECTIONS: Final = 8
_MOST_REQUEST_OCTETS: Final = 8192
_PATIENCE_S: Final = 10.0
_ENDS_OF_HEAD: Final = (b"\r\n\r\n", b"\n\n")
_GZIP_BITS: Final = 31


class Page(NamedTuple):
    """What is answered, in pieces: between them others have their turn."""

    content_type: str
    pieces: Sequence[bytes]


class Refusal(StrEnum):
    """Why a connection got no page."""

    CROWDED_OUT = "crowded_out"
    """It was the oldest of too many."""
    TOO_SLOW = "too_slow"
    """It had not sent its request and read the answer in time."""
    BAD_REQUEST = "bad_request"
    """What it said was no GET request for a page that there is, or too long."""


Answering = Callable[[Mapping[str, str]], Awaitable[Page]]
"""Makes a page from the request's headers, whose names are in lower case."""


class HttpServer:
    """Answers at `endpoint` what `pages` have, by path."""

    def __init__(self, endpoint: Endpoint, pages: Mapping[str, Answering]) -> None:
        self.endpoint = endpoint
        """Where it listens; after `bind` with the port that the system chose for port 0."""
        self.pages = pages
        self.answered = 0
        self.refusals: Counter[Refusal] = Counter()
        self._connections: dict[_Connection, None] = {}
        self._server: Acceptor | None = None

    async def bind(self) -> None:
        """Start to listen. Raises `BindError` with the operating system's reason."""
        sock = listening_socket(self.endpoint)
        self.endpoint = Endpoint(self.endpoint.host, sock.getsockname()[1])
        self._server = Acceptor(sock, lambda _: _Connection(self), "metrics")

    def close(self) -> None:
        """Stop listening and let go of everybody at once."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in tuple(self._connections):
            connection.abort()

    def opened(self, connection: _Connection) -> None:
        """Take a connection in; if it is one too many, the oldest goes."""
        if len(self._connections) >= _MOST_CONNECTIONS:
            self.refusals[Refusal.CROWDED_OUT] += 1
            next(iter(self._connections)).abort()
        self._connections[connection] = None

    def closed(self, connection: _Connection) -> None:
        """Forget a connection. Harmless when repeated."""
        self._connections.pop(connection, None)


class _Connection(asyncio.Protocol):
    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._heard = bytearray()
        self._transport: asyncio.Transport | None = None
        self._dropping: asyncio.TimerHandle | None = None
        self._answering: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not every loop's transports are asyncio's: uvloop's only behave like them.
        self._transport = cast(asyncio.Transport, transport)
        self._dropping = asyncio.get_running_loop().call_later(_PATIENCE_S, self._give_up)
        self._server.opened(self)

    def data_received(self, data: bytes) -> None:
        if self._answering is not None or self._transport is None:
            return
        self._heard += data
        if any(end in self._heard for end in _ENDS_OF_HEAD) or len(self._heard) > _MOST_REQUEST_OCTETS:
            self._transport.pause_reading()
            self._answering = asyncio.get_running_loop().create_task(self._answer(bytes(self._heard)))

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()

    def abort(self) -> None:
        """Cut the connection off."""
        if self._transport is not None:
            self._transport.abort()
        self._end()

    def _give_up(self) -> None:
        self._server.refusals[Refusal.TOO_SLOW] += 1
        self.abort()

    def _end(self) -> None:
        self._server.closed(self)
        if self._dropping is not None:
            self._dropping.cancel()
        if self._answering is not None:
            self._answering.cancel()

    async def _answer(self, request: bytes) -> None:
        transport = self._transport
        assert transport is not None, "it was made"
        try:
            status, headers, pieces = await self._response(request)
        except Exception as error:
            # Whatever is wrong with us, the bridge goes on.
            warn("metrics failed", error=repr(error))
            status, headers, pieces = _refused(HTTPStatus.INTERNAL_SERVER_ERROR)
        is_whole = status is HTTPStatus.OK
        self._server.answered += is_whole
        if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
            self._server.refusals[Refusal.BAD_REQUEST] += 1
        head = {**headers, "Content-Length": str(sum(map(len, pieces))), "Connection": "close"}
        lines = [
            f"HTTP/1.1 {status.value} {status.phrase}",
            *(f"{name}: {value}" for name, value in head.items()),
        ]
        transport.write("\r\n".join((*lines, "", "")).encode("latin-1"))
        transport.writelines(pieces)
        self._answering = None
        transport.close()

    async def _response(self, request: bytes) -> _Response:
        if len(request) > _MOST_REQUEST_OCTETS:
            return _refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        first, *fields = request.decode("latin-1").splitlines()
        parts = first.split(" ")
        if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
            return _refused(HTTPStatus.BAD_REQUEST)
        method, target, _ = parts
        page = self._server.pages.get(target.partition("?")[0])
        if page is None:
            return _refused(HTTPStatus.NOT_FOUND)
        if method != "GET":
            return _refused(HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": "GET"})
        headers = _headers(fields)
        content_type, pieces = await page(headers)
        answer = {"Content-Type": content_type}
        if "gzip" in headers.get("accept-encoding", ""):
            return HTTPStatus.OK, {**answer, "Content-Encoding": "gzip"}, await _compressed(pieces)
        return HTTPStatus.OK, answer, pieces


_Response = tuple[HTTPStatus, dict[str, str], Sequence[bytes]]


def _headers(fields: Sequence[str]) -> dict[str, str]:
    pairs = (field.partition(":") for field in fields)
    return {name.strip().lower(): value.strip() for name, colon, value in pairs if colon}


def _refused(status: HTTPStatus, headers: Mapping[str, str] | None = None) -> _Response:
    text = f"{status.value} {status.phrase}\n".encode()
    return status, {"Content-Type": "text/plain; charset=utf-8", **(headers or {})}, [text]


async def _compressed(pieces: Sequence[bytes]) -> list[bytes]:
    gzip = zlib.compressobj(wbits=_GZIP_BITS)
    compressed = []
    for piece in pieces:
        compressed.append(gzip.compress(piece))
        await asyncio.sleep(0)
    return [*compressed, gzip.flush()]
