from typing import Any

import pytest

from hw.colour import Colour
from hw.outputs import ColourOutput, NoOutput, PinOutput, is_lit


class Pin:
    def __init__(self) -> None:
        self.state = False


class Device:
    """As much of a `gpiozero.DigitalOutputDevice` as an output uses."""

    def __init__(self) -> None:
        self.pin = Pin()
        self.is_broken = False
        self.is_closed = False

    def on(self) -> None:
        self._put(True)

    def off(self) -> None:
        self._put(False)

    def close(self) -> None:
        self.is_closed = True

    def _put(self, state: bool) -> None:
        if self.is_broken:
            raise OSError(5, "Input/output error")
        self.pin.state = state


def pair() -> tuple[ColourOutput, Device, Device]:
    red, green = Device(), Device()
    return ColourOutput("led1", red=PinOutput("led1", red), green=PinOutput("led1", green)), red, green


@pytest.mark.parametrize("colour", Colour)
def test_only_off_is_dark(colour: Colour) -> None:
    assert colour.is_lit == is_lit(colour) == (colour is not Colour.OFF)


def test_plain_levels_are_levels() -> None:
    assert (is_lit(True), is_lit(False)) == (True, False)


@pytest.mark.parametrize("shown", [*Colour, True, False])
def test_a_single_led_shows_any_colour_as_lit(shown: Colour | bool) -> None:
    device = Device()
    output = PinOutput("led1", device)
    output.set(shown)
    assert output.is_high is device.pin.state is (shown not in (Colour.OFF, False))


@pytest.mark.parametrize(
    ("shown", "red", "green"),
    [
        (Colour.OFF, False, False),
        (Colour.RED, True, False),
        (Colour.GREEN, False, True),
        (Colour.AMBER, True, True),
        (True, False, True),
        (False, False, False),
    ],
)
@pytest.mark.parametrize("before", Colour)
def test_a_bicolour_led(shown: Colour | bool, red: bool, green: bool, before: Colour) -> None:
    output, red_device, green_device = pair()
    output.set(before)
    output.set(shown)
    assert (red_device.pin.state, green_device.pin.state) == (red, green)


def test_a_pin_that_fails_does_not_keep_the_other_from_its_level() -> None:
    output, red, green = pair()
    red.is_broken = True
    with pytest.raises(OSError, match="Input/output error"):
        output.set(Colour.GREEN)
    assert green.pin.state


def test_closing_darkens_and_gives_back_whatever_fails() -> None:
    output, red, green = pair()
    output.set(Colour.AMBER)
    red.is_broken = True
    output.close()
    assert (red.is_closed, green.is_closed, green.pin.state) == (True, True, False)


def test_no_output_takes_everything() -> None:
    output: Any = NoOutput("led1")
    for shown in (*Colour, True, False):
        output.set(shown)
    output.close()
    assert output.name == "led1"
