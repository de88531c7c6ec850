"""One session by itself: what it tells its server, and what it does with octets, holds and ends."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from bridge.endpoints import tcp_session
from bridge.endpoints.endpoint import Endpoint
from bridge.endpoints.tcp_session import SessionEnd, SessionLimits, TcpSession
from bridge.link.frame import LONGEST_FRAME, Frame
from bridge.link.framer import Discard, LinkErrorMode
from tests.endpoints.conftest import Connect
from tests.support.eventually import eventually, turns_of_the_loop
from tests.support.frames import link_status, link_status_request, request
from tests.support.masters import Master, overfill

pytestmark = pytest.mark.wire

DISCARD, CLOSE = LinkErrorMode.DISCARD, LinkErrorMode.CLOSE
REQUEST = link_status_request().octets
LONG = request(rest=bytes(range(247))).octets
PATIENT = SessionLimits(send_stall_s=600, send_queue_octets=1 << 30)


@dataclass(eq=False)
class User:
    """A server that writes down what its sessions tell it."""

    sessions: list[TcpSession] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    ends: list[SessionEnd] = field(default_factory=list)
    discards: list[int] = field(default_factory=list)
    on_frame: Callable[[TcpSession], None] = lambda session: None

    def session_started(self, session: TcpSession) -> None:
        self.sessions.append(session)

    def frame_received(self, session: TcpSession, frame: Frame, now: float) -> None:
        assert not self.ends, "a frame after the end"
        self.frames.append(frame)
        self.on_frame(session)

    def octets_discarded(self, session: TcpSession) -> None:
        self.discards.append(session.counters.octets_discarded)

    def session_ended(self, session: TcpSession, reason: SessionEnd) -> None:
        self.ends.append(reason)


Open = Callable[..., Awaitable[tuple[User, TcpSession, Master]]]


@pytest.fixture
async def open_session(connect: Connect) -> AsyncIterator[Open]:
    """Accept one session, with its user and the master at the other end."""
    servers: list[asyncio.Server] = []
    users: list[User] = []

    async def open_session(
        mode: LinkErrorMode = DISCARD,
        limits: SessionLimits | None = None,
        receive_buffer: int | None = None,
    ) -> tuple[User, TcpSession, Master]:
        user, loop = User(), asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: TcpSession(user, mode, limits or SessionLimits(), loop), "127.0.0.1", 0
        )
        servers.append(server)
        users.append(user)
        endpoint = Endpoint.parse("{}:{}".format(*server.sockets[0].getsockname()))
        master = await connect(endpoint, receive_buffer=receive_buffer)
        await eventually(lambda: user.sessions, "the session")
        return user, user.sessions[0], master

    yield open_session
    for server in servers:
        server.close()
    for user in users:
        for session in user.sessions:
            session.end(SessionEnd.SERVER_CLOSED)
            session.abort()
            await session.wait_closed()


# Octets to frames


@pytest.mark.parametrize("mode", LinkErrorMode)
async def test_frames_arrive_whole_however_they_are_cut(open_session: Open, mode: LinkErrorMode) -> None:
    user, _session, master = await open_session(mode)
    for octet in REQUEST + LONG + REQUEST:
        await master.send(bytes((octet,)))
        await asyncio.sleep(0)
    await eventually(lambda: len(user.frames) == 3, "three frames")
    await master.send(LONG * 50)
    await eventually(lambda: len(user.frames) == 53, "fifty more")
    assert [frame.octets for frame in user.frames] == [REQUEST, LONG, REQUEST, *[LONG] * 50]
    assert user.ends == []


async def test_a_frame_is_passed_on_with_its_last_octet(open_session: Open) -> None:
    user, session, master = await open_session()
    await master.send(LONG[:-1])
    await eventually(lambda: session.counters.octets_in == len(LONG) - 1, "all but one octet")
    assert user.frames == []
    await master.send(LONG[-1:])
    await eventually(lambda: user.frames, "the frame")


async def test_the_first_discard_is_told_once(open_session: Open) -> None:
    user, session, master = await open_session()
    await master.send(REQUEST)
    await eventually(lambda: user.frames, "the frame")
    assert user.discards == []
    await master.send(b"GET / HTTP/1.1\r\n", REQUEST)
    await eventually(lambda: len(user.frames) == 2, "the frame after what is none")
    await master.send(b"Host: 127.0.0.1\r\n", REQUEST)
    await eventually(lambda: len(user.frames) == 3, "the next one")
    assert session.counters.octets_discarded == 33
    assert len(user.discards) == 1


async def test_a_discard_is_told_before_it_ends_the_session(open_session: Open) -> None:
    user, _session, master = await open_session(CLOSE)
    await master.send(b"GET / HTTP/1.1\r\n")
    await eventually(lambda: user.ends == [SessionEnd.LINK_ERROR], "the end")
    assert len(user.discards) == 1


async def test_a_frame_that_stalls_is_given_up_and_what_it_swallowed_is_found(open_session: Open) -> None:
    user, session, master = await open_session(limits=SessionLimits(frame_timeout_s=0.05))
    await master.send(LONG[:10], REQUEST)
    await eventually(lambda: user.frames, "the frame after a header without a body")
    assert session.counters.discards == {Discard.FRAME_TIMEOUT: 1}
    assert user.ends == []


async def test_frames_keep_coming_whatever_precedes_them(open_session: Open) -> None:
    user, session, master = await open_session(limits=SessionLimits(frame_timeout_s=0.2))
    noise = random.Random(7)
    for number in range(100):
        stray = (noise.randbytes(noise.randrange(20)), b"\x05\x64", b"\x05", LONG[: noise.randrange(280)])
        await master.send(noise.choice(stray), link_status_request(source=number).octets)
        await asyncio.sleep(0)
    await eventually(lambda: len(user.frames) == 100, "100 of 100 frames")
    assert [frame.source for frame in user.frames] == list(range(100))
    counters = session.counters
    assert counters.octets_in == 100 * len(REQUEST) + counters.octets_discarded


async def test_close_mode_ends_at_the_first_stray_octet(open_session: Open) -> None:
    user, session, master = await open_session(CLOSE)
    await master.send(REQUEST, b"\x00", REQUEST)
    await eventually(lambda: user.ends, "the end")
    assert user.ends == [SessionEnd.LINK_ERROR]
    assert len(user.frames) == 1
    assert session.counters.discards == {Discard.NOISE: 1}
    assert await master.receive_to_the_end() == b""


async def test_close_mode_waits_for_the_rest_of_a_frame(open_session: Open) -> None:
    limits = SessionLimits(frame_timeout_s=0.01)
    user, session, master = await open_session(CLOSE, limits)
    await master.send(LONG[:100])
    await eventually(lambda: session.counters.octets_in == 100, "a part")
    _user, other, other_master = await open_session(DISCARD, limits)
    await other_master.send(LONG[:100])
    await eventually(lambda: other.counters.discards, "another session waits no longer")
    await master.send(LONG[100:])
    await eventually(lambda: user.frames or user.ends, "the frame")
    assert (len(user.frames), user.ends) == (1, [])


async def test_a_session_that_is_ended_by_a_frame_passes_on_no_other(open_session: Open) -> None:
    user, _session, master = await open_session()
    user.on_frame = lambda session: session.end(SessionEnd.PRE_EMPTED)
    await master.send(REQUEST * 3)
    await eventually(lambda: user.ends, "the end")
    await turns_of_the_loop()
    assert (len(user.frames), user.ends) == (1, [SessionEnd.PRE_EMPTED])


async def test_what_is_held_of_a_peer_is_less_than_a_frame(open_session: Open) -> None:
    user, session, master = await open_session()
    noise = random.Random(8)
    for _ in range(100):
        # Start octets everywhere, and headers that promise the longest frame.
        octets = bytearray(noise.randbytes(1000))
        for _ in range(50):
            octets[noise.randrange(1000) :][:2] = b"\x05\x64"
        await master.send(bytes(octets), LONG[: noise.randrange(len(LONG))])
    await eventually(lambda: session.counters.octets_in > 100_000, "all of it")
    counters = session.counters
    through = counters.octets_discarded + sum(len(frame.octets) for frame in user.frames)
    assert 0 <= counters.octets_in - through < LONGEST_FRAME


# Frames to octets


async def test_each_frame_is_sent_as_one_segment(open_session: Open) -> None:
    _user, session, master = await open_session()
    for count in range(1, 21):
        assert session.send(LONG)
        assert await master.receive(len(LONG)) == LONG
        assert _data_segments_in(master.socket) == count
    assert session.frames_sent == 20


async def test_frames_sent_together_stay_in_order(open_session: Open) -> None:
    _user, session, master = await open_session()
    frames = [link_status(to=number).octets for number in range(500)]
    for octets in frames:
        session.send(octets)
    assert await master.receive(5000) == b"".join(frames)


async def test_a_master_that_does_not_read_is_ended_after_the_stall_time(open_session: Open) -> None:
    limits = SessionLimits(send_stall_s=0.1, send_queue_octets=1 << 30)
    user, session, _master = await open_session(limits=limits, receive_buffer=4096)
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    overfill(session)
    await eventually(lambda: user.ends, "the end")
    assert user.ends == [SessionEnd.SEND_STALLED]
    assert loop.time() - begun_s >= 0.1
    assert not session.send(REQUEST)


async def test_a_stall_that_ends_in_time_costs_nothing(open_session: Open) -> None:
    limits = SessionLimits(send_stall_s=0.5, send_queue_octets=1 << 30)
    user, session, master = await open_session(limits=limits, receive_buffer=4096)
    sock = session._transport.get_extra_info("socket")  # type: ignore[union-attr]
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    session.send(bytes(100_000))
    assert session._transport.get_write_buffer_size() > 0  # type: ignore[union-attr]
    assert await master.receive(100_000) == bytes(100_000)
    other_user, other, _master = await open_session(limits=limits, receive_buffer=4096)
    overfill(other)
    await eventually(lambda: other_user.ends, "a stall that began later has ended its session")
    assert user.ends == []
    session.send(REQUEST)
    assert await master.receive(len(REQUEST)) == REQUEST


async def test_the_send_queue_is_bounded(open_session: Open) -> None:
    user, session, _master = await open_session(
        limits=SessionLimits(send_stall_s=600, send_queue_octets=10_000), receive_buffer=4096
    )
    sent = 0
    while session.send(LONG):
        sent += 1
        assert session._transport.get_write_buffer_size() <= 10_000  # type: ignore[union-attr]
    assert user.ends == [SessionEnd.SEND_STALLED]
    assert session.frames_sent == sent + 1
    assert not session.send(LONG)
    assert session.frames_sent == sent + 1


# Holds


async def test_while_it_is_held_nothing_is_read(open_session: Open) -> None:
    user, session, master = await open_session()
    master.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    session.hold("a")
    session.hold("b")
    octets = REQUEST * 2_000_000
    sent = master.send_what_fits(octets)
    assert sent < len(octets), "the peer is stopped by TCP"
    await turns_of_the_loop(50)
    session.release("b")
    await turns_of_the_loop(50)
    assert session.counters.octets_in == 0
    session.release("a")
    await eventually(lambda: session.counters.octets_in == sent, "everything that was held back")
    await master.send(octets[sent : sent + 10 - sent % 10])
    await eventually(lambda: len(user.frames) == sent // 10 + 1, "nothing lost")
    assert session.counters.octets_discarded == 0


async def test_a_hold_from_within_a_frame_stops_before_the_next_read(open_session: Open) -> None:
    user, session, master = await open_session()
    user.on_frame = lambda session: session.hold("a")
    await master.send(REQUEST * 3000)
    await eventually(lambda: user.frames, "the first read")
    await turns_of_the_loop(50)
    read_at_once = len(user.frames)
    assert read_at_once <= 205, "one read of 2048 octets"
    user.on_frame = lambda session: None
    session.release("a")
    await eventually(lambda: len(user.frames) == 3000, "the rest")


async def _held_within_a_frame(open_session: Open) -> tuple[User, TcpSession, Master]:
    """A session that is held since before the rest of a frame came, for longer than the frame timeout."""
    user, session, master = await open_session(limits=SessionLimits(frame_timeout_s=0.02))
    user.on_frame = lambda session: session.hold("a")
    await master.send(REQUEST + LONG[:100])
    await eventually(lambda: user.frames, "the first frame")
    await asyncio.sleep(0.06)
    user.on_frame = lambda session: None
    return user, session, master


async def test_a_frame_whose_rest_was_not_read_is_not_given_up(open_session: Open) -> None:
    user, session, master = await _held_within_a_frame(open_session)
    await master.send(LONG[100:])
    session.release("a")
    await eventually(lambda: len(user.frames) == 2 or session.counters.discards, "the rest")
    assert session.counters.discards == {}


async def test_a_frame_whose_rest_does_not_come_after_a_hold_either_is_given_up(open_session: Open) -> None:
    user, session, master = await _held_within_a_frame(open_session)
    assert session.counters.discards == {}
    session.release("a")
    await eventually(lambda: session.counters.discards, "the end of its time")
    assert session.counters.discards == {Discard.FRAME_TIMEOUT: 1}
    await master.send(REQUEST)
    await eventually(lambda: len(user.frames) == 2, "the next frame")


async def test_holds_around_the_end_are_harmless(open_session: Open) -> None:
    user, session, _master = await open_session()
    session.release("never held")
    session.hold("a")
    session.hold("a")
    session.end(SessionEnd.PRE_EMPTED)
    session.release("a")
    session.hold("b")
    await session.wait_closed()
    session.release("b")
    session.hold("c")
    assert user.ends == [SessionEnd.PRE_EMPTED]


async def test_what_a_peer_sent_before_it_hung_up_is_read_after_the_release(
    open_session: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Released before the session looks for itself whether the peer is there.
    monkeypatch.setattr(tcp_session, "_HELD_LOOK_S", 600)
    user, session, master = await open_session()
    session.hold("a")
    await master.send(REQUEST * 3)
    master.close()
    await turns_of_the_loop(50)
    assert (user.frames, user.ends) == ([], [])
    session.release("a")
    await eventually(lambda: user.ends, "the end")
    assert (len(user.frames), user.ends) == (3, [SessionEnd.PEER_CLOSED])


# The end


async def test_a_peer_that_hangs_up(open_session: Open) -> None:
    user, session, master = await open_session()
    await master.send(REQUEST, REQUEST[:5])
    master.close()
    await session.wait_closed()
    assert (len(user.frames), user.ends) == (1, [SessionEnd.PEER_CLOSED])
    assert session.counters.discards == {Discard.ABANDONED: 1}
    assert not session.is_open


async def test_a_peer_that_only_stops_sending_is_closed_both_ways(open_session: Open) -> None:
    user, _session, master = await open_session()
    master.socket.shutdown(socket.SHUT_WR)
    assert await master.receive_to_the_end() == b""
    assert user.ends == [SessionEnd.PEER_CLOSED]


async def test_a_peer_that_resets(open_session: Open) -> None:
    user, session, master = await open_session()
    master.reset()
    await session.wait_closed()
    assert user.ends == [SessionEnd.PEER_RESET]


async def test_a_peer_that_resets_while_it_is_sent_to(open_session: Open) -> None:
    user, session, master = await open_session(limits=PATIENT, receive_buffer=4096)
    overfill(session)
    master.reset()
    await session.wait_closed()
    assert user.ends == [SessionEnd.PEER_RESET]


async def test_the_end_is_told_once_with_its_first_reason(open_session: Open) -> None:
    user, session, master = await open_session()
    session.end(SessionEnd.PRE_EMPTED)
    assert user.ends == [SessionEnd.PRE_EMPTED], "told before `end` returns"
    session.end(SessionEnd.SERVER_CLOSED)
    master.reset()
    await session.wait_closed()
    session.abort()
    assert user.ends == [SessionEnd.PRE_EMPTED]
    assert not session.send(REQUEST)


async def test_an_end_that_drains_sends_the_rest_first(open_session: Open) -> None:
    user, session, master = await open_session(limits=PATIENT, receive_buffer=4096)
    octets = overfill(session)
    session.end(SessionEnd.SERVER_CLOSED, drain=True)
    assert user.ends == [SessionEnd.SERVER_CLOSED]
    assert not session.send(REQUEST)
    assert len(await master.receive_to_the_end()) == octets
    await session.wait_closed()


async def test_abort_ends_a_drain(open_session: Open) -> None:
    user, session, _master = await open_session(limits=PATIENT, receive_buffer=4096)
    overfill(session)
    session.end(SessionEnd.SERVER_CLOSED, drain=True)
    await turns_of_the_loop()
    session.abort()
    await session.wait_closed()
    assert user.ends == [SessionEnd.SERVER_CLOSED]


async def test_its_names(open_session: Open) -> None:
    _user, session, master = await open_session()
    assert (str(session), session.peer) == (master.name, master.name)
    assert session.peer_address == "127.0.0.1"
    assert session.is_open


@pytest.mark.parametrize("within_s", [4, 5, 7, 15, 60, 3600])
async def test_the_kernel_is_asked_to_give_a_vanished_peer_up_in_time(
    open_session: Open, within_s: int
) -> None:
    _user, session, _master = await open_session(limits=SessionLimits(half_open_timeout_s=within_s))
    sock = session._transport.get_extra_info("socket")  # type: ignore[union-attr]
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    idle_s, interval_s, probes, user_timeout_ms = (
        sock.getsockopt(socket.IPPROTO_TCP, option)
        for option in (
            socket.TCP_KEEPIDLE,
            socket.TCP_KEEPINTVL,
            socket.TCP_KEEPCNT,
            socket.TCP_USER_TIMEOUT,
        )
    )
    # The kernel's timers are late by up to half a second: a whole one is left for them.
    assert within_s / 2 <= idle_s + probes * interval_s <= within_s - 1, "idle"
    assert within_s / 2 <= user_timeout_ms / 1000 <= within_s - 1, "with octets under way"
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def _data_segments_in(sock: socket.socket) -> int:
    """Count the segments with data that the kernel received: `tcpi_data_segs_in` of struct tcp_info."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
    return int(struct.unpack_from("=I", info, 152)[0])
