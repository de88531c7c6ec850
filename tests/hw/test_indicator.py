"""Timelines of the LEDs at literal times. Events are written (time, name of the input)."""

import random
from itertools import pairwise

import pytest

from hw.indicator import Heartbeat, HeartState, Indicator, LedKind, LedState
from hw.looks import BICOLOUR as TWO_COLOURS
from hw.looks import HEART, LAMP_TEST, NOISE_OVER, SINGLE, Verdict, look_of
from tests.hw.timeline import colours, edges

Event = tuple[float, str]

EVENTS = (
    "master_connected",
    "master_disconnected",
    "line_up",
    "line_down",
    "request_sent",
    "answer_received",
    "answer_missed",
    "noise_heard",
)
CONNECTED: list[Event] = [(0.0, "line_up"), (0.0, "master_connected")]


def misses(*times: float) -> list[Event]:
    return [event for time in times for event in ((time, "request_sent"), (time, "answer_missed"))]


def answers(*times: float) -> list[Event]:
    return [event for time in times for event in ((time, "request_sent"), (time, "answer_received"))]


def after(*history: Event) -> Indicator:
    indicator = Indicator()
    for now, event in history:
        getattr(indicator, event)(now)
    return indicator


MASTER: list[Event] = [*CONNECTED, *answers(0.0)]
"""A master that polls; the next poll is expected within 20 s, so it is idle after 60 s."""

ON, DARK = True, False


@pytest.mark.parametrize(
    ("state", "history", "timeline"),
    [
        (LedState.OFF, [], [(10.0, DARK)]),
        (LedState.OFF, [(1.0, "line_down"), (2.0, "noise_heard")], [(10.0, DARK)]),
        (
            LedState.LOST,
            [*MASTER, (10.0, "master_disconnected")],
            [(10.0, ON), (10.1, DARK), (12.0, ON), (12.1, DARK), (14.0, ON), (14.1, DARK)],
        ),
        (LedState.ANSWERING, MASTER, [(10.0, ON)]),
        (
            LedState.ANSWERING,
            [*MASTER, (10.0, "request_sent"), (10.0, "answer_received")],
            [(10.0, DARK), (10.1, ON), (10.3, DARK), (10.4, ON)],
        ),
        (
            LedState.MISSING,
            [*MASTER, *misses(10.0)],
            [(10.0, ON), (10.25, DARK), (10.5, ON), (10.75, DARK), (11.0, ON), (11.25, DARK)],
        ),
        (
            LedState.SILENT,
            [*MASTER, *misses(8.0, 9.0, 10.0)],
            [(10.0, ON), (10.1, DARK), (10.2, ON), (10.3, DARK), (10.4, ON), (10.5, DARK), (10.6, ON)],
        ),
        (
            LedState.SILENT,
            [*MASTER, (10.0, "line_down")],
            [(10.0, ON), (10.1, DARK), (10.2, ON), (10.3, DARK), (10.4, ON), (10.5, DARK), (10.6, ON)],
        ),
        (
            LedState.NOISE,
            [*MASTER, (10.0, "noise_heard")],
            [(10.0, ON), (10.1, DARK), (10.2, ON), (10.3, DARK), (11.0, ON), (11.1, DARK), (11.2, ON)],
        ),
    ],
)
def test_timeline(state: LedState, history: list[Event], timeline: list[tuple[float, bool]]) -> None:
    indicator = after(*history)
    assert indicator.state(10.0) is state
    assert edges(indicator, 10.0, 15.0)[: len(timeline)] == timeline
    if len(timeline) < 6:
        assert edges(indicator, 10.0, 15.0) == timeline, "nothing more happens"


def test_every_state_has_a_look_and_no_two_are_alike() -> None:
    """Idle and answering differ by the blinks alone."""
    assert SINGLE[LedState.IDLE] is SINGLE[LedState.ANSWERING]
    assert TWO_COLOURS[LedState.IDLE] is TWO_COLOURS[LedState.ANSWERING]
    for kind in LedKind:
        looks = [look_of(Verdict(state, LedState.ANSWERING), kind) for state in LedState]
        assert len({look.name for look in looks}) == len(LedState) - 1
        assert len({(look.pattern, look.frame_blip, look.error_blip) for look in looks}) == len(LedState) - 1
        assert len(set(HEART[kind].values())) == len(HeartState) == 4


