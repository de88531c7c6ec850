"""How often a master polls, learned from its requests, and when to say that it does not any more. Pure.

- A longer interval than expected is believed at once, up to three times the old one; a shorter one by a
  sixteenth. Masters poll in bursts (class 1, 2, 3, pause), and it is the pause that must be waited for.
- So a master that was away for an hour is expected at its old rhythm again some requests later, and one that
  was set to poll more slowly is called idle once or twice and then no more.
- Until there are two requests, the next one is expected within 20 s; never sooner than within 1 s.
"""

from hw.pattern import to_us

INTERVALS_TO_IDLE = 3
"""PRODUCT: "A state is called lost only after three times the expected interval"."""

FIRST_INTERVAL_S = 20.0
SHORTEST_INTERVAL_S = 1.0
_GROWTH = 3
_SHRINKING = 16


class Polling:
    """The requests of one master, from its connection on. Times are whole microseconds, never going back."""

    __slots__ = ("_expected_us", "_last_us")

    def __init__(self) -> None:
        self._last_us: int | None = None
        self._expected_us: int | None = None

    def request(self, time_us: int) -> None:
        """Note a request."""
        if self._last_us is not None:
            self._learn(time_us - self._last_us)
        self._last_us = time_us

    @property
    def expected_us(self) -> int:
        """The interval at which requests are expected."""
        return to_us(FIRST_INTERVAL_S) if self._expected_us is None else self._expected_us

    @property
    def idle_at_us(self) -> int:
        """When the master is idle unless a request comes before. Before the first one it is idle: 0."""
        return 0 if self._last_us is None else self._last_us + INTERVALS_TO_IDLE * self.expected_us

    def _learn(self, interval_us: int) -> None:
        interval_us = max(interval_us, to_us(SHORTEST_INTERVAL_S))
        expected_us = self._expected_us
        if expected_us is None:
            self._expected_us = interval_us
        elif interval_us > expected_us:
            self._expected_us = min(interval_us, _GROWTH * expected_us)
        else:
            self._expected_us = expected_us - (expected_us - interval_us) // _SHRINKING
