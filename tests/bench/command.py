"""What the commands of the measurements share: the forms of a result, progress, and how they end."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

from tests.bench.rig import BenchError

Say = Callable[[str], None]
R = TypeVar("R")


def add_forms(parser: argparse.ArgumentParser) -> None:
    """Add `--markdown` and `--json`, instead of a table for the terminal."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true", help="the table for the README")
    form.add_argument("--json", action="store_true", help="raw figures")


def carry_out(measure: Callable[[Say], R], form: Callable[[R], str], is_clean: Callable[[R], bool]) -> int:
    """Measure, print the result and return the exit status; `measure` gets what says how far it is."""
    signal.signal(signal.SIGTERM, _stop)
    try:
        result = measure(_say)
    except BenchError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    finally:
        _say("")
    print(form(result))
    return 0 if is_clean(result) else 1


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
