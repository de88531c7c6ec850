from __future__ import annotations

import asyncio
import errno
import logging
import os
import termios
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import serial

from bridge.endpoints import rts_direction, serial_line, serial_port, threads
from bridge.endpoints.direction import Direction, DirectionReport
from bridge.endpoints.serial_line import SerialLine
from bridge.endpoints.serial_port import SerialSettings, open_port
from bridge.errors import LineError
from tests.support.descriptors import open_descriptors
from tests.support.eventually import eventually, turns_of_the_loop
from tests.support.frames import request
from tests.support.ptys import Jack, Pty
from tests.support.uarts import ENABLED, RTS_ON_SEND, Uart, plugged

pytestmark = pytest.mark.wire

LONG = request(rest=bytes(range(247))).octets
IN_USE = "in use by another program; stop it (a getty or a modem manager, often)"
UNPLUGGED = "no such device; is the adapter plugged in, is the overlay loaded?"
MISSING = "no such device; does the program that makes it run?"


@dataclass(eq=False)
class User:
    """A `LineUser` that writes down what it is told."""

    opened: int = 0
    lost: list[str] = field(default_factory=list)
    heard: bytearray = field(default_factory=bytearray)

    def line_opened(self) -> None:
        assert self.opened == len(self.lost), "opened twice without a loss between"
        self.opened += 1

    def octets_heard(self, octets: bytes) -> None:
        self.heard += octets

    def line_lost(self, reason: str) -> None:
        self.lost.append(reason)
        assert self.opened == len(self.lost), "lost twice without an opening between"


Line = Callable[..., tuple[SerialLine, User]]


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serial_line, "_FIRST_RETRY_S", 0.005)
    monkeypatch.setattr(serial_line, "_LONGEST_RETRY_S", 0.02)


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    """Start a line for the length of the test."""
    lines: list[SerialLine] = []

    def start(device: str, *, write_stall_s: float = 60, **settings: Any) -> tuple[SerialLine, User]:
        user = User()
        settings = {"baud": 9600, **settings}
        made = SerialLine(
            "bay1", SerialSettings(device=device, **settings), user, write_stall_s=write_stall_s
        )
        made.start()
        lines.append(made)
        return made, user

    yield start
    for made in lines:
        await made.close(drain_s=0)


