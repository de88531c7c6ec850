"""A session that is not read from, because its line is busy, notices all the same that its master is gone."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections import Counter
from collections.abc import Callable

import pytest

from bridge.endpoints import tcp_session
from bridge.endpoints.tcp_server import TcpServer
from bridge.endpoints.tcp_session import SessionEnd, SessionLimits, TcpSession
from tests.endpoints.conftest import Connect, Serve
from tests.support.eventually import eventually
from tests.support.frames import link_status_request
from tests.support.masters import Master
from tests.support.outstations import Listener, Outstation
from tests.support.vanishing import deafen

pytestmark = pytest.mark.wire

REQUEST = link_status_request().octets
VANISH_LIMITS = SessionLimits(half_open_timeout_s=4, send_stall_s=600)


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp_session, "_HELD_LOOK_S", 0.02)


Looks = Callable[[TcpSession], int]
"""How often a session was looked at."""


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    seen: Counter[str] = Counter()
    end_of = tcp_session._end_of

    def count(sock: socket.socket) -> SessionEnd | None:
        with contextlib.suppress(OSError):
            seen["{}:{}".format(*sock.getpeername())] += 1
        return end_of(sock)

    monkeypatch.setattr(tcp_session, "_end_of", count)
    return lambda session: seen[session.peer]


async def _held(
    serve: Serve, connect: Connect, limits: SessionLimits | None = None
) -> tuple[TcpServer, TcpSession, Master]:
    outstation = Outstation("pole-12", 1)
    server = await serve((outstation, Listener(), "127.0.0.1"), limits=limits)
    master = await connect(server.endpoint)
    await eventually(lambda: outstation.session, "the session")
    assert outstation.session is not None
    outstation.session.hold("line")
    return server, outstation.session, master


async def _ends(server: TcpServer, within_s: float = 10) -> list[SessionEnd]:
    await eventually(lambda: server.session_ends, "the end", within_s=within_s)
    return list(server.session_ends)


async def test_a_peer_that_hung_up(serve: Serve, connect: Connect) -> None:
    server, _session, master = await _held(serve, connect)
    await master.send(REQUEST * 3)
    master.close()
    assert await _ends(server) == [SessionEnd.PEER_CLOSED]
    assert server.sessions == ()


async def test_a_peer_that_reset(serve: Serve, connect: Connect) -> None:
    server, _session, master = await _held(serve, connect)
    master.reset()
    assert await _ends(server) == [SessionEnd.PEER_RESET]


async def test_a_peer_that_hung_up_and_refuses_what_it_is_sent(serve: Serve, connect: Connect) -> None:
    server, session, master = await _held(serve, connect)
    master.close()
    # Each is answered with RST; whoever notices first, the loop or the look, it was the peer that went.
    await eventually(lambda: not session.send(REQUEST), "the end of the session")
    assert (await _ends(server))[0] in (SessionEnd.PEER_CLOSED, SessionEnd.PEER_RESET)


async def test_a_peer_that_vanished(serve: Serve, connect: Connect) -> None:
    server, _session, master = await _held(serve, connect, VANISH_LIMITS)
    try:
        deafen([master])
    except OSError as error:
        pytest.skip(f"masters cannot be made to vanish: {error}")
    assert await _ends(server, within_s=12) == [SessionEnd.PEER_VANISHED]


async def test_a_peer_that_waits_stays(serve: Serve, connect: Connect, looks: Looks) -> None:
    server, session, master = await _held(serve, connect)
    await master.send(REQUEST)
    await eventually(lambda: looks(session) > 5, "some looks")
    assert server.sessions == (session,)
    session.release("line")
    await eventually(lambda: session.counters.octets_in == len(REQUEST), "the request, after the release")
    session.hold("line")
    master.close()
    assert await _ends(server) == [SessionEnd.PEER_CLOSED]


async def test_the_look_ends_with_the_session_and_with_the_hold(
    serve: Serve, connect: Connect, looks: Looks, caplog: pytest.LogCaptureFixture
) -> None:
    server, session, _master = await _held(serve, connect)
    _server, other, _other_master = await _held(serve, connect)

    async def looks_at_the_other() -> None:
        seen = looks(other)
        await eventually(lambda: looks(other) > seen + 3, "looks at a session that is held")

    await eventually(lambda: looks(session), "a look")
    session.release("line")
    seen = looks(session)
    await looks_at_the_other()
    assert looks(session) == seen
    session.hold("line")
    session.end(SessionEnd.PRE_EMPTED)
    await looks_at_the_other()
    assert looks(session) == seen
    assert list(server.session_ends) == [SessionEnd.PRE_EMPTED]
    assert not caplog.records, "a look at what is gone"


@pytest.mark.parametrize(
    ("code", "state", "end"),
    [
        (0, 1, None),
        (0, 8, SessionEnd.PEER_CLOSED),
        (errno.EHOSTUNREACH, 1, None),
        (errno.EPIPE, 7, SessionEnd.PEER_CLOSED),
        (errno.ECONNRESET, 7, SessionEnd.PEER_RESET),
        (0, 7, SessionEnd.PEER_RESET),
        (errno.ETIMEDOUT, 7, SessionEnd.PEER_VANISHED),
        (errno.EHOSTUNREACH, 7, SessionEnd.PEER_VANISHED),
    ],
)
def test_what_the_kernel_says(code: int, state: int, end: SessionEnd | None) -> None:
    class Kernel:
        def getsockopt(self, level: int, option: int, size: int = 0) -> int | bytes:
            return bytes([state]) if option == socket.TCP_INFO and level == socket.IPPROTO_TCP else code

    assert tcp_session._end_of(Kernel()) is end  # type: ignore[arg-type]
