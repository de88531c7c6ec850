"""A line with its port, framer, turns and sessions, on a pty; sessions are stubs unless a test needs TCP."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

from bridge.endpoints import serial_line
from bridge.endpoints.bridged_outstation import BridgedOutstation
from bridge.endpoints.hub import LineHub
from bridge.endpoints.line_reporter import OutstationCounters
from bridge.endpoints.serial_port import SerialSettings
from bridge.endpoints.tcp_session import TcpSession
from bridge.link.control import LinkFunction
from bridge.link.frame import LONGEST_FRAME, Frame
from bridge.link.framer import Discard
from bridge.routing.diagnosis import Miss
from bridge.routing.drop import Drop
from bridge.routing.exchange import Outcome
from tests.endpoints.conftest import Connect, Serve
from tests.support.eventually import eventually, turns_of_the_loop
from tests.support.frames import (
    FIN,
    FIR,
    SELECT,
    confirm,
    from_master,
    link_status,
    link_status_request,
    request,
    response,
    unsolicited,
)
from tests.support.outstations import Listener, SessionStub
from tests.support.ptys import Device, Jack, Pty
from tests.support.timings import timing

pytestmark = pytest.mark.wire

RTU, OTHER_RTU, MASTER = 12, 13, 1
PATIENT_S = 60.0
SHORT_S = 0.05


@dataclass(eq=False)
class Observer:
    """An `OutstationObserver` that counts."""

    seen: Counter[str] = field(default_factory=Counter)

    def request_sent(self) -> None:
        self.seen["sent"] += 1

    def answer_received(self) -> None:
        self.seen["answered"] += 1

    def answer_missed(self) -> None:
        self.seen["missed"] += 1

    def noise_heard(self) -> None:
        self.seen["noise"] += 1


@dataclass(eq=False)
class Line:
    """A hub with two outstations, and what they are told."""

    hub: LineHub
    counters: OutstationCounters
    other_counters: OutstationCounters
    observer: Observer
    other_observer: Observer
    states: list[tuple[str, bool]]
    told: list[tuple[str, str | None]]

    def ask(self, session: SessionStub, frame: Frame) -> None:
        self.hub.submit(session, frame.destination, frame, asyncio.get_running_loop().time())  # type: ignore[arg-type]

    def attach(self, *addresses: int) -> SessionStub:
        session = SessionStub()
        for address in addresses or (RTU,):
            self.hub.attach(session, address)  # type: ignore[arg-type]
        return session

    def detach(self, session: SessionStub) -> None:
        self.hub.detach(session)  # type: ignore[arg-type]

    async def up(self) -> None:
        await eventually(lambda: self.hub.line.is_open, "the line is up")


Open = Callable[..., Line]


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serial_line, "_FIRST_RETRY_S", 0.005)
    monkeypatch.setattr(serial_line, "_LONGEST_RETRY_S", 0.02)


@pytest.fixture
async def line() -> AsyncIterator[Open]:
    """Start a line with the outstations 12 and 13."""
    hubs: list[LineHub] = []

    def start(
        device: str,
        **changes: float,
    ) -> Line:
        states: list[tuple[str, bool]] = []
        told: list[tuple[str, str | None]] = []
        hub = LineHub(
            "bay1",
            SerialSettings(device=device, baud=115200),
            timing(**changes),
            line_changed=lambda name, is_up: states.append((name, is_up)),
            state_changed=lambda name, outstation: told.append((name, outstation)),
        )
        hubs.append(hub)
        observer, other_observer = Observer(), Observer()
        counters = hub.add_station(RTU, "pole-12", observer)
        other_counters = hub.add_station(OTHER_RTU, "pole-13", other_observer)
        hub.start()
        return Line(hub, counters, other_counters, observer, other_observer, states, told)

    yield start
    for hub in hubs:
        await hub.close(drain_s=0)


@pytest.fixture
async def device(adapter: Pty) -> AsyncIterator[Device]:
    """The outstations on the adapter's far side: silent, until a test gives them an answer."""
    with Device(adapter) as device:
        yield device


def answer(frame: Frame) -> bytes | None:
    """Answer what an RTU would: link status, and reads with the sequence asked for."""
    if frame.control.function is LinkFunction.REQUEST_LINK_STATUS:
        return link_status(frame.destination, frame.source).octets
    sequence = frame.octets[11] & 0x0F
    return response(sequence, source=frame.destination, to=frame.source).octets


# There and back


