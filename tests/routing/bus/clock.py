"""Virtual time: what is to happen, in order."""

from __future__ import annotations

import heapq
from collections.abc import Callable


class Clock:
    """A heap of events. Events of one time happen in the order in which they were set."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def after(self, delay_s: float, happen: Callable[[], None]) -> None:
        """Let something happen later, or next if the delay is 0."""
        self.at(self.now + delay_s, happen)

    def at(self, time_s: float, happen: Callable[[], None]) -> None:
        """Let something happen at a time that has not passed."""
        self._count += 1
        heapq.heappush(self._events, (max(time_s, self.now), self._count, happen))

    def next_s(self) -> float:
        """When the next event is due."""
        return self._events[0][0] if self._events else float("inf")

    def step(self) -> None:
        """Go on to the next event and let it happen."""
        self.now, _, happen = heapq.heappop(self._events)
        happen()

    def clear(self) -> None:
        """Cancel everything."""
        self._events.clear()