def test_no_step_is_shorter_than_100_ms() -> None:
    hearts = (look for kind in HEART.values() for look in kind.values())
    looks = [*hearts, *SINGLE.values(), *TWO_COLOURS.values(), *NOISE_OVER.values(), *LAMP_TEST.values()]
    assert min(duration_s for look in looks for _, duration_s in look.pattern.steps) >= 0.1


@pytest.mark.parametrize(
    ("history", "now", "expected"),
    [
        # master
        ([(0.0, "line_up")], 1.0, LedState.OFF),
        ([*MASTER, (5.0, "master_disconnected"), (5.0, "master_connected")], 5.0, LedState.IDLE),
        ([*MASTER, (5.0, "master_connected"), (5.0, "request_sent")], 5.0, LedState.ANSWERING),
        ([(0.0, "line_down")], 1.0, LedState.OFF),
        ([*MASTER, (5.0, "master_disconnected"), (6.0, "line_down")], 6.0, LedState.LOST),
        # a line is down until it is up
        ([(0.0, "master_connected")], 1.0, LedState.SILENT),
        ([(0.0, "master_connected"), (1.0, "line_up")], 1.0, LedState.IDLE),
        # a line that comes back is shown as down for 1 s in all
        ([*MASTER, (5.0, "line_down"), (5.01, "line_up")], 5.999, LedState.SILENT),
        ([*MASTER, (5.0, "line_down"), (5.01, "line_up")], 6.0, LedState.ANSWERING),
        ([*MASTER, (5.0, "line_down"), (9.0, "line_up")], 9.0, LedState.ANSWERING),
        # missing: entered by one miss, left by three answers, not before 2 s
        ([*MASTER, *misses(5.0), *answers(5.1, 5.2)], 600.0, LedState.MISSING),
        ([*MASTER, *misses(5.0), *answers(5.1, 5.2, 5.3)], 6.999, LedState.MISSING),
        ([*MASTER, *misses(5.0), *answers(5.1, 5.2, 5.3)], 7.0, LedState.ANSWERING),
        ([*MASTER, *misses(5.0), *answers(6.0, 7.0, 8.0)], 8.0, LedState.ANSWERING),
        ([*MASTER, *misses(5.0), *answers(6.0, 7.0), *misses(8.0), *answers(9.0)], 11.0, LedState.MISSING),
        # silent: entered by three misses in a row, left by one answer, to missing
        ([*MASTER, *misses(5.0, 6.0)], 60.0, LedState.MISSING),
        ([*MASTER, *misses(5.0, 6.0, 7.0)], 3600.0, LedState.SILENT),
        ([*MASTER, *misses(5.0, 6.0), *answers(7.0), *misses(8.0)], 8.0, LedState.MISSING),
        ([*MASTER, *misses(5.0, 6.0, 7.0), *answers(8.0)], 8.0, LedState.MISSING),
        ([*MASTER, *misses(5.0, 6.0, 7.0), *answers(8.0, 9.0, 10.0)], 10.0, LedState.ANSWERING),
        # frames of one answer are one outcome; an unsolicited frame ends silence and no more
        ([*MASTER, *misses(5.0), *answers(6.0), *[(6.1, "answer_received")] * 9], 9.0, LedState.MISSING),
        ([*MASTER, *misses(5.0, 6.0, 7.0), *[(8.0, "answer_received")] * 9], 99.0, LedState.MISSING),
        # an answer that comes after the timeout is no answer to the request
        ([*MASTER, *misses(5.0), (5.5, "answer_received"), *answers(6.0, 7.0)], 9.0, LedState.MISSING),
        # misses outlive the session and the line
        (
            [
                *MASTER,
                *misses(5.0, 6.0),
                (6.1, "master_disconnected"),
                (7.0, "master_connected"),
                *misses(8.0),
            ],
            8.0,
            LedState.SILENT,
        ),
        (
            [*MASTER, *misses(5.0, 6.0, 7.0), (8.0, "line_down"), (20.0, "line_up")],
            20.0,
            LedState.SILENT,
        ),
        # idle: no request yet, or none for three expected intervals; a fault is not forgotten for that
        (CONNECTED, 0.0, LedState.IDLE),
        ([*CONNECTED, (1.0, "answer_received")], 1.0, LedState.IDLE),
        ([*CONNECTED, (1.0, "request_sent")], 1.0, LedState.ANSWERING),
        ([*CONNECTED, (1.0, "request_sent")], 60.999, LedState.ANSWERING),
        ([*CONNECTED, (1.0, "request_sent")], 61.0, LedState.IDLE),
        ([*CONNECTED, *answers(10.0, 20.0)], 49.999, LedState.ANSWERING),
        ([*CONNECTED, *answers(10.0, 20.0)], 50.0, LedState.IDLE),
        ([*CONNECTED, *answers(10.0, 20.0, 55.0)], 55.0, LedState.ANSWERING),
        ([*MASTER, (5.0, "line_down")], 3600.0, LedState.SILENT),
        ([*MASTER, *misses(5.0)], 3600.0, LedState.MISSING),
        ([*MASTER, *misses(5.0), (6.0, "master_disconnected")], 3600.0, LedState.LOST),
        # noise: remembered for 5 s, hides what it explains, hidden by a line that is down
        ([*MASTER, (5.0, "noise_heard")], 9.999, LedState.NOISE),
        ([*MASTER, (5.0, "noise_heard")], 10.0, LedState.ANSWERING),
        ([*MASTER, (5.0, "noise_heard"), (9.0, "noise_heard")], 13.999, LedState.NOISE),
        ([*MASTER, *misses(3.0, 4.0, 5.0), (5.0, "noise_heard")], 5.0, LedState.NOISE),
        ([*MASTER, *misses(3.0, 4.0, 5.0), (5.0, "noise_heard")], 10.0, LedState.SILENT),
        ([*MASTER, (5.0, "noise_heard"), *misses(6.0)], 6.0, LedState.NOISE),
        ([*MASTER, (5.0, "noise_heard"), (6.0, "line_down")], 6.0, LedState.SILENT),
        ([*MASTER, (5.0, "noise_heard"), (6.0, "master_disconnected")], 6.0, LedState.LOST),
    ],
)
def test_rules(history: list[Event], now: float, expected: LedState) -> None:
    assert after(*history).state(now) is expected


