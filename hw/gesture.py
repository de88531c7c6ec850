"""What a person says with one push button. Pure: presses and `now` in, gestures out.

Rules:
  1. Released within SHORT_PRESS_S: a short press.
  2. Held for HOLD_S: a hold, told at once and not only on release.
  3. Released in between: nothing. Somebody changed his mind.
  4. A button that was down from the beginning says nothing until it was released: one that is stuck must not
     shut the appliance down at each start.
"""

from enum import Enum

SHORT_PRESS_S = 1.0
HOLD_S = 5.0


class Gesture(Enum):
    """What was meant."""

    SHORT_PRESS = "short press"
    HOLD = "hold"


class PressGestures:
    """One button, already debounced. Times are monotonic seconds. Nothing raises."""

    __slots__ = ("_since",)

    def __init__(self) -> None:
        self._since: float | None = None  # when it was pressed; None also once it has said something

    def pressed(self, now: float) -> None:
        """The button went down."""
        self._since = now

    def released(self, now: float) -> Gesture | None:
        """Return the gesture that ends with this release, or None."""
        since, held = self._since, self.on_deadline(now)
        self._since = None
        if held is None and since is not None and now - since <= SHORT_PRESS_S:
            return Gesture.SHORT_PRESS
        return held

    def next_deadline(self) -> float | None:
        """Return when the button has been held long enough, or None."""
        return None if self._since is None else self._since + HOLD_S

    def on_deadline(self, now: float) -> Gesture | None:
        """Return the hold that was due by `now`. Calling early is harmless."""
        deadline = self.next_deadline()
        if deadline is None or now < deadline:
            return None
        self._since = None
        return Gesture.HOLD
