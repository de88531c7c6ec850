import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from hw import gpio
from hw.board import DEFAULT_BOARD
from hw.gpio import GpioBackend, LedPin, open_outputs

TWO = {"led1": LedPin(16), "led2": LedPin(23, active_low=True)}


def test_importing_hw_does_not_import_gpiozero() -> None:
    modules = "import sys, hw.board, hw.driver, hw.gpio, hw.indicator; print('gpiozero' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", modules], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "False\n"


def test_none_does_nothing_on_purpose() -> None:
    outputs = open_outputs(TWO, backend=GpioBackend.NONE)
    assert (outputs.problem, outputs.pin_problems) == (None, {})
    outputs.by_name["led1"].set(True)
    assert outputs.is_high("led1") is None
    outputs.close()


class TestMock:
    def test_levels_follow_the_wiring(self) -> None:
        outputs = open_outputs(TWO, backend=GpioBackend.MOCK)
        assert (outputs.problem, outputs.pin_problems) == (None, {})
        assert [outputs.is_high(name) for name in TWO] == [False, True], "dark when opened"
        for output in outputs.by_name.values():
            output.set(True)
        assert [outputs.is_high(name) for name in TWO] == [True, False]
        outputs.close()
        assert [outputs.is_high(name) for name in TWO] == [False, True], "dark when closed"
        outputs.close()

    def test_output_knows_its_name(self) -> None:
        outputs = open_outputs(TWO, backend=GpioBackend.MOCK)
        assert [output.name for output in outputs.by_name.values()] == ["led1", "led2"]
        outputs.close()

    def test_default_board_opens(self) -> None:
        leds = {name: LedPin(pin) for name, pin in DEFAULT_BOARD.led_pins.items()}
        outputs = open_outputs(leds, backend=GpioBackend.MOCK)
        assert (outputs.problem, outputs.pin_problems) == (None, {})
        assert [outputs.is_high(name) for name in leds] == [False] * 9
        outputs.close()

    def test_a_pin_in_use_is_one_line_and_the_others_work(self) -> None:
        outputs = open_outputs({**TWO, "led3": LedPin(16)}, backend=GpioBackend.MOCK)
        assert outputs.problem is None
        assert outputs.pin_problems == {
            "led3": "LED led3 stays dark, GPIO16 cannot be used: it is already in use by this program"
        }
        outputs.by_name["led3"].set(True)
        assert [outputs.is_high(name) for name in ("led1", "led2", "led3")] == [False, True, None]
        outputs.by_name["led1"].set(True)
        assert outputs.is_high("led1") is True
        outputs.close()

    def test_a_pin_that_does_not_exist_is_one_line(self) -> None:
        outputs = open_outputs({"led1": LedPin(99)}, backend=GpioBackend.MOCK)
        assert outputs.pin_problems == {
            "led1": "LED led1 stays dark, GPIO99 cannot be used: 99 is not a valid pin name"
        }
        outputs.close()

    def test_two_sets_of_mock_pins_are_two_machines(self) -> None:
        first, second = (open_outputs(TWO, backend=GpioBackend.MOCK) for _ in range(2))
        first.by_name["led1"].set(True)
        assert (first.is_high("led1"), second.is_high("led1")) == (True, False)
        first.close()
        second.close()

    def test_memory_is_bounded(self) -> None:
        """gpiozero's own mock pin appends every change to a list for ever."""
        outputs = open_outputs(TWO, backend=GpioBackend.MOCK)
        output: Any = outputs.by_name["led1"]
        for change in range(1000):
            output.set(change % 2 == 0)
        assert 0 < len(output._pin.states) < 100
        outputs.close()

    def test_without_gpiozero_one_line(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for module in ("gpiozero.pins", "gpiozero.pins.mock"):
            monkeypatch.delitem(sys.modules, module, raising=False)
        monkeypatch.setitem(sys.modules, "gpiozero", None)
        outputs = open_outputs(TWO, backend=GpioBackend.MOCK)
        assert outputs.problem == (
            "GPIO cannot be used, all LEDs stay dark: the Python package gpiozero is not installed"
        )


class FakeLgpio(ModuleType):
    """What gpiozero's lgpio factory and hw.gpio call. `chips` is number -> label; None: no access."""

    class error(Exception):  # the library's own spelling
        pass

    SET_PULL_NONE = SET_PULL_UP = SET_PULL_DOWN = 0
    BOTH_EDGES = RISING_EDGE = FALLING_EDGE = 0

    def __init__(self, chips: dict[int, str | None]) -> None:
        super().__init__("lgpio")
        self.chips = chips
        self.busy: set[int] = set()
        self.broken: set[int] = set()
        self.levels: dict[int, bool] = {}
        self.open_handles: list[int] = []

    def gpiochip_open(self, number: int) -> int:
        if self.chips[number] is None:
            raise self.error("'can not open gpiochip'")
        self.open_handles.append(number)
        return number

    def gpiochip_close(self, handle: int) -> None:
        self.open_handles.remove(handle)

    def gpio_get_chip_info(self, handle: int) -> list[Any]:
        return [0, 54, f"gpiochip{handle}", self.chips[handle]]

    def gpio_claim_input(self, _handle: int, pin: int, _flags: int = 0) -> None:
        if pin in self.busy:
            raise self.error("'GPIO busy'")
        self.levels.pop(pin, None)

    def gpio_claim_output(self, _handle: int, pin: int, level: bool = False, _flags: int = 0) -> None:
        self.levels[pin] = bool(level)

    def gpio_get_mode(self, _handle: int, pin: int) -> int:
        return 2 if pin in self.levels else 0

    def gpio_write(self, _handle: int, pin: int, level: bool) -> None:
        if pin in self.broken:
            raise self.error("'GPIO not allocated'")
        self.levels[pin] = bool(level)

    def gpio_read(self, _handle: int, pin: int) -> int:
        return self.levels[pin]

    def tx_pwm(self, *_args: int) -> None:
        """Called with frequency 0 when a device gives its pin back."""


class Machine(SimpleNamespace):
    """A machine with GPIO chips, as hw.gpio sees one."""

    monkeypatch: pytest.MonkeyPatch
    dev: Path

    def with_chips(self, chips: dict[int, str | None], *, revision: int | None = 0xC03111) -> FakeLgpio:
        for number in chips:
            (self.dev / f"gpiochip{number}").touch()
        lgpio = FakeLgpio(chips)
        self.monkeypatch.setitem(sys.modules, "lgpio", lgpio)
        if revision is not None:
            self.monkeypatch.setattr("gpiozero.pins.local.get_pi_revision", lambda: revision)
        return lgpio


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Machine]:
    monkeypatch.setattr(gpio, "_CHIP_PATH", str(tmp_path / "gpiochip"))
    sys.modules.pop("gpiozero.pins.lgpio", None)
    yield Machine(monkeypatch=monkeypatch, dev=tmp_path)
    sys.modules.pop("gpiozero.pins.lgpio", None)  # it holds the fake


