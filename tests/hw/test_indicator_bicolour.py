"""Timelines of bi-colour LEDs, and that the kind of the LED changes nothing of what is meant."""

import random
from itertools import pairwise

import pytest

from hw.colour import Colour
from hw.indicator import Heartbeat, Indicator, LedKind, LedState
from tests.hw.test_indicator import EVENTS, MASTER, Event, answers, misses
from tests.hw.timeline import colours

OFF, GREEN, RED, AMBER = Colour.OFF, Colour.GREEN, Colour.RED, Colour.AMBER


def after(*history: Event) -> Indicator:
    indicator = Indicator(LedKind.BICOLOUR)
    for now, event in history:
        getattr(indicator, event)(now)
    return indicator


@pytest.mark.parametrize(
    ("state", "history", "timeline"),
    [
        (LedState.OFF, [], [(10.0, OFF)]),
        (
            LedState.LOST,
            [*MASTER, (10.0, "master_disconnected")],
            [(10.0, RED), (10.1, OFF), (12.0, RED), (12.1, OFF), (14.0, RED), (14.1, OFF)],
        ),
        (LedState.IDLE, [(9.0, "line_up"), (10.0, "master_connected")], [(10.0, GREEN)]),
        (LedState.ANSWERING, MASTER, [(10.0, GREEN)]),
        (
            LedState.ANSWERING,
            [*MASTER, *answers(10.0)],
            [(10.0, OFF), (10.1, GREEN), (10.3, OFF), (10.4, GREEN)],
        ),
        (LedState.MISSING, [*MASTER, *misses(10.0)], [(10.0, AMBER)]),
        (LedState.SILENT, [*MASTER, *misses(8.0, 9.0, 10.0)], [(10.0, RED)]),
        (LedState.SILENT, [*MASTER, (10.0, "line_down")], [(10.0, RED)]),
        (LedState.NOISE, [*MASTER, (10.0, "noise_heard")], [(10.0, RED), (10.1, GREEN)]),
        (
            LedState.NOISE,
            [*MASTER, *misses(9.5), (10.0, "noise_heard")],
            [(10.0, RED), (10.1, AMBER)],
        ),
        (
            LedState.NOISE,
            [*MASTER, *misses(7.0, 8.0, 9.0), (10.0, "noise_heard")],
            [(10.0, RED), (10.1, AMBER), (15.0, RED)],  # after 5 s it is silence again
        ),
    ],
)
def test_timeline(state: LedState, history: list[Event], timeline: list[tuple[float, Colour]]) -> None:
    indicator = after(*history)
    assert indicator.state(10.0) is state
    assert colours(indicator, 10.0, 15.5) == timeline


def test_errors_are_a_red_blip_each_spaced_and_merged_as_frames_are() -> None:
    once = after(*MASTER, (10.0, "noise_heard"))
    once.noise_heard(11.0)
    assert colours(once, 11.0, 20.0) == [(11.0, RED), (11.1, GREEN)]
    burst = after(*MASTER, *[(10.0 + number / 100, "noise_heard") for number in range(20)])
    assert colours(burst, 10.19, 20.0) == [(10.19, GREEN), (10.3, RED), (10.4, GREEN)]


def test_frames_and_errors_do_not_run_into_each_other() -> None:
    """The error comes while the request's blip is on; both are seen whole, one after the other."""
    indicator = after(*MASTER, (10.0, "request_sent"))
    assert indicator.colour(10.0) is OFF
    indicator.noise_heard(10.05)
    assert colours(indicator, 10.05, 20.0) == [(10.05, OFF), (10.1, GREEN), (10.3, RED), (10.4, GREEN)]


def test_frames_go_on_blinking_off_between_errors() -> None:
    indicator = after(*MASTER, (10.0, "noise_heard"), (11.0, "request_sent"))
    assert colours(indicator, 11.0, 20.0) == [(11.0, OFF), (11.1, GREEN)]


def test_no_frame_blinks_amber_or_red() -> None:
    for history, colour in ((misses(9.0), AMBER), (misses(7.0, 8.0, 9.0), RED)):
        indicator = after(*MASTER, *history, (10.0, "request_sent"))
        assert colours(indicator, 10.0, 20.0) == [(10.0, colour)]


def test_noise_on_a_line_that_is_down_is_no_blip() -> None:
    indicator = after(*MASTER, (9.0, "line_down"), (10.0, "noise_heard"))
    assert colours(indicator, 10.0, 20.0) == [(10.0, RED)]


def test_a_red_blip_is_shown_to_its_end_and_the_wink_comes_after_it() -> None:
    indicator = after(*MASTER, (10.0, "noise_heard"), (10.05, "master_disconnected"))
    assert colours(indicator, 10.05, 12.5) == [(10.05, RED), (10.2, OFF), (12.1, RED), (12.2, OFF)]


@pytest.mark.parametrize("seed", range(20))
def test_what_is_meant_does_not_depend_on_the_led(seed: int) -> None:
    chance = random.Random(seed)
    single, two = Indicator(), Indicator(LedKind.BICOLOUR)
    now = 0.0
    for _ in range(200):
        event = chance.choice(EVENTS)
        getattr(single, event)(now)
        getattr(two, event)(now)
        assert single.state(now) is two.state(now)
        now += chance.choice([0.0, 0.01, 1.0, 7.0, 30.0])
        assert single.state(now) is two.state(now)


@pytest.mark.parametrize("seed", range(20))
def test_a_blip_is_never_shorter_than_100_ms(seed: int) -> None:
    """Frames, errors and misses at random: whatever is on between two greens lasts."""
    chance = random.Random(seed)
    indicator = after(*MASTER)
    now, seen = 10.0, [(0.0, GREEN)]
    for _ in range(300):
        getattr(indicator, chance.choice(("request_sent", "answer_received", "noise_heard")))(now)
        later = round(now + chance.choice([0.0, 0.01, 0.04, 0.13, 0.5, 3.0]), 3)
        seen += [change for change in colours(indicator, now, later) if change[1] is not seen[-1][1]]
        now = later
    lengths = [round(after_it[0] - blip[0], 3) for blip, after_it in pairwise(seen)]
    assert {colour for _, colour in seen} == {GREEN, OFF, RED}
    assert min(lengths) >= 0.1


def test_the_system_led_in_two_colours() -> None:
    heart = Heartbeat(["feeder"], LedKind.BICOLOUR)
    assert colours(heart, 0.0, 0.35) == [(0.0, RED), (0.1, OFF), (0.2, RED), (0.3, OFF)]
    heart.line_up("feeder", 1.0)
    assert colours(heart, 1.0, 2.5) == [(1.0, GREEN), (1.1, OFF), (2.0, GREEN), (2.1, OFF)]
