"""The status of a running bridge over a unix socket: connect, read one JSON document, done.

Everybody on the machine may read it: nothing is changed by that, and it has no secrets.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from bridge.endpoints.accepting import Acceptor
from bridge.endpoints.events import warn
from bridge.endpoints.local_socket import listen

_READ_TIMEOUT_S = 5.0
"""For the whole answer: one that comes octet by octet must not keep anybody waiting for ever."""
_UNREAD_TIMEOUT_S = 5.0
"""A client that has not read its answer by then is dropped."""
_LONGEST_ANSWER_OCTETS = 64 * 1024 * 1024


class StatusServer:
    """Answers every connection with the JSON of `snapshot()`."""

    def __init__(self, path: str, snapshot: Callable[[], Mapping[str, Any]]) -> None:
        self._path = Path(path)
        self._snapshot = snapshot
        self._server: Acceptor | None = None

    async def bind(self) -> None:
        """Start to answer. Raises `BindError` when another program does, or the path cannot be used."""
        self._server = listen(self._path, lambda: _Answer(self._snapshot), "the status", for_everybody=True)

    def close(self) -> None:
        """Stop answering and remove the socket."""
        if self._server is not None:
            self._server.close()
            self._server = None
            self._path.unlink(missing_ok=True)


class _Answer(asyncio.Protocol):
    def __init__(self, snapshot: Callable[[], Mapping[str, Any]]) -> None:
        self._snapshot = snapshot
        self._dropping: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not every loop's transports are asyncio's: uvloop's only behave like them.
        writer = cast(asyncio.Transport, transport)
        try:
            writer.write(json.dumps(self._snapshot()).encode() + b"\n")
        except Exception as error:
            warn("status failed", error=repr(error))
        writer.close()
        self._dropping = asyncio.get_running_loop().call_later(_UNREAD_TIMEOUT_S, writer.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._dropping is not None:
            self._dropping.cancel()


def fetch(path: str) -> dict[str, Any]:
    """Return the status of the bridge that answers at `path`. Raises OSError, or ValueError for no JSON."""
    return ask(path, b"")


def ask(path: str, request: bytes) -> dict[str, Any]:
    """Return the JSON object that is answered at `path`. Raises OSError, or ValueError for no JSON."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        octets = _whole_answer(connection, path, request)
    try:
        document = json.loads(octets)
    except RecursionError:
        raise ValueError("the status is nested too deep") from None
    if not isinstance(document, dict):
        raise ValueError("the status is no JSON object")
    return document


def _whole_answer(connection: socket.socket, path: str, request: bytes) -> bytes:
    deadline_s = time.monotonic() + _READ_TIMEOUT_S
    connection.settimeout(_READ_TIMEOUT_S)
    connection.connect(path)
    if request:
        connection.sendall(request)
    answer = bytearray()
    while part := connection.recv(65536):
        answer += part
        if len(answer) > _LONGEST_ANSWER_OCTETS:
            raise ValueError("the status does not end")
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError(f"no whole answer within {_READ_TIMEOUT_S:g} s")
        connection.settimeout(left_s)
    return bytes(answer)
