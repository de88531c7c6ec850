"""Pins by libgpiod, on a fake of it; at the end the real one, and a real chip if there is one."""

import errno
import importlib
import os
import threading
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

from hw.colour import Colour
from hw.gpio import GpioBackend, Panel, PanelWiring, open_panel
from hw.gpio_chips import HEADER_LABELS
from hw.inputs import Edge
from hw.wiring import BicolourPins, InputPin, LedPin, LedWiring, Pull, RelayPin
from tests.hw import fake_gpiod
from tests.hw.machines import Machine
from tests.support.descriptors import open_descriptors
from tests.support.leds import open_leds

HEADER: dict[int, str | OSError | None] = {0: "pinctrl-bcm2711"}
TWO: dict[str, LedWiring] = {"led1": LedPin(16), "led2": LedPin(23, active_low=True)}
UNUSABLE = "GPIO cannot be used, all LEDs stay dark:"


def opened(machine: Machine, **wiring: Any) -> tuple[fake_gpiod.FakeGpiod, Panel]:
    gpiod = machine.with_gpiod(HEADER)
    return gpiod, open_panel(PanelWiring(**wiring), backend=GpioBackend.GPIOD)


def settings_of(gpiod: fake_gpiod.FakeGpiod, line: int) -> fake_gpiod.LineSettings:
    request = gpiod.lines[line].request
    assert request is not None
    return request.settings


class TestTheChip:
    @pytest.mark.parametrize("label", HEADER_LABELS)
    def test_it_is_found_by_its_label(self, machine: Machine, label: str) -> None:
        gpiod = machine.with_gpiod({0: "raspberrypi-exp-gpio", 4: label, 11: "other"})
        outputs = open_leds(TWO, backend=GpioBackend.GPIOD)
        assert outputs.problem is None
        assert outputs.notes == (f"GPIO by libgpiod on {label}",)
        assert gpiod.open_chips == [machine.chip(4)]
        outputs.close()
        assert (gpiod.open_chips, gpiod.requested) == ([], set())
        outputs.close()

    def test_no_header_says_what_there_is(self, machine: Machine) -> None:
        gpiod = machine.with_gpiod(
            {10: OSError(errno.ENODEV, "No such device"), 0: "raspberrypi-exp-gpio", 2: None}
        )
        outputs = open_leds(TWO, backend=GpioBackend.GPIOD)
        assert outputs.problem == (
            f"{UNUSABLE} no Raspberry Pi header among the GPIO chips: "
            "gpiochip0 is raspberrypi-exp-gpio, "
            "gpiochip2 may not be opened (is this user in the group gpio?), "
            "gpiochip10 cannot be opened (No such device)"
        )
        assert gpiod.open_chips == []

    def test_no_permission_says_what_to_do(self, machine: Machine) -> None:
        machine.with_gpiod({0: None, 1: None})
        outputs = open_leds(TWO, backend=GpioBackend.GPIOD)
        assert outputs.problem == (
            f"{UNUSABLE} this user may not open {machine.chip(0)}, {machine.chip(1)}; "
            "add it to the group gpio"
        )

    def test_no_chip(self, machine: Machine) -> None:
        machine.with_gpiod({})
        (machine.dev / "gpiochip-udev-alias").touch()
        outputs = open_leds(TWO, backend=GpioBackend.GPIOD)
        assert outputs.problem == f"{UNUSABLE} this machine has no {machine.dev / 'gpiochip'}*"


