"""Integrity polls a second: our outstation beside yadnp3's and py1815's, in one run.

python -m tests.bench.polls [--quick] [--peers uvloop,yadnp3,...] [--pin one|split|none] [--markdown | --json]

The master is a C program (poller.c) that checks every answer while its clock stands. Every round starts every
outstation afresh, one after the other, because the machine's speed drifts; figures are medians over the
quietest third of the rounds. Exit status: 0 measured, 1 an outstation failed or answered wrongly, 2 the bench
cannot run. A peer that is not installed is reported as missing, which is no failure.

On one core (the default) a poll takes what all its work takes, to and fro: that compares the programs.
`--pin split` and `none` add the time in which the other core wakes up, the same for all.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

from tests.bench import polled, rig
from tests.bench.bridges import DEFAULT_PIN, machine, pinned
from tests.bench.command import add_forms, carry_out
from tests.bench.measure import Plan as Cores
from tests.bench.report import PINS, aligned, piped

STARTED_S = 10.0
"""How long the poller may take beyond its measuring time."""

_PINS = {**PINS, "split": "the outstation on one core, the master on another"}

UNCHANGED = "unchanged"
CHANGES: dict[str, bytes | None] = {UNCHANGED: None, "one changes": polled.ONE, "all change": polled.ALL}


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured. A block of polls ends after its polls or its time, whichever comes first."""

    points: tuple[int, ...] = (10, 100, 1000)
    changes: tuple[str, ...] = tuple(CHANGES)
    rounds: int = 6
    polls: int = 5000
    block_s: float = 0.4
    budget_s: float = 165.0


QUICK = Plan(points=(10, 1000), rounds=1, polls=100, block_s=0.2)


@dataclass(frozen=True, slots=True)
class Contender:
    """One outstation: `kind` names its program in polled.py, `package` what it needs to be installed."""

    key: str
    label: str
    kind: Callable[..., None]
    package: str
    module: str

    def missing(self) -> str | None:
        return None if importlib.util.find_spec(self.module) else f"{self.package} is not installed"

    @property
    def version(self) -> str:
        return "" if self.missing() else f"{self.package} {importlib.metadata.version(self.package)}"


CONTENDERS: dict[str, Contender] = {
    each.key: each
    for each in (
        Contender("uvloop", "RTU Bridge", polled.ours_on_uvloop, "uvloop", "uvloop"),
        Contender("asyncio", "RTU Bridge, stdlib loop", polled.ours_on_asyncio, "rtu-bridge", "bridge"),
        Contender("yadnp3", "yadnp3 (C++)", polled.yadnp3, "yadnp3", "opendnp3"),
        Contender("py1815", "py1815", polled.py1815, "py1815", "py1815"),
    )
}
OURS = ("uvloop", "asyncio")
YARDSTICKS = ("yadnp3", "py1815")


# ---------------------------------------------------------------------------------------------- measuring


@dataclass(frozen=True, slots=True)
class Block:
    """What poller.c measured: polls a second, one poll's microseconds, and how long changing values took."""

    polls: int
    rate: float
    p50_us: float
    p99_us: float
    change_us: float
    octets: int
    fragments: int


Case = tuple[int, str]
"""Points, and what changes between polls."""


def _polled(
    contender: Contender, points: int, directory: Path, plan: Plan, cores: Cores
) -> dict[Case, Block]:
    """Starts one outstation, polls it in each of the ways, ends it; raises BenchError."""
    log = directory / f"{contender.key}.log"
    blocks = {}
    with ExitStack() as stack:
        channels = socket.socketpair()
        ours, theirs = (stack.enter_context(each) for each in channels)
        port = rig.free_port()
        command = [sys.executable, "-m", "tests.bench.polled", contender.kind.__name__]
        command += map(str, (port, points, theirs.fileno()))
        child = stack.enter_context(
            rig.process(command, log=log, cores=cores.bridge_cores, pass_fds=[theirs.fileno()])
        )
        line = stack.enter_context(rig.connected(port, child, log))
        for name in plan.changes:
            what = CHANGES[name]
            arguments = [str(line.fileno()), str(points), str(plan.polls), str(plan.block_s)]
            arguments += [] if what is None else [str(ours.fileno()), what.decode()]
            with rig.on_cores(cores.client_cores):
                blocks[points, name] = _poller(directory, arguments, (line, ours), plan.block_s, log)
    return blocks


