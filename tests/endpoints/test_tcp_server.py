from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import logging
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from bridge.endpoints import accepting
from bridge.endpoints.address_filter import AddressFilter
from bridge.endpoints.connection_state import ConnectionState
from bridge.endpoints.tcp_server import TcpServer
from bridge.endpoints.tcp_session import SessionEnd, SessionLimits, TcpSession
from bridge.errors import BindError, ConflictError, EndpointError
from bridge.link.address import SELF_ADDRESS
from bridge.link.control import LinkFunction
from bridge.link.framer import Discard, LinkErrorMode
from bridge.routing.drop import Drop
from tests.endpoints.conftest import Connect, Serve
from tests.support.descriptors import no_descriptor_left, open_descriptors
from tests.support.eventually import eventually, turns_of_the_loop
from tests.support.frames import from_master, from_rtu, link_status, link_status_request
from tests.support.masters import Master, overfill, unconnected
from tests.support.outstations import FailingListener, Listener, Outstation, Told

pytestmark = pytest.mark.wire

CONNECTED, DISCONNECTED = ConnectionState.CONNECTED, ConnectionState.DISCONNECTED
DISCARD, CLOSE = LinkErrorMode.DISCARD, LinkErrorMode.CLOSE
REQUEST = link_status_request(12).octets
DAMAGED = REQUEST[:-1] + bytes((REQUEST[-1] ^ 1,))


def _filter(text: str) -> AddressFilter:
    return AddressFilter.parse([text])


def _can_connect(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another program listens on."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


# Before bind


@pytest.mark.parametrize(
    ("endpoint", "wrong"),
    [
        ("127.0.0.1", "has no port"),
        ("127.0.0.1:65536", "out of range"),
        ("::1:20000", "without brackets"),
        ("rtu.example:20000", "host names are not looked up"),
        ("", "is not an endpoint"),
    ],
)
def test_a_malformed_endpoint_is_refused_at_construction(endpoint: str, wrong: str) -> None:
    with pytest.raises(EndpointError, match=wrong):
        TcpServer(DISCARD, endpoint)


async def test_construction_and_adding_do_not_bind(taken: int) -> None:
    server = TcpServer(DISCARD, f"127.0.0.1:{taken}")
    server.add_outstation(Outstation("a", 12), Listener(), AddressFilter.any())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    TcpServer(DISCARD, f"127.0.0.1:{port}")
    assert not _can_connect(port)


async def test_a_taken_port_is_refused_with_the_systems_reason_and_can_be_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        server = TcpServer(DISCARD, f"127.0.0.1:{port}")
        with pytest.raises(BindError) as caught:
            await server.bind()
    assert caught.value.errno == errno.EADDRINUSE
    assert caught.value.strerror == f"cannot listen on 127.0.0.1:{port}: Address already in use"
    await server.bind()
    assert _can_connect(port)
    await server.close()


@pytest.mark.parametrize("endpoint", ["192.0.2.1:0", "[2001:db8::1]:0"])
async def test_an_address_of_another_machine_is_refused_with_the_systems_reason(endpoint: str) -> None:
    with pytest.raises(BindError) as caught:
        await TcpServer(DISCARD, endpoint).bind()
    assert caught.value.strerror == f"cannot listen on {endpoint}: Cannot assign requested address"


async def test_an_interface_that_is_not_there_is_said_to_be_missing() -> None:
    with pytest.raises(BindError) as caught:
        await TcpServer(DISCARD, "[fe80::1%nonesuch]:0").bind()
    assert caught.value.strerror == "cannot listen on [fe80::1%nonesuch]:0: no interface with this name"


async def test_a_bind_that_fails_leaves_no_descriptor(taken: int) -> None:
    server = TcpServer(DISCARD, f"127.0.0.1:{taken}")
    before = open_descriptors()
    with pytest.raises(BindError):
        await server.bind()
    assert open_descriptors() == before


async def test_port_0_becomes_the_port_that_the_system_chose(serve: Serve) -> None:
    server = await serve()
    assert server.endpoint.port > 0
    assert _can_connect(server.endpoint.port)


# Who can stand beside whom


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("any", "10.1.1.5"),
        ("10.1.1.5", "10.1.1.*"),
        ("10.8.0.0/16", "10.8.3.0/24"),
        ("10.*.1.7", "10.1.0.0/16"),
        ("::ffff:10.1.1.5", "10.1.1.0/24"),
    ],
)
def test_filters_that_overlap_are_refused_naming_both_outstations(one: str, other: str) -> None:
    server = TcpServer(DISCARD, "127.0.0.1:0")
    server.add_outstation(Outstation("pole-12", 12), Listener(), _filter(one))
    with pytest.raises(ConflictError, match=r"^pole-13 and pole-12: "):
        server.add_outstation(Outstation("pole-13", 13), Listener(), _filter(other))