def _events(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Return the bridge's log: each event with its reason."""
    return [
        (record.getMessage(), getattr(record, "fields", {}).get("reason", ""))
        for record in caplog.records
        if record.name == "bridge"
    ]


# Opening


async def test_it_opens(line: Line, adapter: Pty, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "bridge"):
        made, user = line(adapter.device, baud=19200, stop_bits=2)
        assert (made.is_open, made.reason, made.attempted.is_set()) == (False, "not opened yet", False)
        await eventually(lambda: made.is_open, "the line is up")
    assert (user.opened, user.lost, made.openings, made.losses, made.reason) == (1, [], 1, 0, None)
    assert made.attempted.is_set()
    assert _events(caplog) == [("line up", "")]
    _iflag, oflag, cflag, lflag, _ispeed, ospeed, _cc = termios.tcgetattr(adapter.far)
    assert ospeed == termios.B19200
    assert cflag & termios.CSTOPB
    assert cflag & termios.CSIZE == termios.CS8
    assert not lflag & (termios.ICANON | termios.ECHO | termios.ISIG)
    assert not oflag & termios.OPOST


async def test_octets_pass_both_ways_unchanged(line: Line, adapter: Pty) -> None:
    made, user = line(adapter.device)
    await eventually(lambda: made.is_open, "the line is up")
    every_octet = bytes(range(256))
    made.write(every_octet)
    assert await _read(adapter, 256) == every_octet
    adapter.write(every_octet)
    await eventually(lambda: bytes(user.heard) == every_octet, "all that the device said")


@pytest.mark.parametrize(
    ("parity", "expected"),
    [("none", serial.PARITY_NONE), ("even", serial.PARITY_EVEN), ("odd", serial.PARITY_ODD)],
)
def test_the_settings_reach_the_port(monkeypatch: pytest.MonkeyPatch, parity: Any, expected: str) -> None:
    # A pty takes no parity, so ask pyserial what it was told.
    told: dict[str, Any] = {}

    class Fake(serial.Serial):
        def __init__(self, port: None, baud: int, **settings: Any) -> None:
            super().__init__(port, baud, **settings)
            told.update(settings, baud=baud)

        def open(self) -> None:
            told.update(device=self.port, rts=self.rts)
            raise serial.SerialException(errno.ENOENT, "no")

    monkeypatch.setattr(serial_port.serial, "Serial", Fake)
    with pytest.raises(LineError):
        open_port(SerialSettings(device="/dev/x", baud=1200, parity=parity, stop_bits=2))
    assert told["device"] == "/dev/x"
    assert (told["baud"], told["parity"], told["stopbits"], told["exclusive"]) == (1200, expected, 2, True)
    assert told["rts"], "an adapter may live on it"
    settings = SerialSettings(device="/dev/x", baud=1200, direction=Direction.RS485)
    with pytest.raises(LineError):
        open_port(settings)
    assert not told["rts"], "the bus is not driven while the port is opened"


@pytest.mark.parametrize("parity", ["even", "odd"])
def test_a_pty_takes_a_line_with_parity_again_and_again(adapter: Pty, parity: Any) -> None:
    for _ in range(3):
        open_port(SerialSettings(device=adapter.device, baud=9600, parity=parity)).close()


async def test_what_was_said_before_the_opening_is_not_delivered(line: Line, adapter: Pty) -> None:
    adapter.write(b"stale")
    made, user = line(adapter.device)
    await eventually(lambda: made.is_open, "the line is up")
    adapter.write(b"fresh")
    await eventually(lambda: user.heard, "what was said afterwards")
    await turns_of_the_loop()
    assert bytes(user.heard) == b"fresh"


async def test_a_missing_device_is_one_log_line_and_comes_up_when_it_appears(
    line: Line, adapter: Pty, jack: Jack, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = _count_openings(monkeypatch)
    with caplog.at_level(logging.INFO, "bridge"):
        made, user = line(jack.device)
        await eventually(lambda: len(attempts) >= 5, "five attempts")
        assert (made.is_open, made.reason) == (False, MISSING)
        assert _events(caplog) == [("line down", MISSING)]
        jack.plug_in(adapter)
        await eventually(lambda: made.is_open, "the line is up by itself")
    assert _events(caplog)[1:] == [("line up", "")]
    assert (user.opened, user.lost) == (1, [])


async def test_a_new_reason_is_a_new_log_line(
    line: Line, jack: Jack, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = _count_openings(monkeypatch)
    made, _user = line(jack.device)
    await eventually(lambda: made.reason == MISSING and len(attempts) >= 2, "two attempts")
    Path(jack.device).touch()
    await eventually(lambda: made.reason == "not a serial port", "the new reason")
    Path(jack.device).unlink()
    await eventually(lambda: made.reason == MISSING, "the old reason again")
    assert [reason for _, reason in _events(caplog)] == [
        MISSING,
        "not a serial port",
        MISSING,
    ]


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(Path.touch, id="file"),
        pytest.param(Path.mkdir, id="directory"),
        pytest.param(os.mkfifo, id="fifo"),
        pytest.param(lambda path: path.symlink_to(os.devnull), id="device"),
    ],
)
async def test_what_is_no_serial_port_is_said_to_be_none(
    line: Line, tmp_path: Path, make: Callable[[Path], object]
) -> None:
    path = tmp_path / "ttyS9"
    make(path)
    before = open_descriptors()
    made, _user = line(str(path))
    await eventually(lambda: made.reason != "not opened yet", "an attempt")
    assert made.reason == "not a serial port"
    await made.close(drain_s=0)
    await eventually(lambda: open_descriptors() == before, "no descriptor left behind")


async def test_a_port_is_for_one_user_only(line: Line, adapter: Pty) -> None:
    first, _ = line(adapter.device)
    await eventually(lambda: first.is_open, "the first user has it")
    second, second_user = line(adapter.device)
    await eventually(lambda: second.reason == IN_USE, "the second is refused")
    with pytest.raises(LineError, match="in use by another program") as caught:
        open_port(SerialSettings(device=adapter.device, baud=9600))
    assert caught.value.errno == errno.EAGAIN
    first.write(b"undisturbed")
    assert await _read(adapter, 11) == b"undisturbed"
    await first.close(drain_s=0)
    await eventually(lambda: second.is_open, "the second, once the first has let go")
    assert (second_user.opened, second_user.lost) == (1, [])


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.EACCES, "permission denied; add the user that runs the bridge to the group dialout"),
        (errno.EBUSY, IN_USE),
        (errno.ENXIO, UNPLUGGED),
        (errno.EIO, "unplugged or hung up"),
        (errno.ENOMEM, "Cannot allocate memory"),
    ],
)
def test_the_systems_reasons_become_remedies(monkeypatch: pytest.MonkeyPatch, code: int, words: str) -> None:
    def refuse(path: str, *_: Any) -> int:
        raise OSError(code, os.strerror(code), path)

    monkeypatch.setattr(serial.serialposix.os, "open", refuse)
    with pytest.raises(LineError) as caught:
        open_port(SerialSettings(device="/dev/ttyS9", baud=9600))
    assert (caught.value.errno, caught.value.strerror) == (code, f"/dev/ttyS9: {words}")


