"""`rtu-bridge status --watch` as a program: on a terminal, in a pipe, while the bridge comes and goes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.program import PROGRAM_PATIENCE_S, Program
from tests.support.repository import ROOT
from tests.support.waiting import until

pytestmark = pytest.mark.wire

PERIOD = "0.1"
STATUS = (
    b'{"uptime_s": 61, "configuration": "c", "servers": [], "lines": [], "outstations": [], "version": "%s"}'
)
SHOW_CURSOR, HIDE_CURSOR = "\x1b[?25h", "\x1b[?25l"
OTHER_SCREEN, OWN_SCREEN = "\x1b[?1049h", "\x1b[?1049l"


@contextmanager
def bridge(path: Path, version: bytes) -> Iterator[None]:
    """Answer at the socket as a bridge of that version, and take the socket away at the end."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()

        def serve() -> None:
            try:
                while True:
                    connection, _ = listening.accept()
                    with connection:
                        connection.sendall(STATUS % version)
            except OSError:
                return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield
        finally:
            path.unlink()
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def _watch(path: Path, *, is_on_terminal: bool = False) -> Program:
    arguments = ("status", "--watch", PERIOD, "--socket", str(path))
    return Program(*arguments, is_on_terminal=is_on_terminal, columns=80, rows=24)


def _times(program: Program, text: str, times: int) -> None:
    """Wait until a text was printed so many times."""
    until(lambda: program.out.count(text) >= times, f"{times} x {text!r}", within_s=PROGRAM_PATIENCE_S)


def _descriptors(program: Program) -> int:
    return len(os.listdir(f"/proc/{program.pid}/fd"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda it: it.name)
def test_in_a_pipe_it_prints_once_a_period_until_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    with bridge(tmp_path / "s", b"1.2.3"), _watch(tmp_path / "s") as program:
        _times(program, "rtu-bridge 1.2.3, up 00:01:01\n", 3)
        program.signal(number)
        assert program.wait() == 0
    assert program.err == ""
    assert "\x1b" not in program.out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda it: it.name)
def test_on_a_terminal_it_is_the_live_view_and_leaves_the_terminal_as_it_was(
    tmp_path: Path, number: signal.Signals
) -> None:
    with bridge(tmp_path / "s", b"1.2.3"), _watch(tmp_path / "s", is_on_terminal=True) as program:
        # What did not change is not drawn again.
        _times(program, "rtu-bridge 1.2.3", 1)
        assert OTHER_SCREEN in program.out
        program.signal(number)
        assert program.wait() == 0
    assert "Traceback" not in program.out
    assert program.out.rfind(SHOW_CURSOR) > program.out.rfind(HIDE_CURSOR)
    assert program.out.rfind(OWN_SCREEN) > program.out.rfind(OTHER_SCREEN)


def test_control_c_at_the_terminal_ends_it(tmp_path: Path) -> None:
    with _watch(tmp_path / "s", is_on_terminal=True) as program:
        _times(program, "not running", 1)
        program.type("\x03")
        assert program.wait() == 0
    assert "Traceback" not in program.out


def test_it_goes_on_while_the_bridge_comes_and_goes(tmp_path: Path) -> None:
    path = tmp_path / "s"
    missing = f"{path}: not running: No such file or directory\n"
    with _watch(path) as program:
        _times(program, missing, 1)
        with bridge(path, b"1.0"):
            _times(program, "rtu-bridge 1.0, up", 2)
        _times(program, missing, program.out.count(missing) + 1)
        with bridge(path, b"2.0"):
            _times(program, "rtu-bridge 2.0, up", 2)
        program.signal(signal.SIGTERM)
        assert program.wait() == 0
    assert program.err == ""


def test_what_is_no_status_is_said_and_it_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with _watch(path) as program:
        with bridge(path, b'1.0", "lines": "none'):
            _times(program, f"{path}: no status: what it answers is no status of this program\n", 2)
        with bridge(path, b"2.0"):
            _times(program, "rtu-bridge 2.0, up", 1)
        program.signal(signal.SIGTERM)
        assert program.wait() == 0


def test_it_leaks_no_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with _watch(path) as program:
        with bridge(path, b"1.0"):
            _times(program, "rtu-bridge 1.0, up", 2)
        _times(program, "not running", 1)
        # Between two questions there are the three streams, and whatever Python keeps open.
        fewest = min(_descriptors(program) for _ in range(20))
        with bridge(path, b"2.0"):
            _times(program, "rtu-bridge 2.0, up", 10)
        _times(program, "not running", program.out.count("not running") + 10)
        until(lambda: _descriptors(program) <= fewest, "no more descriptors than before")
        program.signal(signal.SIGTERM)
        assert program.wait() == 0


def test_a_bridge_that_takes_its_time_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        with _watch(tmp_path / "s") as program:
            connection, _ = listening.accept()
            with connection:
                program.signal(signal.SIGTERM)
                assert program.wait() == 0
    assert (program.out, program.err) == ("", "")


@pytest.mark.parametrize("how", [["--watch", PERIOD], []], ids=["watch", "once"])
def test_a_reader_that_has_seen_enough_ends_it_without_an_error(tmp_path: Path, how: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "bridge", "status", *how, "--socket", str(tmp_path / "s")]
    with bridge(tmp_path / "s", b"1.0"):
        done = subprocess.run(
            command,
            cwd=ROOT,
            stdout=writing,
            stderr=subprocess.PIPE,
            timeout=PROGRAM_PATIENCE_S,
            check=False,
        )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")
