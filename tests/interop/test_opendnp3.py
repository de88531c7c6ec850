"""opendnp3 as master reaches opendnp3 as outstation through the real program: TCP, bridge, pty.

Neither peer knows of the bridge. What they tell each other must arrive whole, unchanged, and nowhere else.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.bridge_process import BridgeProcess, Site, running
from tests.support.opendnp3 import (
    ANALOG,
    EVENT_CLASSES,
    ChannelStates,
    Control,
    Event,
    Master,
    Opendnp3,
    Outstation,
    Point,
    Task,
    analog_values,
    o,
    values_of_every_kind,
)
from tests.support.repository import ROOT
from tests.support.waiting import PATIENCE_S, until
from tests.support.wire import Direction, Noise, Wire

pytestmark = [pytest.mark.wire, pytest.mark.peer]

RTU = 10
POINTS = 5
PATIENT = {"response_timeout_ms": 5000}
"""A line that does not give up an RTU only because this machine is busy."""
HASTY = {"response_timeout_ms": 200, "frame_timeout_ms": 50}
HASTY_MASTER_S = 0.4
RESTART_INDICATION = 0x80


@dataclass(frozen=True)
class Bench:
    """One master, one RTU, and the bridge between them."""

    wire: Wire
    bridge: BridgeProcess
    peer: Opendnp3
    rtu: Outstation
    master: Master
    connection: ChannelStates

    def assert_one_unbroken_session(self) -> None:
        assert self.connection.names == ["OPENING", "OPEN"]
        server = self.bridge.server()
        assert len(server["sessions"]) == 1
        assert server["session_ends"] == {}
        self.bridge.wait_for_events("master connected", "master disconnected", expected=["master connected"])


@pytest.fixture
def peer() -> Iterator[Opendnp3]:
    with Opendnp3() as peer:
        yield peer


@pytest.fixture(params=["discard", "close"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


Start = Callable[..., Bench]


@pytest.fixture
def start(tmp_path: Path, wire: Wire, peer: Opendnp3, mode: str) -> Iterator[Start]:
    """Return a function that sets up a bench; what was set up is taken down and checked after the test."""
    with ExitStack() as stack:

        def start(
            *,
            line: dict[str, object] | None = None,
            is_unsolicited: bool = False,
            needs_time: bool = False,
            **master_options: object,
        ) -> Bench:
            channel, _ = peer.open_serial(wire.rtu)
            rtu = peer.outstation(channel, RTU, points=POINTS, is_unsolicited=is_unsolicited)
            if needs_time:
                rtu.need_time()
            rtu.set(values_of_every_kind(POINTS, seed=1), makes_events=False)
            site = Site(device=wire.device, addresses=(RTU,), link_error_mode=mode, line=line or PATIENT)
            bridge = stack.enter_context(running(tmp_path, site))
            connection, states = peer.connect(bridge.port)
            master = peer.master(connection, RTU, **master_options)
            return Bench(wire, bridge, peer, rtu, master, states)

        yield start


def test_start_up_handshake(start: Start) -> None:
    bench = start(is_unsolicited=True)
    bench.master.wait_until_started()
    assert bench.master.tasks == [
        Task("DISABLE_UNSOLICITED", "SUCCESS"),
        Task("CLEAR_RESTART", "SUCCESS"),
        Task("STARTUP_INTEGRITY_POLL", "SUCCESS"),
        Task("ENABLE_UNSOLICITED", "SUCCESS"),
    ]
    assert bench.master.indications[0][0] & RESTART_INDICATION
    assert not bench.master.indications[-1][0] & RESTART_INDICATION
    status = bench.bridge.outstation(RTU)
    assert status["is_answering"] is True
    assert status["led"]["state"] == "answering"
    bench.assert_one_unbroken_session()


def test_an_integrity_poll_brings_every_value(start: Start) -> None:
    bench = start()
    bench.master.wait_until_started()
    for seed in (2, 3):
        values = values_of_every_kind(POINTS, seed)
        bench.rtu.set(values, makes_events=False)
        assert bench.master.poll() == "SUCCESS"
        assert {point: bench.master.soe.values[point] for point in values} == values
    assert {point.kind for point in bench.master.soe.values} - {point.kind for point in values} == {
        "FrozenCounter"
    }
    bench.assert_one_unbroken_session()


def test_an_event_poll_brings_each_event_once(start: Start) -> None:
    bench = start()
    bench.master.wait_until_started()
    changes = {Point("Binary", 3): True, Point("Analog", 0): 42.0, Point("Counter", 1): 7}
    bench.rtu.set(changes, makes_events=True)
    assert bench.master.poll(EVENT_CLASSES) == "SUCCESS"
    expected = {Event(point, value, is_unsolicited=False) for point, value in changes.items()}
    assert set(bench.master.soe.events) == expected
    until(lambda: bench.rtu.application.confirms == 1, "the RTU has the confirm")
    assert bench.master.poll(EVENT_CLASSES) == "SUCCESS"
    assert len(bench.master.soe.events) == len(expected)


def test_unsolicited_values_arrive_by_themselves(start: Start) -> None:
    bench = start(is_unsolicited=True, keeps_unsolicited=True)
    bench.master.wait_until_started()
    for number in range(3):
        change = {Point("Analog", number): 4711.0 + number}
        bench.rtu.set(change, makes_events=True)
        expected = [Event(point, value, is_unsolicited=True) for point, value in change.items()]
        until(lambda: bench.master.soe.events[-1:] == expected, "the value arrives")  # noqa: B023
    # An RTU whose confirm is late says the same again.
    assert len(set(bench.master.soe.events)) == 3
    until(lambda: bench.rtu.application.confirms >= 3, "the RTU has the confirms")


def test_controls(start: Start) -> None:
    bench = start()
    bench.master.wait_until_started()
    success = ["SUCCESS", "SUCCESS"]
    pulse = o.ControlRelayOutputBlock(o.OperationType.PULSE_ON, o.TripCloseCode.CLOSE, False, 1, 250, 0)
    latch = o.ControlRelayOutputBlock(o.OperationType.LATCH_ON)
    assert bench.master.select_and_operate(pulse, 2) == success
    assert bench.master.select_and_operate(o.AnalogOutputInt32(12345), 1) == success
    assert bench.master.direct_operate(latch, 3) == success
    assert bench.master.direct_operate(o.AnalogOutputFloat32(3.5), 4) == success
    crob, sbo, direct = "ControlRelayOutputBlock", "SelectBeforeOperate", "DirectOperate"
    assert bench.rtu.controls == [
        Control("Select", crob, 2, ("PULSE_ON", 1, 250)),
        Control(sbo, crob, 2, ("PULSE_ON", 1, 250)),
        Control("Select", "AnalogOutputInt32", 1, 12345),
        Control(sbo, "AnalogOutputInt32", 1, 12345),
        Control(direct, crob, 3, ("LATCH_ON", latch.count, latch.onTimeMS)),
        Control(direct, "AnalogOutputFloat32", 4, 3.5),
    ]


@pytest.mark.parametrize(("procedure", "task"), [("LAN", "LAN_TIME_SYNC"), ("NonLAN", "NON_LAN_TIME_SYNC")])
def test_time_synchronisation(start: Start, procedure: str, task: str) -> None:
    bench = start(needs_time=True, time_sync=procedure)
    until(lambda: Task(task, "SUCCESS") in bench.master.tasks, "the time is set")
    (time_ms,) = bench.rtu.application.times_ms
    assert abs(time_ms / 1000 - time.time()) < 2 * PATIENCE_S


def test_two_rtus_on_one_line_get_and_give_only_their_own(
    tmp_path: Path, wire: Wire, peer: Opendnp3, mode: str
) -> None:
    addresses = (10, 11)
    line, _ = peer.open_serial(wire.rtu)
    rtus = {address: peer.outstation(line, address, points=address, kinds=ANALOG) for address in addresses}
    site = Site(device=wire.device, addresses=addresses, link_error_mode=mode, line=PATIENT)
    with running(tmp_path, site) as bridge:
        channel, connection = peer.connect(bridge.port)
        masters = {}
        for address in addresses:
            masters[address] = peer.master(channel, address)
            # A second master on a channel that is still opening makes opendnp3 connect a second time.
            until(lambda: connection.opens, "the channel is open")
        for master in masters.values():
            master.wait_until_started()
        for seed in range(5):
            expected = {address: analog_values(address, seed * 100 + address) for address in addresses}
            for address, rtu in rtus.items():
                rtu.set(expected[address], makes_events=False)
            for master in masters.values():
                master.begin_poll()
            for address, master in masters.items():
                assert master.end_poll() == "SUCCESS"
                assert master.soe.values == expected[address]
        for number, (address, master) in enumerate(masters.items()):
            command = o.AnalogOutputInt32(1000 + address)
            assert master.direct_operate(command, number) == ["SUCCESS", "SUCCESS"]
        assert connection.names == ["OPENING", "OPEN"]
        assert len(bridge.server()["sessions"]) == 1
        for address in addresses:
            assert bridge.outstation(address)["exchanges"].keys() == {"answered"}
    for number, (address, rtu) in enumerate(rtus.items()):
        assert rtu.controls == [Control("DirectOperate", "AnalogOutputInt32", number, 1000 + address)]


def test_a_noisy_line_costs_polls_and_never_the_session(start: Start) -> None:
    bench = start(line=HASTY, response_timeout_s=HASTY_MASTER_S)
    bench.master.wait_until_started()
    makers = [
        bench.wire.make_noise(direction, Noise(seed=seed, between=0.5, inside=0.15))
        for seed, direction in enumerate(Direction, start=1815)
    ]
    failed = 0
    for seed in range(15):
        values = values_of_every_kind(POINTS, seed)
        bench.rtu.set(values, makes_events=False)
        failed += bench.master.poll_until_answered(within_s=3 * PATIENCE_S)
        assert {point: bench.master.soe.values[point] for point in values} == values
    assert failed, "this noise is too little to prove anything"
    for maker in makers:
        assert maker.strays
        assert maker.hits
    line = bench.bridge.line()
    assert line["crc_errors"] > 0
    assert line["octets_discarded"] > 0
    (session,) = bench.bridge.server()["sessions"]
    assert session["octets_discarded"] == 0
    assert bench.bridge.outstation(RTU)["exchanges"]["timed_out"] > 0
    bench.assert_one_unbroken_session()


@contextmanager
def polling(master: Master) -> Iterator[list[str]]:
    """Poll without end in a thread; yields the results as they come."""
    results: list[str] = []
    is_over = threading.Event()

    def poll() -> None:
        while not is_over.is_set():
            results.append(master.poll())

    thread = threading.Thread(target=poll, daemon=True, name="polls")
    thread.start()
    try:
        yield results
    finally:
        is_over.set()
        thread.join(PATIENCE_S)


def successes_after(results: list[str], start_at: int) -> int:
    return results[start_at:].count("SUCCESS")


def test_a_line_that_is_unplugged_works_again_when_plugged_in(start: Start) -> None:
    bench = start(line=HASTY, response_timeout_s=HASTY_MASTER_S)
    bench.master.wait_until_started()
    with polling(bench.master) as results:
        until(lambda: successes_after(results, 0) >= 3, "polls succeed")
        bench.wire.unplug()
        until(lambda: not bench.bridge.line()["is_up"], "the bridge sees the line go")
        gone_at = len(results)
        until(lambda: len(results) >= gone_at + 2, "polls go on")
        down = bench.bridge.line()
        assert any(word in down["reason"] for word in ("unplugged", "no such device")), down["reason"]
        assert bench.bridge.outstation(RTU)["led"]["state"] == "silent"
        assert set(results[gone_at + 1 :]) == {"FAILURE_RESPONSE_TIMEOUT"}
        bench.wire.replug()
        until(lambda: bench.bridge.line()["is_up"], "the bridge sees the line return")
        back_at = len(results)
        until(lambda: successes_after(results, back_at) >= 3, "polls succeed again")
    up = bench.bridge.line()
    assert (up["reason"], up["losses"], up["openings"]) == (None, 1, 2)
    bench.assert_one_unbroken_session()
    until(lambda: lost_and_found(bench.bridge), "the log says so")


def lost_and_found(bridge: BridgeProcess) -> bool:
    """Whether the log has: up, down (more than once if the reason changed), up."""
    names = [event["event"] for event in bridge.events("line up", "line down")]
    return names[:1] == names[-1:] == ["line up"] and set(names[1:-1]) == {"line down"}


@contextmanager
def rtu_process(wire: Wire, analog: float) -> Iterator[subprocess.Popen[bytes]]:
    """Run an RTU in a process of its own, with one analog value, until it is killed."""
    command = [sys.executable, "-m", "tests.support.opendnp3", str(wire.rtu), str(RTU), str(analog)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"ready\n"
            yield process
        finally:
            process.kill()


def polled_led(master: Master, bridge: BridgeProcess) -> str:
    master.poll()
    return str(bridge.outstation(RTU)["led"]["state"])


@pytest.mark.parametrize("mode", ["discard"])
def test_an_rtu_that_restarts(tmp_path: Path, wire: Wire, peer: Opendnp3, mode: str) -> None:
    site = Site(device=wire.device, addresses=(RTU,), link_error_mode=mode, line=HASTY)
    with running(tmp_path, site) as bridge:
        channel, connection = peer.connect(bridge.port)
        with rtu_process(wire, 1.0):
            master = peer.master(channel, RTU, response_timeout_s=HASTY_MASTER_S)
            master.wait_until_started()
            master.poll_until_answered(within_s=PATIENCE_S)
            assert master.soe.values[Point("Analog", 0)] == 1.0
        assert master.poll() == "FAILURE_RESPONSE_TIMEOUT"
        until(lambda: bridge.events("does not answer"), "the log says so")
        assert bridge.outstation(RTU)["is_answering"] is False
        seen = len(master.indications)
        with rtu_process(wire, 2.0):
            master.poll_until_answered(within_s=PATIENCE_S)
            assert master.soe.values[Point("Analog", 0)] == 2.0
            until(
                lambda: any(first & RESTART_INDICATION for first, _ in master.indications[seen:]),
                "the master hears of the restart",
            )
            assert bridge.outstation(RTU)["is_answering"] is True
            until(lambda: polled_led(master, bridge) == "answering", "the LED is calm again")
        assert bridge.line()["losses"] == 0
        assert connection.names == ["OPENING", "OPEN"]
        names = ["does not answer", "answers again"]
        until(lambda: [event["event"] for event in bridge.events(*names)][:2] == names, "the log says so")


@pytest.mark.parametrize("mode", ["discard"])
def test_a_master_that_restarts(tmp_path: Path, wire: Wire, peer: Opendnp3, mode: str) -> None:
    line, _ = peer.open_serial(wire.rtu)
    rtu = peer.outstation(line, RTU, points=1, kinds=ANALOG)
    with running(tmp_path, Site(device=wire.device, link_error_mode=mode, line=PATIENT)) as bridge:
        for number in range(1, 4):
            rtu.set({Point("Analog", 0): float(number)}, makes_events=False)
            with Opendnp3() as program:
                channel, connection = program.connect(bridge.port)
                master = program.master(channel, RTU)
                master.wait_until_started()
                assert master.poll() == "SUCCESS"
                assert master.soe.values == {Point("Analog", 0): float(number)}
                assert connection.opens == 1
                assert bridge.outstation(RTU)["led"]["state"] == "answering"
            until(lambda: bridge.server()["session_ends"] == {"peer_closed": number}, "it is gone")  # noqa: B023
            assert bridge.outstation(RTU)["led"]["state"] == "lost"
            assert bridge.outstation(RTU)["master"] is None
