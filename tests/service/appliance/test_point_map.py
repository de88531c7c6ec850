"""The map of points: an interface that SCADA systems hold on to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from bridge.application.measurement import PointKind
from bridge.service.appliance import point_rows
from bridge.service.appliance.point_layout import BLOCK, FIRST_LINE, FIRST_OUTSTATION
from bridge.service.appliance.point_map import Block, blocks_of
from bridge.service.appliance.point_row import Command, PointRow, Section
from bridge.service.configuration.config import Configuration
from tests.support.repository import readme_section
from tests.support.sites import configuration_of

SITE = """
[server.main]
listen = "127.0.0.1:0"
[line.bay1]
device = "/dev/a"
baud = 9600
[line.bay2]
device = "/dev/b"
baud = 9600
[input.door]
pin = 2
[input.gate]
pin = 3
point = 77
[relay.horn]
pin = 4
[[outstation]]
name = "pole-12"
server = "main"
masters = ["10.0.0.1"]
line = "bay1"
link_address = 12
[[outstation]]
name = "box"
server = "main"
masters = ["10.0.0.1"]
local = "appliance"
link_address = 1
"""
MORE = """
[line.bay3]
device = "/dev/c"
baud = 9600
[[outstation]]
name = "pole-13"
server = "main"
masters = ["10.0.0.1"]
line = "bay3"
link_address = 13
enabled = false
"""


@pytest.fixture
def site() -> Configuration:
    return configuration_of(SITE)


def indices(blocks: Sequence[Block], kind: PointKind) -> dict[int, str]:
    """Return the points of a kind: their names by their indices."""
    return {point.index: point.name for block in blocks for point in block.points if point.kind is kind}


def test_binary_inputs(site: Configuration) -> None:
    assert indices(blocks_of(site), PointKind.BINARY_INPUT) == {
        0: "appliance: all lines up",
        20: "input door",
        77: "input gate",
        100: "line bay1: up",
        101: "line bay1: babble",
        102: "line bay1: direction wrong",
        120: "line bay2: up",
        121: "line bay2: babble",
        122: "line bay2: direction wrong",
        1000: "outstation pole-12: master connected",
        1001: "outstation pole-12: RTU answering",
        1002: "outstation pole-12: degraded",
        1020: "outstation box: master connected",
    }


def test_controls(site: Configuration) -> None:
    outputs = {
        point.index: (point.row.command, block.title)
        for block in blocks_of(site)
        for point in block.points
        if point.kind is PointKind.BINARY_OUTPUT
    }
    assert outputs == {
        0: (Command.LAMP_TEST, "appliance"),
        20: (Command.SWITCH, "relay horn"),
        100: (Command.RESET, "line bay1"),
        120: (Command.RESET, "line bay2"),
        1000: (Command.DROP_SESSION, "outstation pole-12"),
        1020: (Command.DROP_SESSION, "outstation box"),
    }


def test_counters_and_measurements_of_an_outstation_of_the_program_itself(site: Configuration) -> None:
    blocks = blocks_of(site)
    names = {
        kind: [name for name in indices(blocks, kind).values() if "outstation box" in name]
        for kind in (PointKind.COUNTER, PointKind.ANALOG_INPUT)
    }
    assert names[PointKind.ANALOG_INPUT] == []
    assert names[PointKind.COUNTER] == [
        f"outstation box: {name}"
        for name in ("frames from master", "frames to master", "frames dropped", "sessions", "pre-emptions")
    ]


def test_what_is_added_at_the_end_moves_nothing(site: Configuration) -> None:
    before, after = blocks_of(site), blocks_of(configuration_of(SITE + MORE))
    for kind in (
        PointKind.BINARY_INPUT,
        PointKind.BINARY_OUTPUT,
        PointKind.COUNTER,
        PointKind.ANALOG_INPUT,
    ):
        assert indices(after, kind).items() > indices(before, kind).items()
    assert indices(after, PointKind.BINARY_INPUT)[1040] == "outstation pole-13: master connected"
    assert indices(after, PointKind.BINARY_INPUT)[140] == "line bay3: up"


def test_no_index_is_taken_twice(site: Configuration) -> None:
    points = Counter(point.point for block in blocks_of(site) for point in block.points)
    assert set(points.values()) == {1}


@pytest.mark.parametrize("rows", [point_rows.APPLIANCE, point_rows.LINE, point_rows.OUTSTATION])
def test_rows_fit_their_block_and_have_a_place_of_their_own(rows: Sequence[PointRow]) -> None:
    places = Counter((row.kind, row.offset) for row in rows)
    assert set(places.values()) == {1}
    assert {0 <= row.offset < BLOCK for row in rows} == {True}
    assert all(row.name and row.meaning for row in rows)


def test_every_control_is_an_output_and_every_output_a_control() -> None:
    rows = [
        *(*point_rows.APPLIANCE, *point_rows.LINE, *point_rows.OUTSTATION),
        *(point_rows.INPUT, point_rows.RELAY),
    ]
    assert {row.command is not None for row in rows if row.kind is PointKind.BINARY_OUTPUT} == {True}
    assert {row.command for row in rows} == {None, *Command}


OFFSETS = {
    Section.APPLIANCE: {"binary_input": [0], "counter": [0, 1, 2], "analog_input": [0, 1, 2, 3, 4]},
    Section.LINE: {"binary_input": [0, 1, 2], "counter": [*range(10)], "analog_input": [0, 1]},
    Section.OUTSTATION: {"binary_input": [0, 1, 2], "counter": [*range(12)], "analog_input": [0, 1]},
}


def test_offsets_are_an_interface() -> None:
    """Rows may be added here. A row that disappears or moves breaks somebody's SCADA."""
    for section, rows in (
        (Section.APPLIANCE, point_rows.APPLIANCE),
        (Section.LINE, point_rows.LINE),
        (Section.OUTSTATION, point_rows.OUTSTATION),
    ):
        for kind, offsets in OFFSETS[section].items():
            assert [row.offset for row in rows if row.kind == kind] == offsets
    assert (FIRST_LINE, FIRST_OUTSTATION, BLOCK) == (100, 1000, 20)


def test_the_readme_has_the_layout() -> None:
    section = readme_section("The appliance as an outstation")
    for text in (
        "| the appliance | 0 to 19 |",
        "| contacts, relays | 20 to 99 |",
        f"| the N-th line | {FIRST_LINE} + {BLOCK} N |",
        f"| the N-th outstation | {FIRST_OUTSTATION} + {BLOCK} N |",
    ):
        assert text in section
    for rows in (point_rows.APPLIANCE, point_rows.LINE, point_rows.OUTSTATION):
        for row in rows:
            assert row.name in section, f"the README does not mention {row.name!r}"
