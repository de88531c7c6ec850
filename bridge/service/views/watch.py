"""`rtu-bridge top`, `status --watch`: the status again and again, whatever becomes of the bridge."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Final

from rich.console import RenderableType
from rich.text import Text

from bridge.endpoints.status import fetch
from bridge.service import streams
from bridge.service.top import live
from bridge.service.views.no_status import NO_STATUS, problem_of
from bridge.service.views.panel import plain_console, readable, render

_ENDS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def watch(path: str, period_s: float) -> None:
    """Show the status of the bridge at `path` every `period_s` seconds until a key or a signal.

    On a terminal it is the live view, elsewhere one after the other is printed.
    """
    show = live.show if streams.is_screen() else _print_plainly
    with contextlib.suppress(KeyboardInterrupt), _ended_by_signals():
        show(path, period_s)


def _print_plainly(path: str, period_s: float) -> None:
    console = plain_console()
    while True:
        console.print(_view(path))
        console.print()
        time.sleep(period_s)


def _view(path: str) -> RenderableType:
    try:
        return render(readable(fetch(path)))
    except NO_STATUS as error:
        return Text(f"{path}: {problem_of(error)}", style="red")


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let the first signal raise KeyboardInterrupt, wherever the program waits, and the second end it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # What is ignored stays ignored: nohup does that, and a shell to what it starts in the background.
    before = {
        number: handler for number in _ENDS if (handler := signal.getsignal(number)) is not signal.SIG_IGN
    }

    def end(number: int, frame: FrameType | None) -> None:
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        raise KeyboardInterrupt

    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
