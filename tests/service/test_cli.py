"""The commands, in this process where that is the same, and as the real program where it is not."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.service import commands
from bridge.service.cli import main
from bridge.version import VERSION
from tests.support.program import run_to_the_end
from tests.support.repository import CONFIGURATIONS, ROOT

pytestmark = pytest.mark.wire

GOOD = CONFIGURATIONS / "good" / "sample.toml"
BAD = CONFIGURATIONS / "bad" / "types.toml"
SNAPSHOT = {
    "version": VERSION,
    "uptime_s": 3661.5,
    "configuration": "bridge.toml",
    "servers": [
        {
            "name": "main",
            "listen": "127.0.0.1:20000",
            "link_error_mode": "discard",
            "sessions": [{"peer": "10.1.1.5:4021"}],
            "session_ends": {"pre_empted": 2},
            "drops": {},
            "listener_errors": 0,
        }
    ],
    "lines": [],
    "outstations": [],
}


@pytest.fixture
def answering() -> Iterator[str]:
    """A status socket that answers with `SNAPSHOT`."""
    with tempfile.TemporaryDirectory(prefix="rtu-") as folder, socket.socket(socket.AF_UNIX) as listening:
        path = f"{folder}/s"
        listening.bind(path)
        listening.listen()

        def serve() -> None:
            try:
                while True:
                    connection, _ = listening.accept()
                    with connection:
                        connection.sendall(json.dumps(SNAPSHOT).encode() + b"\n")
            except OSError:
                return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield path
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def _expected(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.removeprefix("# expect: ") for line in lines if line.startswith("# expect: ")]


# check


def test_check_prints_what_a_file_means(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(GOOD)]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"{GOOD}: no errors\n")
    assert "pole-12" in out
    assert err == ""


def test_check_prints_every_problem_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(BAD)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.removeprefix(f"{BAD}: ") for line in err.splitlines()] == _expected(BAD)
    assert len(err.splitlines()) > 5


def test_check_of_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "bridge.toml"
    assert main(["check", str(missing)]) == 2
    assert capsys.readouterr() == ("", f"{missing}: there is no such file; name one that exists\n")


def test_check_takes_the_leds_of_the_board(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (CONFIGURATIONS / "good" / "minimal.toml").read_text(encoding="utf-8")
    file = tmp_path / "bridge.toml"
    file.write_text(text + '\nled = "led8"\n', encoding="utf-8")
    assert main(["check", str(file)]) == 0
    file.write_text(text + '\nled = "led9"\n', encoding="utf-8")
    assert main(["check", str(file)]) == 2
    assert "there is no LED 'led9'" in capsys.readouterr().err


def test_check_as_the_real_program() -> None:
    status, out, err = run_to_the_end("check", str(GOOD))
    assert (status, err) == (0, "")
    assert out.startswith(f"{GOOD}: no errors\n")
    status, out, err = run_to_the_end("check", str(BAD))
    assert (status, out) == (2, "")
    assert "Traceback" not in err


# status


def test_status_without_a_bridge_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--socket", "/nonexistent/s"]) == 1
    assert capsys.readouterr() == (
        "",
        "/nonexistent/s: No such file or directory; is the bridge running, with this status socket? "
        "Name another by -c FILE or --socket PATH\n",
    )


def test_status_that_this_user_may_not_ask_for_says_who_may(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(path: str) -> object:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("bridge.endpoints.status.fetch", refused)
    assert main(["status", "--socket", "/run/s"]) == 1
    assert capsys.readouterr() == (
        "",
        "/run/s: Permission denied; ask with sudo, or as the user that runs the bridge\n",
    )


def test_status_of_a_killed_bridge_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="rtu-") as folder:
        path = f"{folder}/s"
        with socket.socket(socket.AF_UNIX) as killed:
            killed.bind(path)
        assert main(["status", "--socket", path]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        f"{path}: Connection refused; is the bridge running, with this status socket? "
        "Name another by -c FILE or --socket PATH\n"
    )


def test_status_of_something_else_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with tempfile.TemporaryDirectory(prefix="rtu-") as folder, socket.socket(socket.AF_UNIX) as other:
        path = f"{folder}/s"
        other.bind(path)
        other.listen()
        thread = threading.Thread(target=lambda: other.accept()[0].close(), daemon=True)
        thread.start()
        assert main(["status", "--socket", path]) == 1
        thread.join(10)
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)


def test_status_as_json_is_what_the_bridge_says(answering: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--json", "--socket", answering]) == 0
    out, err = capsys.readouterr()
    assert (json.loads(out), err) == (SNAPSHOT, "")


def test_status_for_people(answering: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--socket", answering]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert f"rtu-bridge {VERSION}, up 01:01:01" in out
    assert "10.1.1.5:4021" in out
    assert "\x1b" not in out, "no colours where the output is no terminal"


def test_status_finds_the_socket_of_a_configuration(
    answering: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bridge.toml"
    minimal = (CONFIGURATIONS / "good" / "minimal.toml").read_text(encoding="utf-8")
    assert "[service]" not in minimal
    file.write_text(f'[service]\nstatus_socket = "{answering}"\n{minimal}', encoding="utf-8")
    assert main(["status", "--json", "--config", str(file)]) == 0
    assert json.loads(capsys.readouterr().out) == SNAPSHOT


def test_status_and_top_watch_the_socket_at_a_period_of_their_own_or_as_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched: list[tuple[str, float]] = []
    monkeypatch.setattr(
        "bridge.service.views.watch.watch", lambda path, period_s: watched.append((path, period_s))
    )
    path = str(tmp_path / "s")
    assert main(["status", "--watch", "--socket", path]) == 0
    assert main(["status", "--socket", path, "--watch", "0.5"]) == 0
    assert main(["top", "--socket", path]) == 0
    assert main(["top", "--socket", path, "--every", "5"]) == 0
    assert watched == [(path, 2.0), (path, 0.5), (path, 1.0), (path, 5.0)]


def test_status_of_a_wrong_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "-c", str(BAD)]) == 2
    assert capsys.readouterr().err.startswith(f"{BAD}: ")


# Usage


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["run"],
        ["check"],
        ["decode"],
        ["status", "--config", "a", "--socket", "b"],
        ["status", "--json", "--watch"],
        ["status", "--watch", "soon"],
        ["status", "--watch", "0"],
        ["status", "--watch", "nan"],
        ["status", "--watch", "3601"],
        ["top", "--every", "0"],
        ["top", "--every"],
        ["top", "--config", "a", "--socket", "b"],
        ["demo", "--nonsense"],
        ["run", "-c", ""],
        ["check", ""],
        ["status", "--socket", ""],
        ["capture", "--output", ""],
        ["wire", "--device", ""],
        ["loopback", ""],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_status_2_and_says_what_is_right(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("usage: rtu-bridge")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"rtu-bridge {VERSION}\n"


def test_the_installed_command_is_this_program() -> None:
    command = Path(sys.executable).parent / "rtu-bridge"
    if not command.exists():
        pytest.skip("the distribution is not installed here, only on the path")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"rtu-bridge {VERSION}\n"


@pytest.mark.parametrize("is_buffered", [True, False])
def test_a_reader_that_has_seen_enough_is_no_error(is_buffered: bool) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    if not is_buffered:
        environment["PYTHONUNBUFFERED"] = "1"
    command = [sys.executable, "-m", "bridge", "check", str(GOOD)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_capture_to_a_terminal_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(["capture", "--socket", "/nowhere"]) == 2
    assert "standard output is a terminal" in capsys.readouterr().err


def test_capture_that_is_written_by_the_bridge_has_no_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["capture", "--write", "-o", "x", "--socket", "/nowhere"]) == 2
    assert capsys.readouterr().err == "rtu-bridge capture: --write names its file itself; leave -o out\n"


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_a_system_that_gives_no_more_is_one_line_and_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: int
) -> None:
    def without_room(_: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(commands, "run_command", without_room)
    assert main(["run", "-c", "any"]) == 1
    reason = f"{os.strerror(code)}; raise its limit (ulimit -a)"
    assert capsys.readouterr().err == f"rtu-bridge: the system gives no more: {reason}\n"
