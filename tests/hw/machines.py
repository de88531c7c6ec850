"""A machine with GPIO chips and kernel LEDs, as `hw` sees one: device files, pin libraries, /sys."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hw import gpio_chips, kernel_leds
from tests.hw.fake_gpiod import FakeGpiod


class FakeLgpio(ModuleType):
    """What gpiozero's lgpio factory and hw.pins call. `chips` is number -> label; None: cannot be opened."""

    class error(Exception):  # the library's own spelling
        pass

    SET_PULL_NONE, SET_PULL_UP, SET_PULL_DOWN = 0, 1, 2
    BOTH_EDGES = RISING_EDGE = FALLING_EDGE = 0

    def __init__(self, chips: dict[int, str | None]) -> None:
        super().__init__("lgpio")
        self.chips = chips
        self.busy: set[int] = set()
        self.broken: set[int] = set()
        self.levels: dict[int, bool] = {}
        self.wires: dict[int, bool] = {}
        self.pulls: dict[int, int] = {}
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

    def gpio_claim_input(self, _handle: int, pin: int, flags: int = 0) -> None:
        if pin in self.busy:
            raise self.error("'GPIO busy'")
        self.levels.pop(pin, None)
        self.pulls[pin] = flags

    def gpio_claim_output(self, _handle: int, pin: int, level: bool = False, _flags: int = 0) -> None:
        self.levels[pin] = bool(level)

    def gpio_free(self, _handle: int, _pin: int) -> None:
        """Called before a pull is changed."""

    def gpio_get_mode(self, _handle: int, pin: int) -> int:
        return 2 if pin in self.levels else 0

    def gpio_write(self, _handle: int, pin: int, level: bool) -> None:
        if pin in self.broken:
            raise self.error("'GPIO not allocated'")
        self.levels[pin] = bool(level)

    def gpio_read(self, _handle: int, pin: int) -> int:
        return self.levels[pin] if pin in self.levels else self.wires.get(pin, False)

    def tx_pwm(self, *_args: int) -> None:
        """Called with frequency 0 when a device gives its pin back."""


class Machine:
    """Without chips and without pin libraries until it gets some."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.monkeypatch = monkeypatch
        self.dev, self.leds = folder / "dev", folder / "leds"
        self.dev.mkdir()
        self.leds.mkdir()
        monkeypatch.setattr(gpio_chips, "_CHIP_PATH", str(self.dev / "gpiochip"))
        monkeypatch.setattr(kernel_leds, "_FOLDER", str(self.leds))
        for library in ("gpiod", "gpiod.line", "lgpio"):
            monkeypatch.setitem(sys.modules, library, None)

    def chip(self, number: int) -> str:
        return f"{self.dev}/gpiochip{number}"

    def with_gpiod(self, chips: dict[int, str | OSError | None]) -> FakeGpiod:
        """Install gpiod, on these chips: number -> label, None for no permission, or an error."""
        self._make_chips(chips)
        gpiod = FakeGpiod({self.chip(number): label for number, label in chips.items()})
        self.monkeypatch.setitem(sys.modules, "gpiod", gpiod)
        self.monkeypatch.setitem(sys.modules, "gpiod.line", gpiod.line)
        return gpiod

    def with_lgpio(self, chips: dict[int, str | None], *, revision: int | None = 0xC03111) -> FakeLgpio:
        """Install lgpio, on these chips: number -> label; `revision` is what makes it a Pi."""
        self._make_chips(chips)
        lgpio = FakeLgpio(chips)
        self.monkeypatch.setitem(sys.modules, "lgpio", lgpio)
        if revision is not None:
            self.monkeypatch.setattr("gpiozero.pins.local.get_pi_revision", lambda: revision)
        return lgpio

    def with_led(self, name: str, *, trigger: str | None = "[none] timer", brightest: int = 255) -> Path:
        """Add a kernel LED that is lit; return its folder."""
        folder = self.leds / name
        folder.mkdir()
        (folder / "brightness").write_text(f"{brightest}\n")
        (folder / "max_brightness").write_text(f"{brightest}\n")
        if trigger is not None:
            (folder / "trigger").write_text(f"{trigger}\n")
        return folder

    def _make_chips(self, chips: Any) -> None:
        for number in chips:
            Path(self.chip(number)).touch()


@contextmanager
def a_machine(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[Machine]:
    """Put the machine under `hw` for the block; afterwards no module holds a fake library."""
    holders = ("gpiozero.pins.lgpio", "hw.gpiod_factory")
    for module in holders:
        sys.modules.pop(module, None)
    yield Machine(monkeypatch, folder)
    for module in holders:
        sys.modules.pop(module, None)
