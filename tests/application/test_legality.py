from __future__ import annotations

from bridge.application.function import Function
from bridge.application.legality import INDEPENDENT_HEADERS, USES, carries_objects, qualifiers_for
from bridge.application.objects import ROWS, VARIATIONS
from bridge.application.variation import Role

F = Function


def taken_by(function: Function) -> set[str]:
    return {row.label for row in ROWS if qualifiers_for(function, row)}


def test_every_use_covers_a_row() -> None:
    for uses in USES.values():
        for use in uses:
            assert any(use.covers(row) for row in VARIATIONS.values()), use


def test_no_two_uses_of_a_function_cover_one_row() -> None:
    for uses in USES.values():
        for row in VARIATIONS.values():
            assert sum(use.covers(row) for use in uses) <= 1


def test_what_only_an_outstation_sends_is_in_no_request() -> None:
    sent = {row for row in ROWS if not any(qualifiers_for(function, row) for function in USES)}
    assert {row.role for row in sent} == {Role.COMMON_TIME, Role.DELAY}


def test_what_is_not_read() -> None:
    not_read = {row.label for row in ROWS} - taken_by(F.READ)
    assert not_read == {
        *("g12v0", "g12v1", "g41v0", "g41v1", "g41v2", "g41v3", "g41v4"),
        *("g50v2", "g50v3", "g51v1", "g51v2", "g52v1", "g52v2"),
    }


def test_what_is_written() -> None:
    written = taken_by(F.WRITE) - {row.label for row in ROWS if row.group == 0}
    assert written == {"g34v1", "g34v2", "g34v3", "g50v1", "g50v3", "g50v4", "g80v1"}
    assert qualifiers_for(F.WRITE, VARIATIONS[110, 9])
    assert not qualifiers_for(F.WRITE, VARIATIONS[111, 9])
    assert not qualifiers_for(F.WRITE, VARIATIONS[0, 255])


def test_what_is_operated_frozen_assigned_enabled() -> None:
    for function in (F.SELECT, F.OPERATE, F.DIRECT_OPERATE, F.DIRECT_OPERATE_NR):
        assert taken_by(function) == {"g12v1", "g41v1", "g41v2", "g41v3", "g41v4"}
    for function in (F.IMMED_FREEZE, F.IMMED_FREEZE_NR):
        assert taken_by(function) == {"g20v0", "g30v0"}
    for function in (F.FREEZE_CLEAR, F.FREEZE_CLEAR_NR):
        assert taken_by(function) == {"g20v0"}
    for function in (F.FREEZE_AT_TIME, F.FREEZE_AT_TIME_NR):
        assert taken_by(function) == {"g20v0", "g30v0", "g50v2"}
    for function in (F.ENABLE_UNSOLICITED, F.DISABLE_UNSOLICITED):
        assert taken_by(function) == {"g60v2", "g60v3", "g60v4"}
    assert taken_by(F.ASSIGN_CLASS) == {
        *("g1v0", "g3v0", "g10v0", "g12v0", "g20v0", "g21v0", "g30v0", "g31v0", "g40v0", "g41v0", "g110v0"),
        *("g60v1", "g60v2", "g60v3", "g60v4"),
    }


def test_a_function_that_is_not_executed_takes_nothing() -> None:
    assert not qualifiers_for(F.OPEN_FILE, VARIATIONS[60, 1])


def test_objects_follow_only_where_something_is_handed_over() -> None:
    with_objects = {
        function
        for function in USES
        for row in VARIATIONS.values()
        if qualifiers_for(function, row) and carries_objects(function, row)
    }
    assert with_objects == {2, 3, 4, 5, 6, 11, 12}
    assert not with_objects & INDEPENDENT_HEADERS
    assert not carries_objects(F.FREEZE_AT_TIME, VARIATIONS[20, 0])
    assert not carries_objects(F.READ, VARIATIONS[50, 2])