def test_with_every_third_answer_lost_the_state_does_not_flicker() -> None:
    indicator = after(*MASTER)
    seen = set()
    for poll in range(5, 65):
        for now, event in misses(poll) if poll % 3 == 2 else answers(poll):
            getattr(indicator, event)(now)
        seen |= {indicator.state(poll), indicator.state(poll + 0.999)}
    assert seen == {LedState.MISSING}


def test_a_single_noise_is_five_double_flashes_and_then_steady() -> None:
    indicator = after(*MASTER, (10.0, "noise_heard"))
    flashes = [time for time, lit in edges(indicator, 10.0, 60.0) if lit]
    assert flashes == [10.0, 10.2, 11.0, 11.2, 12.0, 12.2, 13.0, 13.2, 14.0, 14.2, 15.0]
    assert indicator.next_deadline(15.0) is None


def test_a_pattern_goes_on_while_its_cause_repeats() -> None:
    indicator = after(*MASTER, (10.0, "noise_heard"), (10.55, "noise_heard"))
    assert edges(indicator, 10.55, 11.15) == [(10.55, False), (11.0, True), (11.1, False)]


def test_a_pattern_that_time_ends_is_followed_from_that_instant() -> None:
    indicator = after(*MASTER, *misses(7.0, 8.0, 9.0), (9.03, "noise_heard"))
    silent = [edge for edge in edges(indicator, 9.03, 14.3) if edge[0] >= 14.0]
    assert silent == [(14.03, True), (14.13, False), (14.23, True)]
    # the same history, with a harmless event after the change that nobody asked about
    indicator.request_sent(20.0)
    assert indicator.state(20.0) is LedState.SILENT
    assert edges(indicator, 20.0, 20.3) == [(20.0, False), (20.03, True), (20.13, False), (20.23, True)]


def test_what_expired_before_the_last_event_does_not_move_the_pattern() -> None:
    old_faults = [(11.0, "line_down"), (11.0, "line_up"), (11.0, "noise_heard")]
    indicator = after(*MASTER, *old_faults, *misses(18.05, 19.05, 20.05))
    assert edges(indicator, 20.05, 20.3) == [(20.05, True), (20.15, False), (20.25, True)]


def test_a_frame_outside_answering_does_not_blink() -> None:
    quiet = after(*MASTER, (10.0, "line_down"))
    busy = after(*MASTER, (10.0, "line_down"), (10.12, "request_sent"))
    assert edges(busy, 10.12, 12.0) == edges(quiet, 10.12, 12.0)