class TestLines:
    def test_outputs_are_outputs_from_their_first_instant(self, machine: Machine) -> None:
        gpiod, panel = opened(machine, leds=TWO, relays={"lock": RelayPin(19, active_low=True)})
        assert {line: gpiod.lines[line].levels for line in (16, 23, 19)} == {
            16: [False],
            23: [True],
            19: [True],
        }
        assert [gpiod.lines[line].holder for line in (16, 23, 19)] == ["rtu-bridge"] * 3
        assert [settings_of(gpiod, line).active_low for line in (16, 23, 19)] == [False, True, True]
        assert all(settings_of(gpiod, line).direction is fake_gpiod.Direction.OUTPUT for line in (16, 23, 19))
        panel.close()
        assert gpiod.requested == set()

    def test_levels_follow_the_wiring(self, machine: Machine) -> None:
        gpiod, panel = opened(machine, leds=TWO)
        for lit in (True, False, True):
            for led in panel.leds.values():
                led.set(lit)
            assert [gpiod.lines[line].is_high for line in (16, 23)] == [lit, not lit]
            assert [panel.is_high(name) for name in TWO] == [lit, not lit]
        panel.close()
        assert [gpiod.lines[line].levels[-1] for line in (16, 23)] == [False, True], "dark when closed"

    def test_a_bicolour_led(self, machine: Machine) -> None:
        gpiod, panel = opened(machine, leds={"pair": BicolourPins(5, 6, active_low=True)})
        for colour, levels in (
            (Colour.RED, (False, True)),
            (Colour.GREEN, (True, False)),
            (Colour.AMBER, (False, False)),
            (Colour.OFF, (True, True)),
        ):
            panel.leds["pair"].set(colour)
            assert (gpiod.lines[5].is_high, gpiod.lines[6].is_high) == levels
        panel.leds["pair"].set(Colour.AMBER)
        panel.close()
        assert (gpiod.lines[5].is_high, gpiod.lines[6].is_high) == (True, True)

    @pytest.mark.parametrize(
        ("pull", "bias"), [(Pull.UP, "PULL_UP"), (Pull.DOWN, "PULL_DOWN"), (Pull.NONE, "DISABLED")]
    )
    @pytest.mark.parametrize("active_low", [False, True])
    def test_an_input(self, machine: Machine, pull: Pull, bias: str, active_low: bool) -> None:
        gpiod, panel = opened(machine, inputs={"door": InputPin(21, pull=pull, active_low=active_low)})
        door = panel.inputs["door"]
        settings = settings_of(gpiod, 21)
        assert (settings.bias.name, settings.edge_detection.name) == (bias, "BOTH")
        assert (settings.direction.name, settings.active_low) == ("INPUT", active_low)
        at_rest = pull is Pull.UP
        assert door.is_active == (at_rest != active_low)
        assert door.read_edges() == []
        gpiod.drive(21, high=not at_rest, at=3.25)
        gpiod.drive(21, high=at_rest, at=3.5)
        assert door.read_edges() == [
            Edge(3.25, at_rest == active_low),
            Edge(3.5, at_rest != active_low),
        ]
        assert door.read_edges() == []
        assert door.fileno() == gpiod.lines[21].request.fd  # type: ignore[union-attr]
        panel.close()
        panel.close()

    def test_a_pin_that_the_board_pulls_up(self, machine: Machine) -> None:
        gpiod, panel = opened(machine, inputs={"door": InputPin(3, pull=Pull.DOWN)})
        assert panel.pin_problems == {
            "input door": (
                "input door is not read, GPIO3 cannot be used: GPIO3 has a physical pull-up resistor"
            )
        }
        panel.close()
        assert gpiod.requested == set()

    @pytest.mark.parametrize("leds", [1, 20])
    def test_threads_do_not_grow_with_leds_and_inputs(self, machine: Machine, leds: int) -> None:
        before = set(threading.enumerate())
        _, panel = opened(
            machine,
            leds={f"led{pin}": LedPin(pin) for pin in range(4, 4 + leds)},
            inputs={"door": InputPin(27)},
        )
        assert (panel.problem, panel.pin_problems) == (None, {})
        assert set(threading.enumerate()) == before
        panel.close()

    def test_descriptors_are_given_back(self, machine: Machine) -> None:
        before = open_descriptors()
        _, panel = opened(machine, leds=TWO, inputs={"door": InputPin(27)}, button=InputPin(20))
        assert panel.button is not None
        panel.close()
        assert open_descriptors() == before