@pytest.mark.parametrize(
    ("device", "reason"),
    [
        ("/dev/nonesuch", UNPLUGGED),
        ("/dev/serial/by-id/usb-nonesuch", UNPLUGGED),
        ("/dev/pts/999999", MISSING),
        ("/tmp/nonesuch/bay1", MISSING),
    ],
)
def test_a_missing_device_is_looked_for_at_whoever_makes_it(device: str, reason: str) -> None:
    with pytest.raises(LineError) as caught:
        open_port(SerialSettings(device=device, baud=9600))
    assert caught.value.strerror == f"{device}: {reason}"


def test_settings_that_the_driver_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise termios.error(errno.EINVAL, "Invalid argument")

    with Pty() as adapter, monkeypatch.context() as patch:
        patch.setattr(serial.serialposix.termios, "tcsetattr", refuse)
        before = open_descriptors()
        with pytest.raises(LineError) as caught:
            open_port(SerialSettings(device=adapter.device, baud=9600))
        assert open_descriptors() == before
    assert caught.value.strerror == f"{adapter.device}: Invalid argument"


# An opening that blocks


class BlockedDriver:
    """An `open_port` that does not return before `let_go`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._may_go_on = threading.Event()
        self.calls = 0
        self.done = 0
        monkeypatch.setattr(serial_port, "open_port", self._open)

    def let_go(self) -> None:
        self._may_go_on.set()

    def _open(self, settings: SerialSettings) -> serial.Serial:
        self.calls += 1
        self._may_go_on.wait(60)
        try:
            return open_port(settings)
        finally:
            self.done += 1


async def test_an_opening_that_blocks_does_not_block_the_loop(
    line: Line, adapter: Pty, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = BlockedDriver(monkeypatch)
    made, _user = line(adapter.device)
    await turns_of_the_loop(100)
    assert (driver.done, made.is_open) == (0, False)
    driver.let_go()
    await eventually(lambda: made.is_open, "the line is up after all")
    assert driver.calls == 1


async def test_an_opening_that_blocks_is_reported(
    line: Line, adapter: Pty, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(serial_line, "_SLOW_OPEN_S", 0.02)
    driver = BlockedDriver(monkeypatch)
    made, _user = line(adapter.device)
    reason = "the driver has not opened it for 0.02 s"
    await eventually(lambda: made.reason == reason, "the reason")
    assert _events(caplog) == [("line down", reason)]
    driver.let_go()
    await eventually(lambda: made.is_open, "the line is up after all")


async def test_close_does_not_wait_for_an_opening_that_blocks(
    line: Line, adapter: Pty, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = BlockedDriver(monkeypatch)
    before = open_descriptors()
    made, user = line(adapter.device)
    await turns_of_the_loop()
    async with asyncio.timeout(5):
        await made.close(drain_s=30)
    assert driver.done == 0
    driver.let_go()
    await eventually(lambda: driver.done, "the driver returns")
    await eventually(lambda: open_descriptors() == before, "the port that came too late is let go")
    assert (user.opened, user.lost, made.is_open) == (0, [], False)


# Direction


NO_MODE = (
    "the driver has no RS-485 mode; "
    'if the adapter switches by itself write direction = "automatic", else "rts"'
)
NO_RTS = 'the port has no RTS line; if the adapter switches by itself write direction = "automatic"'


@pytest.fixture
def uart(monkeypatch: pytest.MonkeyPatch) -> Uart:
    """A driver in place of the pty's, for all that the direction's modules ask."""
    return plugged(monkeypatch)


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a driver's octets longer than a test takes on a busy machine."""
    monkeypatch.setattr(rts_direction, "_STUCK_S", 60.0)


def _written(monkeypatch: pytest.MonkeyPatch, adapter: Pty, events: list[str]) -> None:
    """Put each write to the adapter among the events."""
    real_write = os.write

    def recording_write(descriptor: int, octets: bytes) -> int:
        if os.ttyname(descriptor) == adapter.device:
            events.append(f"wrote {len(octets)}")
        return real_write(descriptor, octets)

    monkeypatch.setattr(serial_port.os, "write", recording_write)


@pytest.mark.parametrize(
    ("who", "problem"), [(Direction.AUTOMATIC, None), (Direction.RS485, NO_MODE), (Direction.RTS, NO_RTS)]
)
async def test_a_port_without_direction_control_opens_and_says_so(
    line: Line, adapter: Pty, caplog: pytest.LogCaptureFixture, who: Direction, problem: str | None
) -> None:
    with caplog.at_level(logging.INFO, "bridge"):
        made, _user = line(adapter.device, direction=who, pre_transmit_s=60.0)
        assert made.direction_report == DirectionReport(asked=who, in_force="the port is not open")
        await eventually(lambda: made.is_open, "the line is up")
    report = made.direction_report
    assert (report.asked, report.problem) == (who, problem)
    assert report.in_force == ("nobody, unless the adapter does" if problem else "the adapter")
    made.write(b"octets still flow")
    assert await _read(adapter, 17) == b"octets still flow"
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [vars(record)["fields"] for record in warnings] == [
        {"line": "bay1", "device": adapter.device, "asked": str(who), "problem": problem}
        for _ in range(problem is not None)
    ]


