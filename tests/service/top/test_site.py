"""From status documents to what is shown: rows, troubles, rates, sentences."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from rich.text import Text

from bridge.service.top.items import Item
from bridge.service.top.site import Site, only, read
from bridge.service.top.state import Order, Part
from tests.support import statuses, toml
from tests.support.sites import running
from tests.support.statuses import MISS, diagnosis, down, line, outstation, server, session, status

LINES, RTUS, MASTERS = Part


def items(part: Part, document: dict[str, Any], earlier: dict[str, Any] | None = None) -> dict[str, Item]:
    return {item.name: item for item in read(document, earlier).lists[part].items}


def cells(
    part: Part, document: dict[str, Any], earlier: dict[str, Any] | None = None
) -> list[dict[str, str]]:
    listing = read(document, earlier).lists[part]
    headings = [column.heading for column in listing.columns]
    rows = [
        [cell.at(0.5).plain if not isinstance(cell, str | Text) else str(cell) for cell in item.cells]
        for item in listing.items
    ]
    return [dict(zip(headings, row, strict=True)) for row in rows]


def later(document: dict[str, Any], by_s: float = 5.0) -> dict[str, Any]:
    return deepcopy(document) | {"uptime_s": document["uptime_s"] + by_s}


def names(site: Site, part: Part, order: Order = Order.TROUBLE, words: str = "") -> list[str]:
    return [item.name for item in site.lists[part].picked(order, words)]


def notes(item: Item) -> list[str]:
    return [str(note) for note in item.notes]


def complaints(item: Item) -> list[str]:
    return [str(complaint) for complaint in item.complaints]


def test_the_head() -> None:
    site = read(
        status(lines=[line(), down("bay2")], outstations=[outstation(), outstation("b", "silent")]), None
    )
    assert (site.title, site.configuration) == ("rtu-bridge 1.2.3, up 1 d 02:03:04", "bridge.toml")
    assert site.heart is not None
    assert site.heart.at(0.05).plain == "● beating"
    assert str(site.summary) == "2 lines, 1 down; 1 master; 2 RTUs, 1 silent, 1 answering"


def test_the_summary_names_the_worst_first_and_what_is_disabled() -> None:
    states = ["answering", "answering", "off", "missing", "noise", "lost", "idle", "silent"]
    rtus = [outstation(f"rtu-{at}", state) for at, state in enumerate(states)]
    site = read(status(outstations=[*rtus, outstation("unused", "off", enabled=False)]), None)
    assert str(site.summary).partition("RTUs, ")[2] == (
        "1 silent, 1 missing, 1 noise, 1 lost, 1 off, 1 idle, 2 answering, 1 disabled"
    )


def test_a_line() -> None:
    assert cells(LINES, status()) == [
        {
            "line": "bay1",
            "state": "up",
            "settings": "9600 8N1",
            "load": "37%",
            "to/s": "-",
            "from/s": "-",
            "bad CRC": "3",
            "waiting": "2",
            "device": "/dev/ttyAMA2",
        }
    ]


def test_an_outstation() -> None:
    assert cells(RTUS, status()) == [
        {
            "RTU": "pole-12",
            "LED": "● answering",
            "addr": "12",
            "line": "bay1",
            "master": "10.1.1.5",
            "to/s": "-",
            "from/s": "-",
            "p50/p99 ms": "51.2/401",
            "missed": "4",
        }
    ]


def test_an_outstation_that_is_disabled_or_not_on_a_line() -> None:
    keys = ("name", "enabled", "server", "line", "link_address", "master", "led")
    disabled = {
        key: value
        for key, value in outstation(state="off", enabled=False, master=None).items()
        if key in keys
    }
    local = {key: value for key, value in outstation("itself", line=None).items() if key != "diagnosis"}
    rows = cells(RTUS, status(outstations=[disabled, local | {"local": "appliance"}]))
    assert [(row["RTU"], row["line"], row["master"], row["missed"]) for row in rows] == [
        ("pole-12 (disabled)", "bay1", "-", "-"),
        ("itself", "(local)", "10.1.1.5", "-"),
    ]
    said = items(RTUS, status(outstations=[disabled, local]))
    assert notes(said["pole-12"]) == ["pole-12 is disabled in the configuration"]
    assert notes(said["itself"]) == ["itself: its master is 10.1.1.5:4021"]


def test_servers_and_masters() -> None:
    both = [session(), session("[2001:db8::7]:4022", octets_discarded=3, drops={"queue_full": 2})]
    rows = cells(
        MASTERS, status(servers=[server(sessions=both), server("spare", sessions=[], session_ends={})])
    )
    assert [tuple(row.values()) for row in rows] == [
        ("main 0.0.0.0:20000", "1", "-", "-", "0", "2 pre_empted, 1 peer_closed"),
        ("  10.1.1.5:4021", "1", "-", "-", "0", ""),
        ("  [2001:db8::7]:4022", "0", "-", "-", "3", "dropped: 2 queue_full"),
        ("spare 0.0.0.0:20000", "0", "-", "-", "0", ""),
    ]


def of_before(line: dict[str, Any]) -> dict[str, Any]:
    """Return the line as a bridge says it that does not measure its load, nor count what it sends."""
    return {key: value for key, value in line.items() if key not in {"bus_load", "frames_sent"}}


@pytest.mark.parametrize(("share", "shown"), [(0.0, "0%"), (0.421, "42%"), (1.0, "100%"), (None, "-")])
def test_the_load_of_a_bus_where_it_is_measured(share: float | None, shown: str) -> None:
    rows = cells(LINES, status(lines=[line(bus_load=share), of_before(line("bay2"))]))
    assert [row["load"] for row in rows] == [shown, "-"]


# Rates


def test_rates_are_differences_over_the_bridges_own_time() -> None:
    before = status()
    after = later(before, by_s=4.0)
    after["outstations"][0]["frames_from_master"] += 10
    after["outstations"][0]["frames_to_master"] += 48
    after["lines"][0]["frames_sent"] += 10
    after["lines"][0]["frames_heard"] += 100
    after["servers"][0]["sessions"][0]["frames_received"] += 2
    (rtu,), (bus,), (_, master) = (cells(part, after, before) for part in (RTUS, LINES, MASTERS))
    assert (rtu["to/s"], rtu["from/s"]) == ("2.5", "12")
    assert (bus["to/s"], bus["from/s"]) == ("2.5", "25")
    assert (master["to/s"], master["from/s"]) == ("0.5", "0")


def test_what_a_line_sends_is_its_own_counter_where_it_has_one() -> None:
    before = status(lines=[line("bay1"), of_before(line("bay2"))])
    before["outstations"][0]["line"] = "bay2"
    after = later(before, by_s=4.0)
    after["lines"][0]["frames_sent"] += 2
    after["outstations"][0]["frames_from_master"] += 10
    assert [row["to/s"] for row in cells(LINES, after, before)] == ["0.5", "2.5"]


@pytest.mark.parametrize("by_s", [0.0, -93000.0], ids=["the same", "after a restart"])
def test_no_rates_without_time_between(by_s: float) -> None:
    before = status()
    assert cells(RTUS, later(before, by_s), before)[0]["to/s"] == "-"


def test_no_rates_of_what_is_new_or_went_back() -> None:
    before = status()
    after = later(before)
    after["outstations"] = [outstation(frames_from_master=1), outstation("new")]
    after["servers"][0]["sessions"] = [session("10.1.1.5:9999")]
    assert [row["to/s"] for row in cells(RTUS, after, before)] == ["-", "-"]
    assert [row["to/s"] for row in cells(MASTERS, after, before)] == ["-", "-"]


# Trouble


def test_what_is_wrong_is_on_top() -> None:
    states = ["answering", "idle", "off", "lost", "noise", "missing", "silent"]
    rtus = [outstation(state, state) for state in states]
    unused = outstation("unused", "off", enabled=False)
    site = read(status(outstations=[unused, *rtus]), None)
    assert names(site, RTUS) == [*reversed(states), "unused"]


def test_the_outstations_of_a_line_that_is_down_stand_below_those_with_a_fault_of_their_own() -> None:
    rtus = [
        outstation("fine"),
        outstation("on a dead line", "silent", line="bay2"),
        outstation("nobody asks", "off", line="bay2"),
        outstation("never asked", "off"),
        outstation("noisy", "noise"),
    ]
    site = read(status(lines=[line(), down("bay2")], outstations=rtus), None)
    assert names(site, RTUS) == ["noisy", "on a dead line", "nobody asks", "never asked", "fine"]
    by_name = {item.name: item for item in site.lists[RTUS].items}
    assert complaints(by_name["on a dead line"]) == [], "the line says it, once for all"


def test_lines_with_trouble_first() -> None:
    noisy = line("noisy")
    before = status(lines=[line("fine"), noisy, line("babbler", is_babbling=True), down("gone")])
    problem = {"in_force": "nobody", "problem": "the driver has no RS-485 mode"}
    before["lines"].append(line("half", direction=problem))
    before["lines"].append(line("full", bus_load=0.95))
    after = later(before)
    after["lines"][1]["crc_errors"] += 1
    site = read(after, before)
    assert names(site, LINES) == ["gone", "babbler", "half", "noisy", "full", "fine"]


def test_a_master_that_sends_no_frames_comes_first_below_its_server() -> None:
    before = status(servers=[server("a"), server("b", sessions=[session("x:1"), session("y:2")])])
    after = later(before)
    after["servers"][1]["sessions"][1]["octets_discarded"] = 99
    assert names(read(after, before), MASTERS) == ["b", "b y:2", "a", "a 10.1.1.5:4021", "b x:1"]


def test_the_other_orders() -> None:
    slow = diagnosis(
        response_times={"answers": 9, "p50_s": 1.0, "p95_s": 1.0, "p99_s": 2.0, "longest_s": 2.0}
    )
    rtus = [outstation("Beta", frames_to_master=0), outstation("alpha"), outstation("gamma", diagnosis=slow)]
    before = status(outstations=rtus)
    after = later(before)
    after["outstations"][0]["frames_to_master"] = 50
    site = read(after, before)
    assert names(site, RTUS, Order.NAME) == ["alpha", "Beta", "gamma"]
    assert names(site, RTUS, Order.BUSY) == ["Beta", "alpha", "gamma"]
    assert names(site, RTUS, Order.SLOW) == ["gamma", "Beta", "alpha"]


# The filter


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("", (["bay1", "bay2"], ["pole-12", "mast-7"], ["main", "main 10.1.1.5:4021"])),
        ("POLE", (["bay1"], ["pole-12"], ["main", "main 10.1.1.5:4021"])),
        ("bay2", (["bay2"], ["mast-7"], ["main"])),
        ("10.1.1.5", (["bay1"], ["pole-12"], ["main", "main 10.1.1.5:4021"])),
        ("main", ([], [], ["main", "main 10.1.1.5:4021"])),
        ("nonesuch", ([], [], [])),
    ],
)
def test_a_filter_leaves_what_belongs_together(words: str, found: tuple[list[str], ...]) -> None:
    rtus = [outstation(), outstation("mast-7", line="bay2", master=None)]
    site = read(status(lines=[line(), line("bay2", device="/dev/b")], outstations=rtus), None)
    assert tuple(names(site, part, Order.TROUBLE, words) for part in Part) == found


# Sentences


def test_why_an_outstation_does_not_answer() -> None:
    sentence = "pole-12, 3 s ago: nothing was heard within the response timeout of 2304 ms (no answer since)"
    silent = items(
        RTUS, status(outstations=[outstation(state="silent", diagnosis=diagnosis(last_miss=MISS))])
    )
    assert notes(silent["pole-12"]) == complaints(silent["pole-12"]) == [sentence]


def test_of_an_outstation_on_a_line_that_is_down_the_line_is_said() -> None:
    missed = outstation(state="silent", diagnosis=diagnosis(last_miss=MISS))
    (item,) = items(RTUS, status(lines=[down()], outstations=[missed])).values()
    assert notes(item) == ["pole-12: its line bay1 is down"]


def test_a_miss_of_the_past_is_said_when_asked_for() -> None:
    past = diagnosis(last_miss=MISS | {"answered_since": True})
    (fine,) = items(RTUS, status(outstations=[outstation(diagnosis=past)])).values()
    assert complaints(fine) == []
    assert notes(fine)[0].endswith("(has answered since)")
    (shaky,) = items(RTUS, status(outstations=[outstation(state="missing", diagnosis=past)])).values()
    assert complaints(shaky) == notes(shaky)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "pole-12: 1200 answers to 1204 requests, the last after 52.3 ms"),
        ({"diagnosis": diagnosis(requests=0)}, "pole-12: its master has asked nothing yet"),
        (
            {"pre_emptions": 2, "diagnosis": diagnosis(requests=0)},
            "pole-12: its master has asked nothing yet|pole-12: 2 times a newer connection took over",
        ),
        ({"diagnosis": diagnosis(requests=0), "master": None}, "pole-12: no master is connected"),
    ],
)
def test_what_is_said_of_an_outstation_without_a_miss(changed: dict[str, Any], said: str) -> None:
    assert notes(items(RTUS, status(outstations=[outstation(**changed)]))["pole-12"]) == said.split("|")


def test_a_response_timeout_that_is_too_short_is_said() -> None:
    short = outstation(diagnosis=diagnosis(recommended_timeout_s=2.35))
    (item,) = items(RTUS, status(outstations=[short])).values()
    assert complaints(item) == [
        "! pole-12: response_timeout_ms of line bay1 is 2304; set 2350 or more for its answers"
    ]


def test_what_is_said_of_lines_and_masters() -> None:
    document = status(lines=[line(losses=2), down("bay2")])
    bay1, bay2 = items(LINES, document).values()
    assert (notes(bay1), complaints(bay1)) == (
        ["bay1: /dev/ttyAMA2; lost 2 times; 17 octets dropped; frames dropped: 6 unknown_source"],
        [],
    )
    assert notes(bay2) == complaints(bay2) == ["bay2 is down: no such device; is the adapter plugged in?"]
    main, master = items(MASTERS, document).values()
    assert notes(main) == [
        "main listens on 0.0.0.0:20000, discard mode; sessions ended: 2 pre_empted, 1 peer_closed"
    ]
    assert notes(master) == ["10.1.1.5:4021 on main: pole-12; frames dropped: none"]


# Details


def test_what_belongs_to_an_item() -> None:
    rtus = [outstation(), outstation("mast-7", line="bay2", master=None)]
    site = read(status(lines=[line(), line("bay2")], outstations=rtus), None)

    def kept(part: Part, name: str) -> tuple[list[str], ...]:
        document, _ = only(site, part, name)
        return tuple([each["name"] for each in document[key]] for key in ("lines", "outstations", "servers"))

    assert kept(LINES, "bay2") == (["bay2"], ["mast-7"], [])
    assert kept(RTUS, "mast-7") == (["bay2"], ["mast-7"], ["main"])
    assert kept(MASTERS, "main") == ([], ["pole-12", "mast-7"], ["main"])
    assert kept(MASTERS, "main 10.1.1.5:4021") == ([], ["pole-12"], ["main"])
    assert only(site, MASTERS, "main 10.1.1.5:4021")[1] == session()
    assert [each["sessions"] for each in only(site, RTUS, "mast-7")[0]["servers"]] == [[]], "not its master"


# Documents of others


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(each for key, item in inner for each in _paths(item, (*path, key)))]


NONSENSE = (None, "x\x1b[31m\ud800\x00", [[]], {"x": []})


def test_nonsense_is_no_status_or_can_be_shown() -> None:
    from bridge.service.top.state import Mode, ViewState
    from bridge.service.top.view import Answer, Size, picture

    whole = status(outstations=[outstation(diagnosis=diagnosis(last_miss=MISS))])
    details = [
        ViewState(mode=Mode.DETAILS, part=part, chosen={part: name})
        for part, name in ((LINES, "bay1"), (RTUS, "pole-12"), (MASTERS, "main"))
    ]
    refused = shown = 0
    for path in _paths(whole)[1:]:
        for nonsense in NONSENSE:
            document = deepcopy(whole)
            holder: Any = document
            for key in path[:-1]:
                holder = holder[key]
            holder[path[-1]] = nonsense
            try:
                site = read(document, whole)
            except ValueError:
                refused += 1
                continue
            shown += 1
            # Not both for each: that there are many is what makes it good.
            state = details[shown // 2 % 3] if shown % 2 else ViewState()
            rows = picture(Answer(site), state, Size(80, 24)).at(0.0)
            assert all(piece.plain.isprintable() for row in rows for piece in row)
    assert refused > 100
    assert shown > 100


def test_a_bridge_from_before_the_diagnosis() -> None:
    old = status()
    del old["system_led"]
    for key in ("diagnosis", "is_answering"):
        del old["outstations"][0][key]
    for key in ("direction", "is_babbling", "babbles", "losses", "drops"):
        del old["lines"][0][key]
    old["outstations"][0]["led"] = {"name": "led1", "state": "answering", "lit": True}
    old["servers"][0]["sessions"] = [{"peer": "10.1.1.5:4021"}]
    del old["servers"][0]["octets_discarded"]
    site = read(old, old)
    assert site.heart is None
    assert cells(RTUS, old)[0]["LED"] == "● answering"


@pytest.mark.wire
async def test_a_real_bridge_gives_the_keys_that_these_tests_take_for_granted() -> None:
    line_and_rtu = toml.line("bay1", "/dev/nonesuch") + toml.outstation("pole-12", 12)
    async with running(toml.service() + toml.server() + line_and_rtu) as bridge:
        document = bridge.snapshot()
    assert document.keys() >= status().keys()
    assert document["system_led"].keys() == statuses.LED.keys()
    for key, expected in (("lines", line()), ("outstations", outstation()), ("servers", server())):
        assert document[key][0].keys() >= expected.keys()
    assert document["outstations"][0]["diagnosis"].keys() >= diagnosis().keys()
    assert str(read(document, None).summary) == "1 line, 1 down; 0 masters; 1 RTU, 1 off"
