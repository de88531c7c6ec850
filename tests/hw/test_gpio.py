import subprocess
import sys
import threading
from typing import Any

import pytest

from hw.board import DEFAULT_BOARD
from hw.colour import Colour
from hw.gpio import GpioBackend, PanelWiring, open_panel
from hw.inputs import MockInput
from hw.wiring import BicolourPins, InputPin, KernelLed, LedPin, Pull, RelayPin
from tests.hw.machines import Machine
from tests.support.leds import open_leds

TWO = {"led1": LedPin(16), "led2": LedPin(23, active_low=True)}
FULL = PanelWiring(
    leds={**TWO, "pair": BicolourPins(5, 6), "act": KernelLed("ACT")},
    relays={"horn": RelayPin(19), "lock": RelayPin(13, active_low=True)},
    inputs={"door": InputPin(21), "gas": InputPin(20, active_low=True, pull=Pull.UP)},
    button=InputPin(12, active_low=True, pull=Pull.UP),
)


def test_importing_hw_imports_no_pin_library() -> None:
    modules = (
        "import sys, hw.board, hw.driver, hw.gpio, hw.indicator, hw.input_reader; "
        "print({'gpiozero', 'gpiod', 'lgpio'} & sys.modules.keys())"
    )
    done = subprocess.run(
        [sys.executable, "-c", modules], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "set()\n"


def test_none_does_nothing_on_purpose(machine: Machine) -> None:
    act = machine.with_led("ACT")
    panel = open_panel(FULL, backend=GpioBackend.NONE)
    assert (panel.problem, panel.pin_problems, panel.notes) == (None, {}, ())
    panel.leds["led1"].set(True)
    panel.leds["act"].set(True)
    assert panel.is_high("led1") is None
    assert (dict(panel.relays), dict(panel.inputs), panel.button) == ({}, {}, None)
    assert (act / "brightness").read_text() == "255\n", "the machine is left alone"
    panel.close()


class TestMock:
    def test_levels_follow_the_wiring(self) -> None:
        outputs = open_leds(TWO, backend=GpioBackend.MOCK)
        assert (outputs.problem, outputs.pin_problems) == (None, {})
        assert outputs.notes == ("GPIO by mock pins, in memory only",)
        assert [outputs.is_high(name) for name in TWO] == [False, True], "dark when opened"
        for output in outputs.leds.values():
            output.set(True)
        assert [outputs.is_high(name) for name in TWO] == [True, False]
        outputs.close()
        assert [outputs.is_high(name) for name in TWO] == [False, True], "dark when closed"
        outputs.close()

    def test_everything_of_a_panel(self, machine: Machine) -> None:
        act = machine.with_led("ACT")
        panel = open_panel(FULL, backend=GpioBackend.MOCK)
        assert (panel.problem, panel.pin_problems) == (None, {})
        for things in (panel.leds, panel.relays, panel.inputs):
            assert [thing.name for thing in things.values()] == list(things)
        assert list(panel.leds) == ["led1", "led2", "pair", "act"]
        assert list(panel.relays) == ["horn", "lock"]
        assert {name: contact.is_active for name, contact in panel.inputs.items()} == dict.fromkeys(
            ("door", "gas"), False
        )
        assert panel.button is not None
        assert panel.button.is_active is False
        panel.leds["act"].set(True)
        assert (act / "brightness").read_text() == "255\n", "the bench leaves the machine alone"
        panel.close()
        panel.close()

    def test_relays_are_off_when_opened_and_when_closed(self) -> None:
        panel = open_panel(FULL, backend=GpioBackend.MOCK)
        relays: list[Any] = list(panel.relays.values())
        assert [relay.is_high for relay in relays] == [False, True]
        for relay in relays:
            relay.set(True)
        assert [relay.is_high for relay in relays] == [True, False]
        panel.close()
        assert [relay.is_high for relay in relays] == [False, True]

    def test_inputs_are_driven_by_the_bench(self) -> None:
        panel = open_panel(FULL, backend=GpioBackend.MOCK)
        for contact in (*panel.inputs.values(), panel.button):
            assert isinstance(contact, MockInput)
            assert (contact.is_active, contact.fileno(), contact.read_edges()) == (False, None, ())
            contact.drive(active=True)
            assert contact.is_active
            contact.drive(active=False)
            assert not contact.is_active
        panel.close()

    def test_default_board_opens(self) -> None:
        leds = {name: LedPin(pin) for name, pin in DEFAULT_BOARD.led_pins.items()}
        outputs = open_leds(leds, backend=GpioBackend.MOCK)
        assert (outputs.problem, outputs.pin_problems) == (None, {})
        assert [outputs.is_high(name) for name in leds] == [False] * 9
        outputs.close()

    def test_a_pin_in_use_is_one_line_and_the_others_work(self) -> None:
        wiring = PanelWiring(
            leds={**TWO, "led3": LedPin(16), "pair": BicolourPins(5, 23)},
            relays={"horn": RelayPin(19), "bell": RelayPin(19)},
            inputs={"door": InputPin(19)},
            button=InputPin(16),
        )
        panel = open_panel(wiring, backend=GpioBackend.MOCK)
        assert panel.problem is None
        why = "cannot be used: it is already in use by this program"
        assert panel.pin_problems == {
            "relay bell": f"relay bell cannot be switched, GPIO19 {why}",
            "led3": f"LED led3 stays dark, GPIO16 {why}",
            "pair": f"LED pair stays dark, GPIO23 {why}",
            "input door": f"input door is not read, GPIO19 {why}",
            "the button": f"the button does nothing, GPIO16 {why}",
        }
        assert (list(panel.relays), dict(panel.inputs), panel.button) == (["horn"], {}, None)
        panel.leds["led3"].set(True)
        panel.leds["pair"].set(Colour.RED)
        assert [panel.is_high(name) for name in ("led1", "led2", "led3", "pair")] == [False, True, None, None]
        panel.leds["led1"].set(True)
        assert panel.is_high("led1") is True
        panel.close()

    def test_half_a_bicolour_led_gives_its_pin_back(self) -> None:
        wiring = PanelWiring(leds={"pair": BicolourPins(5, 99), "led1": LedPin(5)})
        panel = open_panel(wiring, backend=GpioBackend.MOCK)
        assert list(panel.pin_problems) == ["pair"]
        assert panel.is_high("led1") is False
        panel.close()

    def test_a_pin_that_does_not_exist_is_one_line(self) -> None:
        outputs = open_leds({"led1": LedPin(99)}, backend=GpioBackend.MOCK)
        assert outputs.pin_problems == {
            "led1": "LED led1 stays dark, GPIO99 cannot be used: 99 is not a valid pin name"
        }
        outputs.close()

    def test_an_input_that_cannot_be_pulled_gives_its_pin_back(self) -> None:
        wiring = PanelWiring(inputs={"door": InputPin(2, pull=Pull.DOWN)})
        panel = open_panel(wiring, backend=GpioBackend.MOCK)
        assert panel.pin_problems == {
            "input door": "input door is not read, GPIO2 cannot be used: GPIO2 has a fixed pull resistor"
        }
        panel.close()

    def test_two_sets_of_mock_pins_are_two_machines(self) -> None:
        first, second = (open_leds(TWO, backend=GpioBackend.MOCK) for _ in range(2))
        first.leds["led1"].set(True)
        assert (first.is_high("led1"), second.is_high("led1")) == (True, False)
        first.close()
        second.close()

    def test_memory_is_bounded(self) -> None:
        """gpiozero's own mock pin appends every change to a list for ever."""
        outputs = open_leds(TWO, backend=GpioBackend.MOCK)
        output: Any = outputs.leds["led1"]
        for change in range(1000):
            output.set(change % 2 == 0)
        assert 0 < len(output._pin.states) < 100
        outputs.close()

    def test_no_thread_per_led_or_input(self) -> None:
        before = set(threading.enumerate())
        panel = open_panel(FULL, backend=GpioBackend.MOCK)
        for output in panel.leds.values():
            output.set(True)
        assert set(threading.enumerate()) == before
        panel.close()

    def test_without_gpiozero_one_line(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for module in ("gpiozero.pins", "gpiozero.pins.mock"):
            monkeypatch.delitem(sys.modules, module, raising=False)
        monkeypatch.setitem(sys.modules, "gpiozero", None)
        outputs = open_leds(TWO, backend=GpioBackend.MOCK)
        assert outputs.problem == (
            "GPIO cannot be used, all LEDs stay dark: the Python package gpiozero is not installed"
        )


class TestAuto:
    """Which library is used."""

    def test_no_gpio_is_one_line_and_outputs_that_do_nothing(self, machine: Machine) -> None:
        outputs = open_leds(TWO, backend=GpioBackend.AUTO)
        path = machine.dev / "gpiochip"
        assert outputs.problem == f"GPIO cannot be used, all LEDs stay dark: this machine has no {path}*"
        assert (outputs.pin_problems, outputs.notes) == ({}, ())
        for output in outputs.leds.values():
            output.set(True)
        assert outputs.is_high("led1") is None
        outputs.close()

    def test_the_line_says_everything_that_does_not_work(self, machine: Machine) -> None:
        act = machine.with_led("ACT")
        panel = open_panel(FULL, backend=GpioBackend.AUTO)
        assert panel.problem == (
            "GPIO cannot be used, the LEDs on pins stay dark, no relay can be switched, no input is read, "
            f"the button does nothing: this machine has no {machine.dev / 'gpiochip'}*"
        )
        panel.leds["act"].set(True)
        assert (act / "brightness").read_text() == "255", "an LED of the kernel needs no pins"
        panel.close()

    def test_nothing_on_pins_needs_no_gpio(self, machine: Machine) -> None:
        machine.with_led("ACT")
        panel = open_panel(PanelWiring(leds={"act": KernelLed("ACT")}), backend=GpioBackend.AUTO)
        assert (panel.problem, panel.pin_problems, panel.notes) == (None, {}, ())
        panel.close()

    def test_libgpiod_comes_first(self, machine: Machine) -> None:
        machine.with_lgpio({0: "pinctrl-bcm2711"})
        gpiod = machine.with_gpiod({0: "pinctrl-bcm2711"})
        outputs = open_leds(TWO, backend=GpioBackend.AUTO)
        assert outputs.notes == ("GPIO by libgpiod on pinctrl-bcm2711",)
        assert gpiod.requested == {16, 23}
        outputs.close()

    def test_lgpio_only_where_gpiod_is_missing(self, machine: Machine) -> None:
        lgpio = machine.with_lgpio({0: "pinctrl-bcm2711"})
        outputs = open_leds(TWO, backend=GpioBackend.AUTO)
        assert outputs.notes == (
            "GPIO by lgpio on pinctrl-bcm2711 (the Python package gpiod is not installed)",
        )
        assert lgpio.levels == {16: False, 23: True}
        outputs.close()

    def test_no_library_is_one_line(self, machine: Machine) -> None:
        machine.with_gpiod({0: "pinctrl-bcm2711"})
        for library in ("gpiod", "gpiod.line"):
            machine.monkeypatch.setitem(sys.modules, library, None)
        outputs = open_leds(TWO, backend=GpioBackend.AUTO)
        assert outputs.problem == (
            "GPIO cannot be used, all LEDs stay dark: neither gpiod nor lgpio can be used: "
            "the Python package gpiod is not installed; install it"
        )

    def test_libgpiod_1_is_not_taken_for_2(self, machine: Machine) -> None:
        gpiod: Any = machine.with_gpiod({0: "pinctrl-bcm2711"})
        machine.monkeypatch.delattr(type(gpiod), "LineSettings")
        outputs = open_leds(TWO, backend=GpioBackend.GPIOD)
        assert outputs.problem == (
            "GPIO cannot be used, all LEDs stay dark: "
            "the Python package gpiod is of libgpiod 1, and 2 is needed"
        )

    def test_gpiod_that_finds_no_header_is_not_replaced(self, machine: Machine) -> None:
        machine.with_lgpio({0: "pinctrl-bcm2711"})
        machine.with_gpiod({0: "gpio-mockup-A"})
        outputs = open_leds(TWO, backend=GpioBackend.AUTO)
        assert outputs.problem is not None
        assert "no Raspberry Pi header" in outputs.problem

    @pytest.mark.parametrize("backend", [GpioBackend.GPIOD, GpioBackend.LGPIO])
    def test_what_is_asked_for_by_name_is_never_replaced(
        self, machine: Machine, backend: GpioBackend
    ) -> None:
        if backend is GpioBackend.GPIOD:
            machine.with_lgpio({0: "pinctrl-bcm2711"})
        else:
            machine.with_gpiod({0: "pinctrl-bcm2711"})
        outputs = open_leds(TWO, backend=backend)
        assert outputs.problem == (
            f"GPIO cannot be used, all LEDs stay dark: the Python package {backend.value} is not installed"
        )
        assert outputs.notes == ()
