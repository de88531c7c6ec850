"""One run by seed: drives `Turn` the way the hub does, in virtual time."""

from __future__ import annotations

import random
from dataclasses import replace

from bridge.link.framer import LinkErrorMode, LinkFramer
from bridge.routing.steps import Deliver, Step
from bridge.routing.turn import Turn
from tests.routing.bus.clock import Clock
from tests.routing.bus.masters import Master
from tests.routing.bus.outstations import Rtu
from tests.routing.bus.records import Answer, Ask, Session, Submission, tag_of
from tests.routing.bus.referee import Books, Referee, Rule
from tests.routing.bus.scenario import Scenario, scenario_of
from tests.routing.bus.wire import Wire

_FIRST_ADDRESS = 10
_EARLY_CALLS = 0.05
_MOST_IDLE_WAKES = 3
_CALM_S = 1.0


def run(seed: int, *, lasts: float = 1.0) -> Books:
    """Run one seed and return what happened. Raises `ViolationError` when a rule is broken."""
    scenario = scenario_of(seed)
    return Simulator(replace(scenario, lasts_s=scenario.lasts_s * lasts)).run()


class Simulator:
    """A bus with everybody on it."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario, self._timing = scenario, scenario.timing
        self._rng = random.Random(scenario.seed + 1_000_000)
        self._clock = Clock()
        self._wire = Wire(self._clock, self._timing, scenario.faults, self._rng)
        self._wire.hear, self._wire.reached = self._hear, self._reached
        self._referee = Referee(self._clock, self._timing, self._wire, latest_wake_s=scenario.latest_wake_s)
        self._turn = Turn(self._timing)
        self._framer = LinkFramer(LinkErrorMode.DISCARD, frame_timeout_s=self._timing.quiet_s)
        self._discards_seen = self._crc_errors_seen = 0
        self._asks = self._answers = self._sessions = 0
        self._masters: dict[Session, Master] = {}
        self._waiting: dict[Session, int] = {}
        self._idle_wakes = 0
        self._late_for: tuple[float, float] = (0.0, 0.0)
        addresses = [_FIRST_ADDRESS + index for index in range(scenario.outstations)]
        for address in addresses:
            self._turn.add_station(address)
            self._referee.add_outstation(address)
        self._shares = [addresses[index :: scenario.sessions] for index in range(scenario.sessions)]
        sources = [1 if scenario.shares_master_address else 1 + index for index in range(scenario.sessions)]
        self._sources = sources
        self._rtus = [
            Rtu(
                address,
                [each for each in addresses if each != address] or [99],
                sources,
                scenario.traits[index],
                clock=self._clock,
                wire=self._wire,
                rng=self._rng,
                response_timeout_s=self._timing.response_timeout_s,
                enrol=self._enrol,
            )
            for index, address in enumerate(addresses)
        ]

    def run(self) -> Books:
        """Run to the end and return what happened."""
        self._line_up()
        for index in range(self._scenario.sessions):
            self._begin_session(index, {})
        self._schedule_faults()
        while self._clock.now < self._scenario.lasts_s:
            self._step()
        self._clock.clear()
        self._drain()
        for session in list(self._masters):
            self._end(session)
        self._referee.balance()
        return self._referee.books

    # Line, as masters see it

    def submit(self, submission: Submission) -> None:
        """Take a master's frame."""
        ask = submission.ask
        ask.session.has_broadcast |= ask.is_broadcast
        self._referee.submits(submission)
        self._see(self._turn.submit(ask.session, ask.address, submission.frame, self._clock.now))

    def new_ask(self, ask: Ask) -> Ask:
        """Give a request its number."""
        self._asks += 1
        ask.number = self._asks
        return ask

    # What the hub does

    def _hear(self, octets: bytes) -> None:
        now = self._clock.now
        frames = self._framer.receive(octets, now)
        self._see(self._turn.heard(now, len(octets), self._framer.half_heard_until(now)))
        self._take(frames)

    def _take(self, frames: list) -> None:  # type: ignore[type-arg]
        counters = self._framer.counters
        discards = counters.discards.total()
        if discards != self._discards_seen:
            self._discards_seen = discards
            self._turn.damaged(counters.crc_errors - self._crc_errors_seen)
            self._crc_errors_seen = counters.crc_errors
        for frame in frames:
            self._referee.hears(frame)
            first, *others = self._turn.receive(frame, self._clock.now)
            self._see([first], is_of_line=True)
            self._see(others)

    def _on_timer(self) -> None:
        now = self._clock.now
        self._take(self._framer.on_deadline(now))
        self._see(self._turn.on_deadline(now))

    def _next_deadline_s(self) -> float:
        deadlines = self._framer.next_deadline(), self._turn.next_deadline()
        return min((each for each in deadlines if each is not None), default=float("inf"))

    def _see(self, steps: list[Step], *, is_of_line: bool = False) -> None:
        for step in steps:
            self._referee.see(step, is_of_line=is_of_line)
            if isinstance(step, Deliver):
                number = tag_of(step.frame)
                answer = None if number is None else self._referee.answers[number]
                self._masters[step.session].receive(step.frame, answer)  # type: ignore[index]

    # Time

    def _step(self) -> None:
        """Let the next thing happen: an event, or the timer, which is late at times."""
        due_s = self._next_deadline_s()
        if self._late_for[0] != due_s:
            self._late_for = due_s, self._rng.choice((0.0, self._scenario.latest_wake_s))
        wake_s = due_s + self._late_for[1]
        if self._clock.next_s() <= wake_s:
            self._clock.step()
            self._idle_wakes = 0
            if self._rng.random() < _EARLY_CALLS:
                self._call_early()
        else:
            self._wake(wake_s)
        self._check()

    def _wake(self, wake_s: float) -> None:
        self._clock.now = max(self._clock.now, wake_s)
        self._on_timer()
        self._idle_wakes += 1
        if self._next_deadline_s() > self._clock.now:
            self._idle_wakes = 0
        elif self._idle_wakes > _MOST_IDLE_WAKES:
            raise self._referee.breaks(Rule.LIVELY, "the timer fires again and again and nothing happens")

    def _call_early(self) -> None:
        deadline = self._turn.next_deadline()
        if deadline is not None and deadline <= self._clock.now:
            return
        before = self._turn.waiting_frames, self._turn.is_busy, self._turn.is_babbling
        steps = self._turn.on_deadline(self._clock.now)
        after = self._turn.waiting_frames, self._turn.is_busy, self._turn.is_babbling
        if steps or before != after or self._turn.next_deadline() != deadline:
            raise self._referee.breaks(Rule.EARLY, f"{deadline}: {steps}, {before}, {after}")

    def _check(self) -> None:
        turn = self._turn
        if (turn.is_busy or turn.waiting_frames) and turn.next_deadline() is None:
            raise self._referee.breaks(Rule.LIVELY, "something waits and no time is set")
        waiting = {session: turn.waiting_of(session) for session in self._masters}
        both = {session: min(frames, self._waiting.get(session, 0)) for session, frames in waiting.items()}
        self._waiting = waiting
        self._referee.count_turns(both)
        self._referee.check_limit()

    def _drain(self) -> None:
        """Nobody says anything any more: what waits must come to an end by the timer alone."""
        timing = self._timing
        most_s = timing.request_ttl_s + timing.exchange_limit_s + timing.quiet_s + _CALM_S + 1.0
        last_s = self._clock.now + most_s
        while (due_s := self._next_deadline_s()) != float("inf"):
            if due_s > last_s:
                raise self._referee.breaks(Rule.LIVELY, f"the timer is still set for {due_s}")
            self._wake(due_s)
            self._check()
            self._clock.clear()
        if self._turn.is_busy or self._turn.waiting_frames:
            raise self._referee.breaks(Rule.LIVELY, f"{self._turn.waiting_frames} frames wait for ever")

    # Everybody else

    def _reached(self, submission: Submission) -> None:
        for rtu in self._rtus:
            rtu.receive(submission)

    def _enrol(self, rtu: Rtu, ask: Ask | None, sequence: int, asks_confirm: bool, is_last: bool) -> Answer:
        self._answers += 1
        answer = Answer(self._answers, rtu.address, ask, sequence % 16, asks_confirm, is_last)
        self._referee.answers[answer.number] = answer
        return answer

    def _begin_session(self, index: int, sequences: dict[int, int]) -> None:
        """Let a master connect; it goes on with the sequences of the one before, or with any."""
        self._sessions += 1
        session = Session(f"session {self._sessions}")
        timing = self._timing
        if sequences:
            session.exempt_until_s = (
                self._clock.now + timing.exchange_limit_s + 3 * timing.response_timeout_s + 0.1
            )
        is_same = self._rng.random() < 0.7
        firsts = {
            address: (sequences[address] - 1) % 16 if is_same and sequences else self._rng.randrange(16)
            for address in self._shares[index]
        }
        for address in firsts:
            self._turn.attach(session, address)
            self._referee.owners[address] = session
        self._masters[session] = Master(
            session,
            self._sources[index],
            firsts,
            self._scenario.manners[index],
            clock=self._clock,
            line=self,
            rng=self._rng,
            response_timeout_s=timing.response_timeout_s,
        )
        hangs_up_every = self._scenario.manners[index].hangs_up_every
        ends_every = hangs_up_every or self._scenario.faults.session_ends_every
        ends_s = self._rng.expovariate(1 / (ends_every * timing.response_timeout_s))

        def end() -> None:
            last = self._end(session).sequences()
            gap_s = 0.0 if hangs_up_every else self._rng.choice((0.0, 0.0, 0.5)) * timing.response_timeout_s
            self._clock.after(gap_s, lambda: self._begin_session(index, last))

        self._clock.after(ends_s, end)

    def _end(self, session: Session) -> Master:
        self._referee.ends(session)
        master = self._masters.pop(session)
        self._see(self._turn.detach(session, self._clock.now))
        return master

    def _line_up(self) -> None:
        self._framer.reset()
        self._turn.line_up()
        self._wire.is_port_open = True

    def _line_down(self) -> None:
        self._framer.reset()
        self._wire.cut()
        self._see(self._turn.line_down(self._clock.now))
        self._referee.line_fails()
        self._clock.after(self._rng.random() * self._timing.response_timeout_s, self._line_up)
        self._schedule(self._scenario.faults.line_fails_every, self._line_down, at_least_s=10.0)

    def _schedule_faults(self) -> None:
        self._schedule(self._scenario.faults.line_fails_every, self._line_down)
        self._schedule(self._scenario.faults.babble_every, self._babble)

    def _schedule(self, every: float, happen: object, *, at_least_s: float = 0.0) -> None:
        delay_s = self._rng.expovariate(1 / (every * self._timing.response_timeout_s))
        self._clock.after(at_least_s + delay_s, happen)  # type: ignore[arg-type]

    def _babble(self) -> None:
        ends_s = self._clock.now + 1.5 * self._timing.babble_s

        def talk() -> None:
            until_s = self._wire.say(self._rng.randbytes(self._rng.randint(1, 20)), is_frame=False)
            if self._clock.now < ends_s:
                self._clock.at(until_s + self._rng.uniform(0.3, 0.8) * self._timing.quiet_s, talk)

        talk()
        self._schedule(self._scenario.faults.babble_every, self._babble)
