"""`rtu-bridge status --watch`: the status again and again, whatever becomes of the bridge meanwhile."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from bridge.endpoints.status import fetch
from bridge.service.panel import plain_console, readable, render

NO_STATUS: Final = (OSError, ValueError, RecursionError)
"""What asking a bridge for its status raises when there is none to show."""

_ENDS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def watch(path: str, period_s: float) -> None:
    """Show the status of the bridge at `path` every `period_s` seconds until a signal.

    On a terminal it is one picture that changes, elsewhere one after the other is printed.
    """
    console = plain_console()
    show = _show_live if console.is_terminal and not console.is_dumb_terminal else _print_plainly
    with contextlib.suppress(KeyboardInterrupt), _ended_by_signals():
        show(console, path, period_s)


def reason_of(error: BaseException) -> str:
    """Say in words why there is no status."""
    return getattr(error, "strerror", None) or str(error)


def _show_live(console: Console, path: str, period_s: float) -> None:
    foot = Text(f"every {period_s:g} s; Ctrl-C ends", style="dim")
    live = Live(console=console, screen=True, auto_refresh=False)
    try:
        # Not `with`: a signal in the middle of its start would leave the terminal without a cursor.
        live.start()
        while True:
            live.update(Group(foot, _view(path)), refresh=True)
            time.sleep(period_s)
    finally:
        live.stop()


def _print_plainly(console: Console, path: str, period_s: float) -> None:
    while True:
        console.print(_view(path))
        console.print()
        time.sleep(period_s)


def _view(path: str) -> RenderableType:
    try:
        return render(readable(fetch(path)))
    except (FileNotFoundError, ConnectionRefusedError) as error:
        what = f"not running: {reason_of(error)}"
    except NO_STATUS as error:
        what = f"no status: {reason_of(error)}"
    return Text(f"{path}: {what}", style="red")


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
