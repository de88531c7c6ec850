"""Waiting for a condition instead of for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE_S = 10.0
"""Five times what anything here should take on a busy machine."""


def until(
    condition: Callable[[], T], what: str, *, within_s: float = PATIENCE_S, pause_s: float = 0.005
) -> T:
    """Return what `condition` returns as soon as that is true; `what` says what was missed otherwise."""
    deadline_s = time.monotonic() + within_s
    while True:
        is_last = time.monotonic() >= deadline_s
        result = condition()
        if result:
            return result
        assert not is_last, f"not within {within_s:g} s: {what}"
        time.sleep(pause_s)
