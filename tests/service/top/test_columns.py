"""Tables on a screen of any width."""

from __future__ import annotations

import pytest
from rich.text import Text

from bridge.service.top.columns import Column, Layout, Row, Window, beside, fitted, line, wrapped

COLUMNS = (
    Column("name", least=8, is_name=True),
    Column("n", is_number=True),
    Column("where", least=4, left_out=1),
    Column("extra", least=4, left_out=2),
)
ROWS = [("substation-north-recloser-1", "1234", "somewhere", "this and that"), ("pole", "1", "-", "")]


class Clock:
    """A moving cell: the time."""

    width = 5

    def at(self, now: float) -> Text:
        return Text(f"{now:g}")


def plain(row: Row, now: float = 0.0) -> str:
    return "".join(piece.plain if isinstance(piece, Text) else piece.at(now).plain for piece in row)


def rows(width: int) -> list[str]:
    layout = Layout(COLUMNS, [[column.heading for column in COLUMNS], *ROWS], width)
    return [plain(layout.row(row)) for row in ROWS]


def test_what_fits_is_shown_whole() -> None:
    assert rows(70) == [
        "substation-north-recloser-1  1234  somewhere  this and that           ",
        "pole                            1  -                                  ",
    ]


def test_narrower_gaps_before_anything_is_cut() -> None:
    assert rows(56)[0] == "substation-north-recloser-1 1234 somewhere this and that"


def test_what_has_most_to_spare_is_shortened_first_and_names_in_the_middle() -> None:
    assert rows(40) == [
        "substat…oser-1 1234 somewhere this and …",
        "pole              1 -                   ",
    ]


def test_columns_go_before_others_become_too_narrow() -> None:
    assert rows(24)[0] == "subs…r-1 1234 som… this…"
    assert rows(22)[0] == "subst…er-1 1234 somew…"
    assert rows(17)[0] == "substa…ser-1 1234"
    assert rows(12)[0] == "subs…r-1 12…", "the rest is cut off"


@pytest.mark.parametrize("width", range(1, 90))
def test_every_row_is_exactly_as_wide_as_the_screen(width: int) -> None:
    assert all(len(row) == width for row in rows(width))


def test_scrolling_moves_no_column() -> None:
    layout = Layout(COLUMNS, ROWS, 40)
    assert [piece.cell_len for piece in layout.row(ROWS[0])[:2]] == [
        piece.cell_len for piece in layout.row(ROWS[1])[:2]
    ]


def test_a_moving_cell_keeps_its_place() -> None:
    row = Layout((Column("t"), Column("x")), [(Clock(), "x")], 12).row((Clock(), "x"), "reverse")
    window = row[0]
    assert isinstance(window, Window)
    assert plain(row, 1) == "1      x    "
    assert plain(row, 12345678) == "1.23…  x    "
    assert window.at(1).style == "reverse"


def test_a_row_has_its_style_below_those_of_its_cells() -> None:
    text = Text("red", style="red")
    piece = Layout((Column("c"),), [(text,)], 5).row((text,), "reverse")[0]
    assert isinstance(piece, Text)
    assert piece.style == "reverse"
    assert [(span.start, span.end, span.style) for span in piece.spans] == [(0, 5, "red")]
    assert text.style == "red", "what came in is as it was"


def test_wide_characters_take_two_columns() -> None:
    assert fitted(Text("変電所一"), 6).cell_len == 6
    layout = Layout(COLUMNS, [("変電所の再閉路器一号", "1", "", "")], 16)
    assert sum(piece.cell_len for piece in layout.row(("変電所の再閉路器一号", "1", "", ""))) == 16


def test_nothing_gets_through_that_a_terminal_would_obey() -> None:
    assert fitted(Text("a\x1b[31m\n\x9bb\ud800"), 20).plain.rstrip() == "a?[31m??b?"


def test_side_by_side_as_much_as_there_is_room_for() -> None:
    assert plain(beside(["rtu", Clock(), "bridge.toml"], 30)) == "rtu  0      bridge.toml       "
    assert plain(beside(["rtu", Clock(), "bridge.toml"], 16)) == "rtu  0      bri…"
    assert plain(beside(["rtu", Clock(), "bridge.toml"], 2)) == "r…"


def test_lines_and_paragraphs() -> None:
    assert plain(line(Text("too long"), 5)) == "too …"
    assert [plain(row) for row in wrapped(Text("one two three"), 8)] == ["one two ", "three   "]
    assert [plain(row) for row in wrapped(Text(""), 3)] == ["   "]
    assert [plain(row) for row in wrapped(Text("unbreakable"), 6)] == ["unbrea", "kable "]
