"""What a hostile shell, disk, file or peer does to the program: one clear line, no hang, no traceback."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from bridge.endpoints import status
from bridge.endpoints.events import note
from bridge.endpoints.status import StatusServer, fetch
from bridge.errors import ConfigurationError
from bridge.service import log_queue, logs
from bridge.service.cli import main
from bridge.service.configuration.config import load, parse
from bridge.service.log_queue import LogCounters, RateLimit
from bridge.service.recordings import captures
from tests.support import toml
from tests.support.eventually import eventually
from tests.support.frames import link_status_request
from tests.support.program import Program, run_to_the_end
from tests.support.raw_peers import RawMaster
from tests.support.repository import CONFIGURATIONS, ROOT
from tests.support.waiting import PATIENCE_S, until

pytestmark = pytest.mark.wire

GOOD = CONFIGURATIONS / "good/sample.toml"
MINIMAL = (GOOD.parent / "minimal.toml").read_text(encoding="utf-8")
STOPS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket in it."""
    with tempfile.TemporaryDirectory(prefix="rtu-") as folder:
        yield Path(folder)


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, as it was before afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)


def _bridge(folder: Path, *, listen: str = "127.0.0.1:0", **service: str) -> Path:
    file = folder / "bridge.toml"
    text = (
        toml.service(status_socket=f"{folder}/s", **service)
        + toml.server(listen=listen)
        + toml.line("bay", "/dev/nonesuch")
        + toml.outstation("rtu", 10, "bay")
    )
    file.write_text(text, encoding="utf-8")
    return file