def test_a_line_at_full_load_still_looks_lit() -> None:
    indicator = after(*MASTER)
    lit = 0
    for tick in range(1000):
        indicator.request_sent(10.0 + tick / 100)
        lit += indicator.is_lit(10.0 + tick / 100)
    assert 600 <= lit <= 700


def test_queries_change_nothing() -> None:
    asked = after(*MASTER, (5.0, "noise_heard"))
    for now in (6.0, 50.0, 7.0):
        asked.state(now)
        asked.is_lit(now)
        asked.next_deadline(now)
    asked.answer_missed(8.0)
    untouched = after(*MASTER, (5.0, "noise_heard"), (8.0, "answer_missed"))
    assert edges(asked, 8.0, 20.0) == edges(untouched, 8.0, 20.0)


def test_an_event_from_the_past_is_taken_as_simultaneous() -> None:
    late = after(*MASTER, (10.0, "noise_heard"), (9.07, "line_down"))
    assert edges(late, 10.0, 12.0) == edges(after(*MASTER, (10.0, "line_down")), 10.0, 12.0)


@pytest.mark.parametrize("kind", LedKind)
@pytest.mark.parametrize("seed", range(20))
def test_every_change_is_announced_whatever_happens(seed: int, kind: LedKind) -> None:
    """`colours` compares samples with deadlines; here over random histories, far from zero on the clock."""
    chance = random.Random(seed)
    indicator = Indicator(kind)
    now = 4_000_000.0
    for _ in range(150):
        getattr(indicator, chance.choice(EVENTS))(now)
        gap = round(chance.choice([0.0, 0.01, 0.03, 0.25, 1.0, 7.0]), 3)
        changes = colours(indicator, now, now + gap)
        assert all(a[1] != b[1] for a, b in pairwise(changes))
        now = round(now + gap, 3)


def test_idle_leds_do_not_wake_the_driver() -> None:
    indicator = after(*MASTER)
    assert indicator.state(59.0) is LedState.ANSWERING
    assert indicator.state(61.0) is LedState.IDLE
    assert indicator.next_deadline(59.0) is None, "answering and idle look alike"


def test_a_blip_is_shown_to_its_end_whatever_comes() -> None:
    lost = after(*MASTER, (10.0, "request_sent"), (10.05, "master_disconnected"))
    assert edges(lost, 10.05, 12.5) == [(10.05, DARK), (10.1, ON), (10.2, DARK), (12.1, ON), (12.2, DARK)]
    down = after(*MASTER, (10.0, "request_sent"), (10.05, "line_down"))
    assert edges(down, 10.05, 10.35) == [(10.05, DARK), (10.1, ON), (10.2, DARK), (10.3, ON)]


def test_a_blip_that_waits_when_the_state_changes_is_forgotten() -> None:
    indicator = after(*MASTER, (10.0, "request_sent"), (10.01, "answer_received"), (10.2, "line_down"))
    assert edges(indicator, 10.2, 10.55) == [(10.2, ON), (10.3, DARK), (10.4, ON), (10.5, DARK)]


def test_heartbeat_beats_when_all_lines_are_open() -> None:
    heart = Heartbeat(["feeder", "station"])
    assert edges(heart, 0.0, 0.35) == [(0.0, True), (0.1, False), (0.2, True), (0.3, False)]
    heart.line_up("feeder", 1.0)
    assert edges(heart, 1.0, 1.35) == [(1.0, True), (1.1, False), (1.2, True), (1.3, False)]
    heart.line_up("station", 2.03)
    assert edges(heart, 2.03, 4.1) == [(2.03, True), (2.13, False), (3.03, True), (3.13, False), (4.03, True)]
    heart.line_up("station", 4.5)
    assert edges(heart, 4.5, 5.1) == [(4.5, False), (5.03, True)], "said twice, the beat goes on"
    heart.line_down("feeder", 6.0)
    assert edges(heart, 6.0, 6.35) == [(6.0, True), (6.1, False), (6.2, True), (6.3, False)]


def test_what_the_system_led_says() -> None:
    heart = Heartbeat(["feeder"])
    assert (heart.state, heart.look(0.0).name) == (HeartState.LINE_DOWN, "5 Hz")
    heart.line_up("feeder", 1.0)
    assert (heart.state, heart.look(1.0).name) == (HeartState.BEATING, "beat")


def test_heartbeat_without_lines_beats() -> None:
    assert edges(Heartbeat([]), 0.0, 2.0) == [(0.0, True), (0.1, False), (1.0, True), (1.1, False)]
