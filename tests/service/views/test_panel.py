"""The status for people: rendered from a document, and live in a real terminal."""

from __future__ import annotations

import contextlib
import io
import re
import signal
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from rich.console import Console

from bridge.service.views import recorder_lines
from bridge.service.views.panel import plain_lines, print_status, readable, render
from tests.support.program import PROGRAM_PATIENCE_S, Program
from tests.support.waiting import until

pytestmark = pytest.mark.wire

SNAPSHOT: dict[str, Any] = {
    "version": "1.2.3",
    "uptime_s": 93784.9,
    "configuration": "bridge.toml",
    "servers": [
        {
            "name": "main",
            "listen": "0.0.0.0:20000",
            "link_error_mode": "discard",
            "sessions": [{"peer": "10.1.1.5:4021"}, {"peer": "[2001:db8::7]:4022"}],
            "session_ends": {"pre_empted": 2, "peer_closed": 1},
            "octets_discarded": 0,
            "drops": {},
            "listener_errors": 0,
        }
    ],
    "lines": [
        {
            "name": "bay1",
            "device": "/dev/ttyAMA2",
            "settings": "9600 8N1",
            "is_up": True,
            "reason": None,
            "direction": {"in_force": "the adapter", "problem": None},
            "is_babbling": False,
            "babbles": 0,
            "echo_octets": 0,
            "echoes_spoiled": 0,
            "losses": 0,
            "drops": {"unknown_source": 6},
            "frames_heard": 4711,
            "crc_errors": 3,
            "waiting_frames": 2,
            "octets_discarded": 17,
        },
        {
            "name": "bay2",
            "device": "/dev/ttyUSB0",
            "settings": "19200 8E1",
            "is_up": False,
            "reason": "no such device; is the adapter plugged in, is the overlay loaded?",
            "direction": {"in_force": "nobody yet", "problem": None},
            "is_babbling": False,
            "babbles": 0,
            "echo_octets": 0,
            "echoes_spoiled": 0,
            "losses": 0,
            "drops": {},
            "frames_heard": 0,
            "crc_errors": 0,
            "waiting_frames": 0,
            "octets_discarded": 0,
        },
    ],
    "outstations": [
        {
            "name": "pole-12",
            "enabled": True,
            "server": "main",
            "line": "bay1",
            "link_address": 12,
            "master": "10.1.1.5:4021",
            "led": {"name": "led1", "state": "answering", "lit": True},
            "frames_from_master": 1234,
            "frames_to_master": 1230,
            "exchanges": {"answered": 1200, "timed_out": 3, "superseded": 1},
            "last_response_s": 0.0523,
            "is_answering": True,
            "drops": {},
            "diagnosis": {
                "requests": 1204,
                "answers": 1200,
                "timeouts": 3,
                "late_answers": 0,
                "last_late_by_s": None,
                "most_late_by_s": None,
                "crc_errors": 0,
                "wrong_address_answers": 0,
                "response_times": {
                    "answers": 512,
                    "p50_s": 0.0512,
                    "p95_s": 0.0766,
                    "p99_s": 0.4012,
                    "longest_s": 0.512,
                },
                "response_timeout_s": 2.304,
                "recommended_timeout_s": 0.9,
                "last_miss": None,
            },
        },
        {
            "name": "pole-13",
            "enabled": False,
            "server": "main",
            "line": "bay2",
            "link_address": 13,
            "master": None,
            "led": {"name": None, "state": "off", "lit": False},
        },
    ],
}


MISS = {
    "reason": "nothing_heard",
    "sentence": "nothing was heard within the response timeout of 2304 ms",
    "ago_s": 3.9,
    "answered_since": False,
}


def _rendered(snapshot: dict[str, Any], width: int = 200) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(render(snapshot))
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def _with_diagnosis(**changed: object) -> dict[str, Any]:
    """Return the snapshot with something else in the diagnosis of pole-12."""
    snapshot = deepcopy(SNAPSHOT)
    snapshot["outstations"][0]["diagnosis"] |= changed
    return snapshot


def _with_line(**changed: object) -> dict[str, Any]:
    """Return the snapshot with something else in bay1."""
    snapshot = deepcopy(SNAPSHOT)
    snapshot["lines"][0] |= changed
    return snapshot


