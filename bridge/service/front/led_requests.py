"""Requests about the LEDs over the control socket, in JSON:

    {"do": "lamp_test", "seconds": 3}
    {"do": "locate", "outstation": "pole-12", "seconds": 60}     without "outstation": all LEDs
    {"do": "stop"}                                               ends both

"seconds" may be left out. The answer is {"done": SENTENCE}, or {"error": SENTENCE} and nothing was done.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol

LONGEST_S: Final = 3600.0
LAMP_TEST_S: Final = 3.0  # a second for each colour of a bi-colour LED
LOCATE_S: Final = 60.0  # time to walk along the cabinets
_LONGEST_NAME: Final = 100
_KEYS: Final = {
    "lamp_test": {"do", "seconds"},
    "locate": {"do", "outstation", "seconds"},
    "stop": {"do"},
}


class LedPanel(Protocol):
    """What carries the requests out: `hw.driver.LedDriver`."""

    def lamp_test(self, duration_s: float) -> None: ...  # noqa: D102
    def locate(self, name: str | None, duration_s: float) -> None: ...  # noqa: D102
    def uncover(self) -> None: ...  # noqa: D102


class Unlit(NamedTuple):
    """Why LEDs cannot light: each by its name, and all of them if none can."""

    by_led: Mapping[str, str] = MappingProxyType({})
    everything: str | None = None


class _RefusedError(Exception):
    """Why a request is not carried out."""


def obey(
    request: Mapping[str, Any],
    panel: LedPanel,
    leds: Mapping[str, str | None],
    unlit: Unlit = Unlit(),  # noqa: B008
) -> dict[str, str]:
    """Carry out a request and return the answer; `leds` are the outstations' LEDs. Raises nothing.

    Where no light would be seen the answer is an error that says why.
    """
    try:
        return {"done": _obey(request, panel, leds, unlit)}
    except _RefusedError as refused:
        return {"error": str(refused)}


def _obey(request: Mapping[str, Any], panel: LedPanel, leds: Mapping[str, str | None], unlit: Unlit) -> str:
    what = request.get("do")
    if not isinstance(what, str) or what not in _KEYS:
        raise _RefusedError(f'"do" must be one of {", ".join(_KEYS)}')
    if unknown := sorted(request.keys() - _KEYS[what]):
        raise _RefusedError(f"{what} has no {_short(unknown[0])}")
    if what == "stop":
        panel.uncover()
        return "all LEDs show again what happens"
    duration_s = _seconds(request.get("seconds", LAMP_TEST_S if what == "lamp_test" else LOCATE_S))
    name = request.get("outstation")
    led = None if name is None else _led_of(name, leds)
    _refuse_unlit(name, led, unlit)
    if what == "lamp_test":
        panel.lamp_test(duration_s)
        return f"all LEDs are tested for {duration_s:g} s"
    panel.locate(led, duration_s)
    return f"{'all LEDs flash' if name is None else f'the LED of {name} flashes'} for {duration_s:g} s"


def _seconds(value: object) -> float:
    # So written that what is no number is refused as well.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= LONGEST_S:
        raise _RefusedError(f'"seconds" must be a number above 0 and at most {LONGEST_S:g}')
    return float(value)


def _led_of(name: object, leds: Mapping[str, str | None]) -> str:
    if not isinstance(name, str) or name not in leds:
        meant = difflib.get_close_matches(str(name)[:_LONGEST_NAME], leds, 1)
        more = f"; did you mean {meant[0]}?" if meant else ""
        raise _RefusedError(f"there is no outstation {_short(name)}{more}")
    led = leds[name]
    if led is None:
        raise _RefusedError(f"outstation {name} has no LED")
    return led


def _refuse_unlit(name: object, led: str | None, unlit: Unlit) -> None:
    if unlit.everything is not None:
        raise _RefusedError(f"no LED can light: {unlit.everything}")
    if led is not None and led in unlit.by_led:
        raise _RefusedError(f"the LED of {name} cannot light: {unlit.by_led[led]}")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