async def test_each_opening_warns_once_and_a_closed_port_reports_nothing(
    line: Line, jack: Jack, caplog: pytest.LogCaptureFixture
) -> None:
    with Pty() as first, Pty() as second:
        jack.plug_in(first)
        made, user = line(jack.device, direction=Direction.RS485)
        await eventually(lambda: made.is_open, "the line is up")
        jack.plug_out()
        first.unplug()
        await eventually(lambda: user.lost, "the loss")
        assert made.direction_report == DirectionReport(
            asked=Direction.RS485, in_force="the port is not open"
        )
        jack.plug_in(second)
        await eventually(lambda: made.is_open, "the line is up again")
        assert made.direction_report.problem == NO_MODE
    events = [event for event, _ in _events(caplog) if event == "direction not as asked"]
    assert len(events) == 2


async def test_the_driver_is_set_at_each_opening(line: Line, jack: Jack, uart: Uart) -> None:
    with Pty() as first, Pty() as second:
        jack.plug_in(first)
        made, user = line(jack.device, direction=Direction.RS485, pre_transmit_s=0.002)
        await eventually(lambda: made.is_open, "the line is up")
        assert (uart.flags, uart.before_ms) == (ENABLED | RTS_ON_SEND, 2)
        assert made.direction_report == DirectionReport(
            asked=Direction.RS485,
            in_force="the driver: RTS raised while sending, 2 ms before and 0 ms after",
        )
        uart.flags = 0  # a new adapter
        jack.plug_in(second)
        first.unplug()
        await eventually(lambda: user.opened == 2, "the line is up again")
        assert uart.flags == ENABLED | RTS_ON_SEND
        await made.close(drain_s=0)
    assert uart.flags == ENABLED | RTS_ON_SEND, "a closed port must not drive the bus"


async def test_what_another_program_left_is_cleared_and_noted(
    line: Line, adapter: Pty, uart: Uart, caplog: pytest.LogCaptureFixture
) -> None:
    uart.flags = ENABLED | RTS_ON_SEND
    with caplog.at_level(logging.INFO, "bridge"):
        made, _user = line(adapter.device)
        await eventually(lambda: made.is_open, "the line is up")
    assert uart.flags == 0
    assert [event for event, _ in _events(caplog)] == ["line up", "left-over RS-485 settings cleared"]
    assert vars(caplog.records[-1])["fields"] == {
        "line": "bay1",
        "device": adapter.device,
        "settings": "RTS raised while sending, 0 ms before and 0 ms after",
        "remedy": 'if the board needs them write direction = "rs485"',
    }
    assert made.direction_report.cleared == "RTS raised while sending, 0 ms before and 0 ms after"


async def test_a_port_that_vanishes_while_its_direction_is_settled(
    line: Line, adapter: Pty, uart: Uart
) -> None:
    uart.gone = errno.EIO
    before = open_descriptors()
    made, user = line(adapter.device, direction=Direction.RS485)
    await eventually(lambda: made.reason == "unplugged or hung up", "an attempt")
    assert (user.opened, made.is_open) == (0, False)
    uart.gone = None
    await eventually(lambda: made.is_open, "the line is up")
    await made.close(drain_s=0)
    await eventually(lambda: open_descriptors() == before, "no descriptor left behind")


@pytest.mark.parametrize("who", [Direction.AUTOMATIC, Direction.RS485])
async def test_a_frame_costs_one_write_where_the_program_does_not_switch(
    line: Line, adapter: Pty, uart: Uart, monkeypatch: pytest.MonkeyPatch, who: Direction
) -> None:
    made, _user = line(adapter.device, direction=who, pre_transmit_s=0.01, post_transmit_s=0.01)
    await eventually(lambda: made.is_open, "the line is up")
    asked = len(uart.requests)
    with monkeypatch.context() as patch:
        _written(patch, adapter, uart.events)
        made.write(LONG)
    assert (uart.events, len(uart.requests)) == ([f"wrote {len(LONG)}"], asked)


@pytest.mark.parametrize("pre_transmit_s", [0.0, 0.005])
async def test_rts_is_raised_around_a_frame(
    line: Line, adapter: Pty, uart: Uart, monkeypatch: pytest.MonkeyPatch, pre_transmit_s: float
) -> None:
    made, _user = line(
        adapter.device,
        baud=115200,
        direction=Direction.RTS,
        pre_transmit_s=pre_transmit_s,
        post_transmit_s=0.005,
    )
    await eventually(lambda: made.is_open, "the line is up")
    assert uart.events == ["lowered"]
    assert made.direction_report.problem is None
    uart.events.clear()
    _written(monkeypatch, adapter, uart.events)
    for count in (1, 2):
        made.write(b"frame")
        await eventually(lambda n=count: uart.events.count("lowered") == n, "RTS at rest")  # type: ignore[misc]
    assert uart.events == ["raised", "wrote 5", "lowered"] * 2
    assert await _read(adapter, 10) == b"frameframe"


