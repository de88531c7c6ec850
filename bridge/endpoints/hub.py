"""One line with everything on it: its port, its framer, its turns, and the sessions that use it.

The decisions are `Turn`'s; here they are carried out, counted and logged.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from bridge.application.function import CONTROLS, Function
from bridge.endpoints.events import note, warn
from bridge.endpoints.serial_line import SerialLine
from bridge.endpoints.serial_port import SerialSettings
from bridge.endpoints.tcp_session import TcpSession
from bridge.endpoints.timer import Timer
from bridge.link.frame import Frame
from bridge.link.framer import LinkErrorMode, LinkFramer
from bridge.recording.fault import Fault
from bridge.recording.tap import Tap
from bridge.routing.diagnosis import Diagnosis
from bridge.routing.drop import Drop
from bridge.routing.echo import EchoFilter
from bridge.routing.exchange import MISSED, Outcome
from bridge.routing.steps import Babble, Deliver, Dropped, Finished, Send, Step
from bridge.routing.stimulus import function_of, starts_request
from bridge.routing.timing import Timing
from bridge.routing.turn import Turn

_HOLD_FRAMES = 32
_HOLD_FRAMES_MORE = 2
"""A session with so many frames waiting, and so many more for each outstation of the line, is not read from
until half of them had their turn. A master that asks every outstation once is never held: it may have others,
on other lines."""
_NEVER_SENT = frozenset({Drop.EXPIRED, Drop.QUEUE_FULL, Drop.SUPERSEDED})


class OutstationObserver(Protocol):
    """Hears what an indicator shows of one outstation."""

    def request_sent(self) -> None:
        """A frame went out to the outstation."""

    def answer_received(self) -> None:
        """A frame of the outstation reached its master."""

    def answer_missed(self) -> None:
        """A request got no answer."""

    def noise_heard(self) -> None:
        """Octets came that are no frame."""


@dataclass(slots=True)
class OutstationCounters:
    """What one bridged outstation's traffic came to."""

    diagnosis: Diagnosis
    frames_from_master: int = 0
    frames_to_master: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    drops: Counter[Drop] = field(default_factory=Counter)
    last_response_s: float | None = None
    is_answering: bool | None = None
    """None before the first request that awaits an answer."""


