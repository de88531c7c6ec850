import pytest

from hw.gesture import HOLD_S, SHORT_PRESS_S, Gesture, PressGestures


@pytest.mark.parametrize(
    ("held_s", "expected"),
    [
        (0.05, Gesture.SHORT_PRESS),
        (SHORT_PRESS_S, Gesture.SHORT_PRESS),
        (1.001, None),
        (4.999, None),
        (HOLD_S, Gesture.HOLD),
        (60.0, Gesture.HOLD),
    ],
)
def test_how_long_it_was_held(held_s: float, expected: Gesture | None) -> None:
    button = PressGestures()
    button.pressed(0.0)
    assert button.released(held_s) is expected
    assert button.next_deadline() is None


def test_a_hold_is_told_while_it_lasts_and_only_once() -> None:
    button = PressGestures()
    button.pressed(10.0)
    assert button.next_deadline() == 15.0
    assert button.on_deadline(14.999) is None
    assert button.on_deadline(15.0) is Gesture.HOLD
    assert button.on_deadline(16.0) is None
    assert button.released(17.0) is None
    button.pressed(20.0)
    assert button.released(20.2) is Gesture.SHORT_PRESS


def test_a_button_that_was_down_from_the_beginning_says_nothing() -> None:
    button = PressGestures()
    assert button.on_deadline(100.0) is None
    assert button.released(100.0) is None
    button.pressed(101.0)
    assert button.released(101.1) is Gesture.SHORT_PRESS
