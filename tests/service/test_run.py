"""`rtu-bridge run` as the real program: how it starts, what it says, how it ends."""

from __future__ import annotations

import json
import signal
import socket
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from bridge.endpoints.status import fetch
from tests.support import toml
from tests.support.frames import link_status, link_status_request
from tests.support.program import Program, run_to_the_end
from tests.support.ptys import Pty
from tests.support.raw_peers import RawMaster
from tests.support.repository import CONFIGURATIONS
from tests.support.waiting import until

pytestmark = pytest.mark.wire

END_WITHIN_S = 10.0
"""Five times the two seconds that an end may take."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket in it."""
    with tempfile.TemporaryDirectory(prefix="rtu-") as folder:
        yield Path(folder)


def _write(
    folder: Path,
    *devices: str,
    listen: str = "127.0.0.1:0",
    service: Mapping[str, str] = MappingProxyType({}),
    **line: object,
) -> Path:
    """Write a configuration with a line and an outstation (10, 11, ...) for each device."""
    parts = [toml.service(status_socket=f"{folder}/s", **service), toml.server(listen=listen)]
    for number, device in enumerate(devices):
        parts += [
            toml.line(f"bay{number}", device, **line),
            toml.outstation(f"rtu-{10 + number}", 10 + number, f"bay{number}"),
        ]
    file = folder / "bridge.toml"
    file.write_text("\n".join(parts), encoding="utf-8")
    return file


def _port(program: Program, folder: Path) -> int:
    """Wait until the bridge has started and return the port that it listens on."""
    program.until_printed("started")
    return int(fetch(str(folder / "s"))["servers"][0]["listen"].rpartition(":")[2])


def _lines_up(folder: Path) -> list[bool]:
    return [line["is_up"] for line in fetch(str(folder / "s"))["lines"]]


# Starting


@pytest.mark.parametrize("name", ["types", "many_at_once", "syntax_unfinished"])
def test_a_wrong_configuration_is_status_2_with_every_problem_and_starts_nothing(name: str) -> None:
    file = CONFIGURATIONS / "bad" / f"{name}.toml"
    status, out, err = run_to_the_end("run", "--config", str(file))
    assert (status, out) == (2, "")
    checked = run_to_the_end("check", str(file))
    assert (status, err) == (checked[0], checked[2])
    assert all(line.startswith(f"{file}:") for line in err.splitlines())
    expected = file.read_text(encoding="utf-8").count("# expect: ")
    assert 0 < len(err.splitlines()) <= expected