def test_a_conflict_names_everybody_who_shares_the_other_filter() -> None:
    server = TcpServer(DISCARD, "127.0.0.1:0")
    server.add_outstation(Outstation("pole-12", 12), Listener(), _filter("10.1.1.5"))
    server.add_outstation(Outstation("pole-13", 13), Listener(), _filter("10.1.1.5"))
    with pytest.raises(ConflictError, match="pole-14 and pole-12,pole-13"):
        server.add_outstation(Outstation("pole-14", 14), Listener(), AddressFilter.any())


def test_one_filter_and_one_address_are_refused_naming_both_outstations() -> None:
    server = TcpServer(DISCARD, "127.0.0.1:0")
    server.add_outstation(Outstation("pole-12", 12), Listener(), _filter("10.8.0.0/16"))
    with pytest.raises(ConflictError, match=r"pole-13 and pole-12: .* link address 12"):
        server.add_outstation(Outstation("pole-13", 12), Listener(), _filter("10.8.*.*"))


async def test_what_was_refused_is_not_served(serve: Serve, connect: Connect) -> None:
    served, refused, listener = Outstation("pole-12", 12), Outstation("pole-13", 13), Listener()
    server = TcpServer(DISCARD, "127.0.0.1:0")
    server.add_outstation(served, Listener(), _filter("127.0.0.1"))
    with pytest.raises(ConflictError):
        server.add_outstation(refused, listener, AddressFilter.any())
    await server.bind()
    master = await connect(server.endpoint)
    await master.send(REQUEST, link_status_request(13).octets)
    await eventually(lambda: server.drops[Drop.UNKNOWN_DESTINATION], "the frame for the refused outstation")
    assert len(served.frames) == 1
    assert (refused.events, refused.frames, listener.log) == ([], [], [])
    await server.close()


async def test_no_outstation_is_taken_after_bind(serve: Serve) -> None:
    server = await serve((Outstation("pole-12", 12), Listener(), "127.0.0.1"))
    with pytest.raises(ConflictError, match=r"pole-13: .* before bind"):
        server.add_outstation(Outstation("pole-13", 13), Listener(), _filter("127.0.0.2"))


# Sessions


async def test_outstations_of_one_filter_share_a_session_and_are_told_apart_by_destination(
    serve: Serve, connect: Connect
) -> None:
    one, other = Outstation("pole-12", 12), Outstation("pole-13", 13)
    server = await serve((one, Listener(), "127.0.0.0/8"), (other, Listener(), "127.*.*.*"))
    master = await connect(server.endpoint)
    await master.send(link_status_request(13, source=7).octets, REQUEST, link_status_request(13).octets)
    await eventually(lambda: len(one.frames) + len(other.frames) == 3, "three frames")
    assert [(frame.destination, frame.source) for frame in one.frames] == [(12, 1)]
    assert [(frame.destination, frame.source) for frame in other.frames] == [(13, 7), (13, 1)]
    assert server.session_of(one) is server.session_of(other) is server.sessions[0]
    assert one.frames[0].octets == REQUEST


async def test_outstations_of_different_filters_have_sessions_of_their_own(
    serve: Serve, connect: Connect
) -> None:
    one, other = Outstation("bay-1", 12), Outstation("bay-2", 12)
    server = await serve((one, Listener(), "127.0.0.1"), (other, Listener(), "127.0.0.2"))
    first, second = await connect(server.endpoint), await connect(server.endpoint, "127.0.0.2")
    await first.send(link_status_request(12, source=1).octets)
    await second.send(link_status_request(12, source=2).octets)
    await eventually(lambda: one.frames and other.frames, "a frame for each")
    assert ([f.source for f in one.frames], [f.source for f in other.frames]) == ([1], [2])
    for outstation, octets in ((one, b"for one"), (other, b"for two")):
        assert outstation.session is not None
        outstation.session.send(octets)
    assert (await first.receive(7), await second.receive(7)) == (b"for one", b"for two")


async def test_no_master_no_session(serve: Serve) -> None:
    outstation = Outstation("pole-12", 12)
    server = await serve((outstation, Listener(), "127.0.0.1"))
    assert server.session_of(outstation) is None
    assert server.session_of(Outstation("unknown", 13)) is None
    assert server.sessions == ()


async def test_listener_sees_a_master_come_and_go(serve: Serve, connect: Connect) -> None:
    listener = Listener("pole-12")
    await_listener = listener.log
    server = await serve((Outstation("pole-12", 12), listener, "127.0.0.1"))
    assert listener.log == []
    master = await connect(server.endpoint)
    await eventually(lambda: len(await_listener) == 1, "connected")
    master_name = master.name
    master.close()
    await eventually(lambda: len(await_listener) == 2, "disconnected")
    assert listener.log == [("pole-12", CONNECTED, master_name), ("pole-12", DISCONNECTED, master_name)]
    assert server.session_ends == {SessionEnd.PEER_CLOSED: 1}