@dataclass(slots=True)
class _Station:
    name: str
    observer: OutstationObserver | None
    counters: OutstationCounters


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
        self._state_changed = state_changed
        self._tap = tap
        self._line_changed = line_changed
        self._loop = asyncio.get_running_loop()
        self._line = SerialLine(name, settings, self, write_stall_s=timing.response_timeout_s)
        self._timing = timing
        self._framer = LinkFramer(LinkErrorMode.DISCARD, frame_timeout_s=timing.quiet_s)
        self._framer.witness = tap
        self._turn = Turn(timing)
        self.echo = EchoFilter(hold_s=timing.quiet_s)
        """Our own octets as the port hears them: how many, and how many times they were spoiled."""
        self._timer = Timer(self._loop, self._on_deadline)
        self._stations: dict[int, _Station] = {}
        self._neighbours: set[int] = set()
        self._held: set[TcpSession] = set()
        self._steps: deque[Step] = deque()
        self._is_running = False
        self._discarded_seen = self._discards_seen = self._crc_errors_seen = 0
        self._handlers: dict[type, Callable[[Any], None]] = {
            Send: self._send,
            Deliver: self._deliver,
            Dropped: self._count_drop,
            Finished: self._finished,
            Babble: self._babble,
        }
        self.counters = self._framer.counters
        self.drops: Counter[Drop] = Counter()
        """Frames heard that concern no outstation of this line."""
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
        self._stations[address] = _Station(name, observer, counters)
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
        self._report_abandoned(Drop.SESSION_ENDED, session)
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
        if self._tap is not None:
            self._tap.event("line up", line=self.name, device=self._line.settings.device)
        if self._line_changed is not None:
            self._line_changed(self.name, True)

    def octets_heard(self, octets: bytes) -> None:
        """Take what the port read."""
        now = self._loop.time()
        if self._hear(self.echo.receive(octets, now), now):
            self._settle()

    def line_lost(self, reason: str) -> None:
        """Fail what is under way."""
        self._framer.reset()
        if self._tap is not None:
            self._tap.event("line down", Fault.LINE_DOWN, line=self.name, reason=reason)
        # Before sessions may be closed for it: what they had waiting failed because of the line.
        self._report_abandoned(Drop.LINE_DOWN)
        self._run(self._turn.line_down(self._loop.time()))
        if self._line_changed is not None:
            self._line_changed(self.name, False)
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

    def _run(self, steps: Sequence[Step]) -> None:
        """Carry out steps in order, also when one of them leads to more (a send that ends its session)."""
        if not steps:
            return
        self._steps.extend(steps)
        if self._is_running:
            return
        self._is_running = True
        try:
            while self._steps:
                step = self._steps.popleft()
                self._handlers[type(step)](step)
        finally:
            self._is_running = False

    def _send(self, step: Send) -> None:
        station = self._stations[step.address]
        octets = step.frame.octets
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
        station = self._stations[step.address]
        if not cast(TcpSession, step.session).send(step.frame.octets):
            station.counters.drops[Drop.SESSION_ENDED] += 1
            if self._tap is not None:
                self._tap.dropped(step.frame.octets, Drop.SESSION_ENDED.value)
            return
        station.counters.frames_to_master += 1
        if station.observer is not None:
            station.observer.answer_received()

    def _count_drop(self, step: Dropped) -> None:
        station = None if step.address is None else self._stations[step.address]
        drops = self.drops if station is None else station.counters.drops
        drops[step.reason] += 1
        if self._tap is not None and step.frame is not None:
            self._tap.dropped(step.frame.octets, step.reason.value)
        # A request of several frames is one request, and its first frame says what it is.
        if station is not None and (step.frame is None or starts_request(step.frame)):
            self._diagnose_drop(station, step)
            self._report_control(station, step)
        name = "" if station is None else station.name
        note("frame dropped", level=logging.DEBUG, outstation=name, line=self.name, reason=step.reason.value)

    def _diagnose_drop(self, station: _Station, step: Dropped) -> None:
        now = self._loop.time()
        diagnosis = station.counters.diagnosis
        if step.response_s is not None:
            diagnosis.answered_late(step.response_s, now)
        elif step.reason is Drop.LINE_DOWN:
            diagnosis.line_failed(self._line.reason or "it was just lost", now)
        elif step.reason in _NEVER_SENT:
            diagnosis.never_sent(
                step.reason,
                is_babbling=self._turn.is_babbling,
                now=now,
                waited_s=step.waited_s,
                is_control=step.is_control,
            )
            if station.observer is not None:
                station.observer.answer_missed()

    def _report_control(self, station: _Station, step: Dropped) -> None:
        """Log a control that is not sent."""
        function = None if step.frame is None else function_of(step.frame)
        if function in CONTROLS:
            miss = station.counters.diagnosis.last_miss
            has_sentence = step.reason in _NEVER_SENT or step.reason is Drop.LINE_DOWN
            warn(
                "control dropped",
                outstation=station.name,
                line=self.name,
                function=_word(function),
                reason=step.reason.value,
                sentence=miss.sentence if miss is not None and has_sentence else "",
            )

    def _report_abandoned(self, reason: Drop, session: TcpSession | None = None) -> None:
        """Log what a session, or everybody, waits for and will get no answer to."""
        now = self._loop.time()
        for request in self._turn.under_way():
            if session is None or request.session is session:
                # Nobody knows whether that moved something; one that waits is a `control dropped` as well.
                is_doubtful = request.is_sent and request.function in CONTROLS
                note(
                    "request abandoned",
                    level=logging.WARNING if is_doubtful else logging.INFO,
                    outstation=self._stations[request.address].name,
                    line=self.name,
                    peer=str(request.session),
                    function=_word(request.function),
                    state="sent" if request.is_sent else "waiting",
                    for_s=round(now - request.since_s, 3),
                    reason=reason.value,
                )

    def _finished(self, step: Finished) -> None:
        station = self._stations[step.address]
        counters = station.counters
        counters.outcomes[step.outcome] += 1
        now = self._loop.time()
        counters.diagnosis.finished(step.outcome, step.elapsed_s, step.evidence, now)
        if step.outcome is Outcome.LINE_DOWN:
            counters.diagnosis.line_failed(self._line.reason or "it was just lost", now)
        elif step.outcome is Outcome.ANSWERED:
            counters.last_response_s = step.elapsed_s
            was_answering, counters.is_answering = counters.is_answering, True
            if was_answering is False:
                note("answers again", outstation=station.name, line=self.name)
                if self._tap is not None:
                    self._tap.event("answers again", outstation=station.name)
            if not was_answering:
                self._state_changed(self.name, station.name)
        elif step.outcome in MISSED:
            self._missed(station, step.outcome)

    def _missed(self, station: _Station, outcome: Outcome) -> None:
        counters = station.counters
        was_answering, counters.is_answering = counters.is_answering, False
        miss = counters.diagnosis.last_miss
        if self._tap is not None:
            self._tap.event(
                "no answer",
                Fault.TIMEOUTS,
                outstation=station.name,
                outcome=outcome.value,
                reason="" if miss is None else miss.miss.value,
            )
        if was_answering is not False:
            self._state_changed(self.name, station.name)
            warn(
                "does not answer",
                outstation=station.name,
                line=self.name,
                outcome=outcome.value,
                reason="" if miss is None else miss.miss.value,
                sentence="" if miss is None else miss.sentence,
            )
        if station.observer is not None:
            station.observer.answer_missed()

    def _babble(self, step: Babble) -> None:
        self._state_changed(self.name, None)
        if step.is_on:
            self.babbles += 1
            if self._tap is not None:
                self._tap.event("babble", Fault.BABBLE, line=self.name)
            warn("babble", line=self.name, remedy="find the device that talks without end, or bias the line")
            self._report_noise()
        else:
            if self._tap is not None:
                self._tap.event("babble ended", line=self.name)
            note("babble ended", line=self.name)

    def _look_for_damage(self) -> None:
        discards = self.counters.discards.total()
        if discards == self._discards_seen:
            return
        self._discards_seen = discards
        crc_errors = self.counters.crc_errors
        self._turn.damaged(crc_errors - self._crc_errors_seen)
        self._crc_errors_seen = crc_errors
        self._report_noise()

    def _report_noise(self) -> None:
        for station in self._stations.values():
            if station.observer is not None:
                station.observer.noise_heard()


def _word(function: Function | int | None) -> str:
    """Return a function code in words; a service of the link layer has none."""
    if isinstance(function, Function):
        return function.name.lower()
    return "link_service" if function is None else f"function_{function}"
