"""The self-test of ports on bench lines: an echo is a jumper, an RTU's port is the other end of a cable."""

from __future__ import annotations

import pytest

from bridge.bench import BenchLine
from bridge.endpoints import loopback
from bridge.endpoints.direction import Direction
from bridge.endpoints.loopback import Findings, Passage, patterns, run_loopback, settings_for
from bridge.errors import LineError

pytestmark = pytest.mark.wire

RATE = (115200,)
ALL_OCTETS = sum(map(len, patterns().values()))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loopback, "_PATIENCE_S", 0.1)


def run_on(line: BenchLine, *, cable: bool) -> Findings:
    other = settings_for(str(line.rtus[0].device), Direction.AUTOMATIC) if cable else None
    return run_loopback(settings_for(str(line.device), Direction.AUTOMATIC), other, RATE)


def test_a_jumper() -> None:
    with BenchLine(baud=None, echo=True) as line:
        findings = run_on(line, cable=False)
    (trial,) = findings.trials
    assert (trial.sent, trial.came, trial.intact, trial.stray, trial.echo) == (
        *(ALL_OCTETS, ALL_OCTETS, ALL_OCTETS),
        *(0, 0),
    )
    assert trial.is_clean
    assert trial.latency_s is not None
    assert findings.turnaround is None


def test_no_jumper() -> None:
    with BenchLine(baud=None) as line:
        findings = run_on(line, cable=False)
    (trial,) = findings.trials
    assert (trial.came, trial.latency_s) == (0, None)
    assert findings.rts is None, "a pty has no RTS to try"


@pytest.mark.parametrize("echo", [False, True])
def test_a_cable(echo: bool) -> None:
    with BenchLine(baud=None, echo=echo) as line:
        findings = run_on(line, cable=True)
    assert [trial.is_clean for trial in findings.trials] == [True, True]
    assert [trial.echo for trial in findings.trials] == [ALL_OCTETS * echo] * 2
    assert findings.turnaround is not None
    assert findings.turnaround.shortest_s == 0.0
    assert len(findings.ends) == 2


def test_noise_is_no_pass() -> None:
    with BenchLine(baud=115200) as line:
        line.float_idle(0.5)
        findings = run_on(line, cable=True)
    assert not all(trial.is_clean for trial in findings.trials)
    assert sum(trial.stray for trial in findings.trials)


def test_a_port_that_is_not_there() -> None:
    with pytest.raises(LineError, match="no such device"):
        run_loopback(settings_for("/dev/nowhere", Direction.AUTOMATIC), None, RATE)


@pytest.mark.parametrize(
    ("sent", "came", "intact"),
    [
        (b"\x01\x02\x03\x04", b"\x01\x02\x03\x04", 4),
        (b"\x01\x02\x03\x04", b"\x01\x02\x04", 3),
        (b"\x01\x02\x03\x04", b"\x01\xff\x03\x04", 3),
        (b"\x01\x02\x03\x04", b"", 0),
    ],
    ids=["whole", "one lost", "one damaged", "nothing"],
)
def test_octets_that_came_are_counted(sent: bytes, came: bytes, intact: int) -> None:
    assert Passage("x", sent, came, b"", None).intact == intact
