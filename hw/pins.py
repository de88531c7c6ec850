"""Which pin library is used, and gpiozero devices on it. gpiozero is imported only when pins are opened.

Left to itself gpiozero picks a pin library and falls back to the next in silence, so each device gets its
factory from here, and the bank says which one it is.
"""

import importlib
import os
from collections import deque
from contextlib import suppress
from enum import Enum
from types import ModuleType
from typing import Any

from hw.gpio_chips import chip_number, chip_paths, find_header
from hw.problems import GpioError, reason
from hw.wiring import Pull

_MOCK_REVISION = "c03111"  # a Pi 4B; named so that the environment cannot choose another
_MOCK_HISTORY = 64
_PULLS = {Pull.NONE: "floating", Pull.UP: "up", Pull.DOWN: "down"}


class GpioBackend(Enum):
    """Where the pins are. Only AUTO chooses, and none of the others falls back."""

    AUTO = "auto"
    """The pins of this machine, by libgpiod; by lgpio where only that is installed; none if it has none."""
    GPIOD = "gpiod"
    """The pins of this machine, by libgpiod 2: every Linux with the Python package gpiod."""
    LGPIO = "lgpio"
    """The pins of this machine, by lgpio: Raspberry Pi OS."""
    MOCK = "mock"
    """Pins in memory, for the bench and for tests."""
    NONE = "none"
    """Nowhere, on purpose."""


class PinBank:
    """The pins of one chip, or of memory, behind one gpiozero factory."""

    def __init__(self, factory: Any, description: str, *, is_mock: bool = False) -> None:
        self._factory = factory
        self.description = description
        """One line for the operator."""
        self.is_mock = is_mock
        """Whether somebody must drive the inputs."""

    def open_output(self, pin: int, *, active_low: bool) -> Any:
        """Return a `gpiozero.DigitalOutputDevice` that is off. Raises what `problems.reason` words."""
        from gpiozero import DigitalOutputDevice, GPIOPinInUse

        try:
            return DigitalOutputDevice(
                pin, active_high=not active_low, initial_value=False, pin_factory=self._factory
            )
        except GPIOPinInUse:
            raise GpioError("it is already in use by this program") from None

    def open_input(self, pin: int, *, pull: Pull) -> Any:
        """Return a `gpiozero.GPIODevice` whose pin is an input. Raises like `open_output`."""
        from gpiozero import GPIODevice, GPIOPinInUse

        try:
            device = GPIODevice(pin, pin_factory=self._factory)
        except GPIOPinInUse:
            raise GpioError("it is already in use by this program") from None
        try:
            # Not gpiozero's InputDevice: it knows no pulled-up input whose high level is the active one.
            device.pin.input_with_pull(_PULLS[pull])
        except Exception:
            device.close()
            raise
        return device

    def close(self) -> None:
        """Release all pins. Raises nothing."""
        with suppress(Exception):
            self._factory.close()


def open_pins(backend: GpioBackend, active_low_pins: frozenset[int]) -> PinBank:
    """Open the pins of a backend other than NONE.

    Raises GpioError and whatever the pin libraries raise; `problems.reason` makes a line of it.
    """
    match backend:
        case GpioBackend.AUTO:
            return _open_any(active_low_pins)
        case GpioBackend.GPIOD:
            return _open_gpiod(active_low_pins)
        case GpioBackend.LGPIO:
            return _open_lgpio("")
        case GpioBackend.MOCK:
            return PinBank(_mock_factory(), "GPIO by mock pins, in memory only", is_mock=True)
        case GpioBackend.NONE:
            raise ValueError("the backend NONE has no pins")


def _open_any(active_low_pins: frozenset[int]) -> PinBank:
    chip_paths()  # without a chip no library helps, so it is not the library that is missing
    try:
        return _open_gpiod(active_low_pins)
    except _NoLibraryError as missing:
        try:
            return _open_lgpio(f" ({missing})")
        except _NoLibraryError:
            raise GpioError(f"neither gpiod nor lgpio can be used: {missing}; install it") from None


class _NoLibraryError(GpioError):
    """The library of a backend is not there: the one reason for which AUTO tries another."""


def _open_gpiod(active_low_pins: frozenset[int]) -> PinBank:
    chip_paths()
    gpiod = _library("gpiod")
    # libgpiod 1 has the same name, and kernels of today do not answer it.
    if not hasattr(gpiod, "LineSettings"):
        raise _NoLibraryError("the Python package gpiod is of libgpiod 1, and 2 is needed")
    from hw.gpiod_factory import open_header

    factory = open_header(active_low_pins)
    return PinBank(factory, f"GPIO by libgpiod on {factory.label}")


def _open_lgpio(why: str) -> PinBank:
    # Look before importing: an imported lgpio starts a thread and leaves a FIFO in the working directory.
    chip_paths()
    try:
        lgpio = _library("lgpio")
    except OSError as error:  # its own message names the FIFO and not the cause
        raise GpioError(f"lgpio needs a working directory that it may write to ({error})") from error
    path, label = find_header(lambda path: _lgpio_label(lgpio, path))
    from gpiozero.pins.lgpio import LGPIOFactory

    factory = LGPIOFactory(chip=chip_number(path))
    try:
        _ = factory.board_info  # not a Pi that gpiozero knows: found out once, here, and not once per pin
    except Exception:
        factory.close()
        raise
    return PinBank(factory, f"GPIO by lgpio on {label}{why}")


def _library(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:  # also a wheel that was built for another machine
        raise _NoLibraryError(reason(error)) from error


def _lgpio_label(lgpio: ModuleType, path: str) -> str:
    if not os.access(path, os.R_OK | os.W_OK):
        raise PermissionError  # which lgpio does not tell from other failures
    handle = lgpio.gpiochip_open(chip_number(path))
    try:
        return str(lgpio.gpio_get_chip_info(handle)[3])  # status, lines, name, label
    finally:
        lgpio.gpiochip_close(handle)


def _mock_factory() -> Any:
    from gpiozero.pins.mock import MockFactory, MockPin

    class ForgetfulMockPin(MockPin):  # type: ignore[misc]  # gpiozero has no types
        """A mock pin keeps every change for ever; on a bench that blinks for weeks that fills the memory."""

        states: Any

        def clear_states(self) -> None:
            super().clear_states()
            self.states = deque(self.states, maxlen=_MOCK_HISTORY)

    return MockFactory(revision=_MOCK_REVISION, pin_class=ForgetfulMockPin)
