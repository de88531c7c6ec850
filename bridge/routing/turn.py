"""Whose turn it is on a serial line: one exchange at a time, the others wait.

Rules:
  1. A frame that belongs to the exchange on the wire goes out at once. Everything else queues.
  2. Sessions take turns: the one whose last turn is longest ago is next. Of what it has waiting, that which
     ends somebody else's wait (confirms, link replies, later segments) goes first, the rest in its order.
  3. A master that asks the same outstation anew has given up its earlier request: the new one takes its
     place, on the wire as well as in the queue.
  4. An exchange ends when its last frame passed, when nothing is heard for the response timeout, or when the
     line goes down. While octets arrive the timeout waits, once more its length at most.
  5. When a session ends, what it had waiting is dropped. A request that it had on the wire holds the line
     until it is answered or times out, and its answer is dropped: the quarantine that keeps stale answers
     from the next session.
  6. What waited longer than the time to live is dropped, never sent late.
  7. Nothing new starts before the last frame has left the port, by the arithmetic of the baud rate; whatever
     an outstation says proves it earlier. So the port's buffers never hold more than a few frames.

Sans-I/O: every method returns the steps to take, in order. Sessions are opaque and compared by identity.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import NamedTuple

from bridge.link.frame import LONGEST_FRAME, Frame
from bridge.routing.drop import Drop
from bridge.routing.exchange import OPENINGS, Awaits, Exchange, Outcome, awaited_after
from bridge.routing.stimulus import Reader, Reading, Stimulus

_GOES_FIRST = frozenset(
    {
        Stimulus.CONFIRM,
        Stimulus.UNSOLICITED_CONFIRM,
        Stimulus.LINK_REPLY,
        Stimulus.SEGMENT,
        Stimulus.LAST_SEGMENT,
        Stimulus.LAST_SEGMENT_UNANSWERED,
    }
)
_ASKS_ANEW = frozenset({Stimulus.REQUEST, Stimulus.WHOLE_REQUEST})
_AWAITS_MASTER = frozenset({Awaits.CONFIRM, Awaits.CONFIRM_AND_MORE, Awaits.SEGMENTS})
_OF_THEIR_OWN_ACCORD = frozenset({Stimulus.UNSOLICITED, Stimulus.LINK_REQUEST})


@dataclass(frozen=True, slots=True)
class Timing:
    """A line's times, in seconds, and the frames that one session may have waiting."""

    octet_s: float
    response_timeout_s: float
    quiet_s: float
    """How long after the last octet heard the line still counts as speaking."""
    request_ttl_s: float
    queue_frames: int = 256
    port_frames: int = 16
    """Longest frames that may be handed to the port ahead of the wire: the segments of one request."""


class Send(NamedTuple):
    """Write this frame to the line now."""

    address: int
    frame: Frame


class Deliver(NamedTuple):
    """Hand this frame to the session."""

    session: Hashable
    address: int
    frame: Frame


class Dropped(NamedTuple):
    """Count this frame; `address` is the outstation it concerns, None if there is none."""

    address: int | None
    reason: Drop


class Finished(NamedTuple):
    """An exchange with the outstation ended, `elapsed_s` after its request."""

    address: int
    outcome: Outcome
    elapsed_s: float


Step = Send | Deliver | Dropped | Finished


@dataclass(slots=True, eq=False)
class _Waiting:
    session: Hashable
    address: int
    frame: Frame
    reading: Reading
    expires_s: float


@dataclass(slots=True)
class _Station:
    """What is known of one outstation on the line and of the session that owns it now."""

    session: Hashable | None = None
    masters: set[int] | None = None
    """Source addresses that the session's master used; None before it spoke: then any is taken."""
    from_master: Reader = field(default_factory=Reader)
    from_outstation: Reader = field(default_factory=Reader)
    fragment_for: Hashable | None = None
    """Who got the first segment of the fragment that the outstation is sending."""


