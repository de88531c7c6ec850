"""`python -m tests.soak.faults`: a thousand faults, a check after each, and a report.

A bridge process with five lines and eight masters, all of which poll without end. Each fault is followed by
a check that every master has fresh answers of each of its RTUs. Exit status 1 when something happened that
must not: stale, torn or misrouted frames, peers that are not gone in time, no recovery, descriptors, threads
or memory that grow, counters that do not balance, an unexpected line in the log. `--seed S --only N` makes
one fault again.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.soak import faults_of_hosts
from tests.soak.faults_run import run
from tests.support import netns


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the faults, print the report, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.faults", description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="how many faults (default: 1000)")
    parser.add_argument("--seed", default=str(random.randrange(1_000_000)), help="the order and all dice")
    parser.add_argument("--only", type=int, help="make only the fault with this number")
    parser.add_argument("--report", type=Path, help="write the report to this file, too")
    options = parser.parse_args(arguments)
    try:
        netns.enter()
        faults_of_hosts.has_own_network = True
    except OSError as error:
        print(f"no network of its own ({error}): the fault 'network down' is skipped", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="soak-") as directory:
        report = asyncio.run(
            run(
                Path(directory),
                seed=options.seed,
                count=options.count,
                only=options.only,
                say=lambda text: print(text, file=sys.stderr, flush=True),
            )
        )
    print(report)
    if options.report is not None:
        options.report.write_text(f"{report}\n", encoding="utf-8")
    return 0 if report.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
