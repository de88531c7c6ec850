"""One accepted TCP connection of a master: octets to frames, frames to octets, and how it ends."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, cast

from bridge.endpoints.timer import Timer
from bridge.link.frame import Frame
from bridge.link.framer import LinkErrorMode, LinkFramer
from bridge.recording.tap import Tap
from bridge.routing.drop import Drop

_READ_OCTETS = 2048
"""One read brings at most as many frames as a line's queue takes after it asked to stop reading."""
_MOST_PROBES = 3
_HELD_LOOK_S = 1.0
"""How often a peer that is not read from is looked at, since nothing else would tell that it is gone."""
_TCP_CLOSE, _TCP_CLOSE_WAIT = 7, 8
"""What the kernel calls the states of a connection that failed, and of one whose peer sent FIN."""


class SessionEnd(StrEnum):
    """Why a session ended."""

    PEER_CLOSED = "peer_closed"
    PEER_RESET = "peer_reset"
    PEER_VANISHED = "peer_vanished"
    """Keepalive or TCP_USER_TIMEOUT found nobody there."""
    PRE_EMPTED = "pre_empted"
    LINK_ERROR = "link_error"
    """A malformed frame in CLOSE mode."""
    SEND_STALLED = "send_stalled"
    """The master does not read."""
    LINK_DEAD = "link_dead"
    """The master's link did not answer an outstation's keep-alive."""
    NOT_WANTED = "not_wanted"
    """The peer matched no outstation's filter."""
    LINE_DOWN = "line_down"
    """No outstation could be reached, and `WhenDown` says that a master shall notice."""
    DROPPED = "dropped"
    """A control of the appliance's outstation asked for it."""
    SERVER_CLOSED = "server_closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLimits:
    """What a session may take before it is ended."""

    half_open_timeout_s: int = 15
    """A peer that vanished is gone within this; 4 or more."""
    send_stall_s: float = 5.0
    """How long the peer may leave octets unread."""
    send_queue_octets: int = 64 * 1024
    frame_timeout_s: float = 1.0


class SessionUser(Protocol):
    """What a session tells its server."""

    def session_started(self, session: TcpSession) -> None:
        """The connection is up; `session.peer` is known. The server closes it if nobody wants it."""

    def frame_received(self, session: TcpSession, frame: Frame, now: float) -> None:
        """A whole, valid frame came."""

    def octets_discarded(self, session: TcpSession) -> None:
        """Octets came that are no frame: told once a session, at the first."""

    def session_ended(self, session: TcpSession, reason: SessionEnd) -> None:
        """The session is over: once, and before any successor is told that it began."""


