from __future__ import annotations

import random

import pytest

from bridge.link.control import Control, LinkFunction
from bridge.link.frame import Frame
from bridge.routing.stimulus import Reader, Reading, Stimulus, function_of, starts_request
from tests.support import frames as f
from tests.vectors import LINK_FRAMES

S = Stimulus

FROM_MASTERS = [
    f.link_status_request(),
    f.from_master(LinkFunction.ACK),
    f.request(3),
    f.request(3, f.DIRECT_OPERATE_NR),
    f.confirm(3),
    f.confirm(3, uns=True),
    f.request(3, transport=f.FIR),
    f.request(transport=f.MIDDLE),
    f.request(transport=f.FIN),
    f.request(3, f.DIRECT_OPERATE_NR, transport=f.FIR),
    f.request(transport=f.FIN),
]
FROM_OUTSTATIONS = [
    f.link_status(),
    f.from_rtu(LinkFunction.RESET_LINK_STATES),
    f.unsolicited(3),
    f.response(3, transport=f.FIR),
    f.response(3),
    f.response(3, application=f.A_FIR_FIN | f.A_CON),
    f.response(3, application=f.A_FIR),
    f.response(3, application=f.A_FIR | f.A_CON),
]


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
    assert first == Reading(S.PART, sequence=3, starts_fragment=True, is_last=False)
    assert reader.read_outstation(f.response(transport=f.MIDDLE)) == Reading(S.PART, is_last=False)
    assert reader.read_outstation(f.response(transport=f.FIN)) == Reading(S.LAST_FRAGMENT_CON)
    first = reader.read_outstation(f.unsolicited(3, transport=f.FIR))
    assert first == Reading(S.UNSOLICITED, sequence=3, starts_fragment=True, is_last=False)
    assert reader.read_outstation(f.unsolicited(transport=f.MIDDLE)) == Reading(S.UNSOLICITED, is_last=False)
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


def test_a_later_segment_without_its_first_one_is_nobodys() -> None:
    """After an unsolicited response, what begins in its middle is not that response's end."""
    reader = Reader()
    reader.read_outstation(f.unsolicited(3))
    assert reader.read_outstation(f.response(transport=f.FIN)) == Reading(S.PART)
    assert Reader().read_outstation(f.response(transport=f.MIDDLE)) == Reading(S.PART, is_last=False)


def test_the_function_of_a_masters_fragment() -> None:
    reader = Reader()
    assert reader.read_master(f.request(1, f.SELECT, transport=f.FIR)).function == f.SELECT
    assert reader.read_master(f.request(transport=f.FIN)).function == f.SELECT
    assert reader.read_master(f.link_status_request()).function is None
    assert reader.read_master(f.request(1, 200)).function == 200
    assert reader.read_master(f.request(1, f.WRITE, to=0xFFFF)).function == f.WRITE


@pytest.mark.parametrize(
    ("frame", "function", "starts"),
    [
        (f.request(1, f.SELECT), f.SELECT, True),
        (f.request(1, f.SELECT, transport=f.FIR, confirmed=True), f.SELECT, True),
        (f.request(1, 200), 200, True),
        (f.confirm(1), 0, True),
        (f.request(transport=f.MIDDLE, rest=b"\x00\x03"), None, False),
        (f.request(transport=f.FIN, rest=b"\x00\x03"), None, False),
        (f.link_status_request(), None, True),
        (f.from_master(LinkFunction.UNCONFIRMED_USER_DATA), None, True),
    ],
)
def test_what_one_frame_says_of_its_request(frame: Frame, function: int | None, starts: bool) -> None:
    assert (function_of(frame), starts_request(frame)) == (function, starts)


def test_broadcasts_are_never_answered() -> None:
    for destination in (0xFFFD, 0xFFFE, 0xFFFF):
        for frame in (
            f.request(3, to=destination),
            f.request(3, to=destination, confirmed=True),
            f.confirm(3, to=destination),
            f.confirm(3, uns=True, to=destination),
        ):
            reading = Reader().read_master(frame)
            assert (reading.stimulus, reading.sequence, reading.asks_link_answer) == (
                S.UNANSWERED,
                None,
                False,
            )
        reader = Reader()
        assert reader.read_master(f.request(3, to=destination, transport=f.FIR)).stimulus is S.REQUEST
        last = reader.read_master(f.request(to=destination, transport=f.FIN))
        assert last.stimulus is S.LAST_SEGMENT_UNANSWERED


def test_the_self_address_is_no_broadcast() -> None:
    assert Reader().read_master(f.request(3, to=0xFFFC)).stimulus is S.WHOLE_REQUEST


def test_every_stimulus_can_be_read() -> None:
    reader = Reader()
    seen = {reader.read_master(frame).stimulus for frame in FROM_MASTERS}
    seen |= {reader.read_outstation(frame).stimulus for frame in FROM_OUTSTATIONS}
    assert seen == set(Stimulus)
