"""`rtu-bridge sim` as the real program, on a pty, a serial port and TCP, and with opendnp3 as its master."""

from __future__ import annotations

import os
import select
import signal
import socket
from pathlib import Path

import pytest

from bridge.service.cli import main
from bridge.service.simulation.sim import example, example_text
from tests.support.frames import link_status, link_status_request
from tests.support.program import Program, run_to_the_end
from tests.support.ptys import Pty
from tests.support.raw_peers import RawMaster, RawRtu
from tests.support.waiting import PATIENCE_S, until

pytestmark = pytest.mark.wire

TWO = "[[outstation]]\nname = 'a'\nlink_address = 5\n[[outstation]]\nname = 'b'\nlink_address = 6\n"


def _printed(program: Program, word: str) -> str:
    lines = program.until_printed("\n").splitlines()
    assert lines[0].startswith(f"{word} ")
    return lines[0].removeprefix(f"{word} ")


def _ask(device: str, address: int) -> None:
    with RawRtu(Path(device)) as port:
        port.write(link_status_request(address).octets)
        while (frame := port.read_frame()) != link_status(address).octets:
            # An unsolicited null response: nobody was there to confirm it.
            assert frame[3] == 0x44


def test_on_a_pty_by_default() -> None:
    with Program("sim") as program:
        _ask(_printed(program, "DEVICE"), 1024)
        program.signal(signal.SIGTERM)
        assert program.wait() == 0
    assert program.out.splitlines()[1:] == [f"RTU {each.config.name} ADDRESS 1024" for each in example()]
    assert "Traceback" not in program.err


def test_several_on_one_pty_and_who_leaves_may_come_back(tmp_path: Path) -> None:
    file = tmp_path / "two.toml"
    file.write_text(TWO, encoding="utf-8")
    with Program("sim", str(file), "--pty") as program:
        device = _printed(program, "DEVICE")
        for address in (5, 6, 5):
            _ask(device, address)
        program.signal(signal.SIGINT)
        assert program.wait() == 0


def test_on_tcp(tmp_path: Path) -> None:
    file = tmp_path / "two.toml"
    file.write_text(TWO, encoding="utf-8")
    with Program("sim", str(file), "--tcp", "127.0.0.1:0") as program:
        program.until_printed("RTU ")
        until(lambda: program.out.count("\n") == 3, "both RTUs are printed")
        assert program.out.splitlines()[1:] == ["RTU a ADDRESS 5", "RTU b ADDRESS 6"]
        port = int(_printed(program, "ENDPOINT").rpartition(":")[2])
        with RawMaster("127.0.0.1", port) as master:
            for address in (5, 6):
                master.send(link_status_request(address).octets)
                while (frame := master.read_frame()) != link_status(address).octets:
                    assert frame[3] == 0x44
        program.until_printed("master disconnected")
        program.signal(signal.SIGTERM)
        assert program.wait() == 0


def test_on_a_serial_port() -> None:
    with Pty() as adapter, Program("sim", "--serial", f"{adapter.device}:19200") as program:
        assert _printed(program, "DEVICE") == adapter.device

        def answers() -> bool:
            adapter.write(link_status_request(1024).octets)
            return bool(select.select([adapter.far], [], [], 0.2)[0])

        until(answers, "it answers")
        assert link_status(1024).octets[:4] in os.read(adapter.far, 4096) + adapter.read()
        program.signal(signal.SIGTERM)
        assert program.wait() == 0


def test_a_missing_port_is_one_line() -> None:
    assert run_to_the_end("sim", "--serial", "/dev/not-plugged-in") == (
        1,
        "",
        "/dev/not-plugged-in: no such device; is the adapter plugged in, is the overlay loaded?\n",
    )


def test_a_taken_endpoint_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        endpoint = f"127.0.0.1:{other.getsockname()[1]}"
        status, out, err = run_to_the_end("sim", "--tcp", endpoint)
    assert (status, out, err) == (1, "", f"cannot listen on {endpoint}: Address already in use\n")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--tcp", "20000"), "--tcp: '20000' is not an endpoint; write"),
        (("--serial", "/dev/ttyUSB0:1234"), "--serial: 1234 is no standard rate; did you mean 1200?"),
        (("--serial", ""), "--serial: names no device; write /dev/ttyUSB0"),
    ],
)
def test_wrong_usage_is_one_line(
    arguments: tuple[str, ...], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sim", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(problem)


def test_a_wrong_file_is_told_all_its_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text("[outstation]\nnam = 'x'\nlink_address = -1\n", encoding="utf-8")
    assert main(["sim", str(file)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        f"{file}: outstation.nam: is no key here; did you mean 'name'?",
        f"{file}: outstation.link_address: -1 is out of range; write 0 to 65519",
    ]


def test_one_place_at_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["sim", "--pty", "--tcp", "127.0.0.1:0"])
    assert caught.value.code == 2
    assert "not allowed with" in capsys.readouterr().err


def test_the_example_can_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "--print-example"]) == 0
    assert capsys.readouterr().out == example_text()


@pytest.mark.peer
def test_opendnp3_polls_it_and_operates_it() -> None:
    from tests.support.opendnp3 import Opendnp3, Point, o

    with Program("sim", "--tcp", "127.0.0.1:0") as program:
        port = int(_printed(program, "ENDPOINT").rpartition(":")[2])
        with Opendnp3() as peer:
            master = peer.master(peer.connect(port)[0], 1024, keeps_unsolicited=True)
            master.wait_until_started()
            assert master.poll() == "SUCCESS"
            values = master.soe.values
            assert {Point("Binary", index) for index in range(5)} <= set(values)
            assert 225 <= values[Point("Analog", 0)] <= 235
            assert values[Point("Binary", 0)] is True

            trip = o.ControlRelayOutputBlock(
                o.OperationType.PULSE_ON, o.TripCloseCode.TRIP, False, 1, 100, 100
            )
            assert master.select_and_operate(trip, 0) == ["SUCCESS", "SUCCESS"]
            # Nobody polls: the feedback comes by itself.
            until(lambda: master.soe.values[Point("Binary", 0)] is False, "the breaker reports itself open")
            assert master.direct_operate(o.AnalogOutputFloat32(42.5), 0) == ["SUCCESS", "SUCCESS"]
            until(lambda: master.soe.values[Point("Analog", 5)] == 42.5, "the set point is fed back")
            assert master.direct_operate(trip, 2) == ["SUCCESS", "LOCAL"]
        program.until_printed("control")
        program.signal(signal.SIGTERM)
        assert program.wait(PATIENCE_S) == 0
