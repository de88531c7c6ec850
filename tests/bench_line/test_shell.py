"""`rtu-bridge wire` as the real program."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from pathlib import Path

import pytest

from bridge.bench.shell import COMMANDS
from tests.support.bridge_process import Site, running
from tests.support.program import Program, run_to_the_end
from tests.support.raw_peers import RawRtu
from tests.support.waiting import until
from tests.support.wire_crc import frame

pytestmark = pytest.mark.wire

FRAME = frame(0xC4, 10, 1, b"hello")


def paths(program: Program, rtus: int) -> list[Path]:
    printed = program.until_printed("\n")
    until(lambda: 'type "help"' in program.out, "all ends are printed")
    *ends, hint = (program.out or printed).splitlines()
    assert hint.startswith('type "help" for ')
    lines = [line.strip().split(" ", 1) for line in ends]
    assert [word for word, _ in lines] == ["BRIDGE", *["RTU"] * rtus]
    return [Path(path) for _, path in lines]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_carries_until_a_signal_and_leaves_nothing(number: signal.Signals) -> None:
    with Program("wire", "--baud", "115200", "--rtus", "2", "--echo") as program:
        device, *rtus = paths(program, 2)
        with RawRtu(device) as bridge, RawRtu(rtus[0]) as one, RawRtu(rtus[1]) as two:
            bridge.write(FRAME)
            assert bridge.read_frame() == one.read_frame() == two.read_frame() == FRAME
        program.signal(number)
        assert program.wait() == 0
    assert not device.parent.exists()
    assert program.err == ""


def test_noise_and_full_duplex(tmp_path: Path) -> None:
    device = tmp_path / "tty"
    arguments = ("--full-duplex", "--noise", "1", "--seed", "3", "--baud", "0", "--device", str(device))
    with Program("wire", *arguments) as program:
        assert paths(program, 1)[0] == device
        with RawRtu(device) as bridge, RawRtu(paths(program, 1)[1]) as rtu:
            bridge.write(FRAME)
            until(rtu.has_octets, "something is heard")
            with pytest.raises(AssertionError):
                rtu.read_frame()
        program.signal(signal.SIGTERM)
        assert program.wait() == 0


def test_faults_are_typed() -> None:
    with Program("wire", "--rtus", "2", "--baud", "115200", is_on_terminal=True) as program:
        device, *_ = paths(program, 2)
        program.type("unplug\n")
        until(lambda: not os.path.lexists(device), "it is unplugged")
        program.type("replug\n")
        until(lambda: os.path.lexists(device), "it is plugged in")
        with RawRtu(device) as bridge:
            program.type("babble 1\n")
            until(bridge.has_octets, "it babbles")
        for typed, answer in (
            ("hush 1", "RTU 1 does not babble"),
            ("die 1", "RTU 1 is dead"),
            ("revive 1", "RTU 1 is alive"),
            ("delay 1 0.5", "RTU 1 answers 0.5 s later"),
            ("noise 0.1", "noise in 0.1 of frames"),
            ("float 0.1", "floating in 0.1 of idle time"),
            ("clean", "\nclean\r\nclean\r\n"),
            ("explode", 'explode: no such command; type "help"\r\n'),
            ("die 3", "die 3: 3 is no RTU; there are RTUs 1 to 2\r\n"),
            ("babble x", "babble x: x is no RTU; there are RTUs 1 to 2\r\n"),
            (f"die {'9' * 5000}"[:200], " is no RTU; "),
            ("delay 1", "delay 1: write delay RTU SECONDS\r\n"),
            ("delay 1 abc", "delay 1 abc: abc is no number; write one such as 0.5 (seconds)\r\n"),
            ("noise 2", "0 to 1"),
        ):
            program.type(f"{typed}\n")
            until(lambda: answer in program.out, answer)  # noqa: B023
        assert "commands:" not in program.out
        for said in ("\nunplugged\r\n", "\nplugged in\r\n", "\nRTU 1 babbles\r\n"):
            assert said in program.out
        program.type("help\n")
        for name in COMMANDS:
            until(lambda: f"  {name} " in program.out, "the help names it")  # noqa: B023
        program.signal(signal.SIGTERM)
        assert program.wait() == 0
    assert "Traceback" not in program.out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--rtus", "0"), "there are 1 to 64 RTUs"),
        (("--rtus", "65"), "there are 1 to 64 RTUs"),
        (("--noise", "1.5"), "0 to 1"),
        (("--baud", "-1"), "positive"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], reason: str) -> None:
    status, out, err = run_to_the_end("wire", *arguments)
    assert (status, out) == (2, "")
    assert reason in err


def test_a_device_that_is_there(tmp_path: Path) -> None:
    status, out, err = run_to_the_end("wire", "--device", str(tmp_path))
    assert (status, out) == (1, "")
    assert err == f"rtu-bridge wire: File exists: {tmp_path}\n"


def test_a_killed_line_s_link_leads_nobody_to_the_pty_that_has_its_number(tmp_path: Path) -> None:
    link = tmp_path / "bay1"
    with Program("wire", "--device", str(link)) as wire:
        paths(wire, 1)
        with tempfile.TemporaryDirectory() as folder, running(Path(folder), Site(device=link)) as bridge:
            wire.signal(signal.SIGKILL)
            wire.wait()
            # As if the number had gone to another program, a minute later.
            others = os.openpty()
            aged, moment = tmp_path / "aged", time.time() - 60
            aged.symlink_to(os.ttyname(others[1]))
            os.utime(aged, (moment, moment), follow_symlinks=False)
            aged.replace(link)
            until(lambda: "left over" in (bridge.line()["reason"] or ""), "the bridge says why it is down")
            with Program("wire", "--device", str(link)) as again:
                paths(again, 1)
                bridge.wait_until_lines_are_up()
            for descriptor in others:
                os.close(descriptor)


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (["wire", "--rtus", "64"], "rtu-bridge wire: Too many open files: cannot make its ptys"),
        (["sim"], "rtu-bridge: cannot make a pty: Too many open files"),
    ],
    ids=["wire", "sim"],
)
def test_where_no_pty_is_to_be_had_that_is_one_line(command: list[str], line: str) -> None:
    with Program(*command, start=("-c", WITHOUT_PTYS)) as program:
        assert program.wait() == 1
    assert program.err.splitlines() == [line]


WITHOUT_PTYS = """
import errno, os, sys
from bridge.service.cli import main
def openpty():
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
os.openpty = openpty
sys.exit(main(sys.argv[1:]))
"""
