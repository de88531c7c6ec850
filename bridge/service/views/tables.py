"""Tables of a status for people: columns that nobody needs are left out, names stay whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from rich.table import Table
from rich.text import Text

Cell = str | Text

EMPTY: Final = "-"
_SAYS_NOTHING: Final = frozenset({"", "0", "none", EMPTY})
_SHOWN_COUNTS: Final = 4


class Column(NamedTuple):
    """A column. Names stay in one piece; what is optional is left out where no row says anything."""

    heading: str
    is_name: bool = False
    is_number: bool = False
    is_optional: bool = False


def name(heading: str) -> Column:
    """Return a column of names."""
    return Column(heading, is_name=True)


def number(heading: str) -> Column:
    """Return a column of numbers."""
    return Column(heading, is_number=True)


def unless_empty(column: Column) -> Column:
    """Return the column as one that is left out where no row has anything in it."""
    return column._replace(is_optional=True)


def build(columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> Table:
    """Return the table; each row has a cell for each column, also for those that are left out."""
    cells = [tuple(row) for row in rows]
    shown = [at for at, column in enumerate(columns) if not column.is_optional or _says_something(cells, at)]
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for at in shown:
        column = columns[at]
        table.add_column(
            column.heading,
            overflow="fold",
            no_wrap=column.is_name,
            justify="right" if column.is_number else "left",
        )
    for row in cells:
        table.add_row(*(row[at] for at in shown))
    return table


def _says_something(rows: Iterable[Sequence[Cell]], at: int) -> bool:
    return any(str(row[at]) not in _SAYS_NOTHING for row in rows)


def milliseconds(seconds: float | None) -> str:
    """Return a time as its milliseconds, without the unit."""
    if seconds is None:
        return EMPTY
    return f"{seconds * 1000:.0f}" if seconds >= 0.1 else f"{seconds * 1000:.1f}"


def per_second(rate: float | None) -> str:
    """Return how often something happens in a second."""
    if rate is None:
        return EMPTY
    return "0" if rate == 0 else f"{rate:.1f}" if rate < 10 else f"{rate:.0f}"


def counts(found: Mapping[str, int]) -> str:
    """Return the first of named counters."""
    return ", ".join(f"{count} {label}" for label, count in list(found.items())[:_SHOWN_COUNTS]) or "none"


def age(seconds: float) -> str:
    """Return how long ago something was, in the unit that says enough."""
    for unit, unit_s in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * unit_s:
            return f"{int(seconds // unit_s)} {unit} ago"
    return f"{int(seconds)} s ago"


def duration(seconds: float) -> str:
    """Return a time as days, hours, minutes and seconds."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{days} d " * bool(days) + f"{hours:02}:{minutes:02}:{rest:02}"