class TestLinesThatCannotBeHad:
    @pytest.mark.parametrize(
        ("holder", "why"),
        [
            ("gpioset", "it is in use by 'gpioset', another program or a kernel driver"),
            ("rtu-bridge", "it is in use by another rtu-bridge"),
            ("?", "it is in use by another program, which gave no name"),
            ("", "a kernel driver has claimed it, such as a UART, SPI or I2C of an overlay"),
        ],
    )
    def test_who_has_it(self, machine: Machine, holder: str, why: str) -> None:
        gpiod = machine.with_gpiod(HEADER)
        gpiod.wire(16).holder = holder
        outputs = open_leds(TWO, backend=GpioBackend.AUTO)
        assert outputs.problem is None
        assert outputs.pin_problems == {"led1": f"LED led1 stays dark, GPIO16 cannot be used: {why}"}
        assert outputs.is_high("led2") is True, "the others work"
        outputs.close()

    def test_used_twice_by_this_program(self, machine: Machine) -> None:
        _, panel = opened(machine, leds={**TWO, "led3": LedPin(16)})
        assert panel.pin_problems == {
            "led3": "LED led3 stays dark, GPIO16 cannot be used: it is already in use by this program"
        }
        panel.close()

    def test_not_on_the_header(self, machine: Machine) -> None:
        _, panel = opened(machine, leds={"led1": LedPin(28)})
        assert panel.pin_problems == {
            "led1": "LED led1 stays dark, GPIO28 cannot be used: 28 is not a valid pin name"
        }
        panel.close()

    @pytest.mark.parametrize(
        ("error", "why"),
        [
            (PermissionError(errno.EPERM, "Operation not permitted"), "Operation not permitted"),
            (ValueError(22, "Invalid argument"), "Invalid argument"),
        ],
    )
    def test_what_libgpiod_says(self, machine: Machine, error: Exception, why: str) -> None:
        gpiod = machine.with_gpiod(HEADER)

        def refuse(*_: object, **__: object) -> None:
            raise error

        machine.monkeypatch.setattr(gpiod.Chip, "request_lines", refuse)
        outputs = open_leds({"led1": LedPin(16)}, backend=GpioBackend.GPIOD)
        assert outputs.pin_problems == {"led1": f"LED led1 stays dark, GPIO16 cannot be used: {why}"}
        outputs.close()

    def test_a_pin_that_fails_does_not_keep_the_others_from_closing(self, machine: Machine) -> None:
        gpiod, panel = opened(machine, leds=TWO)
        panel.leds["led2"].set(True)
        gpiod.lines[16].is_broken = True
        with pytest.raises(OSError, match="Input/output error"):
            panel.leds["led1"].set(True)
        panel.close()
        assert gpiod.requested == set()
        assert gpiod.lines[23].is_high, "dark"


class TestTheFactoryAsGpiozeroUsesIt:
    """What gpiozero's own devices ask of a factory, beyond what the panel needs."""

    def factory(self, machine: Machine) -> Any:
        machine.with_gpiod(HEADER)
        return importlib.import_module("hw.gpiod_factory").open_header(frozenset())

    def test_its_devices_work(self, machine: Machine) -> None:
        import gpiozero

        factory = self.factory(machine)
        with gpiozero.LED("GPIO5", pin_factory=factory) as led:
            led.on()
            assert led.is_lit
            assert repr(led.pin) == "GPIO5"
        with gpiozero.InputDevice("BCM6", pull_up=True, pin_factory=factory) as contact:
            assert (contact.is_active, contact.pull_up) == (False, True)
            assert (contact.pin.function, contact.pin.pull) == ("input", "up")
        factory.close()

    def test_a_pin_is_one_object_under_all_its_names(self, machine: Machine) -> None:
        factory = self.factory(machine)
        assert len({factory.pin(name) for name in (7, "7", "GPIO7", "BCM7")}) == 1
        factory.close()

    def test_functions_and_pulls(self, machine: Machine) -> None:
        import gpiozero

        factory = self.factory(machine)
        pin = factory.pin(7)
        with pytest.raises(gpiozero.PinSetInput):
            pin.state = True
        assert pin.state is False
        pin.pull = "up"
        assert (pin.state, pin.pull) == (True, "up")
        pin.function = "output"
        assert (pin.state, pin.function) == (False, "output")
        with pytest.raises(gpiozero.PinFixedPull):
            pin.pull = "up"
        with pytest.raises(gpiozero.PinInvalidFunction):
            pin.function = "spi"
        pin.function = "input"
        with pytest.raises(gpiozero.PinInvalidPull):
            pin.pull = "sideways"
        assert pin.frequency is None
        assert factory.ticks_diff(factory.ticks(), factory.ticks()) <= 0
        factory.close()


def test_the_fake_has_nothing_that_the_real_one_lacks() -> None:
    pytest.importorskip("gpiod", reason="gpiod is for Linux on x86_64 and aarch64")
    for module, name in fake_gpiod.names_used():
        assert reduce(getattr, name.split("."), importlib.import_module(module)) is not None


def test_a_real_chip() -> None:
    """Reads one pin as an input, which harms nothing whatever is wired to it."""
    pytest.importorskip("gpiod", reason="gpiod is for Linux on x86_64 and aarch64")
    chips = sorted(Path("/dev").glob("gpiochip*"))
    if not any(os.access(chip, os.R_OK | os.W_OK) for chip in chips):
        pytest.skip("this machine has no GPIO chip that this user may open")
    panel = open_panel(PanelWiring(inputs={"any": InputPin(26)}), backend=GpioBackend.GPIOD)
    if panel.problem is not None and "no Raspberry Pi header" in panel.problem:
        pytest.skip(panel.problem)
    assert (panel.problem, panel.pin_problems) == (None, {})
    contact = panel.inputs["any"]
    assert contact.is_active in (False, True)
    assert isinstance(contact.fileno(), int)
    assert all(isinstance(edge, Edge) for edge in contact.read_edges())
    panel.close()
