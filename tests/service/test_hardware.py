"""What `rtu-bridge hardware` finds, on trees that look like machines, and on the one that runs the tests."""

from __future__ import annotations

import json
import os
import pty
from pathlib import Path
from typing import Any

import pytest

from bridge.service.cli import main
from bridge.service.configuration.config import parse
from bridge.service.front.front_panel import BOARD_LEDS
from bridge.service.hardware import collect
from bridge.service.hardware_text import as_text
from hw.ports import Rs485Mode
from tests.support.machines import FakeMachine, pi_4

NONE, OFF = Rs485Mode(False, "the driver has none"), Rs485Mode(True, "the driver has one; it is off")


@pytest.fixture
def pi(tmp_path: Path) -> FakeMachine:
    return pi_4(tmp_path)


def _ask(device: str) -> Rs485Mode:
    return OFF if "AMA" in device else NONE


def _text(*devices: str, service: str = "", more: str = "", led: str = "") -> str:
    lines = "".join(
        f'[line.bay{number}]\ndevice = "{device}"\nbaud = 9600\n{more}\n'
        f'[[outstation]]\nname = "p{number}"\nserver = "main"\nmasters = ["10.1.1.{number}"]\n'
        f'line = "bay{number}"\nlink_address = {number}\n{led if number == 1 else ""}\n'
        for number, device in enumerate(devices, 1)
    )
    return f'[service]\n{service}\n[server.main]\nlisten = "127.0.0.1:20000"\n{lines}'


def _report(machine: FakeMachine, text: str) -> dict[str, Any]:
    return collect(parse(text, "bridge.toml", BOARD_LEDS), machine.root, _ask)


def _missing(machine: FakeMachine, text: str) -> list[str]:
    missing: list[str] = _report(machine, text)["missing"]
    return missing


def _line(machine: FakeMachine, text: str) -> dict[str, Any]:
    (line,) = _report(machine, text)["lines"]
    assert isinstance(line, dict)
    return line


# Without a configuration


def test_a_pi_without_a_configuration(pi: FakeMachine) -> None:
    report = collect(None, pi.root, _ask)
    assert report["model"] == "Raspberry Pi 4 Model B Rev 1.4"
    assert [board["name"] for board in report["boards"]] == ["pi-4"]
    assert report["boards_from"] == "model"
    assert len(report["ports"]) == 7
    assert [chip["label"] for chip in report["gpio_chips"]] == ["pinctrl-bcm2711", None]
    assert [led["name"] for led in report["kernel_leds"]] == ["ACT"]
    assert {led["name"]: led["pin"] for led in report["leds"]} == dict(BOARD_LEDS)
    assert "missing" not in report
    assert json.loads(json.dumps(report)) is not None


def test_its_text(pi: FakeMachine) -> None:
    text = as_text(collect(None, pi.root, _ask)).splitlines()
    assert "  model: Raspberry Pi 4 Model B Rev 1.4" in text
    assert "  board: pi-4, Raspberry Pi 4, 400, CM4 (unverified)" in text
    at = text.index("  /dev/ttyAMA0: PL011, driver uart-pl011")
    assert text[at + 1 : at + 8] == [
        "    in bridge.toml: /dev/ttyAMA0 (a port of the board: "
        "its name does not change with what is plugged in)",
        "    also: /dev/serial0",
        "    RS-485 mode: the driver has one; it is off",
        "    latency: low_latency on",
        "    console of the kernel: console=ttyAMA0,115200",
        "    login: serial-getty@ttyAMA0.service",
        "    in use by: agetty (412)",
    ]
    assert "    RS-485 mode: the driver has one; it is off; on from boot by the device tree" in text
    assert "    latency: latency timer 16 ms" in text
    assert "    latency: not known; the driver does not tell" in text
    assert (
        "  /dev/gpiochip1: label not known without opening it, raspberrypi,firmware-gpio, firmware-gpio, "
        "may be used" in text
    )
    assert "  ACT: trigger mmc0, brightness 255" in text
    assert [line for line in text if line != line.rstrip()] == []


def test_a_machine_with_nothing_says_so(tmp_path: Path) -> None:
    text = as_text(collect(None, FakeMachine(tmp_path).root, _ask))
    assert "model: not known" in text
    for title in ("Serial ports", "GPIO chips", "Kernel LEDs"):
        assert f"{title}:\n  none" in text


# With one


def test_nothing_is_missing(pi: FakeMachine) -> None:
    report = _report(pi, _text("/dev/ttyAMA3", more='direction = "rs485"', led='led = "led1"'))
    assert report["missing"] == []
    assert report["config_txt"]["needed"] == [{"line": "dtoverlay=uart3,rs485", "is_there": True}]
    (line,) = report["lines"]
    assert line["port"] == "/dev/ttyAMA3"
    assert line["notes"] == []
    assert "linux,rs485-enabled-at-boot-time" in line["rests_by"]
    assert [port["lines"] for port in report["ports"] if port["device"] == "/dev/ttyAMA3"] == [["bay1"]]
    assert "Missing:\n  none" in as_text(report)