class Turn:
    """The order of things on one line."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._stations: dict[int, _Station] = {}
        self._waiting: deque[_Waiting] = deque()
        self._exchange: Exchange | None = None
        self._turns = 0
        self._last_turn: dict[Hashable, int] = {}
        self._is_up = False
        self._heard_s = float("-inf")
        self._sent_until_s = float("-inf")

    def add_station(self, address: int) -> None:
        """Make an outstation of this line known by its link address."""
        self._stations[address] = _Station()

    @property
    def is_busy(self) -> bool:
        """Whether an exchange is on the wire."""
        return self._exchange is not None

    @property
    def waiting_frames(self) -> int:
        """How many frames wait for their turn."""
        return len(self._waiting)

    def waiting_of(self, session: Hashable) -> int:
        """How many frames of one session wait for their turn."""
        return sum(waiting.session is session for waiting in self._waiting)

    def attach(self, session: Hashable, address: int) -> None:
        """Give the outstation to a session, with nothing left of the one before."""
        station = self._stations[address]
        station.session = session
        station.masters = None
        station.from_master = Reader()
        station.fragment_for = None

    def detach(self, session: Hashable, now: float) -> list[Step]:
        """End a session: drop what it has waiting, orphan what it has on the wire. Harmless when repeated."""
        for station in self._stations.values():
            if station.session is session:
                station.session = station.masters = station.fragment_for = None
        self._last_turn.pop(session, None)
        steps = self._drop_waiting(Drop.SESSION_ENDED, session=session)
        exchange = self._exchange
        if exchange is not None and exchange.session is session:
            exchange.session = None
            self._forget_the_absent(exchange)
            steps += self._go_on(now)
        return steps

    def line_up(self) -> None:
        """The port is open: frames may be sent."""
        self._is_up = True
        self._sent_until_s = float("-inf")
        for station in self._stations.values():
            station.from_outstation = Reader()
            station.fragment_for = None

    def line_down(self, now: float) -> list[Step]:
        """The port is gone: everything under way has failed."""
        self._is_up = False
        steps = self._finish(Outcome.LINE_DOWN, now) if self._exchange else []
        return steps + self._drop_waiting(Drop.LINE_DOWN)

    def submit(self, session: Hashable, address: int, frame: Frame, now: float) -> list[Step]:
        """Take a master's frame for the outstation at `address`."""
        station = self._stations[address]
        if station.session is not session:
            return [Dropped(address, Drop.SESSION_ENDED)]
        if not self._is_up:
            return [Dropped(address, Drop.LINE_DOWN)]
        if station.masters is None:
            station.masters = set()
        station.masters.add(frame.source)
        reading = station.from_master.read_master(frame)
        steps: list[Step] = []
        exchange = self._exchange
        if exchange is not None and exchange.is_with(session, address):
            if self._is_port_full(now):
                return [Dropped(address, Drop.QUEUE_FULL)]
            if exchange.advance(reading):
                return [*self._send(address, frame, now), *self._go_on(now)]
            if reading.stimulus in _ASKS_ANEW and exchange.awaits is not Awaits.NOTHING:
                steps += self._finish(Outcome.SUPERSEDED, now)
        if self._waiting and reading.stimulus in _ASKS_ANEW:
            steps += self._drop_superseded(session, address)
        if self._waiting and self.waiting_of(session) >= self._timing.queue_frames:
            return [*steps, Dropped(address, Drop.QUEUE_FULL), *self._start_next(now)]
        self._enqueue(_Waiting(session, address, frame, reading, now + self._timing.request_ttl_s))
        return steps + self._start_next(now)

    def receive(self, frame: Frame, now: float) -> list[Step]:
        """Take a whole frame that was heard on the line."""
        if frame.control.from_master:
            return [Dropped(None, Drop.WRONG_DIRECTION)]
        station = self._stations.get(frame.source)
        if station is None:
            return [Dropped(None, Drop.UNKNOWN_SOURCE)]
        reading = station.from_outstation.read_outstation(frame)
        if reading.stimulus in _OF_THEIR_OWN_ACCORD:
            return [self._deliver_unasked(station, frame, reading)]
        exchange = self._exchange
        if exchange is None or not exchange.accepts_answer(frame, reading):
            return [Dropped(frame.source, Drop.NOT_AWAITED)]
        self._sent_until_s = now
        exchange.deadline_s = now + self._timing.response_timeout_s
        step: Step = Dropped(frame.source, Drop.SESSION_ENDED)
        if exchange.session is not None:
            step = Deliver(exchange.session, frame.source, frame)
        else:
            self._forget_the_absent(exchange)
        return [step, *self._go_on(now)]

    def heard(self, now: float) -> None:
        """Octets arrived, of whatever kind: somebody is speaking."""
        self._heard_s = now

    def next_deadline(self) -> float | None:
        """When `on_deadline` should be called, or None."""
        if self._exchange is None:
            return self._sent_until_s if self._waiting else None
        deadline_s = self._exchange.deadline_s
        speaking_until_s = self._heard_s + self._timing.quiet_s
        return max(deadline_s, min(speaking_until_s, deadline_s + self._timing.response_timeout_s))

    def on_deadline(self, now: float) -> list[Step]:
        """End an exchange that got no answer, or start the next one. Early calls do nothing."""
        deadline = self.next_deadline()
        if deadline is None or now < deadline:
            return []
        exchange = self._exchange
        if exchange is None:
            return self._start_next(now)
        # An answer whose confirm never came is an answer all the same.
        is_confirm_lost = exchange.is_answered and exchange.awaits in _AWAITS_MASTER
        outcome = Outcome.ANSWERED if is_confirm_lost else Outcome.TIMED_OUT
        return self._finish(outcome, now) + self._start_next(now)

    def _deliver_unasked(self, station: _Station, frame: Frame, reading: Reading) -> Step:
        address = frame.source
        if station.session is None:
            return Dropped(address, Drop.NO_SESSION)
        if station.masters is not None and frame.destination not in station.masters:
            return Dropped(address, Drop.UNKNOWN_MASTER)
        if reading.stimulus is Stimulus.UNSOLICITED:
            if reading.starts_fragment:
                station.fragment_for = station.session
            elif station.fragment_for is not station.session:
                return Dropped(address, Drop.ORPHAN_SEGMENT)
        return Deliver(station.session, address, frame)

    def _enqueue(self, waiting: _Waiting) -> None:
        if waiting.reading.stimulus not in _GOES_FIRST:
            self._waiting.append(waiting)
            return
        place = 0
        while place < len(self._waiting) and self._waiting[place].reading.stimulus in _GOES_FIRST:
            place += 1
        self._waiting.insert(place, waiting)

    def _start_next(self, now: float) -> list[Step]:
        steps: list[Step] = []
        while self._exchange is None and self._waiting and now >= self._sent_until_s:
            waiting = self._take_next()
            if now >= waiting.expires_s:
                steps.append(Dropped(waiting.address, Drop.EXPIRED))
                continue
            self._turns += 1
            self._last_turn[waiting.session] = self._turns
            self._exchange = Exchange(
                session=waiting.session,
                address=waiting.address,
                request=waiting.frame,
                awaits=awaited_after(waiting.reading, OPENINGS[waiting.reading.stimulus]),
                sequence=waiting.reading.sequence,
                started_s=now,
                deadline_s=now,
            )
            steps += self._send(waiting.address, waiting.frame, now)
            if self._exchange.awaits is Awaits.NOTHING:
                steps += self._finish(Outcome.UNANSWERED, now)
        return steps

    def _take_next(self) -> _Waiting:
        """Remove and return the first frame of the session whose last turn is longest ago (rule 2)."""
        if len(self._waiting) == 1:
            return self._waiting.popleft()
        chosen = min(self._waiting, key=lambda waiting: self._last_turn.get(waiting.session, 0))
        self._waiting.remove(chosen)
        return chosen

    def _send(self, address: int, frame: Frame, now: float) -> list[Step]:
        self._sent_until_s = max(now, self._sent_until_s) + len(frame.octets) * self._timing.octet_s
        if self._exchange is not None:
            self._exchange.deadline_s = self._sent_until_s + self._timing.response_timeout_s
        return [Send(address, frame)]

    def _is_port_full(self, now: float) -> bool:
        longest_s = LONGEST_FRAME * self._timing.octet_s
        return self._sent_until_s - now > self._timing.port_frames * longest_s

    @staticmethod
    def _forget_the_absent(exchange: Exchange) -> None:
        """Await nothing more of a master that is gone: neither its confirm nor the rest of its request."""
        if exchange.awaits in _AWAITS_MASTER:
            exchange.awaits = Awaits.NOTHING

    def _go_on(self, now: float) -> list[Step]:
        """After a step of the exchange: hand the line on if that was its last."""
        if self._exchange is None or self._exchange.awaits is not Awaits.NOTHING:
            return []
        outcome = Outcome.ANSWERED if self._exchange.is_answered else Outcome.UNANSWERED
        return self._finish(outcome, now) + self._start_next(now)

    def _finish(self, outcome: Outcome, now: float) -> list[Step]:
        exchange = self._exchange
        assert exchange is not None
        self._exchange = None
        return [Finished(exchange.address, outcome, now - exchange.started_s)]

    def _drop_superseded(self, session: Hashable, address: int) -> list[Step]:
        return self._drop_waiting(Drop.SUPERSEDED, session=session, address=address, stimuli=_ASKS_ANEW)

    def _drop_waiting(
        self,
        reason: Drop,
        *,
        session: Hashable | None = None,
        address: int | None = None,
        stimuli: frozenset[Stimulus] | None = None,
    ) -> list[Step]:
        """Drop what waits, of one session, outstation and meaning where these are given."""
        dropped = [
            waiting
            for waiting in self._waiting
            if (session is None or waiting.session is session)
            and (address is None or waiting.address == address)
            and (stimuli is None or waiting.reading.stimulus in stimuli)
        ]
        for waiting in dropped:
            self._waiting.remove(waiting)
        return [Dropped(waiting.address, reason) for waiting in dropped]
