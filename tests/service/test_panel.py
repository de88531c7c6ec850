"""The status for people: rendered from a document, and live in a real terminal."""

from __future__ import annotations

import io
import re
import signal
from copy import deepcopy
from typing import Any

import pytest
from rich.console import Console

from bridge.service.panel import plain_lines, print_status, render
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


def _rendered(snapshot: dict[str, Any], width: int = 200) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(render(snapshot))
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def _row(text: str, *cells: str) -> str:
    """Return the one line that has all of the cells."""
    (line,) = (line for line in text.splitlines() if all(cell in line for cell in cells))
    return line


def test_the_whole_status_in_tables() -> None:
    text = _rendered(SNAPSHOT)
    assert "rtu-bridge 1.2.3, up 1 d 02:03:04" in text
    _row(text, "main", "0.0.0.0:20000", "discard", "10.1.1.5:4021", "2 pre_empted, 1 peer_closed")
    _row(text, "bay1", "/dev/ttyAMA2", "9600 8N1", "up", "4711", "3", "2", "17")
    _row(text, "bay2", "/dev/ttyUSB0", "19200 8E1", "down", "0")
    _row(text, "bay2 is down: no such device; is the adapter plugged in, is the overlay loaded?")
    _row(text, "●", "answering", "pole-12", "12", "bay1", "10.1.1.5:4021", "1234", "1230", "52.3 ms", "4")
    _row(text, "○", "off", "pole-13 (disabled)", "13", "bay2", "none", "0", "-")
    assert "[2001:db8::7]:4022" in text, "a session below another, and no markup of the panel's"


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
    print_status(snapshot)
    _row(
        capsys.readouterr().out, "answering", name, "[2001:db8:85a3:8d3:1319:8a2e:370:7348]:65535", "52.3 ms"
    )


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


def test_control_c_at_the_terminal_ends_it() -> None:
    with Program("demo", "--listen", "127.0.0.1:0", is_on_terminal=True) as program:
        until(lambda: "pole-12" in _screen(program.out), "the panel", within_s=PROGRAM_PATIENCE_S)
        program.type("\x03")
        assert program.wait() == 0
    assert "Traceback" not in program.out
