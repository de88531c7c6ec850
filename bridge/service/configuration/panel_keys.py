"""The keys of the panel: LEDs, the button, inputs and relays. Pins are GPIO numbers (BCM)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from bridge.service.appliance.point_layout import FIRST_WIRED, LAST_WIRED
from bridge.service.configuration.schema import (
    BOOLEAN,
    INTEGER,
    LEFT_OUT,
    STRING,
    Key,
    RefusedError,
    Row,
    between,
    milliseconds,
    one_of,
    shown,
)

PULLS: Final = ("none", "up", "down")
_LAST_PIN = 27
_LONGEST_DEBOUNCE_MS = 10_000
_LONGEST_LED_NAME = 63
_pin = between(0, _LAST_PIN)
_pull = one_of(PULLS)
# `complete_points` fills in the default.
_POINT = Key(INTEGER, "point = 20", between(FIRST_WIRED, LAST_WIRED), default=LEFT_OUT)


def _kernel_led(value: str) -> str:
    # It becomes a path below /sys/class/leds.
    is_name = value not in ("", ".", "..") and "/" not in value and value.isprintable()
    if not is_name or len(value) > _LONGEST_LED_NAME:
        raise RefusedError(
            f"{shown(value)} is no name of an LED of the kernel; write one that 'ls /sys/class/leds' shows"
        )
    return value


# One kind of wiring must be there; `pins` checks which.
LED_KEYS: Final[Mapping[str, Key]] = {
    "pin": Key(INTEGER, "pin = 17", _pin, default=None),
    "red": Key(INTEGER, "red = 5", _pin, default=None),
    "green": Key(INTEGER, "green = 6", _pin, default=None),
    "kernel": Key(STRING, 'kernel = "ACT"', _kernel_led, default=None),
    "active_low": Key(BOOLEAN, "active_low = false", default=False),
}

BUTTON_KEYS: Final[Mapping[str, Key]] = {
    "pin": Key(INTEGER, "pin = 20", _pin),
    "active_low": Key(BOOLEAN, "active_low = true", default=True),
    "pull": Key(STRING, 'pull = "up"', _pull, default="up"),
}

INPUT_KEYS: Final[Mapping[str, Key]] = {
    "pin": Key(INTEGER, "pin = 21", _pin),
    "active_low": Key(BOOLEAN, "active_low = false", default=False),
    "pull": Key(STRING, 'pull = "down"', _pull, default="down"),
    "debounce_ms": Key(
        INTEGER,
        "debounce_ms = 20",
        milliseconds(0, _LONGEST_DEBOUNCE_MS),
        default=0.02,
        attribute="debounce_s",
    ),
    "point": _POINT,
}

RELAY_KEYS: Final[Mapping[str, Key]] = {
    "pin": Key(INTEGER, "pin = 19", _pin),
    "active_low": Key(BOOLEAN, "active_low = false", default=False),
    "point": _POINT,
}


def complete_points(rows: Sequence[Row]) -> Sequence[Row]:
    """Give contacts or relays without a point the one of their place in the file, and return them."""
    for place, row in enumerate(rows):
        if "point" not in row.written:
            row.values["point"] = FIRST_WIRED + place
    return rows
