"""Waiting for a condition inside an event loop; `tests.support.waiting` is the same outside."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from tests.support.waiting import PATIENCE_S

T = TypeVar("T")

_PAUSE_S = 0.002


async def eventually(condition: Callable[[], T], what: str, *, within_s: float = PATIENCE_S) -> T:
    """Return what `condition` returns as soon as that is true; `what` says what was missed otherwise."""
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + within_s
    while True:
        is_last = loop.time() >= deadline_s
        result = condition()
        if result:
            return result
        assert not is_last, f"not within {within_s:g} s: {what}"
        await asyncio.sleep(_PAUSE_S)


async def turns_of_the_loop(count: int = 20) -> None:
    """Let everything run that is ready now, and what that makes ready: for what must not happen."""
    for _ in range(count):
        await asyncio.sleep(0)
