"""Simulated masters: polite, impatient, confused."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bridge.application.function import Function
from bridge.link.control import Control, LinkFunction
from bridge.link.frame import Frame
from tests.routing.bus.clock import Clock
from tests.routing.bus.records import FIN, FIR, MIDDLE, Answer, Ask, Kind, Session, Submission
from tests.routing.bus.scenario import Manners

_BROADCAST = 0xFFFF


class Line(Protocol):
    """What a master talks to."""

    def submit(self, submission: Submission) -> None:
        """Take a frame."""

    def new_ask(self, ask: Ask) -> Ask:
        """Give a request its number."""


@dataclass(slots=True)
class _Talk:
    """A master's conversation with one outstation."""

    sequence: int
    ask: Ask | None = None
    """The request whose answer is awaited."""
    segments_left: int = 0
    """Of a link-confirmed request, which go one by one."""
    generation: int = 0


class Master:
    """Everything behind one session."""

    def __init__(
        self,
        session: Session,
        source: int,
        sequences: dict[int, int],
        manners: Manners,
        *,
        clock: Clock,
        line: Line,
        rng: random.Random,
        response_timeout_s: float,
    ) -> None:
        """Begin to talk; `sequences` has the first sequence for each outstation's address."""
        self.session, self.source = session, source
        self._manners, self._clock, self._line, self._rng = manners, clock, line, rng
        self._timeout_s = response_timeout_s
        self._talks = {address: _Talk(sequence) for address, sequence in sequences.items()}
        for address in self._talks:
            self._soon(address)

    def sequences(self) -> dict[int, int]:
        """Return the sequence last used with each outstation."""
        return {address: talk.sequence for address, talk in self._talks.items()}

    # What comes back

    def receive(self, frame: Frame, answer: Answer | None) -> None:
        """Take a frame that was delivered; `answer` is what it is a segment of, None for link frames."""
        delay_s = self._rng.choice((0.0, 0.001, 0.01))
        if answer is None:
            self._receive_link(frame, delay_s)
        elif frame.user_data[0] & FIN:
            if answer.ask is None:
                if self._rng.random() >= self._manners.forgets_confirm:
                    self._confirm(frame.source, answer, delay_s, is_unsolicited=True)
            else:
                self._receive_answer(frame.source, answer, delay_s)

    def _receive_link(self, frame: Frame, delay_s: float) -> None:
        talk = self._talks.get(frame.source)
        if frame.control.is_primary:
            self._send_link(frame.source, LinkFunction.ACK, delay_s)
        elif talk is not None and talk.ask is not None:
            if talk.ask.kind is Kind.LINK or (talk.ask.kind is Kind.UNANSWERED and not talk.segments_left):
                self._settled(frame.source, talk)
            elif talk.segments_left:
                talk.segments_left -= 1
                self._submit(talk.ask, is_last=talk.segments_left == 0, delay_s=delay_s)

    def _receive_answer(self, address: int, answer: Answer, delay_s: float) -> None:
        talk = self._talks.get(address)
        if talk is None:
            return
        manners, rng = self._manners, self._rng
        if answer.asks_confirm:
            if rng.random() < manners.forgets_confirm:
                self._settled(address, talk)
                return
            if rng.random() < manners.late_confirm:
                delay_s = 1.5 * self._timeout_s
            self._confirm(address, answer, delay_s, is_unsolicited=False)
        if answer.is_last and talk.ask is not None and talk.ask is answer.ask:
            was_selected = talk.ask.function == Function.SELECT
            self._settled(address, talk, operates=was_selected and rng.random() < 0.9)

    # What goes out

    def _soon(self, address: int, *, operates: bool = False) -> None:
        talk = self._talks[address]
        generation = talk.generation
        think_s = self._manners.think_s * self._rng.uniform(0.0, 2.0)
        if operates:
            think_s = self._rng.choice((0.0, 0.01, 0.5 * self._timeout_s))

        def ask() -> None:
            if self.session.is_open and generation == talk.generation:
                self._ask(address, operates=operates)

        self._clock.after(think_s, ask)

    def _settled(self, address: int, talk: _Talk, *, operates: bool = False) -> None:
        talk.ask, talk.segments_left = None, 0
        talk.generation += 1
        self._soon(address, operates=operates)

    def _ask(self, address: int, *, operates: bool) -> None:
        rng, manners, talk = self._rng, self._manners, self._talks[address]
        talk.sequence = (talk.sequence + 1) % 16
        talk.generation += 1
        choices: list[tuple[float, Callable[[int], Ask | None]]] = [
            (manners.link_status, self._ask_link_status),
            (manners.broadcast, self._broadcast),
            (manners.orphan, self._orphan),
            (manners.no_response, lambda at: self._request(at, Function.DIRECT_OPERATE_NR)),
            (manners.select, lambda at: self._request(at, Function.SELECT)),
            (manners.control, lambda at: self._request(at, Function.DIRECT_OPERATE)),
            (manners.write, lambda at: self._request(at, Function.WRITE, segments=rng.randint(2, 4))),
            (manners.unfinished, self._unfinished),
            (manners.confirmed, lambda at: self._request(at, Function.READ, is_link_confirmed=True)),
            (manners.confirmed_write, self._confirmed_write),
            (manners.flood, self._flood),
        ]
        draw = rng.random()
        ask: Ask | None = None
        if operates:
            ask = self._request(address, Function.OPERATE)
        else:
            for share, do in choices:
                draw -= share
                if draw < 0:
                    ask = do(address)
                    break
            else:
                ask = self._request(address, Function.READ)
        talk.ask = ask
        if ask is None or (ask.kind is Kind.UNANSWERED and not ask.is_link_confirmed):
            self._settled(address, talk)
            return
        patience = rng.uniform(0.05, 0.5) if rng.random() < manners.impatient else rng.uniform(1.1, 4.0)
        generation = talk.generation

        def give_up() -> None:
            if self.session.is_open and talk.generation == generation and talk.ask is ask:
                if ask.sequence is not None and rng.random() < manners.retries:
                    talk.sequence = (ask.sequence - 1) % 16
                self._settled(address, talk)

        self._clock.after(patience * self._timeout_s, give_up)

    def _request(
        self,
        address: int,
        function: Function,
        *,
        segments: int = 1,
        is_link_confirmed: bool = False,
        is_finished: bool = True,
    ) -> Ask:
        is_unanswered = function is Function.DIRECT_OPERATE_NR
        ask = self._new(
            address,
            Kind.UNANSWERED if is_unanswered else Kind.ANSWERED,
            function,
            self._talks[address].sequence,
            is_link_confirmed=is_link_confirmed,
        )
        for index in range(segments):
            self._submit(ask, is_last=is_finished and index == segments - 1)
        return ask

    def _unfinished(self, address: int) -> None:
        self._request(address, Function.WRITE, segments=2, is_finished=False)

    def _confirmed_write(self, address: int) -> Ask:
        self._talks[address].segments_left = self._rng.randint(1, 3)
        return self._request(address, Function.WRITE, is_link_confirmed=True, is_finished=False)

    def _flood(self, address: int) -> Ask:
        for _ in range(self._rng.randint(5, 30)):
            if self._rng.random() < 0.5:
                self._ask_link_status(address)
            else:
                self._request(address, Function.DIRECT_OPERATE_NR)
        return self._request(address, Function.READ)

    def _ask_link_status(self, address: int) -> Ask:
        ask = self._new(address, Kind.LINK, -1, None)
        self._submit(ask, is_last=True, link=LinkFunction.REQUEST_LINK_STATUS)
        return ask

    def _broadcast(self, address: int) -> Ask:
        talk = self._talks[address]
        ask = self._new(address, Kind.UNANSWERED, Function.WRITE, talk.sequence, is_broadcast=True)
        self._submit(ask, is_last=True)
        return ask

    def _orphan(self, address: int) -> None:
        ask = self._new(address, Kind.UNANSWERED, -1, None)
        ask.frames.append(self._submission(ask, 1, self._frame(ask, MIDDLE), is_last=False))
        self._line.submit(ask.frames[-1])

    def _send_link(self, address: int, function: LinkFunction, delay_s: float) -> None:
        def reply() -> None:
            ask = self._new(address, Kind.LINK, -1, None)
            self._submit(ask, is_last=True, link=function)

        self._clock.after(delay_s, reply)

    def _confirm(self, address: int, answer: Answer, delay_s: float, *, is_unsolicited: bool) -> None:
        def confirm() -> None:
            ask = self._new(address, Kind.CONFIRM, Function.CONFIRM, answer.sequence)
            ask.origin = answer.ask
            self._submit(ask, is_last=True, is_unsolicited=is_unsolicited)

        self._clock.after(delay_s, confirm)

    def _new(
        self,
        address: int,
        kind: Kind,
        function: int,
        sequence: int | None,
        *,
        is_broadcast: bool = False,
        is_link_confirmed: bool = False,
    ) -> Ask:
        ask = Ask(0, self.session, address, self.source, kind, function, sequence)
        ask.is_broadcast, ask.is_link_confirmed = is_broadcast, is_link_confirmed
        return self._line.new_ask(ask)

    def _submit(
        self,
        ask: Ask,
        *,
        is_last: bool,
        delay_s: float | None = None,
        link: LinkFunction | None = None,
        is_unsolicited: bool = False,
    ) -> None:
        index = len(ask.frames)
        if link is not None:
            frame = Frame.build(Control.build(link, from_master=True), ask.address, ask.source)
        else:
            transport = (FIR if index == 0 else 0) | (FIN if is_last else 0) | index
            frame = self._frame(ask, transport, is_unsolicited=is_unsolicited)
        submission = self._submission(ask, index, frame, is_last=is_last)
        ask.frames.append(submission)
        ask.is_whole = is_last

        def submit() -> None:
            submission.submitted_s = self._clock.now
            self._line.submit(submission)

        if delay_s is None:
            submit()
        else:
            self._clock.after(delay_s, submit)

    def _submission(self, ask: Ask, index: int, frame: Frame, *, is_last: bool) -> Submission:
        return Submission(ask, index, frame, frame.octets, self._clock.now, is_last)

    def _frame(self, ask: Ask, transport: int, *, is_unsolicited: bool = False) -> Frame:
        is_confirmed = ask.is_link_confirmed
        link = LinkFunction.CONFIRMED_USER_DATA if is_confirmed else LinkFunction.UNCONFIRMED_USER_DATA
        header = b""
        if transport & FIR:
            header = bytes((0xC0 | (ask.sequence or 0) | (0x10 if is_unsolicited else 0), ask.function))
        rest = bytes(self._rng.choice((0, 5, 30)))
        control = Control.build(link, from_master=True, fcv=is_confirmed)
        destination = _BROADCAST if ask.is_broadcast else ask.address
        return Frame.build(control, destination, ask.source, bytes((transport,)) + header + rest)
