"""What an outstation still owes."""

from __future__ import annotations

from bridge.link.control import LinkFunction
from bridge.link.frame import Frame
from bridge.routing.debts import Debts, Owed
from bridge.routing.exchange import Awaits, Exchange
from bridge.routing.stimulus import Reader
from tests.support import frames as f
from tests.support.frames import RTU

NEVER = float("-inf")
ACK = f.from_rtu(LinkFunction.ACK)
MOST_OWED = 32


def exchange(session: object, request: Frame | None = None, *, at_s: float = 1.0) -> Exchange:
    """Return an exchange whose request, 5 if nothing is said, was sent at once and is not answered."""
    request = f.request(5) if request is None else request
    reading = Reader().read_master(request)
    return Exchange(
        session=session,
        address=RTU,
        request=request,
        reading=reading,
        awaits=Awaits.RESPONSE,
        sequence=reading.sequence,
        started_s=at_s,
        deadline_s=at_s + 2.0,
        sent_s=at_s,
    )


def answered(session: object, answer: Frame, *, at_s: float) -> Exchange:
    """Return an exchange that came to its end by an answer."""
    ended = exchange(session, at_s=at_s)
    assert ended.accepts_answer(answer, Reader().read_outstation(answer), at_s)
    assert ended.awaits is Awaits.NOTHING
    return ended


def pay(debts: Debts, frame: Frame) -> Owed | None:
    return debts.pay(frame, Reader().read_outstation(frame))


def safe_from_s(debts: Debts, session: object, frame: Frame) -> float:
    return debts.safe_from_s(session, frame, Reader().read_master(frame))


class TestPaid:
    def test_once(self) -> None:
        debts = Debts()
        debts.give_up(exchange("one"), 5.0)
        assert pay(debts, f.response(5)) == Owed("one", 1.0, 5.0, 1)
        assert pay(debts, f.response(5)) is None

    def test_by_nothing_else(self) -> None:
        debts = Debts()
        debts.give_up(exchange("one"), 5.0)
        assert pay(debts, f.response(6)) is None
        assert pay(debts, f.response(5, to=2)) is None
        assert pay(debts, f.link_status()) is None
        assert pay(debts, f.response(transport=f.FIN)) is None

    def test_two_requests_of_one_sequence_are_two_answers(self) -> None:
        debts = Debts()
        debts.give_up(exchange("one"), 5.0)
        debts.give_up(exchange("one", at_s=3.0), 7.0)
        assert pay(debts, f.response(5)) == Owed("one", 3.0, 7.0, 2)
        assert safe_from_s(debts, "two", f.request(5)) == 7.0
        assert pay(debts, f.response(5)) == Owed("one", 3.0, 7.0, 1)
        assert pay(debts, f.response(5)) is None
        assert safe_from_s(debts, "two", f.request(5)) == NEVER

    def test_what_was_owed_long_ago_does_not_count(self) -> None:
        debts = Debts()
        debts.give_up(exchange("one"), 5.0)
        debts.give_up(exchange("one", at_s=900.0), 904.0)
        assert pay(debts, f.response(5)) == Owed("one", 900.0, 904.0, 1)

    def test_the_next_fragment_is_what_is_owed_after_the_first(self) -> None:
        debts = Debts()
        given_up = exchange("one")
        given_up.sequence = 6
        debts.give_up(given_up, 5.0)
        assert pay(debts, f.response(5)) is None
        assert pay(debts, f.response(6)) is not None


class TestLinkAnswers:
    def test_of_a_link_service(self) -> None:
        debts = Debts()
        debts.give_up(exchange("one", f.link_status_request()), 5.0)
        assert pay(debts, f.link_status(to=2)) is None
        assert pay(debts, f.link_status()) == Owed("one", 1.0, 5.0, 1)
        assert pay(debts, f.link_status()) is None

    def test_of_a_request_that_asks_for_one(self) -> None:
        """It owes both: the ack and the response."""
        debts = Debts()
        debts.give_up(exchange("one", f.request(5, confirmed=True)), 5.0)
        assert safe_from_s(debts, "two", f.link_status_request()) == 5.0
        assert safe_from_s(debts, "two", f.request(5)) == 5.0
        assert safe_from_s(debts, "two", f.request(6, confirmed=True)) == 5.0
        assert safe_from_s(debts, "two", f.request(6)) == NEVER
        assert pay(debts, ACK) is not None
        assert pay(debts, f.response(5)) is not None
        assert pay(debts, ACK) is None

    def test_none_of_a_request_that_asks_for_none(self) -> None:
        debts = Debts()
        debts.give_up(exchange("one"), 5.0)
        assert pay(debts, ACK) is None
        assert safe_from_s(debts, "two", f.link_status_request()) == NEVER


