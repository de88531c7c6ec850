"""RTS around frames, on a port and a clock of the test."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from typing import Any

import pytest

from bridge.endpoints.direction import Direction, DirectionSettings
from bridge.endpoints.rts_direction import RtsDirection

OCTET_S = 0.001


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