def _row(text: str, *cells: str) -> str:
    """Return the one line that has all of the cells, in that order, with nothing of a word around them."""
    pattern = r".*".join(rf"(?<!\S){re.escape(cell)}(?!\S)" for cell in cells)
    (line,) = (line for line in text.splitlines() if re.search(pattern, line))
    return line


def test_the_whole_status_in_tables() -> None:
    text = _rendered(SNAPSHOT)
    assert text.startswith("rtu-bridge 1.2.3, up 1 d 02:03:04")
    _row(text, "●", "answering", "pole-12", "12", "bay1", "10.1.1.5:4021", "52.3")
    _row(text, "○", "off", "pole-13 (disabled)", "13", "bay2", "none", "-")
    _row(text, "bay1", "up", "9600 8N1", "4711", "3", "2", "/dev/ttyAMA2")
    _row(text, "bay2", "down", "19200 8E1", "0", "0", "0", "/dev/ttyUSB0")
    _row(text, "bay2 is down: no such device; is the adapter plugged in, is the overlay loaded?")
    _row(text, "outstation", "requests", "answers", "unanswered", "timeouts")
    _row(text, "pole-12", "1204", "1200", "4", "3")
    _row(text, "outstation", "p50 ms", "p95 ms", "p99 ms", "timeout ms", "recommended ms")
    _row(text, "pole-12", "51.2", "76.6", "401", "2304", "900")
    _row(text, "main", "0.0.0.0:20000", "discard", "10.1.1.5:4021", "2 pre_empted, 1 peer_closed")
    assert "[2001:db8::7]:4022" in text, "a session below another, and no markup of the panel's"
    _row(text, "pole-12", "1234", "1230")
    _row(text, "line", "direction", "dropped octets", "dropped frames")
    _row(text, "bay1", "the adapter", "17", "6 unknown_source")
    _row(text, "bay2", "nobody yet", "0", "none")


def test_an_outstation_of_the_program_itself() -> None:
    snapshot = deepcopy(SNAPSHOT)
    snapshot["outstations"].append(
        {
            "name": "box",
            "enabled": True,
            "server": "main",
            "line": None,
            "local": "appliance",
            "link_address": 50,
            "master": "10.1.1.5:4021",
            "led": {"name": "led3", "state": "answering", "lit": True},
            "is_reachable": True,
            "sessions_started": 1,
            "pre_emptions": 0,
            "frames_from_master": 7654,
            "frames_to_master": 7653,
            "drops": {},
            "events_waiting": 2,
            "events_overflowed": False,
        }
    )
    text = _rendered(snapshot)
    _row(text, "●", "answering", "box", "50", "(local)", "10.1.1.5:4021", "-")
    _row(text, "box", "7654", "7653")
    (line,) = (line for line in plain_lines(snapshot) if "box" in line)
    assert line.endswith("7654 frames to it, 7653 back")


def test_what_a_technician_needs_first_comes_first() -> None:
    text = _rendered(_with_diagnosis(last_miss=MISS))
    texts = ("LED", "pole-12, 3 s ago:", "bay2 is down", "requests", "p50 ms", "listens on", "frames to RTU")
    places = [text.index(each) for each in texts]
    assert places == sorted(places)


def test_metrics_that_cannot_be_had() -> None:
    metrics = {"listen": "127.0.0.1:9815", "problem": None, "answered": 3, "refusals": {}}
    assert "metrics" not in _rendered(SNAPSHOT | {"metrics": metrics})
    assert "metrics" not in _rendered(SNAPSHOT | {"metrics": None})
    problem = "cannot listen on 127.0.0.1:9815: Address already in use"
    assert f"no metrics: {problem}\n" in re.sub(
        r" +\n", "\n", _rendered(SNAPSHOT | {"metrics": metrics | {"problem": problem}})
    )


RECORDER = {
    "records": 5000,
    "records_forgotten": 1000,
    "octets_kept": 1572864,
    "memory_octets": 4194304,
    "readers": 0,
    "folder": "/captures",
    "problem": None,
    "files_written": 2,
    "files_failed": 0,
    "disk_octets": 3145728,
    "disk_limit_octets": 67108864,
    "disk_free_octets": 1048576,
}