async def test_rts_is_held_for_the_time_of_the_octets_and_over_frames(
    line: Line, adapter: Pty, uart: Uart
) -> None:
    loop = asyncio.get_running_loop()
    # 11 bits with parity: 240 octets at 9600 baud are 275 ms.
    made, _user = line(adapter.device, parity="even", direction=Direction.RTS)
    await eventually(lambda: made.is_open, "the line is up")
    begun_s = loop.time()
    made.write(bytes(120))
    await turns_of_the_loop(2)
    made.write(bytes(120))
    await eventually(lambda: uart.events == ["lowered", "raised", "lowered"], "RTS at rest")
    assert loop.time() - begun_s >= 240 * 11 / 9600


@pytest.mark.usefixtures("patience")
async def test_rts_waits_for_the_driver(line: Line, adapter: Pty, uart: Uart) -> None:
    made, user = line(adapter.device, baud=115200, direction=Direction.RTS)
    await eventually(lambda: made.is_open, "the line is up")
    uart.is_shifting = True
    made.write(b"frame")
    asked = len(uart.requests)
    await eventually(lambda: len(uart.requests) >= asked + 6, "three looks at the transmitter")
    assert uart.is_raised
    uart.is_shifting = False
    await eventually(lambda: not uart.is_raised, "RTS at rest")
    assert (made.direction_report.problem, user.lost) == (None, [])


async def test_a_driver_that_does_not_send_is_a_problem_once(
    line: Line, adapter: Pty, uart: Uart, caplog: pytest.LogCaptureFixture
) -> None:
    made, user = line(adapter.device, baud=115200, direction=Direction.RTS)
    await eventually(lambda: made.is_open, "the line is up")
    uart.queued = 3
    for count in (2, 3):
        made.write(b"frame")
        await eventually(lambda n=count: uart.events.count("lowered") == n, "RTS at rest")  # type: ignore[misc]
    assert made.direction_report.problem == "RTS was released while the driver still counted unsent octets"
    assert [event for event, _ in _events(caplog)].count("direction not as asked") == 1
    assert (made.is_open, user.lost) == (True, [])


@pytest.mark.usefixtures("patience")
async def test_octets_that_the_driver_does_not_take_hold_rts(line: Line, adapter: Pty, uart: Uart) -> None:
    made, user = line(adapter.device, baud=4_000_000, direction=Direction.RTS)
    await eventually(lambda: made.is_open, "the line is up")
    written = _overfill(made)
    # All of it is due after a second; what reads it does so for as long as RTS is held.
    due_s = asyncio.get_running_loop().time() + written * made.settings.octet_s + 0.05
    read = 0
    while asyncio.get_running_loop().time() < due_s:
        read += len(os.read(adapter.far, 1000))
        await asyncio.sleep(0.01)
    assert uart.is_raised
    assert len(await _read(adapter, written - read)) == written - read
    await eventually(lambda: not uart.is_raised, "RTS at rest")
    assert (made.direction_report.problem, user.lost) == (None, [])


@pytest.mark.parametrize("pre_transmit_s", [0.0, 60.0], ids=["sending", "leading"])
async def test_rts_goes_to_rest_when_the_port_is_lost(
    line: Line, jack: Jack, uart: Uart, pre_transmit_s: float
) -> None:
    with Pty() as first, Pty() as second:
        jack.plug_in(first)
        # 100 octets at 50 baud take 20 s.
        made, user = line(jack.device, baud=50, direction=Direction.RTS, pre_transmit_s=pre_transmit_s)
        await eventually(lambda: made.is_open, "the line is up")
        made.write(bytes(100))
        assert uart.is_raised
        jack.plug_out()
        first.unplug()
        await eventually(lambda: user.lost, "the loss")
        await eventually(lambda: not uart.is_raised, "RTS at rest")
        made.write(b"to nobody")
        jack.plug_in(second)
        await eventually(lambda: made.is_open, "the line is up again")
        await turns_of_the_loop()
        assert second.read() == b"", "nothing of what waited for the lost port"
        assert not uart.is_raised


async def test_a_port_that_refuses_rts_when_it_sends_is_lost(line: Line, adapter: Pty, uart: Uart) -> None:
    made, user = line(adapter.device, direction=Direction.RTS)
    await eventually(lambda: made.is_open, "the line is up")
    uart.gone = errno.EIO
    made.write(b"frame")
    made.write(b"frame")
    await eventually(lambda: user.lost, "the loss")
    assert user.lost == ["unplugged or hung up"]
    assert adapter.read() == b""
    uart.gone = None
    await eventually(lambda: made.is_open, "the line is up again")


