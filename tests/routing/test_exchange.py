from __future__ import annotations

from bridge.routing.exchange import OPENINGS, TRANSITIONS, Awaits
from bridge.routing.stimulus import Stimulus

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


def test_every_frame_of_a_master_can_open_an_exchange() -> None:
    assert set(OPENINGS) == FROM_MASTER


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
