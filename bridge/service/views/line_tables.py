"""The lines in a status: which are up, what is wrong with the others, and what was heard that is no frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text

from bridge.service.views.tables import Cell, Column, build, counts, name, number, unless_empty

Line = Mapping[str, Any]

_OVERVIEW: Final = (
    name("line"),
    name("state"),
    name("settings"),
    number("frames"),
    number("CRC errors"),
    number("waiting"),
    Column("device"),
)
_DETAILS: Final = (
    name("line"),
    unless_empty(Column("direction")),
    unless_empty(number("lost")),
    unless_empty(number("babbles")),
    unless_empty(number("echo octets")),
    unless_empty(number("echoes spoiled")),
    unless_empty(number("dropped octets")),
    unless_empty(Column("dropped frames")),
)


def overview(lines: Sequence[Line]) -> list[RenderableType]:
    """Return the states of the lines, and below them what is wrong."""
    if not lines:
        return []
    # Not in the table: a sentence in a narrow column would push everything else off the screen.
    return [
        build(_OVERVIEW, map(_overview_row, lines)),
        *(each for line in lines for each in problems(line)),
    ]


def details(lines: Sequence[Line]) -> list[RenderableType]:
    """Return what is rarely needed."""
    return [build(_DETAILS, map(_details_row, lines))] if lines else []


def state(line: Line) -> Text:
    """Return whether a line is up, in a word."""
    if not line["is_up"]:
        return Text("down", style="red")
    return Text("babble", style="red") if line.get("is_babbling") else Text("up", style="green")


def problems(line: Line) -> Iterator[Text]:
    """Return a sentence for everything that is wrong with a line now."""
    if not line["is_up"]:
        yield Text(f"{line['name']} is down: {line['reason']}", style="red")
    if line.get("is_babbling"):
        remedy = "find it, or bias the line"
        yield Text(f"{line['name']}: a device talks without end; {remedy}", style="red")
    problem = line.get("direction", {}).get("problem")
    if problem is not None:
        yield Text(f"{line['name']}, direction: {problem}", style="yellow")


def _overview_row(line: Line) -> tuple[Cell, ...]:
    return (
        line["name"],
        state(line),
        line["settings"],
        str(line["frames_heard"]),
        str(line["crc_errors"]),
        str(line["waiting_frames"]),
        line["device"],
    )


def _details_row(line: Line) -> tuple[Cell, ...]:
    keys = ("losses", "babbles", "echo_octets", "echoes_spoiled", "octets_discarded")
    return (
        line["name"],
        line.get("direction", {}).get("in_force", ""),
        *(str(line.get(key, 0)) for key in keys),
        counts(line.get("drops", {})),
    )
