"""The Device Profile: the kept document is the generated one, and that says what an outstation does."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

import bridge.outstation
from bridge.application.header import all_objects_header
from bridge.application.legality import USES, qualifiers_for
from bridge.application.measurement import PointKind
from bridge.application.objects import ROWS, VARIATIONS
from bridge.application.variation import Role, Variation
from bridge.outstation.points import EventClass
from bridge.outstation.profile import RESPONSES, device_profile
from bridge.service.cli import main
from tests.outstation.harness import Harness
from tests.support.plants import config_of, measurement_of

DOCUMENT = Path(bridge.outstation.__path__[0]) / "DEVICE_PROFILE.md"
LINES = device_profile().splitlines()
READABLE = [row for row in ROWS if row.kind and row.role in (Role.STATIC, Role.EVENT, Role.DEADBAND)]


def test_the_kept_document_is_the_generated_one() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == device_profile(), (
        f"run: rtu-bridge profile > {DOCUMENT.relative_to(Path.cwd())}"
    )


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile"]) == 0
    assert capsys.readouterr().out == device_profile()


def test_every_function_is_listed() -> None:
    for function in USES:
        assert any(line.startswith(f"| {function.value} | {function.name} | ") for line in LINES)


@pytest.mark.parametrize("row", [row for row in ROWS if row.group], ids=lambda row: row.label)
def test_every_object_is_listed_with_what_takes_it(row: Variation) -> None:
    (line,) = (line for line in LINES if line.startswith(f"| {row.group} | {row.variation} | "))
    _, _, _, _, requests, functions, qualifiers, _ = line.split("|")
    assert row.name in line
    for function in USES:
        legal = qualifiers_for(function, row)
        parts = [part for part in requests.split(";") if str(function.value) in _codes(part)]
        assert len(parts) == bool(legal)
        if legal:
            assert parts[0].partition(" with ")[2].strip() == ", ".join(f"{q:02X}" for q in sorted(legal))
    assert bool(functions.strip()) == bool(qualifiers.strip()) == (row.role in RESPONSES)


def _codes(part: str) -> list[str]:
    return [code.strip() for code in part.partition(" with ")[0].split(",")]


def test_strings_and_attributes_are_ranges_of_variations() -> None:
    assert any(line.startswith("| 110 | 1 to 255 | ") for line in LINES)
    assert any(line.startswith("| 0 | 1 to 253 | ") for line in LINES)
    assert "| 252 | Device manufacturer's name |" in LINES


def test_all_lines_of_a_table_have_as_many_cells() -> None:
    for before, line in itertools.pairwise(LINES):
        if before.startswith("|") and line.startswith("|"):
            assert line.count("|") == before.count("|"), line


@pytest.mark.parametrize("row", READABLE, ids=lambda row: row.label)
def test_what_is_read_comes_as_it_says(row: Variation) -> None:
    assert row.kind is not None
    harness = Harness()
    for index in (0, 300):
        kind = PointKind.ANALOG_INPUT if row.role is Role.DEADBAND else row.kind
        harness.add(index, config_of(kind, 0), measurement_of(kind, 0).value)
        harness.database.assign_class(kind, [index], EventClass.CLASS_1)
        if row.role is Role.EVENT:
            harness.update(kind, index, measurement_of(kind, 0, seed=1).value)
    answer = bytes.fromhex(harness.ask("c001" + all_objects_header(row.group, row.variation).hex()))
    group, variation, qualifier = answer[4:7]
    if row.is_relative_time:
        assert (group, variation) == (51, 1)
        group, variation, qualifier = answer[4 + 10 : 4 + 13]
    assert (group, variation) == (row.group, row.variation)
    functions, qualifiers = RESPONSES[VARIATIONS[group, variation].role]
    assert answer[1] in functions
    assert qualifier in qualifiers
