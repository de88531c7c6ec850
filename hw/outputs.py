"""Outputs: LEDs and relays as something to switch. Off when opened and when closed, and no threads."""

from contextlib import suppress
from typing import Any, Protocol

from hw.colour import Colour


class Output(Protocol):
    """One LED or relay."""

    @property
    def name(self) -> str:
        """Its name in the configuration."""

    def set(self, lit: bool | Colour) -> None:
        """Show a colour, or switch plainly on or off, at once.

        Raises whatever the pin library raises if the pin fails.
        """

    def close(self) -> None:
        """Switch off and give the pin back. Raises nothing; closing again is harmless."""


def is_lit(lit: bool | Colour) -> bool:
    """Say what a single LED shows."""
    return lit.is_lit if isinstance(lit, Colour) else lit


class NoOutput:
    """The output of an LED that has no pin: does nothing."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def set(self, lit: bool | Colour) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class PinOutput:
    """An LED or relay on one pin (a `gpiozero.DigitalOutputDevice`)."""

    __slots__ = ("_device", "_is_on", "_pin", "name")

    def __init__(self, name: str, device: Any) -> None:
        self.name = name
        self._device = device
        self._pin = device.pin
        self._is_on: bool | None = None
        """What was written last; None where that is not known."""

    @property
    def is_high(self) -> bool:
        """The electrical level, read from the pin. (A mock pin can still be read after `close`.)"""
        return bool(self._pin.state)

    def set(self, lit: bool | Colour) -> None:
        """Switch on or off. Plain levels: gpiozero's blink() would start a thread."""
        is_on = is_lit(lit)
        # Of a bi-colour LED mostly one pin changes, and writing is what an LED costs.
        if is_on is self._is_on:
            return
        self._is_on = None
        if is_on:
            self._device.on()
        else:
            self._device.off()
        self._is_on = is_on

    def close(self) -> None:
        """Switch off and give the pin back."""
        self._is_on = None
        # A pin that fails now must not keep its neighbours lit, and there is nothing left to do about it.
        with suppress(Exception):
            self._device.off()
        with suppress(Exception):
            self._device.close()


class ColourOutput:
    """A bi-colour LED on two pins. Plain `True` is green, which says nothing is wrong."""

    __slots__ = ("green", "name", "red")

    def __init__(self, name: str, *, red: PinOutput, green: PinOutput) -> None:
        self.name = name
        self.red = red
        self.green = green

    def set(self, lit: bool | Colour) -> None:
        """Show a colour. Sees to both pins, also when the first one fails."""
        colour = lit if isinstance(lit, Colour) else (Colour.GREEN if lit else Colour.OFF)
        try:
            self.red.set(colour in (Colour.RED, Colour.AMBER))
        finally:
            self.green.set(colour in (Colour.GREEN, Colour.AMBER))

    def close(self) -> None:
        """Darken both and give the pins back."""
        self.red.close()
        self.green.close()
