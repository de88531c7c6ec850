"""Reading a light's timeline, and a loop whose clock is the test's."""

import asyncio
import selectors
from itertools import pairwise
from typing import Any

from hw.colour import Colour
from hw.pattern import Light


def edges(light: Light, start: float, end: float) -> list[tuple[float, bool]]:
    """Return the changes between lit and dark: see `colours`."""
    found = [(time, colour.is_lit) for time, colour in colours(light, start, end)]
    return found[:1] + [after for before, after in pairwise(found) if after[1] != before[1]]


def colours(light: Light, start: float, end: float) -> list[tuple[float, Colour]]:
    """Follow the light's own deadlines: (time, colour) at the start and at each change, in whole ms.

    Between two deadlines the colour is sampled every 10 ms: a change that no deadline announced fails.
    """
    found = [(start, light.colour(start))]
    now = start
    while True:
        deadline = light.next_deadline(now)
        assert deadline is None or deadline > now
        sample = now
        while (sample := round(sample + 0.01, 6)) < min(end, end if deadline is None else deadline):
            assert light.colour(sample) == light.colour(now), f"unannounced change before {sample}"
        if deadline is None or deadline >= end:
            return found
        now = deadline
        if light.colour(now) != found[-1][1]:
            found.append((round(now, 3), light.colour(now)))


class _JumpingSelector(selectors.DefaultSelector):
    """Does not wait: adds the time it should have waited to the clock."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        assert timeout is not None, "nothing left to wait for: the test would hang"
        ready = super().select(0)
        if not ready:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in which sleeping costs no time. Starts at 0.0 s."""

    def __init__(self) -> None:
        self._virtual = _JumpingSelector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now


async def until(time_s: float) -> None:
    """Sleep until the loop's clock shows `time_s`, and let everything due before then happen."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(time_s - loop.time())
