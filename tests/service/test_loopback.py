"""The report of a port's self-test."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.bench import BenchLine
from bridge.endpoints.direction import Direction, DirectionReport
from bridge.endpoints.loopback import End, Findings, Passage, RtsFinding, Trial, Turnaround
from bridge.service.cli import main
from bridge.service.loopback import rates_of, report

A, B = "/dev/ttyA", "/dev/ttyB"
SENT = bytes(range(100))


def end(device: str, problem: str | None = None) -> End:
    return End(device, DirectionReport(asked=Direction.AUTOMATIC, in_force="the adapter", problem=problem))


def trial(came: bytes = SENT, *, baud: int = 9600, echo: bytes = b"", to: str = A) -> Trial:
    return Trial(baud, A, to, (Passage("ramp", SENT, came, echo, 0.002 if came else None),))


def text(*trials: Trial, turnaround: Turnaround | None = None, rts: RtsFinding | None = None) -> str:
    ends = (end(A),) if trials[0].listener == A else (end(A), end(B))
    return "\n".join(report(Findings(ends, trials, turnaround, rts)))


CASES = {
    "passed": (text(trial()), "passed: every octet came at every rate"),
    "error rate": (text(trial(SENT[:90])), "90 of 100 octets whole, error rate 10.00%"),
    "which pattern": (text(trial(SENT[:90])), "ramp: 90 of 100"),
    "best rate": (text(trial(), trial(SENT[:1], baud=19200)), "failed: best up to 9600 Bd"),
    "no rate": (text(trial(SENT[:1])), "failed: best up to no rate"),
    "strays": (text(trial(SENT + b"!")), "1 octets that nobody sent"),
    "noise": (text(trial(SENT + b"!")), "look at termination and bias"),
    "no jumper": (text(trial(b"")), "connect TX to RX"),
    "no cable": (text(trial(b"", to=B)), "A and B (swapped?)"),
    "echo": (text(trial(to=B, echo=SENT)), "the sender hears itself"),
    "at once": (text(trial(to=B), turnaround=Turnaround(0.0)), "may follow at once"),
    "late": (text(trial(to=B), turnaround=Turnaround(0.005)), "from 5 ms after a question on"),
    "never": (text(trial(to=B), turnaround=Turnaround(None)), "never came whole"),
    "rts raised": (text(trial(b""), rts=RtsFinding(9, 0)), "only with RTS raised"),
    "rts lowered": (text(trial(b""), rts=RtsFinding(0, 9)), "only with RTS lowered"),
    "rts neither": (text(trial(b""), rts=RtsFinding(0, 0)), "RTS makes no difference"),
}


@pytest.mark.parametrize("case", CASES)
def test_report(case: str) -> None:
    whole, expected = CASES[case]
    assert expected in whole


def test_a_problem_of_the_direction_is_said() -> None:
    findings = Findings((end(A, "the driver has no RS-485 mode"),), (trial(),), None, None)
    assert "  the driver has no RS-485 mode" in list(report(findings))


def test_rates() -> None:
    assert rates_of("") == ()
    assert rates_of("9600") == (9600,)
    assert rates_of("9600, 19200,115200") == (9600, 19200, 115200)


@pytest.mark.parametrize("wrong", ["-5", "0", "49", "4000001", "9600,", "9_600", "fast", "²", "9" * 5000])
def test_what_is_no_rate(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["loopback", "--baud", wrong, "/dev/null", "/dev/null"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("rtu-bridge loopback: --baud: ")
    assert line.endswith(" is no rate; write 50 to 4000000")


def test_two_ports_after_the_rates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["loopback", "--baud", "9600", str(tmp_path / "one"), str(tmp_path / "two")]) == 1
    assert f"{tmp_path}/one: no such device" in capsys.readouterr().err


@pytest.mark.wire
def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with BenchLine(baud=None, echo=True) as line:
        assert main(["loopback", "--baud", "9600,19200", line.device]) == 0
    out = capsys.readouterr().out
    assert "passed" in out
    assert "   9600 Bd" in out
    assert "  19200 Bd" in out
    assert "a pty: it has no bit rate" in out
    assert main(["loopback", str(tmp_path / "tty")]) == 1
    assert "no such device" in capsys.readouterr().err
