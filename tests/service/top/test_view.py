"""Pictures of the live view, on screens of every size."""

from __future__ import annotations

import re
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from bridge.service.top import keyboard
from bridge.service.top.site import read
from bridge.service.top.state import Mode, Order, Part, ViewState, press
from bridge.service.top.view import Answer, Picture, Size, picture
from tests.support.statuses import MISS, diagnosis, down, led, line, outstation, server, session, status

USUAL = Size(80, 24)
SIZES = [
    USUAL,
    *(Size(*each) for each in ((80, 10), (120, 40), (200, 60), (50, 16), (30, 8), (20, 4), (1, 1))),
]
LINES, RTUS, MASTERS = Part


def large() -> dict[str, Any]:
    """Return a site with 8 lines, 64 RTUs and 8 masters; RTU 41 is silent, line 6 is down."""
    lines = [line(f"feeder-{at}") if at != 6 else down("feeder-6") for at in range(8)]
    silent = diagnosis(last_miss=MISS)
    rtus = [
        outstation(
            f"substation-{at // 8}-recloser-{at % 8}",
            "silent" if at == 41 else "answering",
            line=f"feeder-{at // 8}",
            link_address=1000 + at,
            master=f"10.1.{at // 8}.5:4021",
            **({"diagnosis": silent} if at == 41 else {}),
        )
        for at in range(64)
    ]
    sessions = [session(f"10.1.{at}.5:4021") for at in range(8)]
    return status(lines=lines, outstations=rtus, servers=[server(sessions=sessions)])


def site(**changed: object) -> Answer:
    return Answer(read(status(**changed), None))


SMALL, LARGE = site(), Answer(read(large(), None))
NOTHING = Answer(problem="not running: No such file or directory", where="/run/s")

ANSWERS = {"small": SMALL, "large": LARGE, "nothing": NOTHING, "not yet": Answer()}


def shown(answer: Answer, state: ViewState | None = None, size: Size = USUAL, now: float = 0.0) -> list[str]:
    return text(picture(answer, ViewState() if state is None else state, size), now)


def text(of: Picture, now: float = 0.0) -> list[str]:
    return ["".join(piece.plain for piece in row) for row in of.at(now)]


def pressed(answer: Answer, *keys: str, size: Size = USUAL) -> ViewState:
    state = ViewState()
    for key in keys:
        state = press(key, state, picture(answer, state, size).reach)
    return state


def row_of(rows: list[str], start: str) -> int:
    (found,) = (at for at, row in enumerate(rows) if row.startswith(start))
    return found


def rtus_of(rows: list[str]) -> list[str]:
    is_row = re.compile(r"substation-\S+ +[●○] ").match
    return [row.split()[0] for row in rows if is_row(row)]


def test_a_small_site_on_a_usual_terminal() -> None:
    rows = [row.rstrip() for row in shown(SMALL)]
    assert rows[:10] == [
        "rtu-bridge 1.2.3, up 1 d 02:03:04  system  ● beating  bridge.toml",
        "1 line; 1 master; 1 RTU, 1 answering",
        "line  state  settings  load  to/s  from/s  bad CRC  waiting  device",
        "bay1  up     9600 8N1   37%     -       -        3        2  /dev/ttyAMA2",
        "RTU      LED          addr  line  master    to/s  from/s  p50/p99 ms  missed",
        "pole-12  ● answering    12  bay1  10.1.1.5     -       -    51.2/401       4",
        "server, master     RTUs to/s from/s bad octets sessions ended, frames dropped",
        "main 0.0.0.0:20000    1    -      -          0 2 pre_empted, 1 peer_closed",
        "  10.1.1.5:4021       1    -      -          0",
        "",
    ]
    assert rows[10] == "pole-12: 1200 answers to 1204 requests, the last after 52.3 ms"
    assert rows[-1] == "q quit  ? help  ↑↓ move  Enter details  Tab next list  f filter  s sort: trouble"


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size.columns}x{size.rows}")
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("mode", Mode, ids=lambda mode: mode.value)
def test_every_picture_fills_the_screen_exactly(mode: Mode, answer: Answer, size: Size) -> None:
    for part in Part:
        name = answer.site.lists[part].items[-1].name if answer.site else "x"
        chosen = MappingProxyType({part: name})
        for scroll in (0, 1000):
            state = ViewState(mode=mode, part=part, chosen=chosen, scroll=scroll, filter="")
            rows = picture(answer, state, size).at(0.0)
            assert len(rows) == size.rows
            assert {sum(piece.cell_len for piece in row) for row in rows} == {size.columns}


