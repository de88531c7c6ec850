"""What the operator is looking at, and what each key makes of it: the table (mode, key) -> state.

Modes: LIST shows the parts of a site, one of which has the cursor; FILTER is the list while a filter is
typed; DETAILS shows all about the item under the cursor; HELP explains. Escape leads back to the list from
everywhere, and drops the filter there.

The cursor stays with the item that was chosen by name, wherever sorting moves that. As long as none was
chosen, and again after Home, it is on the first item: with the usual order that is the worst.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum
from functools import partial
from types import MappingProxyType
from typing import Final, TypeVar

from bridge.service.top import keyboard


class Part(StrEnum):
    """The lists of a site, in the order in which they are shown."""

    LINES = "lines"
    OUTSTATIONS = "RTUs"
    MASTERS = "masters"


class Order(StrEnum):
    """How the lists are sorted."""

    TROUBLE = "trouble"
    NAME = "name"
    BUSY = "busiest"
    SLOW = "slowest"


class Mode(Enum):
    """What fills the screen."""

    LIST = "list"
    FILTER = "filter"
    DETAILS = "details"
    HELP = "help"


@dataclass(frozen=True, slots=True)
class ViewState:
    """What the operator is looking at."""

    mode: Mode = Mode.LIST
    part: Part = Part.OUTSTATIONS
    """The list that has the cursor."""
    chosen: Mapping[Part, str] = field(default_factory=lambda: MappingProxyType({}))
    """The item under the cursor of each list, by name; the first one where there is none."""
    order: Order = Order.TROUBLE
    filter: str = ""
    scroll: int = 0
    """How many rows of the details or the help are above the screen."""
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class Reach:
    """How far keys can move in the picture that is on the screen."""

    names: tuple[str, ...] = ()
    """The items of the list that has the cursor, as they are sorted."""
    page: int = 1
    depth: int = 0
    """The largest `scroll` that still shows something new."""


Action = Callable[[ViewState, Reach], ViewState]
_E = TypeVar("_E", bound=Enum)


def press(key: str, state: ViewState, reach: Reach) -> ViewState:
    """Return the state after a key. A key that means nothing changes nothing."""
    action = _ACTIONS.get((state.mode, key))
    if action is not None:
        return action(state, reach)
    if state.mode is Mode.FILTER and len(key) == 1:
        return replace(state, filter=state.filter + key)
    return state


def place(state: ViewState, names: tuple[str, ...]) -> int:
    """Return where among the items of its list the cursor is; 0 where there are none."""
    chosen = state.chosen.get(state.part)
    return names.index(chosen) if chosen in names else 0


def _move(state: ViewState, reach: Reach, *, by: int = 0, pages: int = 0) -> ViewState:
    to = place(state, reach.names) + by + pages * reach.page
    return _choose(state, reach, to)


def _choose(state: ViewState, reach: Reach, to: int) -> ViewState:
    if not reach.names:
        return state
    name = reach.names[max(0, min(to, len(reach.names) - 1))]
    return replace(state, chosen=MappingProxyType({**state.chosen, state.part: name}))


def _follow_first(state: ViewState, reach: Reach) -> ViewState:
    others = {part: name for part, name in state.chosen.items() if part is not state.part}
    return replace(state, chosen=MappingProxyType(others))


def _last(state: ViewState, reach: Reach) -> ViewState:
    return _choose(state, reach, len(reach.names) - 1)


def _turn(state: ViewState, reach: Reach, *, by: int) -> ViewState:
    return replace(state, part=_next(state.part, by))


def _sort(state: ViewState, reach: Reach) -> ViewState:
    return replace(state, order=_next(state.order, 1))


def _next(value: _E, by: int) -> _E:
    values = list(type(value))
    return values[(values.index(value) + by) % len(values)]


def _open(state: ViewState, reach: Reach) -> ViewState:
    # Chosen from now on: what is read must not become another's when the order changes.
    chosen = _choose(state, reach, place(state, reach.names))
    return replace(chosen, mode=Mode.DETAILS, scroll=0) if reach.names else state


def _open_neighbour(state: ViewState, reach: Reach, *, by: int) -> ViewState:
    return replace(_move(state, reach, by=by), scroll=0)


def _explain(state: ViewState, reach: Reach) -> ViewState:
    return replace(state, mode=Mode.HELP, scroll=0)


def _back(state: ViewState, reach: Reach) -> ViewState:
    return replace(state, mode=Mode.LIST, scroll=0)


def _type(state: ViewState, reach: Reach) -> ViewState:
    return replace(state, mode=Mode.FILTER)


def _rub_out(state: ViewState, reach: Reach) -> ViewState:
    return replace(state, filter=state.filter[:-1])


def _show_all(state: ViewState, reach: Reach) -> ViewState:
    return replace(state, mode=Mode.LIST, filter="")


def _end(state: ViewState, reach: Reach) -> ViewState:
    return replace(state, is_over=True)


def _scroll(state: ViewState, reach: Reach, *, by: int = 0, pages: int = 0) -> ViewState:
    to = state.scroll + by + pages * reach.page
    return replace(state, scroll=max(0, min(to, reach.depth)))


def _scroll_to_end(state: ViewState, reach: Reach) -> ViewState:
    return replace(state, scroll=reach.depth)


def _scroll_to_start(state: ViewState, reach: Reach) -> ViewState:
    return replace(state, scroll=0)


_MOVES: Final[dict[str, Action]] = {
    keyboard.UP: partial(_move, by=-1),
    keyboard.DOWN: partial(_move, by=1),
    keyboard.PAGE_UP: partial(_move, pages=-1),
    keyboard.PAGE_DOWN: partial(_move, pages=1),
    keyboard.HOME: _follow_first,
    keyboard.END: _last,
}
_SCROLLS: Final[dict[str, Action]] = {
    keyboard.UP: partial(_scroll, by=-1),
    "k": partial(_scroll, by=-1),
    keyboard.DOWN: partial(_scroll, by=1),
    "j": partial(_scroll, by=1),
    keyboard.PAGE_UP: partial(_scroll, pages=-1),
    keyboard.PAGE_DOWN: partial(_scroll, pages=1),
    " ": partial(_scroll, pages=1),
    keyboard.HOME: _scroll_to_start,
    keyboard.END: _scroll_to_end,
    keyboard.ESCAPE: _back,
    keyboard.BACKSPACE: _back,
    keyboard.ENTER: _back,
    "q": _end,
}
_KEYS: Final[dict[Mode, dict[str, Action]]] = {
    Mode.LIST: _MOVES
    | {
        "k": _MOVES[keyboard.UP],
        "j": _MOVES[keyboard.DOWN],
        keyboard.TAB: partial(_turn, by=1),
        keyboard.RIGHT: partial(_turn, by=1),
        keyboard.BACK_TAB: partial(_turn, by=-1),
        keyboard.LEFT: partial(_turn, by=-1),
        keyboard.ENTER: _open,
        "d": _open,
        "f": _type,
        "/": _type,
        "s": _sort,
        "?": _explain,
        "h": _explain,
        keyboard.ESCAPE: _show_all,
        "q": _end,
    },
    Mode.FILTER: _MOVES
    | {keyboard.BACKSPACE: _rub_out, keyboard.ENTER: _back, keyboard.TAB: _back, keyboard.ESCAPE: _show_all},
    Mode.DETAILS: _SCROLLS
    | {
        keyboard.LEFT: partial(_open_neighbour, by=-1),
        keyboard.RIGHT: partial(_open_neighbour, by=1),
        "d": _back,
        "?": _explain,
        "h": _explain,
    },
    Mode.HELP: _SCROLLS | {"?": _back, "h": _back},
}
_ACTIONS: Final[dict[tuple[Mode, str], Action]] = {
    (mode, key): action
    for mode, actions in _KEYS.items()
    for key, action in {**actions, keyboard.INTERRUPT: _end}.items()
}
