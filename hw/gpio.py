"""The panel: opens LEDs, relays, inputs and the button, whatever of them this machine has.

A machine without GPIO is an ordinary machine: its LEDs do nothing, and one line says why. Nothing here starts
a thread per LED or input, and nothing that is wrong with the hardware raises.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from hw.inputs import Input, MockInput, PinInput
from hw.kernel_leds import KernelLedOutput
from hw.outputs import ColourOutput, NoOutput, Output, PinOutput
from hw.pins import GpioBackend, PinBank, open_pins
from hw.problems import reason
from hw.wiring import BicolourPins, InputPin, KernelLed, LedPin, LedWiring, PanelWiring, Pull, RelayPin

__all__ = [
    "BicolourPins",
    "GpioBackend",
    "Input",
    "InputPin",
    "KernelLed",
    "LedPin",
    "LedWiring",
    "Output",
    "Panel",
    "PanelWiring",
    "Pull",
    "RelayPin",
    "open_panel",
]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Panel:
    """What was opened. An LED is always there; a relay, an input or the button only if its pin is had."""

    leds: Mapping[str, Output]
    relays: Mapping[str, Output] = field(default_factory=dict)
    inputs: Mapping[str, Input] = field(default_factory=dict)
    button: Input | None = None
    problem: str | None = None
    """One line for the operator if there is no usable GPIO at all."""
    pin_problems: Mapping[str, str] = field(default_factory=dict)
    """One line for each thing whose pin could not be had: an LED by its name, others as in "relay trip"."""
    notes: tuple[str, ...] = ()
    """Lines about what is in use: the pin library and its chip, LEDs taken over from the kernel."""
    _bank: PinBank | None = None

    def is_high(self, name: str) -> bool | None:
        """Return the electrical level of a single LED's pin; None for other LEDs. Raises KeyError."""
        output = self.leds[name]
        return output.is_high if isinstance(output, PinOutput) else None

    def close(self) -> None:
        """Darken all LEDs, switch all relays off, release all pins. Raises nothing; again is harmless."""
        for output in (*self.leds.values(), *self.relays.values()):
            output.close()
        for contact in (*self.inputs.values(), *([self.button] if self.button else [])):
            contact.close()
        if self._bank is not None:
            self._bank.close()


def open_panel(wiring: PanelWiring, *, backend: GpioBackend) -> Panel:
    """Open everything that is wired: LEDs dark, relays off. Missing hardware never raises: see `problem`.

    LEDs of the kernel work without GPIO, but not with MOCK and NONE, which leave the machine alone.
    """
    opener = _Opener(backend)
    for name, led in wiring.leds.items():
        if isinstance(led, KernelLed):
            opener.open_kernel_led(name, led)
    problem, bank = None, None
    if backend is not GpioBackend.NONE and _needs_pins(wiring):
        try:
            bank = open_pins(backend, wiring.active_low_pins)
        except Exception as error:  # pin libraries raise classes of their own, and none may stop the bridge
            problem = f"GPIO cannot be used, {_consequences(wiring)}: {reason(error)}"
        else:
            opener.open_pins(wiring, bank)
    return Panel(
        leds={name: opener.leds.get(name, NoOutput(name)) for name in wiring.leds},
        relays=opener.relays,
        inputs=opener.inputs,
        button=opener.button,
        problem=problem,
        pin_problems=opener.problems,
        notes=(*([bank.description] if bank else []), *opener.notes),
        _bank=bank,
    )


class _Opener:
    """Opens one thing after the other, and keeps a line for each that cannot be opened."""

    def __init__(self, backend: GpioBackend) -> None:
        self._leaves_machine_alone = backend in (GpioBackend.MOCK, GpioBackend.NONE)
        self.leds: dict[str, Output] = {}
        self.relays: dict[str, Output] = {}
        self.inputs: dict[str, Input] = {}
        self.button: Input | None = None
        self.problems: dict[str, str] = {}
        self.notes: list[str] = []

    def open_kernel_led(self, name: str, led: KernelLed) -> None:
        if self._leaves_machine_alone:
            return
        output = self._try(name, f"LED {name} stays dark", lambda: KernelLedOutput(name, led.name))
        if output is None:
            return
        self.leds[name] = output
        if output.replaced_trigger is not None:
            self.notes.append(
                f"LED {name}: the kernel's LED {led.name} is taken from its trigger "
                f"{output.replaced_trigger} while this program runs"
            )

    def open_pins(self, wiring: PanelWiring, bank: PinBank) -> None:
        # Relays first: a pin that two things want by mistake goes to the one that must be off.
        for name, relay in wiring.relays.items():
            output = self._output(
                bank, name, relay.pin, f"relay {name}", "cannot be switched", relay.active_low
            )
            if output is not None:
                self.relays[name] = output
        for name, led in wiring.leds.items():
            lit: Output | None = None
            if isinstance(led, LedPin):
                lit = self._output(bank, name, led.pin, f"LED {name}", "stays dark", led.active_low, key=name)
            elif isinstance(led, BicolourPins):
                lit = self._bicolour(bank, name, led)
            if lit is not None:
                self.leds[name] = lit
        for name, contact in wiring.inputs.items():
            read = self._input(bank, name, contact, f"input {name}", "is not read")
            if read is not None:
                self.inputs[name] = read
        if wiring.button is not None:
            self.button = self._input(bank, "button", wiring.button, "the button", "does nothing")

    def _bicolour(self, bank: PinBank, name: str, led: BicolourPins) -> Output | None:
        halves: list[PinOutput] = []
        for pin in (led.red, led.green):
            half = self._output(bank, name, pin, f"LED {name}", "stays dark", led.active_low, key=name)
            if half is None:  # half an LED would lie
                for other in halves:
                    other.close()
                return None
            halves.append(half)
        return ColourOutput(name, red=halves[0], green=halves[1])

    def _output(
        self,
        bank: PinBank,
        name: str,
        pin: int,
        title: str,
        loss: str,
        active_low: bool,
        key: str | None = None,
    ) -> PinOutput | None:
        return self._try(
            key or title,
            f"{title} {loss}, GPIO{pin} cannot be used",
            lambda: PinOutput(name, bank.open_output(pin, active_low=active_low)),
        )

    def _input(self, bank: PinBank, name: str, wired: InputPin, title: str, loss: str) -> PinInput | None:
        kind = MockInput if bank.is_mock else PinInput
        return self._try(
            title,
            f"{title} {loss}, GPIO{wired.pin} cannot be used",
            lambda: kind(name, bank.open_input(wired.pin, pull=wired.pull), active_low=wired.active_low),
        )

    def _try(self, key: str, loss: str, open_it: Callable[[], _T]) -> _T | None:
        try:
            return open_it()
        except Exception as error:  # pin libraries raise classes of their own
            self.problems[key] = f"{loss}: {reason(error)}"
            return None


def _needs_pins(wiring: PanelWiring) -> bool:
    on_pins = (led for led in wiring.leds.values() if not isinstance(led, KernelLed))
    return any(True for _ in on_pins) or bool(wiring.relays or wiring.inputs or wiring.button)


def _consequences(wiring: PanelWiring) -> str:
    kinds = {isinstance(led, KernelLed) for led in wiring.leds.values()}
    return ", ".join(
        text
        for text, applies in (
            ("all LEDs stay dark", kinds == {False}),
            ("the LEDs on pins stay dark", kinds == {False, True}),
            ("no relay can be switched", bool(wiring.relays)),
            ("no input is read", bool(wiring.inputs)),
            ("the button does nothing", wiring.button is not None),
        )
        if applies
    )
