from __future__ import annotations

import errno
import os
import struct
import termios
from pathlib import Path
from typing import Any

import pytest

from bridge.endpoints import rs485_mode
from bridge.endpoints.direction import (
    Direction,
    DirectionReport,
    DirectionSettings,
    arrange,
)
from bridge.endpoints.tty_rts import TtyRts
from tests.support.ptys import Pty
from tests.support.uarts import (
    ENABLED,
    RTS_AFTER_SEND,
    RTS_ON_SEND,
    RX_DURING_TX,
    TERMINATE_BUS,
    TIOCSRS485,
    Uart,
    answer_ioctl,
    plugged,
)

OCTET_S = 0.001
DEVICE = "/dev/ttyAMA3"
NO_MODE = (
    "the driver has no RS-485 mode; "
    'if the adapter switches by itself write direction = "automatic", else "rts"'
)
NO_RTS = 'the port has no RTS line; if the adapter switches by itself write direction = "automatic"'


@pytest.fixture
def uart(monkeypatch: pytest.MonkeyPatch) -> Uart:
    return plugged(monkeypatch)


def arranged(descriptor: int = 0, **settings: Any) -> DirectionReport:
    return arrange(descriptor, DEVICE, DirectionSettings(**settings))


def test_the_names_are_those_of_the_configuration() -> None:
    assert [str(name) for name in Direction] == ["automatic", "rs485", "rts"]
    assert DirectionSettings() == DirectionSettings(
        direction=Direction.AUTOMATIC, pre_transmit_s=0.0, post_transmit_s=0.0, rts_on_send=True
    )


@pytest.mark.parametrize(
    ("who", "rts_on_send", "at_rest"),
    [
        (Direction.AUTOMATIC, True, True),
        (Direction.AUTOMATIC, False, True),
        (Direction.RS485, True, False),
        (Direction.RS485, False, True),
        (Direction.RTS, True, False),
        (Direction.RTS, False, True),
    ],
)
def test_rts_at_rest(who: Direction, rts_on_send: bool, at_rest: bool) -> None:
    assert DirectionSettings(direction=who, rts_on_send=rts_on_send).rts_at_rest is at_rest


# Automatic


def test_automatic_on_a_port_without_rs485_is_silent(uart: Uart) -> None:
    uart.has_rs485 = False
    assert arranged() == DirectionReport(asked=Direction.AUTOMATIC, in_force="the adapter")


def test_automatic_leaves_a_port_alone_whose_rs485_mode_is_off(uart: Uart) -> None:
    uart.flags = RTS_ON_SEND
    report = arranged()
    assert (report.problem, report.cleared, report.needs_rts) == (None, None, False)
    assert TIOCSRS485 not in uart.requests


def test_automatic_clears_what_another_program_left(uart: Uart) -> None:
    uart.flags, uart.before_ms, uart.after_ms = ENABLED | RTS_ON_SEND, 3, 4
    report = arranged()
    assert (uart.flags, uart.before_ms, uart.after_ms) == (0, 0, 0)
    assert report.cleared == "RTS raised while sending, 3 ms before and 4 ms after"
    assert (report.in_force, report.problem) == ("the adapter", None)
    assert arranged().cleared is None, "there was nothing any more"


@pytest.mark.parametrize("refusal", [None, errno.EINVAL, errno.EPERM])
def test_automatic_says_what_it_could_not_clear(uart: Uart, refusal: int | None) -> None:
    uart.flags = uart.stuck_flags = ENABLED | RTS_AFTER_SEND
    uart.refusal = refusal
    report = arranged()
    assert report.cleared is None
    assert report.problem == (
        "the driver keeps RS-485 settings that another program left: "
        "RTS lowered while sending, 0 ms before and 0 ms after"
    )


