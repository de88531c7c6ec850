"""On/off timelines as data, and what every light has in common. Pure: time is an argument.

Seconds go in and come out; in between time is whole microseconds. Float arithmetic could put an edge one bit
after its own deadline, and the task that wakes for it would find nothing changed and the deadline past.
"""

from dataclasses import dataclass
from math import inf
from typing import Protocol

_US_PER_S = 1_000_000

BLIP_DARK_S = 0.1
"""How long one frame darkens a lit LED: the shortest change that an eye reliably sees."""

BLIP_SPACING_S = 0.3
"""Least time from one blip to the next. Blips back to back would be 5 Hz, the sign of a silent RTU."""


def to_us(time_s: float) -> int:
    """Return a time in whole microseconds; `to_us(to_s(n)) == n` for 70 years of uptime."""
    return round(time_s * _US_PER_S)


def to_s(time_us: int) -> float:
    """Return a time in seconds."""
    return time_us / _US_PER_S


class Light(Protocol):
    """Anything that decides whether one LED is lit. `now` is monotonic seconds and never goes backwards."""

    def is_lit(self, now: float) -> bool:
        """Say whether the LED is lit at `now`."""

    def next_deadline(self, now: float) -> float | None:
        """Return the first instant after `now` at which the level could change without an event, or None."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A timeline that repeats: steps of (on, duration_s). One step of infinite duration is a steady level.

    Raises ValueError for a step without duration, an endless step among others, or two equal levels in a row
    (each edge of a pattern is a change, so a deadline is never a wake-up for nothing).
    """

    steps: tuple[tuple[bool, float], ...]

    def __post_init__(self) -> None:
        if self.steps in (((True, inf),), ((False, inf),)):
            return
        if not all(0 < duration_s < inf for _, duration_s in self.steps):
            raise ValueError(f"pattern {self.steps}: every step needs a finite duration above 0 s")
        levels = [on for on, _ in self.steps]
        if not levels or any(
            level == before for level, before in zip(levels, levels[-1:] + levels, strict=False)
        ):
            raise ValueError(
                f"pattern {self.steps}: steps must alternate between on and off, the first after the last"
            )

    def at(self, elapsed_us: int) -> tuple[bool, int | None]:
        """Return the level `elapsed_us` after the beginning, and the us until it changes (None: never)."""
        if len(self.steps) == 1:
            return self.steps[0][0], None
        steps = [(on, to_us(duration_s)) for on, duration_s in self.steps]
        phase_us = elapsed_us % sum(duration_us for _, duration_us in steps)
        for on, duration_us in steps:
            if phase_us < duration_us:
                return on, duration_us - phase_us
            phase_us -= duration_us
        raise AssertionError("a phase is always inside its period")


class FrameBlips:
    """Frames as dark blips of `BLIP_DARK_S`, at least `BLIP_SPACING_S` apart.

    A frame too early for its own blip gets the next possible one; more frames than that are merged, so a line
    at full load still looks lit, and nothing piles up.
    """

    __slots__ = ("_starts_us",)

    def __init__(self) -> None:
        self._starts_us: tuple[int, ...] = ()  # the running (or last) blip, and at most one that is to come

    def frame(self, time_us: int) -> None:
        """Note one frame."""
        spacing_us = to_us(BLIP_SPACING_S)
        last_us = self._starts_us[-1] if self._starts_us else time_us - spacing_us
        if time_us >= last_us + spacing_us:
            self._starts_us = (time_us,)
        elif time_us >= last_us:
            self._starts_us = (last_us, last_us + spacing_us)

    def is_dark(self, time_us: int) -> bool:
        """Say whether a blip is running."""
        return any(start_us <= time_us < start_us + to_us(BLIP_DARK_S) for start_us in self._starts_us)

    def next_edge(self, time_us: int) -> int | None:
        """Return when the next blip begins or the running one ends, or None."""
        edges_us = (
            edge_us for start_us in self._starts_us for edge_us in (start_us, start_us + to_us(BLIP_DARK_S))
        )
        return min((edge_us for edge_us in edges_us if edge_us > time_us), default=None)