def _poller(
    directory: Path, arguments: Sequence[str], inherited: Sequence[socket.socket], block_s: float, log: Path
) -> Block:
    try:
        done = subprocess.run(
            [str(directory / "poller"), *arguments],
            pass_fds=[each.fileno() for each in inherited],
            capture_output=True,
            text=True,
            check=False,
            timeout=block_s + STARTED_S,
        )
    except subprocess.TimeoutExpired:
        raise rig.BenchError("the poller does not end") from None
    if done.returncode:
        raise rig.BenchError(f"{done.stderr.strip()} ({rig.last_words(log)})")
    return Block(**json.loads(done.stdout))


# ---------------------------------------------------------------------------------------------- all rounds


@dataclass(frozen=True, slots=True)
class Summary:
    """One outstation over all rounds."""

    key: str
    label: str
    version: str
    status: str  # measured, missing, failed
    reason: str
    rounds: int
    cases: dict[Case, Block]


@dataclass(frozen=True, slots=True)
class Result:
    """A whole run."""

    plan: Plan
    pin: str
    machine: dict[str, str]
    took_s: float
    outstations: tuple[Summary, ...]

    def of(self, key: str) -> Summary | None:
        return next((each for each in self.outstations if each.key == key), None)

    def ratio(self, key: str, yardstick: str, case: Case) -> float | None:
        """Polls a second over the yardstick's, both from this run."""
        one, other = self.of(key), self.of(yardstick)
        if one is None or other is None or case not in one.cases or case not in other.cases:
            return None
        return one.cases[case].rate / other.cases[case].rate