@pytest.mark.parametrize("place", ["uart", "uart/uart:0", "uart/uart:0/uart:0.0"])
def test_automatic_keeps_what_the_device_tree_sets_at_boot(
    uart: Uart, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    _plant_device(tmp_path, monkeypatch, place, is_set_at_boot=True)
    uart.flags = ENABLED | RTS_ON_SEND
    report = arranged()
    assert uart.flags == ENABLED | RTS_ON_SEND
    assert report == DirectionReport(
        asked=Direction.AUTOMATIC,
        in_force="the driver, as the device tree says: RTS raised while sending, 0 ms before and 0 ms after",
    )


def test_automatic_clears_where_the_device_tree_says_nothing(
    uart: Uart, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _plant_device(tmp_path, monkeypatch, "uart/uart:0/uart:0.0", is_set_at_boot=False)
    uart.flags = ENABLED | RTS_ON_SEND
    assert arranged().cleared is not None
    assert uart.flags == 0


def _plant_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, *, is_set_at_boot: bool
) -> None:
    """Lay out /sys of a UART whose tty hangs on it, or one or two devices below it."""
    described = tmp_path / "devices/uart"
    (tmp_path / "devices" / place).mkdir(parents=True)
    (described / "of_node").mkdir()
    if is_set_at_boot:
        (described / "of_node/linux,rs485-enabled-at-boot-time").touch()
    tty = tmp_path / "tty/ttyAMA3"
    tty.mkdir(parents=True)
    (tty / "device").symlink_to(tmp_path / "devices" / place)
    monkeypatch.setattr(rs485_mode, "_TTYS", tmp_path / "tty")


# The driver


def test_rs485_is_set_and_read_back(uart: Uart) -> None:
    report = arranged(direction=Direction.RS485, pre_transmit_s=0.0011, post_transmit_s=0.002)
    assert (uart.flags, uart.before_ms, uart.after_ms) == (ENABLED | RTS_ON_SEND, 2, 2), "rounded up"
    assert report == DirectionReport(
        asked=Direction.RS485,
        in_force="the driver: RTS raised while sending, 2 ms before and 2 ms after",
    )


@pytest.mark.parametrize(("seconds", "ms"), [(0.0, 0), (0.001, 1), (0.003, 3), (0.0001, 1), (0.07, 70)])
def test_delays_are_whole_milliseconds_and_none_too_long(uart: Uart, seconds: float, ms: int) -> None:
    report = arranged(direction=Direction.RS485, post_transmit_s=seconds)
    assert (uart.after_ms, report.problem) == (ms, None)


def test_rs485_of_inverted_wiring(uart: Uart) -> None:
    report = arranged(direction=Direction.RS485, rts_on_send=False)
    assert uart.flags == ENABLED | RTS_AFTER_SEND
    assert report.in_force == "the driver: RTS lowered while sending, 0 ms before and 0 ms after"
    assert report.problem is None


def test_rs485_replaces_what_was_set_but_for_the_termination(uart: Uart) -> None:
    uart.flags, uart.before_ms = ENABLED | RTS_AFTER_SEND | RX_DURING_TX | TERMINATE_BUS, 50
    report = arranged(direction=Direction.RS485)
    assert (uart.flags, uart.before_ms) == (ENABLED | RTS_ON_SEND | TERMINATE_BUS, 0)
    assert report.problem is None


def test_clamped_delays_are_reported(uart: Uart) -> None:
    report = arranged(direction=Direction.RS485, pre_transmit_s=0.25, post_transmit_s=0.1001)
    assert report.problem == (
        "delay before sending: 250 ms asked, 100 ms in force; "
        "delay after sending: 101 ms asked, 100 ms in force"
    )
    assert report.in_force == "the driver: RTS raised while sending, 100 ms before and 100 ms after"


@pytest.mark.parametrize(
    ("rts_on_send", "in_force", "problem"),
    [
        (False, ENABLED | RTS_ON_SEND, "RTS while sending: lowered asked, raised in force"),
        (True, ENABLED | RTS_AFTER_SEND, "RTS while sending: raised asked, lowered in force"),
        (True, ENABLED | RTS_ON_SEND | RX_DURING_TX, "it receives what it sends"),
        (True, 0, "the driver took the settings but leaves its RS-485 mode off"),
    ],
)
def test_sanitised_flags_are_reported(uart: Uart, rts_on_send: bool, in_force: int, problem: str) -> None:
    uart.stuck_flags = in_force
    report = arranged(direction=Direction.RS485, rts_on_send=rts_on_send)
    assert report.problem == problem
    if not in_force:
        assert report.in_force == "the driver: off"


def test_a_driver_without_rs485_is_a_problem(uart: Uart) -> None:
    uart.has_rs485 = False
    report = arranged(direction=Direction.RS485)
    assert report == DirectionReport(
        asked=Direction.RS485, in_force="nobody, unless the adapter does", problem=NO_MODE
    )


def test_a_driver_that_tells_but_does_not_take_is_without_rs485(uart: Uart) -> None:
    # The kernel's serial core: the settings can be read of any UART, and set where the driver knows how.
    uart.refusal = errno.ENOTTY
    assert arranged(direction=Direction.RS485).problem == NO_MODE
    assert arranged().problem is None


def test_settings_that_are_refused_are_a_problem_with_the_systems_reason(uart: Uart) -> None:
    uart.refusal = errno.EINVAL
    report = arranged(direction=Direction.RS485)
    assert report.problem == "the driver refuses the settings: Invalid argument"
    assert report.in_force == "the driver: off"


@pytest.mark.parametrize("who", list(Direction))
@pytest.mark.parametrize("code", [errno.EIO, errno.ENODEV])
def test_a_port_that_vanishes_is_no_matter_of_direction(uart: Uart, who: Direction, code: int) -> None:
    uart.gone = code
    with pytest.raises(OSError) as caught:
        arranged(direction=who)
    assert caught.value.errno == code


def test_a_port_that_vanishes_when_it_is_set(uart: Uart) -> None:
    uart.refusal = errno.EIO
    with pytest.raises(OSError) as caught:
        arranged(direction=Direction.RS485)
    assert caught.value.errno == errno.EIO


# RTS at the opening


@pytest.mark.parametrize(("rts_on_send", "word"), [(True, "raised"), (False, "lowered")])
def test_rts_rests_and_stays_there_when_the_port_closes(uart: Uart, rts_on_send: bool, word: str) -> None:
    uart.is_raised = rts_on_send
    with Pty() as adapter:
        port = os.open(adapter.device, os.O_RDWR | os.O_NOCTTY)
        for _ in range(2):
            report = arranged(port, direction=Direction.RTS, rts_on_send=rts_on_send, pre_transmit_s=0.0015)
        hangs_up = bool(termios.tcgetattr(port)[2] & termios.HUPCL)
        os.close(port)
    assert uart.is_raised is not rts_on_send
    assert hangs_up is rts_on_send, "hanging up lowers RTS"
    assert report == DirectionReport(
        asked=Direction.RTS,
        in_force=f"the bridge: RTS {word} while sending, 1.5 ms before and 0 ms after",
        needs_rts=True,
    )


def test_rts_takes_the_driver_out_of_its_rs485_mode(uart: Uart, adapter: Pty) -> None:
    uart.flags = ENABLED | RTS_ON_SEND
    uart.is_raised = True
    report = _arranged_rts(adapter)
    assert uart.flags == 0
    assert (uart.is_raised, report.problem, report.needs_rts) == (False, None, True)
    assert report.cleared == "RTS raised while sending, 0 ms before and 0 ms after"


def test_rts_that_does_not_follow_is_a_problem(uart: Uart, adapter: Pty) -> None:
    uart.is_raised, uart.follows_rts = True, False
    report = _arranged_rts(adapter)
    assert report.problem == "RTS does not follow: told to be lowered, it is not"
    assert report.needs_rts


def test_rts_that_cannot_be_read_is_believed(uart: Uart, adapter: Pty) -> None:
    uart.tells_rts = False
    assert _arranged_rts(adapter).problem is None


@pytest.mark.parametrize("code", [errno.ENOTTY, errno.EINVAL])
def test_a_port_without_rts_is_a_problem(uart: Uart, adapter: Pty, code: int) -> None:
    uart.no_rts = code
    report = _arranged_rts(adapter)
    assert report == DirectionReport(
        asked=Direction.RTS, in_force="nobody, unless the adapter does", problem=NO_RTS
    )


def test_a_pty_has_neither(adapter: Pty) -> None:
    port = os.open(adapter.device, os.O_RDWR | os.O_NOCTTY)
    try:
        assert arranged(port).problem is None
        assert arranged(port, direction=Direction.RS485).problem == NO_MODE
        assert arranged(port, direction=Direction.RTS).problem == NO_RTS
        assert TtyRts(port).unsent() == 0
    finally:
        os.close(port)


def _arranged_rts(adapter: Pty) -> DirectionReport:
    port = os.open(adapter.device, os.O_RDWR | os.O_NOCTTY)
    try:
        return arranged(port, direction=Direction.RTS)
    finally:
        os.close(port)


def test_the_octets_of_the_structure_are_the_kernels() -> None:
    # linux/serial.h: three words and twenty octets of padding, on every architecture.
    asked: list[bytes] = []

    def ioctl(descriptor: int, request: int, octets: bytes) -> bytes:
        if request == TIOCSRS485:
            asked.append(octets)
        return bytes(32) if not asked else asked[-1]

    with pytest.MonkeyPatch.context() as patch:
        answer_ioctl(patch, ioctl)
        arranged(direction=Direction.RS485, pre_transmit_s=0.003, post_transmit_s=0.004)
    assert asked == [struct.pack("=8I", 0b11, 3, 4, 0, 0, 0, 0, 0)]