async def test_frames_cross_the_line_octet_for_octet(line: Open, adapter: Pty, device: Device) -> None:
    bay = line(adapter.device)
    await bay.up()
    session = bay.attach()
    long_request = request(3, rest=bytes(range(247)))
    long_answer = response(3, rest=bytes(range(200)))
    device.answer = lambda frame: long_answer.octets
    bay.ask(session, long_request)
    await eventually(lambda: session.sent, "the answer")
    assert [frame.octets for frame in device.frames] == [long_request.octets]
    assert session.sent == [long_answer.octets]
    counters = bay.counters
    assert (counters.frames_from_master, counters.frames_to_master) == (1, 1)
    assert (counters.outcomes, counters.is_answering, counters.drops) == ({Outcome.ANSWERED: 1}, True, {})
    assert counters.last_response_s is not None
    assert bay.observer.seen == {"sent": 1, "answered": 1}
    assert (bay.other_counters.outcomes, bay.other_observer.seen) == ({}, {})


async def test_one_request_at_a_time_is_on_the_wire(line: Open, adapter: Pty, device: Device) -> None:
    bay = line(adapter.device)
    await bay.up()
    one, other = bay.attach(RTU), bay.attach(OTHER_RTU)
    bay.ask(one, request(1))
    bay.ask(other, request(2, to=OTHER_RTU))
    await eventually(lambda: device.frames, "the first request")
    await turns_of_the_loop()
    assert (len(device.frames), bay.hub.waiting_frames) == (1, 1)
    adapter.write(response(1).octets)
    await eventually(lambda: len(device.frames) == 2, "the second request, once the first was answered")
    assert one.sent == [response(1).octets]
    assert other.sent == []
    adapter.write(response(2, source=OTHER_RTU).octets)
    await eventually(lambda: other.sent, "the second answer")


async def test_an_answer_comes_through_noise(line: Open, adapter: Pty, device: Device) -> None:
    bay = line(adapter.device)
    await bay.up()
    session = bay.attach()
    damaged = response(1).octets[:-1] + b"\x00"
    device.answer = lambda frame: b"\x05\x64" + damaged + b"\xff" * 5 + response(1).octets
    bay.ask(session, request(1))
    await eventually(lambda: session.sent, "the answer")
    assert session.sent == [response(1).octets]
    assert bay.hub.counters.crc_errors == 2
    assert bay.hub.counters.octets_discarded == 2 + len(damaged) + 5
    assert bay.observer.seen["noise"] == bay.other_observer.seen["noise"] == 1


async def test_a_header_without_a_body_delays_the_next_frame_by_the_frame_timeout(
    line: Open, adapter: Pty, device: Device
) -> None:
    bay = line(adapter.device, quiet_s=SHORT_S)
    await bay.up()
    session = bay.attach()
    header_only = response(1, rest=bytes(100)).octets[:10]
    device.answer = lambda frame: header_only + link_status().octets
    bay.ask(session, link_status_request())
    await eventually(lambda: session.sent, "the answer, although nothing follows it")
    assert session.sent == [link_status().octets]
    assert bay.hub.counters.discards == {Discard.FRAME_TIMEOUT: 1}
    assert bay.observer.seen["noise"] == 1


async def test_a_confirm_goes_out_at_once_and_ends_the_exchange(
    line: Open, adapter: Pty, device: Device
) -> None:
    bay = line(adapter.device)
    await bay.up()
    one, other = bay.attach(RTU), bay.attach(OTHER_RTU)
    bay.ask(one, request(1))
    bay.ask(other, link_status_request(OTHER_RTU))
    await eventually(lambda: device.frames, "the request")
    asks_confirm = response(1, application=0xE0)
    adapter.write(asks_confirm.octets)
    await eventually(lambda: one.sent, "the answer")
    assert len(device.frames) == 1
    bay.ask(one, confirm(1))
    await eventually(lambda: len(device.frames) == 3, "the confirm, then the other session's request")
    assert device.frames[1:] == [confirm(1), link_status_request(OTHER_RTU)]


async def test_a_silent_rtu_is_a_missed_answer_and_one_log_line(
    line: Open, adapter: Pty, device: Device, caplog: pytest.LogCaptureFixture
) -> None:
    bay = line(adapter.device, response_timeout_s=SHORT_S)
    await bay.up()
    session = bay.attach()
    with caplog.at_level(logging.INFO, "bridge"):
        for count in range(1, 4):
            bay.ask(session, link_status_request())
            await eventually(lambda n=count: bay.counters.outcomes[Outcome.TIMED_OUT] == n, "the timeout")  # type: ignore[misc]
        assert bay.counters.is_answering is False
        assert bay.observer.seen == {"sent": 3, "missed": 3}
        device.answer = answer
        bay.ask(session, link_status_request())
        await eventually(lambda: session.sent, "an answer")
    assert bay.counters.is_answering is True
    events = [r.getMessage() for r in caplog.records if "answer" in r.getMessage()]
    assert events == ["does not answer", "answers again"]


