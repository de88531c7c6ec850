"""Masters while the line to their outstations is down: the decision by itself, and what the server does."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from bridge.endpoints import local_outstation
from bridge.endpoints.bridged_outstation import BridgedOutstation
from bridge.endpoints.connection_state import ConnectionState
from bridge.endpoints.endpoint import Endpoint
from bridge.endpoints.tcp_server import TcpServer
from bridge.endpoints.tcp_session import SessionEnd, SessionLimits
from bridge.endpoints.when_down import WhenDown, ends_session, is_any_reachable, refuses_sessions
from bridge.service.log_queue import RateLimit
from tests.endpoints.conftest import Connect, Serve
from tests.support.descriptors import open_descriptors
from tests.support.eventually import eventually, turns_of_the_loop
from tests.support.frames import link_status, link_status_request
from tests.support.masters import Master, overfill
from tests.support.outstations import FailingListener, Listener, Outstation, Told

pytestmark = pytest.mark.wire

CONNECTED, DISCONNECTED = ConnectionState.CONNECTED, ConnectionState.DISCONNECTED
HOLD, CLOSE, REFUSE = WhenDown.HOLD, WhenDown.CLOSE, WhenDown.REFUSE
LINE_DOWN = SessionEnd.LINE_DOWN
REQUEST = link_status_request(12).octets


# The decision


@dataclass(frozen=True)
class Member:
    is_reachable: bool
    when_down: WhenDown


DECISIONS = [
    # policies of unreachable outstations, whether a session ends, whether new ones are refused
    ([HOLD], False, False),
    ([CLOSE], True, False),
    ([REFUSE], True, True),
    ([HOLD, HOLD], False, False),
    ([HOLD, CLOSE], False, False),
    ([REFUSE, HOLD], False, False),
    ([CLOSE, CLOSE], True, False),
    ([CLOSE, REFUSE], True, False),
    ([REFUSE, CLOSE], True, False),
    ([REFUSE, REFUSE], True, True),
    ([REFUSE, REFUSE, REFUSE, CLOSE], True, False),
    ([CLOSE, REFUSE, CLOSE, HOLD], False, False),
]


@pytest.mark.parametrize(("policies", "ends", "refuses"), DECISIONS)
def test_what_the_policies_of_a_group_come_to(policies: list[WhenDown], ends: bool, refuses: bool) -> None:
    members = [Member(False, policy) for policy in policies]
    assert not is_any_reachable(members)
    assert (ends_session(members), refuses_sessions(members)) == (ends, refuses)


@pytest.mark.parametrize("policy", WhenDown)
@pytest.mark.parametrize("policies", [policies for policies, _, _ in DECISIONS])
def test_one_outstation_that_can_be_reached_keeps_the_session(
    policies: list[WhenDown], policy: WhenDown
) -> None:
    down = [Member(False, each) for each in policies]
    for place in range(len(down) + 1):
        members = [*down[:place], Member(True, policy), *down[place:]]
        assert is_any_reachable(members)
        assert (ends_session(members), refuses_sessions(members)) == (False, False)


def test_the_values_are_the_words_of_the_configuration() -> None:
    assert [str(policy) for policy in WhenDown] == ["hold", "close", "refuse"]
    assert str(LINE_DOWN) == "line_down"


# What outstations say of themselves


def test_a_local_outstation_is_always_reachable() -> None:
    outstation = local_outstation.Outstation()
    assert (outstation.is_reachable, outstation.when_down) == (True, HOLD)


@dataclass
class LineStub:
    is_open: bool = False


class HubStub:
    """What a bridged outstation asks of its hub, without a port."""

    name = "bay1"

    def __init__(self) -> None:
        self.line = LineStub()

    def add_station(self, address: int, name: str, observer: object) -> object:
        return object()


def test_a_bridged_outstation_is_reachable_while_its_line_is_open() -> None:
    hub: Any = HubStub()
    outstation = BridgedOutstation("pole-12", 12, hub)
    assert not outstation.is_reachable
    hub.line.is_open = True
    assert outstation.is_reachable
    hub.line.is_open = False
    assert not outstation.is_reachable


@pytest.mark.parametrize("policy", WhenDown)
def test_a_bridged_outstation_has_the_policy_of_its_line(policy: WhenDown) -> None:
    hub: Any = HubStub()
    assert BridgedOutstation("pole-12", 12, hub, when_down=policy).when_down is policy
    assert BridgedOutstation("pole-12", 12, hub).when_down is HOLD


# The server


def _go_down(server: TcpServer, *outstations: Outstation) -> None:
    for outstation in outstations:
        outstation.is_reachable = False
    server.reachability_changed()


def _go_up(server: TcpServer, *outstations: Outstation) -> None:
    for outstation in outstations:
        outstation.is_reachable = True
    server.reachability_changed()


async def _is_refused(endpoint: Endpoint, source: str = "127.0.0.1") -> str:
    """Connect, expect the end and nothing else, and return the master's name."""
    with await Master.connect(endpoint, source) as master:
        name = master.name
        assert await master.receive_to_the_end() == b""
        return name


