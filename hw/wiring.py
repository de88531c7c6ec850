"""How LEDs, relays, inputs and the button are wired: values only. Pins are GPIO numbers (BCM)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Pull(Enum):
    """The resistor of the chip that holds an input while nothing drives it."""

    NONE = "none"
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class LedPin:
    """A single LED on a pin; `active_low`: a low level lights it."""

    pin: int
    active_low: bool = field(default=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class BicolourPins:
    """A red and a green LED in one lens, a pin each; amber is both."""

    red: int
    green: int
    active_low: bool = field(default=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class KernelLed:
    """An LED that the kernel has in /sys/class/leds, by its name there."""

    name: str


LedWiring = LedPin | BicolourPins | KernelLed


@dataclass(frozen=True, slots=True)
class RelayPin:
    """A relay or another load on a pin; `active_low`: a low level switches it on."""

    pin: int
    active_low: bool = field(default=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class InputPin:
    """A contact on a pin; `active_low`: a low level means active."""

    pin: int
    active_low: bool = field(default=False, kw_only=True)
    pull: Pull = field(default=Pull.DOWN, kw_only=True)


@dataclass(frozen=True, slots=True)
class PanelWiring:
    """Everything that is wired, by name."""

    leds: Mapping[str, LedWiring] = field(default_factory=dict)
    relays: Mapping[str, RelayPin] = field(default_factory=dict)
    inputs: Mapping[str, InputPin] = field(default_factory=dict)
    button: InputPin | None = None

    @property
    def active_low_pins(self) -> frozenset[int]:
        """The pins whose low level means lit, on or active."""
        pins: set[int] = set()
        for led in self.leds.values():
            if isinstance(led, LedPin) and led.active_low:
                pins.add(led.pin)
            elif isinstance(led, BicolourPins) and led.active_low:
                pins |= {led.red, led.green}
        contacts = (*self.inputs.values(), *([self.button] if self.button else []))
        pins |= {relay.pin for relay in self.relays.values() if relay.active_low}
        pins |= {contact.pin for contact in contacts if contact.active_low}
        return frozenset(pins)