def _together(blocks: Sequence[Block]) -> Block:
    """Rates and times of the quietest third, polls of all."""
    quiet = sorted(blocks, key=lambda block: -block.rate)[: -(-len(blocks) // 3)]
    return replace(
        quiet[0],
        polls=sum(block.polls for block in blocks),
        rate=median(block.rate for block in quiet),
        p50_us=median(block.p50_us for block in quiet),
        p99_us=median(block.p99_us for block in quiet),
        change_us=median(block.change_us for block in quiet),
    )


def _summary(contender: Contender, rounds: list[dict[Case, Block]], reason: str, status: str) -> Summary:
    return Summary(
        contender.key,
        contender.label,
        contender.version,
        status,
        reason,
        len(rounds),
        {case: _together([each[case] for each in rounds]) for case in (rounds[0] if rounds else ())},
    )


def run(
    plan: Plan,
    contenders: Sequence[Contender],
    *,
    pin: str = DEFAULT_PIN,
    say: Callable[[str], None] = lambda _: None,
) -> Result:
    """Measures the outstations in rounds; raises BenchError only when the bench itself cannot run."""
    cores = pinned(Cores(), pin)
    started = time.monotonic()
    missing = {each.key: why for each in contenders if (why := each.missing())}
    failed: dict[str, str] = {}
    rounds: dict[str, list[dict[Case, Block]]] = {each.key: [] for each in contenders}
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rtu-bench-")))
        for program in ("poller", "awake"):
            rig.build(program, directory)
        stack.enter_context(rig.cores_awake(directory, cores.cores))
        for number in range(plan.rounds):
            begun = time.monotonic()
            seen: dict[str, dict[Case, Block]] = {each.key: {} for each in contenders}
            for points in plan.points:
                for each in contenders:
                    if each.key in missing or each.key in failed:
                        continue
                    say(f"round {number + 1} of {plan.rounds}: {points} points, {each.label}")
                    try:
                        seen[each.key] |= _polled(each, points, directory, plan, cores)
                    except rig.BenchError as error:
                        failed[each.key] = str(error)
            for key, blocks in seen.items():
                if key not in missing and key not in failed:
                    rounds[key].append(blocks)
            now = time.monotonic()
            if now - started + (now - begun) > plan.budget_s:
                break
    summaries = []
    for each in contenders:
        status = "missing" if each.key in missing else "failed" if each.key in failed else "measured"
        reason = missing.get(each.key) or failed.get(each.key, "")
        summaries.append(_summary(each, rounds[each.key], reason, status))
    return Result(plan, pin, machine(), time.monotonic() - started, tuple(summaries))


def clean(result: Result) -> bool:
    """True when every installed outstation was measured and answered rightly."""
    return all(each.status != "failed" for each in result.outstations)


# ---------------------------------------------------------------------------------------------- report


def grid(result: Result) -> list[list[str]]:
    """Headings, and a line per case."""
    measured = [each for each in result.outstations if each.cases]
    pairs = [(ours, other) for ours in OURS for other in YARDSTICKS if result.of(ours) and result.of(other)]
    heads = ["analog inputs", *(each.label for each in measured)]
    heads += [f"{'' if ours == OURS[0] else 'stdlib '}x {other}" for ours, other in pairs]
    lines = [heads]
    for points in result.plan.points:
        for name in result.plan.changes:
            case = (points, name)
            cells = [f"{each.cases[case].rate:,.0f}" if case in each.cases else "" for each in measured]
            ratios = [result.ratio(ours, other, case) for ours, other in pairs]
            cells += ["" if ratio is None else f"{ratio:.2f}" for ratio in ratios]
            lines.append([f"{points}, {name}", *cells])
    return lines


def notes(result: Result) -> list[str]:
    """What the figures are, and whatever went wrong."""
    rounds = max((each.rounds for each in result.outstations), default=0)
    lines = [
        "Integrity polls (classes 1, 2, 3 and 0) a second over TCP, a C master, g30v1, every answer checked; "
        f"{_PINS[result.pin]}; medians of the quietest third of {rounds} interleaved rounds. Trust ratios, "
        "not rates.",
        "one changes, all change: before each poll, without events; changing them is not timed.",
    ]
    lines += [
        f"{each.label}: {each.status}: {each.reason}"
        for each in result.outstations
        if each.status != "measured"
    ]
    versions = sorted({each.version for each in result.outstations} - {""})
    named = [*(f"{name} {value}" for name, value in result.machine.items()), *versions]
    return [*lines, f"{', '.join(named)}; {result.took_s:.0f} s."]


def terminal(result: Result) -> str:
    return "\n\n".join([aligned(grid(result)), "\n".join(notes(result))])


def markdown(result: Result) -> str:
    return "\n\n".join([piped(grid(result)), *notes(result)])


def as_json(result: Result) -> str:
    outstations = [
        {
            **{name: value for name, value in asdict(each).items() if name != "cases"},
            "cases": [
                {
                    "points": case[0],
                    "values": case[1],
                    **asdict(block),
                    "ratio_to": {key: result.ratio(each.key, key, case) for key in YARDSTICKS},
                }
                for case, block in each.cases.items()
            ],
        }
        for each in result.outstations
    ]
    head = {"pin": result.pin, "took_s": round(result.took_s, 1), "machine": result.machine}
    return json.dumps({**head, "plan": asdict(result.plan), "outstations": outstations}, indent=1)


# ---------------------------------------------------------------------------------------------- command line


def chosen(names: str) -> list[Contender]:
    unknown = [name for name in names.split(",") if name not in CONTENDERS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no {', '.join(unknown)}; there are {', '.join(CONTENDERS)}")
    return [CONTENDERS[name] for name in names.split(",")]


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.polls", description=__doc__.splitlines()[0])
    every = list(CONTENDERS.values())
    parser.add_argument("--peers", type=chosen, default=every, help=f"of {','.join(CONTENDERS)}")
    parser.add_argument("--quick", action="store_true", help="one short round; rough figures")
    parser.add_argument("--rounds", type=int, help="instead of the plan's")
    parser.add_argument("--pin", choices=PINS, default=DEFAULT_PIN, help="one: all on one core (default)")
    add_forms(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    options = arguments(argv)
    plan = QUICK if options.quick else Plan()
    if options.rounds:
        plan = replace(plan, rounds=options.rounds)
    form = as_json if options.json else markdown if options.markdown else terminal
    return carry_out(lambda say: run(plan, options.peers, pin=options.pin, say=say), form, clean)


if __name__ == "__main__":
    sys.exit(main())
