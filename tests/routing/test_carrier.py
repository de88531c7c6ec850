"""When the line is free."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.routing.carrier import Carrier
from tests.routing.turn_bench import TIMING

NEVER = float("-inf")


def carrier(**changes: float) -> Carrier:
    return Carrier(replace(TIMING, **changes))  # type: ignore[arg-type]


def test_free_from_the_start() -> None:
    assert carrier(turnaround_s=1.0, post_transmit_s=1.0).free_from_s == NEVER


def test_turnaround_after_what_was_heard() -> None:
    line = carrier(turnaround_s=0.5)
    line.heard(1.0, None)
    assert line.silent_from_s == line.free_from_s == 1.5


def test_half_a_frame_holds_the_line_until_its_time_limit() -> None:
    line = carrier(turnaround_s=0.5)
    line.heard(1.0, 3.0)
    assert line.silent_from_s == 3.0
    line.heard(1.2, 1.3)
    assert line.silent_from_s == pytest.approx(1.7)
    line.heard(1.4, None)
    assert line.silent_from_s == pytest.approx(1.9)


def test_whoever_has_more_to_say_keeps_the_line() -> None:
    line = carrier(quiet_s=0.25)
    line.heard(1.0, None)
    line.more_follows(1.0)
    assert line.silent_from_s == line.free_from_s == 1.25
    line.heard(1.1, None)
    assert line.silent_from_s == 1.1


def test_more_to_follow_cuts_no_longer_silence_short() -> None:
    line = carrier(quiet_s=0.25, turnaround_s=0.5)
    line.heard(1.0, None)
    line.more_follows(1.0)
    assert line.silent_from_s == 1.5


def test_whoever_spoke_may_go_on() -> None:
    line = carrier(quiet_s=0.25)
    line.heard(1.0, None)
    assert line.speaking_until_s == 1.25


def test_our_octets_leave_at_the_baud_rate() -> None:
    line = carrier(pre_transmit_s=0.25, post_transmit_s=0.5)
    line.sent(100, 1.0)
    assert line.sent_until_s == pytest.approx(1.35)
    assert line.free_from_s == pytest.approx(1.85)
    assert line.silent_from_s == NEVER


def test_frames_follow_back_to_back() -> None:
    line = carrier(pre_transmit_s=0.25)
    line.sent(100, 1.0)
    line.sent(100, 1.0)
    assert line.sent_until_s == pytest.approx(1.45)
    line.sent(100, 2.0)
    assert line.sent_until_s == pytest.approx(2.35)


def test_dead_time() -> None:
    line = carrier(broadcast_dead_time_s=0.5)
    line.sent(100, 1.0)
    line.keep_silent()
    assert line.free_from_s == pytest.approx(1.6)
    line.answered(1.05)
    assert line.free_from_s == pytest.approx(1.6)


def test_an_answer_proves_that_the_request_left() -> None:
    line = carrier()
    line.sent(1000, 1.0)
    line.answered(1.1)
    assert line.sent_until_s == 1.1
    line.answered(5.0)
    assert line.sent_until_s == 1.1


def test_what_is_heard_before_the_request_began_proves_nothing() -> None:
    line = carrier(pre_transmit_s=0.5)
    line.sent(100, 1.0)
    line.answered(1.4)
    assert line.sent_until_s == pytest.approx(1.6)


def test_what_waits_in_the_port_is_bounded() -> None:
    line = carrier(port_frames=2)
    line.sent(292, 1.0)
    assert not line.is_port_full(1.0)
    line.sent(293, 1.0)
    assert line.is_port_full(1.0)
    assert not line.is_port_full(1.1)


def test_reset() -> None:
    line = carrier(pre_transmit_s=0.5)
    line.heard(1.0, 9.0)
    line.sent(100, 1.0)
    line.keep_silent()
    line.reset()
    assert line.free_from_s == line.sent_until_s == line.speaking_until_s == NEVER
