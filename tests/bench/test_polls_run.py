"""The poll bench itself: its quick form measures what is installed, and every answer is right.

No time is asserted: the machine's speed is not the program's.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.bench import polls, rig
from tests.bench.polls import CHANGES, CONTENDERS, Contender, Result

pytestmark = [
    pytest.mark.wire,
    pytest.mark.skipif(rig.compiler() is None, reason="the bench's master needs a C compiler"),
]

PLAN = replace(polls.QUICK, points=(10, 500), polls=20, block_s=0.1)


@pytest.fixture(scope="module")
def result() -> Result:
    return polls.run(PLAN, list(CONTENDERS.values()))


def test_every_outstation_is_measured_or_missing(result: Result) -> None:
    assert [each.key for each in result.outstations] == list(CONTENDERS)
    for each in result.outstations:
        expected = "missing" if CONTENDERS[each.key].missing() else "measured"
        assert (each.key, each.status, each.rounds) == (each.key, expected, int(expected == "measured"))
    assert polls.clean(result)


def test_each_case_has_figures(result: Result) -> None:
    for each in result.outstations:
        if each.status == "missing":
            continue
        assert set(each.cases) == {(points, name) for points in PLAN.points for name in CHANGES}
        for (points, name), block in each.cases.items():
            assert 0 < block.polls <= PLAN.polls
            assert block.rate > 0
            assert block.p50_us <= block.p99_us
            assert block.fragments == (1 if points == 10 else 2)
            assert block.octets > 5 * points
            assert (block.change_us > 0) == (CHANGES[name] is not None)


def test_a_yardstick_is_its_own_ratio(result: Result) -> None:
    assert result.ratio("uvloop", "uvloop", (10, polls.UNCHANGED)) == 1


def test_the_three_forms_name_every_outstation(result: Result) -> None:
    for each in result.outstations:
        if each.status == "measured":
            assert each.label in polls.terminal(result)
            assert f"| {each.label} |" in polls.markdown(result)
    raw = json.loads(polls.as_json(result))
    assert [each["key"] for each in raw["outstations"]] == list(CONTENDERS)
    assert len(raw["outstations"][0]["cases"]) == len(PLAN.points) * len(CHANGES)


def test_an_outstation_that_is_not_installed_is_missing_not_an_error() -> None:
    absent = replace(CONTENDERS["py1815"], module="no_such_module")
    result = polls.run(PLAN, [absent])
    assert "py1815: missing: py1815 is not installed" in polls.terminal(result)
    assert polls.clean(result)


def test_an_outstation_that_does_not_start_is_reported_with_its_last_words() -> None:
    def nobody() -> None: ...

    broken = Contender("nobody", "nobody", nobody, "rtu-bridge", "bridge")
    result = polls.run(PLAN, [broken])
    assert result.outstations[0].status == "failed"
    assert "KeyError: 'nobody'" in result.outstations[0].reason
    assert not polls.clean(result)