@pytest.mark.parametrize("pre_transmit_s", [0.0, 0.05], ids=["sending", "leading"])
@pytest.mark.usefixtures("patience")
async def test_close_sends_the_frame_and_then_puts_rts_to_rest(
    line: Line, adapter: Pty, uart: Uart, monkeypatch: pytest.MonkeyPatch, pre_transmit_s: float
) -> None:
    made, _user = line(adapter.device, baud=1200, direction=Direction.RTS, pre_transmit_s=pre_transmit_s)
    await eventually(lambda: made.is_open, "the line is up")
    uart.events.clear()
    _written(monkeypatch, adapter, uart.events)
    made.write(b"frame")
    uart.is_shifting = True
    closing = asyncio.create_task(made.close(drain_s=30))
    asked = len(uart.requests)
    await eventually(lambda: len(uart.requests) >= asked + 6, "three looks at the transmitter")
    assert uart.is_raised
    uart.is_shifting = False
    await closing
    assert uart.events[:3] == ["raised", "wrote 5", "lowered"]
    assert set(uart.events[3:]) <= {"lowered"}
    assert await _read(adapter, 5) == b"frame"


async def test_close_without_time_puts_rts_to_rest_at_once(line: Line, adapter: Pty, uart: Uart) -> None:
    made, _user = line(adapter.device, direction=Direction.RTS, pre_transmit_s=60.0)
    await eventually(lambda: made.is_open, "the line is up")
    made.write(b"frame")
    assert uart.is_raised
    async with asyncio.timeout(10):
        await made.close(drain_s=0)
    assert (uart.is_raised, adapter.read()) == (False, b"")


# Low latency


