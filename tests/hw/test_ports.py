import errno
import os
import pty
from pathlib import Path

import pytest

from hw import ports
from hw.ports import Rs485Mode, SerialPort, ask_rs485, serial_ports
from tests.support.machines import FakeMachine, pi_4

ON = Rs485Mode(True, "on")


@pytest.fixture
def pi(tmp_path: Path) -> FakeMachine:
    return pi_4(tmp_path)


def _ports(machine: FakeMachine) -> dict[str, SerialPort]:
    return {port.device: port for port in serial_ports(machine.root, lambda device: ON)}


def test_ports_are_listed_by_number_and_without_terminals_or_spare_names(pi: FakeMachine) -> None:
    assert list(_ports(pi)) == [
        "/dev/ttyAMA0",
        "/dev/ttyAMA3",
        "/dev/ttyS0",
        "/dev/ttyUSB0",
        "/dev/ttyUSB1",
        "/dev/ttyUSB2",
        "/dev/ttyUSB10",
    ]


def test_kinds_and_drivers(pi: FakeMachine) -> None:
    found = {device: (port.driver, port.kind) for device, port in _ports(pi).items()}
    assert found["/dev/ttyAMA0"] == ("uart-pl011", "PL011")
    assert found["/dev/ttyS0"] == ("bcm2835-aux-uart", "mini UART")
    assert found["/dev/ttyUSB0"][0] == "ftdi_sio"
    assert str(found["/dev/ttyUSB0"][1]).startswith("USB FTDI")
    assert found["/dev/ttyUSB2"] == ("ch341", "USB WCH CH340, CH341")


def test_each_port_is_asked_by_its_device(pi: FakeMachine) -> None:
    asked: list[str] = []

    def ask(device: str) -> Rs485Mode:
        asked.append(device)
        return Rs485Mode(None, f"asked {device}")

    found = serial_ports(pi.root, ask)
    assert asked == [port.device for port in found]
    assert [port.rs485.text for port in found] == [f"asked {device}" for device in asked]


def test_an_adapter_with_a_serial_number_is_named_by_it(pi: FakeMachine) -> None:
    port = _ports(pi)["/dev/ttyUSB1"]
    assert port.best == "/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A50285BJ-if00-port0"
    assert "serial number" in port.why_best
    assert port.usb is not None
    assert (port.usb.vendor, port.usb.product, port.usb.serial) == ("0403", "6001", "A50285BJ")
    assert port.usb.title == "USB Serial"
    assert port.latency_timer_ms == 16


def test_a_ch340_without_serial_number_is_named_by_its_socket(pi: FakeMachine) -> None:
    found = _ports(pi)
    # The name in by-id is there for one of them, and is not its own.
    assert found["/dev/ttyUSB10"].by_id == ("/dev/serial/by-id/usb-1a86_USB_Serial-if00-port0",)
    assert found["/dev/ttyUSB10"].best == "/dev/serial/by-path/platform-xhci-usb-0:1.4:1.0-port0"
    assert found["/dev/ttyUSB2"].best == "/dev/serial/by-path/platform-xhci-usb-0:1.3:1.0-port0"
    assert "no serial number" in found["/dev/ttyUSB2"].why_best
    assert len(found["/dev/ttyUSB2"].by_path) == 2


@pytest.mark.parametrize(
    "serials", [("0001", "ok"), ("same", "same")], ids=["known to be shared", "twice here"]
)
def test_a_serial_number_that_others_have_is_no_name(tmp_path: Path, serials: tuple[str, str]) -> None:
    machine = FakeMachine(tmp_path)
    for number, serial in enumerate(serials):
        machine.usb(
            f"ttyUSB{number}",
            ids="10c4:ea60",
            driver="cp210x",
            socket=str(number),
            serial=serial,
            by_id=f"usb-CP2102_{serial}_{number}-if00-port0",
        )
    port = _ports(machine)["/dev/ttyUSB0"]
    assert port.best == "/dev/serial/by-path/platform-xhci-usb-0:0:1.0-port0"
    assert f"others have too ({serials[0]})" in port.why_best


def test_two_ports_of_one_adapter_share_its_serial_number_and_keep_their_names(tmp_path: Path) -> None:
    machine = FakeMachine(tmp_path)
    for number in range(2):
        machine.usb(
            f"ttyUSB{number}",
            ids="0403:6010",
            driver="ftdi_sio",
            socket=f"7.{number}",
            serial="FT7",
            by_id=f"usb-FTDI_Dual_FT7-if0{number}-port0",
        )
    best = [port.best for port in _ports(machine).values()]
    assert best[1] == "/dev/serial/by-id/usb-FTDI_Dual_FT7-if01-port0"


def test_without_udev_no_name_is_stable(tmp_path: Path) -> None:
    machine = FakeMachine(tmp_path)
    machine.usb("ttyUSB0", ids="1a86:7523", driver="ch341", socket="1")
    for link in (machine.root / "dev/serial/by-path").iterdir():
        link.unlink()
    port = _ports(machine)["/dev/ttyUSB0"]
    assert port.best is None
    assert "udev rule" in port.why_best