@contextmanager
def _full_pipe() -> Iterator[tuple[int, int]]:
    """A pipe whose reader does not read, with room for nothing."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        for size in (65536, 1):
            with suppress(BlockingIOError):
                while True:
                    os.write(writing, bytes(size))
        os.set_blocking(writing, True)
        yield reading, writing
    finally:
        os.close(reading)
        os.close(writing)


@contextmanager
def _started(
    arguments: Sequence[str], *, stderr: int, preexec: Callable[[], None] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "bridge", *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        preexec_fn=preexec,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _answers(socket_path: Path) -> dict[str, object] | None:
    try:
        return fetch(str(socket_path))
    except OSError:
        return None


# The log


@pytest.mark.parametrize("number", STOPS)
def test_a_log_that_nobody_reads_stops_neither_bridge_nor_exit(folder: Path, number: signal.Signals) -> None:
    file = _bridge(folder, log_level="debug")
    with _full_pipe() as (_, stderr), _started(["run", "-c", str(file)], stderr=stderr) as process:
        snapshot = until(lambda: _answers(folder / "s"), "the bridge answers")
        port = int(str(snapshot["servers"][0]["listen"]).rpartition(":")[2])  # type: ignore[index]
        for _ in range(20):
            with RawMaster("127.0.0.1", port) as master:
                master.send(link_status_request(99).octets * 200)
        until(lambda: _dropped(folder) == 4000, "every frame was looked at")
        assert fetch(str(folder / "s"))["log"]["lines_suppressed"] > 3000, "and told of by a few lines"
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == 0
        assert not (folder / "s").exists()


def _dropped(folder: Path) -> int:
    return int(fetch(str(folder / "s"))["servers"][0]["drops"].get("unknown_destination", 0))


def test_a_failed_start_whose_reason_nobody_reads_ends_too(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, _full_pipe() as (_, stderr):
        file = _bridge(folder, listen=f"127.0.0.1:{other.getsockname()[1]}")
        with _started(["run", "-c", str(file)], stderr=stderr) as process:
            assert process.wait(PATIENCE_S) == 1


def test_lines_come_as_they_would_without_the_thread(root: logging.Logger) -> None:
    logs.set_up("info", "json", io.StringIO())
    with os.fdopen(_logged(_log_one_of_each), encoding="utf-8") as read:
        lines = [json.loads(line) for line in read]
    assert [(line["event"], line.get("where"), line.get("error")) for line in lines] == [
        ("event", {"a": 1}, None),
        ("with arguments", None, None),
        ("failed", None, "ValueError('x')"),
    ]


def _log_one_of_each() -> None:
    note("event", where={"a": 1})
    note("unseen", level=logging.DEBUG)
    logging.getLogger("other").warning("with %s", "arguments")
    try:
        raise ValueError("x")
    except ValueError:
        logging.getLogger("other").exception("failed")


def _logged(log: Callable[[], None]) -> int:
    """Log through the thread into a pipe; return its end to read from."""
    reading, writing = os.pipe()
    try:
        with log_queue.in_background(writing):
            log()
    finally:
        os.close(writing)
    return reading


def test_a_line_that_cannot_be_made_is_counted(root: logging.Logger) -> None:
    class Unprintable:
        def __str__(self) -> str:
            raise RuntimeError

    logs.set_up("info", "text", io.StringIO())
    with os.fdopen(_logged(lambda: note("event", what=Unprintable()))) as read:
        assert read.read().endswith("log lines dropped    count=1\n")


def test_what_finds_no_room_is_dropped_and_counted(
    root: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_queue, "_QUEUE_LINES", 100)
    monkeypatch.setattr(log_queue, "_ENOUGH_ROOM_LINES", 50)
    logs.set_up("info", "json", io.StringIO())
    with _full_pipe() as (reading, writing), log_queue.in_background(writing) as counters:
        for number in range(1000):
            note(f"event {number}")
        assert counters.dropped >= 800
        octets = bytearray()

        def report() -> bytes | None:
            octets.extend(os.read(reading, 65536))
            return next((line for line in octets.splitlines() if b"log lines dropped" in line), None)

        dropped = json.loads(until(report, "the report").lstrip(b"\0"))
    assert dropped["level"] == "warning"
    # Besides the queue's hundred the thread has one in its hands.
    assert 895 <= dropped["count"] <= 900
    kept = [line for line in octets.lstrip(b"\0").splitlines() if b'"event ' in line]
    assert len(kept) + dropped["count"] == 1000


def test_a_stuck_reader_does_not_hold_up_the_end(root: logging.Logger) -> None:
    # Within the 2 s that a program may take to end; waiting for the reader would last for ever.
    assert log_queue._END_S <= 0.3
    logs.set_up("info", "text", io.StringIO())
    with _full_pipe() as (reading, writing):
        with log_queue.in_background(writing):
            for number in range(5000):
                note(f"event {number}")
        note("nobody waits for this either")
        # Let the thread go before its pipe is gone.
        writers = [thread for thread in threading.enumerate() if "_monitor" in thread.name]
        assert writers
        os.set_blocking(reading, False)

        def are_through() -> bool:
            with suppress(BlockingIOError):
                os.read(reading, 1 << 20)
            return not any(thread.is_alive() for thread in writers)

        until(are_through, "the thread that was stuck is through")


def test_of_one_event_fifty_lines_a_second_pass() -> None:
    now_s = 100.0
    counters = LogCounters()
    limit = RateLimit(lambda: now_s, counters=counters)

    def passes(event: str) -> logging.LogRecord | None:
        record = logging.makeLogRecord({"msg": event, "fields": {"a": 1}})
        return record if limit.filter(record) else None

    assert sum(passes("frame dropped") is not None for _ in range(1000)) == 50
    assert passes("another") is not None
    now_s = 100.999
    assert passes("frame dropped") is None
    now_s = 101.0
    first, second = passes("frame dropped"), passes("frame dropped")
    assert first is not None
    assert second is not None
    assert first.__dict__["fields"] == {"a": 1, "suppressed": 951}
    assert second.__dict__["fields"] == {"a": 1}
    assert (counters.suppressed, counters.dropped) == (951, 0)


def test_the_names_of_events_do_not_fill_the_memory() -> None:
    limit = RateLimit()
    for number in range(5000):
        limit.filter(logging.makeLogRecord({"msg": f"event {number}"}))
    assert len(limit._rates) <= 512


def test_the_running_program_says_what_it_suppressed(folder: Path) -> None:
    file = _bridge(folder, log_level="debug", log_format="json")
    with Program("run", "-c", str(file)) as program:
        program.until_printed('"started"')
        port = int(fetch(str(folder / "s"))["servers"][0]["listen"].rpartition(":")[2])
        with RawMaster("127.0.0.1", port) as master:
            master.send(link_status_request(99).octets * 1000)
            until(lambda: _dropped(folder) == 1000, "all frames")
            sent = 1000

            def is_told() -> bool:
                nonlocal sent
                master.send(link_status_request(99).octets)
                sent += 1
                return '"suppressed"' in program.err

            # The first one of the next second tells of those of the last.
            until(is_told, "what it suppressed", pause_s=0.05)
            until(lambda: _dropped(folder) == sent, "all frames")
        program.signal(signal.SIGTERM)
        assert program.wait() == 0
        events = [json.loads(line) for line in program.err.splitlines()]
    dropped = [event for event in events if event["event"] == "frame dropped"]
    assert len(dropped) + sum(event.get("suppressed", 0) for event in dropped) == sent
    assert len(dropped) <= 101


# Standard input, output and error


def _close(*descriptors: int) -> Callable[[], None]:
    def close() -> None:
        for descriptor in descriptors:
            os.close(descriptor)

    return close


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)], ids=str)
def test_closed_descriptors_do_not_keep_it_from_running(folder: Path, closed: tuple[int, ...]) -> None:
    file = _bridge(folder)
    with _started(["run", "-c", str(file)], stderr=subprocess.DEVNULL, preexec=_close(*closed)) as process:
        until(lambda: process.poll() is not None or _answers(folder / "s"), "the bridge answers")
        process.terminate()
        assert process.wait(PATIENCE_S) == 0


@pytest.mark.parametrize("command", [["check", str(GOOD)], ["decode", "-"], ["--help"]], ids=" ".join)
def test_closed_descriptors_do_not_change_a_status(command: list[str]) -> None:
    expected = run_to_the_end(*command)[0]
    with _started(command, stderr=subprocess.DEVNULL, preexec=_close(0, 1, 2)) as process:
        assert process.wait(PATIENCE_S) == expected


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_no_encoding_is_too_small(answering: Callable[[bytes], str], encoding: str) -> None:
    snapshot = {**_SNAPSHOT, "outstations": [_OUTSTATION | {"name": "größe-\N{SNOWMAN}"}]}
    path = answering(json.dumps(snapshot).encode())
    done = subprocess.run(
        [sys.executable, "-m", "bridge", "status", "--socket", path],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"gr" in done.stdout


@pytest.mark.parametrize("command", [["check", str(GOOD)], ["--help"], ["decode", "0564" * 40]], ids=str)
@pytest.mark.parametrize("is_buffered", [True, False])
def test_a_full_disk_is_one_line_and_status_1(command: list[str], is_buffered: bool) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    if not is_buffered:
        environment["PYTHONUNBUFFERED"] = "1"
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "bridge", *command],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    if command == ["--help"] and not is_buffered:
        # argparse itself looks away when its text cannot be written.
        assert done.returncode in (0, 1)
        return
    assert done.returncode == 1
    assert done.stderr == b"rtu-bridge: cannot write the output: No space left on device\n"


def test_a_full_standard_error_does_not_change_a_status(tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "bridge", "check", str(tmp_path / "missing")],
            cwd=ROOT,
            stderr=full,
            check=False,
        )
    assert done.returncode == 2


# Signals


@pytest.mark.parametrize("command", ["run", "demo"])
def test_sighup_ends_it_with_status_0(folder: Path, command: str) -> None:
    arguments = ["run", "-c", str(_bridge(folder))] if command == "run" else _DEMO
    with Program(*arguments) as program:
        program.until_printed("started")
        program.signal(signal.SIGHUP)
        assert program.wait() == 0
    assert "Traceback" not in program.err
    assert "stopped" in program.err


_DEMO = ["demo", "--plain", "--listen", "127.0.0.1:0"]


def test_nohup_keeps_it_running(folder: Path) -> None:
    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with _started(["run", "-c", str(_bridge(folder))], stderr=subprocess.DEVNULL, preexec=ignore) as process:
        until(lambda: _answers(folder / "s"), "the bridge answers")
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        assert _answers(folder / "s")
        process.terminate()
        assert process.wait(PATIENCE_S) == 0


_SLOW_START = """
import sys, time
from bridge.service import cli, commands
def slowly(options):
    print("begun", flush=True)
    time.sleep(60)
