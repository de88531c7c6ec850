"""What a frame heard on the line means to the exchange on the wire, and where it goes."""

from __future__ import annotations

from collections.abc import Mapping

from bridge.link.control import LinkFunction
from bridge.link.frame import Frame
from bridge.routing.babble import BabbleGuard
from bridge.routing.drop import Drop
from bridge.routing.station import Station
from bridge.routing.steps import Deliver, Dropped
from bridge.routing.stimulus import Reading, Stimulus
from bridge.routing.timing import Timing
from bridge.routing.wire import Wire

_OF_THEIR_OWN_ACCORD = frozenset({Stimulus.UNSOLICITED, Stimulus.LINK_REQUEST})


class Hearing:
    """Takes the frames of one line's outstations."""

    def __init__(
        self, timing: Timing, stations: Mapping[int, Station], wire: Wire, babble: BabbleGuard
    ) -> None:
        self._timing = timing
        self._stations = stations
        self._wire = wire
        self._babble = babble

    def take(self, frame: Frame, now: float) -> Deliver | Dropped:
        """Take a whole frame, move the exchange on if it belongs there, and say where it goes."""
        if frame.control.from_master:
            return Dropped(None, Drop.WRONG_DIRECTION, frame=frame)
        station = self._stations.get(frame.source)
        if station is None:
            self._note_other(frame)
            return Dropped(None, Drop.UNKNOWN_SOURCE, frame=frame)
        reading = station.from_outstation.read_outstation(frame)
        if not reading.is_last and frame.control.function is not LinkFunction.CONFIRMED_USER_DATA:
            self._wire.carrier.more_follows(now)
        if reading.stimulus in _OF_THEIR_OWN_ACCORD:
            return station.unasked(frame, reading)
        exchange = self._wire.exchange
        if exchange is None:
            return self._refuse(station, frame, reading, now)
        is_anothers = station.debts.is_to_another(exchange, frame, reading, now)
        if not exchange.accepts_answer(frame, reading, now, is_anothers=is_anothers):
            return self._refuse(station, frame, reading, now)
        self._babble.excuse(now)
        self._wire.carrier.answered(now)
        if reading.stimulus is not Stimulus.LINK_ANSWER or exchange.reading.asks_link_answer:
            exchange.deadline_s = now + self._timing.response_timeout_s
        if exchange.session is not None:
            return Deliver(exchange.session, frame.source, frame)
        exchange.forget_its_master()
        return Dropped(frame.source, Drop.SESSION_ENDED, frame=frame)

    def _refuse(self, station: Station, frame: Frame, reading: Reading, now: float) -> Dropped:
        """Name what is wrong with an answer."""
        late = station.late(frame, reading, now)
        if late is not None:
            if reading.stimulus is not Stimulus.PART:
                self._wire.unheard.heard(frame.source, owes_more=station.debts.is_owed(now))
            return late
        exchange = self._wire.exchange
        if exchange is None:
            return Dropped(frame.source, Drop.NOT_AWAITED, frame=frame)
        if frame.source != exchange.address:
            self._note_other(frame)
            return Dropped(frame.source, Drop.OTHER_OUTSTATION, frame=frame)
        exchange.evidence.mismatched_answers += 1
        return Dropped(frame.source, Drop.NOT_AWAITED, frame=frame)

    def _note_other(self, frame: Frame) -> None:
        exchange = self._wire.exchange
        if exchange is not None:
            exchange.evidence.other_answers += 1
            exchange.evidence.other_address = frame.source