def test_a_console_and_a_login_on_the_port_with_what_to_remove(pi: FakeMachine) -> None:
    assert _missing(pi, _text("/dev/ttyAMA0", service='board = "pi-4"')) == [
        "line bay1: /dev/ttyAMA0 is a console of the kernel; remove console=ttyAMA0,115200 from "
        "/boot/firmware/cmdline.txt (it may be written console=serial0,... there)",
        "line bay1: /dev/ttyAMA0 offers a login; "
        "run: sudo systemctl disable --now serial-getty@ttyAMA0.service",
        "/boot/firmware/config.txt does not have the line dtoverlay=disable-bt; "
        "add it under [all] and reboot",
    ]


def test_a_uart_that_is_not_there(pi: FakeMachine) -> None:
    missing = _missing(pi, _text("/dev/ttyAMA5"))
    assert missing == [
        "line bay1: /dev/ttyAMA5 is not there; are these lines in config.txt: dtoverlay=uart5? "
        "They work after a reboot",
        "/boot/firmware/config.txt does not have the line dtoverlay=uart5; add it under [all] and reboot",
    ]


def test_an_adapter_that_is_not_there(pi: FakeMachine) -> None:
    assert _missing(pi, _text("/dev/serial/by-id/usb-gone")) == [
        "line bay1: /dev/serial/by-id/usb-gone is not there; is the adapter plugged in, or the name another?"
    ]


def test_a_pty_that_is_not_there(pi: FakeMachine) -> None:
    assert _missing(pi, _text("/tmp/bench/bay1")) == [
        "line bay1: /tmp/bench/bay1 is not there; does the program that makes it run?"
    ]


