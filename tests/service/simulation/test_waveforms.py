"""Values of simulated points as functions of time."""

from __future__ import annotations

import itertools

import pytest

from bridge.service.simulation.waveforms import (
    WAVEFORMS,
    Change,
    Shape,
    count,
    ramp,
    random_walk,
    sine,
    steps,
    toggle,
)

SHAPE = Shape(period_s=10.0, low=-5.0, high=15.0, step=4.0, seed=3)


@pytest.mark.parametrize(
    ("waveform", "now", "value"),
    [
        (ramp, 0.0, -5.0),
        (ramp, 5.0, 5.0),
        (ramp, 9.5, 14.0),
        (ramp, 10.0, -5.0),
        (sine, 0.0, 5.0),
        (sine, 2.5, 15.0),
        (sine, 7.5, -5.0),
        (sine, 10.0, 5.0),
        (steps, 0.0, -5.0),
        (steps, 9.9, -5.0),
        (steps, 10.0, -1.0),
        (steps, 50.0, 15.0),
        (steps, 60.0, -5.0),
        (toggle, 0.0, 0.0),
        (toggle, 9.9, 0.0),
        (toggle, 10.0, 1.0),
        (toggle, 20.0, 0.0),
        (count, 9.9, 0.0),
        (count, 10.0, 4.0),
        (count, 1005.0, 400.0),
    ],
)
def test_values(waveform: object, now: float, value: float) -> None:
    assert callable(waveform)
    assert waveform(SHAPE, now) == pytest.approx(value)


@pytest.mark.parametrize("name", ["ramp", "sine", "steps", "random_walk"])
def test_bounded_ones_stay_between_their_bounds(name: str) -> None:
    values = [WAVEFORMS[name](SHAPE, now / 7) for now in range(20_000)]
    assert -5.0 <= min(values) <= max(values) <= 15.0


def test_a_random_walk_is_a_function_of_time_and_seed_alone() -> None:
    times = [now / 3 for now in range(300)]
    values = [random_walk(SHAPE, now) for now in times]
    assert [random_walk(SHAPE, now) for now in reversed(times)] == values[::-1]
    other = Shape(period_s=10.0, low=-5.0, high=15.0, seed=4)
    assert [random_walk(other, now) for now in times] != values


def test_a_random_walk_goes_far_in_small_steps() -> None:
    values = [random_walk(SHAPE, now / 100) for now in range(20_000)]
    assert max(values) - min(values) > 15.0
    assert max(abs(new - old) for old, new in itertools.pairwise(values)) < 0.5


def test_a_delay_sets_points_apart() -> None:
    assert Change("ramp", SHAPE, delay_s=5.0).at(0.0) == Change("ramp", SHAPE).at(5.0) == 5.0
