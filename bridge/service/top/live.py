"""The live view at work: keys become a state, the status and the time a picture, again and again."""

from __future__ import annotations

import time
from typing import Final

from bridge.service.top.sources import Asking, Source
from bridge.service.top.state import ViewState, press
from bridge.service.top.terminal import Terminal
from bridge.service.top.view import Answer, Picture, Size, picture

DRAWN_EVERY_S: Final = 0.1
"""As fast as the fastest LED changes. What did not change is not sent."""


class Live:
    """The view of one bridge on one terminal."""

    def __init__(self, terminal: Terminal, source: Source) -> None:
        self._terminal = terminal
        self._source = source
        self._state = ViewState()
        self._seen: tuple[Answer, ViewState, Size] | None = None
        self._picture: Picture | None = None

    def step(self, wait_s: float) -> bool:
        """Wait so long for keys, show what there is now, and return whether to go on."""
        for key in self._terminal.keys(wait_s):
            self._state = press(key, self._state, self._look().reach)
        if self._state.is_over:
            return False
        shown = self._look()
        self._terminal.draw(shown.at(time.monotonic()), shown.size)
        return True

    def _look(self) -> Picture:
        seen = (self._source.answer(time.monotonic()), self._state, self._terminal.size)
        if self._picture is None or seen != self._seen:
            # Most of the time only what blinks is another than before.
            self._seen, self._picture = seen, picture(*seen)
        return self._picture


def show(path: str, period_s: float) -> None:
    """Show the bridge at a status socket until a key or a signal says that it is enough."""
    with Terminal().taken() as terminal, Asking(path, period_s).running() as source:
        live = Live(terminal, source)
        while live.step(DRAWN_EVERY_S):
            pass