async def test_low_latency_is_asked_for(
    line: Line, adapter: Pty, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[tuple[bool, str]] = []

    def set_low_latency_mode(port: serial.Serial, is_wanted: bool) -> None:
        asked.append((is_wanted, threading.current_thread().name))

    monkeypatch.setattr(serial.Serial, "set_low_latency_mode", set_low_latency_mode)
    with caplog.at_level(logging.DEBUG, "bridge"):
        made, _user = line(adapter.device)
        await eventually(lambda: made.is_open, "the line is up")
    assert asked == [(True, "serial port")], "off the loop"
    assert _events(caplog) == [("line up", "")]


async def test_a_driver_without_low_latency_is_known_to_those_who_debug(
    line: Line, adapter: Pty, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "bridge"):
        made, _user = line(adapter.device)
        await eventually(lambda: made.is_open, "the line is up")
    ours = [record for record in caplog.records if record.name == "bridge"]
    assert [(record.getMessage(), record.levelno) for record in ours] == [
        ("line up", logging.INFO),
        ("no low latency", logging.DEBUG),
    ]
    assert "Inappropriate ioctl" in _events(caplog)[1][1]


# Losing


async def test_a_hang_up_is_told_once_and_the_next_adapter_is_found(
    line: Line, jack: Jack, caplog: pytest.LogCaptureFixture
) -> None:
    with Pty() as first, Pty() as second, caplog.at_level(logging.INFO, "bridge"):
        jack.plug_in(first)
        made, user = line(jack.device)
        await eventually(lambda: made.is_open, "the line is up")
        jack.plug_out()
        first.unplug()
        await eventually(lambda: user.lost, "the loss")
        assert user.lost == ["unplugged or hung up"]
        assert not made.is_open
        made.write(b"to nobody")
        await eventually(lambda: made.reason == MISSING, "an attempt")
        jack.plug_in(second)
        await eventually(lambda: made.is_open, "the line is up again")
        second.write(b"here")
        made.write(b"there")
        assert await _read(second, 5) == b"there"
        await eventually(lambda: user.heard == b"here", "what the second adapter says")
    assert (user.opened, made.openings, made.losses) == (2, 2, 1)
    assert [event for event, _ in _events(caplog)] == ["line up", "line down", "line down", "line up"]


async def test_twenty_unplugged_adapters_leave_no_descriptor_and_no_thread(line: Line, jack: Jack) -> None:
    with Pty() as adapter:
        jack.plug_in(adapter)
        made, user = line(jack.device)
        await eventually(lambda: made.is_open, "the line is up")
        descriptors, threads = len(open_descriptors()), threading.active_count()
        for count in range(1, 21):
            adapter.unplug()
            adapter = Pty()
            jack.plug_in(adapter)
            await eventually(lambda n=count: user.opened == n + 1, "the line is up again")  # type: ignore[misc]
        await eventually(lambda: len(open_descriptors()) <= descriptors, "no descriptor left behind")
        await eventually(lambda: threading.active_count() <= threads, "no thread left behind")
        assert len(user.lost) == 20
        adapter.unplug()


async def test_a_hang_up_while_octets_wait_to_be_written(line: Line, jack: Jack) -> None:
    with Pty() as first, Pty() as second:
        jack.plug_in(first)
        made, user = line(jack.device)
        await eventually(lambda: made.is_open, "the line is up")
        _overfill(made)
        jack.plug_in(second)
        first.unplug()
        await eventually(lambda: user.opened == 2, "the line is up again")
        made.write(b"fresh")
        assert await _read(second, 5) == b"fresh", "nothing of what waited for the lost port"


async def test_a_device_that_takes_nothing_is_lost_and_recovers(line: Line, adapter: Pty) -> None:
    made, user = line(adapter.device, write_stall_s=0.1)
    await eventually(lambda: made.is_open, "the line is up")
    _overfill(made)
    await eventually(lambda: user.lost, "the loss")
    assert user.lost == ["takes no octets for 0.1 s"]
    await eventually(lambda: made.is_open, "the line is up again")
    adapter.read()
    made.write(b"fresh")
    assert (await _read(adapter, 5)).endswith(b"fresh")
    assert made.reason is None


async def test_a_device_that_takes_octets_slowly_is_not_lost(line: Line, adapter: Pty) -> None:
    loop = asyncio.get_running_loop()
    made, user = line(adapter.device, write_stall_s=0.5)
    await eventually(lambda: made.is_open, "the line is up")
    written = _overfill(made)
    read = 0
    slow_until_s = loop.time() + 0.8
    while loop.time() < slow_until_s:
        read += len(os.read(adapter.far, 1000))
        await asyncio.sleep(0.01)
    assert len(await _read(adapter, written - read)) == written - read
    assert user.lost == []
    made.write(b"!")
    assert await _read(adapter, 1) == b"!"


# Writing


async def test_a_frame_goes_to_the_driver_in_one_write(
    line: Line, adapter: Pty, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, _user = line(adapter.device)
    await eventually(lambda: made.is_open, "the line is up")
    writes: list[bytes] = []
    real_write = os.write

    def recording_write(descriptor: int, octets: bytes) -> int:
        if os.ttyname(descriptor) == adapter.device:
            writes.append(bytes(octets))
        return real_write(descriptor, octets)

    with monkeypatch.context() as patch:
        patch.setattr(serial_port.os, "write", recording_write)
        made.write(LONG)
        made.write(LONG[:100])
        assert writes == [LONG, LONG[:100]], "at once, not in a later turn of the loop"
    assert await _read(adapter, len(LONG) + 100) == LONG + LONG[:100]


async def test_what_waits_for_the_driver_stays_in_order(line: Line, adapter: Pty) -> None:
    made, _user = line(adapter.device)
    await eventually(lambda: made.is_open, "the line is up")
    numbers = [number.to_bytes(4, "big") * 64 for number in range(1000)]
    for octets in numbers:
        made.write(octets)
    assert await _read(adapter, 256_000) == b"".join(numbers)


async def test_writing_to_a_line_that_is_down_does_nothing(line: Line, adapter: Pty, jack: Jack) -> None:
    made, user = line(jack.device)
    made.write(b"lost")
    jack.plug_in(adapter)
    await eventually(lambda: made.is_open, "the line is up")
    made.write(b"kept")
    assert await _read(adapter, 4) == b"kept"
    assert user.lost == []


# Closing


async def test_close_lets_the_port_go(line: Line, adapter: Pty) -> None:
    before = open_descriptors()
    made, user = line(adapter.device)
    await eventually(lambda: made.is_open, "the line is up")
    await made.close(drain_s=1)
    assert (made.is_open, made.reason, user.lost) == (False, "closed", ["closed"])
    assert open_descriptors() == before
    open_port(SerialSettings(device=adapter.device, baud=9600)).close()
    await made.close(drain_s=1)
    await turns_of_the_loop()
    assert user.opened == 1


async def test_close_sends_what_waits(line: Line, adapter: Pty) -> None:
    made, _user = line(adapter.device)
    await eventually(lambda: made.is_open, "the line is up")
    written = _overfill(made)
    closing = asyncio.create_task(made.close(drain_s=30))
    assert len(await _read(adapter, written)) == written
    await closing


async def test_close_does_not_wait_for_a_device_that_takes_nothing(line: Line, adapter: Pty) -> None:
    before = open_descriptors()
    made, user = line(adapter.device)
    await eventually(lambda: made.is_open, "the line is up")
    _overfill(made)
    async with asyncio.timeout(10):
        await made.close(drain_s=0.05)
    assert user.lost == ["closed"]
    await eventually(lambda: open_descriptors() == before, "the port is let go")


async def test_close_ends_the_retries(line: Line, jack: Jack, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = _count_openings(monkeypatch)
    made, _user = line(jack.device)
    await eventually(lambda: len(attempts) >= 2, "two attempts")
    await made.close(drain_s=1)
    count = len(attempts)
    line("/dev/nonesuch")
    await eventually(lambda: len(attempts) > count + 4, "attempts of another line")
    assert {settings.device for settings in attempts[count:]} == {"/dev/nonesuch"}


async def test_close_in_the_middle_of_a_loss(line: Line, adapter: Pty) -> None:
    made, user = line(adapter.device)
    await eventually(lambda: made.is_open, "the line is up")
    adapter.unplug()
    async with asyncio.timeout(10):
        await made.close(drain_s=1)
    assert (user.opened, len(user.lost), made.is_open) == (1, 1, False)


def _count_openings(monkeypatch: pytest.MonkeyPatch) -> list[SerialSettings]:
    attempts: list[SerialSettings] = []

    def counted(settings: SerialSettings) -> serial.Serial:
        attempts.append(settings)
        return open_port(settings)

    monkeypatch.setattr(serial_port, "open_port", counted)
    return attempts


def _overfill(line: SerialLine) -> int:
    """Write more than a pty takes, and return how many octets that is."""
    for _ in range(400):
        line.write(bytes(1000))
    return 400_000


async def _read(adapter: Pty, octets: int) -> bytes:
    read = bytearray()

    def has_all() -> bool:
        read.extend(adapter.read())
        return len(read) >= octets

    await eventually(has_all, f"{octets} octets from the line")
    return bytes(read)


# Resetting


async def test_a_reset_closes_the_port_and_opens_it_again(
    line: Line, adapter: Pty, caplog: pytest.LogCaptureFixture
) -> None:
    made, user = line(adapter.device)
    await eventually(lambda: made.is_open, "the line is up")
    with caplog.at_level(logging.INFO, "bridge"):
        made.reset()
        made.reset()
        assert made.is_resetting
        await eventually(lambda: made.openings == 2, "the second opening")
    assert (user.opened, user.lost, made.losses) == (2, ["it is being reset"], 1)
    assert (made.is_resetting, made.is_open, made.reason) == (False, True, None)
    assert _events(caplog) == [("line down", "it is being reset"), ("line up", "")]
    adapter.write(b"still here")
    await eventually(lambda: user.heard == b"still here", "what the device says")


async def test_a_reset_lets_out_what_is_being_sent(line: Line, adapter: Pty) -> None:
    made, user = line(adapter.device)
    await eventually(lambda: made.is_open, "the line is up")
    adapter.fill()
    made.write(b"the last frame")
    made.reset()
    await eventually(lambda: user.lost, "the loss")
    heard = bytearray()

    def is_heard() -> bool:
        heard.extend(adapter.read())
        return heard.endswith(b"the last frame")

    await eventually(is_heard, "the frame")


async def test_a_reset_tries_a_missing_device_at_once(
    line: Line, jack: Jack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serial_line, "_FIRST_RETRY_S", 3600.0)
    made, _ = line(jack.device)
    await eventually(made.attempted.is_set, "an attempt")
    with Pty() as adapter:
        jack.plug_in(adapter)
        made.reset()
        await eventually(lambda: made.is_open, "the line is up")
        assert not made.is_resetting


async def test_a_reset_of_a_line_that_stays_away_is_over_when_it_was_tried(line: Line, jack: Jack) -> None:
    made, user = line(jack.device)
    await eventually(made.attempted.is_set, "an attempt")
    made.reset()
    await eventually(lambda: not made.is_resetting, "the reset is over")
    assert (made.is_open, user.lost) == (False, [])


async def test_a_reset_while_the_port_is_being_opened_opens_it_once(line: Line, adapter: Pty) -> None:
    made, user = line(adapter.device)
    made.reset()
    await eventually(lambda: made.is_open, "the line is up")
    await turns_of_the_loop()
    assert (user.opened, made.openings, made.is_resetting) == (1, 1, False)


async def test_a_closed_line_is_not_reset(line: Line, adapter: Pty) -> None:
    made, _ = line(adapter.device)
    await eventually(lambda: made.is_open, "the line is up")
    await made.close(drain_s=0)
    made.reset()
    assert (made.is_resetting, made.reason) == (False, "closed")


async def test_a_line_is_not_lost_while_there_are_no_threads(
    line: Line, jack: Jack, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(threads, "_RETRY_S", 0.005)
    is_short = True
    tries: list[None] = []
    start = threading.Thread.start

    def start_if_there_is_room(thread: threading.Thread) -> None:
        if is_short:
            tries.append(None)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_if_there_is_room)
    with Pty() as first, Pty() as second:
        jack.plug_in(first)
        bay, _ = line(jack.device)
        await eventually(lambda: len(tries) > 3, "it is tried again and again")
        is_short = False
        await eventually(lambda: bay.is_open, "it is opened")
        is_short = True
        first.unplug()
        await eventually(lambda: not bay.is_open, "it is lost")
        jack.plug_in(second)
        is_short = False
        await eventually(lambda: bay.is_open, "it was closed, and is opened again")
    told = [record for record in caplog.records if record.message == "no thread"]
    assert [record.fields["work"] for record in told] == ["serial port"] * 2  # type: ignore[attr-defined]