def test_what_the_recorder_has_and_has_written() -> None:
    assert "recorder" not in _rendered(SNAPSHOT)
    assert "recorder" not in _rendered(SNAPSHOT | {"recorder": None})
    kept = "flight recorder: 4000 records in 1.5 of 4 MiB of memory, 1000 older ones gone"
    assert recorder_lines.summary(RECORDER) == (
        f"{kept}; 2 files written, 3 of 64 MiB in /captures, 1 MiB free there"
    )
    unseen = {"disk_octets": None, "disk_free_octets": None, "files_failed": 3}
    assert recorder_lines.summary(RECORDER | unseen) == f"{kept}; 2 files written, 3 failed"
    nowhere = {"folder": None, "disk_limit_octets": None}
    assert recorder_lines.summary(RECORDER | nowhere) == f"{kept}; no files, for recorder.folder is not set"
    assert "flight recorder: 4000" in _rendered(SNAPSHOT | {"recorder": RECORDER})
    full = {"recorder": RECORDER | {"problem": "No space left on device"}}
    assert "no recording: /captures: No space left on device" in _rendered(SNAPSHOT | full)


def test_columns_and_tables_that_say_nothing_are_left_out() -> None:
    text = _rendered(SNAPSHOT)
    for heading in ("late", "wrong RTU", "babbles", "echo", "lost", "ago", "!"):
        assert heading not in text, heading
    snapshot = deepcopy(SNAPSHOT) | {"lines": [], "servers": []}
    del snapshot["outstations"][0]
    text = _rendered(snapshot)
    assert "requests" not in text
    assert "p50" not in text
    assert "frames to RTU" not in text
    assert "direction" not in text


def test_an_outstation_that_was_never_asked_has_no_row() -> None:
    snapshot = _with_diagnosis(requests=0, response_times=None, last_miss=MISS)
    text = _rendered(snapshot)
    assert "requests" not in text
    assert "nothing was heard" in text


def test_why_an_outstation_does_not_answer_and_since_when() -> None:
    _row(
        _rendered(_with_diagnosis(last_miss=MISS)),
        "pole-12, 3 s ago: nothing was heard within the response timeout of 2304 ms (no answer since)",
    )
    _row(
        _rendered(_with_diagnosis(last_miss=MISS | {"answered_since": True, "ago_s": 7200.5})),
        "pole-12, 2 h ago: nothing was heard within the response timeout of 2304 ms (has answered since)",
    )


@pytest.mark.parametrize(
    ("ago_s", "shown"),
    [(0, "0 s"), (119.9, "119 s"), (120, "2 min"), (7199, "119 min"), (172799, "47 h"), (172800, "2 d")],
)
def test_ages(ago_s: float, shown: str) -> None:
    assert f"pole-12, {shown} ago: " in _rendered(_with_diagnosis(last_miss=MISS | {"ago_s": ago_s}))


def test_what_was_heard_instead_of_answers() -> None:
    text = _rendered(
        _with_diagnosis(
            late_answers=7, last_late_by_s=0.0421, most_late_by_s=1.2, crc_errors=31, wrong_address_answers=8
        )
    )
    _row(text, "outstation", "requests", "answers", "unanswered", "timeouts", "late", "bad CRC", "wrong RTU")
    _row(text, "pole-12", "1204", "1200", "4", "3", "7", "31", "8")
    _row(text, "outstation", "p50 ms", "p95 ms", "p99 ms", "late/most ms", "timeout ms", "recommended ms")
    _row(text, "pole-12", "51.2", "76.6", "401", "42.1/1200", "2304", "900")


def test_octets_of_masters_that_are_no_frames() -> None:
    snapshot = deepcopy(SNAPSHOT)
    snapshot["servers"][0]["octets_discarded"] = 4099
    text = _rendered(snapshot)
    _row(text, "server", "listens on", "dropped octets")
    _row(text, "main", "0.0.0.0:20000", "4099")


def test_without_requests_that_were_not_answered_there_is_no_column_for_them() -> None:
    assert "unanswered" not in _rendered(_with_diagnosis(requests=1200))


