"""The appliance's front: its LEDs, button, contacts and relays, from the configuration to the pins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

from bridge.endpoints.events import note, warn
from bridge.service.configuration.config import Configuration, LedConfig, OutstationConfig
from bridge.service.front import led_requests
from bridge.service.front.relays import Relays
from hw.board import DEFAULT_BOARD, SYSTEM_LED
from hw.debounce import Change
from hw.driver import LedDriver
from hw.gesture import Gesture
from hw.gpio import GpioBackend, Panel, open_panel
from hw.indicator import Heartbeat, Indicator, LedKind
from hw.input_reader import ButtonReader, InputReader
from hw.looks import HeartState, LedState
from hw.outputs import NoOutput
from hw.overlay import Overlay
from hw.pattern import Light
from hw.wiring import BicolourPins, InputPin, KernelLed, LedPin, LedWiring, PanelWiring, Pull, RelayPin

BOARD_LEDS: Mapping[str, int] = DEFAULT_BOARD.led_pins
"""The LEDs that a configuration may use without defining them, if it names no board."""

LED_STATES: Final = tuple(state.value for state in LedState)
HEART_STATES: Final = tuple(state.value for state in HeartState)
"""What the status may say of an outstation's LED, and of the system LED."""


class Moved(NamedTuple):
    """A contact ("input") or a relay that changed."""

    section: str
    name: str
    at: float
    """Monotonic seconds: when a contact left its old level, not when it had settled."""


