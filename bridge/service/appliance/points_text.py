"""The map of the appliance's points as text: `rtu-bridge points` prints it, as a table or as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from bridge.application.measurement import PointKind
from bridge.service.appliance import point_rows
from bridge.service.appliance.point_layout import BLOCK, FIRST_LINE, FIRST_OUTSTATION, FIRST_WIRED
from bridge.service.appliance.point_map import Block
from bridge.service.appliance.point_row import PointRow
from bridge.service.appliance.point_rows import FROZEN_CLASS

_ORDER: Final = (
    PointKind.BINARY_INPUT,
    PointKind.BINARY_OUTPUT,
    PointKind.COUNTER,
    PointKind.FROZEN_COUNTER,
    PointKind.ANALOG_INPUT,
)
_GAP: Final = "  "
HEADINGS: Final = ("kind", "index", "name", "class", "unit", "deadband", "meaning")

ABOUT_COUNTERS: Final = (
    f"Each counter has a frozen counter of the same index, class {int(FROZEN_CLASS)}, outside class 0."
)


class Line(NamedTuple):
    """One point, as the columns show it."""

    kind: str
    at: str
    name: str
    event_class: str
    unit: str
    deadband: str
    meaning: str


def as_table(blocks: Iterable[Block]) -> str:
    """Return the points of a configuration in aligned columns, without a newline at the end."""
    return "\n".join([*_aligned([HEADINGS, *lines_of(blocks)]), "", ABOUT_COUNTERS])


def as_csv(blocks: Iterable[Block]) -> str:
    """Return the points of a configuration, frozen counters included, as CSV with a head line (RFC 4180)."""
    lines = list(lines_of(blocks))
    frozen = [
        line._replace(
            kind=_kind(PointKind.FROZEN_COUNTER),
            name=f"{line.name}, frozen",
            event_class=str(int(FROZEN_CLASS)),
        )
        for line in lines
        if line.kind == _kind(PointKind.COUNTER)
    ]
    text = io.StringIO()
    rank = {_kind(kind): place for place, kind in enumerate(_ORDER)}
    csv.writer(text).writerows([HEADINGS, *sorted((*lines, *frozen), key=lambda line: rank[line.kind])])
    return text.getvalue()


def general_table() -> str:
    """Return the points of any configuration, of the N-th line, outstation, contact and relay."""
    return "\n".join([*_aligned([HEADINGS, *general_lines()]), "", ABOUT_COUNTERS])


def lines_of(blocks: Iterable[Block]) -> Iterator[Line]:
    """Yield the points of blocks, kind by kind, in the order of their indices."""
    points = [point for block in blocks for point in block.points]
    for kind in _ORDER:
        for point in sorted((each for each in points if each.kind is kind), key=lambda each: each.index):
            yield _line(point.row, str(point.index), point.name)


def general_lines() -> Iterator[Line]:
    """Yield what `lines_of` would, N counting from 0."""
    groups: Sequence[tuple[str, int, str, Iterable[PointRow]]] = (
        ("appliance: ", 0, "", point_rows.APPLIANCE),
        ("input NAME", FIRST_WIRED, "+N", [point_rows.INPUT]),
        ("relay NAME", FIRST_WIRED, "+N", [point_rows.RELAY]),
        ("line NAME: ", FIRST_LINE, f"+{BLOCK}N", point_rows.LINE),
        ("outstation NAME: ", FIRST_OUTSTATION, f"+{BLOCK}N", point_rows.OUTSTATION),
    )
    for kind in _ORDER:
        for title, base, step, rows in groups:
            for row in rows:
                if row.kind is kind:
                    yield _line(row, f"{base + row.offset}{step}", f"{title}{row.name}")


def _line(row: PointRow, index: str, name: str) -> Line:
    return Line(
        _kind(row.kind),
        index,
        name,
        str(int(row.event_class)),
        row.unit,
        f"{row.deadband:g}" if row.event_class and row.deadband else "",
        row.meaning,
    )


def _kind(kind: PointKind) -> str:
    return kind.value.replace("_", " ")


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        _GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