def test_an_alias_of_udev_is_best(pi: FakeMachine) -> None:
    pi.link("dev/bay1", "ttyUSB2")
    port = _ports(pi)["/dev/ttyUSB2"]
    assert (port.best, port.aliases) == ("/dev/bay1", ("/dev/bay1",))
    assert "/dev/bay1" in port.names


def test_a_port_of_the_board_is_named_as_it_is(pi: FakeMachine) -> None:
    port = _ports(pi)["/dev/ttyAMA0"]
    assert port.best == "/dev/ttyAMA0"
    assert port.aliases == ("/dev/serial0",)
    assert port.usb is None


def test_console_and_login(pi: FakeMachine) -> None:
    found = _ports(pi)
    assert found["/dev/ttyAMA0"].kernel_console == ("console=ttyAMA0,115200",)
    assert found["/dev/ttyAMA0"].getty == "serial-getty@ttyAMA0.service"
    assert found["/dev/ttyAMA0"].users == ("agetty (412)",)
    assert found["/dev/ttyAMA3"].kernel_console == ()
    assert found["/dev/ttyAMA3"].getty is None
    assert found["/dev/ttyAMA3"].users == ()


def test_a_console_by_an_alias_and_one_that_no_word_names(pi: FakeMachine) -> None:
    pi.write("proc/cmdline", "console=serial0,115200 console=tty1\n")
    assert _ports(pi)["/dev/ttyAMA0"].kernel_console == ("console=serial0,115200",)
    pi.write("proc/cmdline", "quiet\n")
    assert _ports(pi)["/dev/ttyAMA0"].kernel_console == ("active",)


def test_what_is_set_at_boot_and_low_latency(pi: FakeMachine) -> None:
    found = _ports(pi)
    assert found["/dev/ttyAMA3"].is_rs485_at_boot
    assert not found["/dev/ttyAMA0"].is_rs485_at_boot
    assert found["/dev/ttyAMA0"].is_low_latency is True
    assert found["/dev/ttyUSB0"].is_low_latency is None
    assert found["/dev/ttyAMA0"].latency_timer_ms is None


def test_processes_that_may_not_be_looked_into(pi: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _ports(pi)["/dev/ttyAMA0"].are_users_known
    pi.process(1, "init")
    listed = os.listdir

    def listdir(path: Path) -> list[str]:
        if str(path).endswith("/1/fd"):
            raise PermissionError(errno.EACCES, "no")
        return listed(path)

    monkeypatch.setattr(os, "listdir", listdir)
    found = _ports(pi)
    assert not found["/dev/ttyAMA3"].are_users_known
    assert found["/dev/ttyAMA0"].users == ("agetty (412)",)


def test_a_machine_with_nothing(tmp_path: Path) -> None:
    assert serial_ports(tmp_path) == ()


# Asking a driver


@pytest.mark.wire
def test_a_pty_has_no_rs485_mode() -> None:
    master, slave = pty.openpty()
    try:
        assert ask_rs485(os.ttyname(slave)) == Rs485Mode(False, "the driver has none")
    finally:
        os.close(master)
        os.close(slave)


def test_what_is_no_device_is_not_asked(tmp_path: Path) -> None:
    file = tmp_path / "ttyAMA0"
    assert ask_rs485(str(file)) == Rs485Mode(None, "not asked: no device")
    file.touch()
    assert ask_rs485(str(file)) == Rs485Mode(None, "not asked: no device")


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (errno.EBUSY, "not asked: busy"),
        (errno.EACCES, "not asked: no permission"),
        (errno.ENXIO, "not asked: No such device or address"),
    ],
)
def test_a_port_that_cannot_be_opened_says_why(monkeypatch: pytest.MonkeyPatch, code: int, text: str) -> None:
    def refuse(path: str, flags: int) -> int:
        assert flags & os.O_NONBLOCK
        assert flags & os.O_NOCTTY
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(ports.os, "open", refuse)
    mode = ask_rs485("/dev/null")
    assert mode.is_supported is None
    assert mode.text.startswith(text)


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (0b010, "the driver has one; it is off"),
        (0b011, "the driver has one; it is on: RTS raised while sending, 2 ms before and 3 ms after"),
        (0b101, "the driver has one; it is on: RTS lowered while sending, 2 ms before and 3 ms after"),
    ],
)
def test_what_a_driver_answers(monkeypatch: pytest.MonkeyPatch, flags: int, text: str) -> None:
    def answer(descriptor: int, request: int, octets: bytes) -> bytes:
        assert request == 0x542E
        return ports._SERIAL_RS485.pack(flags, 2, 3)

    monkeypatch.setattr(ports.fcntl, "ioctl", answer)
    assert ask_rs485("/dev/null") == Rs485Mode(True, text)


def test_asking_leaves_nothing_open() -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        ask_rs485("/dev/null")
    assert len(os.listdir("/proc/self/fd")) == before
