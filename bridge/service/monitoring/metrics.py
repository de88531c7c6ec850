"""The metrics of a running bridge over HTTP: GET /metrics, for Prometheus and what speaks like it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from bridge.endpoints.endpoint import Endpoint
from bridge.endpoints.events import note, warn
from bridge.endpoints.http_server import HttpServer, Page
from bridge.errors import BindError
from bridge.service.taking import Taking, take_in_turns

_INDEX: Final = b"RTU Bridge: the metrics are at /metrics\n"
_REST_PER_WORK: Final = 9.0
"""Pages are made no more than a tenth of the time, however many ask."""
_LONGEST_REST_S: Final = 3.0
"""On a machine that has no time a page takes long, and the next one shall come before its client gives up."""


class Metrics:
    """Offers the metrics at `endpoint`, or nothing if it is None. `await start()`, in the end `close()`.

    What a scrape costs the event loop is cut into pieces of less than a millisecond; between them it relays.
    """

    def __init__(self, endpoint: Endpoint | None, taking: Callable[[], Taking]) -> None:
        """Prepare; `taking` begins a status document."""
        self._taking = taking
        self._problem: str | None = None
        self._is_making = asyncio.Lock()
        self._rests_until_s = 0.0
        self._server: HttpServer | None = None
        if endpoint is not None:
            self._server = HttpServer(endpoint, {"/": _index, "/metrics": self._page})
            # Now, and not when the first one asks: importing it takes as long as many frames.
            from bridge.service.monitoring import exposition

            self._exposition = exposition

    async def start(self) -> None:
        """Begin to listen. The bridge does its work without: a port that is taken is a warning."""
        if self._server is None:
            return
        try:
            await self._server.bind()
        except BindError as error:
            self._problem = error.strerror
            warn("no metrics", reason=self._problem)
        else:
            note("metrics", url=f"http://{self._server.endpoint}/metrics")

    def close(self) -> None:
        """Stop listening, let go of who is being answered."""
        if self._server is not None:
            self._server.close()

    def status(self) -> dict[str, Any] | None:
        """Return what the status says of it; None where there are to be none."""
        if self._server is None:
            return None
        return {
            "listen": str(self._server.endpoint),
            "problem": self._problem,
            "answered": self._server.answered,
            "refusals": {reason.value: count for reason, count in self._server.refusals.items()},
        }

    async def _page(self, headers: Mapping[str, str]) -> Page:
        loop = asyncio.get_running_loop()
        accept = headers.get("accept", "")
        async with self._is_making:
            await asyncio.sleep(max(0.0, self._rests_until_s - loop.time()))
            began_s = loop.time()
            document = await take_in_turns(self._taking())
            pieces = []
            for piece in self._exposition.pieces(document, accept):
                pieces.append(piece)
                await asyncio.sleep(0)
            ended_s = loop.time()
            self._rests_until_s = ended_s + min(_REST_PER_WORK * (ended_s - began_s), _LONGEST_REST_S)
        return Page(self._exposition.content_type(accept), pieces)


async def _index(_headers: Mapping[str, str]) -> Page:
    return Page("text/plain; charset=utf-8", [_INDEX])
