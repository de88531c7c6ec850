"""gpiozero's pins on libgpiod 2, the kernel's own interface. Import it only when pins are opened.

gpiozero brings factories for the pin libraries of Raspberry Pi OS only, and for machines that it knows as a
Pi. This one needs a chip and nothing else: pins are the chip's lines 0 to 27, which are the BCM numbers.
There are no threads: whoever waits for an input adds the pin's `fileno()` to the event loop.
"""

from __future__ import annotations  # libgpiod 1 has not all of these types

import errno
from time import monotonic
from typing import Any

import gpiod
from gpiod.line import Bias, Clock, Direction, Edge, Value
from gpiozero import PinFixedPull, PinInvalidFunction, PinInvalidPin, PinInvalidPull, PinSetInput
from gpiozero.pins import BoardInfo, Factory, HeaderInfo, Pin, PinInfo

from hw.board import LAST_GPIO
from hw.gpio_chips import find_header
from hw.problems import GpioError

CONSUMER = "rtu-bridge"
"""What `gpioinfo` shows beside our lines."""

_NAMELESS = "?"
"""What libgpiod tells the kernel for programs that give no name."""
_MOST_EDGES = 64
_FIXED_PULLS = {2: "up", 3: "up"}  # resistors on the board, for I2C
_BIASES = {"up": Bias.PULL_UP, "down": Bias.PULL_DOWN, "floating": Bias.DISABLED}


def open_header(active_low_pins: frozenset[int]) -> GpiodFactory:
    """Return a factory for the header's chip. Raises GpioError if there is none that this user may open."""
    path, label = find_header(_label)
    return GpiodFactory(path, label, active_low_pins)


def _label(path: str) -> str:
    with gpiod.Chip(path) as chip:
        return str(chip.get_info().label)


class GpiodFactory(Factory):  # type: ignore[misc]  # gpiozero has no types
    """A `gpiozero.Factory` on one chip.

    Lines of `active_low_pins` are requested as active low, so that the kernel and `gpioinfo` know; a pin's
    `state` is the electrical level all the same, as gpiozero has it. Raises OSError if the chip cannot be
    opened.
    """

    def __init__(self, path: str, label: str, active_low_pins: frozenset[int] = frozenset()) -> None:
        super().__init__()
        self.label = label
        self.active_low_pins = active_low_pins
        self._chip = gpiod.Chip(path)
        self._board = _board(label)
        self._pins: dict[int, GpiodPin] = {}

    def close(self) -> None:
        """Release all lines and close the chip."""
        for pin in self._pins.values():
            pin.close()
        self._pins.clear()
        self._chip.close()

    def pin(self, name: Any) -> GpiodPin:
        """Return the pin that gpiozero calls `name`, always the same object."""
        for _, info in self._board.find_pin(name):
            return self._pins.setdefault(info.number, GpiodPin(self, info))
        raise PinInvalidPin(f"{name} is not a valid pin name")

    @staticmethod
    def ticks() -> float:
        """Return monotonic seconds."""
        return monotonic()

    @staticmethod
    def ticks_diff(later: float, earlier: float) -> float:
        """Return the seconds between two ticks."""
        return later - earlier

    def _get_board_info(self) -> Any:
        return self._board

    def request(self, line: int, settings: gpiod.LineSettings) -> gpiod.LineRequest:
        """Request a line for this program alone. Raises GpioError with who has it, or libgpiod's errors."""
        try:
            return self._chip.request_lines({line: settings}, consumer=CONSUMER)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
        raise GpioError(self._holder(line))

    def _holder(self, line: int) -> str:
        try:
            consumer = self._chip.get_line_info(line).consumer
        except OSError:
            return "it is in use"
        if consumer == CONSUMER:
            return f"it is in use by another {CONSUMER}"
        if consumer == _NAMELESS:
            return "it is in use by another program, which gave no name"
        if consumer:
            return f"it is in use by {consumer!r}, another program or a kernel driver"
        return "a kernel driver has claimed it, such as a UART, SPI or I2C of an overlay"


