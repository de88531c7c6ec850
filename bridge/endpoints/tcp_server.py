"""The TCP outstation server: who may connect to which outstations, and whose session it is.

Rules (PRODUCT.md, "The TCP outstation server"):
  1. Outstations whose filters are equal share one session and are told apart by destination link address.
     Filters that are not equal must not overlap. So a peer belongs to one group of outstations, or to none.
  2. One session a group. A newer connection ends the older one first: `disconnected`, then `connected`.
  3. While no outstation of a group can be reached, `when_down` may end its session and refuse new ones.
     A refused connection is nobody's session: it ends none, and no outstation or listener hears of it.
  4. Nothing that a peer or a listener does stops the server or another session.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from typing import NamedTuple

from bridge.endpoints.accepting import Acceptor
from bridge.endpoints.address_filter import AddressFilter
from bridge.endpoints.connection_state import Announcer, ConnectionState, ConnectionStateListener
from bridge.endpoints.endpoint import Endpoint
from bridge.endpoints.events import note, warn
from bridge.endpoints.listening import listening_socket
from bridge.endpoints.session_groups import Group, ServedOutstation, SessionGroups
from bridge.endpoints.tcp_session import SessionEnd, SessionLimits, TcpSession
from bridge.endpoints.when_down import ends_session, is_any_reachable, refuses_sessions
from bridge.errors import ConflictError
from bridge.link.frame import Frame
from bridge.link.framer import FramerCounters, LinkErrorMode
from bridge.recording.fault import Fault
from bridge.recording.tap import SessionTaps
from bridge.routing.drop import Drop
from bridge.routing.router import route


class SessionCounts(NamedTuple):
    """The sessions of one outstation since the server was made."""

    started: int = 0
    pre_emptions: int = 0
    """How many of them ended because a newer connection took over."""


class TcpServer:
    """Listens for masters and hands each one's frames to its outstations.

    `TcpServer(mode, "10.0.0.1:20000")` raises `EndpointError` for a malformed endpoint and does not bind.
    Then `add_outstation` for each outstation, then `await bind()`. It runs in the event loop that ran `bind`.
    """

    def __init__(
        self,
        link_error_mode: LinkErrorMode,
        endpoint: str,
        *,
        name: str = "",
        limits: SessionLimits | None = None,
        taps: SessionTaps | None = None,
    ) -> None:
        self._taps = taps
        self._mode = link_error_mode
        self._endpoint = Endpoint.parse(endpoint)
        self._limits = limits or SessionLimits()
        self._groups = SessionGroups()
        self._group_of: dict[TcpSession, Group] = {}
        self._announcer = Announcer()
        self._listening: Acceptor | None = None
        self._draining: dict[TcpSession, asyncio.Task[None]] = {}
        self.name = name or endpoint
        self.session_ends: Counter[SessionEnd] = Counter()
        self.drops: Counter[Drop] = Counter()
        self._ended = FramerCounters()
        """What the sessions that are over received."""

    @property
    def counters(self) -> FramerCounters:
        """What came from all masters so far, sessions that are over included: a sum, made anew each time."""
        total = FramerCounters()
        for counters in (self._ended, *(session.counters for session in self._group_of)):
            _add(total, counters)
        return total

    @property
    def endpoint(self) -> Endpoint:
        """Where the server listens; after `bind` with the port that the system chose for port 0."""
        return self._endpoint

    @property
    def link_error_mode(self) -> LinkErrorMode:
        """What a malformed frame does to a session."""
        return self._mode

    @property
    def sessions(self) -> tuple[TcpSession, ...]:
        """The sessions open now."""
        return tuple(self._group_of)

    def session_of(self, outstation: ServedOutstation) -> TcpSession | None:
        """Return the session that the outstation's master has now."""
        group = self._groups.of_outstation(outstation)
        return None if group is None else group.session

    def sessions_of(self, outstation: ServedOutstation) -> SessionCounts:
        """Return how many sessions with the outstation began, of those over as well."""
        group = self._groups.of_outstation(outstation)
        return SessionCounts() if group is None else SessionCounts(group.sessions_started, group.pre_emptions)

    @property
    def listener_errors(self) -> int:
        """How often a listener raised something."""
        return self._announcer.failures

    @property
    def sessions_started(self) -> int:
        """How many connections became sessions; the others were refused."""
        return sum(group.sessions_started for group in self._groups)

    def add_outstation(
        self,
        outstation: ServedOutstation,
        listener: ConnectionStateListener | None,
        address_filter: AddressFilter,
    ) -> None:
        """Serve an outstation to the masters that the filter accepts. To be called before `bind`.

        The listener hears when one comes and goes; None where nobody wants to know.
        Raises `ConflictError`, naming both outstations, when the filter overlaps another one without being
        equal to it, or when two outstations of one filter have one link address.
        """
        if self._listening is not None:
            raise ConflictError(f"{outstation.name}: the server listens already; add outstations before bind")
        self._groups.add(outstation, listener, address_filter)

    async def bind(self) -> None:
        """Start to listen. Raises `BindError` with the operating system's reason."""
        loop = asyncio.get_running_loop()
        sock = listening_socket(self._endpoint)
        self._endpoint = Endpoint(self._endpoint.host, sock.getsockname()[1])
        self._listening = Acceptor(
            sock,
            lambda peer: TcpSession(self, self._mode, self._limits, loop, peername=peer),
            f"server {self.name}",
        )
        note("listening", server=self.name, endpoint=str(self._endpoint), mode=self._mode.value)

    def stop_listening(self) -> None:
        """Accept no more masters; the sessions go on."""
        if self._listening is not None:
            self._listening.close()
            self._listening = None

    def reachability_changed(self) -> None:
        """End the sessions that lost their last line. To be called after a line went up or down."""
        for group in self._groups:
            members = group.members.values()
            was_reachable, group.was_reachable = group.was_reachable, is_any_reachable(members)
            if was_reachable and group.session is not None and ends_session(members):
                self._end_and_drain(group.session, SessionEnd.LINE_DOWN)

    def drop_session(self, outstation: ServedOutstation) -> None:
        """End the session of an outstation's master, if there is one, after what is being sent."""
        session = self.session_of(outstation)
        if session is not None:
            self._end_and_drain(session, SessionEnd.DROPPED)

    async def close(self, *, drain_s: float = 0.5) -> None:
        """Stop listening and end every session; what is being sent has `drain_s` seconds to get out."""
        self.stop_listening()
        sessions = (*self.sessions, *self._draining)
        for session in sessions:
            session.end(SessionEnd.SERVER_CLOSED, drain=True)
        if sessions:
            await asyncio.wait(
                [asyncio.create_task(session.wait_closed()) for session in sessions], timeout=drain_s
            )
        for session in sessions:
            session.abort()
            await session.wait_closed()

    # SessionUser

    def session_started(self, session: TcpSession) -> None:
        """Find the peer's group, end that group's older session, and tell everybody."""
        if self._taps is not None:
            session.record(self._taps.open(session.peer_address, session.peer_port, session.peer))
        if self._listening is None:
            # It was accepted just before we stopped listening.
            session.end(SessionEnd.SERVER_CLOSED)
            return
        group = self._groups.of_peer(session.peer_address)
        if group is None:
            session.end(SessionEnd.NOT_WANTED)
            return
        if refuses_sessions(group.members.values()):
            session.end(SessionEnd.LINE_DOWN)
            return
        if group.session is not None:
            group.newcomer = session.peer
            group.pre_emptions += 1
            group.session.end(SessionEnd.PRE_EMPTED)
            group.newcomer = ""
        group.session = session
        group.sessions_started += 1
        group.was_reachable = is_any_reachable(group.members.values())
        self._group_of[session] = group
        note("master connected", outstation=group.names, peer=session.peer, server=self.name)
        if session.tap is not None:
            session.tap.event("master connected", outstation=group.names, peer=session.peer)
        self._announcer.add(group.listeners, ConnectionState.CONNECTED, session.peer)
        for member in group.members.values():
            # One that is started may end it.
            if group.session is session:
                member.session_started(session)
        self._announcer.tell()

    def frame_received(self, session: TcpSession, frame: Frame, now: float) -> None:
        """Route a master's frame."""
        group = self._group_of.get(session)
        if group is None:
            return
        destinations = route(frame, group.members)
        if isinstance(destinations, Drop):
            self._count_drop(session, frame, destinations)
            return
        for outstation in destinations:
            outstation.receive(session, frame, now)

    def octets_discarded(self, session: TcpSession) -> None:
        """Tell the operator what else only counters would: the peer may speak something else than DNP3."""
        (reason, *_) = session.counters.discards
        hint = "octets that are no DNP3 frame; is the peer a DNP3 master?"
        warn("octets discarded", peer=session.peer, server=self.name, reason=reason.value, hint=hint)

    def session_ended(self, session: TcpSession, reason: SessionEnd) -> None:
        """Count the end; if the session had outstations, take them back and tell everybody."""
        self.session_ends[reason] += 1
        _add(self._ended, session.counters)
        group = self._group_of.pop(session, None)
        self._record_end(session, reason, "connection refused" if group is None else "master disconnected")
        if group is None:
            warn("connection refused", peer=session.peer, server=self.name, reason=reason.value)
            return
        group.session = None
        note(
            "master disconnected",
            outstation=group.names,
            peer=session.peer,
            server=self.name,
            reason=reason.value,
            by=group.newcomer,
            duration_s=round(session.duration_s, 3),
            frames_received=session.counters.frames,
            frames_sent=session.frames_sent,
            octets_received=session.counters.octets_in,
            octets_sent=session.octets_sent,
            octets_discarded=session.counters.octets_discarded,
        )
        for member in group.members.values():
            member.session_ended(session)
        self._announcer.add(group.listeners, ConnectionState.DISCONNECTED, session.peer)
        self._announcer.tell()

    def _record_end(self, session: TcpSession, reason: SessionEnd, event: str) -> None:
        if self._taps is not None and session.tap is not None:
            fault = Fault.PRE_EMPTED if reason is SessionEnd.PRE_EMPTED else None
            session.tap.event(event, fault, peer=session.peer, reason=reason.value)
            self._taps.close(session.tap)

    def _count_drop(self, session: TcpSession, frame: Frame, reason: Drop) -> None:
        """Count it; the first of each reason is for the operator to see: a wrong address, often."""
        is_first = not session.drops[reason]
        session.drops[reason] += 1
        if session.tap is not None:
            session.tap.dropped(frame.octets, reason.value)
        self.drops[reason] += 1
        note(
            "frame dropped",
            level=logging.WARNING if is_first else logging.DEBUG,
            peer=session.peer,
            reason=reason.value,
            destination=frame.destination,
            source=frame.source,
        )

    def _end_and_drain(self, session: TcpSession, reason: SessionEnd) -> None:
        session.end(reason, drain=True)
        self._draining[session] = asyncio.get_running_loop().create_task(self._drain(session))

    async def _drain(self, session: TcpSession) -> None:
        """Let out what is being sent; a master that does not read has as long for it as in a session."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limits.send_stall_s):
                await session.wait_closed()
        session.abort()
        await session.wait_closed()
        del self._draining[session]


def _add(total: FramerCounters, counters: FramerCounters) -> None:
    total.octets_in += counters.octets_in
    total.frames += counters.frames
    total.octets_discarded += counters.octets_discarded
    total.discards += counters.discards
