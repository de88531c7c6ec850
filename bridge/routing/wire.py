"""The exchange on the wire: how it begins, what of it is sent when, and how it ends.

Rules:
  1. It ends when its last frame passed, when nothing is heard for the response timeout, when its limit is
     over, or when the line goes down. While octets arrive the timeout waits, once more its length.
  2. An outstation has its whole response timeout also for a request that was given up before: so long it
     owes the answer.
"""

from __future__ import annotations

from collections.abc import Mapping

from bridge.application.function import Function
from bridge.link.address import SELF_ADDRESS
from bridge.routing.carrier import Carrier
from bridge.routing.drop import Drop
from bridge.routing.exchange import MISSED, OPENINGS, Awaits, Exchange, Outcome, awaited_after, next_sequence
from bridge.routing.queue import Waiting
from bridge.routing.station import NEVER, Station
from bridge.routing.steps import Finished, Send, Step, dropped
from bridge.routing.stimulus import Stimulus
from bridge.routing.timing import Timing
from bridge.routing.unheard import Unheard


class Wire:
    """Holds one line's exchange, with the state of the line around it. All times are monotonic seconds."""

    def __init__(self, timing: Timing, stations: Mapping[int, Station]) -> None:
        self._timing = timing
        self._stations = stations
        self.exchange: Exchange | None = None
        self.carrier = Carrier(timing)
        self.unheard = Unheard()

    def reset(self) -> None:
        """Begin anew: the port was just opened and nothing is under way."""
        self.carrier.reset()
        self.unheard.forget()

    def begin(self, waiting: Waiting, now: float) -> None:
        """Give the line to a request whose turn it is."""
        reading = waiting.reading
        station = self._stations[waiting.address]
        awaits, sequence = OPENINGS[reading.stimulus], reading.sequence
        is_overdue = reading.stimulus is Stimulus.CONFIRM and station.unconfirmed == (
            waiting.session,
            sequence,
        )
        if is_overdue and sequence is not None:
            # The confirm comes late, and the next fragment follows it all the same.
            awaits, sequence = Awaits.RESPONSE, next_sequence(sequence)
        station.unconfirmed = None
        if reading.is_control:
            station.selected_until_s = NEVER
        # By position, in the order in which it stands there: by name takes half as long again.
        self.exchange = Exchange(
            waiting.session,
            waiting.address,
            waiting.frames[0],
            reading,
            awaited_after(reading, awaits),
            sequence,
            now,
            now + self._timing.response_timeout_s,
            [(frame, True) for frame in waiting.frames],
            not is_overdue,
        )

    def send_next(self, exchange: Exchange, now: float) -> Step:
        """Send the exchange's next frame."""
        frame, is_part = exchange.outbox.pop(0)
        self.carrier.sent(len(frame.octets), now)
        if frame.destination > SELF_ADDRESS:
            self.carrier.keep_silent()
        if is_part:
            exchange.sent_s = self.carrier.sent_until_s
            exchange.deadline_s = exchange.sent_s + self._timing.response_timeout_s
        return Send(exchange.address, frame)

    def ends_s(self, exchange: Exchange) -> float:
        """Return when the exchange is over if nothing more happens (rule 1)."""
        timing = self._timing
        ends_s = exchange.deadline_s
        speaking_until_s = self.carrier.speaking_until_s
        if speaking_until_s > ends_s:
            most_s = ends_s + timing.response_timeout_s
            ends_s = speaking_until_s if speaking_until_s < most_s else most_s
        limit_s = exchange.started_s + timing.exchange_limit_s
        return ends_s if ends_s < limit_s else limit_s

    def finish_in_time(self, exchange: Exchange, now: float) -> list[Step]:
        """End an exchange whose time is up."""
        if now < exchange.deadline_s and now >= exchange.started_s + self._timing.exchange_limit_s:
            return self.finish(exchange, Outcome.OVERRUN, now)
        outcome = Outcome.ANSWERED if exchange.lacks_its_master else Outcome.TIMED_OUT
        return self.finish(exchange, outcome, now)

    def finish(
        self, exchange: Exchange, outcome: Outcome, now: float, unsent: Drop = Drop.EXPIRED
    ) -> list[Step]:
        """End the exchange; `unsent` is why its frames that were not sent are dropped."""
        self.exchange = None
        station = self._stations[exchange.address]
        until_s = exchange.deadline_s if exchange.deadline_s > now else now
        until_s += self._timing.response_timeout_s
        if outcome in MISSED:
            station.gives_up(exchange, until_s)
            if outcome is Outcome.SUPERSEDED and not exchange.awaits_master:
                self.unheard.expect(exchange)
        elif outcome is Outcome.ANSWERED:
            station.debts.answered(exchange, until_s)
            if exchange.awaits is Awaits.CONFIRM_AND_MORE and exchange.sequence is not None:
                station.unconfirmed = exchange.session, next_sequence(exchange.sequence, -1)
            is_still_his = exchange.session is not None and exchange.session is station.session
            if exchange.reading.function is Function.SELECT and is_still_his:
                station.selected_until_s = now + self._timing.response_timeout_s
        finished = Finished(exchange.address, outcome, now - exchange.started_s, exchange.evidence)
        if not exchange.outbox:
            return [finished]
        return [*dropped(exchange.address, exchange.unsent, unsent), finished]

    def abandon(self, exchange: Exchange) -> list[Step]:
        """Go on without the session that asked: its answer will be dropped."""
        exchange.session = None
        exchange.evidence.is_abandoned = True
        steps = dropped(exchange.address, exchange.unsent, Drop.SESSION_ENDED)
        exchange.outbox.clear()
        exchange.forget_its_master()
        return steps