def _logged(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, object]]:
    return [record.fields for record in caplog.records if record.getMessage() == event]  # type: ignore[attr-defined]


@contextmanager
def _no_error_unseen() -> Iterator[None]:
    """Fail for what nobody else sees: errors of callbacks and tasks."""
    errors: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: errors.append(context))
    yield
    assert errors == []


async def test_hold_keeps_the_session_and_takes_new_ones(serve: Serve, connect: Connect) -> None:
    outstation, listener = Outstation("pole-12", 12, when_down=HOLD), Listener()
    server = await serve((outstation, listener, "127.0.0.1"))
    first = await connect(server.endpoint)
    await eventually(lambda: outstation.session, "the session")
    _go_down(server, outstation)
    await first.send(REQUEST)
    await eventually(lambda: outstation.frames, "a frame on the session that was held")
    assert server.session_ends == {}
    second = await connect(server.endpoint)
    await second.send(REQUEST)
    await eventually(lambda: len(outstation.frames) == 2, "a frame of the master that came meanwhile")
    _go_up(server, outstation)
    await second.send(REQUEST)
    await eventually(lambda: len(outstation.frames) == 3, "a frame after that")
    assert server.session_ends == {SessionEnd.PRE_EMPTED: 1}
    assert listener.states == [CONNECTED, DISCONNECTED, CONNECTED]


@pytest.mark.parametrize("policy", [CLOSE, REFUSE])
async def test_the_session_ends_when_the_line_goes_down(
    serve: Serve, connect: Connect, caplog: pytest.LogCaptureFixture, policy: WhenDown
) -> None:
    caplog.set_level(logging.INFO, "bridge")
    outstation, listener = Outstation("pole-12", 12, when_down=policy), Listener("pole-12")
    server = await serve((outstation, listener, "127.0.0.1"))
    master = await connect(server.endpoint)
    name = master.name
    session = await eventually(lambda: outstation.session, "the session")
    _go_down(server, outstation)
    assert server.sessions == ()
    assert server.session_of(outstation) is None
    assert outstation.events == [("started", session), ("ended", session)]
    assert listener.log == [("pole-12", CONNECTED, name), ("pole-12", DISCONNECTED, name)]
    assert server.session_ends == {LINE_DOWN: 1}
    (ended,) = _logged(caplog, "master disconnected")
    assert (ended["outstation"], ended["peer"], ended["reason"]) == ("pole-12", name, "line_down")
    assert await master.receive_to_the_end() == b""
    _go_down(server, outstation)
    assert server.session_ends == {LINE_DOWN: 1}, "once"


async def test_close_takes_new_masters_and_keeps_them_until_the_next_time(
    serve: Serve, connect: Connect
) -> None:
    outstation, listener = Outstation("pole-12", 12, when_down=CLOSE), Listener()
    server = await serve((outstation, listener, "127.0.0.1"))
    await connect(server.endpoint)
    await eventually(lambda: outstation.session, "the session")
    _go_down(server, outstation)
    patient = await connect(server.endpoint)
    await eventually(lambda: outstation.session, "the master that came while the line was down")
    # Another line of the appliance comes and goes, or the port fails once more.
    server.reachability_changed()
    server.reachability_changed()
    await patient.send(REQUEST)
    await eventually(lambda: outstation.frames, "a frame of it")
    _go_up(server, outstation)
    await patient.send(REQUEST)
    await eventually(lambda: len(outstation.frames) == 2, "another, with the line")
    assert server.session_ends == {LINE_DOWN: 1}
    _go_down(server, outstation)
    assert await patient.receive_to_the_end() == b""
    assert server.session_ends == {LINE_DOWN: 2}
    assert listener.states == [CONNECTED, DISCONNECTED] * 2


