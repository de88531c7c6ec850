"""The picture of the live view: from a site, what the operator looks at, and the size of the screen. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from rich.text import Text

from bridge.service.tables import age
from bridge.service.top import details, guide
from bridge.service.top.columns import Layout, Row, line, wrapped
from bridge.service.top.items import Item
from bridge.service.top.sharing import Share, share
from bridge.service.top.site import Site
from bridge.service.top.state import Mode, Part, Reach, ViewState, place

_HEAD_ROWS, _FOOT_ROWS = 2, 1
_NOTE_ROWS: Final = 2
_ROWS_FOR_NOTES: Final = 14
"""A screen that is lower needs every row for the lists."""
_MARKED, _HEADING, _HEADING_OF_CURSOR = "reverse", "dim", "bold cyan"
_QUIET: Final = "dim"


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
    age_s: float = 0.0
    """How long ago that site was."""
    notes: tuple[str, ...] = ()
    """What is said below everything, where there is room."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What is on the screen: as many rows as that has, each as wide as that is."""

    rows: tuple[Row, ...]
    reach: Reach


def picture(answer: Answer, state: ViewState, size: Size, now: float) -> Picture:
    """Return what to show at a time in seconds, and how far keys can move in it."""
    head, foot = _head(answer, size.columns, now), [line(_foot(state), size.columns)]
    space = max(0, size.rows - _HEAD_ROWS - _FOOT_ROWS)
    if state.mode is Mode.HELP:
        body, reach = _scrolled(guide.text(answer.notes, size.columns), state, space)
    elif answer.site is None:
        body, reach = [], Reach()
    elif state.mode is Mode.DETAILS:
        body, reach = _details(answer.site, state, Size(size.columns, space))
    else:
        body, reach = _lists(answer, answer.site, state, Size(size.columns, space), now)
    blank = [line(Text(), size.columns)] * (space - len(body))
    return Picture(tuple([*head, *body, *blank, *foot][: size.rows]), reach)


def _head(answer: Answer, width: int, now: float) -> list[Row]:
    site = answer.site
    title = Text("rtu-bridge" if site is None else site.title, style="bold")
    if site is not None and site.heart is not None:
        title.append("  system ").append_text(site.heart.at(now))
    if answer.problem is None:
        second = Text() if site is None else site.summary
    else:
        second = Text(f"! {answer.problem}", style="bold red")
        if site is not None:
            second.append(f"; below is what it said {age(answer.age_s)}")
    return [line(title, width), line(second, width)]


def _foot(state: ViewState) -> Text:
    if state.mode is Mode.FILTER:
        return _keys(f"filter: {state.filter}_", ("Enter", "keeps it"), ("Esc", "shows all"))
    if state.mode is Mode.HELP:
        return _keys("", ("↑↓", "scroll"), ("Esc", "back"), ("q", "quit"))
    if state.mode is Mode.DETAILS:
        return _keys("", ("↑↓", "scroll"), ("←→", "others"), ("Esc", "back"), ("?", "help"), ("q", "quit"))
    is_filtered = f"only: {state.filter} (Esc shows all)" if state.filter else ""
    return _keys(
        is_filtered,
        ("↑↓", "move"),
        ("Enter", "details"),
        ("Tab", "next list"),
        ("f", "filter"),
        ("s", f"sort: {state.order}"),
        ("?", "help"),
        ("q", "quit"),
    )


def _keys(first: str, *keys: tuple[str, str]) -> Text:
    said = [Text.assemble((key, "bold"), (f" {does}", _QUIET)) for key, does in keys]
    return Text("  ").join([Text(first, style="yellow"), *said] if first else said)


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
    body, reach = _scrolled(details.text(site, state.part, chosen, size.columns), state, size.rows)
    return body, Reach(names, reach.page, reach.depth)


def _lists(answer: Answer, site: Site, state: ViewState, size: Size, now: float) -> tuple[list[Row], Reach]:
    picked = {part: site.lists[part].picked(state.order, state.filter) for part in Part}
    names = tuple(item.name for item in picked[state.part])
    cursor = place(state, names)
    note_rows = _NOTE_ROWS if size.rows >= _ROWS_FOR_NOTES else 0
    shares = share({part: len(items) for part, items in picked.items()}, state.part, size.rows - note_rows)
    rows: list[Row] = []
    for part, items in picked.items():
        at = cursor if part is state.part else None
        rows += _table(site, part, items, shares[part], at, size.columns, now)
    left = size.rows - len(rows)
    rows += _remarks(answer, picked, state.part, cursor, Size(size.columns, left))
    return rows, Reach(names, page=max(1, shares[state.part].items - 1))


def _table(
    site: Site, part: Part, items: Sequence[Item], given: Share, cursor: int | None, width: int, now: float
) -> list[Row]:
    if not given.rows:
        return []
    columns = site.lists[part].columns
    first = given.first(len(items), cursor or 0)
    shown = items[first : first + given.items]
    headings = [column.heading for column in columns]
    if len(shown) < len(items):
        headings[0] += f" {first + 1}-{first + len(shown)}/{len(items)}"
    layout = Layout(columns, [headings, *(item.cells for item in items)], width)
    rows = [layout.row(headings, now, _HEADING if cursor is None else _HEADING_OF_CURSOR)]
    for at, item in enumerate(shown, start=first):
        rows.append(layout.row(item.cells, now, _MARKED if at == cursor else ""))
    return rows


def _remarks(
    answer: Answer, picked: dict[Part, tuple[Item, ...]], part: Part, cursor: int, size: Size
) -> list[Row]:
    """Return what is said of the item under the cursor, then what is wrong elsewhere, then the notes."""
    chosen = picked[part][cursor : cursor + 1]
    said = [row for item in chosen for note in item.notes for row in wrapped(note, size.columns)]
    for items in picked.values():
        for item in items:
            if item not in chosen:
                said += (line(complaint, size.columns) for complaint in item.complaints)
    if answer.notes and len(said) + len(answer.notes) + 2 <= size.rows:
        said += [line(Text(note), size.columns) for note in ("", *answer.notes)]
    is_roomy = len(said) < size.rows
    return [*([line(Text(), size.columns)] if is_roomy else []), *said][: size.rows]
