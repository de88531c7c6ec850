"""LED pins. The one module that touches gpiozero, and it does so only when outputs are opened.

Left to itself gpiozero picks a pin library and falls back to the next in silence, so each device gets its
factory from here. A machine without GPIO is an ordinary machine: its outputs do nothing, and one line says
why. Nothing here starts a thread per LED.
"""

import importlib
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from glob import glob
from types import ModuleType
from typing import Any, Protocol

_CHIP_PATH = "/dev/gpiochip"

HEADER_LABELS = ("pinctrl-bcm2835", "pinctrl-bcm2711", "pinctrl-rp1")
"""Label of the chip behind the 40-pin header: Pi 0 to 3, Pi 4, Pi 5. Chip numbers vary with the kernel."""

_MOCK_REVISION = "c03111"  # a Pi 4B; named so that the environment cannot choose another
_MOCK_HISTORY = 64


class GpioBackend(Enum):
    """Where the outputs of the LEDs lead to."""

    AUTO = "auto"
    """The pins of this machine; outputs that do nothing if it has none."""
    MOCK = "mock"
    """Pins in memory, for the bench and for tests."""
    NONE = "none"
    """Nowhere, on purpose."""


@dataclass(frozen=True, slots=True)
class LedPin:
    """How an LED is wired: GPIO number (BCM), and whether a low level lights it."""

    pin: int
    active_low: bool = field(default=False, kw_only=True)


class Output(Protocol):
    """One LED as something to switch. Dark when opened."""

    @property
    def name(self) -> str:
        """The LED's name."""

    def set(self, lit: bool) -> None:
        """Light or darken the LED, at once. Raises whatever the pin library raises if the pin fails."""

    def close(self) -> None:
        """Darken the LED and give the pin back. Raises nothing; closing again is harmless."""


class NoOutput:
    """The output of an LED that has no pin: does nothing."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def set(self, lit: bool) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class PinOutput:
    """The output of an LED on a pin (a `gpiozero.DigitalOutputDevice`)."""

    __slots__ = ("_device", "_pin", "name")

    def __init__(self, name: str, device: Any) -> None:
        self.name = name
        self._device = device
        self._pin = device.pin

    @property
    def is_high(self) -> bool:
        """The electrical level, read from the pin. (A mock pin can still be read after `close`.)"""
        return bool(self._pin.state)

    def set(self, lit: bool) -> None:
        """Light or darken the LED. Plain on and off: gpiozero's blink() would start a thread."""
        if lit:
            self._device.on()
        else:
            self._device.off()

    def close(self) -> None:
        """Darken the LED and give the pin back."""
        # A pin that fails now must not keep its neighbours lit, and there is nothing left to do about it.
        with suppress(Exception):
            self._device.off()
        with suppress(Exception):
            self._device.close()


@dataclass(frozen=True, slots=True)
class Outputs:
    """The opened outputs, one for every LED asked for, whatever went wrong."""

    by_name: Mapping[str, Output]
    problem: str | None = None
    """One line for the operator if there is no usable GPIO at all; all outputs then do nothing."""
    pin_problems: Mapping[str, str] = field(default_factory=dict)
    """One line for each LED whose pin could not be had; its output does nothing, the others work."""
    _factory: Any = None

    def is_high(self, name: str) -> bool | None:
        """Return the electrical level of the LED's pin, or None if the LED has no pin. Raises KeyError."""
        output = self.by_name[name]
        return output.is_high if isinstance(output, PinOutput) else None

    def close(self) -> None:
        """Darken all LEDs and release all pins. Raises nothing; closing again is harmless."""
        for output in self.by_name.values():
            output.close()
        if self._factory is not None:
            with suppress(Exception):  # for the reason in PinOutput.close
                self._factory.close()