def test_a_taken_port_is_status_1_and_one_clear_line(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        file = _write(folder, "/dev/nonesuch", listen=listen, service={"log_level": "error"})
        status, out, err = run_to_the_end("run", "-c", str(file))
    assert (status, out) == (1, "")
    assert err == f"cannot listen on {listen}: Address already in use\n"
    assert not (folder / "s").exists()


def test_a_taken_port_among_others_leaves_nothing_running(folder: Path) -> None:
    with Pty() as adapter, socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        file = _write(folder, adapter.device)
        text = file.read_text(encoding="utf-8")
        file.write_text(f'{text}\n[server.second]\nlisten = "127.0.0.1:{taken}"\n', encoding="utf-8")
        status, _out, err = run_to_the_end("run", "-c", str(file))
    assert status == 1
    assert err.count("Address already in use") == 1
    assert "Traceback" not in err


def test_warnings_are_printed_and_stop_nothing(folder: Path) -> None:
    file = _write(folder, "/dev/nonesuch", request_ttl_ms=100)
    with Program("run", "-c", str(file)) as program:
        program.until_printed("started")
        assert "request_ttl_ms: 100 ms is shorter than the response timeout" in program.err
        program.signal(signal.SIGTERM)
        assert program.wait() == 0


def test_a_status_socket_that_cannot_be_had_stops_nothing(folder: Path) -> None:
    with Pty() as adapter:
        file = _write(folder, adapter.device)
        (folder / "s").write_text("no socket")
        with Program("run", "-c", str(file)) as program:
            log = program.until_printed("started")
            assert "no socket" in log
            program.signal(signal.SIGTERM)
            assert program.wait() == 0
        assert (folder / "s").read_text() == "no socket"


# Running


def test_frames_pass_and_the_log_is_json(folder: Path) -> None:
    with Pty() as adapter:
        file = _write(folder, adapter.device, service={"log_format": "json", "log_level": "debug"})
        with Program("run", "-c", str(file)) as program:
            port = _port(program, folder)
            until(lambda: _lines_up(folder) == [True], "the line is up")
            with RawMaster("127.0.0.1", port) as master:
                master.send(link_status_request(99).octets + link_status_request(10).octets)
                heard = until(adapter.read, "the request")
                assert heard == link_status_request(10).octets
                adapter.write(link_status(10).octets)
                assert master.read_frame() == link_status(10).octets
            program.until_printed('"master disconnected"')
            program.signal(signal.SIGTERM)
            assert program.wait() == 0
        assert program.out == ""
        events = [json.loads(line) for line in program.err.splitlines()]
    names = [event["event"] for event in events]
    assert names[0] in ("GPIO", "no GPIO")
    assert names[1] == "line up"
    assert names[-1] == "stopped"
    assert {"listening", "started", "master connected", "frame dropped", "master disconnected"} <= set(names)
    (dropped,) = (event for event in events if event["event"] == "frame dropped")
    assert (dropped["reason"], dropped["destination"]) == ("unknown_destination", 99)


def test_it_can_be_started_again_on_the_same_port_at_once(folder: Path) -> None:
    with Pty() as adapter:
        port = 0
        for _ in range(2):
            file = _write(folder, adapter.device, listen=f"127.0.0.1:{port}")
            with Program("run", "-c", str(file)) as program:
                port = _port(program, folder)
                with RawMaster("127.0.0.1", port) as master:
                    program.until_printed("master connected")
                    program.signal(signal.SIGTERM)
                    assert program.wait() == 0
                    # The bridge closed first: its port is in TIME_WAIT now.
                    assert master.read_to_the_end() == b""


# Ending


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_status_0_whatever_its_masters_and_lines_do(
    folder: Path, number: signal.Signals
) -> None:
    with Pty() as good, Pty() as stuck:
        stuck.fill()
        file = _write(folder, good.device, "/dev/nonesuch", stuck.device, response_timeout_ms=60000)
        with Program("run", "-c", str(file)) as program:
            port = _port(program, folder)
            until(lambda: _lines_up(folder) == [True, False, True], "two of three lines are up")
            with RawMaster("127.0.0.1", port) as master:
                # One request waits for its answer, one line is down, one device takes nothing.
                for address in (10, 11, 12):
                    master.send(link_status_request(address).octets)
                until(good.read, "the request")
                until(lambda: _sent(folder) == [1, 0, 1], "the request that nobody takes")
                program.signal(number)
                assert program.wait(END_WITHIN_S) == 0
                assert master.read_to_the_end() == b""
        assert not (folder / "s").exists()
        assert "Traceback" not in program.err
        assert program.err.splitlines()[-1].endswith("stopped")


_BLOCKED_DRIVER = """
import sys, threading
from bridge.endpoints import serial_port
serial_port.open_port = lambda settings: threading.Event().wait()
from bridge.service.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_driver_that_never_returns_does_not_keep_it_from_ending(
    folder: Path, number: signal.Signals
) -> None:
    file = _write(folder, "/dev/ttyBLOCKED")
    with Program("run", "-c", str(file), start=("-c", _BLOCKED_DRIVER)) as program:
        port = _port(program, folder)
        assert _lines_up(folder) == [False]
        with RawMaster("127.0.0.1", port):
            program.until_printed("master connected")
            program.signal(number)
            assert program.wait(END_WITHIN_S) == 0
    assert "Traceback" not in program.err


def test_a_second_signal_does_no_harm(folder: Path) -> None:
    file = _write(folder, "/dev/nonesuch")
    with Program("run", "-c", str(file)) as program:
        program.until_printed("started")
        for _ in range(3):
            program.signal(signal.SIGINT)
            program.signal(signal.SIGTERM)
        assert program.wait(END_WITHIN_S) == 0
    assert "Traceback" not in program.err


def test_a_master_that_never_reads_does_not_keep_it_from_ending(folder: Path) -> None:
    with Pty() as adapter:
        file = _write(folder, adapter.device)
        with Program("run", "-c", str(file)) as program:
            port = _port(program, folder)
            until(lambda: _lines_up(folder) == [True], "the line is up")
            with RawMaster("127.0.0.1", port) as master:
                program.until_printed("master connected")
                master.send(link_status_request(10).octets)
                until(adapter.read, "the request")
                adapter.write(link_status(10).octets)
                until(lambda: _answered(folder) == 1, "the answer is in the master's buffer, unread")
                program.signal(signal.SIGTERM)
                assert program.wait(END_WITHIN_S) == 0


def _sent(folder: Path) -> list[int]:
    return [outstation["frames_from_master"] for outstation in fetch(str(folder / "s"))["outstations"]]


def _answered(folder: Path) -> int:
    (session,) = fetch(str(folder / "s"))["servers"][0]["sessions"]
    return int(session["frames_sent"])


def test_it_says_that_the_configuration_in_force_is_not_the_one_that_was_brought(folder: Path) -> None:
    (folder / "configuration-error").write_text("bridge.toml: line.bay1.baud: 9601 is none\n")
    with Pty() as adapter:
        file = _write(folder, adapter.device)
        with Program("run", "-c", str(file)) as program:
            program.until_printed("the configuration from before is in force")
            program.until_printed("started")
            document = fetch(str(folder / "s"))
            assert document["configuration_problems"] == ["bridge.toml: line.bay1.baud: 9601 is none"]
            assert document["system_led"]["state"] == "wrong_configuration"
            _, out, _ = run_to_the_end("status", "--socket", f"{folder}/s")
            assert "the newer one is wrong:\nbridge.toml: line.bay1.baud: 9601 is none" in out
            program.signal(signal.SIGTERM)
            assert program.wait() == 0


def test_its_status_can_be_asked_while_it_runs(folder: Path) -> None:
    with Pty() as adapter:
        file = _write(folder, adapter.device, "/dev/nonesuch")
        with Program("run", "-c", str(file)) as program:
            port = _port(program, folder)
            with RawMaster("127.0.0.1", port) as master:
                program.until_printed("master connected")
                status, out, err = run_to_the_end("status", "--json", "-c", str(file))
                assert (status, err) == (0, "")
                document = json.loads(out)
                assert [outstation["master"] for outstation in document["outstations"]] == [master.name] * 2
                status, out, err = run_to_the_end("status", "--socket", f"{folder}/s")
                assert (status, err) == (0, "")
                assert all(text in out for text in ("rtu-10", "rtu-11", "bay0", "bay1 is down", master.name))
            program.signal(signal.SIGTERM)
            assert program.wait() == 0
        status, out, err = run_to_the_end("status", "-c", str(file))
        assert (status, out) == (1, "")
        assert err == (
            f"{folder}/s: No such file or directory; is the bridge running, with this status socket? "
            "Name another by -c FILE or --socket PATH\n"
        )
