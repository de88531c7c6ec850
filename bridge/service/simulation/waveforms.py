"""How simulated points move: pure functions of the time since the simulation began.

The same time gives the same value, in whatever order and however often it is asked for. So a simulated RTU
that was not looked at for an hour is where it would be, and a test needs no clock. Times are seconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from types import MappingProxyType

_OCTAVES = 6
_LARGEST_HASH = (1 << 64) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What waveforms are told; each takes what it needs. `period_s`, `step` over 0, `low` <= `high`."""

    period_s: float = 60.0
    low: float = 0.0
    high: float = 100.0
    step: float = 1.0
    seed: int = 0


Waveform = Callable[[Shape, float], float]


def ramp(shape: Shape, now: float) -> float:
    """Rise evenly from `low` to `high` in a period, then begin again."""
    return shape.low + (shape.high - shape.low) * _phase(shape, now)


def sine(shape: Shape, now: float) -> float:
    """Swing between `low` and `high`, from the middle upwards, once a period."""
    middle, swing = (shape.high + shape.low) / 2, (shape.high - shape.low) / 2
    return middle + swing * math.sin(2 * math.pi * _phase(shape, now))


def steps(shape: Shape, now: float) -> float:
    """Rise from `low` by `step` every period, up to `high`, then begin again."""
    count = math.floor((shape.high - shape.low) / shape.step) + 1
    return shape.low + shape.step * (math.floor(now / shape.period_s) % count)


def random_walk(shape: Shape, now: float) -> float:
    """Wander between `low` and `high`, the whole way in about a period; another `seed` goes another way.

    A sum of smooth noise at the period, its half, its quarter and so on: it looks like a walk, and its value
    at any time is known without those before.
    """
    total = weights = 0.0
    for octave in range(_OCTAVES):
        weight = 2.0 ** (-octave / 2)
        total += weight * _noise(shape.seed * _OCTAVES + octave, now / shape.period_s * 2**octave)
        weights += weight
    # The sum crowds around its middle: spread it, and fold what goes over back inside.
    position = 0.5 + 2 * (total / weights - 0.5)
    position = abs(position)
    position = 1 - abs(1 - position)
    return shape.low + (shape.high - shape.low) * position


def toggle(shape: Shape, now: float) -> float:
    """Be 0 for a period, 1 for the next, and so on."""
    return float(math.floor(now / shape.period_s) % 2)


def count(shape: Shape, now: float) -> float:
    """Grow by `step` every period, for ever."""
    return shape.step * math.floor(now / shape.period_s)


WAVEFORMS: Mapping[str, Waveform] = MappingProxyType(
    {waveform.__name__: waveform for waveform in (ramp, sine, steps, random_walk, toggle, count)}
)
"""By the name that a file uses."""


@dataclass(frozen=True, slots=True)
class Change:
    """One point's movement. `delay_s` sets points of one shape apart from each other."""

    kind: str
    shape: Shape
    delay_s: float = 0.0

    def at(self, now: float) -> float:
        """Return the value `now` seconds after the beginning."""
        return WAVEFORMS[self.kind](self.shape, now + self.delay_s)


def _phase(shape: Shape, now: float) -> float:
    return math.fmod(now, shape.period_s) / shape.period_s


def _noise(seed: int, position: float) -> float:
    """Return noise of 0 to 1 that is random at whole positions and smooth between them."""
    before = math.floor(position)
    part = position - before
    smooth = part * part * (3 - 2 * part)
    random = partial(_random, seed)
    return random(before) * (1 - smooth) + random(before + 1) * smooth


def _random(seed: int, number: int) -> float:
    digest = blake2b(f"{seed} {number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") / _LARGEST_HASH
