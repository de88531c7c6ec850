"""Four opendnp3 masters poll and operate four RTUs on one line of 9600 baud, while things go wrong.

    python -m tests.soak.masters [--seconds 60] [--seed 1] [--phases PHASES] [--echo]

Phases follow each other on one site: clean, noise, pulls, preempt, late; `noise+pulls` is one with both. It
prints figures, and what was wrong; the exit status is 1 if anything was.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence

from bridge.bench import BenchLine, BridgeProcess
from tests.soak import masters_checks as checks
from tests.soak import masters_trouble as trouble
from tests.soak.masters_report import Figures, Report, text_of
from tests.soak.masters_rtus import Rtus
from tests.soak.masters_scada import EVENTS, POLLS, SBO, Masters
from tests.soak.masters_wire import Listener, Wire, disorder, requests, selects
from tests.soak.site import BAUD, MASTER_TIMEOUT_S, PARTIES, Clock, configuration

CLEAN, NOISE, PULLS, PREEMPT, LATE = "clean", "noise", "pulls", "preempt", "late"
KINDS = (CLEAN, NOISE, PULLS, PREEMPT, LATE)
_PHASES = [CLEAN, NOISE, PULLS, PREEMPT, f"{PREEMPT}+{LATE}"]
_DESCRIPTION = "Four masters and four RTUs on one line of 9600 baud, in phases that follow each other."
_RECOVERY_S = 30.0
_REST_S = 10.0
_LONG_S = 4 * MASTER_TIMEOUT_S
"""A shorter phase with troubles may be over before somebody unlucky asked twice."""
_PAUSE_S = 0.2


class Soak:
    """The site, running. `run` lets the phases happen."""

    def __init__(self, line: BenchLine, bridge: BridgeProcess, *, seed: int) -> None:
        self.report = Report()
        self._line, self._bridge = line, bridge
        self._random = random.Random(seed)
        self._clock = Clock()
        self._wire = Wire(line)
        self._listener = Listener()
        self._rtus = Rtus(self._clock)
        self._masters = Masters(self._rtus.by_address.values(), self._clock)
        self._is_spoiled = False
        """Whether something else than a clean phase was before."""

    def run(self, phases: Sequence[str], seconds: float) -> None:
        """Let these phases follow each other, each this long, and judge them."""
        port = self._bridge.port()
        devices = [rtu.device for rtu in self._line.rtus]
        with self._rtus.running(devices), self._masters.connected(port):
            for phase in phases:
                self._run_phase(phase, seconds, port)
            self._collect_events()
            self._note("at the end", self._listener.halves())
            if self._rtus.error is not None:
                self._note("at the end", [f"the RTUs gave up: {self._rtus.error!r}"])
        self._judge_whole(is_clean=not self._is_spoiled)

    def _note(self, phase: str, problems: Iterable[str]) -> None:
        self.report.problems += [f"{phase}: {problem}" for problem in problems]

    # One phase

    def _run_phase(self, phase: str, seconds: float, port: int) -> None:
        kinds = set(phase.split("+"))
        figures = Figures(phase=phase, seconds=seconds)
        wire, counters = self._wire, self._line.counters
        first_frame = len(self._listener.frames)
        before = counters.collisions, wire.damaged_frames, wire.pulls, sum(counters.said)
        intrusions = trouble.Intrusions()
        if NOISE in kinds:
            trouble.noise(wire, self._random.randrange(1 << 16))
        with self._masters.working(phase, seconds), self._troubles(kinds, figures, port, intrusions):
            pass
        wire.make_clean()
        if kinds != {CLEAN}:
            self._is_spoiled = True
            figures.recovery_s = self._recover(phase)
        self._rest(phase)
        figures.collisions = counters.collisions - before[0]
        figures.damaged_frames = wire.damaged_frames - before[1]
        figures.pulls = wire.pulls - before[2]
        octets = sum(counters.said) - before[3]
        figures.busy_share = octets * 10 / BAUD / seconds
        figures.intrusions = intrusions
        frames = self._listener.frames[first_frame:]
        figures.frames, figures.selects = len(frames), selects(frames)
        figures.actions = {
            each.rtu.party.address: [action for action in each.actions if action.phase == phase]
            for each in self._masters.all
        }
        self.report.phases.append(figures)
        self._judge_phase(figures, kinds)
        if kinds == {CLEAN}:
            self._note(phase, disorder(frames))

    @contextlib.contextmanager
    def _troubles(
        self, kinds: set[str], figures: Figures, port: int, intrusions: trouble.Intrusions
    ) -> Iterator[None]:
        until_s = time.monotonic() + figures.seconds
        threads = []
        if PULLS in kinds:
            arguments = (self._wire, random.Random(self._random.random()), until_s)
            threads.append(threading.Thread(target=trouble.pull_now_and_then, args=arguments))
        if LATE in kinds:
            arguments = (self._wire, random.Random(self._random.random()), until_s)
            threads.append(threading.Thread(target=trouble.delay_now_and_then, args=arguments))
        if PREEMPT in kinds:
            seeded = random.Random(self._random.random())
            arguments = (self._masters.all, port, self._clock, seeded, until_s)
            threads.append(threading.Thread(target=intrusions.go_on, args=arguments))
        threads.append(threading.Thread(target=figures.watch, args=(until_s,)))
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            for thread in threads:
                thread.join()

    def _recover(self, phase: str) -> float:
        """Let every master poll until it is answered; return how long that took."""
        begun_s = time.monotonic()
        for master in self._masters.all:
            while not master.act(f"after {phase}", EVENTS).is_success:
                if time.monotonic() - begun_s > _RECOVERY_S:
                    self._note(phase, [f"{master.rtu.party.name} does not answer afterwards"])
                    break
        return time.monotonic() - begun_s

    def _rest(self, phase: str) -> None:
        """Wait until the bridge has nothing more to do, and look at its counters then."""
        until_s = time.monotonic() + _REST_S
        while problems := self._imbalance():
            if time.monotonic() > until_s:
                self._note(phase, problems)
                return
            time.sleep(_PAUSE_S)

    def _imbalance(self) -> list[str]:
        self._listener.listen(self._wire.said)
        status = self._bridge.status()
        sent = {
            party.address: sum(
                frame.is_from_bridge and frame.address == party.address for frame in self._listener.frames
            )
            for party in PARTIES
        }
        problems = list(checks.balance(status, sent, slack=self._wire.pulls))
        if not self._is_spoiled:
            asked = {party.address: requests(self._listener.frames, party.address) for party in PARTIES}
            problems += checks.cleanness(status, asked)
        return problems

    # Judgement

    def _judge_phase(self, figures: Figures, kinds: set[str]) -> None:
        phase, is_clean, is_preempted = figures.phase, kinds == {CLEAN}, PREEMPT in kinds
        for address, actions in figures.actions.items():
            failures = checks.failures(
                f"rtu-{address}", actions, is_clean=is_clean, is_preempted=is_preempted
            )
            self._note(phase, failures)
            is_long = is_clean or figures.seconds >= _LONG_S
            if is_long and not checks.successes(actions, POLLS):
                self._note(phase, [f"the master of {address} made no progress"])
        self._note(phase, figures.intrusions.problems)
        if not is_clean:
            return
        polls = {f"rtu-{address}": checks.successes(a, POLLS) for address, a in figures.actions.items()}
        self._note(phase, checks.proportion(polls))
        if figures.collisions:
            self._note(phase, [f"{figures.collisions} collisions"])
        if not figures.selects.parted and any(
            checks.successes(actions, (SBO,)) for actions in figures.actions.values()
        ):
            self._note(phase, ["nobody spoke between any SELECT and its OPERATE: that was not tested"])

    def _collect_events(self) -> None:
        """Make no more events, and let every master read what is left."""
        self._rtus.makes_events = False
        for master in self._masters.all:
            until_s = time.monotonic() + _RECOVERY_S
            while set(master.rtu.events) - set(master.hearsay.events) and time.monotonic() < until_s:
                master.act("at the end", EVENTS)

    def _judge_whole(self, *, is_clean: bool) -> None:
        self._note("on the wire", self._listener.problems)
        self._note("masters", self._masters.errors)
        for master in self._masters.all:
            rtu, hearsay, name = master.rtu, master.hearsay, master.rtu.party.name
            self._note(name, hearsay.problems)
            self._note(name, checks.executions(name, master.actions, rtu.executed))
            self._note(name, checks.events(name, rtu.events, hearsay.events, is_clean=is_clean))
            self.report.values[rtu.party.address] = hearsay.values
            self.report.oldest_s = max(self.report.oldest_s, hearsay.oldest_s)


def run(phases: Sequence[str], *, seconds: float, seed: int, is_echoing: bool = False) -> Report:
    """Make the site, let the phases happen, take it away, and return what came of it."""
    with BenchLine(baud=BAUD, rtus=len(PARTIES), echo=is_echoing, seed=seed) as line:
        bridge = BridgeProcess(configuration(line.device))
        try:
            bridge.start()
            bridge.wait_for_lines()
            soak = Soak(line, bridge, seed=seed)
            soak.run(phases, seconds)
        except BaseException:
            bridge.kill()
            print(bridge.log, file=sys.stderr)
            raise
        try:
            bridge.stop()
        except AssertionError as error:
            soak.report.problems.append(f"the bridge's end: {error}")
    return soak.report


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a soak from the command line; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.masters", description=_DESCRIPTION)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each phase is")
    parser.add_argument("--seed", type=int, default=1, help="of noise, pulls and second connections")
    parser.add_argument("--phases", type=_phases, default=_PHASES, help="as clean,noise+pulls,preempt")
    parser.add_argument("--echo", action="store_true", help="the bridge's adapter hears itself")
    options = parser.parse_args(arguments)
    report = run(options.phases, seconds=options.seconds, seed=options.seed, is_echoing=options.echo)
    print(text_of(report))
    return 1 if report.problems else 0


def _phases(text: str) -> list[str]:
    phases = text.split(",")
    for kind in (kind for phase in phases for kind in phase.split("+")):
        if kind not in KINDS:
            raise argparse.ArgumentTypeError(f"no phase {kind!r}; there are {', '.join(KINDS)}")
    return phases


if __name__ == "__main__":
    sys.exit(main())
