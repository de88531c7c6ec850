"""The rules of the bus, checked at every step against what really happened on the wire."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import cast

from bridge.application.function import CONTROLS
from bridge.link.frame import Frame
from bridge.routing.diagnosis import Diagnosis
from bridge.routing.drop import Drop
from bridge.routing.exchange import Outcome
from bridge.routing.steps import Babble, Deliver, Dropped, Finished, Send, Step
from bridge.routing.timing import Timing
from tests.routing.bus.clock import Clock
from tests.routing.bus.records import FIR, Answer, Ask, Kind, Session, Submission, tag_of
from tests.routing.bus.wire import Wire

_EPSILON_S = 1e-6
_LOG_LINES = 40
_MOST_FRAGMENTS = 4
_JUMPS = 4
"""How many turns the queue may give out of order (its rule 2)."""


class Rule(StrEnum):
    """What must hold for every seed."""

    ONE_TRANSACTION = "one transaction at a time"
    LISTENS = "nobody is interrupted"
    OWN_OCTETS = "an exchange begins when our last octet has left"
    DEAD_TIME = "the line is silent after a broadcast"
    VERBATIM = "what is sent is what was submitted, once"
    BACK_TO_BACK = "the segments of a request are contiguous"
    IN_TIME = "nothing is sent late"
    RIGHT_SESSION = "answers go to the session that asked"
    RIGHT_ANSWER = "no stale answer is delivered"
    FAIR = "no session starves"
    LATE_ANSWER = "no other outstation is asked while a superseded answer may come"
    SELECTION = "no other broadcast between SELECT and OPERATE"
    BOOKS = "every frame and every exchange ends once"
    LIMIT = "no exchange outlasts its limit"
    LIVELY = "nothing waits for ever"
    EARLY = "early calls change nothing"


class ViolationError(AssertionError):
    """A rule was broken."""

    def __init__(self, rule: Rule, now: float, what: str) -> None:
        super().__init__(f"{rule.name} at {now:.6f} s: {what}")
        self.rule = rule


@dataclass(slots=True)
class Books:
    """What happened, for the balance and for the coverage of a run."""

    submitted: Counter[int] = field(default_factory=Counter)
    sent: Counter[int] = field(default_factory=Counter)
    dropped: Counter[int] = field(default_factory=Counter)
    """Of masters' frames, by outstation."""
    drops: Counter[Drop] = field(default_factory=Counter)
    delivered: int = 0
    opened: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    babbles: int = 0


@dataclass(slots=True, eq=False)
class _Open:
    """The exchange on the wire, as the referee saw it begin."""

    ask: Ask
    started_s: float
    is_heard_of: bool = False
    """Whether anything was delivered of its answer."""
    sent_until_s: float = 0.0
    """When the last octet of its request leaves."""


