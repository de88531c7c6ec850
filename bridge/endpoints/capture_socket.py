"""The recording of a running bridge over a unix socket: pcapng, of what is kept and of what follows.

A client sends one line with a JSON object: `{}` gives what is kept, `{"follow": true}` also what follows,
until it hangs up, and `{"write": true}` lets a file be written, and answers `{"done": PATH}`. What goes wrong
is answered with `{"error": ...}`, before any pcapng.

Rules:
  1. A client reads on from where it is. What the ring has forgotten before it was read is lost, counted, and
     told in the capture. Nothing is kept for a client, and nobody waits for one.
  2. Packets are made a few at a time, with pauses in which the bridge does its work.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

from bridge.endpoints.accepting import Acceptor
from bridge.endpoints.events import warn
from bridge.endpoints.local_socket import listen
from bridge.endpoints.timer import Timer
from bridge.recording.packets import Encoder
from bridge.recording.ring import Ring

_MOST_READERS = 8
_LONGEST_REQUEST_OCTETS = 4096
_KEYS = ("follow", "write")
_SHOWN_KEY = 40
_PATIENCE_S = 5.0
"""A client that has not sent its request by then is dropped."""
_PAUSE_S = 0.002
"""Between two batches of 64 records, which take a third of a millisecond."""
_FOLLOW_S = 0.1
"""How old a record may become before a client that follows gets it."""
_UNREAD_OCTETS = 64 * 1024


def capture_path(status_socket: str) -> str:
    """Return the path of the capture socket that belongs to a status socket."""
    return f"{status_socket}.cap"


class CaptureServer:
    """Offers what `ring` keeps. `opening()` makes a file's beginning and the encoder for the rest of it."""

    def __init__(
        self,
        path: str,
        ring: Ring,
        opening: Callable[[], tuple[bytes, Encoder]],
        write: Callable[[], Awaitable[dict[str, Any]]],
    ) -> None:
        self._path = Path(path)
        self._ring = ring
        self._opening = opening
        self._write = write
        self._server: Acceptor | None = None
        self._clients: set[_Client] = set()

    async def bind(self) -> None:
        """Start to listen. Raises `BindError` when another program does, or the path cannot be used."""
        self._server = listen(self._path, lambda: _Client(self), "the capture")

    def close(self) -> None:
        """Stop listening, end what is being sent, and remove the socket."""
        if self._server is not None:
            self._server.close()
            self._server = None
            self._path.unlink(missing_ok=True)
        for client in tuple(self._clients):
            client.abort()

    @property
    def readers(self) -> int:
        """How many captures are being read."""
        return sum(client.is_reading for client in self._clients)

    # From clients

    def admit(self, client: _Client) -> None:
        """Take a client in."""
        self._clients.add(client)

    def forget(self, client: _Client) -> None:
        """Let a client go that is gone."""
        self._clients.discard(client)

    def begin(self, *, is_following: bool) -> tuple[bytes, Stream] | None:
        """Return the beginning of a capture and where the rest comes from; None if too many are read."""
        if self.readers >= _MOST_READERS:
            return None
        opening, encoder = self._opening()
        return opening, Stream(self._ring, encoder, is_following=is_following)

    def write(self) -> Awaitable[dict[str, Any]]:
        """Write a file."""
        return self._write()


class Stream:
    """One client's place in the ring. `lost` counts the records that were gone before it came to them."""

    def __init__(self, ring: Ring, encoder: Encoder, *, is_following: bool) -> None:
        self._ring = ring
        self._encoder = encoder
        self.is_following = is_following
        self._place = ring.first
        self._end = None if is_following else ring.next
        self.lost = 0

    @property
    def is_at_end(self) -> bool:
        """Whether everything was read that this client is to have."""
        return self._end is not None and self._place >= self._end

    def read(self) -> bytes:
        """Return the next packets; none where the client has read everything so far."""
        number, records = self._ring.after(self._place)
        if self._end is not None:
            records = records[: max(0, self._end - number)]
        gap = number - self._place
        self._place = number + len(records)
        if not records:
            return b""
        packets = self._encoder.encode(records, self._ring.channels)
        if not gap:
            return packets
        self.lost += gap
        text = f'records lost count={gap} reason="the reader was too slow"'
        return self._encoder.event(records[0][0], text) + packets


