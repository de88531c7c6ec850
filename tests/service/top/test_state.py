"""What keys do, without a screen."""

from __future__ import annotations

import itertools
import string

import pytest

from bridge.service.top import keyboard
from bridge.service.top.state import Mode, Order, Part, Reach, ViewState, place, press

NAMES = tuple(f"pole-{number}" for number in range(10))
REACH = Reach(NAMES, page=4, depth=7)
NAMED = [value for name, value in vars(keyboard).items() if name.isupper() and isinstance(value, str)]


def pressed(*keys: str, state: ViewState | None = None, reach: Reach = REACH) -> ViewState:
    state = ViewState() if state is None else state
    for key in keys:
        state = press(key, state, reach)
    return state


def cursor(*keys: str) -> int:
    return place(pressed(*keys), NAMES)


@pytest.mark.parametrize(
    ("keys", "at"),
    [
        ([], 0),
        (["down"], 1),
        (["j", "j", "k"], 1),
        (["up"], 0),
        (["page down"], 4),
        (["page down"] * 9, 9),
        (["end"], 9),
        (["end", "down"], 9),
        (["end", "page up"], 5),
        (["end", "home"], 0),
    ],
    ids=str,
)
def test_the_cursor_moves(keys: list[str], at: int) -> None:
    assert cursor(*keys) == at


def test_the_cursor_stays_with_what_was_chosen_and_follows_the_first_otherwise() -> None:
    others = NAMES[::-1]
    assert place(pressed("down"), others) == others.index("pole-1")
    assert place(pressed("down", "home"), others) == 0
    assert place(pressed(), others) == 0
    assert place(pressed("down"), ("something", "else")) == 0
    assert place(pressed("down"), ()) == 0


def test_each_list_has_a_cursor_of_its_own() -> None:
    state = pressed("down", "tab", "end", "back tab")
    assert state.part is Part.OUTSTATIONS
    assert place(state, NAMES) == 1
    assert place(pressed("tab", state=state), NAMES) == 9


def test_tab_goes_around() -> None:
    assert pressed("tab", "tab", "tab").part is Part.OUTSTATIONS
    assert pressed("right").part is Part.MASTERS
    assert pressed("left").part is Part.LINES


def test_sorting_goes_around() -> None:
    orders = [pressed(*["s"] * times).order for times in range(5)]
    assert orders == [*Order, Order.TROUBLE]


@pytest.mark.parametrize("start", ["f", "/"])
def test_a_filter_is_typed(start: str) -> None:
    state = pressed(start, "q", "s", " ", "backspace", "?")
    assert (state.mode, state.filter, state.is_over) == (Mode.FILTER, "qs?", False)
    kept = pressed("enter", state=state)
    assert (kept.mode, kept.filter) == (Mode.LIST, "qs?")
    assert pressed("escape", state=kept).filter == ""
    dropped = pressed("escape", state=state)
    assert (dropped.mode, dropped.filter) == (Mode.LIST, "")
    assert place(pressed("down", state=state), NAMES) == 1


@pytest.mark.parametrize(
    ("enter", "leave"), list(itertools.product(["enter", "d"], ["escape", "enter", "d", "backspace"]))
)
def test_details_of_what_is_under_the_cursor(enter: str, leave: str) -> None:
    state = pressed("down", enter)
    assert (state.mode, state.chosen[Part.OUTSTATIONS]) == (Mode.DETAILS, "pole-1")
    assert pressed(leave, state=state).mode is Mode.LIST


def test_details_stay_with_their_item_also_when_that_is_not_the_first_any_more() -> None:
    assert pressed("enter").chosen[Part.OUTSTATIONS] == "pole-0"


def test_details_of_nothing_are_not_shown() -> None:
    assert pressed("enter", reach=Reach()).mode is Mode.LIST


def test_the_details_of_the_neighbour() -> None:
    state = pressed("enter", "end", "right")
    assert (state.chosen[Part.OUTSTATIONS], state.scroll) == ("pole-1", 0)
    assert pressed("left", "left", state=state).chosen[Part.OUTSTATIONS] == "pole-0"


@pytest.mark.parametrize("show", ["enter", "?"])
@pytest.mark.parametrize(
    ("keys", "scroll"),
    [
        (["down", "j", "k"], 1),
        (["up"], 0),
        (["page down"], 4),
        ([" ", " ", " "], 7),
        (["end"], 7),
        (["end", "page up"], 3),
        (["end", "home"], 0),
    ],
    ids=str,
)
def test_scrolling(show: str, keys: list[str], scroll: int) -> None:
    assert pressed(show, *keys).scroll == scroll


@pytest.mark.parametrize("leave", ["?", "escape", "h"])
def test_help_from_everywhere(leave: str) -> None:
    assert pressed("?").mode is Mode.HELP
    assert pressed("enter", "?").mode is Mode.HELP
    assert pressed("h", leave).mode is Mode.LIST


def test_the_end() -> None:
    for before in ([], ["enter"], ["?"]):
        assert pressed(*before, "q").is_over
        assert pressed(*before, "interrupt").is_over
    assert not pressed("f", "q").is_over
    assert pressed("f", "interrupt").is_over


def test_any_key_in_any_state_gives_a_state() -> None:
    """Every sequence of three, of all keys that there are: none fails, and from all of them one can leave."""
    keys = [*NAMED, *"qjkdfsh/?x "]
    for sequence in itertools.product(keys, repeat=3):
        for reach in (REACH, Reach()):
            state = pressed(*sequence, reach=reach)
            assert 0 <= state.scroll <= reach.depth
            assert pressed("interrupt", state=state).is_over


def test_letters_that_mean_nothing_change_nothing() -> None:
    for letter in set(string.ascii_letters) - set("qjkdfsh"):
        assert pressed(letter) == ViewState()
