"""Whose turn it is on a serial line: one exchange at a time, the others wait.

Rules:
  1. A frame that belongs to the exchange on the wire goes out as soon as nobody speaks. Everything else
     queues; who is next is in `queue`, when the line is free in `carrier`, what a frame heard means in
     `hearing`, when the exchange is over in `wire`.
  2. The segments of a request wait for each other and go out back to back; those that the link layer
     acknowledges one by one go out one by one.
  3. A master that asks the same outstation anew has given up its earlier request: the new one takes its
     place, on the wire as well as in the queue. The answer to the earlier one may be on its way: no other
     session's request goes into it, and where others wait the new one waits with them.
  4. When a session ends, what it had waiting is dropped. A request that it had on the wire holds the line
     until it is answered or times out, and its answer is dropped. A request that another session's owed
     answer could be mistaken for the answer of waits one more response timeout: the quarantine.
  5. What waited longer than its time to live is dropped, never sent late.
  6. After an answered SELECT no other session's broadcast goes out before the OPERATE, or before a response
     timeout: outstations forget a selection when they hear another request.

Sans-I/O: every method returns the steps to take, in order. Sessions are opaque and compared by identity.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator

from bridge.link.address import SELF_ADDRESS
from bridge.link.frame import Frame
from bridge.routing.assembly import Request
from bridge.routing.babble import BabbleGuard
from bridge.routing.drop import Drop
from bridge.routing.exchange import Awaits, Exchange, Outcome
from bridge.routing.hearing import Hearing
from bridge.routing.queue import Queue, Rank, Waiting, rank_of
from bridge.routing.station import NEVER, Station
from bridge.routing.steps import Babble, Dropped, Step, UnderWay, dropped
from bridge.routing.stimulus import Reading, Stimulus
from bridge.routing.timing import Timing
from bridge.routing.wire import Wire

_ASKS_ANEW = frozenset({Stimulus.REQUEST, Stimulus.WHOLE_REQUEST})
_BESIDE_THE_EXCHANGE = frozenset({Stimulus.LINK_REPLY, Stimulus.UNSOLICITED_CONFIRM})
"""What a master may send during an exchange without being any further in it."""
_MOST_OUTBOX_FRAMES = 16


class Turn:
    """The order of things on one line."""

    def __init__(self, timing: Timing, *, denies_broadcasts: bool = False) -> None:
        self._timing = timing
        self._denies_broadcasts = denies_broadcasts
        self._stations: dict[int, Station] = {}
        self._queue = Queue(urgent_s=timing.response_timeout_s)
        self._wire = Wire(timing, self._stations)
        self._babble = BabbleGuard(babble_s=timing.babble_s, pause_s=max(timing.quiet_s, timing.turnaround_s))
        self._hearing = Hearing(timing, self._stations, self._wire, self._babble)
        self._is_up = False

    def add_station(self, address: int) -> None:
        """Make an outstation of this line known by its link address."""
        self._stations[address] = Station()

    def deny_broadcasts(self) -> None:
        """Send no broadcast any more: an outstation of the line must not hear one."""
        self._denies_broadcasts = True

    @property
    def is_busy(self) -> bool:
        """Whether an exchange is on the wire."""
        return self._wire.exchange is not None

    @property
    def is_babbling(self) -> bool:
        """Whether somebody talks without end."""
        return self._babble.is_babbling

    @property
    def waiting_frames(self) -> int:
        """How many frames wait for their turn."""
        return self._queue.frames

    def waiting_of(self, session: Hashable) -> int:
        """How many frames of one session wait for their turn."""
        return self._queue.frames_of(session) if self._queue.waiting else 0

    def under_way(self) -> Iterator[UnderWay]:
        """Yield what sessions wait for: the request whose turn it is, then those that wait for theirs."""
        exchange = self._wire.exchange
        if exchange is not None and exchange.session is not None:
            function = exchange.reading.function
            is_sent = exchange.sent_s > 0.0
            yield UnderWay(exchange.session, exchange.address, function, exchange.started_s, is_sent=is_sent)
        for waiting in self._queue.waiting:
            function = waiting.reading.function
            yield UnderWay(waiting.session, waiting.address, function, waiting.arrived_s, is_sent=False)

    # Sessions

    def attach(self, session: Hashable, address: int) -> None:
        """Give the outstation to a session, with nothing left of the one before."""
        self._stations[address].begin_session(session)

    def detach(self, session: Hashable, now: float) -> list[Step]:
        """End a session: drop what it has waiting, orphan what it has on the wire. Harmless when repeated."""
        steps: list[Step] = []
        for address, station in self._stations.items():
            if station.session is session:
                steps += _given_up(address, station, Drop.SESSION_ENDED)
                station.begin_session(None)
        steps += self._drop_waiting(Drop.SESSION_ENDED, lambda waiting: waiting.session is session)
        self._queue.forget(session)
        exchange = self._wire.exchange
        if exchange is not None and exchange.session is session:
            steps += self._wire.abandon(exchange)
        return steps + self._go_on(now)

    # The port

    def line_up(self) -> None:
        """The port is open: frames may be sent."""
        self._is_up = True
        self._wire.reset()
        self._babble.reset()
        for station in self._stations.values():
            station.begin_line()

    def line_down(self, now: float) -> list[Step]:
        """The port is gone: everything under way has failed."""
        self._is_up = False
        steps: list[Step] = [Babble(is_on=False)] if self._babble.is_babbling else []
        self._babble.reset()
        exchange = self._wire.exchange
        if exchange is not None:
            steps += self._wire.finish(exchange, Outcome.LINE_DOWN, now, Drop.LINE_DOWN)
        for address, station in self._stations.items():
            steps += _given_up(address, station, Drop.LINE_DOWN)
        return steps + self._drop_waiting(Drop.LINE_DOWN, lambda _: True)

    # Frames of masters

    def submit(self, session: Hashable, address: int, frame: Frame, now: float) -> list[Step]:
        """Take a master's frame for the outstation at `address`."""
        station = self._stations[address]
        if station.session is not session:
            return [Dropped(address, Drop.SESSION_ENDED, frame=frame)]
        if not self._is_up:
            return [Dropped(address, Drop.LINE_DOWN, frame=frame)]
        if self._denies_broadcasts and frame.destination > SELF_ADDRESS:
            return [Dropped(address, Drop.BROADCAST_DENIED, frame=frame)]
        if station.masters is None:
            station.masters = set()
        station.masters.add(frame.source)
        reading = station.from_master.read_master(frame)
        exchange = self._wire.exchange
        if exchange is not None and self._is_followed(exchange, session, address, reading):
            if len(exchange.outbox) >= _MOST_OUTBOX_FRAMES or self._wire.carrier.is_port_full(now):
                return [Dropped(address, Drop.QUEUE_FULL, frame=frame)]
            exchange.advance(reading)
            exchange.outbox.append((frame, reading.stimulus not in _BESIDE_THE_EXCHANGE))
            return self._go_on(now)
        expires_s = now + self._ttl_s(reading)
        if station.assembly.is_needless(reading):
            request = Waiting(session, address, (frame,), reading, rank_of(reading), now, expires_s)
            return self._enqueue(request, now) + self._go_on(now)
        steps: list[Step] = []
        for settled in station.assembly.take(frame, reading, now=now, expires_s=expires_s):
            if isinstance(settled, Request):
                frames, reading, expires_s = settled
                request = Waiting(session, address, frames, reading, rank_of(reading), now, expires_s)
                steps += self._enqueue(request, now)
            else:
                steps += dropped(address, settled.frames, settled.reason)
        return steps + self._go_on(now)

    def _is_followed(self, exchange: Exchange, session: Hashable, address: int, reading: Reading) -> bool:
        """Tell whether a master's frame belongs to the exchange on the wire now."""
        if not exchange.is_with(session, address) or not exchange.is_followed_by(reading):
            return False
        return not self._stations[address].assembly.continues(reading)

    def _enqueue(self, request: Waiting, now: float) -> list[Step]:
        """Let a request wait, and drop what its master gave up for it (rule 3)."""
        steps: list[Step] = []
        session, address = request.session, request.address
        exchange = self._wire.exchange
        is_anew = request.reading.stimulus in _ASKS_ANEW
        # One that awaits nothing is not given up: its confirm only waits for the turnaround.
        is_under_way = exchange is not None and exchange.awaits is not Awaits.NOTHING
        if is_anew and exchange is not None and is_under_way and exchange.is_with(session, address):
            outcome = Outcome.ANSWERED if exchange.lacks_its_master else Outcome.SUPERSEDED
            steps += self._wire.finish(exchange, outcome, now, Drop.SUPERSEDED)
        if self._queue.waiting:
            if is_anew:
                superseded = self._queue.remove(
                    lambda waiting: (
                        waiting.session is session
                        and waiting.address == address
                        and waiting.reading.stimulus in _ASKS_ANEW
                    )
                )
                request.asking_since_s = min((each.waits_since_s for each in superseded), default=now)
                for each in superseded:
                    steps += dropped(address, each.frames, Drop.SUPERSEDED)
            if self.waiting_of(session) + len(request.frames) > self._timing.queue_frames:
                return steps + dropped(address, request.frames, Drop.QUEUE_FULL)
        self._queue.add(request)
        return steps

    def _ttl_s(self, reading: Reading) -> float:
        return self._timing.control_ttl_s if reading.is_control else self._timing.request_ttl_s

    # Octets and frames of the line

    def heard(self, now: float, octets: int, half_heard_until_s: float | None) -> list[Step]:
        """Take note of octets, before their frames: how many, and the time limit of a frame not whole yet."""
        self._wire.carrier.heard(now, half_heard_until_s)
        exchange = self._wire.exchange
        if exchange is not None:
            exchange.evidence.stray_octets += octets
        return [Babble(is_on=True)] if self._babble.heard(now) else []

    def damaged(self, crc_errors: int) -> None:
        """Take note of frames heard whose CRCs were wrong."""
        exchange = self._wire.exchange
        if exchange is not None:
            exchange.evidence.crc_errors += crc_errors

    def receive(self, frame: Frame, now: float) -> list[Step]:
        """Take a whole frame that was heard on the line."""
        exchange = self._wire.exchange
        if exchange is not None:
            # A frame may have begun before the exchange did.
            evidence = exchange.evidence
            strays = evidence.stray_octets - len(frame.octets)
            evidence.stray_octets = strays if strays > 0 else 0
        steps: list[Step] = [self._hearing.take(frame, now)]
        return steps + self._go_on(now)

    # Time

    def next_deadline(self) -> float | None:
        """When `on_deadline` should be called, or None."""
        deadline = self._babble.next_deadline() if self._babble.is_babbling else None
        exchange, waiting = self._wire.exchange, self._queue.waiting
        if exchange is not None:
            deadline = _sooner(deadline, self._wire.ends_s(exchange))
            if exchange.outbox:
                deadline = _sooner(deadline, self._wire.carrier.silent_from_s)
        elif waiting:
            starts_s = self._queue.next_start(self._starts_from_s) or 0.0
            deadline = _sooner(deadline, max(starts_s, self._wire.carrier.free_from_s))
        return _sooner(deadline, self._queue.next_expiry()) if waiting else deadline

    def on_deadline(self, now: float) -> list[Step]:
        """End what is over, start what may start. Early calls do nothing."""
        steps: list[Step] = [Babble(is_on=False)] if self._babble.on_deadline(now) else []
        exchange = self._wire.exchange
        if exchange is not None and now >= self._wire.ends_s(exchange):
            steps += self._wire.finish_in_time(exchange, now)
        return steps + self._go_on(now)

    # The line's turns

    def _go_on(self, now: float) -> list[Step]:
        """Do everything that may be done now."""
        waiting_now, wire = self._queue.waiting, self._wire
        steps: list[Step] = []
        if waiting_now:
            for expired in self._queue.remove_expired(now):
                waited_s, is_control = now - expired.arrived_s, expired.rank is Rank.CONTROL
                steps += [
                    Dropped(expired.address, Drop.EXPIRED, None, waited_s, is_control, frame)
                    for frame in expired.frames
                ]
        while True:
            exchange = wire.exchange
            if exchange is None:
                if not waiting_now or now < wire.carrier.free_from_s:
                    return steps
                waiting = self._queue.take(now, self._starts_from_s)
                if waiting is None:
                    return steps
                wire.begin(waiting, now)
            elif exchange.outbox:
                if now < wire.carrier.silent_from_s:
                    return steps
                steps.append(wire.send_next(exchange, now))
            elif exchange.awaits is Awaits.NOTHING:
                outcome = Outcome.ANSWERED if exchange.is_answered else Outcome.UNANSWERED
                steps += wire.finish(exchange, outcome, now)
            else:
                return steps

    def _starts_from_s(self, waiting: Waiting) -> float:
        """Return from when a request may start, the line's own state aside (rules 3, 4 and 6)."""
        frame = waiting.frames[0]
        heard_from_s = self._wire.unheard.safe_from_s(waiting, self._queue.waiting)
        if frame.destination > SELF_ADDRESS:
            others = (each for each in self._stations.values() if each.session is not waiting.session)
            selected_until_s = max((other.selected_until_s for other in others), default=NEVER)
            # Whoever selects again and again keeps nobody waiting for longer than one selection is good for.
            patience_s = waiting.arrived_s + self._timing.response_timeout_s
            return max(heard_from_s, min(selected_until_s, patience_s))
        debts = self._stations[waiting.address].debts
        safe_from_s = debts.safe_from_s(waiting.session, frame, waiting.reading)
        return safe_from_s if safe_from_s > heard_from_s else heard_from_s

    def _drop_waiting(self, reason: Drop, is_unwanted: Callable[[Waiting], bool]) -> list[Step]:
        return [
            step
            for waiting in self._queue.remove(is_unwanted)
            for step in dropped(waiting.address, waiting.frames, reason)
        ]


def _sooner(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return one if other is None else other
    return one if one < other else other


def _given_up(address: int, station: Station, reason: Drop) -> list[Step]:
    """Drop the segments of a request that is not whole yet."""
    return [
        step
        for refused in station.assembly.give_up(reason)
        for step in dropped(address, refused.frames, refused.reason)
    ]
