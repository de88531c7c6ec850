"""The loads of all lines, from a look once a second: whoever passes octets on only counts them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from bridge.endpoints.hub import LineHub
from bridge.routing.bus_load import BusLoad

_PERIOD_S = 1.0


class BusLoads:
    """Watches lines. `start`, in the end `close`. To be made in a running loop."""

    def __init__(self, hubs: Mapping[str, LineHub]) -> None:
        self._loop = asyncio.get_running_loop()
        self._lines = [(hub, BusLoad(hub.line.settings.octet_s)) for hub in hubs.values()]
        self._by_name = {hub.name: (hub, load) for hub, load in self._lines}
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to look."""
        self._look()

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def share(self, line: str) -> float:
        """Return the share of the last minute in which octets were on the wire of a line. Raises KeyError."""
        hub, load = self._by_name[line]
        return load.share(self._loop.time(), hub.octets_on_wire)

    def _look(self) -> None:
        now = self._loop.time()
        for hub, load in self._lines:
            load.sample(now, hub.octets_on_wire)
        self._timer = self._loop.call_later(_PERIOD_S, self._look)
