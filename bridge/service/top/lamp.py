"""An LED as a symbol on a terminal: lit and dark as the LED is, from the name of its pattern.

A status comes once a second and an LED flashes ten times as fast, so its pattern runs here. When it began is
not known: the rhythm is the LED's, the beat may be another. Frames and errors blip as often as they pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from rich.text import Text

from bridge.service.views.outstation_tables import LED_STYLES, led_words, symbol_style
from hw.colour import Colour
from hw.looks import BICOLOUR, HEART, LAMP_TEST, LOCATE, NOISE_OVER, SINGLE
from hw.pattern import BLIP_S, BLIP_SPACING_S, LedKind, Look, to_us

_LOOKS: Final[Mapping[tuple[str, str], Look]] = {
    (kind.value, look.name): look
    for kind, looks in (
        (LedKind.SINGLE, (*SINGLE.values(), *HEART[LedKind.SINGLE].values())),
        (LedKind.BICOLOUR, (*BICOLOUR.values(), *NOISE_OVER.values(), *HEART[LedKind.BICOLOUR].values())),
        *((kind, (LAMP_TEST[kind], LOCATE[kind])) for kind in LedKind),
    )
    for look in looks
}


@dataclass(frozen=True, slots=True)
class Lamp:
    """A cell that blinks as an LED does, with the LED's state in words."""

    shown: Mapping[str, Any]
    """What the status says of the LED."""
    words: str
    style: str
    frames_per_s: float = 0.0
    errors_per_s: float = 0.0

    @classmethod
    def of(cls, shown: Mapping[str, Any], style: str, frames_per_s: float, errors_per_s: float) -> Lamp:
        """Return the lamp of an LED in a status, with its words in a style."""
        return cls(shown, led_words(shown), style, frames_per_s, errors_per_s)

    @property
    def width(self) -> int:
        """How many columns it takes."""
        return 2 + len(self.words)

    def at(self, now: float) -> Text:
        """Return what it looks like at a time in seconds."""
        return Text.assemble(self.symbol(now), (f" {self.words}", self.style))

    def symbol(self, now: float) -> tuple[str, str]:
        """Return the symbol, and the style in which it is printed."""
        look = _LOOKS.get((self.shown.get("kind", ""), self.shown.get("pattern", "")))
        if look is None:
            # Of a bridge of another age, whose looks are not known here.
            return symbol_style(self.shown)
        colour = self._blip(look, now) or look.pattern.at(to_us(now))[0]
        if not colour.is_lit:
            return LED_STYLES[False]
        is_bicolour = self.shown["kind"] == LedKind.BICOLOUR.value
        return symbol_style({"lit": True, "colour": colour.value if is_bicolour else None})

    def _blip(self, look: Look, now: float) -> Colour | None:
        for blip, per_s in ((look.error_blip, self.errors_per_s), (look.frame_blip, self.frames_per_s)):
            if blip is not None and per_s > 0 and now % max(BLIP_SPACING_S, 1 / per_s) < BLIP_S:
                return blip
        return None