@pytest.mark.parametrize("size", SIZES[:4], ids=lambda size: f"{size.columns}x{size.rows}")
def test_what_is_wrong_is_on_top(size: Size) -> None:
    rows = shown(LARGE, size=size)
    assert rtus_of(rows)[0] == "substation-5-recloser-1"
    assert rows[1].startswith("8 lines, 1 down; 8 masters; 64 RTUs, 1 silent, 63 answering")
    if size.rows > 10:
        assert rows[3].startswith("feeder-6")
    sentence = "substation-5-recloser-1, 3 s ago: nothing was heard within the response timeout"
    assert any(row.startswith(sentence[:60]) for row in rows)


def test_all_64_can_be_scrolled_to() -> None:
    state, seen = ViewState(), []
    for _ in range(64):
        now = picture(LARGE, state, USUAL)
        rows = text(now)
        seen += [name for name in rtus_of(rows) if name not in seen]
        state = press(keyboard.DOWN, state, now.reach)
    assert len(seen) == 64
    assert any(row.startswith("RTU 57-64/64") for row in rows)
    assert rtus_of(rows)[-1] == "substation-7-recloser-7"


def test_pages() -> None:
    first, second = (rtus_of(shown(LARGE, pressed(LARGE, *keys))) for keys in ([], [keyboard.PAGE_DOWN] * 2))
    assert len(first) == len(second) >= 8
    assert not set(first) & set(second)
    assert rtus_of(shown(LARGE, pressed(LARGE, keyboard.END)))[-1] == "substation-7-recloser-7"
    assert rtus_of(shown(LARGE, pressed(LARGE, keyboard.END, keyboard.HOME))) == first


def test_the_item_under_the_cursor_is_marked_and_spoken_of() -> None:
    now = picture(LARGE, pressed(LARGE, *[keyboard.DOWN] * 9), USUAL)
    marked = [row for row in now.at(0.0) if row[0].style == "reverse"]
    assert ["".join(piece.plain for piece in row).split()[0] for row in marked] == ["substation-0-recloser-0"]
    rows = text(now)
    assert "substation-0-recloser-0: 1200 answers to 1204 requests, the last after 52.3 ms" in [
        row.rstrip() for row in rows
    ]
    below = "\n".join(rows[row_of(rows, "substation-0-recloser-0: ") :])
    assert "feeder-6 is down" in below, "and what is wrong elsewhere"
    assert "substation-5-recloser-1, 3 s ago" in below


def test_each_list_can_have_the_room() -> None:
    assert any(row.startswith("line 1-3/8") for row in shown(LARGE))
    lines = shown(LARGE, pressed(LARGE, keyboard.BACK_TAB))
    assert sum(row.startswith("feeder-") for row in lines) == 8 + 1, "8 rows and a sentence"
    masters = shown(LARGE, pressed(LARGE, keyboard.TAB))
    assert any(row.startswith("server, master 1-8/9") for row in masters)


def test_a_filter() -> None:
    rows = shown(LARGE, pressed(LARGE, "f", *"recloser-7"))
    assert len(rtus_of(rows)) == 8
    assert rows[-1].startswith("filter: recloser-7_  Enter keeps it  Esc shows all")
    rows = shown(LARGE, pressed(LARGE, "f", *"feeder-6", keyboard.ENTER))
    assert rtus_of(rows) == [f"substation-6-recloser-{at}" for at in range(8)]
    assert rows[-1].startswith("only: feeder-6  Esc shows all  q quit")
    assert rtus_of(shown(LARGE, pressed(LARGE, "f", *"nonesuch"))) == []


def test_sorted_by_name() -> None:
    rows = shown(LARGE, pressed(LARGE, "s"))
    assert rtus_of(rows)[:2] == ["substation-0-recloser-0", "substation-0-recloser-1"]
    assert rows[-1].rstrip().endswith("s sort: name")


def test_long_names_are_cut_in_the_middle_with_an_ellipsis() -> None:
    name = "region-north-substation-hinterland-feeder-12-recloser-b"
    long = site(lines=[line(name)], outstations=[outstation(name, line=name)])
    rows = shown(long)
    assert rows[3].startswith("region-n")
    assert "…" in rows[3]
    assert rows[5].startswith("region-north")
    assert "ser-b ●" in rows[5]
    assert "51.2/401" in rows[5]


def test_the_leds_blink_and_nothing_else_moves() -> None:
    silent = site(outstations=[outstation(state="silent"), outstation("other", "missing")])
    now = picture(silent, ViewState(), USUAL)
    at = [text(now, time) for time in (0.05, 0.15, 0.3)]
    assert [rows[5].split()[1] for rows in at] == ["●", "○", "○"]
    assert [rows[6].split()[1] for rows in at] == ["●", "●", "○"]
    without = [[row.replace("●", "○") for row in rows] for rows in at]
    assert without[0] == without[1] == without[2]
    still = picture(site(system_led=led("off"), outstations=[outstation()]), ViewState(), USUAL)
    for one, other in zip(still.at(0.0), still.at(0.3), strict=True):
        assert one == other


