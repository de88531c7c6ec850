from pathlib import Path
from typing import Any

import pytest

from hw.colour import Colour
from hw.gpio import GpioBackend, PanelWiring, open_panel
from hw.kernel_leds import KernelLedOutput
from hw.problems import GpioError
from hw.wiring import KernelLed
from tests.hw.machines import Machine


def brightness(folder: Path) -> str:
    return (folder / "brightness").read_text().strip()


@pytest.mark.parametrize("brightest", [1, 255])
def test_on_and_off(machine: Machine, brightest: int) -> None:
    folder = machine.with_led("PWR", brightest=brightest)
    output = KernelLedOutput("system", "PWR")
    assert output.name == "system"
    assert brightness(folder) == "0", "dark when opened"
    for shown, expected in ((True, brightest), (False, 0), (Colour.AMBER, brightest), (Colour.OFF, 0)):
        output.set(shown)
        assert brightness(folder) == str(expected)
    output.set(True)
    output.close()
    assert brightness(folder) == "0"
    assert (folder / "trigger").read_text() == "[none] timer\n", "it had no trigger, and gets none"


def test_its_trigger_drives_it_again_after_closing(machine: Machine) -> None:
    folder = machine.with_led("ACT", trigger="none kbd-scrolllock [mmc0] timer")
    output = KernelLedOutput("led1", "ACT")
    assert output.replaced_trigger == "mmc0"
    assert (folder / "trigger").read_text() == "none"
    output.close()
    assert (folder / "trigger").read_text() == "mmc0"
    (folder / "trigger").write_text("timer")
    output.close()
    assert (folder / "trigger").read_text() == "timer", "closing again touches nothing"


def test_an_led_without_triggers(machine: Machine) -> None:
    machine.with_led("PWR", trigger=None)
    output = KernelLedOutput("led1", "PWR")
    assert output.replaced_trigger is None
    output.close()


def test_an_led_that_is_not_there(machine: Machine) -> None:
    with pytest.raises(GpioError, match="this machine has no LEDs in"):
        KernelLedOutput("led1", "ACT")
    for number in range(9):
        machine.with_led(f"led{number}")
    with pytest.raises(GpioError) as caught:
        KernelLedOutput("led1", "ACT")
    listed = ", ".join(f"led{number}" for number in range(8))
    assert str(caught.value) == f"there is no LED ACT in {machine.leds}; there are {listed}, ..."


def test_no_folder_at_all(machine: Machine) -> None:
    machine.leds.rmdir()
    with pytest.raises(GpioError, match="this machine has no LEDs in"):
        KernelLedOutput("led1", "ACT")


def test_a_multi_colour_led_is_refused(machine: Machine) -> None:
    (machine.with_led("rgb:status") / "multi_intensity").write_text("0 0 0")
    with pytest.raises(GpioError) as caught:
        KernelLedOutput("led1", "rgb:status")
    assert str(caught.value) == ("rgb:status is a multi-colour LED, and only LEDs of one colour can be used")


def test_no_permission(machine: Machine) -> None:
    folder = machine.with_led("ACT", trigger="none [mmc0]")
    write_text = Path.write_text

    def refuse(path: Path, *arguments: Any) -> int:
        # Tests may run as root, whom the mode of a file does not stop.
        if path == folder / "trigger":
            raise PermissionError(13, "Permission denied", str(path))
        return write_text(path, *arguments)

    machine.monkeypatch.setattr(Path, "write_text", refuse)
    panel = open_panel(PanelWiring(leds={"led1": KernelLed("ACT")}), backend=GpioBackend.AUTO)
    assert panel.pin_problems == {
        "led1": f"LED led1 stays dark: this user may not write {folder / 'trigger'}; allow it by a udev rule"
    }
    panel.leds["led1"].set(True)
    panel.close()


def test_an_led_that_vanishes_closes_all_the_same(machine: Machine) -> None:
    folder = machine.with_led("input3::capslock", trigger="none [kbd-capslock]")
    output = KernelLedOutput("led1", "input3::capslock")
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    with pytest.raises(FileNotFoundError):
        output.set(True)
    output.close()


def test_the_panel_says_which_trigger_it_took(machine: Machine) -> None:
    machine.with_led("ACT", trigger="none [mmc0]")
    machine.with_led("PWR")
    wiring = PanelWiring(leds={"led1": KernelLed("ACT"), "led2": KernelLed("PWR"), "led3": KernelLed("X")})
    panel = open_panel(wiring, backend=GpioBackend.AUTO)
    assert panel.notes == (
        "LED led1: the kernel's LED ACT is taken from its trigger mmc0 while this program runs",
    )
    assert panel.pin_problems == {
        "led3": f"LED led3 stays dark: there is no LED X in {machine.leds}; there are ACT, PWR"
    }
    assert panel.is_high("led1") is None
    panel.close()
    assert (machine.leds / "ACT" / "trigger").read_text() == "mmc0"
