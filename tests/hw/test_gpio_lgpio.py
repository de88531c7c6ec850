"""Pins by lgpio, as on Raspberry Pi OS, on a fake of it."""

import os
import sys

import pytest

from hw.gpio import GpioBackend, PanelWiring, open_panel
from hw.gpio_chips import HEADER_LABELS
from hw.wiring import InputPin, LedPin, Pull
from tests.hw.machines import Machine
from tests.support.leds import open_leds

TWO = {"led1": LedPin(16), "led2": LedPin(23, active_low=True)}
UNUSABLE = "GPIO cannot be used, all LEDs stay dark:"


def test_a_read_only_working_directory_is_one_line(machine: Machine) -> None:
    machine.with_lgpio({0: "pinctrl-bcm2711"})
    machine.monkeypatch.delitem(sys.modules, "lgpio")
    (machine.dev / "lgpio.py").write_text("open('/nowhere/.lgd-nfy-3')")
    machine.monkeypatch.syspath_prepend(machine.dev)
    outputs = open_leds(TWO, backend=GpioBackend.LGPIO)
    assert outputs.problem == (
        f"{UNUSABLE} lgpio needs a working directory that it may write to "
        "([Errno 2] No such file or directory: '/nowhere/.lgd-nfy-3')"
    )


def test_without_a_chip_lgpio_is_not_imported(machine: Machine) -> None:
    (machine.dev / "lgpio.py").write_text("raise AssertionError('it starts a thread')")
    machine.monkeypatch.delitem(sys.modules, "lgpio")
    machine.monkeypatch.syspath_prepend(machine.dev)
    outputs = open_leds(TWO, backend=GpioBackend.LGPIO)
    assert outputs.problem == f"{UNUSABLE} this machine has no {machine.dev / 'gpiochip'}*"


def test_no_header_says_what_there_is(machine: Machine) -> None:
    lgpio = machine.with_lgpio({0: "raspberrypi-exp-gpio", 1: None})
    outputs = open_leds(TWO, backend=GpioBackend.LGPIO)
    assert outputs.problem == (
        f"{UNUSABLE} no Raspberry Pi header among the GPIO chips: "
        "gpiochip0 is raspberrypi-exp-gpio, gpiochip1 cannot be opened (can not open gpiochip)"
    )
    assert lgpio.open_handles == []


def test_no_permission_says_what_to_do(machine: Machine) -> None:
    lgpio = machine.with_lgpio({0: "pinctrl-bcm2711"})
    # Tests may run as root, whom the mode of a file does not stop.
    machine.monkeypatch.setattr(os, "access", lambda *_: False)
    outputs = open_leds(TWO, backend=GpioBackend.LGPIO)
    assert outputs.problem == f"{UNUSABLE} this user may not open {machine.chip(0)}; add it to the group gpio"
    assert lgpio.open_handles == []


def test_not_a_pi_is_one_line_and_leaks_nothing(machine: Machine) -> None:
    lgpio = machine.with_lgpio({0: "pinctrl-bcm2711"}, revision=None)

    def unknown() -> int:
        from gpiozero import PinUnknownPi

        raise PinUnknownPi("unable to locate Pi revision")

    machine.monkeypatch.setattr("gpiozero.pins.local.get_pi_revision", unknown)
    outputs = open_leds(TWO, backend=GpioBackend.LGPIO)
    assert outputs.problem == f"{UNUSABLE} unable to locate Pi revision"
    assert lgpio.open_handles == []


@pytest.mark.parametrize("label", HEADER_LABELS)
def test_the_chip_is_found_by_its_label(machine: Machine, label: str) -> None:
    lgpio = machine.with_lgpio({0: "raspberrypi-exp-gpio", 4: label, 11: "other"})
    outputs = open_leds(TWO, backend=GpioBackend.LGPIO)
    assert outputs.problem is None
    assert outputs.notes == (f"GPIO by lgpio on {label}",)
    assert lgpio.open_handles == [4]
    assert lgpio.levels == {16: False, 23: True}, "dark"
    outputs.leds["led1"].set(True)
    outputs.leds["led2"].set(True)
    assert lgpio.levels == {16: True, 23: False}
    outputs.close()
    assert (lgpio.levels, lgpio.open_handles) == ({}, [])


def test_a_pin_that_the_kernel_uses_is_one_line(machine: Machine) -> None:
    machine.with_lgpio({0: "pinctrl-bcm2711"}).busy.add(16)
    outputs = open_leds(TWO, backend=GpioBackend.LGPIO)
    assert outputs.problem is None
    assert outputs.pin_problems == {"led1": "LED led1 stays dark, GPIO16 cannot be used: GPIO busy"}
    assert outputs.is_high("led2") is True
    outputs.close()


def test_a_pin_that_fails_does_not_keep_the_others_from_closing(machine: Machine) -> None:
    lgpio = machine.with_lgpio({0: "pinctrl-bcm2711"})
    outputs = open_leds(TWO, backend=GpioBackend.LGPIO)
    lgpio.broken.add(16)
    with pytest.raises(lgpio.error):
        outputs.leds["led1"].set(True)
    outputs.close()
    assert (lgpio.levels, lgpio.open_handles) == ({}, [])


def test_inputs_are_polled(machine: Machine) -> None:
    lgpio = machine.with_lgpio({0: "pinctrl-bcm2711"})
    wiring = PanelWiring(inputs={"gas": InputPin(21, active_low=True, pull=Pull.UP)})
    panel = open_panel(wiring, backend=GpioBackend.LGPIO)
    gas = panel.inputs["gas"]
    assert (gas.fileno(), gas.read_edges()) == (None, ())
    assert lgpio.pulls[21] == lgpio.SET_PULL_UP
    for high in (True, False):
        lgpio.wires[21] = high
        assert gas.is_active is not high
    panel.close()
    assert lgpio.open_handles == []
