"""What a line knows of one outstation."""

from __future__ import annotations

import pytest

from bridge.link.control import LinkFunction
from bridge.link.frame import Frame
from bridge.routing.drop import Drop
from bridge.routing.exchange import Awaits, Exchange
from bridge.routing.station import Station
from bridge.routing.steps import Deliver, Dropped
from bridge.routing.stimulus import Reader
from tests.support import frames as f
from tests.support.frames import RTU


def exchange(
    session: object, sequence: int | None = 5, *, sent_s: float = 1.0, started_s: float = 1.0
) -> Exchange:
    request = f.link_status_request() if sequence is None else f.request(sequence)
    return Exchange(
        session=session,
        address=RTU,
        request=request,
        reading=Reader().read_master(request),
        awaits=Awaits.RESPONSE,
        sequence=sequence,
        started_s=started_s,
        deadline_s=3.0,
        sent_s=sent_s,
    )


def dropped(frame: Frame, reason: Drop, response_s: float | None = None) -> Dropped:
    return Dropped(RTU, reason, response_s, frame=frame)


def unasked(station: Station, frame: Frame) -> Deliver | Dropped:
    return station.unasked(frame, station.from_outstation.read_outstation(frame))


def late(station: Station, frame: Frame, now: float) -> Dropped | None:
    return station.late(frame, station.from_outstation.read_outstation(frame), now)


def is_late(station: Station, frame: Frame, now: float, response_s: float | None = None) -> bool:
    return late(station, frame, now) == dropped(frame, Drop.LATE, response_s)


def safe_from_s(station: Station, session: object, frame: Frame) -> float:
    return station.debts.safe_from_s(session, frame, Reader().read_master(frame))


class TestOwnAccord:
    def test_nobody_is_there(self) -> None:
        frame = f.unsolicited()
        assert unasked(Station(), frame) == dropped(frame, Drop.NO_SESSION)

    def test_to_its_session(self) -> None:
        station = Station(session="one")
        frame = f.unsolicited()
        assert unasked(station, frame) == Deliver("one", RTU, frame)

    def test_to_masters_that_spoke(self) -> None:
        station = Station(session="one", masters={1, 2})
        assert isinstance(unasked(station, f.unsolicited(to=2)), Deliver)
        other = f.unsolicited(to=3)
        assert unasked(station, other) == dropped(other, Drop.UNKNOWN_MASTER)

    @pytest.mark.parametrize("destination", [0xFFF0, 0xFFFC, 0xFFFD, 0xFFFF])
    def test_to_nobody_in_particular(self, destination: int) -> None:
        station = Station(session="one")
        link_request = f.from_rtu(LinkFunction.TEST_LINK_STATES, to=destination)
        for frame in (f.unsolicited(to=destination), link_request):
            assert unasked(station, frame) == dropped(frame, Drop.RESERVED_ADDRESS)

    def test_half_a_fragment_of_the_session_before(self) -> None:
        station = Station(session="one")
        unasked(station, f.unsolicited(transport=f.FIR))
        station.begin_session("two")
        rest = f.unsolicited(transport=f.MIDDLE)
        assert unasked(station, rest) == dropped(rest, Drop.ORPHAN_SEGMENT)

    def test_link_requests_have_no_segments(self) -> None:
        station = Station(session="one")
        assert isinstance(unasked(station, f.from_rtu(LinkFunction.TEST_LINK_STATES)), Deliver)


class TestLate:
    def test_answer(self) -> None:
        station = Station()
        station.gives_up(exchange("one"), until_s=5.0)
        assert is_late(station, f.response(5), 4.0, response_s=3.0)
        assert late(station, f.response(5), 4.0) is None

    def test_link_answer(self) -> None:
        station = Station()
        station.gives_up(exchange("one", None), until_s=5.0)
        assert is_late(station, f.link_status(), 4.0, response_s=3.0)
        assert late(station, f.link_status(), 4.0) is None

    def test_the_rest_of_a_late_fragment(self) -> None:
        station = Station()
        station.gives_up(exchange("one"), until_s=5.0)
        late(station, f.response(5, transport=f.FIR), 4.0)
        assert late(station, f.response(transport=f.MIDDLE), 4.1) == dropped(
            f.response(transport=f.MIDDLE), Drop.LATE
        )
        assert late(station, f.response(transport=f.FIN), 4.2) == dropped(
            f.response(transport=f.FIN), Drop.LATE
        )
        assert late(station, f.response(6, transport=f.FIR), 4.3) is None
        assert late(station, f.response(transport=f.FIN), 4.4) is None

    def test_the_rest_of_an_answer_given_up_in_its_middle(self) -> None:
        station = Station()
        given_up = exchange("one")
        given_up.is_in_fragment = True
        station.gives_up(given_up, until_s=5.0)
        assert late(station, f.response(transport=f.FIN), 4.0) == dropped(
            f.response(transport=f.FIN), Drop.LATE
        )

    def test_a_link_answer_between_the_segments_of_a_late_fragment(self) -> None:
        station = Station()
        station.gives_up(exchange("one"), until_s=5.0)
        late(station, f.response(5, transport=f.FIR), 4.0)
        assert late(station, f.link_status(), 4.1) is None
        assert late(station, f.response(transport=f.FIN), 4.2) == dropped(
            f.response(transport=f.FIN), Drop.LATE
        )


class TestBeginsAnew:
    def test_session(self) -> None:
        station = Station(session="one", masters={1}, selected_until_s=9.0, unconfirmed=("one", 3))
        station.gives_up(exchange("one"), until_s=5.0)
        station.assembly.take(
            f.request(transport=f.FIR),
            Reader().read_master(f.request(transport=f.FIR)),
            now=0.0,
            expires_s=9.0,
        )
        station.begin_session("two")
        assert (station.session, station.masters, station.unconfirmed) == ("two", None, None)
        assert station.selected_until_s < 0
        assert station.assembly.give_up(Drop.SESSION_ENDED) == []
        # What the outstation still owes stays.
        assert safe_from_s(station, "two", f.request(5)) == 5.0

    def test_line(self) -> None:
        station = Station(session="one", selected_until_s=9.0, is_fragment_late=True, unconfirmed=("one", 3))
        station.unsolicited_for = "one"
        station.begin_line()
        assert station.session == "one"
        assert station.selected_until_s < 0
        assert not station.is_fragment_late
        assert (station.unconfirmed, station.unsolicited_for) == (None, None)
