"""Simulated outstations: slow, silent, talkative, wrong."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from bridge.link.control import Control, LinkFunction
from bridge.link.frame import Frame
from tests.routing.bus.clock import Clock
from tests.routing.bus.records import FIN, FIR, Answer, Ask, Kind, Submission, tag
from tests.routing.bus.scenario import Traits
from tests.routing.bus.wire import Wire

_RESPONSE, _UNSOLICITED = 129, 130
_BROADCASTS = 0xFFFD


@dataclass(slots=True)
class _Plan:
    """An answer's fragments still to come, of which the next one waits for a confirm."""

    ask: Ask
    sequence: int
    fragments_left: int
    answer: Answer


class Rtu:
    """One outstation on the wire."""

    def __init__(
        self,
        address: int,
        neighbours: list[int],
        masters: list[int],
        traits: Traits,
        *,
        clock: Clock,
        wire: Wire,
        rng: random.Random,
        response_timeout_s: float,
        enrol: Callable[[Rtu, Ask | None, int, bool, bool], Answer],
    ) -> None:
        self.address = address
        self._neighbours, self._masters, self._traits = neighbours, masters, traits
        self._clock, self._wire, self._rng = clock, wire, rng
        self._timeout_s = response_timeout_s
        self._enrol = enrol
        self._generation = 0
        self._parts: list[Submission] = []
        self._plan: _Plan | None = None
        self._unsolicited_sequence = 0
        self._saying: list[bytes] = []
        """The frames that it has begun to say: nothing else comes between them."""
        clock.after(rng.expovariate(1 / (traits.unsolicited_every * response_timeout_s)), self._speak_up)

    def receive(self, submission: Submission) -> None:
        """Take a frame that reached the outstations: whole, as the wire does not carry others."""
        frame = submission.frame
        if frame.destination != self.address:
            if frame.destination >= _BROADCASTS:
                self._parts = []
            return
        if frame.control.function is LinkFunction.CONFIRMED_USER_DATA:
            self._reply(LinkFunction.ACK, frame.source)
        if submission.ask.kind is Kind.LINK:
            if frame.control.is_primary:
                is_status = frame.control.function is LinkFunction.REQUEST_LINK_STATUS
                self._reply(LinkFunction.LINK_STATUS if is_status else LinkFunction.ACK, frame.source)
            return
        if submission.index == 0:
            self._parts = []
        if submission.index != len(self._parts):
            return
        self._parts.append(submission)
        if submission.is_last:
            self._parts = []
            self._take(submission.ask)

    def _take(self, ask: Ask) -> None:
        rng, traits = self._rng, self._traits
        if ask.kind is Kind.CONFIRM:
            plan = self._plan
            if plan is not None and ask.origin is not None and plan.answer.sequence == ask.sequence:
                self._plan = None
                if plan.fragments_left:
                    self._answer(plan.ask, (plan.sequence + 1) % 16, plan.fragments_left - 1)
            return
        if rng.random() < traits.forgets:
            self._generation += 1
        self._plan = None
        if ask.kind is Kind.UNANSWERED or ask.sequence is None or rng.random() < traits.silent:
            return
        self._answer(ask, ask.sequence, rng.randrange(traits.fragments))

    def _answer(self, ask: Ask, sequence: int, fragments_left: int) -> None:
        """Plan a fragment, and those that follow it unasked."""
        rng, traits = self._rng, self._traits
        delay_s = rng.random() * rng.choice((0.1, traits.slowest)) * self._timeout_s
        # What the quarantine promises ends two response timeouts after the request: what is not said by
        # then is never said.
        latest_s = self._clock.now + 1.95 * self._timeout_s
        is_unasked = fragments_left > 0 and rng.random() < traits.unasked_fragments
        asks_confirm = not is_unasked and (fragments_left > 0 or rng.random() < traits.asks_confirm)
        answer = self._enrol(self, ask, sequence, asks_confirm, fragments_left == 0)
        source, destination = self.address, ask.source
        if rng.random() < traits.wrong_sequence:
            sequence = (sequence + 8) % 16
            answer.keeps_the_rules = False
        if rng.random() < traits.wrong_source:
            source = rng.choice(self._neighbours)
            answer.keeps_the_rules = False
        if rng.random() < traits.wrong_master:
            destination = rng.choice([*self._masters, 77])
            answer.keeps_the_rules = False
        segments = rng.randint(1, traits.segments)
        if rng.random() < traits.endless:
            segments = 400
            answer.keeps_the_rules = False
        is_first = sequence == ask.sequence
        control = (0x80 if is_first else 0) | (0x40 if fragments_left == 0 else 0)
        control |= (0x20 if asks_confirm else 0) | sequence
        if asks_confirm:
            self._plan = _Plan(ask, answer.sequence, fragments_left, answer)
        frames = self._segments(answer, source, destination, control, _RESPONSE, segments)
        self._start(frames, delay_s, latest_s)
        if is_unasked or rng.random() < traits.repeats:
            follows = self._enrol(self, ask, answer.sequence + is_unasked, False, True)
            follows.keeps_the_rules = False
            control = 0x40 | (answer.sequence + is_unasked) % 16
            more = self._segments(follows, source, destination, control, _RESPONSE, 1)
            self._start(more, delay_s + 0.1 * self._timeout_s, latest_s)

    def _speak_up(self) -> None:
        rng = self._rng
        if rng.random() < 0.1:
            link = Control.build(LinkFunction.RESET_LINK_STATES, from_master=False)
            self._start(
                [Frame.build(link, rng.choice(self._masters), self.address).octets], 0.0, float("inf")
            )
        else:
            answer = self._enrol(self, None, self._unsolicited_sequence, True, True)
            self._unsolicited_sequence = (self._unsolicited_sequence + 1) % 16
            control = 0xF0 | answer.sequence
            frames = self._segments(
                answer, self.address, rng.choice(self._masters), control, _UNSOLICITED, rng.randint(1, 2)
            )
            self._start(frames, 0.0, float("inf"))
        every_s = self._traits.unsolicited_every * self._timeout_s
        self._clock.after(rng.expovariate(1 / every_s), self._speak_up)

    def _reply(self, function: LinkFunction, to: int) -> None:
        control = Control.build(function, from_master=False)
        frame = Frame.build(control, to, self.address)
        delay_s = self._rng.random() * 0.1 * self._timeout_s
        self._start([frame.octets], delay_s, self._clock.now + self._timeout_s)

    def _segments(
        self, answer: Answer, source: int, destination: int, control: int, function: int, count: int
    ) -> list[bytes]:
        link = Control.build(LinkFunction.UNCONFIRMED_USER_DATA, from_master=False)
        frames = []
        for index in range(count):
            transport = (FIR if index == 0 else 0) | (FIN if index == count - 1 else 0) | index % 64
            header = bytes((control, function, 0, 0)) if index == 0 else b""
            rest = bytes(self._rng.choice((0, 8, 40)))
            data = bytes((transport,)) + header + tag(answer) + rest
            frames.append(Frame.build(link, destination, source, data).octets)
        return frames

    def _start(self, frames: list[bytes], delay_s: float, latest_s: float) -> None:
        """Say frames one after the other; the first must have been said by `latest_s`."""
        generation = self._generation
        is_polite = self._rng.random() < self._traits.listens
        left = list(frames)

        def say() -> None:
            now = self._clock.now
            is_first = len(left) == len(frames)
            if is_first and generation != self._generation:
                return
            busy_until_s = self._wire.busy_until_s()
            if self._saying and self._saying is not left:
                self._clock.after(0.02, say)
                return
            if is_polite and busy_until_s >= now:
                self._clock.at(busy_until_s + self._rng.uniform(0.001, 0.02), say)
                return
            ends_s = now + len(left[0]) * self._wire.octet_s
            if is_first and ends_s > latest_s:
                return
            self._saying = left
            self._wire.say(left.pop(0))
            if left:
                self._clock.at(ends_s + self._rng.choice((0.0, 0.001, 0.02)) + 1e-6, say)

        self._clock.after(delay_s, say)