async def test_a_newer_master_takes_over_after_the_older_one_has_gone(serve: Serve, connect: Connect) -> None:
    listener = Listener("pole-12")
    outstation = Outstation("pole-12", 12)
    server = await serve((outstation, listener, "127.0.0.0/8"))
    older = await connect(server.endpoint, "127.0.0.2")
    await eventually(lambda: listener.states == [CONNECTED], "the older master")
    newer = await connect(server.endpoint, "127.0.0.3")
    await eventually(lambda: len(listener.log) == 3, "the newer master")
    assert listener.log == [
        ("pole-12", CONNECTED, older.name),
        ("pole-12", DISCONNECTED, older.name),
        ("pole-12", CONNECTED, newer.name),
    ]
    assert await older.receive_to_the_end() == b""
    first, second = outstation.events[0][1], outstation.events[2][1]
    assert outstation.events == [("started", first), ("ended", first), ("started", second)]
    assert server.sessions == (second,)
    assert server.session_ends == {SessionEnd.PRE_EMPTED: 1}
    await newer.send(REQUEST)
    await eventually(lambda: outstation.frames, "the newer master's frame")
    assert len(listener.log) == 3


async def test_pre_emption_is_told_to_all_of_the_group_and_to_nobody_else(
    serve: Serve, connect: Connect
) -> None:
    one, two, three, other = (Outstation(f"rtu-{n}", n) for n in (1, 2, 3, 4))
    log = Listener().log
    server = await serve(
        *((member, Listener(member.name, log), "127.0.0.0/30") for member in (one, two, three)),
        (other, Listener("rtu-4", log), "127.0.0.9"),
    )
    older = await connect(server.endpoint, "127.0.0.1")
    await eventually(lambda: len(log) == 3, "the older master")
    beside = await connect(server.endpoint, "127.0.0.9")
    await eventually(lambda: len(log) == 4, "the other group's master")
    newer = await connect(server.endpoint, "127.0.0.2")
    await eventually(lambda: len(log) == 10, "the newer master")
    members = ("rtu-1", "rtu-2", "rtu-3")
    assert log == [
        *((name, CONNECTED, older.name) for name in members),
        ("rtu-4", CONNECTED, beside.name),
        *((name, DISCONNECTED, older.name) for name in members),
        *((name, CONNECTED, newer.name) for name in members),
    ]
    assert len(server.sessions) == 2
    await beside.send(link_status_request(4).octets)
    await eventually(lambda: other.frames, "a frame of the session beside")


async def test_an_ended_sessions_frames_do_not_arrive(serve: Serve, connect: Connect) -> None:
    # `Outstation.receive` asserts that each frame is of the session started last.
    outstation, listener = Outstation("pole-12", 12), Listener()
    failures: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: failures.append(context))
    server = await serve((outstation, listener, "127.0.0.1"))
    for number in range(10):
        older = await connect(server.endpoint)
        await older.send(link_status_request(12, source=100 + number).octets * 500)
    await eventually(lambda: len(listener.log) == 19, "ten masters, nine pre-emptions")
    last = outstation.events[-1][1]
    await eventually(lambda: last.counters.frames == 500, "all of the last master's frames")
    assert [frame.source for frame in outstation.frames[-500:]] == [109] * 500
    assert failures == []


async def test_ipv6_and_ipv4_mapped_masters_on_one_endpoint(serve: Serve, connect: Connect) -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    six, four = Outstation("six", 6), Outstation("four", 4)
    six_listener, four_listener = Listener("six"), Listener("four")
    server = await serve((six, six_listener, "::1"), (four, four_listener, "127.0.0.0/8"), endpoint="[::]:0")
    by_six = await connect(server.endpoint, "::1")
    await eventually(lambda: six_listener.log, "the IPv6 master")
    assert four_listener.log == []
    by_four = await connect(server.endpoint, "127.0.0.5")
    await eventually(lambda: four_listener.log, "the IPv4 master")
    mapped_name = "[::ffff:127.0.0.5]:" + by_four.name.partition(":")[2]
    assert six_listener.log == [("six", CONNECTED, by_six.name)]
    assert four_listener.log == [("four", CONNECTED, mapped_name)]
    await by_six.send(link_status_request(6).octets)
    await by_four.send(link_status_request(4).octets)
    await eventually(lambda: six.frames and four.frames, "a frame for each")
    assert server.drops == {}


