"""The soak run's judge accuses what it must; and a short run over every kind of fault finds nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import pytest

from bridge.link.control import LinkFunction
from tests.soak.faults_judge import REQUEST_TTL_S, Judge, Request, Violation
from tests.soak.faults_report import KindRecord, Report
from tests.soak.faults_run import _books, plan
from tests.soak.faults_scene import KINDS
from tests.soak.faults_tags import (
    Tag,
    TagKind,
    answer_frame,
    damaged,
    request_frames,
    tag_of,
    unsolicited_frame,
)
from tests.support import frames as f
from tests.support.repository import ROOT

LINE, RTU, OTHER_RTU, MASTER = "a", 10, 11, 1


@dataclass(eq=False)
class FakeConnection:
    name: str = "127.0.0.1:1"
    owner: str = "one"
    link_address: int = MASTER
    outstations: dict[int, str] = field(default_factory=lambda: {RTU: LINE})
    ended_s: float | None = None


@pytest.fixture
def judge() -> Judge:
    return Judge()


def _ask(
    judge: Judge, connection: FakeConnection, sequence: int = 0, *, to: int = RTU, forward: bool = True
) -> Request:
    number = judge.new_number()
    request = Request(
        number=number,
        connection=connection,
        to=to,
        sequence=sequence,
        frames=request_frames(number, sequence=sequence, to=to, source=connection.link_address),
        is_forwarded=forward,
        is_answered_to=forward,
        sent_s=time.monotonic(),
    )
    judge.sent(request)
    return request


def _answer(
    judge: Judge, request: Request, *, rtu: int = RTU, to: int = MASTER, sequence: int | None = None
) -> bytes:
    judge.said(request.number, 0)
    tag = Tag(TagKind.ANSWER, request.number, 0, rtu, to)
    return answer_frame(tag, sequence=request.sequence if sequence is None else sequence)


def _whats(judge: Judge) -> list[str]:
    return [violation.what for violation in judge.violations]


class TestTags:
    def test_go_there_and_back(self) -> None:
        (frame,) = request_frames(7, sequence=3, to=RTU, source=MASTER, filling=100)
        assert tag_of(frame) == Tag(TagKind.REQUEST, 7)
        tag = Tag(TagKind.ANSWER, 70000, 2, RTU, MASTER)
        assert tag_of(answer_frame(tag, sequence=3)) == tag
        assert tag_of(answer_frame(tag, sequence=3, transport=f.MIDDLE, filling=200)) == tag
        assert tag_of(unsolicited_frame(8, rtu=RTU, master=MASTER)) == Tag(
            TagKind.UNSOLICITED, 8, 0, RTU, MASTER
        )

    def test_segments_have_an_index(self) -> None:
        frames = request_frames(7, sequence=3, to=RTU, source=MASTER, segments=3)
        assert [tag_of(frame) for frame in frames] == [Tag(TagKind.REQUEST, 7, index) for index in range(3)]

    def test_others_have_none(self) -> None:
        assert tag_of(f.link_status().octets) is None
        assert tag_of(f.confirm(1).octets) is None

    def test_damage_is_damage(self) -> None:
        octets = f.link_status().octets
        assert damaged(octets, 4) != octets


class TestWhatMastersGet:
    def test_an_answer_to_an_open_request(self, judge: Judge) -> None:
        connection = FakeConnection()
        request = _ask(judge, connection)
        assert judge.delivered(connection, _answer(judge, request)) is not None
        assert request.is_answered
        assert judge.violations == []
        assert judge.seen["answer frames delivered"] == 1

    def test_an_answer_for_another_connection_of_the_master_is_stale(self, judge: Judge) -> None:
        older, newer = FakeConnection("x:1"), FakeConnection("x:2")
        answer = _answer(judge, _ask(judge, older))
        _ask(judge, newer)
        assert judge.delivered(newer, answer) is None
        assert _whats(judge) == ["stale"]

    def test_an_answer_for_another_master_is_misrouted(self, judge: Judge) -> None:
        other = FakeConnection(owner="two")
        judge.delivered(FakeConnection(), _answer(judge, _ask(judge, other)))
        assert _whats(judge) == ["misrouted"]

    def test_twice_is_stale(self, judge: Judge) -> None:
        connection = FakeConnection()
        answer = _answer(judge, _ask(judge, connection))
        judge.delivered(connection, answer)
        judge.delivered(connection, answer)
        assert _whats(judge) == ["stale"]

    def test_an_answer_after_that_to_a_newer_request_is_stale(self, judge: Judge) -> None:
        connection = FakeConnection()
        first, second = _ask(judge, connection, 1), _ask(judge, connection, 2)
        judge.delivered(connection, _answer(judge, second))
        judge.delivered(connection, _answer(judge, first))
        assert _whats(judge) == ["stale"]

    def test_an_answer_begun_after_a_newer_request_was_heard_is_stale(self, judge: Judge) -> None:
        connection = FakeConnection()
        first, second = _ask(judge, connection, 1), _ask(judge, connection, 2)
        judge.heard(LINE, RTU, second.frames[0])
        judge.delivered(connection, _answer(judge, first))
        assert _whats(judge) == ["stale"]

    def test_an_answer_begun_before_a_newer_request_was_heard_is_right(self, judge: Judge) -> None:
        connection = FakeConnection()
        first, second = _ask(judge, connection, 1), _ask(judge, connection, 2)
        answer = _answer(judge, first)
        judge.heard(LINE, RTU, second.frames[0])
        assert judge.delivered(connection, answer) is not None
        assert judge.violations == []

    def test_nobody_can_tell_requests_with_one_sequence_apart(self, judge: Judge) -> None:
        connection = FakeConnection()
        first, second = _ask(judge, connection, 1), _ask(judge, connection, 1)
        judge.heard(LINE, RTU, second.frames[0])
        assert judge.delivered(connection, _answer(judge, first)) is not None

    def test_another_sequence_than_was_asked_with_is_stale(self, judge: Judge) -> None:
        connection = FakeConnection()
        judge.delivered(connection, _answer(judge, _ask(judge, connection, 1), sequence=5))
        assert _whats(judge) == ["stale"]

    def test_an_answer_to_nothing_is_stale(self, judge: Judge) -> None:
        judge.delivered(FakeConnection(), answer_frame(Tag(TagKind.ANSWER, 99, 0, RTU, MASTER), sequence=0))
        assert _whats(judge) == ["stale"]

    @pytest.mark.parametrize(
        "frame",
        [
            f.link_status(OTHER_RTU, MASTER).octets,
            f.link_status(RTU, 2).octets,
            f.link_status_request(RTU, MASTER).octets,
        ],
        ids=["of another outstation", "for another master", "of a master"],
    )
    def test_frames_of_and_for_others_are_misrouted(self, judge: Judge, frame: bytes) -> None:
        judge.delivered(FakeConnection(), frame)
        assert _whats(judge) == ["misrouted"]

    def test_a_link_answer_is_right(self, judge: Judge) -> None:
        judge.delivered(FakeConnection(), f.link_status(RTU, MASTER).octets)
        assert judge.violations == []
        assert judge.seen["link answers delivered"] == 1

    def test_an_answer_that_lies_about_its_rtu_is_torn(self, judge: Judge) -> None:
        connection = FakeConnection(outstations={RTU: LINE, OTHER_RTU: LINE})
        request = _ask(judge, connection)
        frame = answer_frame(
            Tag(TagKind.ANSWER, request.number, 0, OTHER_RTU, MASTER), sequence=0, source=RTU
        )
        judge.delivered(connection, frame)
        assert _whats(judge) == ["torn"]

    def test_unsolicited_responses_come_once(self, judge: Judge) -> None:
        number = judge.new_number()
        judge.said_unsolicited(number, RTU, MASTER)
        frame = unsolicited_frame(number, rtu=RTU, master=MASTER)
        connection = FakeConnection()
        assert judge.delivered(connection, frame) is not None
        assert judge.delivered(connection, frame) is None
        assert _whats(judge) == ["stale"]

    @pytest.mark.parametrize(("has_spoken", "expected"), [(True, ["misrouted"]), (False, [])])
    def test_unsolicited_for_another_link_address(
        self, judge: Judge, has_spoken: bool, expected: list[str]
    ) -> None:
        """Before a master has spoken the bridge cannot know its link address."""
        connection, number = FakeConnection(), judge.new_number()
        if has_spoken:
            judge.heard(LINE, RTU, _ask(judge, connection).frames[0])
        judge.said_unsolicited(number, RTU, 2)
        judge.delivered(connection, unsolicited_frame(number, rtu=RTU, master=2))
        assert _whats(judge) == expected


class TestWhatRtusHear:
    def test_a_request_octet_for_octet(self, judge: Judge) -> None:
        request = _ask(judge, FakeConnection())
        assert judge.heard(LINE, RTU, request.frames[0]) is request
        assert judge.violations == []
        assert judge.seen["request frames heard"] == 1

    def test_twice_is_stale(self, judge: Judge) -> None:
        request = _ask(judge, FakeConnection())
        judge.heard(LINE, RTU, request.frames[0])
        judge.heard(LINE, RTU, request.frames[0])
        assert _whats(judge) == ["stale"]

    def test_on_another_line_is_misrouted(self, judge: Judge) -> None:
        judge.heard("b", RTU, _ask(judge, FakeConnection()).frames[0])
        assert _whats(judge) == ["misrouted"]

    def test_what_is_for_nobody_is_misrouted(self, judge: Judge) -> None:
        judge.heard(LINE, RTU, _ask(judge, FakeConnection(), forward=False).frames[0])
        assert _whats(judge) == ["misrouted"]

    def test_what_nobody_sent_is_torn(self, judge: Judge) -> None:
        judge.heard(LINE, RTU, request_frames(99, sequence=0, to=RTU, source=MASTER)[0])
        assert _whats(judge) == ["torn"]

    def test_other_octets_than_were_sent_are_torn(self, judge: Judge) -> None:
        request = _ask(judge, FakeConnection())
        judge.heard(LINE, RTU, request_frames(request.number, sequence=9, to=RTU, source=MASTER)[0])
        assert _whats(judge) == ["torn"]

    @pytest.mark.parametrize(("to", "source"), [(0xFFF3, MASTER), (RTU, 0xFFF0)])
    def test_reserved_addresses_are_misrouted(self, judge: Judge, to: int, source: int) -> None:
        frame = f.from_master(LinkFunction.REQUEST_LINK_STATUS, to=to, source=source)
        judge.heard(LINE, RTU, frame.octets)
        assert _whats(judge) == ["misrouted"]

    def test_what_comes_too_late_is_stale(self, judge: Judge) -> None:
        request = _ask(judge, FakeConnection())
        request.sent_s -= REQUEST_TTL_S + 60
        judge.heard(LINE, RTU, request.frames[0])
        assert _whats(judge) == ["stale"]

    def test_time_in_which_the_bridge_was_stopped_does_not_count(self, judge: Judge) -> None:
        request = _ask(judge, FakeConnection())
        judge.paused(request.sent_s - 60, request.sent_s)
        request.sent_s -= 60
        judge.heard(LINE, RTU, request.frames[0])
        assert judge.violations == []

    def test_after_its_session_ended_is_stale(self, judge: Judge) -> None:
        connection = FakeConnection()
        request = _ask(judge, connection)
        connection.ended_s = time.monotonic() - 60
        judge.heard(LINE, RTU, request.frames[0])
        assert _whats(judge) == ["stale"]


class TestTheRun:
    def test_the_seed_gives_the_order(self) -> None:
        first, again, other = ([kind.name for kind in islice(plan(seed), 200)] for seed in ("1", "1", "2"))
        assert first == again
        assert first != other

    def test_every_kind_has_its_turn(self) -> None:
        counts = Counter(kind.name for kind in islice(plan("1"), 1000))
        assert set(counts) == set(KINDS.known)
        rare = {name for name, kind in KINDS.known.items() if kind.every > 1}
        assert min(count for name, count in counts.items() if name not in rare) >= 15

    def test_the_books_count_everything_once(self) -> None:
        status: dict[str, list[dict[str, object]]] = {
            "servers": [{"frames_received": 10, "drops": {"reserved_address": 2}}],
            "lines": [{"frames_heard": 7, "drops": {"unknown_source": 1}}],
            "outstations": [{"frames_from_master": 8, "frames_to_master": 5, "drops": {"late": 1}}],
        }
        assert _books(status, 0) == (17, 17)
        assert _books(status, 1) == (18, 17)

    def test_a_violation_is_told_with_the_way_to_see_it_again(self) -> None:
        report = Report("7", kinds={"babble": KindRecord(times=1, recovery_s=[0.5])})
        assert report.is_good
        assert "violations: none" in str(report)
        report.violations.append(Violation(3, "torn", "some octets"))
        assert not report.is_good
        assert "fault 3: torn: some octets" in str(report)
        assert "--seed 7 --only 3" in str(report)


@pytest.mark.wire
@pytest.mark.timeout(300)
def test_sixty_faults(tmp_path: Path) -> None:
    """One round of all kinds; `make faults` makes a thousand."""
    written = tmp_path / "report"
    options = ["--count", "60", "--seed", "1", "--report", str(written)]
    command = [sys.executable, "-m", "tests.soak.faults", *options]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        try:
            output, errors = program.communicate(timeout=240)
        except subprocess.TimeoutExpired:
            # It ends its bridge, too.
            program.terminate()
            output, errors = program.communicate()
    assert program.returncode == 0, f"{output}\n{errors}"
    assert "60 faults in" in output
    assert "violations: none" in output
    assert written.read_text(encoding="utf-8") == output