async def test_what_an_rtu_says_of_its_own_accord_reaches_its_master(
    line: Open, adapter: Pty, device: Device
) -> None:
    bay = line(adapter.device)
    await bay.up()
    one, other = bay.attach(RTU), bay.attach(OTHER_RTU)
    adapter.write(unsolicited(4).octets + unsolicited(5, source=OTHER_RTU).octets)
    await eventually(lambda: one.sent and other.sent, "both")
    assert one.sent == [unsolicited(4).octets]
    assert other.sent == [unsolicited(5, source=OTHER_RTU).octets]


# What goes nowhere


async def test_dropped_line_down(line: Open, jack: Jack, adapter: Pty) -> None:
    bay = line(jack.device, response_timeout_s=PATIENT_S)
    session = bay.attach()
    bay.ask(session, link_status_request())
    assert bay.counters.drops == {Drop.LINE_DOWN: 1}
    jack.plug_in(adapter)
    await bay.up()
    assert adapter.read() == b"", "what was asked before is not sent late"
    for _ in range(3):
        bay.ask(session, link_status_request())
    jack.plug_out()
    adapter.unplug()
    await eventually(lambda: not bay.hub.line.is_open, "the line is down")
    assert bay.counters.drops == {Drop.LINE_DOWN: 3}, "two of the three were waiting"
    assert bay.counters.outcomes == {Outcome.LINE_DOWN: 1}
    assert bay.states == [("bay1", True), ("bay1", False)]
    assert bay.observer.seen == {"sent": 1}


async def test_dropped_queue_full(line: Open, adapter: Pty, device: Device) -> None:
    bay = line(adapter.device, queue_frames=4)
    await bay.up()
    flooding, other = bay.attach(RTU), bay.attach(OTHER_RTU)
    for _ in range(10):
        bay.ask(flooding, link_status_request())
    bay.ask(other, link_status_request(OTHER_RTU))
    assert bay.counters.drops == {Drop.QUEUE_FULL: 5}
    assert bay.other_counters.drops == {}
    device.answer = answer
    adapter.write(link_status().octets)
    await eventually(lambda: len(flooding.sent) == 5 and len(other.sent) == 1, "what was not dropped")


async def test_dropped_expired(line: Open, adapter: Pty, device: Device) -> None:
    bay = line(adapter.device, response_timeout_s=0.1, request_ttl_s=SHORT_S)
    await bay.up()
    one, other = bay.attach(RTU), bay.attach(OTHER_RTU)
    bay.ask(one, link_status_request())
    bay.ask(other, link_status_request(OTHER_RTU))
    await eventually(lambda: bay.other_counters.drops == {Drop.EXPIRED: 1}, "waited longer than it is worth")
    await turns_of_the_loop()
    assert device.frames == [link_status_request()]
    await eventually(lambda: bay.counters.outcomes == {Outcome.TIMED_OUT: 1}, "the line is free")
    device.answer = answer
    bay.ask(other, link_status_request(OTHER_RTU))
    await eventually(lambda: other.sent, "the next request")


async def test_a_request_of_several_frames_that_expires_is_one_miss(
    line: Open, adapter: Pty, device: Device, caplog: pytest.LogCaptureFixture
) -> None:
    bay = line(adapter.device, response_timeout_s=PATIENT_S, control_ttl_s=SHORT_S)
    await bay.up()
    one, other = bay.attach(RTU), bay.attach(OTHER_RTU)
    bay.ask(one, request(1))
    bay.ask(other, request(2, SELECT, to=OTHER_RTU, transport=FIR, rest=bytes(200)))
    bay.ask(other, request(to=OTHER_RTU, transport=FIN, rest=bytes(20)))
    await eventually(lambda: bay.other_counters.drops == {Drop.EXPIRED: 2}, "both frames are dropped")
    assert bay.other_counters.diagnosis.misses == {Miss.EXPIRED: 1}
    assert bay.other_observer.seen == {"missed": 1}
    (dropped,) = (record for record in caplog.records if record.getMessage() == "control dropped")
    fields = dropped.fields  # type: ignore[attr-defined]
    assert (fields["function"], fields["reason"]) == ("select", "expired")
    assert fields["sentence"].endswith("and was not sent (control_ttl_ms is 50): the line was busy")


