"""One event loop timer for everything that waits in a sans-I/O core."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_TICK_S = 0.001


class Timer:
    """Calls back no earlier than the deadline set last.

    A later deadline does not touch the loop's timer, which fires early and is set again: moving a deadline
    with every frame then costs nothing. The core must take early calls, as the house rules demand.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        self._loop = loop
        self._callback = callback
        self._deadline: float | None = None
        self._handle: asyncio.Handle | None = None
        # Not asked of the handle: uvloop makes one without a time where the deadline is now.
        self._fires_s = 0.0

    def set(self, deadline: float | None) -> None:
        """Arm for `deadline`, in the loop's time; None disarms."""
        self._deadline = deadline
        if deadline is None or (self._handle is not None and self._fires_s <= deadline):
            return
        if self._handle is not None:
            self._handle.cancel()
        self._arm(deadline)

    def hasten(self, deadline: float) -> None:
        """Call back by `deadline`: no later than that, and no later than was set before."""
        if self._deadline is None or deadline < self._deadline:
            self.set(deadline)

    def _arm(self, fires_s: float) -> None:
        self._fires_s = fires_s
        self._handle = self._loop.call_at(fires_s, self._fire)

    def cancel(self) -> None:
        """Disarm and let go of the loop's timer."""
        self._deadline = None
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _fire(self) -> None:
        self._handle = None
        if self._deadline is None:
            return
        now = self._loop.time()
        if now < self._deadline:
            # uvloop counts whole milliseconds: less would be a call at once, again and again until then.
            self._arm(max(self._deadline, now + _TICK_S))
            return
        self._deadline = None
        self._callback()
