"""Whether somebody on a line talks without end.

Talk counts from the first octet after a pause. An awaited answer excuses what was said up to then: a long
event buffer, read fragment by fragment, is no babble. What is left is talk that nobody asked for and that
gives nobody a chance: a stuck driver, a floating line, an outstation that repeats itself.
"""

from __future__ import annotations

_NEVER = float("-inf")
_CALM_S = 1.0


class BabbleGuard:
    """Watches one line. `babble_s` is how long talk may go on; a gap over `pause_s` is a pause."""

    def __init__(self, *, babble_s: float, pause_s: float) -> None:
        self._babble_s = babble_s
        self._pause_s = pause_s
        self._calm_s = max(_CALM_S, pause_s)
        self._since_s = self._heard_s = _NEVER
        self.is_babbling = False

    def heard(self, now: float) -> bool:
        """Take note of octets; tell whether this is where babble begins."""
        if now - self._heard_s > self._pause_s and not self.is_babbling:
            self._since_s = now
        self._heard_s = now
        if self.is_babbling or now - self._since_s < self._babble_s:
            return False
        self.is_babbling = True
        return True

    def excuse(self, now: float) -> None:
        """What was said up to now was awaited."""
        self._since_s = now

    def next_deadline(self) -> float | None:
        """When babble ends unless more is heard; None while there is none."""
        return self._heard_s + self._calm_s if self.is_babbling else None

    def on_deadline(self, now: float) -> bool:
        """Tell whether this is where babble ends. Early calls do nothing."""
        if not self.is_babbling or now < self._heard_s + self._calm_s:
            return False
        self.is_babbling = False
        return True

    def reset(self) -> None:
        """Forget everything: the port was opened anew."""
        self._since_s = self._heard_s = _NEVER
        self.is_babbling = False