async def test_dropped_superseded(line: Open, adapter: Pty, device: Device) -> None:
    bay = line(adapter.device)
    await bay.up()
    one, other = bay.attach(RTU), bay.attach(OTHER_RTU)
    bay.ask(other, request(0, to=OTHER_RTU))
    for sequence in (1, 2, 3):
        bay.ask(one, request(sequence))
    assert bay.counters.drops == {Drop.SUPERSEDED: 2}
    await eventually(lambda: device.frames, "the other's request")
    adapter.write(response(0, source=OTHER_RTU).octets)
    await eventually(lambda: len(device.frames) == 2, "the newest of the three")
    assert device.frames[1] == request(3)
    bay.ask(one, request(4))
    await eventually(lambda: len(device.frames) == 3, "asked anew while on the wire")
    assert bay.counters.outcomes == {Outcome.SUPERSEDED: 1}
    assert bay.observer.seen["missed"] == 3


async def test_dropped_session_ended_while_waiting(line: Open, adapter: Pty, device: Device) -> None:
    bay = line(adapter.device)
    await bay.up()
    session = bay.attach(RTU, OTHER_RTU)
    for _ in range(3):
        bay.ask(session, link_status_request())
    bay.ask(session, link_status_request(OTHER_RTU))
    bay.detach(session)
    assert bay.counters.drops == {Drop.SESSION_ENDED: 2}
    assert bay.other_counters.drops == {Drop.SESSION_ENDED: 1}
    bay.ask(session, link_status_request())
    assert bay.counters.drops == {Drop.SESSION_ENDED: 3}
    assert bay.hub.waiting_frames == 0


async def test_dropped_session_ended_at_its_last_frame(line: Open, adapter: Pty, device: Device) -> None:
    bay = line(adapter.device)
    await bay.up()
    session = bay.attach()
    session.is_open = False
    adapter.write(unsolicited().octets)
    await eventually(lambda: bay.counters.drops == {Drop.SESSION_ENDED: 1}, "the drop")
    assert bay.counters.frames_to_master == 0
    assert bay.observer.seen == {}


async def test_dropped_unknown_source(line: Open, adapter: Pty, device: Device) -> None:
    bay = line(adapter.device)
    await bay.up()
    session = bay.attach(RTU, OTHER_RTU)
    adapter.write(response(source=99).octets + unsolicited(source=99).octets + unsolicited(7).octets)
    await eventually(lambda: session.sent, "the frame of a known outstation behind them")
    assert bay.hub.drops == {Drop.UNKNOWN_SOURCE: 2}
    assert session.sent == [unsolicited(7).octets]


async def test_our_own_echo_is_taken_out(line: Open, adapter: Pty, device: Device) -> None:
    bay = line(adapter.device)
    await bay.up()
    session = bay.attach()
    device.answer = lambda frame: frame.octets + (answer(frame) or b"")
    for count in range(1, 4):
        bay.ask(session, request(count))
        await eventually(lambda n=count: len(session.sent) == n, "the answer after the echo")  # type: ignore[misc]
    assert bay.hub.echo.octets == 3 * len(request(1).octets)
    assert bay.hub.echo.spoiled == 0
    assert bay.hub.counters.frames == 3
    assert session.sent == [response(sequence).octets for sequence in (1, 2, 3)]
    assert bay.counters.drops == {}


async def test_a_spoiled_echo_is_counted(line: Open, adapter: Pty, device: Device) -> None:
    bay = line(adapter.device)
    await bay.up()
    session = bay.attach()
    bay.ask(session, request(1))
    await eventually(lambda: device.frames, "the request")
    octets = request(1).octets
    adapter.write(octets[:12] + bytes((octets[12] ^ 0xFF,)) + response(1).octets)
    await eventually(lambda: session.sent, "the answer after it")
    assert bay.hub.echo.spoiled == 1


async def test_dropped_wrong_direction_is_another_masters_frame(
    line: Open, adapter: Pty, device: Device
) -> None:
    bay = line(adapter.device)
    await bay.up()
    bay.attach()
    adapter.write(request(1, source=99).octets)
    await eventually(lambda: bay.hub.drops == {Drop.WRONG_DIRECTION: 1}, "the drop")


async def test_dropped_no_session(line: Open, adapter: Pty, device: Device) -> None:
    bay = line(adapter.device)
    await bay.up()
    bay.attach(OTHER_RTU)
    adapter.write(unsolicited().octets)
    await eventually(lambda: bay.counters.drops == {Drop.NO_SESSION: 1}, "the drop")


async def test_dropped_unknown_master(line: Open, adapter: Pty, device: Device) -> None:
    bay = line(adapter.device)
    await bay.up()
    session = bay.attach()
    device.answer = answer
    bay.ask(session, link_status_request(source=MASTER))
    await eventually(lambda: session.sent, "the answer")
    adapter.write(unsolicited(1, to=77).octets + unsolicited(2, to=MASTER).octets)
    await eventually(lambda: len(session.sent) == 2, "what is for its master")
    assert session.sent[1] == unsolicited(2).octets
    assert bay.counters.drops == {Drop.UNKNOWN_MASTER: 1}


