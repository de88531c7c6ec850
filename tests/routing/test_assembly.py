"""Segments that wait for their last one."""

from __future__ import annotations

import pytest

from bridge.link.frame import Frame
from bridge.routing.assembly import Assembly, Refused, Request
from bridge.routing.drop import Drop
from bridge.routing.stimulus import Reader, Stimulus
from tests.support import frames as f

FIRST, MIDDLE, LAST = f.request(1, transport=f.FIR), f.request(transport=f.MIDDLE), f.request(transport=f.FIN)


class Gathered:
    """An assembly with its reader."""

    def __init__(self) -> None:
        self.assembly, self.reader = Assembly(), Reader()

    def take(self, frame: Frame, *, now: float = 0.0, expires_s: float = 10.0) -> list[Request | Refused]:
        return self.assembly.take(frame, self.reader.read_master(frame), now=now, expires_s=expires_s)


@pytest.fixture
def gathered() -> Gathered:
    return Gathered()


@pytest.mark.parametrize(
    "frame",
    [
        f.request(1),
        f.request(1, f.DIRECT_OPERATE_NR),
        f.confirm(1),
        f.link_status_request(),
        f.request(1, to=0xFFFF),
    ],
)
def test_single_frames_pass(gathered: Gathered, frame: Frame) -> None:
    reading = Reader().read_master(frame)
    assert gathered.take(frame) == [Request((frame,), reading, 10.0)]


def test_segments_become_one_request(gathered: Gathered) -> None:
    assert gathered.take(FIRST, expires_s=10.0) == []
    assert gathered.take(MIDDLE, now=1.0, expires_s=11.0) == []
    (request,) = gathered.take(LAST, now=2.0, expires_s=12.0)
    assert isinstance(request, Request)
    assert request.frames == (FIRST, MIDDLE, LAST)
    assert request.reading.stimulus is Stimulus.WHOLE_REQUEST
    assert request.reading.sequence == 1
    assert request.expires_s == 10.0


def test_a_request_without_answer(gathered: Gathered) -> None:
    gathered.take(f.request(1, f.DIRECT_OPERATE_NR, transport=f.FIR))
    (request,) = gathered.take(LAST)
    assert isinstance(request, Request)
    assert request.reading.stimulus is Stimulus.UNANSWERED


def test_later_segments_alone(gathered: Gathered) -> None:
    assert gathered.take(MIDDLE) == [Refused((MIDDLE,), Drop.ORPHAN_SEGMENT)]
    assert gathered.take(LAST) == [Refused((LAST,), Drop.ORPHAN_SEGMENT)]


def test_nothing_is_left_of_a_request_that_was_whole(gathered: Gathered) -> None:
    gathered.take(FIRST)
    gathered.take(LAST)
    assert gathered.take(LAST) == [Refused((LAST,), Drop.ORPHAN_SEGMENT)]


def test_another_first_segment_supersedes(gathered: Gathered) -> None:
    gathered.take(FIRST)
    gathered.take(MIDDLE)
    other = f.request(2, transport=f.FIR)
    assert gathered.take(other) == [Refused((FIRST, MIDDLE), Drop.SUPERSEDED)]
    (request,) = gathered.take(LAST)
    assert isinstance(request, Request)
    assert request.frames == (other, LAST)


def test_link_services_supersede_nothing(gathered: Gathered) -> None:
    gathered.take(FIRST)
    (request,) = gathered.take(f.link_status_request())
    assert isinstance(request, Request)
    assert isinstance(gathered.take(LAST)[0], Request)


def test_a_confirmed_segment_is_a_request_of_its_own(gathered: Gathered) -> None:
    first = f.request(1, transport=f.FIR, confirmed=True)
    (request,) = gathered.take(first)
    assert isinstance(request, Request)
    assert request.reading.stimulus is Stimulus.REQUEST


def test_too_many_segments(gathered: Gathered) -> None:
    gathered.take(FIRST)
    settled = [gathered.take(MIDDLE) for _ in range(16)]
    assert settled == [[]] * 15 + [[Refused((FIRST, *[MIDDLE] * 16), Drop.QUEUE_FULL)]]
    assert gathered.take(LAST) == [Refused((LAST,), Drop.ORPHAN_SEGMENT)]


def test_too_old_when_it_is_whole(gathered: Gathered) -> None:
    gathered.take(FIRST, expires_s=10.0)
    assert gathered.take(LAST, now=10.0, expires_s=20.0) == [Refused((FIRST, LAST), Drop.EXPIRED)]


def test_given_up(gathered: Gathered) -> None:
    assert gathered.assembly.give_up(Drop.LINE_DOWN) == []
    gathered.take(FIRST)
    gathered.take(MIDDLE)
    assert gathered.assembly.give_up(Drop.LINE_DOWN) == [Refused((FIRST, MIDDLE), Drop.LINE_DOWN)]
    assert gathered.assembly.give_up(Drop.LINE_DOWN) == []


def test_what_continues_it() -> None:
    gathered = Gathered()
    middle, last = Reader().read_master(MIDDLE), Reader().read_master(LAST)
    assert not gathered.assembly.continues(middle)
    gathered.take(FIRST)
    assert gathered.assembly.continues(middle)
    assert gathered.assembly.continues(last)
    assert not gathered.assembly.continues(Reader().read_master(f.confirm(1)))
    assert not gathered.assembly.continues(Reader().read_master(f.from_master(0)))  # type: ignore[arg-type]
