from pathlib import Path

import pytest

from hw.machine import KernelLed, machine
from tests.support.machines import FakeMachine, pi_4


@pytest.fixture
def pi(tmp_path: Path) -> FakeMachine:
    return pi_4(tmp_path)


def test_the_model_is_the_device_trees(pi: FakeMachine) -> None:
    assert machine(pi.root).model == "Raspberry Pi 4 Model B Rev 1.4"


def test_gpio_chips_with_and_without_a_label(pi: FakeMachine) -> None:
    header, firmware = machine(pi.root).gpio_chips
    assert (header.device, header.label) == ("/dev/gpiochip0", "pinctrl-bcm2711")
    assert (header.hardware, header.compatible) == ("fe200000.gpio", "brcm,bcm2711-gpio")
    assert header.may_open is True
    assert (firmware.device, firmware.label) == ("/dev/gpiochip1", None)
    (pi.root / "dev/gpiochip1").unlink()
    assert machine(pi.root).gpio_chips[1].may_open is None


def test_kernel_leds_with_the_trigger_in_brackets(pi: FakeMachine) -> None:
    assert machine(pi.root).kernel_leds == (KernelLed("ACT", "mmc0", "255"),)


def test_config_txt_and_what_it_lacks(pi: FakeMachine) -> None:
    found = machine(pi.root)
    assert found.boot_file.path == "/boot/firmware/config.txt"
    assert found.command_line_file == "/boot/firmware/cmdline.txt"
    needed = ["dtoverlay=uart3,rs485", "dtoverlay=uart3", "enable_uart=1"]
    assert found.boot_file.missing(needed) == ["dtoverlay=uart3"]


def test_config_txt_of_older_systems(pi: FakeMachine) -> None:
    (pi.root / "boot/firmware/config.txt").rename(pi.root / "boot/config.txt")
    found = machine(pi.root)
    assert found.boot_file.path == "/boot/config.txt"
    assert found.command_line_file == "/boot/cmdline.txt"


def test_a_commented_line_is_not_there(pi: FakeMachine) -> None:
    pi.write("boot/firmware/config.txt", "#dtoverlay=uart3\n")
    assert machine(pi.root).boot_file.missing(["dtoverlay=uart3"]) == ["dtoverlay=uart3"]


def test_a_machine_with_nothing(tmp_path: Path) -> None:
    found = machine(tmp_path)
    assert (found.model, found.gpio_chips, found.kernel_leds) == (None, (), ())
    assert found.boot_file.lines is None
    assert found.boot_file.problem == "there is none on this machine"
