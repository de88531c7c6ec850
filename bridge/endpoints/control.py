"""What people may ask of a running bridge: a unix socket that takes one request and answers it.

A request is one line with a JSON object, the answer another. The socket is not the status socket: a client of
that says nothing and is answered at once, so a server that first waited for a request would keep it waiting;
and who may look is not always who may do. It lies beside it, with `.ctl` at the end of the name.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from bridge.endpoints import status
from bridge.endpoints.accepting import Acceptor
from bridge.endpoints.events import warn
from bridge.endpoints.local_socket import listen

LONGEST_REQUEST_OCTETS = 4096
_PATIENCE_S = 5.0
"""A client that has not sent its request and read the answer by then is dropped."""


def control_path(status_socket: str) -> str:
    """Return the path of the control socket that belongs to a status socket."""
    return f"{status_socket}.ctl"


def ask(path: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """Send a request to the bridge at `path`, return the answer. Raises OSError, ValueError for no JSON."""
    return status.ask(path, json.dumps(request).encode() + b"\n")


class ControlServer:
    """Answers every request with what `obey(request)` returns.

    What is no JSON object, or longer than 4096 octets, is answered with an `error` and not passed on.
    """

    def __init__(self, path: str, obey: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> None:
        self._path = Path(path)
        self._obey = obey
        self._server: Acceptor | None = None

    async def bind(self) -> None:
        """Start to listen. Raises `BindError` when another program does, or the path cannot be used."""
        self._server = listen(self._path, lambda: _Conversation(self._obey), "control")

    def close(self) -> None:
        """Stop listening and remove the socket."""
        if self._server is not None:
            self._server.close()
            self._server = None
            self._path.unlink(missing_ok=True)


class _Conversation(asyncio.Protocol):
    def __init__(self, obey: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> None:
        self._obey = obey
        self._heard = bytearray()
        self._transport: asyncio.Transport | None = None
        self._dropping: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not every loop's transports are asyncio's: uvloop's only behave like them.
        self._transport = cast(asyncio.Transport, transport)
        self._dropping = asyncio.get_running_loop().call_later(_PATIENCE_S, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        if self._transport is None:
            return
        self._heard += data
        line, end, _ = self._heard.partition(b"\n")
        if end or len(self._heard) > LONGEST_REQUEST_OCTETS:
            self._answer(line)

    def eof_received(self) -> bool:
        if self._transport is not None:
            self._answer(self._heard)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if self._dropping is not None:
            self._dropping.cancel()

    def _answer(self, line: bytes | bytearray) -> None:
        transport, self._transport = self._transport, None
        assert transport is not None, "one request, one answer"
        try:
            answer = self._answer_to(bytes(line))
        except Exception as error:
            # Whatever is wrong with a request or with us, the bridge goes on.
            warn("control failed", error=repr(error))
            answer = {"error": "it failed; the log of the bridge says how"}
        transport.write(json.dumps(answer).encode() + b"\n")
        transport.close()

    def _answer_to(self, line: bytes) -> Mapping[str, Any]:
        if len(line) > LONGEST_REQUEST_OCTETS:
            return {"error": f"the request is longer than {LONGEST_REQUEST_OCTETS} octets"}
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            return {"error": "the request is no JSON"}
        if not isinstance(request, dict):
            return {"error": "the request is no JSON object"}
        return self._obey(request)