class TestOthersWait:
    def test_until_nothing_is_owed(self) -> None:
        debts = Debts()
        assert safe_from_s(debts, "two", f.request(5)) == NEVER
        debts.give_up(exchange("one"), 5.0)
        assert safe_from_s(debts, "two", f.request(5)) == 5.0
        assert safe_from_s(debts, "two", f.request(6)) == NEVER
        assert safe_from_s(debts, "two", f.request(5, source=2)) == NEVER
        assert safe_from_s(debts, "two", f.link_status_request()) == NEVER
        assert safe_from_s(debts, "one", f.request(5)) == NEVER
        pay(debts, f.response(5))
        assert safe_from_s(debts, "two", f.request(5)) == NEVER

    def test_everybody_where_several_are_owed(self) -> None:
        debts = Debts()
        debts.give_up(exchange("one"), 5.0)
        debts.give_up(exchange("two", at_s=3.0), 7.0)
        for session in ("one", "two", "three"):
            assert safe_from_s(debts, session, f.request(5)) == 7.0


class TestAnswered:
    def test_a_request_that_was_sent_twice_owes_the_other_answer(self) -> None:
        debts = Debts()
        debts.give_up(exchange("one"), 5.0)
        debts.answered(answered("one", f.response(5), at_s=3.0), 7.0)
        assert safe_from_s(debts, "two", f.request(5)) == 7.0
        assert pay(debts, f.response(5)) == Owed("one", 3.0, 7.0, 1)
        assert pay(debts, f.response(5)) is None

    def test_settles_what_was_owed_long_ago(self) -> None:
        debts = Debts()
        debts.give_up(exchange("one"), 5.0)
        debts.answered(answered("one", f.response(5), at_s=900.0), 904.0)
        assert safe_from_s(debts, "two", f.request(5)) == NEVER
        assert pay(debts, f.response(5)) is None

    def test_owes_nothing_by_itself(self) -> None:
        debts = Debts()
        debts.answered(answered("one", f.response(5), at_s=3.0), 7.0)
        assert pay(debts, f.response(5)) is None
        debts.give_up(exchange("one", f.request(9)), 5.0)
        debts.answered(answered("one", f.response(5), at_s=3.0), 7.0)
        assert pay(debts, f.response(5)) is None


class TestIsToAnother:
    def owes(self, session: object, frame: Frame, *, asked_by: object = "two", now: float = 4.0) -> bool:
        debts = Debts()
        debts.give_up(exchange(session), 5.0)
        asking = exchange(asked_by, f.request(4))
        return debts.is_to_another(asking, frame, Reader().read_outstation(frame), now)

    def test_while_it_is_owed(self) -> None:
        assert self.owes("one", f.response(5))
        assert not self.owes("one", f.response(5), now=5.0)

    def test_to_somebody_else_with_the_same_sequence(self) -> None:
        assert not self.owes("two", f.response(5))
        assert not self.owes("one", f.response(6))
        assert not self.owes("one", f.response(5, to=2))
        assert not self.owes("one", f.link_status())

    def test_nobody_is_asking(self) -> None:
        assert not self.owes("one", f.response(5), asked_by=None)

    def test_nothing_is_owed(self) -> None:
        answer = f.response(5)
        reading = Reader().read_outstation(answer)
        assert not Debts().is_to_another(exchange("two"), answer, reading, 1.0)

    def test_a_late_ack_acknowledges_no_other_sessions_frame(self) -> None:
        debts = Debts()
        debts.give_up(exchange("one", f.request(5, confirmed=True)), 5.0)
        reading = Reader().read_outstation(ACK)
        assert debts.is_to_another(exchange("two", f.request(4, confirmed=True)), ACK, reading, 4.0)
        assert not debts.is_to_another(exchange("one", f.request(4, confirmed=True)), ACK, reading, 4.0)


class TestBounds:
    def test_what_is_forgotten_makes_everybody_wait(self) -> None:
        debts = Debts()
        for source in range(MOST_OWED):
            debts.give_up(exchange("one", f.request(5, source=source)), 5.0 + source)
        assert safe_from_s(debts, "one", f.request(9)) == NEVER
        debts.give_up(exchange("one", f.request(5, source=900)), 60.0)
        # The oldest is forgotten: who asks with what does not matter any more, until it would have been over.
        assert pay(debts, f.response(5, to=0)) is None
        for request in (f.request(9), f.request(9, source=77), f.link_status_request()):
            assert safe_from_s(debts, "one", request) == 5.0
            assert safe_from_s(debts, "two", request) == 5.0
        assert safe_from_s(debts, "two", f.request(5, source=1)) == 6.0
        assert safe_from_s(debts, "two", f.request(5, source=900)) == 60.0

    def test_what_is_owed_again_is_the_last_to_be_forgotten(self) -> None:
        debts = Debts()
        for source in range(MOST_OWED):
            debts.give_up(exchange("one", f.request(5, source=source)), 5.0)
        debts.give_up(exchange("one", f.request(5, source=0)), 6.0)
        assert safe_from_s(debts, "two", f.request(9)) == NEVER
        debts.give_up(exchange("one", f.request(5, source=900)), 5.0)
        assert safe_from_s(debts, "two", f.request(5, source=0)) == 6.0
        assert pay(debts, f.response(5, to=1)) is None

    def test_paying_does_not_end_the_wait_for_what_is_forgotten(self) -> None:
        debts = Debts()
        for source in range(MOST_OWED + 1):
            debts.give_up(exchange("one", f.request(5, source=source)), 5.0)
        for source in range(1, MOST_OWED + 1):
            assert pay(debts, f.response(5, to=source)) is not None
        assert safe_from_s(debts, "two", f.request(9)) == 5.0
