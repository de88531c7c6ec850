"""`rtu-bridge demo` as the real program. The panel in a terminal is in test_panel."""

from __future__ import annotations

import re
import signal
import socket

import pytest

from tests.support.frames import link_status, link_status_request
from tests.support.link_frames import take_frames
from tests.support.program import PROGRAM_PATIENCE_S, Program, run_to_the_end
from tests.support.raw_peers import RawMaster
from tests.support.waiting import PATIENCE_S, until

pytestmark = pytest.mark.wire

LISTEN = ("--listen", "127.0.0.1:0")


def _port(program: Program) -> int:
    introduction = program.until_printed("End: Ctrl-C.")
    match = re.search(r"A bridge listens on 127\.0\.0\.1:(\d+)\.", introduction)
    assert match is not None
    return int(match[1])


def _ask(port: int, address: int) -> bytes:
    with RawMaster("127.0.0.1", port) as master:
        master.send(link_status_request(address).octets)
        return master.read_frame()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_answers_and_ends_on_a_signal(number: signal.Signals) -> None:
    with Program("demo", "--plain", *LISTEN) as program:
        port = _port(program)
        assert _ask(port, 1024) == link_status(1024).octets
        program.signal(number)
        assert program.wait() == 0
    assert "\x1b" not in program.out
    assert "Traceback" not in program.err
    assert program.err.splitlines()[-1].endswith("stopped")


def test_without_a_terminal_it_is_plain_by_itself() -> None:
    with Program("demo", *LISTEN) as program:
        _port(program)
        program.until_printed("master connected")
        program.signal(signal.SIGINT)
        assert program.wait() == 0
    assert "\x1b" not in program.out + program.err


def test_the_octets_of_its_introduction_get_an_answer() -> None:
    with Program("demo", "--plain", *LISTEN) as program:
        port = _port(program)
        match = re.search(r"printf '((?:\\[0-7]{1,3})+)'", program.out)
        assert match is not None
        octets = bytes(int(octet, 8) for octet in match[1].split("\\")[1:])
        assert take_frames(octets) == [link_status_request(1024).octets]
        with RawMaster("127.0.0.1", port) as master:
            master.send(octets)
            assert master.read_frame() == link_status(1024).octets


@pytest.mark.peer
def test_a_real_master_polls_and_operates_the_rtu_that_is_left_to_it() -> None:
    from tests.support.opendnp3 import Opendnp3, Point, o

    with Program("demo", "--plain", *LISTEN) as program:
        port = _port(program)
        with Opendnp3() as peer:
            master = peer.master(peer.connect(port)[0], 1024, keeps_unsolicited=True)
            master.wait_until_started()
            assert master.poll() == "SUCCESS"
            values = master.soe.values
            assert 225 <= values[Point("Analog", 0)] <= 235
            assert values[Point("Binary", 0)] is True
            trip = o.ControlRelayOutputBlock(
                o.OperationType.PULSE_ON, o.TripCloseCode.TRIP, False, 1, 100, 100
            )
            assert master.select_and_operate(trip, 0) == ["SUCCESS", "SUCCESS"]
            until(lambda: values[Point("Binary", 0)] is False, "the breaker reports that it is open")


def test_its_own_master_polls_and_keeps_what_is_its_own() -> None:
    with Program("demo", "--plain", *LISTEN) as program:
        port = _port(program)
        connected = program.until_printed("master connected")
        assert re.search(r"master connected +outstation=pole-12,pole-13 peer=127\.0\.0\.2:", connected)
        with RawMaster("127.0.0.1", port) as master:
            # Those of the other master, and one whose line has no adapter: only 1024 answers.
            for address in (12, 13, 7, 1024):
                master.send(link_status_request(address).octets)
            assert master.read_frame() == link_status(1024).octets


def test_it_prints_the_status_now_and_then() -> None:
    quickly = (
        "from bridge.service.simulation import demo; demo._PLAIN_PERIOD_S = 0.2; demo._POLL_PERIOD_S = 0.05\n"
    )
    start = ("-c", quickly + "import sys; from bridge.service.cli import main; sys.exit(main())")
    with Program("demo", "--plain", *LISTEN, start=start) as program:
        until(
            lambda: re.search(
                r"outstation pole-12: LED answering, master 127\.0\.0\.2:\d+; [1-9]\d* frames to it, [1-9]",
                program.out,
            ),
            "the status with answered polls",
            within_s=PROGRAM_PATIENCE_S,
        )
        assert "line spare: DOWN, no such device" in program.out
        assert "outstation yours-1024: LED off, master none; 0 frames to it, 0 back" in program.out


def test_a_taken_port_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        status, out, err = run_to_the_end("demo", "--plain", "--listen", listen)
    assert status == 1
    assert out == ""
    (line,) = (line for line in err.splitlines() if listen in line)
    assert line == f"cannot listen on {listen}: Address already in use; try --listen 127.0.0.1:20001"
    assert "Traceback" not in err


@pytest.mark.parametrize("listen", ["20000", "localhost:20000", "127.0.0.1:99999"])
def test_a_malformed_endpoint_is_status_2(listen: str) -> None:
    status, out, err = run_to_the_end("demo", "--plain", "--listen", listen)
    assert (status, out) == (2, "")
    assert err.startswith("--listen: ")
    assert err.count("\n") == 1


def test_it_listens_on_ipv6_too() -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    with Program("demo", "--plain", "--listen", "[::]:0") as program:
        introduction = program.until_printed("End: Ctrl-C.")
        match = re.search(r"listens on \[::\]:(\d+)\.", introduction)
        assert match is not None
        assert _ask(int(match[1]), 1024) == link_status(1024).octets
        program.until_printed("outstation=pole-12,pole-13 peer=[::ffff:127.0.0.2]:")


def test_it_ends_at_once_also_while_its_master_waits_for_an_answer() -> None:
    with Program("demo", "--plain", *LISTEN) as program:
        program.until_printed("master connected")
        program.signal(signal.SIGINT)
        assert program.wait(PATIENCE_S) == 0
