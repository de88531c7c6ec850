"""Our bridge beside ser2net, socat, a minimal C bridge and the bare pty, in one run.

python -m tests.bench.bridges [--quick] [--peers ours,c,...] [--pin one|split|none] [--markdown | --json]

Every round starts every peer afresh, one after the other, because the machine's speed drifts; figures are
medians over the quietest third of a peer's rounds. Exit status: 0 measured, 1 a peer failed or damaged a
frame, 2 the bench cannot run. A peer that is not installed is reported as missing, which is no failure.

Why the quietest third, one core, and the others kept busy: octets pass a pty through a kernel worker thread,
which the scheduler may put on any core. On the bridge's core the C bridge measures 33 us, on another one 80,
on a halted one up to 150; which it is stays so for seconds and is chance. With every other core kept busy
(awake.c) the worker stays on the bridge's core in most rounds, and then a round trip is the sum of all the
work that anybody does for it. `--pin split` gives the bridge a core to itself: what a bridge does after it
passed the octets on is then hidden behind the worker.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from tests.bench import report, rig
from tests.bench.command import add_forms, carry_out
from tests.bench.measure import Plan, Summary, Visit, summarize, visit
from tests.bench.peers import PEERS, Peer
from tests.bench.report import PINS, Result

FULL = Plan()
QUICK = Plan(rounds=2, frames=400, block_s=0.25, uart_frames=8, uart_rounds=1, budget_s=12.0)

DEFAULT_PIN = "one"


def pinned(plan: Plan, pin: str) -> Plan:
    """The plan with its cores; `split` needs two."""
    cores = sorted(os.sched_getaffinity(0))
    if pin == "none":
        return plan
    if pin == "split" and len(cores) < 2:
        raise rig.BenchError("--pin split needs two cores")
    bridge, client = (cores[0], cores[1]) if pin == "split" else (cores[-1], cores[-1])
    return replace(plan, bridge_cores=frozenset({bridge}), client_cores=frozenset({client}))


def run(
    plan: Plan,
    peers: Sequence[Peer],
    *,
    pin: str = DEFAULT_PIN,
    awake: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> Result:
    """Measures the peers in rounds; raises BenchError only when the bench itself cannot run."""
    plan = pinned(plan, pin)
    started = time.monotonic()
    missing = {peer.key: why for peer in peers if (why := peer.missing())}
    failed: dict[str, str] = {}
    visits: dict[str, list[Visit]] = {peer.key: [] for peer in peers}
    done = 0
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rtu-bench-")))
        for program in ("responder", "epoll_bridge", "awake"):
            rig.build(program, directory)
        if awake:
            stack.enter_context(rig.cores_awake(directory, plan.cores))
        for number in range(plan.rounds):
            round_started = time.monotonic()
            for peer in peers:
                if peer.key in missing or peer.key in failed:
                    continue
                say(f"round {number + 1} of {plan.rounds}: {peer.label}")
                place = directory / f"{peer.key}-{number}"
                try:
                    seen = visit(peer, directory, place, plan, uart=number < plan.uart_rounds)
                    visits[peer.key].append(seen)
                except rig.BenchError as error:
                    failed[peer.key] = str(error)
            done += 1
            now = time.monotonic()
            if now - started + (now - round_started) > plan.budget_s:
                break
    summaries = tuple(_summary(peer, visits[peer.key], missing, failed) for peer in peers)
    return Result(plan, pin, awake, machine(), done, time.monotonic() - started, summaries)


def _summary(peer: Peer, visits: list[Visit], missing: dict[str, str], failed: dict[str, str]) -> Summary:
    if peer.key in missing:
        return summarize(peer, [], "missing", missing[peer.key])
    if peer.key in failed:
        return summarize(peer, visits, "failed", failed[peer.key])
    return summarize(peer, visits, "measured")


def machine() -> dict[str, str]:
    return {
        "Linux": platform.release(),
        "machine": platform.machine(),
        "cores": str(os.cpu_count()),
        "Python": platform.python_version(),
    }


def clean(result: Result) -> bool:
    """True when every installed peer was measured and no octet of an answer was wrong."""
    return all(
        peer.status == "missing"
        or (peer.status == "measured" and not any(block.damaged for block in peer.sizes.values()))
        for peer in result.peers
    )


def chosen(names: str) -> list[Peer]:
    unknown = [name for name in names.split(",") if name not in PEERS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no peer {', '.join(unknown)}; there are {', '.join(PEERS)}")
    return [PEERS[name] for name in names.split(",")]


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.bridges", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--peers", type=chosen, default=list(PEERS.values()), help=f"of {','.join(PEERS)}")
    parser.add_argument("--quick", action="store_true", help="about 10 s in all; rough figures")
    parser.add_argument("--rounds", type=int, help="instead of the plan's")
    parser.add_argument("--frames", type=int, help="round trips per block, instead of the plan's")
    parser.add_argument(
        "--pin",
        choices=PINS,
        default=DEFAULT_PIN,
        help="one: all on one core, the steadiest (default); split: bridge and client apart; none",
    )
    parser.add_argument("--let-sleep", action="store_true", help="do not keep the cores awake")
    add_forms(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    options = arguments(argv)
    plan = QUICK if options.quick else FULL
    if options.rounds:
        plan = replace(plan, rounds=options.rounds, uart_rounds=min(plan.uart_rounds, options.rounds))
    if options.frames:
        plan = replace(plan, frames=options.frames)
    form = report.as_json if options.json else report.markdown if options.markdown else report.terminal
    return carry_out(
        lambda say: run(plan, options.peers, pin=options.pin, awake=not options.let_sleep, say=say),
        form,
        clean,
    )


if __name__ == "__main__":
    sys.exit(main())
