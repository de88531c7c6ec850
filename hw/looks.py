"""The table of PRODUCT, "LEDs": what an LED of each kind looks like in each state. Data, and the look-up.

The names of patterns are for people who read the status; the frequencies are PRODUCT's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from hw.colour import Colour
from hw.pattern import ON, LedKind, Look, Pattern, steady

OFF, GREEN, RED, AMBER = Colour.OFF, Colour.GREEN, Colour.RED, Colour.AMBER


class LedState(Enum):
    """What one outstation's LED says."""

    OFF = "off"
    """Disabled, or no master has connected since start."""
    LOST = "lost"
    """A master was connected, and none is now."""
    IDLE = "idle"
    """A master is connected and polls nothing: not yet, or not for three times its expected interval."""
    ANSWERING = "answering"
    """A master polls and nothing is known to be wrong."""
    MISSING = "missing"
    """The master polls and some answers are missing."""
    SILENT = "silent"
    """The master polls and the RTU is silent, or the line is down."""
    NOISE = "noise"
    """Octets with CRC errors were heard on the line."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A state, and what the state would be without the noise: the same one where there is none."""

    state: LedState
    beneath: LedState


def _wink(colour: Colour) -> Pattern:
    return Pattern(((colour, 0.1), (OFF, 1.9)))


# On without blinks is what the table has for a master that is there while no frame passes, so IDLE looks like
# ANSWERING: the missing blinks are the news, and `status` has the word for it. The wink would say that the
# master is gone, which is not so, and would be wrong for masters that only wait for unsolicited reports.
_SINGLE_ON = Look("on", steady(ON), frame_blip=OFF)
_GREEN = Look("green", steady(GREEN), frame_blip=OFF)

SINGLE: Mapping[LedState, Look] = MappingProxyType(
    {
        LedState.OFF: Look("off", steady(OFF)),
        LedState.LOST: Look("wink", _wink(ON)),
        LedState.IDLE: _SINGLE_ON,
        LedState.ANSWERING: _SINGLE_ON,
        LedState.MISSING: Look("2 Hz", Pattern(((ON, 0.25), (OFF, 0.25)))),
        LedState.SILENT: Look("5 Hz", Pattern(((ON, 0.1), (OFF, 0.1)))),
        LedState.NOISE: Look("double flash", Pattern(((ON, 0.1), (OFF, 0.1), (ON, 0.1), (OFF, 0.7)))),
    }
)

# The table gives amber and red no rhythm, so they are steady: the colour says it all, and a blip can be seen.
BICOLOUR: Mapping[LedState, Look] = MappingProxyType(
    {
        LedState.OFF: Look("off", steady(OFF)),
        LedState.LOST: Look("red wink", _wink(RED)),
        LedState.IDLE: _GREEN,
        LedState.ANSWERING: _GREEN,
        LedState.MISSING: Look("amber", steady(AMBER)),
        LedState.SILENT: Look("red", steady(RED)),
    }
)

_NOISY_GREEN = Look("green, red blips", steady(GREEN), frame_blip=OFF, error_blip=RED)
_NOISY_AMBER = Look("amber, red blips", steady(AMBER), error_blip=RED)

# Red blips on red could not be seen. And no answer comes, but something sounds: that is not silence yet.
NOISE_OVER: Mapping[LedState, Look] = MappingProxyType(
    {
        LedState.IDLE: _NOISY_GREEN,
        LedState.ANSWERING: _NOISY_GREEN,
        LedState.MISSING: _NOISY_AMBER,
        LedState.SILENT: _NOISY_AMBER,
    }
)
"""A bi-colour LED while there is noise, by the state beneath."""


def look_of(verdict: Verdict, kind: LedKind) -> Look:
    """Return what an LED of this kind looks like."""
    if kind is LedKind.SINGLE:
        return SINGLE[verdict.state]
    if verdict.state is LedState.NOISE:
        return NOISE_OVER[verdict.beneath]
    return BICOLOUR[verdict.state]


class HeartState(Enum):
    """What the system LED says."""

    BEATING = "beating"
    """The program runs and all lines are open."""
    WRONG_CONFIGURATION = "wrong_configuration"
    """All lines are open, but by a configuration from before: the one that somebody brought is wrong."""
    UNCONFIGURED = "unconfigured"
    """There is no configuration to run."""
    LINE_DOWN = "line_down"
    """The program runs and a line is not open."""


def _heart(colour: Colour, alarm: Colour, line_down: Look) -> Mapping[HeartState, Look]:
    return MappingProxyType(
        {
            HeartState.BEATING: Look("beat", Pattern(((colour, 0.1), (OFF, 0.9)))),
            HeartState.WRONG_CONFIGURATION: Look(
                "double beat", Pattern(((colour, 0.1), (OFF, 0.1), (alarm, 0.1), (OFF, 0.7)))
            ),
            HeartState.UNCONFIGURED: Look("slow", Pattern(((alarm, 1.0), (OFF, 1.0)))),
            HeartState.LINE_DOWN: line_down,
        }
    )


# A line that is down looks as it does on the outstations' LEDs; but a heart must beat, or it might be stuck.
HEART: Mapping[LedKind, Mapping[HeartState, Look]] = MappingProxyType(
    {
        LedKind.SINGLE: _heart(ON, ON, SINGLE[LedState.SILENT]),
        LedKind.BICOLOUR: _heart(GREEN, RED, Look("red 5 Hz", Pattern(((RED, 0.1), (OFF, 0.1))))),
    }
)

LAMP_TEST: Mapping[LedKind, Look] = MappingProxyType(
    {
        LedKind.SINGLE: Look("lamp test", steady(ON)),
        LedKind.BICOLOUR: Look("lamp test", Pattern(((RED, 1.0), (GREEN, 1.0), (AMBER, 1.0)))),
    }
)
# Twice as fast as the fastest state; on two colours nothing else flashes at all.
LOCATE: Mapping[LedKind, Look] = MappingProxyType(
    {
        LedKind.SINGLE: Look("locate", Pattern(((ON, 0.05), (OFF, 0.05)))),
        LedKind.BICOLOUR: Look("locate", Pattern(((AMBER, 0.05), (OFF, 0.05)))),
    }
)
