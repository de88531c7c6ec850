"""The picture of the live view: from a site, what the operator looks at, and the size of the screen. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from rich.text import Text

from bridge.service.top import details, guide
from bridge.service.top.columns import Cell, Layout, Row, beside, line, wrapped
from bridge.service.top.items import Item
from bridge.service.top.sharing import Share, share
from bridge.service.top.site import Site
from bridge.service.top.state import Mode, Part, Reach, ViewState, place
from bridge.service.views.tables import age

_HEAD_ROWS, _FOOT_ROWS = 2, 1
_ROWS_PER_REMARK: Final = 5
"""Of so many rows the lists leave one to what is said below them."""
_MARKED, _HEADING, _HEADING_OF_CURSOR = "reverse", "dim", "bold cyan"
_QUIET: Final = "dim"
# The first ones stay where the screen is narrow.
_KEYS: Final = {
    Mode.LIST: (
        ("q", "quit"),
        ("?", "help"),
        ("↑↓", "move"),
        ("Enter", "details"),
        ("Tab", "next list"),
        ("f", "filter"),
        ("s", "sort: {}"),
    ),
    Mode.FILTER: (("Enter", "keeps it"), ("Esc", "shows all")),
    Mode.DETAILS: (("q", "quit"), ("Esc", "back"), ("↑↓", "scroll"), ("←→", "others"), ("?", "help")),
    Mode.HELP: (("q", "quit"), ("Esc", "back"), ("↑↓", "scroll")),
}
_KEYS_OF_FILTERED: Final = (("Esc", "shows all"), *_KEYS[Mode.LIST])


Still = tuple[Text, ...]
"""A row at an instant."""


class Size(NamedTuple):
    """Of a terminal, in characters."""

    columns: int
    rows: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of asking the bridge, at the time of a picture."""

    site: Site | None = None
    """The last there was."""
    problem: str | None = None
    """Why there is no newer one."""
    where: str = ""
    """Where the bridge was asked."""
    age_s: float = 0.0
    """How long ago that site was, in whole seconds; only where there is a problem."""
    notes: tuple[str, ...] = ()
    """What is said below everything, where there is room."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What is on the screen: as many rows as that has, each as wide as that is."""

    rows: tuple[Row, ...]
    size: Size
    reach: Reach
    is_past: bool
    """Nobody knows what blinks now."""

    def at(self, now: float) -> tuple[Still, ...]:
        """Return the rows as they are at a time in seconds: what blinks is lit or dark."""
        when = 0.0 if self.is_past else now
        return tuple(
            tuple(piece if isinstance(piece, Text) else piece.at(when) for piece in row) for row in self.rows
        )


def picture(answer: Answer, state: ViewState, size: Size) -> Picture:
    """Return what to show, and how far keys can move in it."""
    head, foot = _head(answer, size.columns), [line(_foot(state), size.columns)]
    space = max(0, size.rows - _HEAD_ROWS - _FOOT_ROWS)
    if state.mode is Mode.HELP:
        body, reach = _scrolled(guide.text(answer.notes, size.columns), state, space)
    elif answer.site is None:
        body, reach = [], Reach()
    elif state.mode is Mode.DETAILS:
        body, reach = _details(answer.site, state, Size(size.columns, space))
    else:
        style = "" if answer.problem is None else _QUIET
        body, reach = _lists(answer.site, state, Size(size.columns, space), answer.notes, style)
    blank = [line(Text(), size.columns)] * (space - len(body))
    rows = tuple([*head, *body, *blank, *foot][: size.rows])
    return Picture(rows, size, reach, is_past=answer.problem is not None)


def _head(answer: Answer, width: int) -> list[Row]:
    site = answer.site
    title: list[Cell] = [Text("rtu-bridge" if site is None else site.title, style="bold")]
    if site is not None:
        title += [] if site.heart is None else ["system", site.heart]
        title.append(Text(site.configuration, style=_QUIET))
    if answer.problem is None:
        second = Text() if site is None else site.summary
    else:
        second = Text(f"! {answer.problem}", style="bold red")
        if site is not None:
            second.append(f"; below is what it said {age(answer.age_s)}")
        second.append(f"  {answer.where}", style="not bold")
    return [beside(title, width), line(second, width)]


