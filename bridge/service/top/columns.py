"""Tables for a screen of a given width: every row is one line, what is too long ends in an ellipsis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text


class Moving(Protocol):
    """A cell that looks different from one moment to the next, and is always `width` wide."""

    @property
    def width(self) -> int:
        """How many columns it takes."""

    def at(self, now: float) -> Text:
        """Return what it looks like at a time in seconds."""


Cell = str | Text | Moving


@dataclass(frozen=True, slots=True)
class Window:
    """A moving cell at its place in a row."""

    cell: Moving
    width: int
    gap: int
    style: str

    def at(self, now: float) -> Text:
        """Return what it looks like at a time in seconds."""
        return _piece(self.cell.at(now), self.width, self.gap, self.style)


Row = tuple[Text | Window, ...]
"""One line of the screen: pieces that stand side by side and change each by itself."""


class Column(NamedTuple):
    """A column. It is as wide as what is in it, shrinks down to `least`, and is left out before that.

    Columns with the largest `left_out` go first; those with 0 stay.
    """

    heading: str
    least: int = 0
    """How narrow it may become; 0: it does not shrink."""
    is_number: bool = False
    is_name: bool = False
    """Shortened in the middle: of many names the ends tell them apart."""
    left_out: int = 0


_GAP, _WIDE_GAP = 1, 2
_CONSOLE = Console(width=80)
"""Rich asks one for what it does not use when words are wrapped."""


class Layout:
    """Where the columns of one table are on a screen."""

    def __init__(self, columns: Sequence[Column], rows: Sequence[Sequence[Cell]], width: int) -> None:
        """Divide the width among the columns. Give all rows: then scrolling moves no column."""
        self._columns = columns
        self._width = width
        natural = [
            max([cell_len(column.heading), *(width_of(row[at]) for row in rows)])
            for at, column in enumerate(columns)
        ]
        least = [min(column.least or most, most) for column, most in zip(columns, natural, strict=True)]
        self._shown = _shown(columns, least, width)
        self._widths = _shrunk(natural, least, self._shown, width)
        is_wide = sum(self._widths[at] + _WIDE_GAP for at in self._shown) - _WIDE_GAP <= width
        self._gap = _WIDE_GAP if is_wide else _GAP

    def row(self, cells: Sequence[Cell], style: str = "") -> Row:
        """Return a row, exactly as wide as the screen, in a style that its cells' own may cover."""
        placed = [(self._columns[at], cells[at], self._widths[at]) for at in self._shown]
        return _beside(placed, self._gap, self._width, style)


def beside(cells: Sequence[Cell], width: int) -> Row:
    """Return cells one after the other, as much as there is room for."""
    return _beside([(Column(""), cell, width_of(cell)) for cell in cells], _WIDE_GAP, width, "")


def _beside(placed: Sequence[tuple[Column, Cell, int]], gap: int, width: int, style: str) -> Row:
    pieces: list[Text | Window] = []
    left = width
    for column, cell, wanted in placed:
        taken = min(wanted, left)
        if not taken:
            break
        after = min(gap, left - taken)
        left -= taken + after
        if isinstance(cell, str | Text):
            text = Text(cell) if isinstance(cell, str) else cell
            text = _shortened(text, taken) if column.is_name else text
            pieces.append(_piece(text, taken, after, style, is_right=column.is_number))
        else:
            pieces.append(Window(cell, taken, after, style))
    return (*pieces, Text(" " * left, style=style)) if left else tuple(pieces)


def _piece(text: Text, width: int, gap: int, style: str, *, is_right: bool = False) -> Text:
    piece = fitted(text, width, is_right=is_right)
    piece.pad_right(gap)
    if style:
        # Under what the text has itself: a cursor lies under all colours.
        piece.stylize_before(piece.style)
        piece.style = style
    return piece


def width_of(cell: Cell) -> int:
    """Return how many columns of the screen a cell would like to have."""
    if isinstance(cell, str):
        return cell_len(cell)
    return cell.cell_len if isinstance(cell, Text) else cell.width


def fitted(text: Text, width: int, *, is_right: bool = False) -> Text:
    """Return a text on exactly so many columns, and nothing in it that a terminal would obey."""
    piece = text.copy()
    if not piece.plain.isprintable():
        piece.plain = "".join(each if each.isprintable() else "?" for each in piece.plain)
    piece.truncate(width, overflow="ellipsis")
    missing = width - piece.cell_len
    if is_right:
        piece.pad_left(missing)
    else:
        piece.pad_right(missing)
    return piece


def _shortened(text: Text, width: int) -> Text:
    if text.cell_len <= width:
        return text
    front = text.copy()
    front.truncate(width // 2)
    left = width - front.cell_len - 1
    back = next(at for at in range(len(text) + 1) if cell_len(text.plain[at:]) <= left)
    return Text.assemble(front, "…", text[back:])


def _shown(columns: Sequence[Column], least: Sequence[int], width: int) -> list[int]:
    shown = list(range(len(columns)))
    while sum(least[at] for at in shown) + _GAP * (len(shown) - 1) > width:
        first = max(shown, key=lambda at: columns[at].left_out)
        if columns[first].left_out == 0:
            break
        shown.remove(first)
    return shown


def _shrunk(natural: Sequence[int], least: Sequence[int], shown: Sequence[int], width: int) -> list[int]:
    widths = list(natural)
    excess = sum(widths[at] for at in shown) + _GAP * (len(shown) - 1) - width
    for _ in range(excess):
        # A column at a time from the one that has most to spare: long names lose before short ones do.
        widest = max(shown, key=lambda at: widths[at] - least[at])
        if widths[widest] <= least[widest]:
            break
        widths[widest] -= 1
    return widths


def line(text: Text, width: int) -> Row:
    """Return a text as a whole line."""
    return (fitted(text, width),)


def wrapped(text: Text, width: int) -> list[Row]:
    """Return a text as so many lines as it needs, broken between words where that is possible."""
    return [line(each, width) for each in text.wrap(_CONSOLE, width)] or [line(text, width)]