def test_what_may_not_be_used(pi: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert _missing(pi, _text("/dev/ttyUSB0")) == [
        "line bay1: /dev/ttyUSB0 may not be used by this user; add it to the group dialout",
        "LED system: this user may not use the GPIO chips; add it to the group gpio",
    ]


def test_a_driver_without_the_mode_that_is_asked_for(pi: FakeMachine) -> None:
    assert _missing(pi, _text("/dev/ttyUSB0", more='direction = "rs485"')) == [
        "line bay1: /dev/ttyUSB0: direction is 'rs485', and the driver has no RS-485 mode"
    ]


def test_a_name_that_does_not_survive_a_reboot(pi: FakeMachine) -> None:
    line = _line(pi, _text("/dev/ttyUSB0"))
    assert line["notes"][0].startswith(
        "better write /dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0: "
        "it has the adapter's own"
    )
    assert line["notes"][1] == "the adapter keeps answers back for up to 16 ms (its latency timer)"
    by_path = "/dev/serial/by-path/platform-xhci-usb-0:1.3:1.0-port0"
    line = _line(pi, _text(by_path))
    assert (line["port"], line["notes"]) == ("/dev/ttyUSB2", [])
    assert f"bay1: {by_path}, which is /dev/ttyUSB2, direction automatic" in as_text(
        _report(pi, _text(by_path))
    )


def test_the_mode_is_not_on_at_boot(pi: FakeMachine) -> None:
    (note,) = _line(pi, _text("/dev/ttyAMA0", more='direction = "rs485"'))["notes"]
    assert note.startswith("the device tree does not switch RS-485 on at boot")
    (note,) = _line(pi, _text("/dev/ttyAMA3", more='direction = "rts"'))["notes"]
    assert note.startswith("RTS may rest in the sending state")


def test_the_computer_is_another(pi: FakeMachine) -> None:
    assert _missing(pi, _text("/dev/ttyUSB0", service='board = "pi-5"')) == [
        "board: the configuration says 'pi-5', and this machine is a 'pi-4'"
    ]


def test_a_hat_on_the_computer_that_the_model_tells(pi: FakeMachine) -> None:
    report = _report(pi, _text("/dev/ttyAMA5", service='board = "waveshare-ipcbox-cm5-a"'))
    assert [board["name"] for board in report["boards"]] == ["pi-4", "waveshare-ipcbox-cm5-a"]
    (line,) = report["lines"]
    assert line["board_port"] == "CH2 of Waveshare IPCBOX-CM5-A"
    assert line["rests_by"].startswith("gpio=12=op,dh")
    assert [needed["line"] for needed in report["config_txt"]["needed"]] == [
        "gpio=12=op,dh",
        "dtoverlay=uart5",
    ]
    assert "gpio=12=op,dh  (missing)" in as_text(report)


def _image(pi: FakeMachine, config_txt: str) -> FakeMachine:
    pi.write("etc/rtu-bridge-appliance/image.json", "{}")
    pi.write("run/rtu-bridge-appliance/config.txt", config_txt)
    return pi


def test_on_the_image_overlays_are_those_of_the_image(pi: FakeMachine) -> None:
    text = _text("/dev/ttyAMA0", more='direction = "rs485"')
    report = _report(_image(pi, "enable_uart=1\ndtoverlay=uart0-rs485\n"), text)
    assert report["config_txt"]["path"] == "/run/rtu-bridge-appliance/config.txt"
    assert report["config_txt"]["needed"] == [
        {"line": "enable_uart=1", "is_there": True},
        {"line": "dtoverlay=uart0-rs485", "is_there": True},
    ]
    assert report["lines"][0]["rests_by"] == "dtoverlay=uart0-rs485"


def test_on_the_image_nobody_is_told_to_edit_config_txt(pi: FakeMachine) -> None:
    assert _missing(_image(pi, "enable_uart=1\ndtoverlay=disable-bt\n"), _text("/dev/rtu-uart5")) == [
        "line bay1: /dev/rtu-uart5 is not there; "
        "this box writes dtoverlay=uart5 into config.txt by itself: start it again",
        "/run/rtu-bridge-appliance/config.txt does not have the line dtoverlay=uart5; "
        "see bridge.notes.txt on the card",
    ]


def test_the_link_of_our_udev_rules_is_the_uart(pi: FakeMachine) -> None:
    assert _line(pi, _text("/dev/rtu-uart3"))["board_port"] == "uart3 of Raspberry Pi 4, 400, CM4"


def test_config_txt_that_is_not_there_is_not_missing_lines(pi: FakeMachine) -> None:
    (pi.root / "boot/firmware/config.txt").unlink()
    report = _report(pi, _text("/dev/ttyAMA3"))
    assert report["missing"] == []
    assert report["config_txt"]["needed"] == [{"line": "dtoverlay=uart3", "is_there": None}]
    text = as_text(report)
    assert "dtoverlay=uart3  (whether it is there is not known)" in text
    assert "the file: there is none on this machine" in text


def test_leds_in_use_and_why_they_stay_dark(tmp_path: Path) -> None:
    machine = FakeMachine(tmp_path)
    machine.uart("ttyAMA3", place="a.serial", driver="uart-pl011")
    text = _text("/dev/ttyAMA3", led='led = "mine"') + "[led.mine]\npin = 17\nactive_low = true\n"
    report = _report(machine, text)
    dark = "this machine has no GPIO; it stays dark"
    unwired = {"red": None, "green": None, "kernel": None, "problem": dark}
    assert report["leds"] == [
        {"name": "system", "pin": 26, "active_low": False, "used_by": ["the program"], **unwired},
        {"name": "mine", "pin": 17, "active_low": True, "used_by": ["p1"], **unwired},
    ]
    assert "mine: GPIO17, active low, p1; this machine has no GPIO; it stays dark" in as_text(report)
    assert _missing(machine, text.replace("[service]", '[service]\ngpio = "none"')) == []


def test_leds_of_two_colours_and_of_the_kernel(pi: FakeMachine) -> None:
    text = _text("/dev/ttyAMA3", "/dev/ttyUSB0", led='led = "two"') + 'led = "act"\n'
    text += '[led.two]\nred = 5\ngreen = 6\n[led.act]\nkernel = "ACT"\n[led.system]\nkernel = "PWR"\n'
    report = _report(pi, text)
    described = as_text(report)
    assert "two: red GPIO5, green GPIO6, p1" in described
    assert "act: ACT of the kernel, p2\n" in described
    assert report["missing"][-1] == "LED system: this machine has no such LED of the kernel; it stays dark"


# The command, on this machine


@pytest.mark.wire
def test_the_command_on_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hardware"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith("Machine:\n  model: ")
    assert main(["hardware", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["configuration"] is None
    assert [port["device"] for port in report["ports"]] == sorted(
        {port["device"] for port in report["ports"]}
    )


@pytest.mark.wire
def test_the_command_with_a_pty_as_the_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    master, slave = pty.openpty()
    file = tmp_path / "bridge.toml"
    try:
        link = tmp_path / "bay1"
        link.symlink_to(os.ttyname(slave))
        file.write_text(_text(str(link), service='gpio = "mock"'), encoding="utf-8")
        assert main(["hardware", "-c", str(file), "--json"]) == 0
        report = json.loads(capsys.readouterr().out)
        assert main(["hardware", "-c", str(file)]) == 0
    finally:
        os.close(master)
        os.close(slave)
    assert report["missing"] == []
    assert report["lines"][0]["notes"] == ["a pty: no UART, no RS-485, no baud rate"]
    assert "a pty: no UART" in capsys.readouterr().out


def test_the_command_with_a_wrong_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "bridge.toml"
    file.write_text(_text("/dev/ttyAMA0", service='board = "pi-44"'), encoding="utf-8")
    assert main(["hardware", "-c", str(file)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"{file}: service.board: there is no board 'pi-44'; did you mean 'pi-4'?\n"