def test_a_response_timeout_that_is_too_short_is_marked() -> None:
    text = _rendered(_with_diagnosis(recommended_timeout_s=2.35))
    _row(text, "pole-12", "2304", "2350 !")
    _row(text, "! pole-12: response_timeout_ms of line bay1 is 2304; set 2350 or more for its answers")
    assert "!" not in _rendered(_with_diagnosis(recommended_timeout_s=2.304))
    assert "!" not in _rendered(_with_diagnosis(recommended_timeout_s=None))


def test_what_is_wrong_with_a_line_that_is_up() -> None:
    problem = "the driver has no RS-485 mode"
    text = _rendered(
        _with_line(
            is_babbling=True,
            babbles=3,
            echo_octets=55,
            echoes_spoiled=4,
            losses=9,
            direction={"in_force": "nobody", "problem": problem},
        )
    )
    _row(text, "bay1", "babble", "9600 8N1")
    _row(text, "bay1: a device talks without end; find it, or bias the line")
    _row(text, f"bay1, direction: {problem}")
    _row(text, "line", "direction", "lost", "babbles", "echo octets", "echoes spoiled", "dropped octets")
    _row(text, "bay1", "nobody", "9", "3", "55", "4", "17")


def test_the_status_of_a_bridge_from_before_the_diagnosis() -> None:
    snapshot = deepcopy(SNAPSHOT)
    del snapshot["outstations"][0]["diagnosis"]
    for line in snapshot["lines"]:
        for key in ("direction", "is_babbling", "babbles", "echo_octets", "echoes_spoiled", "drops"):
            del line[key]
    text = _rendered(readable(snapshot))
    _row(text, "pole-12", "1234", "1230")
    assert "requests" not in text


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from _paths(each, (*path, key))


NONSENSE = (None, True, -1, 1e400, float("nan"), 10**400, "", "x\x1b[31m\ud800\x00", [], {}, [[]], {"x": []})


def test_nonsense_is_no_status_or_can_be_shown() -> None:
    whole = _with_diagnosis(last_miss=MISS)
    refused = 0
    # The second line and outstation have nothing that the first do not have.
    for path in (path for path in list(_paths(whole))[1:] if 1 not in path):
        for nonsense in NONSENSE:
            snapshot = deepcopy(whole)
            holder: Any = snapshot
            for key in path[:-1]:
                holder = holder[key]
            holder[path[-1]] = nonsense
            try:
                readable(snapshot)
            except ValueError:
                refused += 1
                continue
            _rendered(snapshot, 80)
    assert refused > 100


def test_a_status_without_one_of_its_keys_is_none_or_can_be_shown() -> None:
    for path in list(_paths(SNAPSHOT))[1:]:
        snapshot = deepcopy(SNAPSHOT)
        holder: Any = snapshot
        for key in path[:-1]:
            holder = holder[key]
        del holder[path[-1]]
        with contextlib.suppress(ValueError):
            _rendered(dict(readable(snapshot)))


def test_nothing_is_markup() -> None:
    snapshot = deepcopy(SNAPSHOT)
    snapshot["lines"][1]["reason"] = "driver says [bold]no[/bold] [/]"
    snapshot["outstations"][0]["master"] = "[::1]:20000"
    text = _rendered(snapshot)
    assert "driver says [bold]no[/bold] [/]" in text
    assert "[::1]:20000" in text


@pytest.mark.parametrize(
    ("uptime_s", "shown"),
    [(0, "00:00:00"), (59.9, "00:00:59"), (3600, "01:00:00"), (86399, "23:59:59"), (864000, "10 d 00:00:00")],
)
def test_uptime(uptime_s: float, shown: str) -> None:
    assert f"up {shown}\n" in re.sub(r" +\n", "\n", _rendered(SNAPSHOT | {"uptime_s": uptime_s}))


