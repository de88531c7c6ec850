"""What people ask the LEDs for, shown over what they show otherwise: a lamp test, and locating. Pure."""

from enum import Enum
from typing import NamedTuple

from hw.colour import Colour
from hw.looks import LAMP_TEST, LOCATE
from hw.pattern import LedKind, Light, Look, to_s, to_us


class Cover(Enum):
    """What covers a light. Where both do, the first one is seen."""

    LAMP_TEST = "lamp_test"
    LOCATE = "locate"


_LOOKS = {Cover.LAMP_TEST: LAMP_TEST, Cover.LOCATE: LOCATE}


class _Span(NamedTuple):
    cover: Cover
    look: Look
    begun_us: int
    until_us: int


class Overlay:
    """A light that can be covered for a time. A `Light` itself.

    What is underneath goes on meanwhile, and is seen again at the end as if nothing had been.
    """

    __slots__ = ("_light", "_spans")

    def __init__(self, light: Light) -> None:
        self._light = light
        self._spans: list[_Span] = []
        """In the order of `Cover`."""

    @property
    def kind(self) -> LedKind:
        """What the LED is able to show."""
        return self._light.kind

    def cover(self, cover: Cover, now: float, duration_s: float) -> None:
        """Show this from `now` on; again while it is shown, it begins anew."""
        begun_us = to_us(now)
        span = _Span(cover, _LOOKS[cover][self.kind], begun_us, begun_us + to_us(duration_s))
        by_cover = {other.cover: other for other in self._spans} | {cover: span}
        self._spans = [by_cover[each] for each in Cover if each in by_cover]

    def uncover(self) -> None:
        """End all that covers it."""
        self._spans.clear()

    def covered_by(self, now: float) -> Cover | None:
        """Return what is seen instead of the light, or None."""
        span = self._span(to_us(now))
        return None if span is None else span.cover

    def look(self, now: float) -> Look:
        """Return what is shown."""
        span = self._span(to_us(now))
        return self._light.look(now) if span is None else span.look

    def colour(self, now: float) -> Colour:
        """Return the colour of this instant."""
        time_us = to_us(now)
        span = self._span(time_us)
        if span is None:
            return self._light.colour(now)
        return span.look.pattern.at(time_us - span.begun_us)[0]

    def is_lit(self, now: float) -> bool:
        """Say whether the LED is lit at all."""
        return self.colour(now).is_lit

    def next_deadline(self, now: float) -> float | None:
        """Return when the colour could next change without an event, or None."""
        time_us = to_us(now)
        span = self._span(time_us)
        if span is None:
            return self._light.next_deadline(now)
        _, left_us = span.look.pattern.at(time_us - span.begun_us)
        return to_s(span.until_us if left_us is None else min(span.until_us, time_us + left_us))

    def _span(self, time_us: int) -> _Span | None:
        for span in self._spans:
            if time_us < span.until_us:
                return span
        return None