class TcpSession(asyncio.BufferedProtocol):
    """A master's connection. `counters` and `drops` outlive the connection."""

    def __init__(
        self,
        user: SessionUser,
        mode: LinkErrorMode,
        limits: SessionLimits,
        loop: asyncio.AbstractEventLoop,
        *,
        peername: Sequence[Any] | None = None,
    ) -> None:
        """Prepare a session; `peername` as accept(2) told it, for a peer that is gone again has none."""
        self._user = user
        self._peername = peername
        self._limits = limits
        self._loop = loop
        self._framer = LinkFramer(mode, frame_timeout_s=limits.frame_timeout_s)
        self._frame_timer = Timer(loop, self._on_frame_timeout)
        self._stall_timer = Timer(loop, lambda: self.end(SessionEnd.SEND_STALLED))
        self._held_timer = Timer(loop, self._look_while_held)
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray(_READ_OCTETS)
        self._view = memoryview(self._buffer)
        self._holders: set[Hashable] = set()
        self._closed = asyncio.Event()
        self._reason: SessionEnd | None = None
        self._has_discarded = False
        self._tap: Tap | None = None
        self.peer = ""
        self.peer_address = ""
        self.peer_port = 0
        self.frames_sent = 0
        self.octets_sent = 0
        self._began_s = loop.time()
        self.drops: Counter[Drop] = Counter()
        self.counters = self._framer.counters

    def __str__(self) -> str:
        return self.peer

    @property
    def is_open(self) -> bool:
        """Whether frames can still be sent."""
        return self._reason is None and self._transport is not None

    @property
    def duration_s(self) -> float:
        """For how long it has been there."""
        return self._loop.time() - self._began_s

    @property
    def tap(self) -> Tap | None:
        """What records this session, or None."""
        return self._tap

    def record(self, tap: Tap) -> None:
        """Record from now on. To be called before the first octet came."""
        self._tap = self._framer.witness = tap

    async def wait_closed(self) -> None:
        """Wait until the connection is gone, after `end` with `drain` when the last of it was sent."""
        await self._closed.wait()

    def send(self, octets: bytes) -> bool:
        """Send one frame, in one segment if the peer reads; tell whether the session is still there."""
        transport = self._transport
        if transport is None or self._reason is not None:
            return False
        transport.write(octets)
        if self._tap is not None:
            self._tap.sent(octets)
        self.frames_sent += 1
        self.octets_sent += len(octets)
        if transport.get_write_buffer_size() > self._limits.send_queue_octets:
            self.end(SessionEnd.SEND_STALLED)
            return False
        return True

    def end(self, reason: SessionEnd, *, drain: bool = False) -> None:
        """End the session now; with `drain`, what is being sent goes out first. Harmless when repeated."""
        if self._reason is not None:
            return
        self._reason = reason
        self._frame_timer.cancel()
        self._stall_timer.cancel()
        self._held_timer.cancel()
        self._framer.reset()
        transport = self._transport
        if transport is not None:
            if drain:
                transport.close()
            else:
                transport.abort()
        self._user.session_ended(self, reason)

    def link_dead(self) -> None:
        """End the session for an outstation whose keep-alive was not answered."""
        self.end(SessionEnd.LINK_DEAD)

    def abort(self) -> None:
        """Let go of the connection at once, also of what `end` left draining."""
        if self._transport is not None:
            self._transport.abort()

    def hold(self, holder: Hashable) -> None:
        """Stop reading from the peer until `holder`, and all others, `release`."""
        if not self._holders and self.is_open:
            assert self._transport is not None
            self._transport.pause_reading()
            # The rest of a frame may lie in the socket: whoever does not read cannot miss it.
            self._frame_timer.set(None)
            self._held_timer.set(self._loop.time() + _HELD_LOOK_S)
        self._holders.add(holder)

    def release(self, holder: Hashable) -> None:
        """Take back a `hold`."""
        self._holders.discard(holder)
        if not self._holders and self.is_open:
            assert self._transport is not None
            self._held_timer.set(None)
            self._transport.resume_reading()
            if self._framer.next_deadline() is not None:
                self._frame_timer.set(self._loop.time() + self._limits.frame_timeout_s)

    # asyncio.BufferedProtocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Tune the socket and report the session."""
        self._transport = cast(asyncio.Transport, transport)
        peername = self._peername or transport.get_extra_info("peername")
        if peername is None:
            # It was closed between its arrival and now.
            self._reason = SessionEnd.PEER_CLOSED
            self._transport.abort()
            return
        self.peer_address, self.peer_port = peername[:2]
        self.peer = f"[{peername[0]}]:{peername[1]}" if ":" in peername[0] else f"{peername[0]}:{peername[1]}"
        self._transport.set_write_buffer_limits(high=0)
        try:
            _tune(transport.get_extra_info("socket"), self._limits.half_open_timeout_s)
        except OSError:
            # Gone already: connection_lost says so.
            pass
        self._user.session_started(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Lend the read buffer to the event loop."""
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read."""
        if self._reason is None:
            now = self._loop.time()
            self._pass_on(self._framer.receive(bytes(self._view[:nbytes]), now), now)

    def eof_received(self) -> bool:
        """Close both ways: a master that will not ask any more has no use for answers."""
        return False

    def pause_writing(self) -> None:
        """The peer's window is full: from here on it has `send_stall_s`."""
        self._stall_timer.set(self._loop.time() + self._limits.send_stall_s)

    def resume_writing(self) -> None:
        """Everything was taken."""
        self._stall_timer.set(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Report the end, unless it was ours."""
        self.end(_reason_of(exc))
        self._transport = None
        self._closed.set()

    def _look_while_held(self) -> None:
        assert self._transport is not None
        reason = _end_of(self._transport.get_extra_info("socket"))
        if reason is None:
            self._held_timer.set(self._loop.time() + _HELD_LOOK_S)
        else:
            self.end(reason)

    def _on_frame_timeout(self) -> None:
        now = self._loop.time()
        self._pass_on(self._framer.on_deadline(now), now)

    def _pass_on(self, frames: list[Frame], now: float) -> None:
        if self.counters.octets_discarded and not self._has_discarded:
            self._has_discarded = True
            self._user.octets_discarded(self)
        for frame in frames:
            self._user.frame_received(self, frame, now)
            if self._reason is not None:
                return
        if self._framer.failure is not None:
            self.end(SessionEnd.LINK_ERROR)
            return
        if not self._holders:
            self._frame_timer.set(self._framer.next_deadline())


def _tune(sock: socket.socket, half_open_timeout_s: int) -> None:
    """Send frames at once, and find out about a vanished peer in time.

    Keepalive watches an idle connection, TCP_USER_TIMEOUT one with octets under way.
    """
    idle_s = max(1, half_open_timeout_s // 3)
    interval_s = max(1, (half_open_timeout_s - idle_s) // (_MOST_PROBES + 1))
    # A second is left for the kernel's timers, which are up to half a second late.
    probes = min(_MOST_PROBES, (half_open_timeout_s - 1 - idle_s) // interval_s)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, idle_s)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, interval_s)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, probes)
    user_timeout_ms = (idle_s + interval_s * probes) * 1000
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, user_timeout_ms)


def _end_of(sock: socket.socket) -> SessionEnd | None:
    """Look at a connection without reading from it; return how it ended, or None while it lasts."""
    try:
        (state,) = struct.unpack_from("B", sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1))
        if state == _TCP_CLOSE_WAIT:
            return SessionEnd.PEER_CLOSED
        if state != _TCP_CLOSE:
            # Its error is not asked for: on a connection that lasts it can be a router's passing complaint.
            return None
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    except OSError as error:
        return _reason_of(error)
    # EPIPE: the peer hung up first, and then refused what was sent to it.
    return SessionEnd.PEER_CLOSED if code == errno.EPIPE else _reason_of(OSError(code, ""))


_VANISHED = frozenset({errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN})


def _reason_of(exc: Exception | None) -> SessionEnd:
    if exc is None:
        return SessionEnd.PEER_CLOSED
    if isinstance(exc, OSError) and exc.errno in _VANISHED:
        return SessionEnd.PEER_VANISHED
    return SessionEnd.PEER_RESET