async def test_refuse_lets_nobody_in_until_the_line_is_back(
    serve: Serve, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    outstation, listener = Outstation("pole-12", 12, when_down=REFUSE), Listener()
    server = await serve((outstation, listener, "127.0.0.1"))
    _go_down(server, outstation)
    names = [await _is_refused(server.endpoint) for _ in range(3)]
    assert server.session_ends == {LINE_DOWN: 3}
    refused = _logged(caplog, "connection refused")
    assert [(fields["peer"], fields["reason"]) for fields in refused] == [
        (name, "line_down") for name in names
    ]
    assert (outstation.events, listener.log, server.sessions) == ([], [], ())
    _go_up(server, outstation)
    master = await connect(server.endpoint)
    await master.send(REQUEST)
    await eventually(lambda: outstation.frames, "a frame, now that the line is back")
    assert listener.states == [CONNECTED]
    assert server.session_ends == {LINE_DOWN: 3}


async def test_a_refused_masters_octets_are_not_looked_at(serve: Serve) -> None:
    outstation = Outstation("pole-12", 12, is_reachable=False, when_down=REFUSE)
    server = await serve((outstation, Listener(), "127.0.0.1"))
    with await Master.connect(server.endpoint) as master:
        assert master.send_what_fits(REQUEST * 100) > 0
        assert await master.receive_to_the_end() == b""
    assert (outstation.events, outstation.frames, server.drops) == ([], [], {})


async def test_a_refused_master_ends_nobodys_session(serve: Serve, connect: Connect) -> None:
    # Between the loss of the port and the server's news of it.
    outstation, listener = Outstation("pole-12", 12, when_down=REFUSE), Listener()
    server = await serve((outstation, listener, "127.0.0.0/8"))
    master = await connect(server.endpoint)
    await eventually(lambda: outstation.session, "the session")
    outstation.is_reachable = False
    await _is_refused(server.endpoint, "127.0.0.2")
    await master.send(REQUEST)
    await eventually(lambda: outstation.frames, "a frame of the session that was there")
    assert listener.states == [CONNECTED]
    assert server.session_ends == {LINE_DOWN: 1}
    server.reachability_changed()
    assert await master.receive_to_the_end() == b""
    assert server.session_ends == {LINE_DOWN: 2}


async def test_a_stranger_is_not_wanted_whatever_the_line(serve: Serve) -> None:
    outstation = Outstation("pole-12", 12, is_reachable=False, when_down=REFUSE)
    server = await serve((outstation, Listener(), "127.0.0.1"))
    await _is_refused(server.endpoint, "127.0.0.2")
    assert server.session_ends == {SessionEnd.NOT_WANTED: 1}


@pytest.mark.parametrize("policy", [HOLD, CLOSE])
async def test_a_line_that_is_still_opening_keeps_its_masters(
    serve: Serve, connect: Connect, policy: WhenDown
) -> None:
    outstation = Outstation("pole-12", 12, is_reachable=False, when_down=policy)
    server = await serve((outstation, Listener(), "127.0.0.1"))
    master = await connect(server.endpoint)
    await eventually(lambda: outstation.session, "the session")
    server.reachability_changed()
    _go_up(server, outstation)
    await master.send(REQUEST)
    await eventually(lambda: outstation.frames, "a frame")
    assert server.session_ends == {}


async def test_a_line_that_is_still_opening_is_down_for_refuse(serve: Serve, connect: Connect) -> None:
    outstation = Outstation("pole-12", 12, is_reachable=False, when_down=REFUSE)
    server = await serve((outstation, Listener(), "127.0.0.1"))
    await _is_refused(server.endpoint)
    _go_up(server, outstation)
    await connect(server.endpoint)
    await eventually(lambda: outstation.session, "the session")
    assert server.session_ends == {LINE_DOWN: 1}


async def test_a_line_that_opened_unannounced_is_missed_when_it_goes(serve: Serve, connect: Connect) -> None:
    outstation = Outstation("pole-12", 12, is_reachable=False, when_down=CLOSE)
    server = await serve((outstation, Listener(), "127.0.0.1"))
    server.reachability_changed()
    outstation.is_reachable = True
    master = await connect(server.endpoint)
    await eventually(lambda: outstation.session, "the session")
    _go_down(server, outstation)
    assert await master.receive_to_the_end() == b""


async def test_a_refused_master_that_tries_again_gets_in_when_the_line_is_back(serve: Serve) -> None:
    outstation, listener = Outstation("pole-12", 12, when_down=REFUSE), Listener()
    outstation.on_frame = lambda session, frame: session.send(link_status(12).octets)
    server = await serve((outstation, listener, "127.0.0.1"))

    async def poll_until_answered() -> int:
        for attempt in range(10_000):
            with await Master.connect(server.endpoint) as master:
                master.send_what_fits(REQUEST)
                await eventually(lambda m=master: m.is_at_end() or listener.log, "refused or served")  # type: ignore[misc]
                if not master.is_at_end():
                    assert await master.receive(10) == link_status(12).octets
                    return attempt
        raise AssertionError("never answered")

    _go_down(server, outstation)
    polling = asyncio.create_task(poll_until_answered())
    await eventually(lambda: server.session_ends[LINE_DOWN] >= 5, "five refusals")
    assert listener.log == []
    _go_up(server, outstation)
    async with asyncio.timeout(10):
        refusals = await polling
    assert server.session_ends[LINE_DOWN] == refusals >= 5
    await eventually(lambda: listener.states == [CONNECTED, DISCONNECTED], "one master came and went")


# Groups


@pytest.mark.parametrize(("policies", "ends", "refuses"), DECISIONS)
async def test_a_group_does_what_its_policies_come_to(
    serve: Serve, connect: Connect, policies: list[WhenDown], ends: bool, refuses: bool
) -> None:
    members = [Outstation(f"rtu-{n}", n, when_down=policy) for n, policy in enumerate(policies, 1)]
    listener = Listener()
    server = await serve(*((member, listener, "127.0.0.1") for member in members))
    master = await connect(server.endpoint)
    await eventually(lambda: members[-1].session, "the session")
    for member in members:
        assert server.session_ends == {}, "not before the last one is gone"
        _go_down(server, member)
    assert server.session_ends == ({LINE_DOWN: 1} if ends else {})
    assert await master.receive_to_the_end() == b"" if ends else not master.is_at_end()
    if refuses:
        await _is_refused(server.endpoint)
        assert server.session_ends == {LINE_DOWN: 2}
    else:
        newer = await connect(server.endpoint)
        await newer.send(link_status_request(1).octets)
        await eventually(lambda: members[0].frames, "a frame of the master that came meanwhile")


@pytest.mark.parametrize("policy", [CLOSE, REFUSE])
async def test_a_site_with_one_of_two_lines_down_keeps_its_session(
    serve: Serve, connect: Connect, policy: WhenDown
) -> None:
    one = [Outstation(f"one-{n}", n, bus="one", when_down=policy) for n in (1, 2)]
    two = [Outstation(f"two-{n}", n, bus="two", when_down=policy) for n in (3, 4)]
    log: list[Told] = []
    server = await serve(*((member, Listener(member.name, log), "127.0.0.1") for member in (*one, *two)))
    master = await connect(server.endpoint)
    await eventually(lambda: len(log) == 4, "the session")
    _go_down(server, *one)
    await master.send(*(link_status_request(n).octets for n in (1, 3)))
    await eventually(lambda: one[0].frames and two[0].frames, "frames for both lines")
    _go_up(server, *one)
    _go_down(server, *two)
    await master.send(link_status_request(2).octets)
    await eventually(lambda: one[1].frames, "a frame for the line that came back")
    assert server.session_ends == {}
    _go_down(server, *one)
    name = master.name
    assert await master.receive_to_the_end() == b""
    assert server.session_ends == {LINE_DOWN: 1}
    members = [member.name for member in (*one, *two)]
    assert log == [(member, state, name) for state in (CONNECTED, DISCONNECTED) for member in members]
    _go_up(server, *two)
    newer = await connect(server.endpoint)
    await newer.send(link_status_request(4).octets)
    await eventually(lambda: two[1].frames, "one line is enough to get in")


async def test_a_local_outstation_keeps_the_session_of_a_line_that_is_down(
    serve: Serve, connect: Connect
) -> None:
    bridged, local = Outstation("pole-12", 12, when_down=REFUSE), local_outstation.Outstation()
    listener = Listener()
    server = await serve((bridged, listener, "127.0.0.1"), (local, None, "127.0.0.1"))  # type: ignore[arg-type]
    first = await connect(server.endpoint)
    await eventually(lambda: bridged.session, "the session")
    _go_down(server, bridged)
    assert not first.is_at_end()
    await connect(server.endpoint)
    await eventually(lambda: len(listener.log) == 3, "the newer master takes over")
    assert server.session_ends == {SessionEnd.PRE_EMPTED: 1}


async def test_every_group_is_looked_at_and_only_those_that_lost_their_line_end(
    serve: Serve, connect: Connect
) -> None:
    policies = {"127.0.0.1": CLOSE, "127.0.0.2": HOLD, "127.0.0.3": REFUSE, "127.0.0.4": CLOSE}
    members = [Outstation(source, 12, when_down=policy) for source, policy in policies.items()]
    log: list[Told] = []
    server = await serve(*((member, Listener(member.name, log), member.name) for member in members))
    masters = [await connect(server.endpoint, member.name) for member in members]
    await eventually(lambda: len(log) == 4, "four sessions")
    _go_down(server, *members[:3])
    assert server.session_ends == {LINE_DOWN: 2}
    told = [(member, state) for member, state, _ in log[4:]]
    assert told == [("127.0.0.1", DISCONNECTED), ("127.0.0.3", DISCONNECTED)], "in the groups' order"
    for number in (1, 3):
        await masters[number].send(REQUEST)
    await eventually(lambda: members[1].frames and members[3].frames, "frames of those who stay")
    assert len(server.sessions) == 2


# What the listeners do


async def test_a_line_that_goes_down_inside_the_listener_is_told_to_all_in_order(
    serve: Serve, connect: Connect
) -> None:
    members = [Outstation(f"rtu-{n}", n, when_down=CLOSE) for n in (1, 2)]
    log: list[Told] = []

    class LosesTheLine(Listener):
        def connection_state_changed(self, state: ConnectionState, peer: str) -> None:
            super().connection_state_changed(state, peer)
            _go_down(server, *members)

    server = await serve(
        (members[0], LosesTheLine("rtu-1", log), "127.0.0.1"),
        (members[1], Listener("rtu-2", log), "127.0.0.1"),
    )
    with _no_error_unseen():
        master = await connect(server.endpoint)
        name = master.name
        assert await master.receive_to_the_end() == b""
    assert log == [(f"rtu-{n}", state, name) for state in (CONNECTED, DISCONNECTED) for n in (1, 2)]
    assert server.session_ends == {LINE_DOWN: 1}
    assert server.listener_errors == 0


async def test_a_listener_that_raises_keeps_no_session_open(serve: Serve, connect: Connect) -> None:
    one, other = (Outstation(f"rtu-{n}", 12, when_down=CLOSE) for n in (1, 2))
    failing, listener = FailingListener(), Listener()
    server = await serve((one, failing, "127.0.0.1"), (other, listener, "127.0.0.2"))
    masters = [await connect(server.endpoint, source) for source in ("127.0.0.1", "127.0.0.2")]
    await eventually(lambda: len(server.sessions) == 2, "both sessions")
    _go_down(server, one, other)
    assert [await master.receive_to_the_end() for master in masters] == [b"", b""]
    assert server.session_ends == {LINE_DOWN: 2}
    assert listener.states == [CONNECTED, DISCONNECTED]
    assert server.listener_errors == failing.calls == 2


# How it ends


async def test_what_is_being_sent_gets_out_and_the_next_master_does_not_wait_for_it(
    serve: Serve, connect: Connect
) -> None:
    outstation = Outstation("pole-12", 12, when_down=CLOSE)
    limits = SessionLimits(send_stall_s=600, send_queue_octets=1 << 30)
    server = await serve((outstation, Listener(), "127.0.0.1"), limits=limits)
    slow = await connect(server.endpoint, receive_buffer=4096)
    session = await eventually(lambda: outstation.session, "the session")
    sent = overfill(session)
    _go_down(server, outstation)
    assert not session.send(b"too late")
    newer = await connect(server.endpoint)
    await newer.send(REQUEST)
    await eventually(lambda: outstation.frames, "the newer master's frame")
    assert len(await slow.receive_to_the_end()) == sent
    assert server.session_ends == {LINE_DOWN: 1}


async def test_a_master_that_never_reads_is_let_go_after_the_send_stall(
    serve: Serve, connect: Connect
) -> None:
    outstation = Outstation("pole-12", 12, when_down=CLOSE)
    limits = SessionLimits(send_stall_s=0.05, send_queue_octets=1 << 30)
    server = await serve((outstation, Listener(), "127.0.0.1"), limits=limits)
    tasks = asyncio.all_tasks()
    before = open_descriptors()
    with await Master.connect(server.endpoint, receive_buffer=4096):
        session = await eventually(lambda: outstation.session, "the session")
        with_master = open_descriptors()
        overfill(session)
        _go_down(server, outstation)
        assert server.session_ends == {LINE_DOWN: 1}
        async with asyncio.timeout(10):
            await session.wait_closed()
        await eventually(lambda: len(open_descriptors()) < len(with_master), "the server's side is closed")
    await eventually(lambda: open_descriptors() == before, "no descriptor left behind")
    await eventually(lambda: asyncio.all_tasks() == tasks, "no task left behind")
    gone = weakref.ref(session)
    outstation.events.clear()
    del session
    await eventually(lambda: gc.collect() >= 0 and gone() is None, "the server forgets the session")


async def test_close_does_not_wait_for_what_a_lost_line_left_draining(serve: Serve, connect: Connect) -> None:
    outstation = Outstation("pole-12", 12, when_down=CLOSE)
    limits = SessionLimits(send_stall_s=600, send_queue_octets=1 << 30)
    server = await serve((outstation, Listener(), "127.0.0.1"), limits=limits)
    await connect(server.endpoint, receive_buffer=4096)
    session = await eventually(lambda: outstation.session, "the session")
    tasks = asyncio.all_tasks()
    overfill(session)
    _go_down(server, outstation)
    async with asyncio.timeout(10):
        await server.close(drain_s=0.05)
        await session.wait_closed()
    await turns_of_the_loop()
    assert asyncio.all_tasks() <= tasks
    assert server.session_ends == {LINE_DOWN: 1}


async def test_a_storm_of_refused_masters_leaves_fifty_lines_and_nothing_else(serve: Serve) -> None:
    outstation, listener = Outstation("pole-12", 12, is_reachable=False, when_down=REFUSE), Listener()
    server = await serve((outstation, listener, "127.0.0.1"))
    await turns_of_the_loop()
    descriptors, tasks = open_descriptors(), asyncio.all_tasks()
    lines: list[logging.LogRecord] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record)

    handler = Lines()
    handler.addFilter(RateLimit(lambda: 100.0))  # all of it within one second, however slow this machine is
    logger = logging.getLogger("bridge")
    logger.addHandler(handler)
    try:
        with _no_error_unseen():
            for _ in range(200):
                (await Master.connect(server.endpoint)).close()
            await eventually(lambda: server.session_ends.total() == 200, "200 ends")
    finally:
        logger.removeHandler(handler)
    assert server.session_ends == {LINE_DOWN: 200}
    assert [record.getMessage() for record in lines] == ["connection refused"] * 50
    assert (outstation.events, listener.log) == ([], [])
    await eventually(lambda: open_descriptors() == descriptors, "no descriptor left behind")
    await eventually(lambda: asyncio.all_tasks() == tasks, "no task left behind")


async def test_looking_before_bind_or_after_close_is_harmless(serve: Serve) -> None:
    outstation = Outstation("pole-12", 12, when_down=CLOSE)
    server = await serve((outstation, Listener(), "127.0.0.1"))
    await server.close()
    _go_down(server, outstation)
    _go_up(server, outstation)
    assert server.session_ends == {}