def open_outputs(leds: Mapping[str, LedPin], *, backend: GpioBackend) -> Outputs:
    """Open an output for each LED, dark. Missing hardware never raises: see `problem` and `pin_problems`."""
    nothing: dict[str, Output] = {name: NoOutput(name) for name in leds}
    if backend is GpioBackend.NONE or not leds:
        return Outputs(nothing)
    try:
        factory = _mock_factory() if backend is GpioBackend.MOCK else _lgpio_factory()
    except Exception as error:  # pin libraries raise classes of their own, and none may stop the bridge
        return Outputs(nothing, problem=f"GPIO cannot be used, all LEDs stay dark: {_reason(error)}")
    opened = dict(nothing)
    pin_problems = {}
    for name, led in leds.items():
        try:
            opened[name] = _open_pin(factory, name, led)
        except Exception as error:
            pin_problems[name] = f"LED {name} stays dark, GPIO{led.pin} cannot be used: {_reason(error)}"
    return Outputs(opened, pin_problems=pin_problems, _factory=factory)


class _GpioError(Exception):
    """Why the GPIO or a pin of it cannot be used, as half a sentence."""


def _lgpio_factory() -> Any:
    # Look before importing: an imported lgpio starts a thread and leaves a FIFO in the working directory.
    chips = sorted(glob(f"{_CHIP_PATH}[0-9]*"))
    if not chips:
        raise _GpioError(f"this machine has no {_CHIP_PATH}*")
    try:
        lgpio = importlib.import_module("lgpio")
    except OSError as error:  # its own message names the FIFO and not the cause
        raise _GpioError(f"lgpio needs a working directory that it may write to ({error})") from error
    number = _header_chip(lgpio, [int(path.removeprefix(_CHIP_PATH)) for path in chips])
    from gpiozero.pins.lgpio import LGPIOFactory

    factory = LGPIOFactory(chip=number)
    try:
        _ = factory.board_info  # not a Pi that gpiozero knows: found out once, here, and not once per pin
    except Exception:
        factory.close()
        raise
    return factory


def _header_chip(lgpio: ModuleType, numbers: list[int]) -> int:
    """Return the number of the chip with one of `HEADER_LABELS`; raises _GpioError with what was found."""
    found = []
    for number in numbers:
        try:
            handle = lgpio.gpiochip_open(number)
        except lgpio.error:
            found.append(f"gpiochip{number} cannot be opened (is this user in the group gpio?)")
            continue
        try:
            label = lgpio.gpio_get_chip_info(handle)[3]  # status, lines, name, label
        finally:
            lgpio.gpiochip_close(handle)
        if label in HEADER_LABELS:
            return number
        found.append(f"gpiochip{number} is {label}")
    raise _GpioError(f"no Raspberry Pi header among the GPIO chips: {', '.join(found)}")


def _mock_factory() -> Any:
    from gpiozero.pins.mock import MockFactory, MockPin

    class ForgetfulMockPin(MockPin):  # type: ignore[misc]  # gpiozero has no types
        """A mock pin keeps every change for ever; on a bench that blinks for weeks that fills the memory."""

        states: Any

        def clear_states(self) -> None:
            super().clear_states()
            self.states = deque(self.states, maxlen=_MOCK_HISTORY)

    return MockFactory(revision=_MOCK_REVISION, pin_class=ForgetfulMockPin)


def _open_pin(factory: Any, name: str, led: LedPin) -> PinOutput:
    from gpiozero import DigitalOutputDevice, GPIOPinInUse

    try:
        device = DigitalOutputDevice(
            led.pin, active_high=not led.active_low, initial_value=False, pin_factory=factory
        )
    except GPIOPinInUse:
        raise _GpioError("it is already in use by this program") from None
    return PinOutput(name, device)


def _reason(error: Exception) -> str:
    """Return an error as one line."""
    if isinstance(error, ModuleNotFoundError):
        return f"the Python package {(error.name or str(error)).partition('.')[0]} is not installed"
    text = " ".join(str(error).split())
    if text.startswith("'") and text.endswith("'"):  # lgpio quotes its messages
        text = text[1:-1]
    return text or type(error).__name__
