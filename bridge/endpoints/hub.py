"""One line with everything on it: its port, its framer, its turns, and the sessions that use it.

The decisions are `Turn`'s; here they are carried out. What is told of them is `LineReporter`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, cast

from bridge.endpoints.line_reporter import (
    LineReporter,
    OutstationCounters,
    OutstationObserver,
    ReportedStation,
)
from bridge.endpoints.serial_line import SerialLine
from bridge.endpoints.serial_port import SerialSettings
from bridge.endpoints.tcp_session import TcpSession
from bridge.endpoints.timer import Timer
from bridge.link.frame import Frame
from bridge.link.framer import LinkErrorMode, LinkFramer
from bridge.recording.tap import Tap
from bridge.routing.diagnosis import Diagnosis
from bridge.routing.drop import Drop
from bridge.routing.echo import EchoFilter
from bridge.routing.steps import Babble, Deliver, Dropped, Finished, Send, Step
from bridge.routing.timing import Timing
from bridge.routing.turn import Turn

_HOLD_FRAMES = 32
_HOLD_FRAMES_MORE = 2
"""A session with so many frames waiting, and so many more for each outstation of the line, is not read from
until half of them had their turn. A master that asks every outstation once is never held: it may have others,
on other lines."""


class LineHub:
    """A serial line and its outstations. Add the outstations, then `start`, in the end `await close()`."""

    def __init__(
        self,
        name: str,
        settings: SerialSettings,
        timing: Timing,
        *,
        line_changed: Callable[[str, bool], None] | None = None,
        state_changed: Callable[[str, str | None], None] = lambda _line, _outstation: None,
        tap: Tap | None = None,
    ) -> None:
        """Prepare the line; `line_changed` hears its name and whether the port is open, `tap` records all.

        `state_changed` hears the line's name when babble begins or ends, and the outstation's as well when
        that begins or ceases to answer.
        """
        self.name = name
        self._tap = tap
        self._loop = asyncio.get_running_loop()
        self._line = SerialLine(name, settings, self, write_stall_s=timing.response_timeout_s)
        self._reporter = LineReporter(
            self._line, self._loop.time, tap=tap, line_changed=line_changed, state_changed=state_changed
        )
        self._timing = timing
        self._framer = LinkFramer(LinkErrorMode.DISCARD, frame_timeout_s=timing.quiet_s)
        self._framer.witness = tap
        self._turn = Turn(timing)
        self.echo = EchoFilter(hold_s=timing.quiet_s)
        """Our own octets as the port hears them: how many, and how many times they were spoiled."""
        self._timer = Timer(self._loop, self._on_deadline)
        self._stations = self._reporter.stations
        self._neighbours: set[int] = set()
        self._held: set[TcpSession] = set()
        self._steps: list[Step] | None = None
        """What is being carried out."""
        self._discarded_seen = self._discards_seen = self._crc_errors_seen = 0
        self._handlers: dict[type, Callable[[Any], None]] = {
            Send: self._send,
            Deliver: self._deliver,
            Dropped: self._reporter.dropped,
            Finished: self._reporter.finished,
            Babble: self._babble,
        }
        self.counters = self._framer.counters
        self.drops = self._reporter.drops
        self.frames_sent = self.octets_sent = 0
        self.babbles = 0
        """How many times somebody began to talk without end."""

    @property
    def line(self) -> SerialLine:
        """The port, for its state."""
        return self._line

    @property
    def waiting_frames(self) -> int:
        """How many requests wait for their turn now."""
        return self._turn.waiting_frames

    @property
    def octets_on_wire(self) -> int:
        """The octets sent and heard so far, our own echo counted once."""
        return self.octets_sent + self.counters.octets_in

    @property
    def _hold_frames(self) -> int:
        return _HOLD_FRAMES + _HOLD_FRAMES_MORE * len(self._stations)

    @property
    def is_babbling(self) -> bool:
        """Whether somebody on the line talks without end."""
        return self._turn.is_babbling

    @property
    def addresses(self) -> tuple[int, ...]:
        """The link addresses on this line, neighbours' included."""
        return (*self._stations, *self._neighbours)

    def add_station(
        self, address: int, name: str, observer: OutstationObserver | None = None
    ) -> OutstationCounters:
        """Make an outstation known and return the counters that it will have."""
        timing = self._timing
        diagnosis = Diagnosis(
            response_timeout_s=timing.response_timeout_s,
            request_ttl_s=timing.request_ttl_s,
            control_ttl_s=timing.control_ttl_s,
        )
        counters = OutstationCounters(diagnosis)
        self._stations[address] = ReportedStation(name, observer, counters)
        self._turn.add_station(address)
        return counters

    def add_neighbour(self, address: int) -> None:
        """Make a device known that is on the wire and that nobody reaches: a disabled outstation."""
        self._neighbours.add(address)

    def deny_broadcasts(self) -> None:
        """Send no broadcast to this line: one of its outstations must not hear any."""
        self._turn.deny_broadcasts()

    def start(self) -> None:
        """Open the port, and keep it open from now on."""
        self._line.start()

    async def close(self, *, drain_s: float) -> None:
        """Finish the frame being sent, within `drain_s` seconds, and let the port go."""
        await self._line.close(drain_s=drain_s)
        self._timer.cancel()

    # From sessions, by way of their outstations

    def attach(self, session: TcpSession, address: int) -> None:
        """Give an outstation to a session."""
        self._turn.attach(session, address)

    def detach(self, session: TcpSession) -> None:
        """Take every outstation of this line back from a session."""
        mine = [request for request in self._turn.under_way() if request.session is session]
        self._reporter.abandoned(mine, Drop.SESSION_ENDED)
        self._held.discard(session)
        self._run(self._turn.detach(session, self._loop.time()))
        self._settle()

    def submit(self, session: TcpSession, address: int, frame: Frame, now: float) -> None:
        """Take a master's frame for an outstation of this line."""
        self._run(self._turn.submit(session, address, frame, now))
        if self._turn.waiting_of(session) >= self._hold_frames:
            self._held.add(session)
            session.hold(self)
        self._settle()

    # LineUser

    def line_opened(self) -> None:
        """Begin with clean buffers."""
        self._framer.reset()
        self.echo.reset()
        self._turn.line_up()
        self._reporter.line_opened()

    def octets_heard(self, octets: bytes) -> None:
        """Take what the port read."""
        now = self._loop.time()
        if self._hear(self.echo.receive(octets, now), now):
            self._settle()

    def line_lost(self, reason: str) -> None:
        """Fail what is under way."""
        self._framer.reset()
        self._reporter.line_failed(reason)
        # Before sessions may be closed for it: what they had waiting failed because of the line.
        self._reporter.abandoned(self._turn.under_way(), Drop.LINE_DOWN)
        self._run(self._turn.line_down(self._loop.time()))
        self._reporter.line_lost()
        self._settle()

    # Carrying out

    def _hear(self, octets: bytes, now: float) -> bool:
        """Take octets without our echo; tell whether there may be more to do than to wait for the rest."""
        if not octets:
            return True
        frames = self._framer.receive(octets, now)
        half_heard_until_s = self._framer.half_heard_until(now)
        steps = self._turn.heard(now, len(octets), half_heard_until_s)
        is_clean = self.counters.octets_discarded == self._discarded_seen
        if is_clean and half_heard_until_s is not None and not frames and not steps:
            # A UART brings a frame in twenty pieces, so this is what most wake-ups come to. More of the same
            # frame brings no deadline forward but the frame's own, and the timer may fire early.
            self._timer.hasten(half_heard_until_s)
            return False
        if steps:
            self._run(steps)
        self._take(frames, now)
        return True

    def _take(self, frames: Iterable[Frame], now: float) -> None:
        if self.counters.octets_discarded != self._discarded_seen:
            self._discarded_seen = self.counters.octets_discarded
            self._look_for_damage()
        for frame in frames:
            self._run(self._turn.receive(frame, now))

    def _on_deadline(self) -> None:
        now = self._loop.time()
        self._hear(self.echo.on_deadline(now), now)
        self._take(self._framer.on_deadline(now), now)
        self._run(self._turn.on_deadline(now))
        self._settle()

    def _settle(self) -> None:
        """After a stimulus: read again from sessions whose queue has drained, and set the timer."""
        if self._held:
            for session in [
                held for held in self._held if self._turn.waiting_of(held) <= self._hold_frames // 2
            ]:
                self._held.discard(session)
                session.release(self)
        deadline = self._turn.next_deadline()
        for other in (self._framer.next_deadline(), self.echo.next_deadline()):
            if other is not None and (deadline is None or other < deadline):
                deadline = other
        self._timer.set(deadline)

    def _run(self, steps: list[Step]) -> None:
        """Carry out steps in order, also when one of them leads to more (a send that ends its session)."""
        if self._steps is not None:
            # It is still being gone through, further up: what is added now is carried out last.
            self._steps += steps
            return
        self._steps = steps
        try:
            for step in steps:
                self._handlers[type(step)](step)
        finally:
            self._steps = None

    def _send(self, step: Send) -> None:
        address, frame = step
        station = self._stations[address]
        octets = frame.octets
        station.counters.frames_from_master += 1
        self.frames_sent += 1
        self.octets_sent += len(octets)
        self.echo.sent(octets)
        self._line.write(octets)
        if self._tap is not None:
            self._tap.sent(octets)
        if station.observer is not None:
            station.observer.request_sent()

    def _deliver(self, step: Deliver) -> None:
        session, address, frame = step
        station = self._stations[address]
        if not cast(TcpSession, session).send(frame.octets):
            station.counters.drops[Drop.SESSION_ENDED] += 1
            if self._tap is not None:
                self._tap.dropped(frame.octets, Drop.SESSION_ENDED.value)
            return
        station.counters.frames_to_master += 1
        if station.observer is not None:
            station.observer.answer_received()

    def _babble(self, step: Babble) -> None:
        self.babbles += step.is_on
        self._reporter.babble(step)

    def _look_for_damage(self) -> None:
        discards = self.counters.discards.total()
        if discards == self._discards_seen:
            return
        self._discards_seen = discards
        crc_errors = self.counters.crc_errors
        self._turn.damaged(crc_errors - self._crc_errors_seen)
        self._crc_errors_seen = crc_errors
        self._reporter.noise_heard()
