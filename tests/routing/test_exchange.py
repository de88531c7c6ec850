from __future__ import annotations

import pytest

from bridge.link.control import LinkFunction
from bridge.link.frame import Frame
from bridge.routing.exchange import (
    MISSED,
    OPENINGS,
    TRANSITIONS,
    Awaits,
    Exchange,
    Outcome,
    awaited_after,
    next_sequence,
)
from bridge.routing.stimulus import Reader, Reading, Stimulus
from tests.support import frames as f
from tests.support.frames import RTU

FROM_MASTER = {
    Stimulus.LINK_SERVICE,
    Stimulus.REQUEST,
    Stimulus.WHOLE_REQUEST,
    Stimulus.UNANSWERED,
    Stimulus.CONFIRM,
    Stimulus.UNSOLICITED_CONFIRM,
    Stimulus.SEGMENT,
    Stimulus.LAST_SEGMENT,
    Stimulus.LAST_SEGMENT_UNANSWERED,
    Stimulus.LINK_REPLY,
}


def test_every_frame_of_a_master_can_open_an_exchange_but_later_segments() -> None:
    later = {Stimulus.SEGMENT, Stimulus.LAST_SEGMENT, Stimulus.LAST_SEGMENT_UNANSWERED}
    assert set(OPENINGS) == FROM_MASTER - later


def test_every_wait_has_transitions_and_only_known_ones() -> None:
    assert set(TRANSITIONS) == set(Awaits)


def test_every_wait_can_end() -> None:
    """From each wait some sequence of stimuli leads to NOTHING: no exchange is a trap."""
    ending = {Awaits.NOTHING}
    while True:
        more = {wait for wait, row in TRANSITIONS.items() if ending & set(row.values())} - ending
        if not more:
            break
        ending |= more
    assert ending == set(Awaits)


def test_requests_never_continue_an_exchange() -> None:
    for row in TRANSITIONS.values():
        assert not {Stimulus.REQUEST, Stimulus.WHOLE_REQUEST, Stimulus.LINK_SERVICE} & set(row)


def exchange(sequence: int = 5, awaits: Awaits = Awaits.RESPONSE) -> Exchange:
    request = f.request(sequence)
    reading = Reader().read_master(request)
    return Exchange("one", RTU, request, reading, awaits, sequence, 0.0, 2.0, sent_s=1.0)


class Speaker:
    """An outstation whose frames an exchange hears in their order."""

    def __init__(self, asked: Exchange) -> None:
        self.asked, self.reader = asked, Reader()

    def is_taken(self, frame: Frame, now: float = 1.5) -> bool:
        return self.asked.accepts_answer(frame, self.reader.read_outstation(frame), now)


def test_link_confirmed_frames_await_at_least_their_ack() -> None:
    confirmed = Reading(Stimulus.UNANSWERED, asks_link_answer=True)
    assert awaited_after(confirmed, Awaits.NOTHING) is Awaits.LINK_ANSWER
    assert awaited_after(confirmed, Awaits.RESPONSE) is Awaits.RESPONSE
    assert awaited_after(Reading(Stimulus.UNANSWERED), Awaits.NOTHING) is Awaits.NOTHING


def test_sequences_count_modulo_16() -> None:
    assert [next_sequence(15), next_sequence(0), next_sequence(0, -1)] == [0, 1, 15]


def test_a_stimulus_that_does_not_belong_changes_nothing() -> None:
    asked = exchange()
    assert not asked.is_followed_by(Reading(Stimulus.CONFIRM))
    assert not asked.advance(Reading(Stimulus.CONFIRM))
    assert asked.awaits is Awaits.RESPONSE


@pytest.mark.parametrize(
    "frame",
    [
        f.response(5, source=99),
        f.response(5, to=2),
        f.response(4),
        f.response(6),
        f.response(transport=f.FIN),
    ],
    ids=["outstation", "master", "before", "after", "later-segment"],
)
def test_answers_that_do_not_belong(frame: Frame) -> None:
    asked = exchange()
    assert not Speaker(asked).is_taken(frame)
    assert (asked.awaits, asked.sequence, asked.is_answered) == (Awaits.RESPONSE, 5, False)


def test_fragments_count_on() -> None:
    asked = exchange(15)
    rtu = Speaker(asked)
    assert rtu.is_taken(f.response(15, application=f.A_FIR))
    assert not rtu.is_taken(f.response(15, application=f.A_FIN))
    assert rtu.is_taken(f.response(0, application=f.A_FIN))
    assert asked.awaits is Awaits.NOTHING


def test_the_response_time_is_that_of_the_first_frame() -> None:
    asked = exchange()
    rtu = Speaker(asked)
    rtu.is_taken(f.response(5, transport=f.FIR), 1.25)
    rtu.is_taken(f.response(transport=f.FIN), 1.75)
    assert asked.evidence.response_s == 0.25
    assert asked.evidence.answer_frames == 2
    assert asked.is_answered


def test_an_answer_before_the_arithmetic_took_no_time() -> None:
    asked = exchange()
    Speaker(asked).is_taken(f.response(5), 0.5)
    assert asked.evidence.response_s == 0.0


def test_later_segments_belong_where_their_first_one_did() -> None:
    asked = exchange()
    rtu = Speaker(asked)
    assert not rtu.is_taken(f.response(4, transport=f.FIR))
    assert not rtu.is_taken(f.response(transport=f.MIDDLE))
    assert rtu.is_taken(f.response(5, transport=f.FIR))
    assert rtu.is_taken(f.response(transport=f.MIDDLE))
    assert asked.is_in_fragment
    assert not rtu.is_taken(f.response(4, transport=f.FIR))
    assert not rtu.is_taken(f.response(transport=f.FIN))


def test_what_another_sessions_request_is_owed() -> None:
    asked = exchange()
    reader = Reader()
    first = f.response(5, transport=f.FIR)
    assert asked.accepts_answer(first, reader.read_outstation(first), 1.5)
    owed = f.response(6, transport=f.FIR)
    assert not asked.accepts_answer(owed, reader.read_outstation(owed), 1.6, is_anothers=True)
    assert not asked.is_in_fragment


def test_link_answers_are_no_segments() -> None:
    asked = exchange()
    assert Speaker(asked).is_taken(f.from_rtu(LinkFunction.ACK))
    assert not asked.is_in_fragment


def test_whose_it_is() -> None:
    asked = exchange()
    assert asked.is_with("one", RTU)
    assert not asked.is_with("two", RTU)
    assert not asked.is_with("one", 13)


def test_what_is_missed() -> None:
    assert set(Outcome) - MISSED == {Outcome.ANSWERED, Outcome.UNANSWERED}