def test_at_80_columns_every_row_of_a_table_is_one_line() -> None:
    changed: dict[str, Any] = {"late_answers": 7, "crc_errors": 31, "wrong_address_answers": 8}
    times = {"last_late_by_s": 0.2, "most_late_by_s": 0.45, "recommended_timeout_s": 2.75}
    snapshot = _with_diagnosis(last_miss=MISS, **changed, **times)
    snapshot["lines"][0] |= {"babbles": 3, "echo_octets": 55, "echoes_spoiled": 4, "drops": {}}
    text = _rendered(snapshot, 80)
    assert all(len(line) <= 80 for line in text.splitlines())
    _row(text, "●", "answering", "pole-12", "12", "bay1", "10.1.1.5:4021", "52.3")
    _row(text, "bay1", "up", "9600 8N1", "4711", "3", "2", "/dev/ttyAMA2")
    _row(text, "outstation", "requests", "answers", "unanswered", "timeouts", "late", "bad CRC", "wrong RTU")
    _row(text, "pole-12", "1204", "1200", "4", "3", "7", "31", "8")
    _row(text, "outstation", "p50 ms", "p95 ms", "p99 ms", "late/most ms", "timeout ms", "recommended ms")
    _row(text, "pole-12", "51.2", "76.6", "401", "200/450", "2304", "2750 !")
    _row(text, "line", "direction", "babbles", "echo octets", "echoes spoiled", "dropped octets")
    _row(text, "bay1", "the adapter", "3", "55", "4", "17")


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_narrow_terminal_loses_no_name(width: int) -> None:
    text = _rendered(SNAPSHOT, width)
    assert all(name in text for name in ("main", "bay1", "bay2", "pole-12", "pole-13"))
    assert all(len(line) <= width for line in text.splitlines())


def test_printed_into_a_pipe_every_row_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    snapshot = deepcopy(SNAPSHOT)
    name = "substation-north-feeder-12-recloser"
    snapshot["outstations"][0] |= {"name": name, "master": "[2001:db8:85a3:8d3:1319:8a2e:370:7348]:65535"}
    snapshot["outstations"][0]["diagnosis"]["last_miss"] = MISS | {"sentence": "long " * 100 + "end"}
    print_status(snapshot)
    out = capsys.readouterr().out
    _row(out, "answering", name, "[2001:db8:85a3:8d3:1319:8a2e:370:7348]:65535", "52.3")
    _row(out, f"{name}, 3 s ago: {'long ' * 100}end (no answer since)")
    assert "\x1b" not in out


def test_plain_lines() -> None:
    assert plain_lines(SNAPSHOT) == [
        "line bay1: up; 4711 frames heard, 3 CRC errors",
        "line bay2: DOWN, no such device; is the adapter plugged in, is the overlay loaded?; "
        "0 frames heard, 0 CRC errors",
        "outstation pole-12: LED answering, master 10.1.1.5:4021; 1234 frames to it, 1230 back",
        "outstation pole-13: LED off, master none; 0 frames to it, 0 back",
    ]


def _screen(output: str) -> str:
    """Take the colours out of what a terminal got."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output)


@pytest.mark.parametrize("size", [(160, 50), (80, 24)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_live_in_a_terminal(size: tuple[int, int]) -> None:
    columns, rows = size
    listen = ("--listen", "127.0.0.1:0")
    with Program("demo", *listen, is_on_terminal=True, columns=columns, rows=rows) as program:
        names = ("pole-12", "pole-13", "yours-1024", "yours-no-port")
        until(
            lambda: all(name in _screen(program.out) for name in names),
            "all outstations are shown",
            within_s=PROGRAM_PATIENCE_S,
        )
        until(lambda: "127.0.0.2:" in _screen(program.out), "the demo's own master")
        until(lambda: "\x1b[1;32m●" in program.out, "a lit LED, green")
        before = program.out
        until(lambda: len(program.out) > len(before) + 1000, "it is drawn anew")
        program.signal(signal.SIGINT)
        assert program.wait() == 0
    assert "Traceback" not in program.out
    assert program.out.rfind("\x1b[?25h") > program.out.rfind("\x1b[?25l"), "the cursor is shown again"


@pytest.mark.parametrize("key", ["q", "\x03"], ids=["q", "Ctrl-C"])
def test_a_key_at_the_terminal_ends_it(key: str) -> None:
    with Program("demo", "--listen", "127.0.0.1:0", is_on_terminal=True) as program:
        until(lambda: "pole-12" in _screen(program.out), "the panel", within_s=PROGRAM_PATIENCE_S)
        program.type(key)
        assert program.wait() == 0
    assert "Traceback" not in program.out
