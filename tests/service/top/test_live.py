"""`rtu-bridge top` in a real terminal: keys work, and the terminal is given back however it ends."""

from __future__ import annotations

import json
import re
import signal
import socket
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.service.top.test_sources import answering
from tests.service.top.test_view import large
from tests.support.program import PROGRAM_PATIENCE_S, Program
from tests.support.statuses import outstation, status
from tests.support.waiting import until

pytestmark = pytest.mark.wire

SHOW_CURSOR, HIDE_CURSOR = "\x1b[?25h", "\x1b[?25l"
OTHER_SCREEN, OWN_SCREEN = "\x1b[?1049h", "\x1b[?1049l"
WRAP, NO_WRAP = "\x1b[?7h", "\x1b[?7l"
LARGE = json.dumps(large()).encode()


@contextmanager
def top(path: Path, *arguments: str, columns: int = 80, rows: int = 24, **options: str) -> Iterator[Program]:
    given = ("top", "--every", "0.1", "--socket", str(path), *arguments)
    with Program(*given, is_on_terminal=True, columns=columns, rows=rows, environment=options) as program:
        yield program


def shown(program: Program, *texts: str) -> None:
    """Wait until all these were drawn."""
    until(
        lambda: all(text in plain(program.out) for text in texts),
        f"{texts} are shown",
        within_s=PROGRAM_PATIENCE_S,
    )


def plain(output: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output)


def since(program: Program, text: str, *, keys: str) -> None:
    """Type keys, and wait until a text is drawn after that."""
    before = len(program.out)
    program.type(keys)
    until(lambda: text in plain(program.out[before:]), f"{text!r} after {keys!r}")


def is_given_back(program: Program, modes: list[object]) -> bool:
    out = program.out
    pairs = ((SHOW_CURSOR, HIDE_CURSOR), (OWN_SCREEN, OTHER_SCREEN), (WRAP, NO_WRAP))
    is_shown = all(out.rfind(back) > out.rfind(taken) >= 0 for back, taken in pairs)
    return is_shown and "Traceback" not in out and termios.tcgetattr(program.terminal) == modes


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s"


def test_keys_work(path: Path) -> None:
    with answering(path, LARGE), top(path) as program:
        shown(program, "substation-5-recloser-1", "RTU 1-8/64")
        since(program, "RTU 57-64/64", keys="\x1b[F")
        since(program, "RTU 1-8/64", keys="\x1b[H")
        since(program, "diagnosis.requests", keys="\r" + "\x1b[6~" * 2)
        since(program, "RTU 1-8/64", keys="\x1b")
        since(program, "filter: feeder-3_", keys="ffeeder-3")
        since(program, "only: feeder-3", keys="\r")
        since(program, "sort: trouble", keys="\x1b")
        since(program, "sort: name", keys="s")
        since(program, "feeder-7", keys="\t\t")
        since(program, "Keys", keys="?")
        program.type("q")
        assert program.wait() == 0


@pytest.mark.parametrize(
    "how",
    ["q", "\x03", signal.SIGTERM, signal.SIGINT, signal.SIGHUP],
    ids=["q", "Ctrl-C", "SIGTERM", "SIGINT", "SIGHUP"],
)
def test_the_terminal_is_given_back(path: Path, how: str | signal.Signals) -> None:
    with answering(path, LARGE), top(path) as program:
        modes = termios.tcgetattr(program.terminal)
        shown(program, "substation-5-recloser-1")
        assert termios.tcgetattr(program.terminal) != modes, "keys come one by one, and unseen"
        if isinstance(how, str):
            program.type(how)
        else:
            program.signal(how)
        assert program.wait() == 0
        assert is_given_back(program, modes)


def test_control_s_does_not_stop_it_for_ever(path: Path) -> None:
    with answering(path, LARGE), top(path) as program:
        modes = termios.tcgetattr(program.terminal)
        shown(program, "substation-5-recloser-1")
        since(program, "Keys", keys="\x13?")
        program.signal(signal.SIGTERM)
        assert program.wait() == 0
        assert is_given_back(program, modes)


def test_the_terminal_is_given_back_after_a_bug(path: Path) -> None:
    broken = "from bridge.service.top import live; live.picture = lambda *seen: 1 / 0\n"
    start = ("-c", broken + "import sys; from bridge.service.cli import main; sys.exit(main())")
    given = ("top", "--socket", str(path))
    with Program(*given, start=start, is_on_terminal=True, columns=80, rows=24) as program:
        modes = termios.tcgetattr(program.terminal)
        assert program.wait() == 1
        assert "ZeroDivisionError" in program.out[program.out.rfind(OWN_SCREEN) :]
        assert termios.tcgetattr(program.terminal) == modes


