"""One outstation's conversation with its master: what is answered, what is waited for, what is sent unasked.

Rules (IEEE 1815 clauses 4.2, 4.3, 5.1.1; each cell of `states.TABLE` is one decision):
  1. A response that carries events, or that another fragment follows, asks for a confirm. Its events are
     removed by exactly that confirm; a timeout or a new request puts them back in their old order.
  2. A request that comes again, octet for octet, is not executed again: its answer is sent again.
  3. While an unsolicited confirm is awaited, other requests are answered at once, but a READ is deferred
     until the confirm came or timed out. Only the last one is kept, and any other request drops it.
  4. The first unsolicited response after a restart is empty. Nothing else is sent unasked before its confirm.
  5. A broadcast is processed and never answered; the next response says so, and asks for a confirm where the
     broadcast did. It counts as another request: for the deferred READ, and for a SELECT.
  6. While a handler of the application is awaited nothing else is processed; the last fragment that comes is
     kept.

Sans-I/O: fragments and the time come in, steps to take go out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from bridge.application.function import NO_RESPONSE, ApplicationControl, Function, Iin
from bridge.application.request import Malformed, Request, parse_request
from bridge.application.response import RESPONSE_HEADER_OCTETS, response_fragment
from bridge.outstation.answer import Answer, Working
from bridge.outstation.config import OutstationConfig
from bridge.outstation.database import Database
from bridge.outstation.functions import Functions
from bridge.outstation.handlers import OutstationInformation
from bridge.outstation.indications import Indications
from bridge.outstation.points import EventClass
from bridge.outstation.read import Part, Reader, ReadPlan
from bridge.outstation.states import TABLE, Action, State
from bridge.outstation.stimulus import Awaited, Fragment, classify
from bridge.outstation.unsolicited import UnsolicitedSchedule

_SEQUENCES = 16
_NOTHING = Iin(0)
_NOT_BROADCAST = frozenset(
    {Function.CONFIRM, Function.READ, Function.SELECT, Function.OPERATE, Function.DELAY_MEASURE}
)
"""What makes no sense without an answer, or one at a time."""


@dataclass(frozen=True, slots=True)
class Transmit:
    """Send this fragment to the master at `destination`."""

    fragment: bytes
    destination: int


@dataclass(frozen=True, slots=True)
class Call:
    """Await this and hand what comes of it to `resume`."""

    awaitable: Awaitable[Any]


Step = Transmit | Call


class OutstationSession:
    """The conversation.

    The owner calls `link_began` when a master can be reached and `link_ended` when not, passes whole
    fragments, calls `on_deadline` at `next_deadline`, `database_changed` after events came, and `resume` with
    the outcome of each `Call`.
    """

    def __init__(
        self,
        config: OutstationConfig,
        database: Database,
        functions: Functions,
        reader: Reader,
        indications: Indications,
        information: OutstationInformation,
    ) -> None:
        self._config = config
        self._events = database.events
        self._functions = functions
        self._reader = reader
        self._indications = indications
        self._information = information
        self._schedule = UnsolicitedSchedule(config.unsolicited, database.events)
        self._state = State.IDLE
        self._is_linked = False
        self._master = config.master_address
        self._last: Fragment | None = None
        self._response: bytes | None = None
        self._parts: Iterator[Part] = iter(())
        self._confirm: Awaited | None = None
        self._unsolicited: bytes | None = None
        self._unsolicited_classes: frozenset[EventClass] = frozenset()
        self._unsolicited_to = 0
        self._confirm_by_s = 0.0
        self._unsolicited_by_s = 0.0
        self._deferred: Fragment | None = None
        self._held: Fragment | None = None
        self._held_s = 0.0
        self._arrived_s = 0.0
        self._work: Working | None = None
        self._working_on: Request | None = None
        self._noticed_s = 0.0

    # What the owner tells

    def link_began(self, now: float) -> list[Step]:
        """A master can be reached: begin with nothing left of the one before."""
        self.link_ended()
        self._is_linked = True
        self._functions.link_began()
        self._schedule.link_began()
        return self._speak(now)

    def link_ended(self) -> None:
        """Nobody is there any more: take back what was not confirmed."""
        self._abandon()
        if self._unsolicited is not None:
            # Another response with this sequence number would look like a repeat of the one under way.
            self._schedule.put_off()
        if self._work is not None:
            self._work.close()
        self._is_linked = False
        self._last = self._response = self._unsolicited = None
        self._deferred = self._held = self._work = self._working_on = None

    def receive(self, fragment: Fragment, now: float) -> list[Step]:
        """Take a whole fragment of the master."""
        self._arrived_s = now
        steps = self._receive(fragment, now)
        steps += self._speak(now)
        return steps

    def resume(self, now: float, outcome: Any = None, error: Exception | None = None) -> list[Step]:
        """Take what came of the `Call` made last."""
        if self._work is None:
            return []
        steps = self._proceed(now, outcome, error)
        if self._work is None and self._held is not None:
            held, self._held = self._held, None
            self._arrived_s = self._held_s
            steps += self._receive(held, now)
        return steps + self._speak(now)

    def database_changed(self, now: float) -> list[Step]:
        """Events came: some may be due."""
        return self._speak(now)

    def next_deadline(self) -> float | None:
        """When `on_deadline` should be called, or None."""
        deadline = self._functions.freezes.next_deadline()
        if self._state is State.SOLICITED:
            deadline = _earlier(deadline, self._confirm_by_s)
        if self._unsolicited is not None:
            return _earlier(deadline, self._unsolicited_by_s)
        if self._state is State.IDLE and self._may_speak:
            classes = self._functions.unsolicited_classes
            return _earlier(deadline, self._schedule.next_deadline(classes, self._noticed_s))
        return deadline

    def on_deadline(self, now: float) -> list[Step]:
        """Do what time alone makes due. Early calls do nothing."""
        self._functions.freezes.do_due(now)
        steps: list[Step] = []
        if self._state is State.SOLICITED and now >= self._confirm_by_s:
            self._information.confirm_timed_out(is_unsolicited=False)
            self._abandon()
        if self._unsolicited is not None and now >= self._unsolicited_by_s:
            steps += self._unsolicited_timed_out(now)
        return steps + self._speak(now)

    # Actions

    def _receive(self, fragment: Fragment, now: float) -> list[Step]:
        stimulus = classify(
            fragment,
            last=self._last,
            awaits_confirm=self._confirm,
            awaits_unsolicited_confirm=None
            if self._unsolicited is None
            else Awaited(self._schedule.sequence, self._unsolicited_to),
        )
        return _ACTIONS[TABLE[self._state, stimulus]](self, fragment, now)

    def _process(self, fragment: Fragment, now: float) -> list[Step]:
        self._last, self._response = fragment, None
        if self._config.master_address is None:
            self._master = fragment.source
        self._information.request_received(fragment.function, fragment.control.sequence)
        request = parse_request(fragment.octets)
        if isinstance(request, Malformed) or request.function is not Function.OPERATE:
            self._functions.cancel_select()
        if isinstance(request, Malformed):
            return self._respond(Answer(iin=request.iin), now) if request.deserves_answer else []
        if request.function is Function.READ:
            limit = self._config.longest_response - RESPONSE_HEADER_OCTETS
            self._parts, iin = self._reader.read(request, limit)
            return self._send_part(fragment.control.sequence, now, iin, is_first=True)
        self._working_on = request
        self._work = self._functions.execute(request, now, self._arrived_s)
        return self._proceed(now)

    def _abandon_and_process(self, fragment: Fragment, now: float) -> list[Step]:
        self._abandon()
        return self._process(fragment, now)

    def _defer(self, fragment: Fragment, now: float) -> list[Step]:
        self._functions.cancel_select()
        self._deferred = fragment
        return []

    def _forget_deferred_and_process(self, fragment: Fragment, now: float) -> list[Step]:
        self._deferred = None
        return self._process(fragment, now)

    def _answer_again(self, fragment: Fragment, now: float) -> list[Step]:
        if self._response is None:
            return []
        if self._state is State.SOLICITED:
            self._confirm_by_s = now + self._config.confirm_timeout_s
        return [Transmit(self._response, fragment.source)]

    def _continue(self, fragment: Fragment, now: float) -> list[Step]:
        sequence = (fragment.control.sequence + 1) % _SEQUENCES
        self._information.confirm_received(is_unsolicited=False, events=self._events.confirm())
        self._indications.confirmed()
        self._confirm = None
        self._state = State.IDLE
        return self._send_part(sequence, now, _NOTHING, is_first=False)

    def _finish_unsolicited(self, fragment: Fragment, now: float) -> list[Step]:
        self._information.confirm_received(is_unsolicited=True, events=self._events.confirm())
        # The rest of the selection goes with the next one.
        self._events.release()
        self._indications.confirmed()
        self._schedule.confirmed(self._unsolicited_classes)
        return self._unsolicited_ended(now)

    def _note_unexpected(self, fragment: Fragment, now: float) -> list[Step]:
        control = fragment.control
        self._information.confirm_unexpected(is_unsolicited=control.uns, sequence=control.sequence)
        return []

    def _obey_broadcast(self, fragment: Fragment, now: float) -> list[Step]:
        self._deferred = None
        self._functions.cancel_select()
        self._indications.broadcast_came(fragment.broadcast)
        request = parse_request(fragment.octets)
        is_obeyed = isinstance(request, Request) and request.function not in _NOT_BROADCAST
        self._information.broadcast_received(fragment.function, was_processed=is_obeyed)
        if not is_obeyed or isinstance(request, Malformed):
            return []
        self._working_on = None
        self._work = self._functions.execute(request, now, self._arrived_s)
        return self._proceed(now)

    def _abandon_and_obey_broadcast(self, fragment: Fragment, now: float) -> list[Step]:
        self._abandon()
        return self._obey_broadcast(fragment, now)

    def _hold(self, fragment: Fragment, now: float) -> list[Step]:
        self._held, self._held_s = fragment, now
        return []

    def _ignore(self, fragment: Fragment, now: float) -> list[Step]:
        return []

    # Working and answering

    def _proceed(self, now: float, outcome: Any = None, error: Exception | None = None) -> list[Step]:
        """Run the work in hand until it needs a handler awaited, or is done and answered."""
        work = self._work
        assert work is not None
        try:
            awaitable = work.send(outcome) if error is None else work.throw(error)
        except StopIteration as done:
            answer: Answer = done.value
        except Exception as raised:
            self._information.handler_failed(raised)
            answer = Answer(iin=Iin.PARAMETER_ERROR)
        else:
            is_unsolicited = self._unsolicited is not None
            self._state = State.EXECUTING_UNSOLICITED if is_unsolicited else State.EXECUTING
            return [Call(awaitable)]
        request, self._work, self._working_on = self._working_on, None, None
        self._state = State.IDLE if self._unsolicited is None else State.UNSOLICITED
        if request is None or request.function in NO_RESPONSE:
            return []
        return self._respond(answer, now)

    def _respond(self, answer: Answer, now: float) -> list[Step]:
        assert self._last is not None
        sequence = self._last.control.sequence
        return self._send(Part(answer.objects, is_last=True), sequence, now, answer.iin, is_first=True)

    def _send_part(self, sequence: int, now: float, iin: Iin, *, is_first: bool) -> list[Step]:
        part = next(self._parts, None)
        return [] if part is None else self._send(part, sequence, now, iin, is_first=is_first)

    def _send(self, part: Part, sequence: int, now: float, iin: Iin, *, is_first: bool) -> list[Step]:
        """Send one fragment of a response, and wait for its confirm where it asks for one."""
        assert self._last is not None
        # While an unsolicited confirm is awaited there is no room for another wait (rule 3).
        may_wait = self._state is State.IDLE
        is_confirm_due = part.has_events or not part.is_last or self._indications.needs_confirm
        con = may_wait and is_confirm_due
        control = ApplicationControl.build(
            fir=is_first, fin=part.is_last, con=con, uns=False, sequence=sequence
        )
        indications = self._indications.now() if iin == _NOTHING else iin | self._indications.now()
        self._response = response_fragment(control, Function.RESPONSE, indications, part.objects)
        self._indications.responded(asks_confirm=con)
        if con:
            self._state = State.SOLICITED
            self._confirm = Awaited(sequence, self._last.source)
            self._confirm_by_s = now + self._config.confirm_timeout_s
        return [Transmit(self._response, self._last.source)]

    def _abandon(self) -> None:
        """Take back what the unconfirmed response carried, and forget the rest of it."""
        self._events.release()
        self._parts = iter(())
        self._confirm = None
        self._state = State.IDLE

    # Speaking unasked

    @property
    def _may_speak(self) -> bool:
        return self._is_linked and self._config.unsolicited.is_supported and self._master is not None

    def _speak(self, now: float) -> list[Step]:
        """Send an unsolicited response if one is due and nothing else is under way."""
        self._noticed_s = now
        if self._state is not State.IDLE or not self._may_speak:
            return []
        schedule = self._schedule
        if not schedule.is_null_confirmed:
            return self._send_unsolicited(b"", now) if schedule.is_null_due(now) else []
        classes = schedule.due_classes(self._functions.unsolicited_classes, now)
        if not classes or not self._events.select(classes):
            return []
        limit = self._config.longest_response - RESPONSE_HEADER_OCTETS
        return self._send_unsolicited(ReadPlan(self._events, []).next_part(limit).objects, now, classes)

    def _send_unsolicited(
        self, objects: bytes, now: float, classes: frozenset[EventClass] = frozenset()
    ) -> list[Step]:
        assert self._master is not None
        control = ApplicationControl.build(
            fir=True, fin=True, con=True, uns=True, sequence=self._schedule.sequence
        )
        indications = self._indications.now()
        self._unsolicited = response_fragment(control, Function.UNSOLICITED_RESPONSE, indications, objects)
        self._unsolicited_classes = classes
        self._unsolicited_to = self._master
        self._indications.spoke_unasked()
        self._schedule.begun()
        self._state = State.UNSOLICITED
        return self._transmit_unsolicited(now)

    def _transmit_unsolicited(self, now: float) -> list[Step]:
        assert self._unsolicited is not None
        self._unsolicited_by_s = now + self._config.unsolicited.confirm_timeout_s
        return [Transmit(self._unsolicited, self._unsolicited_to)]

    def _unsolicited_timed_out(self, now: float) -> list[Step]:
        self._information.confirm_timed_out(is_unsolicited=True)
        is_wanted = self._unsolicited_classes <= self._functions.unsolicited_classes
        if self._deferred is None and is_wanted and self._schedule.may_retry():
            return self._transmit_unsolicited(now)
        self._events.release()
        if self._deferred is None and is_wanted:
            self._schedule.given_up(now)
        else:
            self._schedule.put_off()
        return self._unsolicited_ended(now)

    def _unsolicited_ended(self, now: float) -> list[Step]:
        self._unsolicited = None
        is_executing = self._state is State.EXECUTING_UNSOLICITED
        self._state = State.EXECUTING if is_executing else State.IDLE
        # Never while executing: whatever is executed came later, and dropped the deferred READ.
        deferred, self._deferred = self._deferred, None
        if deferred is None:
            return []
        return self._process(deferred, now)


def _earlier(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


_ACTIONS: dict[Action, Callable[[OutstationSession, Fragment, float], list[Step]]] = {
    Action.PROCESS: OutstationSession._process,
    Action.ABANDON_AND_PROCESS: OutstationSession._abandon_and_process,
    Action.DEFER: OutstationSession._defer,
    Action.FORGET_DEFERRED_AND_PROCESS: OutstationSession._forget_deferred_and_process,
    Action.ANSWER_AGAIN: OutstationSession._answer_again,
    Action.CONTINUE: OutstationSession._continue,
    Action.FINISH_UNSOLICITED: OutstationSession._finish_unsolicited,
    Action.NOTE_UNEXPECTED: OutstationSession._note_unexpected,
    Action.OBEY_BROADCAST: OutstationSession._obey_broadcast,
    Action.ABANDON_AND_OBEY_BROADCAST: OutstationSession._abandon_and_obey_broadcast,
    Action.HOLD: OutstationSession._hold,
    Action.IGNORE: OutstationSession._ignore,
}