class Referee:
    """Watches steps, in order. `owners` says whose each outstation is now."""

    def __init__(self, clock: Clock, timing: Timing, wire: Wire, *, latest_wake_s: float) -> None:
        self._clock, self._timing, self._wire = clock, timing, wire
        self._latest_wake_s = latest_wake_s
        self.owners: dict[int, Session | None] = {}
        self.books = Books()
        self.outcomes: dict[int, Counter[Outcome]] = {}
        self.diagnoses: dict[int, Diagnosis] = {}
        self.answers: dict[int, Answer] = {}
        self._submissions: dict[int, Submission] = {}
        self._open: _Open | None = None
        self._next_segment: tuple[Ask, int] | None = None
        self._silent_until_s = float("-inf")
        self._late_answer: tuple[int | None, float] = (None, float("-inf"))
        """Whose answer to a superseded request may still come, and until when."""
        self._selections: dict[int, tuple[Session, float]] = {}
        self._most_sessions = 0
        self._overtaken: dict[Session, int] = {}
        self._turns_to_count: list[Session] = []
        self._is_babbling = False
        self._heard: Answer | None = None
        """What the frame heard last is a segment of."""
        self._begun: dict[int, Answer] = {}
        """The fragment whose first segment was heard last, by outstation."""
        self._log: deque[tuple[float, str, object]] = deque(maxlen=_LOG_LINES)

    # What the simulator tells

    def add_outstation(self, address: int) -> None:
        """Open the books of one outstation."""
        self.owners[address] = None
        self.outcomes[address] = Counter()
        self.diagnoses[address] = Diagnosis(response_timeout_s=self._timing.response_timeout_s)

    def submits(self, submission: Submission) -> None:
        """Take note of a frame that a master is about to submit."""
        self.note("submits", submission)
        self._submissions[id(submission.frame)] = submission
        self.books.submitted[submission.ask.address] += 1

    def ends(self, session: Session) -> None:
        """Take note of a session that is about to end."""
        self.note("ends", session)
        session.is_open = False
        self._overtaken.pop(session, None)
        self._selections = {at: each for at, each in self._selections.items() if each[0] is not session}
        for address, owner in self.owners.items():
            if owner is session:
                self.owners[address] = None

    def line_fails(self) -> None:
        """Take note of a port that is about to go."""
        self.note("line fails", "")
        self._selections.clear()
        self._late_answer = None, float("-inf")
        self._silent_until_s = float("-inf")

    def hears(self, frame: Frame) -> None:
        """Take note of a whole frame that is heard."""
        number = tag_of(frame)
        self._heard = None if number is None else self.answers[number]
        if number is None:
            self.note("hears", frame)
            return
        answer = self.answers[number]
        self.note("hears", answer)
        if frame.user_data[0] & FIR:
            self._begun[frame.source] = answer

    def breaks(self, rule: Rule, what: str) -> ViolationError:
        """Return the error to raise, with what came before it."""
        log = "".join(f"\n  {now:.6f} {verb} {what}" for now, verb, what in self._log)
        return ViolationError(rule, self._clock.now, what + log)

    def note(self, verb: str, what: object) -> None:
        """Remember an event for the message of an error."""
        self._log.append((self._clock.now, verb, what))

    # Steps

    def see(self, step: Step, *, is_of_line: bool = False) -> None:
        """Check one step; `is_of_line` for what became of a frame that was heard."""
        self.note("=>", step)
        match step:
            case Send():
                self._see_send(step)
            case Deliver():
                self._see_delivery(step)
            case Dropped():
                self._see_drop(step, is_of_line=is_of_line)
            case Finished():
                self._see_end(step)
            case Babble(is_on):
                if is_on is self._is_babbling:
                    raise self.breaks(Rule.BOOKS, "babble did not alternate")
                self._is_babbling = is_on
                self.books.babbles += is_on

    def _see_send(self, step: Send) -> None:
        submission = self._submissions.get(id(step.frame))
        if submission is None or step.frame.octets != submission.octets or submission.is_sent:
            raise self.breaks(Rule.VERBATIM, f"{step.frame}")
        submission.is_sent = True
        ask = submission.ask
        if ask.address != step.address or not ask.session.is_open:
            raise self.breaks(Rule.VERBATIM, f"{ask} was sent for {step.address}")
        self.books.sent[step.address] += 1
        self._check_segments(submission)
        self._check_exchange(submission)
        self._check_silence()
        self._check_age(submission)
        self._check_selections(ask)
        self._wire.send(submission)
        assert self._open is not None
        if ask is self._open.ask:
            self._open.sent_until_s = self._wire.own_until_s
        if ask.is_broadcast:
            self._silent_until_s = self._wire.own_until_s + self._timing.broadcast_dead_time_s

    def _check_segments(self, submission: Submission) -> None:
        ask = submission.ask
        if self._next_segment is not None and self._next_segment != (ask, submission.index):
            raise self.breaks(Rule.BACK_TO_BACK, f"{self._next_segment} was interrupted by {ask}")
        self._next_segment = None
        exchange = self._open
        if ask.is_link_confirmed or (exchange is not None and exchange.ask.is_link_confirmed):
            # Their segments go one by one, and whatever looks like one goes with them.
            return
        if submission.index and not ask.frames[submission.index - 1].is_sent:
            raise self.breaks(Rule.BACK_TO_BACK, f"{ask}: segment {submission.index} without the one before")
        if not submission.is_last:
            if not ask.is_whole:
                raise self.breaks(Rule.BACK_TO_BACK, f"{ask} was sent before it was whole")
            self._next_segment = ask, submission.index + 1

    def _check_exchange(self, submission: Submission) -> None:
        ask, exchange = submission.ask, self._open
        if exchange is None:
            self._begin(ask)
            return
        is_of_request = ask is exchange.ask
        is_reply = ask.kind is Kind.CONFIRM or not submission.frame.control.is_primary
        is_reply = is_reply or (exchange.ask.is_link_confirmed and submission.index > 0)
        is_with = ask.session is exchange.ask.session and ask.address == exchange.ask.address
        if not (is_of_request or (is_reply and is_with)):
            raise self.breaks(Rule.ONE_TRANSACTION, f"{ask} was sent during {exchange.ask}")

    def _begin(self, ask: Ask) -> None:
        now, wire = self._clock.now, self._wire
        self._open = _Open(ask, now)
        self.books.opened += 1
        if now < wire.own_until_s + self._timing.post_transmit_s - _EPSILON_S:
            raise self.breaks(Rule.OWN_OCTETS, f"{ask}: our own octets leave until {wire.own_until_s:.6f}")
        if now < self._silent_until_s - _EPSILON_S:
            raise self.breaks(Rule.DEAD_TIME, f"{ask}: silence until {self._silent_until_s:.6f}")
        late_address, late_until_s = self._late_answer
        if ask.address != late_address and now < late_until_s - _EPSILON_S:
            raise self.breaks(Rule.LATE_ANSWER, f"{ask}: {late_address} may answer until {late_until_s:.6f}")
        self._turns_to_count.append(ask.session)

    def _check_silence(self) -> None:
        now, wire = self._clock.now, self._wire
        if now < wire.last_heard_s + self._timing.turnaround_s - _EPSILON_S:
            raise self.breaks(Rule.LISTENS, f"octets were heard at {wire.last_heard_s:.6f}")
        for talk in wire.talks:
            is_half_heard = talk.is_intact and 0 < talk.heard < len(talk.octets)
            if is_half_heard and now < talk.heard_s + self._timing.quiet_s - _EPSILON_S:
                raise self.breaks(Rule.LISTENS, f"a frame was half heard at {talk.heard_s:.6f}")

    def _check_age(self, submission: Submission) -> None:
        ask = submission.ask
        is_control = ask.function in CONTROLS
        ttl_s = self._timing.control_ttl_s if is_control else self._timing.request_ttl_s
        since_s = submission.submitted_s if ask.is_link_confirmed else ask.frames[0].submitted_s
        if self._clock.now >= since_s + ttl_s:
            raise self.breaks(Rule.IN_TIME, f"{ask} waited since {since_s:.6f}, worth {ttl_s:.6f} s")

    def _check_selections(self, ask: Ask) -> None:
        if ask.function in CONTROLS:
            self._selections.pop(ask.address, None)
        if not ask.is_broadcast:
            return
        for address, (session, until_s) in self._selections.items():
            patient_until_s = min(until_s, ask.frames[-1].submitted_s + self._timing.response_timeout_s)
            if session is not ask.session and self._clock.now < patient_until_s - _EPSILON_S:
                raise self.breaks(Rule.SELECTION, f"{ask}: {session} has selected something at {address}")

    def _see_delivery(self, step: Deliver) -> None:
        self.books.delivered += 1
        session = cast(Session, step.session)
        number = tag_of(step.frame)
        answer = None if number is None else self.answers[number]
        is_unasked = step.frame.control.is_primary and (answer is None or answer.ask is None)
        if answer is not None:
            # Without its first segment nobody can tell what a later one belongs to.
            is_unasked |= self._begun.get(step.frame.source) is not answer
        if not session.is_open or self.owners[step.address] is not session:
            raise self.breaks(Rule.RIGHT_SESSION, f"{session} does not have {step.address}")
        if is_unasked:
            return
        exchange = self._open
        if exchange is None or exchange.ask.session is not session or exchange.ask.address != step.address:
            raise self.breaks(Rule.RIGHT_SESSION, f"{session} got what it had not asked {step.address} for")
        exchange.is_heard_of = True
        if answer is not None:
            self._check_answer(exchange.ask, answer)

    def _check_answer(self, on_wire: Ask, answer: Answer) -> None:
        ask = on_wire.origin or on_wire
        if answer.ask is None:
            return
        if not answer.keeps_the_rules or answer.ask.is_tainted or ask.is_tainted:
            ask.is_tainted = True
            return
        # Within a session nobody can tell apart what has the same sequence: the answers to a repeated
        # request, or the next fragments of two answers. But the rest of one never begins another.
        ahead = (answer.sequence - (ask.sequence or 0)) % 16
        is_alike = ahead == 0 if answer.sequence == answer.ask.sequence else 0 < ahead < _MOST_FRAGMENTS
        is_repeat = is_alike and answer.ask.session is ask.session and answer.ask.address == ask.address
        if answer.ask is not ask and not is_repeat:
            raise self.breaks(Rule.RIGHT_ANSWER, f"{answer} was taken for the answer to {ask}")

    def _see_drop(self, step: Dropped, *, is_of_line: bool) -> None:
        self.books.drops[step.reason] += 1
        if step.reason is Drop.LATE and step.address == self._late_answer[0]:
            self._late_answer = None, float("-inf")
        if step.response_s is not None:
            assert step.address is not None
            self.diagnoses[step.address].answered_late(step.response_s, self._clock.now)
        if is_of_line:
            self._see_late(step.reason)
            return
        assert step.address is not None
        self.books.dropped[step.address] += 1

    def _see_late(self, reason: Drop) -> None:
        """Excuse an exchange whose own answer was taken for one owed: then the owed one is taken for its own.

        Sequences cannot tell them apart when an outstation does not answer in order.
        """
        if reason is Drop.LATE and self._open is not None and self._heard is not None:
            ask = self._open.ask.origin or self._open.ask
            ask.is_tainted |= self._heard.ask is ask

    def _see_end(self, step: Finished) -> None:
        now, exchange = self._clock.now, self._open
        if exchange is None or exchange.ask.address != step.address:
            raise self.breaks(Rule.BOOKS, f"{step} ended without a beginning")
        if self._next_segment is not None:
            raise self.breaks(Rule.BACK_TO_BACK, f"{step} ended before {self._next_segment} was sent")
        self.check_limit()
        if abs(step.elapsed_s - (now - exchange.started_s)) > _EPSILON_S:
            raise self.breaks(Rule.BOOKS, f"{step} began at {exchange.started_s}")
        self._open = None
        self.books.outcomes[step.outcome] += 1
        self.outcomes[step.address][step.outcome] += 1
        self.diagnoses[step.address].finished(step.outcome, step.elapsed_s, step.evidence, now)
        ask = exchange.ask
        self._see_supersession(exchange, step)
        is_selected = step.outcome is Outcome.ANSWERED and ask.function == 3
        if is_selected and self.owners[step.address] is ask.session:
            self._selections[step.address] = ask.session, now + self._timing.response_timeout_s

    def _see_supersession(self, exchange: _Open, step: Finished) -> None:
        """Take note of an answer that may come late, where it is certain that one was awaited."""
        ask = exchange.ask
        is_sent = ask.is_whole and all(each.is_sent for each in ask.frames)
        is_awaited = is_sent and ask.kind is Kind.ANSWERED and not exchange.is_heard_of
        if step.outcome is Outcome.SUPERSEDED and is_awaited:
            self._late_answer = ask.address, exchange.sent_until_s + self._timing.response_timeout_s

    def check_limit(self) -> None:
        """Check how long the exchange on the wire has lasted."""
        exchange = self._open
        if exchange is None:
            return
        most_s = self._timing.exchange_limit_s + self._latest_wake_s + _EPSILON_S
        if self._clock.now - exchange.started_s > most_s:
            raise self.breaks(Rule.LIMIT, f"{exchange.ask} began at {exchange.started_s:.6f}")

    # After each stimulus

    def count_turns(self, waiting: dict[Session, int]) -> None:
        """Check who was overtaken how often; `waiting` has each session's least frames of late."""
        turns, self._turns_to_count = self._turns_to_count, []
        for session, frames in waiting.items():
            if not frames or session.has_broadcast or self._clock.now < session.exempt_until_s:
                self._overtaken[session] = 0
                session.has_broadcast = session.has_broadcast and frames > 0
        for turn in turns:
            for session in waiting:
                self._overtaken[session] = 0 if session is turn else self._overtaken.get(session, 0) + 1
        # The others in turn, each after as many jumps as there may be; those who came meanwhile come behind.
        self._most_sessions = max(self._most_sessions, len(waiting))
        most = self._most_sessions * (_JUMPS + 1) + _JUMPS
        for session, times in self._overtaken.items():
            if waiting.get(session) and times > most:
                raise self.breaks(Rule.FAIR, f"{session} waited for {times} turns of others")

    def balance(self) -> None:
        """Check the books when nothing waits any more and every session has ended."""
        books = self.books
        for address in self.owners:
            submitted = books.submitted[address]
            settled = books.sent[address] + books.dropped[address]
            if submitted != settled:
                raise self.breaks(Rule.BOOKS, f"{address}: {submitted} submitted, {settled} sent or dropped")
            self._balance_diagnosis(address)
        if books.opened != books.outcomes.total():
            raise self.breaks(Rule.BOOKS, f"{books.opened} exchanges began, {books.outcomes.total()} ended")

    def _balance_diagnosis(self, address: int) -> None:
        outcomes, diagnosis = self.outcomes[address], self.diagnoses[address]
        expected = (
            outcomes.total() - outcomes[Outcome.UNANSWERED],
            outcomes[Outcome.ANSWERED],
            outcomes[Outcome.TIMED_OUT],
        )
        if (diagnosis.requests, diagnosis.answers, diagnosis.timeouts) != expected:
            raise self.breaks(Rule.BOOKS, f"{address}: {diagnosis} does not agree with {outcomes}")