@pytest.mark.parametrize(
    "stray",
    [
        pytest.param(response(1), id="nobody asked"),
        pytest.param(link_status(), id="no link service asked"),
        pytest.param(response(1, transport=FIN), id="a later segment"),
    ],
)
async def test_dropped_not_awaited(line: Open, adapter: Pty, device: Device, stray: Frame) -> None:
    bay = line(adapter.device)
    await bay.up()
    session = bay.attach()
    adapter.write(stray.octets + unsolicited(9).octets)
    await eventually(lambda: session.sent, "the frame behind it")
    assert session.sent == [unsolicited(9).octets]
    assert bay.counters.drops == {Drop.NOT_AWAITED: 1}


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(response(2), id="another sequence"),
        pytest.param(response(1, to=77), id="another master"),
        pytest.param(response(1, source=OTHER_RTU), id="another outstation"),
    ],
)
async def test_only_the_answer_to_the_request_is_an_answer(
    line: Open, adapter: Pty, device: Device, wrong: Frame
) -> None:
    bay = line(adapter.device)
    await bay.up()
    session = bay.attach(RTU, OTHER_RTU)
    device.answer = lambda frame: wrong.octets + response(1).octets + response(1).octets
    bay.ask(session, request(1))
    await eventually(lambda: (bay.counters.drops + bay.other_counters.drops).total() == 2, "both strays")
    assert session.sent == [response(1).octets], "not the wrong one, and the right one not twice"
    assert Drop.NOT_AWAITED in bay.counters.drops
    assert bay.other_counters.drops == ({Drop.OTHER_OUTSTATION: 1} if wrong.source == OTHER_RTU else {})


async def test_a_late_answer_is_dropped_and_measured(line: Open, adapter: Pty, device: Device) -> None:
    bay = line(adapter.device, response_timeout_s=SHORT_S)
    await bay.up()
    session = bay.attach()
    bay.ask(session, request(1))
    await eventually(lambda: bay.counters.outcomes == {Outcome.TIMED_OUT: 1}, "the timeout")
    assert bay.counters.diagnosis.last_miss is not None
    assert bay.counters.diagnosis.last_miss.miss is Miss.NOTHING_HEARD
    adapter.write(response(1).octets)
    await eventually(lambda: bay.counters.drops == {Drop.LATE: 1}, "the drop")
    assert session.sent == []
    assert bay.counters.diagnosis.late_answers == 1
    assert bay.counters.diagnosis.last_miss.miss is Miss.LATE


async def test_babble_is_noted_and_ends(line: Open, adapter: Pty, device: Device) -> None:
    bay = line(adapter.device, babble_s=0.1, quiet_s=SHORT_S)
    await bay.up()
    session = bay.attach()

    def is_noticed() -> bool:
        adapter.write(b"\x55" * 8)
        return bay.hub.is_babbling

    await eventually(is_noticed, "babble")
    assert bay.hub.babbles == 1
    assert bay.observer.seen["noise"]
    await eventually(lambda: not bay.hub.is_babbling, "calm")
    device.answer = answer
    bay.ask(session, link_status_request())
    await eventually(lambda: session.sent, "the line works again")


async def test_a_line_that_denies_broadcasts_sends_none(line: Open, adapter: Pty, device: Device) -> None:
    bay = line(adapter.device)
    await bay.up()
    session = bay.attach()
    bay.hub.deny_broadcasts()
    bay.hub.submit(session, RTU, request(1, to=0xFFFF), 0.0)  # type: ignore[arg-type]
    assert bay.counters.drops == {Drop.BROADCAST_DENIED: 1}
    bay.ask(session, link_status_request())
    await eventually(lambda: device.frames == [link_status_request()], "what is no broadcast")


async def test_dropped_orphan_segment(line: Open, adapter: Pty, device: Device) -> None:
    bay = line(adapter.device)
    await bay.up()
    older = bay.attach()
    adapter.write(unsolicited(1, transport=0x40).octets)
    await eventually(lambda: older.sent, "the first segment, to the session then")
    bay.detach(older)
    newer = bay.attach()
    adapter.write(unsolicited(1, transport=FIN).octets + unsolicited(2).octets)
    await eventually(lambda: newer.sent, "the next fragment")
    assert newer.sent == [unsolicited(2).octets]
    assert bay.counters.drops == {Drop.ORPHAN_SEGMENT: 1}


# One session after another