def _foot(state: ViewState) -> Text:
    said = ""
    keys = _KEYS[state.mode]
    if state.mode is Mode.FILTER:
        said = f"filter: {state.filter}_"
    elif state.mode is Mode.LIST and state.filter:
        said, keys = f"only: {state.filter}", _KEYS_OF_FILTERED
    shown = [Text.assemble((key, "bold"), (f" {does.format(state.order)}", _QUIET)) for key, does in keys]
    return Text("  ").join([Text(said, style="yellow"), *shown] if said else shown)


def _scrolled(lines: Sequence[Row], state: ViewState, space: int) -> tuple[list[Row], Reach]:
    depth = max(0, len(lines) - space)
    first = min(state.scroll, depth)
    return list(lines[first : first + space]), Reach(page=max(1, space - 1), depth=depth)


def _details(site: Site, state: ViewState, size: Size) -> tuple[list[Row], Reach]:
    items = site.lists[state.part].picked(state.order, state.filter)
    names = tuple(item.name for item in items)
    chosen = state.chosen.get(state.part)
    if chosen not in names:
        gone = Text(f"{chosen} is not there any more", style="yellow")
        return [line(gone, size.columns)], Reach(names)
    at = names.index(chosen)
    head = _table(site, state.part, items[at : at + 1], Share(1, 2), None, size.columns)
    text = details.text(site, state.part, chosen, size.columns)
    body, reach = _scrolled(text, state, max(0, size.rows - len(head)))
    return [*head, *body], Reach(names, reach.page, reach.depth)


def _lists(
    site: Site, state: ViewState, size: Size, notes: Sequence[str], style: str
) -> tuple[list[Row], Reach]:
    picked = {part: site.lists[part].picked(state.order, state.filter) for part in Part}
    names = tuple(item.name for item in picked[state.part])
    cursor = place(state, names)
    # However much there is to say of each: the lists must not jump while the cursor moves.
    for_lists = size.rows - size.rows // _ROWS_PER_REMARK
    shares = share({part: len(items) for part, items in picked.items()}, state.part, for_lists)
    rows: list[Row] = []
    for part, items in picked.items():
        at = cursor if part is state.part else None
        rows += _table(site, part, items, shares[part], at, size.columns, style)
    remarks = _remarks(picked, state.part, cursor, size.columns)
    rows += _below(remarks, notes, Size(size.columns, size.rows - len(rows)))
    return rows, Reach(names, page=max(1, shares[state.part].items - 1))


def _table(
    site: Site,
    part: Part,
    items: Sequence[Item],
    given: Share,
    cursor: int | None,
    width: int,
    style: str = "",
) -> list[Row]:
    if not given.rows:
        return []
    columns = site.lists[part].columns
    first = given.first(len(items), cursor or 0)
    shown = items[first : first + given.items]
    headings = [column.heading for column in columns]
    if shown and len(shown) < len(items):
        headings[0] += f" {first + 1}-{first + len(shown)}/{len(items)}"
    layout = Layout(columns, [headings, *(item.cells for item in items)], width)
    rows = [layout.row(headings, _HEADING if cursor is None else _HEADING_OF_CURSOR)]
    for at, item in enumerate(shown, start=first):
        rows.append(layout.row(item.cells, _MARKED if at == cursor else style))
    return rows


def _remarks(picked: Mapping[Part, Sequence[Item]], part: Part, cursor: int, width: int) -> list[Row]:
    """Return what is said of the item under the cursor, then what is wrong elsewhere."""
    chosen = picked[part][cursor : cursor + 1]
    said = [row for item in chosen for note in item.notes for row in wrapped(note, width)]
    others = (item for items in picked.values() for item in items if item not in chosen)
    return [*said, *(line(complaint, width) for item in others for complaint in item.complaints)]


def _below(remarks: Sequence[Row], notes: Sequence[str], size: Size) -> list[Row]:
    blank = line(Text(), size.columns)
    rows = [*([blank] if len(remarks) < size.rows else []), *remarks]
    if notes and len(rows) + 1 + len(notes) <= size.rows:
        rows += [blank, *(line(Text(note, style=_QUIET), size.columns) for note in notes)]
    return rows[: size.rows]
