"""LEDs as symbols: lit and dark as the LED itself is."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.service.top.lamp import Lamp
from hw.indicator import Heartbeat, Indicator
from hw.pattern import LedKind
from tests.support import statuses

LIT, DARK = "●", "○"


def lamp(shown: dict[str, Any], frames_per_s: float = 0.0, errors_per_s: float = 0.0) -> Lamp:
    return Lamp.of(shown, "", frames_per_s, errors_per_s)


def symbols(of: Lamp, times: int = 20, step_s: float = 0.1) -> str:
    # In the middle of each tenth: on an edge both would be right.
    return "".join(of.symbol(step_s / 2 + step_s * each)[0] for each in range(times))


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("off", "○○○○○○○○○○"),
        ("idle", "●●●●●●●●●●"),
        ("missing", "●●●○○●●○○○"),
        ("silent", "●○●○●○●○●○"),
        ("noise", "●○●○○○○○○○"),
        ("lost", "●○○○○○○○○○"),
    ],
)
def test_the_patterns(state: str, expected: str) -> None:
    of = lamp(statuses.led(state))
    if state == "missing":
        assert symbols(of, 4, 0.25) == "●○●○"
    else:
        assert symbols(of, 10) == expected
    assert of.at(0.05).plain == f"{expected[0]} {state}"
    assert of.width == len(of.at(0.05).plain)


@pytest.mark.parametrize("kind", LedKind, ids=lambda kind: kind.value)
def test_every_look_that_an_indicator_has_is_known(kind: LedKind) -> None:
    """With a wrong `lit`, so that whoever does not know the pattern shows the wrong symbol."""
    looks = {}
    indicator = Indicator(kind)
    for begin in (
        lambda: None,
        lambda: indicator.master_connected(1.0),
        lambda: indicator.line_up(1.0),
        lambda: indicator.request_sent(10.0),
        lambda: indicator.answer_received(10.1),
        lambda: indicator.answer_missed(20.0),
        lambda: [indicator.answer_missed(21.0) for _ in range(3)],
        lambda: indicator.noise_heard(22.0),
        lambda: indicator.master_disconnected(40.0),
    ):
        begin()
        for now in (23.0, 50.0):
            looks[indicator.look(now).name] = indicator.look(now)
    for heart in (Heartbeat((), kind), Heartbeat(("bay1",), kind)):
        looks[heart.look(0.0).name] = heart.look(0.0)
    assert len(looks) >= 6
    for name, look in looks.items():
        for now in (0.01, 0.15, 0.35, 0.95):
            colour, _ = look.pattern.at(round(now * 1e6))
            shown = {
                "state": "x",
                "kind": kind.value,
                "pattern": name,
                "lit": not colour.is_lit,
                "colour": None,
                "overlay": None,
            }
            symbol, style = lamp(shown).symbol(now)
            assert symbol == (LIT if colour.is_lit else DARK), name
            if kind is LedKind.BICOLOUR and colour.is_lit:
                assert (
                    style == {"green": "bold green", "red": "bold red", "amber": "bold yellow"}[colour.value]
                )


def test_frames_blink_it_dark_and_not_faster_than_an_eye_sees() -> None:
    answering = statuses.led("answering")
    assert symbols(lamp(answering)) == LIT * 20
    assert symbols(lamp(answering, frames_per_s=1.0)) == "○●●●●●●●●●" * 2
    assert symbols(lamp(answering, frames_per_s=1000.0), 9) == "○●●" * 3
    assert DARK not in symbols(lamp(statuses.led("silent"), frames_per_s=1.0))[::2], (
        "it has a rhythm of its own"
    )


def test_errors_blink_a_bicolour_led_red() -> None:
    shown = statuses.led("noise", kind="bicolour", pattern="green, red blips", colour="green")
    noisy = lamp(shown, errors_per_s=1.0)
    assert [noisy.symbol(now)[1] for now in (0.05, 0.55)] == ["bold red", "bold green"]


def test_an_led_of_another_age_is_shown_as_it_was() -> None:
    for changed in ({"pattern": "rainbow"}, {"kind": "triple"}):
        assert lamp(statuses.led("idle", **changed)).symbol(0.0)[0] == LIT
        assert lamp(statuses.led("idle", lit=False, **changed)).symbol(0.0)[0] == DARK
    old = {"name": "led1", "state": "answering", "lit": True}
    assert lamp(old).at(0.0).plain == "● answering"


def test_it_says_what_it_was_asked_to_show() -> None:
    shown = statuses.led("silent", pattern="lamp test", overlay="lamp_test")
    assert lamp(shown).at(0.15).plain == "● silent, lamp test"
