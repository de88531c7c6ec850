"""From a contact that bounces to one that is open or closed. Pure: levels and `now` in, changes out.

Rules:
  1. The settled level changes when the contact has had the other level for `debounce_s` without a break.
     A shorter pulse changes nothing.
  2. A change is dated to the instant from which the contact kept its new level.
  3. A `now` before the previous one counts as simultaneous with it.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Change:
    """The settled level changed: to what, and since when (monotonic seconds)."""

    is_active: bool
    at: float


class Debouncer:
    """One contact. `is_active` is the level at the beginning; `debounce_s` may be 0. Nothing raises."""

    __slots__ = ("_debounce_s", "_is_active", "_last", "_since")

    def __init__(self, *, is_active: bool, debounce_s: float) -> None:
        self._is_active = is_active
        self._debounce_s = debounce_s
        self._since: float | None = None  # when the contact left the settled level
        self._last = 0.0

    @property
    def is_active(self) -> bool:
        """The settled level."""
        return self._is_active

    def heard(self, is_active: bool, now: float) -> Change | None:
        """Note the contact's level. Returns the change that this, or time until `now`, brought."""
        now = self._last = max(now, self._last)
        change = self.on_deadline(now)
        if is_active == self._is_active:
            self._since = None
        elif self._since is None:
            self._since = now
        return change or self.on_deadline(now)

    def next_deadline(self) -> float | None:
        """Return when the settled level changes if the contact stays as it is, or None."""
        return None if self._since is None else self._since + self._debounce_s

    def on_deadline(self, now: float) -> Change | None:
        """Return the change that was due by `now`. Calling early is harmless."""
        deadline = self.next_deadline()
        if self._since is None or deadline is None or now < deadline:
            return None
        change = Change(not self._is_active, self._since)
        self._is_active, self._since = change.is_active, None
        return change
