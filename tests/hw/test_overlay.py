"""Lamp test and locating, over lights that go on underneath."""

from hw.colour import Colour
from hw.indicator import Indicator, LedKind
from hw.overlay import Cover, Overlay
from tests.hw.test_indicator import MASTER
from tests.hw.timeline import colours, edges

OFF, GREEN, RED, AMBER = Colour.OFF, Colour.GREEN, Colour.RED, Colour.AMBER


def lost(kind: LedKind) -> tuple[Indicator, Overlay]:
    """A light that winks at even seconds."""
    indicator = Indicator(kind)
    for now, event in (*MASTER, (2.0, "master_disconnected")):
        getattr(indicator, event)(now)
    return indicator, Overlay(indicator)


def test_uncovered_it_is_the_light() -> None:
    for kind in LedKind:
        light, overlay = lost(kind)
        assert colours(overlay, 10.0, 20.0) == colours(light, 10.0, 20.0)
        assert (overlay.kind, overlay.covered_by(10.0)) == (kind, None)
        assert overlay.look(10.0) is light.look(10.0)


def test_lamp_test_of_a_single_led() -> None:
    _, overlay = lost(LedKind.SINGLE)
    overlay.cover(Cover.LAMP_TEST, 11.0, 3.0)
    assert edges(overlay, 11.0, 17.0) == [(11.0, True), (14.1, False), (16.0, True), (16.1, False)]
    assert overlay.look(13.9).name == "lamp test"
    assert [overlay.covered_by(now) for now in (13.999, 14.0)] == [Cover.LAMP_TEST, None]


def test_lamp_test_of_two_colours() -> None:
    _, overlay = lost(LedKind.BICOLOUR)
    overlay.cover(Cover.LAMP_TEST, 11.5, 3.0)
    assert colours(overlay, 11.5, 16.5) == [
        (11.5, RED),
        (12.5, GREEN),
        (13.5, AMBER),
        (14.5, OFF),
        (16.0, RED),
        (16.1, OFF),
    ]


def test_locate_is_a_flash_that_no_state_has() -> None:
    for kind, lit in ((LedKind.SINGLE, GREEN), (LedKind.BICOLOUR, AMBER)):
        _, overlay = lost(kind)
        overlay.cover(Cover.LOCATE, 11.0, 0.3)
        assert colours(overlay, 11.0, 12.05) == [
            (11.0, lit),
            (11.05, OFF),
            (11.1, lit),
            (11.15, OFF),
            (11.2, lit),
            (11.25, OFF),
            (12.0, GREEN if kind is LedKind.SINGLE else RED),
        ]


def test_its_end_is_announced_in_the_middle_of_a_step() -> None:
    _, overlay = lost(LedKind.BICOLOUR)
    overlay.cover(Cover.LAMP_TEST, 11.0, 1.3)
    assert colours(overlay, 11.0, 13.9) == [(11.0, RED), (12.0, GREEN), (12.3, OFF)]
    assert overlay.next_deadline(12.0) == 12.3


def test_what_happens_underneath_is_seen_afterwards() -> None:
    light, overlay = lost(LedKind.BICOLOUR)
    overlay.cover(Cover.LOCATE, 11.0, 1.0)
    light.master_connected(11.5)
    light.request_sent(11.95)
    assert colours(overlay, 11.999, 13.0) == [(11.999, OFF), (12.05, GREEN)], "the rest of the blip"


def test_uncover_ends_both() -> None:
    light, overlay = lost(LedKind.SINGLE)
    overlay.cover(Cover.LOCATE, 11.0, 60.0)
    overlay.cover(Cover.LAMP_TEST, 11.0, 3.0)
    overlay.uncover()
    assert colours(overlay, 11.5, 20.0) == colours(light, 11.5, 20.0)


def test_a_lamp_test_is_seen_over_locating_which_goes_on() -> None:
    _, overlay = lost(LedKind.SINGLE)
    overlay.cover(Cover.LOCATE, 10.0, 60.0)
    overlay.cover(Cover.LAMP_TEST, 11.0, 3.0)
    assert edges(overlay, 11.0, 14.11) == [(11.0, True), (14.05, False), (14.1, True)]
    assert [overlay.covered_by(now) for now in (13.0, 14.0, 69.9, 70.0)] == [
        Cover.LAMP_TEST,
        Cover.LOCATE,
        Cover.LOCATE,
        None,
    ]


def test_asked_again_it_begins_anew() -> None:
    _, overlay = lost(LedKind.BICOLOUR)
    overlay.cover(Cover.LAMP_TEST, 11.0, 3.0)
    overlay.cover(Cover.LAMP_TEST, 13.0, 3.0)
    assert colours(overlay, 13.0, 15.5) == [(13.0, RED), (14.0, GREEN), (15.0, AMBER)]