class TestAuto:
    def test_no_gpio_is_one_line_and_outputs_that_do_nothing(self, machine: Machine) -> None:
        outputs = open_outputs(TWO, backend=GpioBackend.AUTO)
        path = machine.dev / "gpiochip"
        assert outputs.problem == f"GPIO cannot be used, all LEDs stay dark: this machine has no {path}*"
        assert outputs.pin_problems == {}
        for output in outputs.by_name.values():
            output.set(True)
        assert outputs.is_high("led1") is None
        outputs.close()

    def test_no_library_is_one_line(self, machine: Machine) -> None:
        machine.with_chips({0: "pinctrl-bcm2711"})
        machine.monkeypatch.setitem(sys.modules, "lgpio", None)
        outputs = open_outputs(TWO, backend=GpioBackend.AUTO)
        assert outputs.problem == (
            "GPIO cannot be used, all LEDs stay dark: the Python package lgpio is not installed"
        )

    def test_a_read_only_working_directory_is_one_line(self, machine: Machine) -> None:
        machine.with_chips({0: "pinctrl-bcm2711"})
        machine.monkeypatch.delitem(sys.modules, "lgpio")
        (machine.dev / "lgpio.py").write_text("open('/nowhere/.lgd-nfy-3')")
        machine.monkeypatch.syspath_prepend(machine.dev)
        outputs = open_outputs(TWO, backend=GpioBackend.AUTO)
        assert outputs.problem == (
            "GPIO cannot be used, all LEDs stay dark: lgpio needs a working directory that it may write to "
            "([Errno 2] No such file or directory: '/nowhere/.lgd-nfy-3')"
        )

    def test_no_header_says_what_there_is(self, machine: Machine) -> None:
        lgpio = machine.with_chips({0: "raspberrypi-exp-gpio", 1: None})
        outputs = open_outputs(TWO, backend=GpioBackend.AUTO)
        assert outputs.problem == (
            "GPIO cannot be used, all LEDs stay dark: no Raspberry Pi header among the GPIO chips: "
            "gpiochip0 is raspberrypi-exp-gpio, gpiochip1 cannot be opened (is this user in the group gpio?)"
        )
        assert lgpio.open_handles == []

    def test_not_a_pi_is_one_line_and_leaks_nothing(self, machine: Machine) -> None:
        lgpio = machine.with_chips({0: "pinctrl-bcm2711"}, revision=None)

        def unknown() -> int:
            from gpiozero import PinUnknownPi

            raise PinUnknownPi("unable to locate Pi revision")

        machine.monkeypatch.setattr("gpiozero.pins.local.get_pi_revision", unknown)
        outputs = open_outputs(TWO, backend=GpioBackend.AUTO)
        assert outputs.problem == ("GPIO cannot be used, all LEDs stay dark: unable to locate Pi revision")
        assert lgpio.open_handles == []

    @pytest.mark.parametrize("label", gpio.HEADER_LABELS)
    def test_the_chip_is_found_by_its_label(self, machine: Machine, label: str) -> None:
        lgpio = machine.with_chips({0: "raspberrypi-exp-gpio", 4: label, 11: "other"})
        outputs = open_outputs(TWO, backend=GpioBackend.AUTO)
        assert outputs.problem is None
        assert lgpio.open_handles == [4]
        assert lgpio.levels == {16: False, 23: True}, "dark"
        outputs.by_name["led1"].set(True)
        outputs.by_name["led2"].set(True)
        assert lgpio.levels == {16: True, 23: False}
        outputs.close()
        assert (lgpio.levels, lgpio.open_handles) == ({}, [])

    def test_a_pin_that_the_kernel_uses_is_one_line(self, machine: Machine) -> None:
        machine.with_chips({0: "pinctrl-bcm2711"}).busy.add(16)
        outputs = open_outputs(TWO, backend=GpioBackend.AUTO)
        assert outputs.problem is None
        assert outputs.pin_problems == {"led1": "LED led1 stays dark, GPIO16 cannot be used: GPIO busy"}
        assert outputs.is_high("led2") is True
        outputs.close()

    def test_a_pin_that_fails_does_not_keep_the_others_from_closing(self, machine: Machine) -> None:
        lgpio = machine.with_chips({0: "pinctrl-bcm2711"})
        outputs = open_outputs(TWO, backend=GpioBackend.AUTO)
        lgpio.broken.add(16)
        with pytest.raises(lgpio.error):
            outputs.by_name["led1"].set(True)
        outputs.close()
        assert (lgpio.levels, lgpio.open_handles) == ({}, [])