class GpiodPin(Pin):  # type: ignore[misc]
    """One line. It is requested at its first use, as what it shall be: no output is ever an input before."""

    def __init__(self, factory: GpiodFactory, info: Any) -> None:
        super().__init__()
        self._factory = factory
        self._info = info
        self._line: int = info.number
        self._active_low = self._line in factory.active_low_pins
        self._function = "input"
        self._pull = info.pull or "floating"
        self._request: gpiod.LineRequest | None = None

    def __repr__(self) -> str:
        return str(self._info.name)

    def close(self) -> None:
        """Give the line back."""
        if self._request is not None:
            self._request.release()
            self._request = None

    def output_with_state(self, state: object) -> None:
        """Make the line an output that has this level from its first instant."""
        self._configure(
            gpiod.LineSettings(
                direction=Direction.OUTPUT, active_low=self._active_low, output_value=self._value(bool(state))
            )
        )
        self._function = "output"

    def input_with_pull(self, pull: str) -> None:
        """Make the line an input whose edges are kept until `read_edges`."""
        if pull not in _BIASES:
            raise PinInvalidPull(f'invalid pull "{pull}" for pin {self!r}')
        if self._info.pull not in (pull, ""):
            raise PinFixedPull(f"{self!r} has a physical pull-{self._info.pull} resistor")
        self._configure(
            gpiod.LineSettings(
                direction=Direction.INPUT,
                active_low=self._active_low,
                bias=_BIASES[pull],
                edge_detection=Edge.BOTH,
                event_clock=Clock.MONOTONIC,
            )
        )
        self._function, self._pull = "input", pull

    def fileno(self) -> int:
        """Return the descriptor that is readable while there are edges to read."""
        return self._requested().fd

    def read_edges(self) -> list[tuple[float, bool]]:
        """Return (monotonic seconds, electrical level) of edges not read before; never waits."""
        request = self._requested()
        if not request.wait_edge_events(0.0):
            return []
        return [
            (event.timestamp_ns / 1e9, (event.event_type is event.Type.RISING_EDGE) != self._active_low)
            for event in request.read_edge_events(_MOST_EDGES)
        ]

    def _configure(self, settings: gpiod.LineSettings) -> None:
        if self._request is None:
            self._request = self._factory.request(self._line, settings)
        else:
            self._request.reconfigure_lines({self._line: settings})

    def _requested(self) -> gpiod.LineRequest:
        if self._request is None:
            self.input_with_pull(self._pull)
        assert self._request is not None
        return self._request

    def _value(self, state: bool) -> Value:
        return Value.ACTIVE if state != self._active_low else Value.INACTIVE

    def _get_info(self) -> Any:
        return self._info

    def _get_function(self) -> str:
        return self._function

    def _set_function(self, value: str) -> None:
        if value == "output":
            self.output_with_state(False)
        elif value == "input":
            self.input_with_pull(self._pull)
        else:
            raise PinInvalidFunction(f'invalid function "{value}" for pin {self!r}')

    def _get_state(self) -> bool:
        return (self._requested().get_value(self._line) is Value.ACTIVE) != self._active_low

    def _set_state(self, value: object) -> None:
        if self._function != "output":
            raise PinSetInput(f"cannot set state of pin {self!r}")
        self._requested().set_value(self._line, self._value(bool(value)))

    def _get_pull(self) -> str:
        return str(self._pull)

    def _set_pull(self, value: str) -> None:
        if self._function != "input":
            raise PinFixedPull(f"cannot set pull on non-input pin {self!r}")
        self.input_with_pull(value)


def _board(label: str) -> Any:
    """Return what gpiozero wants to know of a board: that it has these pins. The rest it only prints."""
    pins = {
        number: PinInfo(
            number=number,
            name=f"GPIO{number}",
            names=frozenset({number, str(number), f"GPIO{number}", f"BCM{number}"}),
            pull=_FIXED_PULLS.get(number, ""),
            row=number + 1,
            col=1,
            interfaces=frozenset({"gpio"}),
        )
        for number in range(LAST_GPIO + 1)
    }
    header = HeaderInfo(name="GPIO", rows=len(pins), columns=1, pins=pins)
    unknown = dict.fromkeys(BoardInfo._fields, "")
    return BoardInfo(**{**unknown, "model": label, "headers": {"GPIO": header}})
