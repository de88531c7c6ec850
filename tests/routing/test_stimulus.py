from __future__ import annotations

import random

import pytest

from bridge.link.control import Control, LinkFunction
from bridge.link.frame import Frame
from bridge.routing.stimulus import Reader, Reading, Stimulus
from tests.support import frames as f
from tests.vectors import LINK_FRAMES

S = Stimulus


@pytest.mark.parametrize(
    ("frame", "stimulus"),
    [
        (f.link_status_request(), S.LINK_SERVICE),
        (f.from_master(LinkFunction.RESET_LINK_STATES), S.LINK_SERVICE),
        (f.from_master(LinkFunction.UNCONFIRMED_USER_DATA), S.LINK_SERVICE),
        (f.from_master(LinkFunction.UNCONFIRMED_USER_DATA, user_data=b"\xc0\xc0"), S.LINK_SERVICE),
        (f.from_master(LinkFunction.ACK), S.LINK_REPLY),
        (f.request(3), S.WHOLE_REQUEST),
        (f.request(3, transport=f.FIR), S.REQUEST),
        (f.request(3, f.DIRECT_OPERATE_NR), S.UNANSWERED),
        (f.request(3, 200), S.WHOLE_REQUEST),
        (f.confirm(3), S.CONFIRM),
        (f.confirm(3, uns=True), S.UNSOLICITED_CONFIRM),
        (f.request(3, to=0xFFFF), S.UNANSWERED),
        (f.link_status_request(to=0xFFFD), S.UNANSWERED),
    ],
)
def test_frames_of_a_master(frame: Frame, stimulus: Stimulus) -> None:
    assert Reader().read_master(frame).stimulus is stimulus


@pytest.mark.parametrize(
    ("frame", "stimulus"),
    [
        (f.link_status(), S.LINK_ANSWER),
        (f.from_rtu(LinkFunction.RESET_LINK_STATES), S.LINK_REQUEST),
        (f.response(3), S.LAST_FRAGMENT),
        (f.response(3, application=f.A_FIR_FIN | f.A_CON), S.LAST_FRAGMENT_CON),
        (f.response(3, application=f.A_FIR), S.FRAGMENT),
        (f.response(3, application=f.A_FIR | f.A_CON), S.FRAGMENT_CON),
        (f.response(3, transport=f.FIR), S.PART),
        (f.unsolicited(3), S.UNSOLICITED),
    ],
)
def test_frames_of_an_outstation(frame: Frame, stimulus: Stimulus) -> None:
    assert Reader().read_outstation(frame).stimulus is stimulus


def test_later_segments_mean_what_their_first_did() -> None:
    reader = Reader()
    first = reader.read_outstation(f.response(3, application=f.A_FIR_FIN | f.A_CON, transport=f.FIR))
    assert first == Reading(S.PART, sequence=3, starts_fragment=True)
    assert reader.read_outstation(f.response(transport=f.MIDDLE)) == Reading(S.PART)
    assert reader.read_outstation(f.response(transport=f.FIN)) == Reading(S.LAST_FRAGMENT_CON)
    reader.read_outstation(f.unsolicited(transport=f.FIR))
    assert reader.read_outstation(f.unsolicited(transport=f.FIN)) == Reading(S.UNSOLICITED)


def test_later_segments_of_a_request() -> None:
    reader = Reader()
    reader.read_master(f.request(1, transport=f.FIR))
    assert reader.read_master(f.request(transport=f.MIDDLE)).stimulus is S.SEGMENT
    assert reader.read_master(f.request(transport=f.FIN)).stimulus is S.LAST_SEGMENT
    assert reader.read_master(f.request(1, f.DIRECT_OPERATE_NR, transport=f.FIR)).stimulus is S.REQUEST
    assert reader.read_master(f.request(transport=f.FIN)).stimulus is S.LAST_SEGMENT_UNANSWERED


def test_link_confirmed_data_asks_for_a_link_answer() -> None:
    assert Reader().read_master(f.request(confirmed=True)).asks_link_answer
    assert not Reader().read_master(f.request()).asks_link_answer


def test_captured_frames() -> None:
    reader = Reader()
    meaning = {
        name: (reader.read_master if name.split("-")[-2] == "m" else reader.read_outstation)(
            Frame.of_octets(octets)
        ).stimulus
        for name, octets in LINK_FRAMES.items()
    }
    assert meaning["read-m-1"] is S.WHOLE_REQUEST
    assert meaning["response-o-3"] is S.PART
    assert meaning["segment-o-1"] is S.LAST_FRAGMENT
    assert meaning["confirm-m-1"] is S.UNSOLICITED_CONFIRM
    assert meaning["unsolicited-o-1"] is S.UNSOLICITED
    assert meaning["request-link-status-m-1"] is S.LINK_SERVICE
    assert meaning["link-status-o-1"] is S.LINK_ANSWER


def test_no_frame_makes_it_raise() -> None:
    rng = random.Random(8)
    reader = Reader()
    for octet in range(256):
        for size in (0, 1, 2, 3, 250):
            frame = Frame.build(Control.of(octet), rng.randrange(0x10000), 1, rng.randbytes(size))
            reader.read_master(frame)
            reader.read_outstation(frame)