def test_details_of_an_outstation_have_every_counter_and_the_reasons() -> None:
    miss = diagnosis(last_miss=MISS, wrong_address_answers=8)
    answer = site(outstations=[outstation(state="silent", diagnosis=miss), outstation("b")])
    state = pressed(answer, keyboard.ENTER)
    rows = [row.rstrip() for row in shown(answer, state, Size(100, 200))]
    assert rows[2].split()[:4] == ["RTU", "LED", "addr", "line"]
    assert rows[3].split()[:3] == ["pole-12", "●", "silent"]
    joined = "\n".join(rows)
    for expected in (
        "pole-12, 3 s ago: nothing was heard within the response timeout of 2304 ms (no answer since)",
        "wrong RTU",
        "exchanges.answered                     1200",
        "diagnosis.response_times.p95_s         0.09",
        "diagnosis.last_miss.reason             nothing_heard",
        "2 pre_empted, 1 peer_closed",
    ):
        assert " ".join(expected.split()) in " ".join(joined.split()), expected
    assert "\nb " not in joined, "nothing of the others"


def test_details_scroll_below_their_head() -> None:
    size = Size(80, 12)
    state = pressed(SMALL, keyboard.ENTER, size=size)
    top = shown(SMALL, state, size)
    low = shown(SMALL, pressed(SMALL, keyboard.ENTER, keyboard.END, size=size), size)
    assert top[:4] == low[:4]
    assert top[4:-1] != low[4:-1]
    assert low[-2].startswith("diagnosis.last_miss ")


def test_details_of_lines_and_masters() -> None:
    bay1 = "\n".join(shown(SMALL, pressed(SMALL, keyboard.LEFT, keyboard.ENTER), Size(80, 60)))
    assert "drops.unknown_source" in bay1
    assert "pole-12" in bay1
    master = pressed(SMALL, keyboard.TAB, keyboard.DOWN, keyboard.ENTER)
    assert master.chosen[MASTERS] == "main 10.1.1.5:4021"
    assert "frames_received" in "\n".join(shown(SMALL, master, Size(80, 60)))


def test_details_of_what_is_gone() -> None:
    state = replace(pressed(SMALL, keyboard.ENTER), chosen={RTUS: "pole-99"})
    assert shown(SMALL, state)[2].startswith("pole-99 is not there any more")
    assert press(keyboard.ESCAPE, state, picture(SMALL, state, USUAL).reach).mode is Mode.LIST


def test_help_scrolls() -> None:
    state = pressed(SMALL, "?")
    assert shown(SMALL, state)[2].startswith("Keys")
    end = pressed(SMALL, "?", keyboard.END)
    assert shown(SMALL, end)[-2].startswith("Below the lists")


@pytest.mark.parametrize("width", [80, 100])
def test_help_needs_no_wrapped_lines_at_80_columns(width: int) -> None:
    high, higher = (
        picture(SMALL, pressed(SMALL, "?"), Size(columns, 10)).reach.depth for columns in (width, 200)
    )
    assert high == higher


def test_without_a_bridge_it_says_so() -> None:
    rows = shown(NOTHING)
    assert rows[0].rstrip() == "rtu-bridge"
    assert rows[1].rstrip() == "! not running: No such file or directory  /run/s"
    assert not "".join(rows[2:-1]).strip()


def test_what_it_said_last_stays_while_it_is_gone() -> None:
    rows = shown(replace(SMALL, problem="not running", where="/run/s", age_s=130))
    assert rows[1].rstrip() == "! not running; below is what it said 2 min ago  /run/s"
    assert rows[3].startswith("bay1")


def test_what_is_past_does_not_blink() -> None:
    silent = replace(site(outstations=[outstation(state="silent")]), problem="not running")
    assert shown(silent, now=0.05) == shown(silent, now=0.15)


def test_notes_are_shown_where_there_is_room_and_in_the_help() -> None:
    notes = ("Be a master:", "nc 127.0.0.1 20000")
    answer = replace(SMALL, notes=notes)
    assert [row.rstrip() for row in shown(answer)].count(notes[1]) == 1
    assert [row.rstrip() for row in shown(answer, size=Size(80, 14))].count(notes[1]) == 0
    assert [row.rstrip() for row in shown(answer, pressed(answer, "?", keyboard.END))].count(notes[1]) == 1


def test_the_same_gives_the_same() -> None:
    state = ViewState(order=Order.NAME)
    assert picture(LARGE, state, USUAL).at(1.0) == picture(LARGE, state, USUAL).at(1.0)
