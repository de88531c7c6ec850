"""One line with everything on it: its port, its framer, its turns, and the sessions that use it.

The decisions are `Turn`'s; here they are carried out, counted and logged.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from bridge.endpoints.events import note, warn
from bridge.endpoints.serial_line import SerialLine, SerialSettings
from bridge.endpoints.tcp_session import TcpSession
from bridge.endpoints.timer import Timer
from bridge.link.frame import Frame
from bridge.link.framer import LinkErrorMode, LinkFramer
from bridge.routing.drop import Drop
from bridge.routing.exchange import Outcome
from bridge.routing.turn import Deliver, Dropped, Finished, Send, Step, Timing, Turn

_HOLD_FRAMES = 32
"""A session with this many frames waiting is not read from until half of them had their turn."""
_MISSED = frozenset({Outcome.TIMED_OUT, Outcome.SUPERSEDED})


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
    ) -> None:
        """Prepare the line; `line_changed` hears its name and whether the port is open."""
        self.name = name
        self._line_changed = line_changed
        self._loop = asyncio.get_running_loop()
        self._line = SerialLine(name, settings, self, write_stall_s=timing.response_timeout_s)
        self._framer = LinkFramer(LinkErrorMode.DISCARD, frame_timeout_s=timing.quiet_s)
        self._turn = Turn(timing)
        self._timer = Timer(self._loop, self._on_deadline)
        self._stations: dict[int, _Station] = {}
        self._held: set[TcpSession] = set()
        self._steps: deque[Step] = deque()
        self._is_running = False
        self._discards_seen = 0
        self._handlers: dict[type, Callable[[Any], None]] = {
            Send: self._send,
            Deliver: self._deliver,
            Dropped: self._count_drop,
            Finished: self._finished,
        }
        self.counters = self._framer.counters
        self.drops: Counter[Drop] = Counter()
        """Frames heard that concern no outstation of this line."""

    @property
    def line(self) -> SerialLine:
        """The port, for its state."""
        return self._line

    @property
    def waiting_frames(self) -> int:
        """How many requests wait for their turn now."""
        return self._turn.waiting_frames

    @property
    def addresses(self) -> tuple[int, ...]:
        """The link addresses on this line."""
        return tuple(self._stations)

    def add_station(
        self, address: int, name: str, observer: OutstationObserver | None = None
    ) -> OutstationCounters:
        """Make an outstation known and return the counters that it will have."""
        counters = OutstationCounters()
        self._stations[address] = _Station(name, observer, counters)
        self._turn.add_station(address)
        return counters

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
        self._held.discard(session)
        self._run(self._turn.detach(session, self._loop.time()))
        self._settle()

    def submit(self, session: TcpSession, address: int, frame: Frame, now: float) -> None:
        """Take a master's frame for an outstation of this line."""
        self._run(self._turn.submit(session, address, frame, now))
        if self._turn.waiting_of(session) >= _HOLD_FRAMES:
            self._held.add(session)
            session.hold(self)
        self._settle()

    # LineUser

    def line_opened(self) -> None:
        """Begin with clean buffers."""
        self._framer.reset()
        self._turn.line_up()
        if self._line_changed is not None:
            self._line_changed(self.name, True)

    def octets_heard(self, octets: bytes) -> None:
        """Take what the port read."""
        now = self._loop.time()
        self._turn.heard(now)
        self._take(self._framer.receive(octets, now), now)
        self._settle()

    def line_lost(self, reason: str) -> None:
        """Fail what is under way."""
        self._framer.reset()
        if self._line_changed is not None:
            self._line_changed(self.name, False)
        self._run(self._turn.line_down(self._loop.time()))
        self._settle()

    # Carrying out

    def _take(self, frames: Iterable[Frame], now: float) -> None:
        for frame in frames:
            self._run(self._turn.receive(frame, now))
        discards = self.counters.discards.total()
        if discards != self._discards_seen:
            self._discards_seen = discards
            self._report_noise()

    def _on_deadline(self) -> None:
        now = self._loop.time()
        self._take(self._framer.on_deadline(now), now)
        self._run(self._turn.on_deadline(now))
        self._settle()

    def _settle(self) -> None:
        """After a stimulus: read again from sessions whose queue has drained, and set the timer."""
        if self._held:
            for session in [held for held in self._held if self._turn.waiting_of(held) <= _HOLD_FRAMES // 2]:
                self._held.discard(session)
                session.release(self)
        stalled, turn = self._framer.next_deadline(), self._turn.next_deadline()
        if stalled is not None and (turn is None or stalled < turn):
            self._timer.set(stalled)
        else:
            self._timer.set(turn)

    def _run(self, steps: Iterable[Step]) -> None:
        """Carry out steps in order, also when one of them leads to more (a send that ends its session)."""
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
        station.counters.frames_from_master += 1
        self._line.write(step.frame.octets)
        if station.observer is not None:
            station.observer.request_sent()

    def _deliver(self, step: Deliver) -> None:
        station = self._stations[step.address]
        if not cast(TcpSession, step.session).send(step.frame.octets):
            station.counters.drops[Drop.SESSION_ENDED] += 1
            return
        station.counters.frames_to_master += 1
        if station.observer is not None:
            station.observer.answer_received()

    def _count_drop(self, step: Dropped) -> None:
        drops = self.drops if step.address is None else self._stations[step.address].counters.drops
        drops[step.reason] += 1
        name = "" if step.address is None else self._stations[step.address].name
        note("frame dropped", level=logging.DEBUG, outstation=name, line=self.name, reason=step.reason.value)

    def _finished(self, step: Finished) -> None:
        station = self._stations[step.address]
        counters = station.counters
        counters.outcomes[step.outcome] += 1
        if step.outcome is Outcome.ANSWERED:
            counters.last_response_s = step.elapsed_s
            if counters.is_answering is False:
                note("answers again", outstation=station.name, line=self.name)
            counters.is_answering = True
        elif step.outcome in _MISSED:
            if counters.is_answering is not False:
                warn("does not answer", outstation=station.name, line=self.name, outcome=step.outcome.value)
            counters.is_answering = False
            if station.observer is not None:
                station.observer.answer_missed()

    def _report_noise(self) -> None:
        for station in self._stations.values():
            if station.observer is not None:
                station.observer.noise_heard()
