"""The soak of the shared line, a short one; and that each of its checks can fail."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import pytest

from bridge.routing.steps import Send
from tests.routing.turn_bench import Bench
from tests.support import frames, peers, wire_crc

peers.require_module("opendnp3")

from tests.soak import masters, site  # noqa: E402
from tests.soak import masters_checks as checks  # noqa: E402
from tests.soak.masters_report import text_of  # noqa: E402
from tests.soak.masters_rtus import DIRECT as CALLED_DIRECT  # noqa: E402
from tests.soak.masters_rtus import OPERATED, SELECTED, Executed  # noqa: E402
from tests.soak.masters_scada import DIRECT, EVENTS, SBO, SUCCESS, Action  # noqa: E402
from tests.soak.masters_wire import Listener, Said, disorder, requests, selects  # noqa: E402

NO_ANSWER, NO_CONNECTION = "FAILURE_RESPONSE_TIMEOUT", "FAILURE_NO_COMMS"
CONFIRM, READ, SELECT, OPERATE, RESPONSE = 0, 1, 3, 4, 129
ASKS_CONFIRM = 0x20
TEN, ELEVEN = 10, 11
_SPEAKERS = {TEN: 1, ELEVEN: 2}


@pytest.mark.wire
@pytest.mark.peer
def test_the_shared_line_for_a_moment() -> None:
    report = masters.run(["clean", "noise+pulls"], seconds=7.0, seed=1)
    assert not report.problems, text_of(report)
    clean, spoiled = report.phases
    assert clean.selects.parted
    assert clean.frames
    assert report.values
    assert spoiled.damaged_frames
    assert spoiled.pulls
    print(text_of(report))


@pytest.mark.parametrize("text", ["quiet", "clean,noise+loud", ""])
def test_unknown_phases_are_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        masters.main(["--phases", text])
    assert "no phase" in capsys.readouterr().err


@pytest.mark.parametrize("mark", [site.Mark(10, 0), site.Mark(13, 999_999)])
def test_a_value_says_whose_it_is_and_when(mark: site.Mark) -> None:
    assert site.decode(site.encode(mark)) == mark
    assert site.encode(mark) < 1 << 31


# What the soak found


def test_a_confirm_that_waits_for_the_turnaround_is_sent_before_the_next_request() -> None:
    """A master may send both at once; the confirm was dropped as superseded."""
    bench = Bench(turnaround_s=0.002)
    assert bench.master(frames.request(0)) == ["send 12"]
    asking = frames.response(0, application=frames.A_FIR_FIN | frames.A_CON)
    assert bench.at(0.1).rtu(asking) == ["deliver 12 to one"]
    assert bench.master(frames.confirm(0)) == []
    assert bench.master(frames.request(1)) == []
    assert bench.at(0.11).deadline() == ["send 12", "answered 12"]
    assert bench.steps[0] == Send(12, frames.confirm(0))
    assert bench.at(0.2).deadline() == ["send 12"]
    assert bench.steps == [Send(12, frames.request(1))]


# The wire


def to_rtu(address: int, function: int) -> Said:
    frame = wire_crc.frame(0xC4, address, site.MASTER, bytes((0xC0, 0xC0, function)))
    return Said(next(_TIMES), 0, frame)


def from_rtu(address: int, control: int = 0) -> Said:
    frame = wire_crc.frame(0x44, site.MASTER, address, bytes((0xC0, 0xC0 | control, RESPONSE, 0, 0)))
    return Said(next(_TIMES), _SPEAKERS[address], frame)


_TIMES = itertools.count(1.0)
EXCHANGE = (to_rtu(TEN, READ), from_rtu(TEN))


def heard(*said: Said) -> Listener:
    listener = Listener()
    listener.listen(said)
    return listener


def test_whole_frames_are_fine_however_they_are_cut() -> None:
    whole = to_rtu(TEN, READ)
    parts = [whole._replace(octets=bytes((octet,))) for octet in whole.octets]
    listener = heard(*parts)
    assert [frame.octets for frame in listener.frames] == [whole.octets]
    assert not listener.problems
    assert not list(listener.halves())


def test_a_record_is_taken_once() -> None:
    listener = heard(*EXCHANGE)
    listener.listen((*EXCHANGE, to_rtu(ELEVEN, READ)))
    assert [frame.address for frame in listener.frames] == [TEN, TEN, ELEVEN]


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"\x00" + EXCHANGE[0].octets, id="a stray octet"),
        pytest.param(EXCHANGE[0].octets[:-1] + b"\x00", id="a wrong CRC"),
        pytest.param(EXCHANGE[0].octets[:8] + EXCHANGE[0].octets, id="torn"),
    ],
)
def test_what_is_no_frame_is_a_problem(octets: bytes) -> None:
    assert heard(Said(0.0, 0, octets)).problems


def test_half_a_frame_is_a_problem_unless_the_adapter_was_pulled() -> None:
    half = Said(0.0, 0, EXCHANGE[0].octets[:9])
    assert list(heard(half).halves())
    pulled = heard(half, Said(0.0, 0, b""), *EXCHANGE)
    assert pulled.cut == 1
    assert not pulled.problems
    assert not list(pulled.halves())


@pytest.mark.parametrize(
    "said",
    [
        EXCHANGE * 2,
        (to_rtu(TEN, READ), from_rtu(TEN, ASKS_CONFIRM), to_rtu(TEN, CONFIRM), to_rtu(ELEVEN, READ)),
    ],
)
def test_one_exchange_after_the_other_is_order(said: tuple[Said, ...]) -> None:
    assert not list(disorder(heard(*said).frames))


@pytest.mark.parametrize(
    "said",
    [
        pytest.param((to_rtu(TEN, READ), to_rtu(ELEVEN, READ)), id="a request before the answer"),
        pytest.param((to_rtu(TEN, READ), from_rtu(ELEVEN)), id="another one's answer"),
        pytest.param((from_rtu(TEN),), id="an answer unasked"),
        pytest.param((*EXCHANGE, from_rtu(TEN)), id="two answers"),
        pytest.param((*EXCHANGE, to_rtu(TEN, CONFIRM)), id="a confirm unasked"),
        pytest.param(
            (to_rtu(TEN, READ), from_rtu(TEN, ASKS_CONFIRM), to_rtu(ELEVEN, READ)), id="before the confirm"
        ),
    ],
)
def test_two_exchanges_at_once_are_disorder(said: tuple[Said, ...]) -> None:
    assert list(disorder(heard(*said).frames))


def test_what_speaks_between_select_and_operate_is_counted() -> None:
    select, operate = (to_rtu(TEN, SELECT), from_rtu(TEN)), (to_rtu(TEN, OPERATE), from_rtu(TEN))
    other = to_rtu(ELEVEN, READ), from_rtu(ELEVEN)
    said = heard(*select, *operate, *select, *other, *operate, *select, *EXCHANGE, *operate).frames
    assert selects(said) == (2, 1)
    assert requests(said, TEN) == 7
    assert requests(said, ELEVEN) == 1


# Actions


def action(kind: str = SBO, number: int = 7, result: str = SUCCESS) -> Action:
    return Action("clean", kind, number, 10.0, 11.0, result)


GOOD = (Executed(10.1, SELECTED, 7), Executed(10.5, OPERATED, 7))


@pytest.mark.parametrize(
    ("issued", "executed"),
    [
        (action(), GOOD),
        (action(DIRECT), (Executed(10.5, CALLED_DIRECT, 7),)),
        (action(result=NO_ANSWER), GOOD),
        (action(result=NO_ANSWER), GOOD[:1]),
        (action(result=NO_ANSWER), ()),
        (action(EVENTS, 0), ()),
    ],
)
def test_what_may_be_executed(issued: Action, executed: tuple[Executed, ...]) -> None:
    assert not list(checks.executions("rtu", [issued], executed))


@pytest.mark.parametrize(
    ("issued", "executed", "said"),
    [
        (action(), (*GOOD, GOOD[1]), "2 times"),
        (action(), GOOD[:1], "did not execute"),
        (action(), (*GOOD, Executed(10.6, OPERATED, 8)), "nobody issued"),
        (action(DIRECT), (*GOOD, Executed(10.5, CALLED_DIRECT, 7)), "was a direct"),
        (action(result=NO_ANSWER), (Executed(12.0, OPERATED, 7),), "after its master's end"),
        (action(result=NO_ANSWER), (Executed(9.9, OPERATED, 7),), "after its master's end"),
    ],
)
def test_what_may_not_be_executed(issued: Action, executed: tuple[Executed, ...], said: str) -> None:
    problems = list(checks.executions("rtu", [issued], executed))
    assert problems
    assert all(said in problem for problem in problems)


@pytest.mark.parametrize(
    ("result", "is_clean", "is_preempted", "is_excused"),
    [
        (SUCCESS, True, False, True),
        (NO_ANSWER, True, False, False),
        (NO_ANSWER, False, False, True),
        (NO_CONNECTION, False, False, False),
        (NO_CONNECTION, False, True, True),
        ("NO_SELECT", False, True, False),
        ("FAILURE_BAD_RESPONSE", False, True, False),
    ],
)
def test_which_failures_are_excused(
    result: str, is_clean: bool, is_preempted: bool, is_excused: bool
) -> None:
    actions = [action(result=result)]
    problems = list(checks.failures("rtu", actions, is_clean=is_clean, is_preempted=is_preempted))
    assert bool(problems) is not is_excused


@pytest.mark.parametrize(
    ("heard_of", "is_clean", "is_fine"),
    [
        ([1, 2, 3], True, True),
        ([1, 2], False, False),
        ([1, 2, 3, 4], False, False),
        ([1, 2, 1, 2, 3], True, False),
        ([1, 2, 1, 2, 3], False, True),
        ([2, 1, 3], True, False),
    ],
)
def test_events_arrive(heard_of: list[int], is_clean: bool, is_fine: bool) -> None:
    assert bool(list(checks.events("rtu", [1, 2, 3], heard_of, is_clean=is_clean))) is not is_fine


def test_everybody_has_his_share() -> None:
    assert not list(checks.proportion({"a": 90, "b": 110, "c": 100}))
    assert len(list(checks.proportion({"a": 10, "b": 100, "c": 190}))) == 2


# The status


def status(**changes: Any) -> dict[str, Any]:
    """Return a status of two requests, two answers, one of which was dropped."""
    server = {
        "name": "main",
        "session_ends": {},
        "drops": {},
        "sessions": [
            {"peer": "a", "frames_received": 2, "frames_sent": 1, "drops": {}, "discards": {}},
        ],
    }
    line = {"name": "bay", "waiting_frames": 0, "frames_heard": 2, "drops": {}, "discards": {}}
    outstation = {
        "name": "rtu-10",
        "link_address": TEN,
        "frames_from_master": 2,
        "frames_to_master": 1,
        "drops": {"late": 1},
        "exchanges": {"answered": 1, "timed_out": 1},
    }
    for owner in (server, line, outstation):
        owner.update({key: value for key, value in changes.items() if key in owner})
    return {"servers": [server], "lines": [line], "outstations": [outstation]}


def test_a_status_that_balances() -> None:
    assert not list(checks.balance(status(), {TEN: 2}, slack=0))
    assert not list(checks.balance(status(), {TEN: 1}, slack=1))


@pytest.mark.parametrize(
    ("changes", "sent"),
    [
        ({"drops": {}}, 2),
        ({"frames_heard": 3}, 2),
        ({"frames_to_master": 2}, 2),
        ({"waiting_frames": 1}, 2),
        ({}, 1),
        ({}, 3),
    ],
)
def test_a_status_that_does_not_balance(changes: Mapping[str, Any], sent: int) -> None:
    assert list(checks.balance(status(**changes), {TEN: sent}, slack=0))


def test_after_an_end_only_the_wire_is_compared() -> None:
    ended = status(session_ends={"pre_empted": 1}, frames_heard=99)
    assert not list(checks.balance(ended, {TEN: 2}, slack=0))
    assert list(checks.balance(ended, {TEN: 1}, slack=0))


CLEAN = {"drops": {}, "exchanges": {"answered": 2}}


def test_a_clean_status() -> None:
    assert not list(checks.cleanness(status(**CLEAN), {TEN: 2}))


@pytest.mark.parametrize(
    "changes",
    [
        {"drops": {"expired": 1}},
        {"discards": {"header_crc": 1}},
        {"exchanges": {"answered": 1}},
        {"exchanges": {"answered": 2, "timed_out": 1}},
    ],
)
def test_a_status_that_is_not_clean(changes: Mapping[str, Any]) -> None:
    assert list(checks.cleanness(status(**(CLEAN | changes)), {TEN: 2}))