class FrontPanel:
    """What a technician sees and touches. To be made in a running loop; `start`, in the end `await close()`.

    `held` is called when the button was held for long: the program is to end. `moved` hears of each
    contact and relay that changed. Missing hardware stops nothing.
    With `is_outdated` the system LED says that the configuration is not the one that somebody brought.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        clock: Callable[[], float],
        held: Callable[[], None],
        moved: Callable[[Moved], None] = lambda _: None,
        is_outdated: bool = False,
    ) -> None:
        self._clock = clock
        self._held = held
        self._moved = moved
        self._leds = {outstation.name: outstation.led for outstation in configuration.outstations}
        wiring = _wiring(configuration)
        kinds = {
            name: LedKind.BICOLOUR if isinstance(led, BicolourPins) else LedKind.SINGLE
            for name, led in wiring.leds.items()
        }
        at_rest = HeartState.WRONG_CONFIGURATION if is_outdated else HeartState.BEATING
        self.heartbeat = Heartbeat(configuration.lines, kinds[SYSTEM_LED], at_rest)
        self.indicators = {
            outstation.name: Indicator(kinds.get(outstation.led or "", LedKind.SINGLE))
            for outstation in configuration.outstations
        }
        self.panel: Panel = open_panel(wiring, backend=GpioBackend(configuration.service.gpio))
        self._driver = LedDriver(self._lights(), self.panel.leds)
        self.inputs: Mapping[str, InputReader] = {
            name: InputReader(
                source,
                debounce_s=configuration.inputs[name].debounce_s,
                changed=partial(self._input_changed, name),
            )
            for name, source in self.panel.inputs.items()
        }
        """The contacts that could be opened, by name."""
        self.relays = Relays(self.panel.relays, self._relay_moved)
        button = self.panel.button
        self._button = None if button is None else ButtonReader(button, gestured=self._gestured)

    def report(self) -> None:
        """Log which pins are used, and which cannot be."""
        for line in self.panel.notes:
            note("GPIO", use=line)
        for problem in (self.panel.problem, *self.panel.pin_problems.values()):
            if problem is not None:
                warn("no GPIO", reason=problem)

    def start(self) -> None:
        """Light the LEDs, follow the contacts and the button."""
        self._driver.start()
        for reader in self.inputs.values():
            reader.start()
        if self._button is not None:
            self._button.start()

    async def close(self) -> None:
        """Leave everything dark and off."""
        self.relays.close()
        if self._button is not None:
            self._button.close()
        for reader in self.inputs.values():
            reader.close()
        await self._driver.close()
        self.panel.close()

    def changed(self, led: str | None = None) -> None:
        """Say that an event reached an indicator; None: several, or the heartbeat."""
        self._driver.changed(led)

    def led_status(self, outstation: OutstationConfig | None) -> dict[str, Any]:
        """Return what the status says of an outstation's LED, or of the system LED."""
        now = self._clock()
        if outstation is None:
            heart = self._driver.lights[SYSTEM_LED]
            return _led_status(SYSTEM_LED, self.heartbeat.state.value, heart, now)
        indicator, led = self.indicators[outstation.name], outstation.led
        light = indicator if led is None else self._driver.lights[led]
        return _led_status(led, indicator.state(now).value, light, now)

    def obey(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Carry out a request of the control socket about the LEDs, and return its answer."""
        return led_requests.obey(request, self._driver, self._leds, self._unlit())

    def _unlit(self) -> led_requests.Unlit:
        panel = self.panel
        usual = panel.problem or 'gpio is "none" in the configuration'
        by_led = {
            name: panel.pin_problems.get(name, usual)
            for name, output in panel.leds.items()
            if isinstance(output, NoOutput)
        }
        # Where there is no GPIO at all, that is the reason; else that of any LED will do.
        is_dark = len(by_led) == len(panel.leds)
        return led_requests.Unlit(by_led, (panel.problem or by_led[SYSTEM_LED]) if is_dark else None)

    def _gestured(self, gesture: Gesture) -> None:
        note("button", gesture=gesture.value)
        if gesture is Gesture.HOLD:
            self._held()
        else:
            self.lamp_test()

    def lamp_test(self, duration_s: float = led_requests.LAMP_TEST_S) -> None:
        """Light all LEDs."""
        self._driver.lamp_test(duration_s)

    def end_lamp_test(self) -> None:
        """Let the LEDs show again what happens."""
        self._driver.uncover()

    def _input_changed(self, name: str, change: Change) -> None:
        note("input", name=name, active=change.is_active)
        self._moved(Moved("input", name, change.at))

    def _relay_moved(self, name: str) -> None:
        note("relay", name=name, on=self.relays.is_on(name))
        self._moved(Moved("relay", name, self._clock()))

    def _lights(self) -> dict[str, Light]:
        lights: dict[str, Light] = {SYSTEM_LED: self.heartbeat}
        for name, led in self._leds.items():
            if led is not None:
                lights[led] = self.indicators[name]
        return lights


def _led_status(name: str | None, state: str, light: Light, now: float) -> dict[str, Any]:
    cover = light.covered_by(now) if isinstance(light, Overlay) else None
    return {
        "name": name,
        "kind": light.kind.value,
        "state": state,
        "pattern": light.look(now).name,
        # A single LED has the colour that was soldered, and nobody told us which.
        "colour": light.colour(now).value if light.kind is LedKind.BICOLOUR else None,
        "lit": light.is_lit(now),
        "overlay": None if cover is None else cover.value,
    }


def _wiring(configuration: Configuration) -> PanelWiring:
    """Return what is used: the system LED, those of the outstations, and every contact and relay."""
    used = {SYSTEM_LED, *(o.led for o in configuration.outstations if o.led is not None)}
    leds: dict[str, LedWiring] = {
        name: LedPin(pin) for name, pin in configuration.board_leds.items() if name in used
    }
    leds |= {led.name: _led_wiring(led) for led in configuration.leds.values() if led.name in used}
    button = configuration.button
    return PanelWiring(
        leds=leds,
        relays={
            relay.name: RelayPin(relay.pin, active_low=relay.active_low)
            for relay in configuration.relays.values()
        },
        inputs={
            contact.name: InputPin(contact.pin, active_low=contact.active_low, pull=Pull(contact.pull))
            for contact in configuration.inputs.values()
        },
        button=None
        if button is None
        else InputPin(button.pin, active_low=button.active_low, pull=Pull(button.pull)),
    )


def _led_wiring(led: LedConfig) -> LedWiring:
    if led.kernel is not None:
        return KernelLed(led.kernel)
    if led.red is not None and led.green is not None:
        return BicolourPins(led.red, led.green, active_low=led.active_low)
    assert led.pin is not None, "an LED is wired in one of three ways"
    return LedPin(led.pin, active_low=led.active_low)
