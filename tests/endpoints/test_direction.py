from __future__ import annotations

import errno
import os
import struct
import termios
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bridge.endpoints import direction
from bridge.endpoints.direction import (
    Direction,
    DirectionReport,
    DirectionSettings,
    RtsDirection,
    TtyRts,
    arrange,
)
from tests.support.ptys import Pty
from tests.support.uarts import (
    ENABLED,
    RTS_AFTER_SEND,
    RTS_ON_SEND,
    RX_DURING_TX,
    TERMINATE_BUS,
    TIOCSRS485,
    Uart,
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
    uart = Uart()
    monkeypatch.setattr(direction, "ioctl", uart.ioctl)
    return uart


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
    monkeypatch.setattr(direction, "_TTYS", tmp_path / "tty")


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


# The transmitter


def test_unsent_is_the_queue_and_then_the_transmitter(uart: Uart) -> None:
    line = TtyRts(0)
    uart.queued, uart.is_shifting = 7, True
    assert line.unsent() == 7
    uart.queued = 0
    assert line.unsent() == 1
    uart.is_shifting = False
    assert line.unsent() == 0


def test_a_driver_that_tells_nothing_of_its_transmitter_is_asked_once(uart: Uart) -> None:
    uart.tells_transmitter, uart.is_shifting = False, True
    line = TtyRts(0)
    assert [line.unsent(), line.unsent()] == [0, 0]
    assert uart.requests.count(termios.TIOCSERGETLSR) == 1
    uart.queued = 3
    assert line.unsent() == 3


@pytest.mark.parametrize("ask", [TtyRts.unsent, TtyRts.is_raised])
def test_a_vanished_port_raises(uart: Uart, ask: Callable[[TtyRts], object]) -> None:
    uart.gone = errno.EIO
    with pytest.raises(OSError):
        ask(TtyRts(0))


def test_the_octets_of_the_structure_are_the_kernels() -> None:
    # linux/serial.h: three words and twenty octets of padding, on every architecture.
    asked: list[bytes] = []

    def ioctl(descriptor: int, request: int, octets: bytes) -> bytes:
        if request == TIOCSRS485:
            asked.append(octets)
        return bytes(32) if not asked else asked[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(direction, "ioctl", ioctl)
        arranged(direction=Direction.RS485, pre_transmit_s=0.003, post_transmit_s=0.004)
    assert asked == [struct.pack("=8I", 0b11, 3, 4, 0, 0, 0, 0, 0)]


# RTS around frames


@dataclass(eq=False)
class Port:
    """An `RtsPort` under a clock that a test sets; it writes down when it was told what."""

    now: float = 100.0
    told: list[tuple[float, str | bytes]] = field(default_factory=list)
    queue: int = 0
    stuck: int = 0
    rts_takes_s: float = 0.0

    def set_rts(self, *, is_raised: bool) -> None:
        self.now += self.rts_takes_s
        self._tell("raise" if is_raised else "lower")

    def put(self, octets: bytes) -> None:
        self._tell(octets)

    def unsent(self) -> int:
        return self.queue

    def clock(self) -> float:
        return self.now

    def on_stuck(self) -> None:
        self.stuck += 1

    def _tell(self, what: str | bytes) -> None:
        self.told.append((round(self.now - 100, 6), what))


def _switch(port: Port, **settings: Any) -> RtsDirection:
    asked = DirectionSettings(direction=Direction.RTS, **settings)
    return RtsDirection(port, asked, octet_s=OCTET_S, clock=port.clock, on_stuck=port.on_stuck)


def _run(switch: RtsDirection, port: Port, until_s: float = 10.0) -> None:
    """Let the time pass, from deadline to deadline, to `until_s` after the start."""
    while (deadline := switch.next_deadline()) is not None and deadline <= 100 + until_s:
        assert deadline >= port.now, "a deadline in the past"
        port.now = deadline
        switch.on_deadline()
        assert len(port.told) < 1000
    port.now = 100 + until_s


FRAME = bytes(10)
SECOND = bytes(20)


def test_a_frame_without_delays() -> None:
    port = Port()
    switch = _switch(port)
    switch.write(FRAME)
    assert port.told == [(0, "raise"), (0, FRAME)], "at once, not in a later turn of the loop"
    _run(switch, port)
    assert port.told == [(0, "raise"), (0, FRAME), (0.010, "lower")]
    assert (switch.next_deadline(), port.stuck) == (None, 0)


def test_a_frame_with_delays() -> None:
    port = Port()
    switch = _switch(port, pre_transmit_s=0.003, post_transmit_s=0.002)
    switch.write(FRAME)
    assert switch.is_leading
    assert port.told == [(0, "raise")]
    _run(switch, port)
    assert port.told == [(0, "raise"), (0.003, FRAME), (0.015, "lower")]
    assert not switch.is_leading


def test_inverted_wiring() -> None:
    port = Port()
    switch = _switch(port, rts_on_send=False)
    switch.write(FRAME)
    _run(switch, port)
    assert port.told == [(0, "lower"), (0, FRAME), (0.010, "raise")]


def test_frames_that_come_while_rts_leads_go_out_with_the_first() -> None:
    port = Port()
    switch = _switch(port, pre_transmit_s=0.003)
    switch.write(FRAME)
    port.now += 0.002
    switch.write(SECOND)
    _run(switch, port)
    assert port.told == [(0, "raise"), (0.003, FRAME), (0.003, SECOND), (0.033, "lower")]


def test_frames_that_come_while_one_is_sent_extend_the_hold() -> None:
    port = Port()
    switch = _switch(port, pre_transmit_s=0.003)
    switch.write(FRAME)
    _run(switch, port, until_s=0.008)
    switch.write(SECOND)
    _run(switch, port, until_s=0.030)
    switch.write(FRAME)
    _run(switch, port)
    # 10, 20 and 10 octets back to back, from 3 ms on.
    assert port.told == [(0, "raise"), (0.003, FRAME), (0.008, SECOND), (0.030, FRAME), (0.043, "lower")]


def test_a_frame_in_the_post_transmit_time_is_sent_at_once() -> None:
    port = Port()
    switch = _switch(port, pre_transmit_s=0.003, post_transmit_s=0.005)
    switch.write(FRAME)
    _run(switch, port, until_s=0.015)
    switch.write(SECOND)
    assert port.told[1:] == [(0.003, FRAME), (0.015, SECOND)], "no second pre-transmit time"
    _run(switch, port)
    assert port.told[3:] == [(0.040, "lower")], "and a post-transmit time of its own"


def test_the_next_frame_begins_anew() -> None:
    port = Port()
    switch = _switch(port, pre_transmit_s=0.003)
    for _ in range(2):
        port.now = 100.0
        switch.write(FRAME)
        _run(switch, port, until_s=1)
    assert port.told[:3] == [(0, "raise"), (0.003, FRAME), (0.013, "lower")]
    assert [what for _, what in port.told[3:]] == ["raise", FRAME, "lower"]


def test_early_calls_are_harmless() -> None:
    port = Port()
    switch = _switch(port, pre_transmit_s=0.003, post_transmit_s=0.002)
    switch.on_deadline()
    switch.write(FRAME)
    for offset in (0.0029, 0.003, 0.0129, 0.013, 0.0149):
        port.now = 100 + offset
        switch.on_deadline()
    assert port.told == [(0, "raise"), (0.003, FRAME)]
    port.now = 100.0151
    switch.on_deadline()
    assert port.told[2:] == [(0.0151, "lower")]


def test_the_time_that_rts_takes_is_not_taken_from_the_octets() -> None:
    port = Port(rts_takes_s=0.004)
    switch = _switch(port)
    switch.write(FRAME)
    _run(switch, port)
    assert port.told == [(0.004, "raise"), (0.004, FRAME), (0.018, "lower")]
    port = Port(rts_takes_s=0.004)
    switch = _switch(port, pre_transmit_s=0.003)
    switch.write(FRAME)
    _run(switch, port)
    assert port.told == [(0.004, "raise"), (0.007, FRAME), (0.021, "lower")]


def test_rts_waits_for_a_driver_that_is_slower_than_reckoned() -> None:
    port = Port()
    switch = _switch(port, post_transmit_s=0.002)
    switch.write(FRAME)
    port.queue = 3
    _run(switch, port, until_s=0.0105)
    port.queue = 1
    _run(switch, port, until_s=0.0125)
    port.queue = 0
    _run(switch, port)
    # Looked at 10, 11, 12 and, in vain no more, 13 ms.
    assert port.told[2:] == [(0.015, "lower")]
    assert port.stuck == 0


def test_a_driver_that_goes_on_sending_is_waited_for_however_long() -> None:
    port = Port()
    switch = _switch(port)
    switch.write(bytes(40))
    for unsent in range(40, 0, -1):
        port.queue = unsent
        _run(switch, port, until_s=(port.now - 100) + 0.2)
    assert port.told == [(0, "raise"), (0, bytes(40))]
    port.queue = 0
    _run(switch, port)
    assert (port.told[2][1], port.stuck) == ("lower", 0)


def test_a_driver_that_stopped_sending_does_not_keep_the_bus() -> None:
    port = Port()
    switch = _switch(port, post_transmit_s=0.002)
    switch.write(FRAME)
    port.queue = 5
    _run(switch, port)
    # 10 ms, no progress for 100 ms and 128 octets, the next look, the post-transmit time.
    assert port.told[2:] == [(pytest.approx(0.240, abs=0.0011), "lower")]
    assert port.stuck == 1


def test_a_frame_after_a_stuck_one_has_its_own_patience() -> None:
    port = Port()
    switch = _switch(port)
    for count in (1, 2):
        port.now, port.told = 100.0 + 20 * count, []
        switch.write(FRAME)
        port.queue = 5
        _run(switch, port, until_s=20 * count + 0.2)
        assert [what for _, what in port.told] == ["raise", FRAME]
        _run(switch, port, until_s=20 * count + 1)
        assert ([what for _, what in port.told], port.stuck) == (["raise", FRAME, "lower"], count)


@pytest.mark.parametrize("elapsed_s", [0.0, 0.002, 0.008, 0.014], ids=["start", "lead", "send", "trail"])
def test_release_is_at_once_and_forgets_what_waits(elapsed_s: float) -> None:
    port = Port()
    switch = _switch(port, pre_transmit_s=0.003, post_transmit_s=0.005)
    switch.write(FRAME)
    _run(switch, port, until_s=elapsed_s)
    sent = [what for _, what in port.told]
    switch.release()
    _run(switch, port)
    assert port.told[len(sent) :] == [(round(elapsed_s, 6), "lower")]
    assert not switch.is_leading
    switch.write(SECOND)
    _run(switch, port, until_s=20)
    assert [what for _, what in port.told[len(sent) + 1 :]] == ["raise", SECOND, "lower"]


def test_what_the_port_raises_passes_and_release_still_works() -> None:
    port = Port()
    switch = _switch(port)
    switch.write(FRAME)
    port.now += 1

    def fail() -> int:
        raise OSError(errno.EIO, "gone")

    port.unsent = fail  # type: ignore[method-assign]
    with pytest.raises(OSError, match="gone"):
        switch.on_deadline()
    switch.release()
    assert (port.told[-1], switch.next_deadline()) == ((1, "lower"), None)