def test_the_bridge_dies_and_comes_back(path: Path) -> None:
    with top(path) as program:
        modes = termios.tcgetattr(program.terminal)
        shown(program, "not running: No such file or directory")
        with answering(path, LARGE):
            shown(program, "substation-5-recloser-1")
        shown(program, "not running: No such file or directory; below is what it said")
        with answering(path, json.dumps(status(version="2.0")).encode()):
            shown(program, "rtu-bridge 2.0", "pole-12")
        program.type("q")
        assert program.wait() == 0
        assert is_given_back(program, modes)


def test_keys_work_while_the_bridge_hangs(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        with top(path) as program:
            connection, _ = listening.accept()
            with connection:
                since(program, "LEDs, as they blink", keys="?")
                program.type("q")
                assert program.wait() == 0


def test_a_terminal_that_changes_its_size(path: Path) -> None:
    with answering(path, LARGE), top(path) as program:
        shown(program, "RTU 1-8/64")
        before = len(program.out)
        program.resize(120, 40)
        until(lambda: "RTU 1-21/64" in plain(program.out[before:]), "as many as there is room for now")
        assert "\x1b[2J" in program.out[before:]
        program.type("q")
        assert program.wait() == 0


def test_what_did_not_change_is_not_sent(path: Path) -> None:
    steady = status(outstations=[outstation(state="idle")])
    del steady["system_led"]
    with answering(path, json.dumps(steady).encode()) as served, top(path) as program:
        shown(program, "pole-12", "sort: trouble", "pole-12: 1200 answers")
        until(lambda: len(served) > 3, "rates are known")
        shown(program, "pole-12: 1200 answers")
        before, questions = len(program.out), len(served)
        until(lambda: len(served) >= questions + 5, "it asks again")
        assert len(program.out) == before
        program.type("q")
        assert program.wait() == 0


def test_suspended_the_shell_has_its_terminal_and_continued_it_draws_anew(path: Path) -> None:
    with answering(path, LARGE), top(path) as program:
        modes = termios.tcgetattr(program.terminal)
        shown(program, "RTU 1-8/64")
        program.type("\x1a")
        until(lambda: state_of(program.pid) == "T", "it is stopped")
        until(lambda: is_given_back(program, modes), "the terminal is given back")
        before = len(program.out)
        program.signal(signal.SIGCONT)
        until(lambda: "RTU 1-8/64" in plain(program.out[before:]), "it is drawn anew")
        assert termios.tcgetattr(program.terminal) != modes
        program.type("q")
        assert program.wait() == 0
        assert is_given_back(program, modes)


def twice(program: Program) -> None:
    until(
        lambda: program.out.count("rtu-bridge 1.2.3, up") >= 2,
        "the status twice",
        within_s=PROGRAM_PATIENCE_S,
    )


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]


def test_without_colours(path: Path) -> None:
    with answering(path, LARGE), top(path, NO_COLOR="1") as program:
        shown(program, "substation-5-recloser-1")
        program.type("q")
        assert program.wait() == 0
        styles = set(re.findall(r"\x1b\[([0-9;]*)m", program.out))
    assert styles <= {"0", "1", "2", "7", "1;7", "2;7"}


def test_in_an_encoding_without_its_symbols(path: Path) -> None:
    with answering(path, LARGE), top(path, PYTHONIOENCODING="latin-1") as program:
        shown(program, "substation-5-recloser-1", "* silent", "o silent")
        program.type("q")
        assert program.wait() == 0
    assert "\\u" not in program.out


def test_a_dumb_terminal_gets_plain_text(path: Path) -> None:
    with answering(path, LARGE), top(path, TERM="dumb") as program:
        twice(program)
        program.signal(signal.SIGTERM)
        assert program.wait() == 0
    assert "\x1b" not in program.out


def test_in_a_pipe_it_is_plain_text(path: Path) -> None:
    given = ("top", "--every", "0.1", "--socket", str(path))
    with answering(path, LARGE), Program(*given) as program:
        twice(program)
        program.signal(signal.SIGINT)
        assert program.wait() == 0
    assert ("\x1b" in program.out, program.err) == (False, "")