async def test_the_answer_to_a_dead_session_does_not_reach_the_next(
    line: Open, adapter: Pty, device: Device
) -> None:
    bay = line(adapter.device)
    await bay.up()
    older = bay.attach()
    bay.ask(older, request(1))
    await eventually(lambda: device.frames, "the older session's request")
    bay.detach(older)
    newer = bay.attach()
    # The same master address, sequence and request: only the quarantine can tell the answers apart.
    bay.ask(newer, request(1))
    await turns_of_the_loop()
    assert len(device.frames) == 1, "the line is held until the first request is answered"
    adapter.write(response(1, rest=b"\x00\x00stale").octets)
    await eventually(lambda: len(device.frames) == 2, "the newer session's request")
    adapter.write(response(1, rest=b"\x00\x00fresh").octets)
    await eventually(lambda: newer.sent, "its answer")
    assert newer.sent == [response(1, rest=b"\x00\x00fresh").octets]
    assert older.sent == []
    assert bay.counters.drops == {Drop.SESSION_ENDED: 1}


async def test_a_dead_sessions_request_that_is_never_answered_holds_the_line_for_the_timeout(
    line: Open, adapter: Pty, device: Device
) -> None:
    bay = line(adapter.device, response_timeout_s=SHORT_S)
    await bay.up()
    older = bay.attach()
    bay.ask(older, request(1))
    bay.detach(older)
    newer = bay.attach()
    device.answer = lambda frame: None if len(device.frames) < 2 else answer(frame)
    bay.ask(newer, request(5))
    await eventually(lambda: newer.sent, "the newer session's answer")
    assert newer.sent == [response(5).octets]
    assert bay.counters.outcomes == {Outcome.TIMED_OUT: 1, Outcome.ANSWERED: 1}


async def test_taking_over_by_tcp_brings_no_stale_answer(
    line: Open, adapter: Pty, device: Device, serve: Serve, connect: Connect
) -> None:
    bay = line(adapter.device)
    await bay.up()
    listener = Listener()
    outstation = BridgedOutstation("pole-14", 14, bay.hub)
    server = await serve((outstation, listener, "127.0.0.1"))
    older = await connect(server.endpoint)
    await older.send(request(1, to=14).octets)
    await eventually(lambda: device.frames, "the older master's request")
    newer = await connect(server.endpoint)
    await eventually(lambda: len(listener.log) == 3, "the newer master has taken over")
    await newer.send(request(2, to=14).octets)
    adapter.write(response(1, source=14).octets)
    await eventually(lambda: len(device.frames) == 2, "the newer master's request")
    adapter.write(response(2, source=14).octets)
    expected = response(2, source=14).octets
    assert await newer.receive(len(expected)) == expected
    assert await older.receive_to_the_end() == b""
    assert outstation.counters.drops == {Drop.SESSION_ENDED: 1}


# Unplugged


async def test_the_line_works_again_after_an_adapter_was_swapped(line: Open, jack: Jack) -> None:
    with Pty() as first, Pty() as second:
        jack.plug_in(first)
        bay = line(jack.device)
        await bay.up()
        session = bay.attach()
        bay.ask(session, request(1))
        half = len(response(1).octets) // 2
        first.write(response(1).octets[:half])
        await eventually(lambda: bay.hub.counters.octets_in == half, "half an answer")
        jack.plug_in(second)
        first.unplug()
        await eventually(lambda: bay.states == [("bay1", True), ("bay1", False), ("bay1", True)], "up again")
        second.write(response(1).octets[half:])
        with Device(second, answer) as device:
            bay.ask(session, request(2))
            await eventually(lambda: session.sent, "the answer of the second adapter")
            assert device.frames == [request(2)]
    assert session.sent == [response(2).octets]
    assert bay.counters.outcomes == {Outcome.LINE_DOWN: 1, Outcome.ANSWERED: 1}
    assert bay.hub.counters.discards[Discard.ABANDONED] == 1


async def test_a_device_that_takes_nothing_costs_bounded_memory_and_recovers(
    line: Open, adapter: Pty, monkeypatch: pytest.MonkeyPatch
) -> None:
    bay = line(adapter.device, response_timeout_s=0.2)
    await bay.up()
    session = bay.attach(RTU, OTHER_RTU)
    longest = request(function=6, rest=bytes(247))
    assert len(longest.octets) == LONGEST_FRAME
    asked, most_held = 0, 0
    while bay.hub.line.is_open:
        for _ in range(20):
            bay.ask(session, longest)
            asked += 1
        transport = bay.hub.line._transport
        held = sum(map(len, transport._write_buffer)) if transport is not None else 0
        most_held = max(most_held, held)
        await asyncio.sleep(0.001)
    assert bay.hub.line.losses == 1
    await bay.up()
    adapter.read()
    with Device(adapter, answer):
        bay.ask(session, link_status_request(OTHER_RTU))
        await eventually(lambda: session.sent, "an answer after the recovery")
    # At 1 us an octet, what the arithmetic lets out within the stall time is what may wait at most.
    assert most_held <= 0.2 / 1e-6 + 16 * LONGEST_FRAME
    assert bay.hub.waiting_frames <= 256