commands.run_command = slowly
sys.exit(cli.main())
"""


def test_an_interrupt_while_it_starts_is_no_traceback() -> None:
    with Program("run", "-c", "any", start=("-c", _SLOW_START)) as program:
        program.until_printed("begun")
        program.signal(signal.SIGINT)
        assert program.wait() == -signal.SIGINT
    assert program.err == ""


def test_main_gives_the_interrupt_back(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGINT)
    assert main(["check", str(GOOD)]) == 0
    assert signal.getsignal(signal.SIGINT) is before


# Configuration


def test_a_configuration_is_limited_in_length(tmp_path: Path) -> None:
    file = tmp_path / "f.toml"
    for length, is_right in ((256 * 1024, True), (256 * 1024 + 1, False)):
        file.write_text(MINIMAL + "#" * (length - len(MINIMAL.encode())), encoding="utf-8")
        if is_right:
            assert load(file).outstations
            continue
        with pytest.raises(ConfigurationError) as caught:
            load(file)
        assert caught.value.problems == (f"{file}: is longer than 256 KiB; name a configuration file",)


@pytest.mark.parametrize("kind", ["fifo", "socket", "/dev/zero", "/dev/null"])
def test_a_configuration_is_a_regular_file(folder: Path, kind: str) -> None:
    path = folder / "f.toml"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(path))
    else:
        path = Path(kind)
    for command in (["check"], ["run", "-c"], ["status", "-c"]):
        status, out, err = run_to_the_end(*command, str(path))
        assert (status, out, err) == (2, "", f"{path}: is no regular file; name a file of TOML text\n")


def test_the_masters_of_an_outstation_are_limited_in_number() -> None:
    for count in (256, 257):
        masters = json.dumps([f"10.1.{number // 200}.{number % 200}" for number in range(count)])
        text = MINIMAL.replace('["any"]', masters)
        assert text != MINIMAL
        problems = _problems(text)
        if count == 256:
            assert problems == ()
        else:
            assert len(problems) == 1
            assert problems[0].endswith("masters: has 257 entries; write at most 256, or networks")


def _problems(text: str) -> tuple[str, ...]:
    try:
        parse(text, "f.toml")
    except ConfigurationError as error:
        return error.problems
    return ()


LONG = "x" * 3000


@pytest.mark.parametrize(
    "text",
    [
        f"{LONG} = 1",
        f'"{LONG} {LONG}" = 1',
        f"[server.{LONG}]",
        f"[server.{LONG}]\n{LONG} = 1",
        f'[server."{LONG} {LONG}"]\nlisten = "0.0.0.0:1"',
        f'[server.main]\nlisten = "{LONG}"',
        f'[[outstation]]\nname = "{LONG}"\nserver = "{LONG}"\nline = "{LONG}"\nled = "{LONG}"\n'
        f'masters = ["{LONG}"]',
        f'[[outstation]]\nname = "{LONG}"\n[[outstation]]\nname = "{LONG}"',
        f'[line.a]\ndevice = "/{LONG}"\n[line.b]\ndevice = "/{LONG}"',
        f"a = {LONG}",
        f"[{LONG}]\n[{LONG}]",
        "".join(f"[line.l{number}]\n" for number in range(500)) + '[[outstation]]\nline = "z"',
    ],
)
def test_a_message_stays_readable_however_long_the_names(text: str) -> None:
    problems = _problems(text)
    assert problems
    assert max(map(len, problems)) < 500


def test_of_many_problems_the_first_hundred_are_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "f.toml"
    for count, last in (
        (100, ": is no key here"),
        (101, "... and 1 more problems"),
        (2000, "... and 1900 more"),
    ):
        file.write_text("".join(f"q{number} = 1\n" for number in range(count)) + MINIMAL, encoding="utf-8")
        assert main(["check", str(file)]) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == min(count, 101)
        assert last in lines[-1]


# Without its limits it takes minutes: the deadline of every test is what ends this one.
@pytest.mark.parametrize(
    "text",
    [
        ".".join(["a"] * 131_000) + " = 1",
        "".join(f"a{'.a' * depth} = 1\n" for depth in range(500)),
        "a = " + "[" * 260_000,
        "[" + ".".join(["a"] * 131_000) + "]",
        "".join(f"[server.s{number}]\n" for number in range(10_000)),
        "".join(f'[[outstation]]\nserver="s{number}"\n' for number in range(4_000))
        + "".join(f"[server.t{number}]\n" for number in range(4_000)),
    ],
    ids=["deep key", "deep keys", "deep array", "deep table", "servers", "references"],
)
def test_the_longest_file_is_read_in_bearable_time(text: str) -> None:
    assert len(text) <= 256 * 1024
    assert _problems(text)


# decode


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/dev/full", "socket"])
def test_decode_reads_no_devices(folder: Path, path: str) -> None:
    if path == "socket":
        path = f"{folder}/s"
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path)
    expected = (
        f"rtu-bridge decode: {path}: is no regular file and no pipe; name a file, or - for standard input\n"
    )
    assert run_to_the_end("decode", path) == (2, "", expected)


def test_decode_reads_a_fifo(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with Program("decode", str(fifo)) as program:
        fifo.write_text(link_status_request(10).octets.hex(), encoding="ascii")
        assert program.wait() == 0


def test_decode_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert captures._LONGEST_OCTETS == 1 << 30
    monkeypatch.setattr(captures, "_LONGEST_OCTETS", 3 << 20)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    file = tmp_path / "f.txt"
    file.write_bytes(b"#" * (3 << 20))
    assert captures.decode(str(file), io.StringIO()) == 1
    with file.open("ab") as more:
        more.write(b"#")
    assert captures.decode(str(file), io.StringIO()) == 2
    with open("/dev/zero", encoding="ascii") as endless:
        monkeypatch.setattr(sys, "stdin", endless)
        assert captures.decode("-", io.StringIO()) == 2
    assert sys.stderr.getvalue().splitlines() == [  # type: ignore[attr-defined]
        f"rtu-bridge decode: {name}: is longer than 3 MiB; cut it with editcap or split"
        for name in (file, "standard input")
    ]


# status

_SNAPSHOT: dict[str, object] = {
    "version": "1",
    "uptime_s": 1.5,
    "servers": [],
    "lines": [],
    "outstations": [],
}
_OUTSTATION: dict[str, object] = {
    "name": "rtu",
    "enabled": True,
    "link_address": 10,
    "line": "bay",
    "master": None,
    "led": {"state": "off", "lit": False},
}


@pytest.fixture
def answering(folder: Path) -> Iterator[Callable[..., str]]:
    """A status socket that answers whatever a test says, octet by octet if it says so."""
    listening = socket.socket(socket.AF_UNIX)
    path = str(folder / "answering")
    listening.bind(path)
    listening.listen()
    is_over = threading.Event()

    def serve(octets: bytes, dribble: bytes) -> None:
        connection, _ = listening.accept()
        with connection:
            try:
                connection.sendall(octets)
                while dribble and not is_over.wait(0.02):
                    connection.sendall(dribble)
            except OSError:
                pass

    def start(octets: bytes, dribble: bytes = b"") -> str:
        threading.Thread(target=serve, args=(octets, dribble), daemon=True).start()
        return path

    yield start
    is_over.set()
    listening.close()


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["people", "json"])
@pytest.mark.parametrize(
    "answer",
    [
        b"{}",
        b"[]",
        b"null",
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        json.dumps(_SNAPSHOT | {"servers": 1}).encode(),
        json.dumps(_SNAPSHOT | {"servers": [1]}).encode(),
        json.dumps(_SNAPSHOT | {"uptime_s": "x"}).encode(),
        json.dumps(_SNAPSHOT | {"uptime_s": float("inf")}).encode(),
        json.dumps(_SNAPSHOT | {"outstations": [_OUTSTATION | {"name": 7}]}).encode(),
        json.dumps(_SNAPSHOT | {"outstations": [_OUTSTATION | {"led": {"state": 1, "lit": []}}]}).encode(),
        json.dumps(_SNAPSHOT | {"version": json.loads("[" * 400 + "]" * 400)})
        .encode()
        .replace(b"[" * 400, b"[" * 9000),
    ],
)
def test_status_of_nonsense_is_one_line_and_status_1(
    answering: Callable[..., str], capsys: pytest.CaptureFixture[str], answer: bytes, form: list[str]
) -> None:
    assert main(["status", *form, "--socket", answering(answer)]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert len(err) < 300


def test_status_shows_brackets_as_they_are(
    answering: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    outstation = _OUTSTATION | {"master": "[fe80::1]:4021 :smile: [/red]"}
    path = answering(json.dumps(_SNAPSHOT | {"outstations": [outstation]}).encode())
    assert main(["status", "--socket", path]) == 0
    assert "[fe80::1]:4021 :smile: [/red]" in capsys.readouterr().out


def test_status_waits_five_seconds_in_all(
    answering: Callable[..., str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status._READ_TIMEOUT_S == 5
    monkeypatch.setattr(status, "_READ_TIMEOUT_S", 0.3)
    path = answering(b"{", dribble=b" ")
    assert main(["status", "--socket", path]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_status_takes_no_endless_answer(
    answering: Callable[..., str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(status, "_LONGEST_ANSWER_OCTETS", 1 << 20)
    assert main(["status", "--socket", answering(b"{", dribble=bytes(1 << 20))]) == 1
    assert "the status does not end" in capsys.readouterr().err


async def test_a_client_that_does_not_read_its_status_is_dropped(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert status._UNREAD_TIMEOUT_S == 5
    monkeypatch.setattr(status, "_UNREAD_TIMEOUT_S", 0.2)
    server = StatusServer(f"{folder}/s", lambda: {"text": "x" * 10_000_000})
    await server.bind()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"{folder}/s")
        client.setblocking(False)
        ends = select.poll()
        ends.register(client, 0)
        await eventually(lambda: ends.poll(0), "it is dropped")
        received = 0
        while part := await asyncio.get_running_loop().sock_recv(client, 1 << 20):
            received += len(part)
    assert 0 < received < 10_000_000
    server.close()


# demo


@pytest.mark.parametrize("listen", ["192.0.2.1:20000", "10.0.0.1:0", "[::1]:20000", "[2001:db8::1]:1"])
def test_demo_listens_where_its_own_master_reaches_it(listen: str) -> None:
    status, out, err = run_to_the_end("demo", "--plain", "--listen", listen)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"--listen: {listen} cannot be reached from 127.0.0.2")


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "127.8.9.10:0", "0.0.0.0:0"])
def test_demo_listens_on_loopback_and_everywhere(listen: str) -> None:
    with Program("demo", "--plain", "--listen", listen) as program:
        program.until_printed("master connected")
        program.signal(signal.SIGTERM)
        assert program.wait() == 0