class _Client(asyncio.Protocol):
    def __init__(self, server: CaptureServer) -> None:
        self._server = server
        self._heard = bytearray()
        self._transport: asyncio.Transport | None = None
        self._stream: Stream | None = None
        self._timer = Timer(asyncio.get_running_loop(), self._go_on)
        self._is_asked = False
        self._writing: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not every loop's transports are asyncio's: uvloop's only behave like them.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=_UNREAD_OCTETS)
        self._server.admit(self)
        self._wait(_PATIENCE_S)

    @property
    def is_reading(self) -> bool:
        return self._stream is not None

    def data_received(self, data: bytes) -> None:
        if self._is_asked:
            return
        self._heard += data
        line, end, _ = self._heard.partition(b"\n")
        if end or len(self._heard) > _LONGEST_REQUEST_OCTETS:
            self._answer(bytes(line))

    def eof_received(self) -> bool:
        if not self._is_asked:
            self._answer(bytes(self._heard))
        # Who follows and hangs up has gone, and nothing else would tell while nothing is recorded.
        return self._stream is None or not self._stream.is_following

    def pause_writing(self) -> None:
        self._timer.cancel()

    def resume_writing(self) -> None:
        if self._stream is not None:
            self._wait(0.0)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._transport = None
        self._server.forget(self)

    def abort(self) -> None:
        self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()

    def _answer(self, line: bytes) -> None:
        self._is_asked = True
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            request = None
        wrong = _what_is_wrong_with(request)
        if wrong is not None:
            self._refuse(wrong)
        elif request.get("write"):
            self._timer.cancel()
            self._writing = asyncio.get_running_loop().create_task(self._write())
        else:
            self._begin(is_following=request.get("follow", False))

    def _begin(self, *, is_following: bool) -> None:
        begun = self._server.begin(is_following=is_following)
        if begun is None:
            self._refuse(f"{_MOST_READERS} captures are being read already")
            return
        opening, self._stream = begun
        if self._transport is not None:
            self._transport.write(opening)
        self._wait(0.0)

    async def _write(self) -> None:
        try:
            answer = await self._server.write()
        except Exception as error:
            # Whatever is wrong with us, the bridge goes on.
            warn("capture failed", error=repr(error))
            answer = {"error": "it failed; the log of the bridge says how"}
        self._say(answer)

    def _refuse(self, reason: str) -> None:
        self._say({"error": reason})

    def _say(self, answer: dict[str, Any]) -> None:
        self._timer.cancel()
        if self._transport is not None:
            self._transport.write(json.dumps(answer).encode() + b"\n")
            self._transport.close()

    def _go_on(self) -> None:
        if self._transport is None:
            return
        if self._stream is None:
            # It never asked.
            self._transport.abort()
            return
        packets = self._stream.read()
        if packets:
            self._wait(_PAUSE_S)
            # This may pause writing, and with it the timer.
            self._transport.write(packets)
        elif self._stream.is_at_end:
            self._transport.close()
        else:
            self._wait(_FOLLOW_S)

    def _wait(self, seconds: float) -> None:
        self._timer.set(asyncio.get_running_loop().time() + seconds)


def _what_is_wrong_with(request: object) -> str | None:
    """Return why a request is none; a word that is spelt wrongly must not be another request."""
    if not isinstance(request, dict):
        return "the request is no JSON object"
    unknown = next((key for key in request if key not in _KEYS), None)
    if unknown is not None:
        return f"no request has {json.dumps(unknown[:_SHOWN_KEY])}; it may have {' or '.join(_KEYS)}"
    wrong = next((key for key, value in request.items() if not isinstance(value, bool)), None)
    if wrong is not None:
        return f"{wrong} is neither true nor false"
    return "write and follow are two requests" if all(request.get(key) for key in _KEYS) else None
