"""Between the bridge and the panel: what happens on the wire becomes events of an outstation's indicator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from bridge.endpoints.connection_state import ConnectionState


class IndicatorEvents(Protocol):
    """What an indicator wants to hear; `now` is monotonic seconds. `hw.indicator.Indicator` is one."""

    def master_connected(self, now: float) -> None: ...  # noqa: D102
    def master_disconnected(self, now: float) -> None: ...  # noqa: D102
    def request_sent(self, now: float) -> None: ...  # noqa: D102
    def answer_received(self, now: float) -> None: ...  # noqa: D102
    def answer_missed(self, now: float) -> None: ...  # noqa: D102
    def noise_heard(self, now: float) -> None: ...  # noqa: D102


_SHORTEST_S = 0.1
"""Exchanges or noises that follow each other faster look the same: an indicator hears of one in this time."""
_NOTICED_S = 1.0
"""Noise that goes on says nothing new."""


class PanelLink:
    """Feeds one indicator: a `ConnectionStateListener` and an `OutstationObserver` in one.

    Missed answers are always passed on; of a fast succession of answered requests or of noises only some.
    """

    def __init__(
        self,
        indicator: IndicatorEvents,
        clock: Callable[[], float],
        changed: Callable[[], None],
        noticed: Callable[[], None] = lambda: None,
    ) -> None:
        """Pass events on with the time of `clock`, then call `changed`.

        `noticed` is called only where something may have become another than it was: a master that came or
        went, an answer that was missed, noise.
        """
        self._noticed = noticed
        self._indicator = indicator
        self._clock = clock
        self._changed = changed
        self._requests_from_s = self._answers_from_s = self._noise_from_s = 0.0
        self._noise_noticed_from_s = 0.0
        self._is_answer_owed = False

    def connection_state_changed(self, state: ConnectionState, peer: str) -> None:
        """A master came or went."""
        self._listen()
        if state is ConnectionState.CONNECTED:
            self._pass_on(self._indicator.master_connected)
        else:
            self._pass_on(self._indicator.master_disconnected)
        self._noticed()

    def request_sent(self) -> None:
        """A frame went out to the RTU."""
        now = self._clock()
        if now >= self._requests_from_s:
            self._requests_from_s = now + _SHORTEST_S
            self._is_answer_owed = True
            self._pass_on(self._indicator.request_sent)

    def answer_received(self) -> None:
        """A frame of the RTU reached its master."""
        now = self._clock()
        # To an indicator that was told of a request, its answer is no repetition.
        if self._is_answer_owed or now >= self._answers_from_s:
            self._answers_from_s = now + _SHORTEST_S
            self._is_answer_owed = False
            self._pass_on(self._indicator.answer_received)

    def answer_missed(self) -> None:
        """A request got no answer."""
        self._listen()
        self._pass_on(self._indicator.answer_missed)
        self._noticed()

    def noise_heard(self) -> None:
        """The line brought octets that are no frame."""
        now = self._clock()
        if now >= self._noise_from_s:
            self._noise_from_s = now + _SHORTEST_S
            self._pass_on(self._indicator.noise_heard)
            if now >= self._noise_noticed_from_s:
                self._noise_noticed_from_s = now + _NOTICED_S
                self._noticed()

    def _listen(self) -> None:
        """Let the next exchange be heard, however soon it comes: it says something new."""
        self._requests_from_s = self._answers_from_s = 0.0
        self._is_answer_owed = False

    def _pass_on(self, event: Callable[[float], None]) -> None:
        event(self._clock())
        self._changed()
