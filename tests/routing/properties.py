"""Many seeds of the simulated bus: python -m tests.routing.properties --seeds 5000 --start 1000."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections import Counter

from tests.routing.bus.referee import ViolationError
from tests.routing.bus.simulator import run


def main() -> int:
    parser = argparse.ArgumentParser(description="Run seeds of the simulated bus and report broken rules.")
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--longer", type=float, default=1.0, help="how many times as long each run lasts")
    options = parser.parse_args()
    broken: Counter[str] = Counter()
    frames = exchanges = 0
    for seed in range(options.start, options.start + options.seeds):
        try:
            books = run(seed, lasts=options.longer)
        except ViolationError as violation:
            broken[violation.rule.name] += 1
            print(f"seed {seed}: {violation}", file=sys.stderr)
        except Exception:
            broken["it raised"] += 1
            print(f"seed {seed}:", file=sys.stderr)
            traceback.print_exc()
        else:
            frames += books.submitted.total()
            exchanges += books.opened
    print(
        f"{options.seeds} seeds, {frames} frames, {exchanges} exchanges, broken: {dict(broken) or 'nothing'}"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
