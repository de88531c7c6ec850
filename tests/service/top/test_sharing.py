"""How the lists share a screen."""

from __future__ import annotations

import itertools

import pytest

from bridge.service.top.sharing import Share, share
from bridge.service.top.state import Part

LINES, RTUS, MASTERS = Part


def items(wanted: tuple[int, int, int], cursor: Part, space: int) -> tuple[int, ...]:
    given = share(dict(zip(Part, wanted, strict=True)), cursor, space)
    return tuple(given[part].items for part in Part)


def test_all_is_shown_where_there_is_room() -> None:
    assert items((3, 4, 2), RTUS, 12) == (3, 4, 2)
    assert items((3, 4, 2), RTUS, 50) == (3, 4, 2)


def test_the_list_with_the_cursor_gets_what_the_others_can_do_without() -> None:
    assert items((8, 64, 9), RTUS, 18) == (3, 9, 3)
    assert items((8, 64, 9), LINES, 18) == (8, 4, 3)
    assert items((8, 2, 9), RTUS, 18) == (8, 2, 5)


def test_on_a_low_screen_the_others_go() -> None:
    assert items((8, 64, 9), RTUS, 11) == (3, 6, 0)
    assert items((8, 64, 9), RTUS, 7) == (0, 6, 0)
    assert items((8, 64, 9), MASTERS, 7) == (0, 0, 6)


def test_it_never_takes_more_rows_than_there_are() -> None:
    counts = (0, 1, 3, 4, 100)
    for wanted in itertools.product(counts, repeat=3):
        for cursor, space in itertools.product(Part, range(1, 40)):
            given = share(dict(zip(Part, wanted, strict=True)), cursor, space)
            assert sum(each.rows for each in given.values()) <= space
            assert all(each.items <= most for each, most in zip(given.values(), wanted, strict=True))
            assert given[cursor].rows


@pytest.mark.parametrize(
    ("cursor", "first"), [(0, 0), (4, 0), (5, 0), (6, 1), (50, 45), (58, 53), (59, 54), (63, 54)]
)
def test_the_cursor_is_in_the_middle_where_it_can_be(cursor: int, first: int) -> None:
    assert Share(10, 11).first(64, cursor) == first