# Backpressure


async def test_a_master_that_floods_is_held_and_loses_nothing(
    line: Open,
    adapter: Pty,
    device: Device,
    serve: Serve,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    holds, releases = [], []
    hold, release = TcpSession.hold, TcpSession.release
    monkeypatch.setattr(TcpSession, "hold", lambda s, by: (holds.append(by), hold(s, by)))
    monkeypatch.setattr(TcpSession, "release", lambda s, by: (releases.append(by), release(s, by)))
    bay = line(adapter.device)
    await bay.up()
    device.answer = answer
    outstation = BridgedOutstation("pole-14", 14, bay.hub)
    server = await serve((outstation, Listener(), "127.0.0.1"))
    master = await connect(server.endpoint)
    waiting: list[int] = []
    device.answer = lambda frame: (waiting.append(bay.hub.waiting_frames), answer(frame))[1]
    frames = 3000
    sending = asyncio.create_task(master.send(link_status_request(14).octets * frames))
    received = await master.receive(10 * frames)
    await sending
    assert received == link_status(14).octets * frames
    assert len(device.frames) == frames
    assert outstation.counters.drops == server.drops == bay.hub.drops == {}
    assert len(holds) >= len(releases) >= 2
    assert max(waiting) <= 32 + 205, "what one read brings after the hold"


async def test_a_session_with_much_to_ask_leaves_the_others_their_turns(
    line: Open, adapter: Pty, device: Device
) -> None:
    bay = line(adapter.device, response_timeout_s=SHORT_S)
    await bay.up()
    device.answer = lambda frame: answer(frame) if frame.destination == OTHER_RTU else None
    greedy, other = bay.attach(RTU), bay.attach(OTHER_RTU)
    for _ in range(10):
        bay.ask(greedy, link_status_request())
    bay.ask(other, link_status_request(OTHER_RTU))
    await eventually(lambda: other.sent, "the other's answer")
    assert bay.counters.outcomes[Outcome.TIMED_OUT] <= 2


async def test_a_held_master_that_reconnects_has_its_queue_dropped(
    line: Open, adapter: Pty, device: Device, serve: Serve, connect: Connect
) -> None:
    bay = line(adapter.device)
    await bay.up()
    outstation = BridgedOutstation("pole-14", 14, bay.hub)
    server = await serve((outstation, Listener(), "127.0.0.1"))
    older = await connect(server.endpoint)
    await older.send(link_status_request(14).octets * 1000)
    await eventually(lambda: bay.hub.waiting_frames >= 32, "the queue")
    waiting = bay.hub.waiting_frames
    older.close()
    newer = await connect(server.endpoint)
    await eventually(lambda: bay.hub.waiting_frames == 0, "nothing waits")
    assert outstation.counters.drops == {Drop.SESSION_ENDED: waiting}
    device.answer = answer
    await newer.send(link_status_request(14).octets)
    adapter.write(link_status(14).octets)
    assert await newer.receive(10) == link_status(14).octets


# Broadcasts, and the self-address


async def test_a_broadcast_goes_out_once_and_awaits_nothing(
    line: Open, adapter: Pty, device: Device, serve: Serve, connect: Connect
) -> None:
    bay = line(adapter.device)
    await bay.up()
    device.answer = answer
    members = [BridgedOutstation(f"rtu-{n}", n, bay.hub) for n in (14, 15, 16)]
    server = await serve(*((member, Listener(), "127.0.0.1") for member in members))
    master = await connect(server.endpoint)
    broadcast = from_master(LinkFunction.UNCONFIRMED_USER_DATA, to=0xFFFF, user_data=b"\xc0\xc0\x02")
    device.answer = lambda frame: None if frame == broadcast else answer(frame)
    await master.send(broadcast.octets, link_status_request(15).octets)
    assert await master.receive(10) == link_status(15).octets
    assert device.frames == [broadcast, link_status_request(15)]


@pytest.fixture
def alone(adapter: Pty) -> Callable[[int], tuple[LineHub, list[BridgedOutstation]]]:
    def make(count: int) -> tuple[LineHub, list[BridgedOutstation]]:
        hub = LineHub("bay2", SerialSettings(device=adapter.device, baud=9600), timing(quiet_s=1.0))
        return hub, [BridgedOutstation(f"rtu-{n}", 20 + n, hub) for n in range(count)]

    return make


async def test_the_self_address_is_for_a_line_with_one_outstation(
    adapter: Pty,
    device: Device,
    serve: Serve,
    connect: Connect,
    alone: Callable[[int], tuple[LineHub, list[BridgedOutstation]]],
) -> None:
    hub, (only,) = alone(1)
    hub.start()
    await eventually(lambda: hub.line.is_open, "the line is up")
    server = await serve((only, Listener(), "127.0.0.1"))
    device.answer = lambda frame: link_status(20).octets
    master = await connect(server.endpoint)
    await master.send(link_status_request(0xFFFC).octets)
    assert await master.receive(10) == link_status(20).octets
    assert device.frames == [link_status_request(0xFFFC)]
    await hub.close(drain_s=0)


async def test_a_second_outstation_on_the_line_makes_the_self_address_ambiguous(
    serve: Serve, connect: Connect, alone: Callable[[int], tuple[LineHub, list[BridgedOutstation]]]
) -> None:
    _hub, (one, _other) = alone(2)
    assert (one.bus, one.is_alone_on_bus) == ("bay2", False)
    server = await serve((one, Listener(), "127.0.0.1"))
    master = await connect(server.endpoint)
    await master.send(link_status_request(0xFFFC).octets)
    await eventually(lambda: server.drops == {Drop.SELF_ADDRESS_SHARED: 1}, "the drop")


async def test_a_neighbour_that_nobody_reaches_makes_the_self_address_ambiguous(
    alone: Callable[[int], tuple[LineHub, list[BridgedOutstation]]],
) -> None:
    hub, (only,) = alone(1)
    hub.add_neighbour(33)
    assert not only.is_alone_on_bus
    assert hub.addresses == (20, 33)


# The end


async def test_close_finishes_the_frame_being_sent(line: Open, adapter: Pty) -> None:
    bay = line(adapter.device)
    await bay.up()
    session = bay.attach()
    bay.ask(session, request(1, rest=bytes(247)))
    await bay.hub.close(drain_s=5)
    assert adapter.read() == request(1, rest=bytes(247)).octets
    assert bay.states == [("bay1", True), ("bay1", False)]
    assert bay.counters.outcomes == {Outcome.LINE_DOWN: 1}
    bay.ask(session, request(2))
    assert bay.counters.drops == {Drop.LINE_DOWN: 1}
    await bay.hub.close(drain_s=5)


# What others follow


async def test_only_a_change_of_answering_is_told(line: Open, adapter: Pty, device: Device) -> None:
    bay = line(adapter.device, response_timeout_s=SHORT_S)
    await bay.up()
    session = bay.attach(RTU)
    replies: list[bytes | None] = [None, None, b"", b"", None]

    def reply(frame: Frame) -> bytes | None:
        return None if replies.pop(0) is None else answer(frame)

    device.answer = reply
    seen = []
    for number in range(5):
        bay.ask(session, request(number))
        await eventually(lambda: bay.counters.outcomes.total() == number + 1, "the exchange ends")  # noqa: B023
        seen.append((len(bay.told), bay.counters.is_answering))
    assert seen == [(1, False), (1, False), (2, True), (2, True), (3, False)]
    assert set(bay.told) == {("bay1", "pole-12")}


async def test_babble_is_told_when_it_begins_and_when_it_ends(
    line: Open, adapter: Pty, device: Device
) -> None:
    bay = line(adapter.device, babble_s=0.1, quiet_s=SHORT_S)
    await bay.up()

    def is_noticed() -> bool:
        adapter.write(b"\x00" * 8)
        return bay.hub.is_babbling

    await eventually(is_noticed, "babble")
    assert bay.told == [("bay1", None)]
    await eventually(lambda: not bay.hub.is_babbling, "silence")
    assert bay.told == [("bay1", None)] * 2


async def test_what_went_over_the_wire_is_counted(line: Open, adapter: Pty, device: Device) -> None:
    bay = line(adapter.device)
    await bay.up()
    session = bay.attach(RTU, OTHER_RTU)
    device.answer = answer
    for address in (RTU, OTHER_RTU):
        bay.ask(session, request(1, to=address))
    await eventually(lambda: len(session.sent) == 2, "the answers")
    sent = sum(len(request(1, to=address).octets) for address in (RTU, OTHER_RTU))
    heard = sum(map(len, session.sent))
    assert (bay.hub.frames_sent, bay.hub.octets_sent) == (2, sent)
    assert bay.hub.octets_on_wire == sent + heard
