"""When an outstation speaks unasked (IEEE 1815 clause 5.1.1.1): the schedule, not the sending.

Rules:
  1. After a restart one empty response comes first, and nothing else before it is confirmed.
  2. A class is reported when it is enabled and has enough events, or its first event is old enough.
  3. An unconfirmed response is sent again, the same octets, `retries` times; then `retry_delay_s` passes and
     what waits by then is sent with a new sequence number. That goes on for as long as it takes.
"""

from __future__ import annotations

from bridge.outstation.config import ClassDelay, UnsolicitedConfig
from bridge.outstation.events import EventBuffer
from bridge.outstation.points import EventClass

_SEQUENCES = 16
_AT_ONCE = ClassDelay()


class UnsolicitedSchedule:
    """Which classes are due when, and how often the response that is under way may still be sent."""

    def __init__(self, config: UnsolicitedConfig, events: EventBuffer) -> None:
        self._config = config
        self._events = events
        self._since_s: dict[EventClass, float] = {}
        self._not_before_s = float("-inf")
        self._retries = 0
        self.sequence = 0
        self.is_null_confirmed = False

    def due_classes(self, enabled: frozenset[EventClass], now: float) -> frozenset[EventClass]:
        """Return the enabled classes that are to be reported now."""
        if now < self._not_before_s:
            return frozenset()
        return frozenset(each for each in enabled if self._due_s(each, now) <= now)

    def is_null_due(self, now: float) -> bool:
        """Whether the empty response after a restart is to be sent now."""
        return not self.is_null_confirmed and now >= self._not_before_s

    def next_deadline(self, enabled: frozenset[EventClass], now: float) -> float | None:
        """Return when something may be due, or None; `now` is when events were noticed at the latest."""
        due_s = min((self._due_s(each, now) for each in enabled), default=float("inf"))
        if not self.is_null_confirmed:
            due_s = now
        return None if due_s == float("inf") else max(due_s, self._not_before_s)

    def begun(self) -> None:
        """A new response goes out."""
        self._retries = self._config.retries

    def may_retry(self) -> bool:
        """Take one of the retries; False where none is left."""
        self._retries -= 1
        return self._retries >= 0

    def confirmed(self, classes: frozenset[EventClass]) -> None:
        """The response under way has arrived; it reported these classes, or none: the empty one."""
        self.is_null_confirmed |= not classes
        for each in classes:
            self._since_s.pop(each, None)
        self._end(float("-inf"))

    def given_up(self, now: float) -> None:
        """The response under way was not confirmed: its events go with the next one, later."""
        self._end(now + self._config.retry_delay_s)

    def put_off(self) -> None:
        """The response under way made way: for a deferred READ, another link, a class that was disabled."""
        self._end(float("-inf"))

    def link_began(self) -> None:
        """A master is there: do not make it wait for what another one did not confirm."""
        self._not_before_s = float("-inf")

    def _end(self, not_before_s: float) -> None:
        self.sequence = (self.sequence + 1) % _SEQUENCES
        self._not_before_s = not_before_s

    def _due_s(self, event_class: EventClass, now: float) -> float:
        waiting = self._events.waiting(event_class)
        if not waiting:
            self._since_s.pop(event_class, None)
            return float("inf")
        delay = self._config.class_delays.get(event_class, _AT_ONCE)
        since_s = self._since_s.setdefault(event_class, now)
        return since_s if waiting >= delay.events else since_s + delay.delay_s
