"""Timelines of colours as data, and what every light has in common. Pure: time is an argument.

Seconds go in and come out; in between time is whole microseconds. Float arithmetic could put an edge one bit
after its own deadline, and the task that wakes for it would find nothing changed and the deadline past.
"""

from dataclasses import dataclass, field
from enum import Enum
from math import inf
from typing import Protocol

from hw.colour import Colour

_US_PER_S = 1_000_000

BLIP_S = 0.1
"""How long one event changes a steady LED: the shortest change that an eye reliably sees."""

BLIP_SPACING_S = 0.3
"""Least time from one blip to the next. Blips back to back would be 5 Hz, the sign of a silent RTU."""

ON = Colour.GREEN
"""What a single LED is told when it is to be lit. The colour that people see is the one that was soldered."""


def to_us(time_s: float) -> int:
    """Return a time in whole microseconds; `to_us(to_s(n)) == n` for 70 years of uptime."""
    return round(time_s * _US_PER_S)


def to_s(time_us: int) -> float:
    """Return a time in seconds."""
    return time_us / _US_PER_S


class LedKind(Enum):
    """What an LED is able to show."""

    SINGLE = "single"
    """Lit or dark."""
    BICOLOUR = "bicolour"
    """Green, red, or both, which is amber."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A timeline that repeats: steps of (colour, duration_s). One step of infinite duration is steady.

    Raises ValueError for a step without duration, an endless step among others, or two equal colours in a row
    (each edge of a pattern is a change, so a deadline is never a wake-up for nothing).
    """

    steps: tuple[tuple[Colour, float], ...]
    _steps_us: tuple[tuple[Colour, int], ...] = field(init=False, repr=False, compare=False)
    _period_us: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        is_steady = len(self.steps) == 1 and self.steps[0][1] == inf
        if not is_steady:
            self._check()
        steps = () if is_steady else self.steps
        steps_us = tuple((colour, to_us(duration_s)) for colour, duration_s in steps)
        object.__setattr__(self, "_steps_us", steps_us)
        object.__setattr__(self, "_period_us", sum(duration_us for _, duration_us in steps_us))

    def _check(self) -> None:
        if not all(0 < duration_s < inf for _, duration_s in self.steps):
            raise ValueError(f"pattern {self.steps}: every step needs a finite duration above 0 s")
        colours = [colour for colour, _ in self.steps]
        before = colours[-1:] + colours
        if not colours or any(colour is last for colour, last in zip(colours, before, strict=False)):
            raise ValueError(
                f"pattern {self.steps}: each step must differ from the one before it, the first from the last"
            )

    def at(self, elapsed_us: int) -> tuple[Colour, int | None]:
        """Return the colour `elapsed_us` after the beginning, and the us until it changes (None: never)."""
        if not self._steps_us:
            return self.steps[0][0], None
        phase_us = elapsed_us % self._period_us
        for colour, duration_us in self._steps_us:
            if phase_us < duration_us:
                return colour, duration_us - phase_us
            phase_us -= duration_us
        raise AssertionError("a phase is always inside its period")


def steady(colour: Colour) -> Pattern:
    """Return the pattern that never changes."""
    return Pattern(((colour, inf),))


@dataclass(frozen=True, slots=True)
class Look:
    """What an LED looks like: a pattern, and the colours in which events blip over it (None: they do not)."""

    name: str
    """What `status` calls it."""
    pattern: Pattern
    frame_blip: Colour | None = None
    error_blip: Colour | None = None

    def allows(self, blip: Colour) -> bool:
        """Say whether blips of this colour belong to the look."""
        return blip in (self.frame_blip, self.error_blip)


class Light(Protocol):
    """Anything that decides what one LED shows. `now` is monotonic seconds and never goes backwards."""

    @property
    def kind(self) -> LedKind:
        """What the LED is able to show."""

    def look(self, now: float) -> Look:
        """Return what is shown."""

    def colour(self, now: float) -> Colour:
        """Return the colour of this instant."""

    def is_lit(self, now: float) -> bool:
        """Say whether the LED is lit at all."""

    def next_deadline(self, now: float) -> float | None:
        """Return the first instant after `now` at which the colour could change without an event, or None."""


class Blips:
    """Events as blips of `BLIP_S` in the colour of each, at least `BLIP_SPACING_S` apart.

    An event too early for its own blip gets the next possible one; more events than that are merged, so a
    line at full load still looks lit, and nothing piles up. Of events that are merged the lit one is seen: a
    red blip is an error, a dark one only a frame. A blip that has begun is shown to its end.
    """

    __slots__ = ("_blips",)

    def __init__(self) -> None:
        self._blips: tuple[tuple[int, Colour], ...] = ()  # the running or last one, and at most one to come

    def add(self, time_us: int, colour: Colour) -> None:
        """Note one event."""
        spacing_us = to_us(BLIP_SPACING_S)
        if self._blips and time_us < self._blips[-1][0]:
            last_us, waiting = self._blips[-1]
            if colour.is_lit or not waiting.is_lit:
                self._blips = (*self._blips[:-1], (last_us, colour))
        elif self._blips and time_us < self._blips[-1][0] + spacing_us:
            last = self._blips[-1]
            self._blips = (last, (last[0] + spacing_us, colour))
        else:
            self._blips = ((time_us, colour),)

    def keep(self, time_us: int, look: Look) -> None:
        """Forget the blip that is still to come if this look has none of its colour."""
        self._blips = tuple(blip for blip in self._blips if blip[0] < time_us or look.allows(blip[1]))

    def running(self, time_us: int) -> Colour | None:
        """Return the colour of the blip that is running, or None."""
        for start_us, colour in self._blips:
            if start_us <= time_us < start_us + to_us(BLIP_S):
                return colour
        return None

    def end_of_begun(self, time_us: int) -> int | None:
        """Return when the blip ends that began before this instant and still runs, or None."""
        ends_us = (start_us + to_us(BLIP_S) for start_us, _ in self._blips if start_us < time_us)
        return next((end_us for end_us in ends_us if end_us > time_us), None)

    def next_edge(self, time_us: int) -> int | None:
        """Return when the next blip begins or the running one ends, or None."""
        edges_us = (
            edge_us for start_us, _ in self._blips for edge_us in (start_us, start_us + to_us(BLIP_S))
        )
        return min((edge_us for edge_us in edges_us if edge_us > time_us), default=None)
