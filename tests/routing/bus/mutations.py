"""Faults put into the bus on purpose, each of which must make the referee report the rule that it breaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from bridge.link.frame import Frame
from bridge.routing.assembly import Assembly, Refused, Request
from bridge.routing.carrier import Carrier
from bridge.routing.debts import Debts
from bridge.routing.exchange import Exchange, Outcome
from bridge.routing.queue import Queue
from bridge.routing.steps import Send, Step
from bridge.routing.turn import Turn
from bridge.routing.unheard import Unheard
from bridge.routing.wire import Wire
from tests.routing.bus.referee import Rule

Patch = pytest.MonkeyPatch


class Mutation(NamedTuple):
    """A fault and the rule that it breaks."""

    rule: Rule
    name: str
    apply: Callable[[Patch], None]
    first_seed: int = 0
    """Where to look first: a seed that was seen to show it. Another one does when the rules have changed."""


def _anything_follows(patch: Patch) -> None:
    def followed(self: Turn, exchange: Exchange, session: object, address: int, reading: object) -> bool:
        return exchange.is_with(session, address)

    patch.setattr(Turn, "_is_followed", followed)


def _deaf(patch: Patch) -> None:
    patch.setattr(Carrier, "heard", lambda self, now, half_heard_until_s: None)


def _hears_whole_frames_only(patch: Patch) -> None:
    heard = Carrier.heard
    patch.setattr(Carrier, "heard", lambda self, now, half_heard_until_s: heard(self, now, None))


def _instant_port(patch: Patch) -> None:
    free = property(lambda self: max(self.silent_from_s, self._dead_until_s))
    patch.setattr(Carrier, "free_from_s", free)


def _no_post_transmit(patch: Patch) -> None:
    free = property(lambda self: max(self.silent_from_s, self.sent_until_s, self._dead_until_s))
    patch.setattr(Carrier, "free_from_s", free)


def _no_dead_time(patch: Patch) -> None:
    patch.setattr(Carrier, "keep_silent", lambda self: None)


def _encodes_anew(patch: Patch) -> None:
    send = Wire.send_next

    def altered(self: Wire, exchange: Exchange, now: float) -> Step:
        step = send(self, exchange, now)
        assert isinstance(step, Send)
        frame = step.frame
        return Send(step.address, Frame.build(frame.control, frame.destination, 2, frame.user_data))

    patch.setattr(Wire, "send_next", altered)


def _sends_twice(patch: Patch) -> None:
    begin = Wire.begin

    def twice(self: Wire, waiting: Any, now: float) -> None:
        begin(self, waiting, now)
        assert self.exchange is not None
        self.exchange.outbox.append((waiting.frames[-1], True))

    patch.setattr(Wire, "begin", twice)


def _last_segment_first(patch: Patch) -> None:
    take = Assembly.take

    def reversed_take(self: Assembly, *args: Any, **times: float) -> list[Request | Refused]:
        return [
            each._replace(frames=each.frames[::-1]) if isinstance(each, Request) else each
            for each in take(self, *args, **times)
        ]

    patch.setattr(Assembly, "take", reversed_take)


def _never_expires(patch: Patch) -> None:
    patch.setattr(Queue, "remove_expired", lambda self, now: [])
    patch.setattr(Queue, "next_expiry", lambda self: None)


def _controls_live_as_long(patch: Patch) -> None:
    patch.setattr(Turn, "_ttl_s", lambda self, reading: self._timing.request_ttl_s)


def _any_outstation_answers(patch: Patch) -> None:
    accepts = Exchange.accepts_answer

    def lenient(self: Exchange, frame: Frame, reading: Any, now: float, **owed: bool) -> bool:
        address, self.address = self.address, frame.source
        try:
            return accepts(self, frame, reading, now, **owed)
        finally:
            self.address = address

    patch.setattr(Exchange, "accepts_answer", lenient)


def _any_sequence_answers(patch: Patch) -> None:
    accepts = Exchange.accepts_answer

    def lenient(self: Exchange, frame: Frame, reading: Any, now: float, **owed: bool) -> bool:
        return accepts(self, frame, replace(reading, sequence=self.sequence), now, **owed)

    patch.setattr(Exchange, "accepts_answer", lenient)


def _continuations_are_answers(patch: Patch) -> None:
    accepts = Exchange.accepts_answer

    def lenient(self: Exchange, frame: Frame, reading: Any, now: float, **owed: bool) -> bool:
        return accepts(self, frame, replace(reading, is_continuation=False), now, **owed)

    patch.setattr(Exchange, "accepts_answer", lenient)


def _later_segments_always_belong(patch: Patch) -> None:
    accepts = Exchange.accepts_answer

    def lenient(self: Exchange, frame: Frame, reading: Any, now: float, **owed: bool) -> bool:
        self.is_in_fragment = True
        return accepts(self, frame, reading, now, **owed)

    patch.setattr(Exchange, "accepts_answer", lenient)


def _no_quarantine(patch: Patch) -> None:
    patch.setattr(Debts, "safe_from_s", lambda self, session, frame, reading: 0.0)
    patch.setattr(Debts, "is_to_another", lambda self, exchange, frame, reading, now: False)


def _short_quarantine(patch: Patch) -> None:
    give_up = Debts.give_up
    patch.setattr(Debts, "give_up", lambda self, exchange, until_s: give_up(self, exchange, exchange.sent_s))


def _no_jump_limit(patch: Patch) -> None:
    patch.setattr(
        Queue,
        "_choose",
        lambda self, able, now: min(able, key=lambda each: (each.rank, self._last_turns(each))),
    )


def _last_come_first_served(patch: Patch) -> None:
    patch.setattr(
        Queue,
        "_choose",
        lambda self, able, now: max(able, key=lambda each: self._last_turn.get(each.session, 0)),
    )


def _new_sessions_first(patch: Patch) -> None:
    add = Queue.add

    def first(self: Queue, waiting: Any) -> None:
        is_new = waiting.session not in self._last_turn
        add(self, waiting)
        if is_new:
            self._last_turn[waiting.session] = -1

    patch.setattr(Queue, "add", first)


def _speaks_into_the_late_answer(patch: Patch) -> None:
    patch.setattr(Unheard, "safe_from_s", lambda self, candidate, waiting: float("-inf"))


def _broadcasts_any_time(patch: Patch) -> None:
    starts = Turn._starts_from_s

    def early(self: Turn, waiting: Any) -> float:
        return 0.0 if waiting.frames[0].destination >= 0xFFFD else starts(self, waiting)

    patch.setattr(Turn, "_starts_from_s", early)


def _drops_in_silence(patch: Patch) -> None:
    drop = Turn._drop_waiting

    def silent(self: Turn, *args: Any) -> list[Step]:
        drop(self, *args)
        return []

    patch.setattr(Turn, "_drop_waiting", silent)


def _no_limit(patch: Patch) -> None:
    def ends_s(self: Wire, exchange: Exchange) -> float:
        most_s = exchange.deadline_s + self._timing.response_timeout_s
        return max(exchange.deadline_s, min(self.carrier.speaking_until_s, most_s))

    patch.setattr(Wire, "ends_s", ends_s)


def _no_timer_for_the_queue(patch: Patch) -> None:
    deadline = Turn.next_deadline
    patch.setattr(Turn, "next_deadline", lambda self: deadline(self) if self.is_busy else None)


def _timer_in_the_past(patch: Patch) -> None:
    deadline = Turn.next_deadline
    patch.setattr(Turn, "next_deadline", lambda self: 0.0 if self.waiting_frames else deadline(self))


def _every_wake_is_a_timeout(patch: Patch) -> None:
    on_deadline = Turn.on_deadline

    def hasty(self: Turn, now: float) -> list[Step]:
        wire = self._wire
        steps = [] if wire.exchange is None else wire.finish(wire.exchange, Outcome.TIMED_OUT, now)
        return [*steps, *on_deadline(self, now)]

    patch.setattr(Turn, "on_deadline", hasty)


MUTATIONS = [
    Mutation(Rule.ONE_TRANSACTION, "any frame of the session follows", _anything_follows),
    Mutation(Rule.LISTENS, "deaf", _deaf),
    Mutation(Rule.LISTENS, "half a frame is no reason to wait", _hears_whole_frames_only, 6),
    Mutation(Rule.OWN_OCTETS, "octets take no time", _instant_port),
    Mutation(Rule.OWN_OCTETS, "no post-transmit delay", _no_post_transmit),
    Mutation(Rule.DEAD_TIME, "no dead time", _no_dead_time),
    Mutation(Rule.VERBATIM, "frames are encoded anew", _encodes_anew),
    Mutation(Rule.VERBATIM, "a frame is sent twice", _sends_twice),
    Mutation(Rule.BACK_TO_BACK, "the last segment goes first", _last_segment_first),
    Mutation(Rule.IN_TIME, "nothing expires", _never_expires),
    Mutation(Rule.IN_TIME, "controls live as long as reads", _controls_live_as_long),
    Mutation(Rule.RIGHT_SESSION, "any outstation may answer", _any_outstation_answers),
    Mutation(Rule.RIGHT_ANSWER, "any sequence answers", _any_sequence_answers, 12),
    Mutation(Rule.RIGHT_ANSWER, "the rest of an answer is an answer", _continuations_are_answers, 47),
    Mutation(Rule.RIGHT_ANSWER, "later segments always belong", _later_segments_always_belong, 19),
    Mutation(Rule.RIGHT_ANSWER, "no quarantine", _no_quarantine, 114),
    Mutation(Rule.RIGHT_ANSWER, "the quarantine is too short", _short_quarantine, 114),
    Mutation(Rule.FAIR, "no limit to jumps", _no_jump_limit, 384),
    Mutation(Rule.FAIR, "who had the last turn is next", _last_come_first_served, 3),
    Mutation(Rule.FAIR, "hanging up is a way to the front", _new_sessions_first, 186),
    Mutation(Rule.LATE_ANSWER, "asking anew hands the line on at once", _speaks_into_the_late_answer),
    Mutation(Rule.SELECTION, "broadcasts go at any time", _broadcasts_any_time, 38),
    Mutation(Rule.BOOKS, "drops are not told", _drops_in_silence),
    Mutation(Rule.LIMIT, "no limit to exchanges", _no_limit, 6),
    Mutation(Rule.LIVELY, "no timer for the queue", _no_timer_for_the_queue),
    Mutation(Rule.LIVELY, "the timer is in the past", _timer_in_the_past),
    Mutation(Rule.EARLY, "every wake is a timeout", _every_wake_is_a_timeout),
]