async def test_a_peer_that_matches_nothing_is_closed_logged_and_counted(
    serve: Serve, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    outstation, listener = Outstation("pole-12", 12), Listener()
    server = await serve((outstation, listener, "127.0.0.1"))
    wanted = await connect(server.endpoint)
    await eventually(lambda: listener.log, "the master")
    with caplog.at_level(logging.WARNING, "bridge"):
        stranger = await connect(server.endpoint, "127.0.0.2")
        name = stranger.name
        assert await stranger.receive_to_the_end() == b""
    assert server.session_ends == {SessionEnd.NOT_WANTED: 1}
    (record,) = caplog.records
    assert (record.getMessage(), record.fields["peer"]) == ("connection refused", name)  # type: ignore[attr-defined]
    assert listener.states == [CONNECTED]
    assert len(server.sessions) == 1
    await wanted.send(REQUEST)
    await eventually(lambda: outstation.frames, "a frame of the session beside")


async def test_a_strangers_octets_are_not_looked_at(serve: Serve, connect: Connect) -> None:
    outstation = Outstation("pole-12", 12)
    server = await serve((outstation, Listener(), "127.0.0.1"))
    stranger = await connect(server.endpoint, "127.0.0.2")
    with contextlib.suppress(ConnectionError):
        await stranger.send(REQUEST * 100)
    assert await stranger.receive_to_the_end() == b""
    await eventually(lambda: server.session_ends, "the end of it")
    assert outstation.frames == []
    assert server.drops == {}


async def test_a_listener_that_raises_stops_nothing_and_is_counted(
    serve: Serve, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = Outstation("pole-12", 12), Outstation("pole-13", 13)
    failing, listener = FailingListener(), Listener()
    server = await serve((one, failing, "127.0.0.1"), (other, listener, "127.0.0.1"))
    master = await connect(server.endpoint)
    await eventually(lambda: listener.states == [CONNECTED], "the listener after the one that fails")
    await master.send(REQUEST, link_status_request(13).octets)
    await eventually(lambda: one.frames and other.frames, "both outstations' frames")
    master.close()
    await eventually(lambda: listener.states == [CONNECTED, DISCONNECTED], "the end")
    assert failing.calls == server.listener_errors == 2
    failed = [record.fields for record in caplog.records if record.getMessage() == "listener failed"]  # type: ignore[attr-defined]
    assert [fields["outstation"] for fields in failed] == ["pole-12", "pole-12"]
    assert "this listener fails on connected" in failed[0]["error"]
    await connect(server.endpoint)
    await eventually(lambda: len(listener.states) == 3, "the next master")


@dataclass(eq=False)
class HastyListener(Listener):
    """A listener that does something as soon as a master is there."""

    when_connected: Callable[[], None] = lambda: None

    def connection_state_changed(self, state: ConnectionState, peer: str) -> None:
        super().connection_state_changed(state, peer)
        if state is CONNECTED:
            self.when_connected()


@pytest.mark.parametrize("hasty", [0, 1, 2])
async def test_a_session_that_ends_inside_its_own_listener_is_told_to_all_in_order(
    serve: Serve, connect: Connect, hasty: int
) -> None:
    members = [Outstation(f"rtu-{n}", n) for n in (1, 2, 3)]
    log: list[Told] = []
    listeners = [Listener(member.name, log) for member in members]

    def end_it() -> None:
        session = members[0].session
        assert session is not None
        session.end(SessionEnd.LINK_DEAD)
        assert server.session_of(members[0]) is None

    listeners[hasty] = HastyListener(members[hasty].name, log, end_it)
    server = await serve(*zip(members, listeners, ["127.0.0.1"] * 3, strict=True))
    master = await connect(server.endpoint)
    name = master.name
    assert await master.receive_to_the_end() == b""
    assert log == [(f"rtu-{n}", state, name) for state in (CONNECTED, DISCONNECTED) for n in (1, 2, 3)]
    assert server.session_ends == {SessionEnd.LINK_DEAD: 1}
    assert [[what for what, _ in member.events] for member in members] == [["started", "ended"]] * 3
    await connect(server.endpoint)
    await eventually(lambda: len(log) == 12, "the next one comes and goes as well")


async def test_a_listener_that_ends_the_session_and_raises_leaves_the_others_their_news(
    serve: Serve, connect: Connect
) -> None:
    one, other = Outstation("rtu-1", 1), Outstation("rtu-2", 2)
    listener = Listener("rtu-2")

    def end_and_fail() -> None:
        assert one.session is not None
        one.session.end(SessionEnd.LINK_DEAD)
        raise RuntimeError("and fails")

    hasty = HastyListener("rtu-1", when_connected=end_and_fail)
    server = await serve((one, hasty, "127.0.0.1"), (other, listener, "127.0.0.1"))
    master = await connect(server.endpoint)
    assert await master.receive_to_the_end() == b""
    assert hasty.states == listener.states == [CONNECTED, DISCONNECTED]
    assert server.listener_errors == 1


async def test_a_session_that_an_outstation_ends_at_once_is_not_given_to_the_others(
    serve: Serve, connect: Connect
) -> None:
    class Unwilling(Outstation):
        def session_started(self, session: TcpSession) -> None:
            super().session_started(session)
            session.end(SessionEnd.LINK_DEAD)

    unwilling, other = Unwilling("rtu-1", 1), Outstation("rtu-2", 2)
    log: list[Told] = []
    server = await serve(
        (unwilling, Listener("rtu-1", log), "127.0.0.1"), (other, Listener("rtu-2", log), "127.0.0.1")
    )
    master = await connect(server.endpoint)
    name = master.name
    assert await master.receive_to_the_end() == b""
    assert [what for what, _ in other.events] == ["ended"]
    assert other.session is None
    assert log == [(f"rtu-{n}", state, name) for state in (CONNECTED, DISCONNECTED) for n in (1, 2)]
    assert server.sessions == ()


# Frames


async def test_close_mode_ends_the_session_at_the_first_malformed_frame(
    serve: Serve, connect: Connect
) -> None:
    outstation, listener = Outstation("pole-12", 12), Listener()
    server = await serve((outstation, listener, "127.0.0.1"), mode=CLOSE)
    master = await connect(server.endpoint)
    await master.send(REQUEST, DAMAGED, REQUEST)
    assert await master.receive_to_the_end() == b""
    assert len(outstation.frames) == 1, "the frame before the malformed one, and none after it"
    assert server.session_ends == {SessionEnd.LINK_ERROR: 1}
    session = outstation.events[0][1]
    assert session.counters.discards == {Discard.HEADER_CRC: 1}
    assert listener.states == [CONNECTED, DISCONNECTED]
    again = await connect(server.endpoint)
    await again.send(REQUEST)
    await eventually(lambda: len(outstation.frames) == 2, "the next session begins anew")


async def test_what_sessions_received_is_counted_also_after_they_ended(
    serve: Serve, connect: Connect
) -> None:
    outstation = Outstation("pole-12", 12)
    server = await serve((outstation, Listener(), "127.0.0.1"))
    older = await connect(server.endpoint)
    await older.send(REQUEST, DAMAGED, REQUEST, REQUEST[:5])
    await eventually(lambda: len(outstation.frames) == 2, "the older master's frames")
    newer = await connect(server.endpoint)
    await newer.send(REQUEST)
    await eventually(lambda: len(outstation.frames) == 3, "the newer master's frame")
    assert server.counters.frames == 3
    assert server.counters.octets_in == 3 * len(REQUEST) + len(DAMAGED) + 5
    assert server.counters.octets_discarded == len(DAMAGED) + 5
    assert server.counters.discards == {Discard.HEADER_CRC: 1, Discard.ABANDONED: 1}


async def test_a_peer_that_is_no_master_is_told_of_once_a_session(
    serve: Serve, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    outstation = Outstation("pole-12", 12)
    server = await serve((outstation, Listener(), "127.0.0.1"))

    def warnings() -> list[dict[str, object]]:
        records = (record for record in caplog.records if record.getMessage() == "octets discarded")
        return [record.fields for record in records if record.levelno == logging.WARNING]  # type: ignore[attr-defined]

    told = {"server": server.name, "reason": "noise"}
    told["hint"] = "octets that are no DNP3 frame; is the peer a DNP3 master?"
    peers = []
    for times in (1, 2):
        master = await connect(server.endpoint)
        peers.append(master.name)
        for _ in range(2):
            await master.send(b"GET / HTTP/1.1\r\n", REQUEST)
        await eventually(lambda: len(outstation.frames) == 2 * times, "the frames between")  # noqa: B023
        assert warnings() == [{"peer": peer} | told for peer in peers]
    assert server.counters.octets_discarded == 4 * 16


async def test_discard_mode_goes_on_with_the_next_frame(serve: Serve, connect: Connect) -> None:
    outstation, listener = Outstation("pole-12", 12), Listener()
    server = await serve((outstation, listener, "127.0.0.1"), mode=DISCARD)
    master = await connect(server.endpoint)
    await master.send(REQUEST, DAMAGED, b"noise", REQUEST, b"\x05\x64", REQUEST)
    await eventually(lambda: len(outstation.frames) == 3, "all intact frames")
    (session,) = server.sessions
    assert session.counters.discards[Discard.HEADER_CRC] == 2
    assert session.counters.octets_discarded == len(DAMAGED) + len(b"noise") + 2
    assert listener.states == [CONNECTED]
    assert server.session_ends == {}


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (link_status_request(14), Drop.UNKNOWN_DESTINATION),
        (link_status_request(0xFFF0), Drop.RESERVED_ADDRESS),
        (link_status_request(0xFFFB), Drop.RESERVED_ADDRESS),
        (link_status_request(12, source=0xFFF0), Drop.RESERVED_ADDRESS),
        (link_status_request(12, source=0xFFFF), Drop.RESERVED_ADDRESS),
        (link_status_request(SELF_ADDRESS), Drop.SELF_ADDRESS_SHARED),
        (link_status(source=1, to=12), Drop.WRONG_DIRECTION),
        (from_rtu(LinkFunction.REQUEST_LINK_STATUS, source=1, to=12), Drop.WRONG_DIRECTION),
    ],
    ids=lambda value: value if isinstance(value, str) else value.octets.hex(),
)
async def test_frames_that_go_nowhere_are_counted(
    serve: Serve, connect: Connect, frame: object, reason: Drop
) -> None:
    one, other = Outstation("pole-12", 12), Outstation("pole-13", 13)
    server = await serve((one, Listener(), "127.0.0.1"), (other, Listener(), "127.0.0.1"))
    master = await connect(server.endpoint)
    await master.send(frame.octets, frame.octets, REQUEST)  # type: ignore[attr-defined]
    await eventually(lambda: one.frames, "the good frame behind them")
    (session,) = server.sessions
    assert server.drops == session.drops == {reason: 2}
    assert (len(one.frames), other.frames) == (1, [])


async def test_drops_of_all_sessions_add_up_in_the_server(serve: Serve, connect: Connect) -> None:
    server = await serve(
        (Outstation("a", 12), Listener(), "127.0.0.1"), (Outstation("b", 12), Listener(), "127.0.0.2")
    )
    for source in ("127.0.0.1", "127.0.0.2", "127.0.0.1"):
        master = await connect(server.endpoint, source)
        await master.send(link_status_request(99).octets)
    await eventually(lambda: server.drops == {Drop.UNKNOWN_DESTINATION: 3}, "three drops")
    assert [session.drops[Drop.UNKNOWN_DESTINATION] for session in server.sessions] == [1, 1]


async def test_the_self_address_reaches_the_one_outstation_that_is_alone(
    serve: Serve, connect: Connect
) -> None:
    alone, crowded = Outstation("alone", 12), Outstation("crowded", 12, is_alone_on_bus=False)
    server = await serve((alone, Listener(), "127.0.0.1"), (crowded, Listener(), "127.0.0.2"))
    for source in ("127.0.0.1", "127.0.0.2"):
        master = await connect(server.endpoint, source)
        await master.send(link_status_request(SELF_ADDRESS).octets)
    await eventually(lambda: alone.frames and server.drops, "both frames")
    assert server.drops == {Drop.SELF_ADDRESS_SHARED: 1}
    assert crowded.frames == []


@pytest.mark.parametrize("address", [0xFFFD, 0xFFFE, 0xFFFF])
async def test_a_broadcast_reaches_each_bus_of_the_session_once(
    serve: Serve, connect: Connect, address: int
) -> None:
    on_one = [Outstation(f"one-{n}", n, bus="one") for n in (1, 2, 3)]
    on_two = [Outstation(f"two-{n}", n, bus="two") for n in (4, 5)]
    elsewhere = Outstation("elsewhere", 6, bus="one")
    server = await serve(
        *((member, Listener(), "127.0.0.1") for member in (*on_one, *on_two)),
        (elsewhere, Listener(), "127.0.0.2"),
    )
    master = await connect(server.endpoint)
    broadcast = from_master(LinkFunction.UNCONFIRMED_USER_DATA, to=address, user_data=b"\xc0\xc0\x02")
    await master.send(broadcast.octets, link_status_request(1).octets)
    await eventually(lambda: link_status_request(1) in on_one[0].frames, "the frame behind it")
    on_one[0].frames.remove(link_status_request(1))
    assert [frame for member in on_one for frame in member.frames] == [broadcast]
    assert [frame for member in on_two for frame in member.frames] == [broadcast]
    assert elsewhere.frames == []


# Peers that misbehave


async def test_a_master_that_never_reads_is_ended_and_disturbs_nobody(serve: Serve, connect: Connect) -> None:
    talker, other = Outstation("talker", 1), Outstation("other", 2)
    listener = Listener()
    server = await serve(
        (talker, listener, "127.0.0.1"),
        (other, Listener(), "127.0.0.2"),
        limits=SessionLimits(send_stall_s=0.3, send_queue_octets=1 << 30),
    )
    other.on_frame = lambda session, frame: session.send(link_status(2).octets)
    await connect(server.endpoint, receive_buffer=4096)
    beside = await connect(server.endpoint, "127.0.0.2")
    await eventually(lambda: len(server.sessions) == 2, "both sessions")
    session = talker.session
    assert session is not None
    overfill(session)
    while session.is_open:
        await beside.send(link_status_request(2).octets)
        assert await beside.receive(10) == link_status(2).octets
    assert server.session_ends == {SessionEnd.SEND_STALLED: 1}
    assert listener.states == [CONNECTED, DISCONNECTED]
    assert [s.peer_address for s in server.sessions] == ["127.0.0.2"]


async def test_masters_that_connect_and_reset_at_once_hurt_nobody(serve: Serve, connect: Connect) -> None:
    outstation, listener = Outstation("pole-12", 12), Listener()
    beside = Outstation("beside", 13)
    server = await serve((outstation, listener, "127.0.0.1"), (beside, Listener(), "127.0.0.2"))
    failures: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: failures.append(context))
    undisturbed = await connect(server.endpoint, "127.0.0.2")
    await eventually(lambda: beside.session, "the session beside")
    for number in range(100):
        master = await Master.connect(server.endpoint)
        if number % 2:
            await turns_of_the_loop(number % 7)
        if number % 3:
            await master.send(REQUEST[:5])
        master.reset()
    await eventually(lambda: outstation.session is None and len(server.sessions) == 1, "all of them gone")
    master = await connect(server.endpoint)
    await master.send(REQUEST)
    await undisturbed.send(link_status_request(13).octets)
    await eventually(lambda: outstation.frames and beside.frames, "frames of those who stay")
    await eventually(lambda: server.session_ends.total() == 100, "each end counted")
    assert set(server.session_ends) <= {SessionEnd.PEER_RESET, SessionEnd.PEER_CLOSED, SessionEnd.PRE_EMPTED}
    states = listener.states
    assert states == [CONNECTED, DISCONNECTED] * (len(states) // 2) + [CONNECTED]
    assert failures == []


async def test_many_short_connections_leave_no_descriptor_and_no_task(serve: Serve) -> None:
    outstation, listener = Outstation("pole-12", 12), Listener()
    server = await serve((outstation, listener, "127.0.0.1"))
    await turns_of_the_loop()
    descriptors, tasks = open_descriptors(), asyncio.all_tasks()
    for number in range(200):
        with await Master.connect(server.endpoint, f"127.0.0.{1 + number % 2}") as master:
            if number % 4 == 0:
                await master.send(REQUEST)
    await eventually(lambda: server.session_ends.total() == 200, "200 ends")
    await eventually(lambda: open_descriptors() == descriptors, "no descriptor left behind")
    await eventually(lambda: asyncio.all_tasks() == tasks, "no task left behind")
    assert server.sessions == ()
    assert server.session_ends[SessionEnd.NOT_WANTED] == 100
    assert listener.states == [CONNECTED, DISCONNECTED] * 100


async def test_running_out_of_descriptors_lets_masters_wait(serve: Serve, connect: Connect) -> None:
    one, other = Outstation("one", 12), Outstation("other", 12)
    server = await serve((one, Listener(), "127.0.0.1"), (other, Listener(), "127.0.0.2"))
    loop = asyncio.get_running_loop()
    before = await connect(server.endpoint)
    await eventually(lambda: one.session, "the session before")
    with Master(unconnected("127.0.0.2")) as waiting:
        with no_descriptor_left():
            target = (str(server.endpoint.host), server.endpoint.port)
            await loop.sock_connect(waiting.socket, target)
            await waiting.send(REQUEST)
            for count in range(1, 11):
                await before.send(REQUEST)
                await eventually(lambda n=count: len(one.frames) == n, "the session before goes on")  # type: ignore[misc]
            assert other.events == []
        await eventually(lambda: other.frames, "who waited is served")


@pytest.mark.parametrize("code", [errno.EPROTO, errno.ENETDOWN, errno.ECONNABORTED, errno.EPERM])
async def test_accept_errors_do_not_end_the_server(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(accepting, "_RETRY_S", 0.01)
    outstation = Outstation("pole-12", 12)
    server = await serve((outstation, Listener(), "127.0.0.1"))
    accept, errors = socket.socket.accept, [OSError(code, os.strerror(code))] * 3

    def failing_accept(listening: socket.socket) -> object:
        if errors:
            raise errors.pop()
        return accept(listening)

    monkeypatch.setattr(socket.socket, "accept", failing_accept)
    master = await connect(server.endpoint)
    await master.send(REQUEST)
    await eventually(lambda: outstation.frames, "served after the errors")
    assert not errors


# The end


async def test_close_lets_out_what_is_being_sent(serve: Serve, connect: Connect) -> None:
    outstation, listener = Outstation("pole-12", 12), Listener()
    server = await serve((outstation, listener, "127.0.0.1"), limits=SessionLimits(send_queue_octets=1 << 30))
    master = await connect(server.endpoint, receive_buffer=4096)
    session = await eventually(lambda: outstation.session, "the session")
    sent = overfill(session)
    closing = asyncio.create_task(server.close(drain_s=60))
    assert len(await master.receive_to_the_end()) == sent
    await closing
    assert server.session_ends == {SessionEnd.SERVER_CLOSED: 1}
    assert listener.states == [CONNECTED, DISCONNECTED]


async def test_close_does_not_wait_for_a_master_that_never_reads(serve: Serve, connect: Connect) -> None:
    outstation = Outstation("pole-12", 12)
    limits = SessionLimits(send_stall_s=600, send_queue_octets=1 << 30)
    server = await serve((outstation, Listener(), "127.0.0.1"), limits=limits)
    await connect(server.endpoint, receive_buffer=4096)
    session = await eventually(lambda: outstation.session, "the session")
    overfill(session)
    before = asyncio.all_tasks()
    async with asyncio.timeout(10):
        await server.close(drain_s=0.05)
    await turns_of_the_loop()
    assert asyncio.all_tasks() <= before
    assert server.sessions == ()


async def test_close_ends_every_session_and_frees_the_port(serve: Serve, connect: Connect) -> None:
    listener = Listener()
    server = await serve(
        (Outstation("a", 1), listener, "127.0.0.1"), (Outstation("b", 2), listener, "127.0.0.2")
    )
    masters = [await connect(server.endpoint, source) for source in ("127.0.0.1", "127.0.0.2")]
    await eventually(lambda: len(server.sessions) == 2, "both sessions")
    await server.close()
    assert [await master.receive_to_the_end() for master in masters] == [b"", b""]
    assert listener.states == [CONNECTED] * 2 + [DISCONNECTED] * 2
    assert not _can_connect(server.endpoint.port)
    await server.close()


@pytest.mark.parametrize("turns", range(8))
async def test_a_master_that_connects_while_the_server_closes_gets_no_session(
    serve: Serve, connect: Connect, turns: int
) -> None:
    outstation, listener = Outstation("pole-12", 12), Listener()
    server = await serve((outstation, listener, "127.0.0.1"))
    await turns_of_the_loop()
    sock = unconnected("127.0.0.1")
    with Master(sock) as master:
        sock.setblocking(True)
        sock.connect((str(server.endpoint.host), server.endpoint.port))
        sock.setblocking(False)
        await turns_of_the_loop(turns)
        await server.close()
        await turns_of_the_loop()
        assert server.sessions == ()
        assert outstation.session is None
        assert listener.states in ([], [CONNECTED, DISCONNECTED])
        # A connection that asyncio accepted and made no session of is closed by the collector.
        gc.collect()
        assert await master.receive_to_the_end() == b""


async def test_stop_listening_leaves_the_sessions(serve: Serve, connect: Connect) -> None:
    outstation = Outstation("pole-12", 12)
    server = await serve((outstation, Listener(), "127.0.0.1"))
    master = await connect(server.endpoint)
    await eventually(lambda: outstation.session, "the session")
    server.stop_listening()
    server.stop_listening()
    assert not _can_connect(server.endpoint.port)
    await master.send(REQUEST)
    await eventually(lambda: outstation.frames, "a frame")


# Counts of sessions, and ending them


async def test_sessions_and_pre_emptions_are_counted_for_each_outstation(
    serve: Serve, connect: Connect
) -> None:
    one, two, other = (Outstation(f"rtu-{n}", n) for n in (1, 2, 3))
    log = Listener()
    server = await serve((one, None, "127.0.0.1"), (two, log, "127.0.0.1"), (other, log, "127.0.0.9"))  # type: ignore[arg-type]
    for number in range(1, 4):
        await connect(server.endpoint)
        await eventually(lambda: server.sessions_started == number, "the next master")  # noqa: B023
    last = await connect(server.endpoint, "127.0.0.9")
    await eventually(lambda: server.sessions_started == 4, "the master beside them")
    assert server.sessions_of(one) == server.sessions_of(two) == (3, 2)
    assert server.sessions_of(other) == (1, 0)
    assert server.sessions_of(Outstation("stranger", 4)) == (0, 0)
    last.close()
    await eventually(lambda: len(server.sessions) == 1, "it leaves")
    assert server.sessions_of(other) == (1, 0)
    await connect(server.endpoint, "127.0.0.3")
    await eventually(lambda: server.session_ends[SessionEnd.NOT_WANTED] == 1, "a stranger is refused")
    assert server.sessions_started == 4


async def test_a_dropped_session_ends_after_what_was_being_sent(serve: Serve, connect: Connect) -> None:
    one, beside, listener = Outstation("a", 12), Outstation("b", 13), Listener("a")
    server = await serve((one, listener, "127.0.0.1"), (beside, None, "127.0.0.1"))  # type: ignore[arg-type]
    master = await connect(server.endpoint)
    await eventually(lambda: one.session, "the master")
    assert one.session is not None
    one.session.send(link_status(12).octets)
    server.drop_session(beside)
    assert await master.receive_to_the_end() == link_status(12).octets
    assert server.session_ends == {SessionEnd.DROPPED: 1}
    assert listener.states == [CONNECTED, DISCONNECTED]
    server.drop_session(one)
    assert server.session_ends == {SessionEnd.DROPPED: 1}, "there was none"
    await connect(server.endpoint)
    await eventually(lambda: server.sessions_of(one) == (2, 0), "the next one is welcome")
