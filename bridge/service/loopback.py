"""The command `rtu-bridge loopback`: a port's self-test as text."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from bridge.endpoints.direction import Direction
from bridge.endpoints.loopback import RATES, Findings, Trial, run_loopback, settings_for
from bridge.errors import LineError
from bridge.service import streams
from bridge.service.configuration.schema import shortened

_PASSED, _FAILED = 0, 1
_LOWEST_RATE, _HIGHEST_RATE = 50, 4_000_000
"""What serial ports of Linux have."""
_LONGEST_RATE = 7
_RTS_REMEDY = 'write direction = "rs485", or "rts", with rts_on_send'


def loopback(
    device: str, other: str | None, *, rates: Iterable[int] = (), direction: str = "automatic"
) -> int:
    """Test, print what was found, and return 0 if every octet came at every rate, else 1."""
    asked = Direction(direction)
    try:
        findings = run_loopback(
            settings_for(device, asked),
            None if other is None else settings_for(other, asked),
            tuple(rates) or RATES,
        )
    except LineError as error:
        streams.complain(f"rtu-bridge loopback: {error.strerror}")
        return _FAILED
    print("\n".join(report(findings)))
    return _PASSED if all(trial.is_clean for trial in findings.trials) else _FAILED


def rates_of(text: str) -> tuple[int, ...]:
    """Read rates that commas separate; empty for no text. Raises ValueError, saying which is no rate."""
    rates = []
    for part in text.split(",") if text else ():
        rate = part.strip()
        # Not only int(): it takes underscores, other scripts' digits, and too long for the longest.
        is_rate = rate.isascii() and rate.isdigit() and len(rate) <= _LONGEST_RATE
        if not is_rate or not _LOWEST_RATE <= int(rate) <= _HIGHEST_RATE:
            raise ValueError(f"{shortened(rate)} is no rate; write {_LOWEST_RATE} to {_HIGHEST_RATE}")
        rates.append(int(rate))
    return tuple(rates)


def report(findings: Findings) -> Iterator[str]:
    """Yield the lines of a test's report: what was done, what came, and what that means."""
    for end in findings.ends:
        yield f"{end.device}: direction by {end.report.in_force}"
        if end.report.problem is not None:
            yield f"  {end.report.problem}"
        if os.path.realpath(end.device).startswith("/dev/pts/"):
            yield "  a pty: it has no bit rate, and every rate is the same test"
    for trial in findings.trials:
        yield _trial_line(trial)
        yield from (
            f"    {passage.pattern}: {passage.intact} of {len(passage.sent)} octets came whole"
            for passage in trial.passages
            if 0 < passage.intact < len(passage.sent)
        )
    yield from _meaning(findings)


def _trial_line(trial: Trial) -> str:
    way = trial.sender if trial.sender == trial.listener else f"{trial.sender} to {trial.listener}"
    errors = 1 - trial.intact / trial.sent
    latency = "" if trial.latency_s is None else f", first octet after {trial.latency_s * 1000:.1f} ms"
    echo = f", echo of {trial.echo} octets at the sender" if trial.echo else ""
    stray = f", {trial.stray} octets that nobody sent" if trial.stray else ""
    return (
        f"{trial.baud:>7} Bd  {way}: {trial.intact} of {trial.sent} octets whole, "
        f"error rate {errors:.2%}{latency}{stray}{echo}"
    )


def _meaning(findings: Findings) -> Iterator[str]:
    trials = findings.trials
    is_jumper = len(findings.ends) == 1
    if all(trial.is_clean for trial in trials):
        yield "passed: every octet came at every rate"
    elif all(trial.intact == trial.sent for trial in trials):
        yield "failed: every octet came, and others that nobody sent: noise; look at termination and bias"
    elif not any(trial.came for trial in trials):
        yield "failed: nothing came"
        yield (
            "  with a jumper: connect TX to RX, or switch the RS-485 receiver on while sending; "
            "a half-duplex port cannot hear itself otherwise: test it against a second port"
            if is_jumper
            else "  look at A and B (swapped?), the common ground, and whether these are the ports you mean"
        )
    else:
        yield f"failed: best up to {_best_rate(trials)}"
    yield from _rts_hint(findings)
    if any(trial.echo for trial in trials):
        yield "the sender hears itself: the bridge takes that echo out by itself"
    if findings.turnaround is not None:
        shortest_s = findings.turnaround.shortest_s
        if shortest_s is None:
            yield "an answer right after a question never came whole: the sender's driver lets go too late"
        elif shortest_s == 0:
            yield "an answer may follow at once: the driver lets go in time"
        else:
            yield (
                f"an answer came whole from {shortest_s * 1000:g} ms after a question on: "
                "the sender's driver lets go late; RTUs that answer sooner lose their first octets"
            )


def _rts_hint(findings: Findings) -> Iterator[str]:
    rts = findings.rts
    if rts is None:
        return
    if rts.intact_when_raised > rts.intact_when_lowered:
        yield f"octets pass only with RTS raised: {_RTS_REMEDY} = true"
    elif rts.intact_when_lowered > rts.intact_when_raised:
        yield f"octets pass only with RTS lowered: {_RTS_REMEDY} = false"
    else:
        yield "RTS makes no difference, raised or lowered"


def _best_rate(trials: Iterable[Trial]) -> str:
    by_rate: dict[int, bool] = {}
    for trial in trials:
        by_rate[trial.baud] = by_rate.get(trial.baud, True) and trial.is_clean
    whole = [baud for baud, is_whole in by_rate.items() if is_whole]
    return f"{max(whole)} Bd" if whole else "no rate"
