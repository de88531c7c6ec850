"""Work that can block, beside the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from bridge.endpoints.events import warn

T = TypeVar("T")

_RETRY_S: Final = 0.2


def in_thread(loop: asyncio.AbstractEventLoop, work: Callable[[], T], name: str) -> asyncio.Future[T]:
    """Run `work` in a daemon thread: one that blocks for ever must not keep the program from ending.

    While the system has no thread to give it waits for one: a port that is not closed, or not tried again,
    would be lost for good.
    """
    future: asyncio.Future[T] = loop.create_future()

    def succeed(result: T) -> None:
        if not future.cancelled():
            future.set_result(result)

    def fail(error: Exception) -> None:
        if not future.cancelled():
            future.set_exception(error)

    def run() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            try:
                result = work()
            except Exception as error:
                loop.call_soon_threadsafe(fail, error)
            else:
                loop.call_soon_threadsafe(succeed, result)

    def start(*, is_first: bool) -> None:
        try:
            threading.Thread(target=run, daemon=True, name=name).start()
        except RuntimeError as error:
            if is_first:
                warn("no thread", work=name, reason=str(error))
            loop.call_later(_RETRY_S, lambda: start(is_first=False))

    start(is_first=True)
    return future
