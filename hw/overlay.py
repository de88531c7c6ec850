"""What people ask the LEDs for, shown over what they show otherwise: a lamp test, and locating. Pure."""

from dataclasses import dataclass
from enum import Enum

from hw.colour import Colour
from hw.looks import LAMP_TEST, LOCATE
from hw.pattern import LedKind, Light, Look, to_s, to_us


class Cover(Enum):
    """What covers a light. Where both do, the first one is seen."""

    LAMP_TEST = "lamp_test"
    LOCATE = "locate"


_LOOKS = {Cover.LAMP_TEST: LAMP_TEST, Cover.LOCATE: LOCATE}


@dataclass(frozen=True, slots=True)
class _Span:
    begun_us: int
    until_us: int


class Overlay:
    """A light that can be covered for a time. A `Light` itself.

    What is underneath goes on meanwhile, and is seen again at the end as if nothing had been.
    """

    __slots__ = ("_light", "_spans")

    def __init__(self, light: Light) -> None:
        self._light = light
        self._spans: dict[Cover, _Span] = {}

    @property
    def kind(self) -> LedKind:
        """What the LED is able to show."""
        return self._light.kind

    def cover(self, cover: Cover, now: float, duration_s: float) -> None:
        """Show this from `now` on; again while it is shown, it begins anew."""
        begun_us = to_us(now)
        self._spans[cover] = _Span(begun_us, begun_us + to_us(duration_s))

    def uncover(self) -> None:
        """End all that covers it."""
        self._spans.clear()

    def covered_by(self, now: float) -> Cover | None:
        """Return what is seen instead of the light, or None."""
        time_us = to_us(now)
        for cover in Cover:
            span = self._spans.get(cover)
            if span is not None and time_us < span.until_us:
                return cover
        return None

    def look(self, now: float) -> Look:
        """Return what is shown."""
        cover = self.covered_by(now) if self._spans else None
        return self._light.look(now) if cover is None else _LOOKS[cover][self.kind]

    def colour(self, now: float) -> Colour:
        """Return the colour of this instant."""
        cover = self.covered_by(now) if self._spans else None
        if cover is None:
            return self._light.colour(now)
        return self._step(cover, to_us(now))[0]

    def is_lit(self, now: float) -> bool:
        """Say whether the LED is lit at all."""
        return self.colour(now).is_lit

    def next_deadline(self, now: float) -> float | None:
        """Return when the colour could next change without an event, or None."""
        cover = self.covered_by(now) if self._spans else None
        if cover is None:
            return self._light.next_deadline(now)
        time_us = to_us(now)
        _, left_us = self._step(cover, time_us)
        end_us = self._spans[cover].until_us
        return to_s(end_us if left_us is None else min(end_us, time_us + left_us))

    def _step(self, cover: Cover, time_us: int) -> tuple[Colour, int | None]:
        return _LOOKS[cover][self.kind].pattern.at(time_us - self._spans[cover].begun_us)
