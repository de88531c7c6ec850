"""`rtu-bridge run`: from a configuration file to a bridge that runs until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final, TypeVar

from bridge.endpoints.events import warn
from bridge.errors import BindError
from bridge.service import log_queue, logs
from bridge.service.build import Bridge
from bridge.service.configuration.config import Configuration, load
from bridge.service.front.front_panel import BOARD_LEDS
from bridge.service.notify import kept_informed, lines_down
from bridge.service.paths import configuration_problems

T = TypeVar("T")

POWEROFF_REQUEST: Final = "poweroff"
"""The file that says that the button was held."""

_STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""SIGHUP is what a terminal that closes sends, or a session that ends."""


def run(path: str) -> int:
    """Run the bridge and return the exit status: 0 after a signal, 1 when it cannot listen.

    Raises `ConfigurationError` before anything is started.
    """
    configuration = load(path, BOARD_LEDS)
    logs.set_up(configuration.service.log_level, configuration.service.log_format)
    with log_queue.in_background() as log:
        for warning in configuration.warnings:
            warn("configuration", warning=warning)
        problem = run_in_loop(_serve(configuration, log))
    if problem is not None:
        log_queue.say(problem)
        return 1
    return 0


def run_in_loop(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` in the fastest event loop there is on this machine."""
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    with contextlib.suppress(ImportError):
        from uvloop import new_event_loop as loop_factory
    # Closed: where no loop can be had, nobody awaits it.
    with contextlib.closing(main), asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(_until_the_end(main))


async def _until_the_end(main: Coroutine[Any, Any, T]) -> T:
    try:
        return await main
    finally:
        # What is left is to write the last log lines. A loop that closes gives the signals back to Python,
        # and another one would then be a traceback or another exit status.
        loop = asyncio.get_running_loop()
        for number in _STOP_SIGNALS:
            if loop.remove_signal_handler(number):
                signal.signal(number, signal.SIG_IGN)


async def _serve(configuration: Configuration, log: log_queue.LogCounters) -> str | None:
    """Serve until a signal; return why it could not, or None."""
    stopped = stop_signal()
    forget_poweroff(configuration)
    problems = configuration_problems(configuration.source_name)
    for problem in problems:
        warn("the configuration from before is in force", problem=problem)
    bridge = Bridge(
        configuration, ended=lambda: end_by_button(stopped, configuration), log=log, problems=problems
    )
    try:
        await bridge.start()
    except BindError as error:
        return error.strerror or str(error)
    # What is alive now stays for the program's life: the collector need not look at it again with every
    # generation, and its pauses do not show in the round trips.
    gc.collect()
    gc.freeze()
    async with kept_informed(lambda: lines_down(bridge.hubs.values())):
        await stopped.wait()
    await bridge.close()
    return None


def end_by_button(stopped: asyncio.Event, configuration: Configuration) -> None:
    """End the program and leave word beside its status socket: an appliance then switches itself off."""
    with contextlib.suppress(OSError):
        _poweroff_request(configuration).touch()
    stopped.set()


def forget_poweroff(configuration: Configuration) -> None:
    """Take back what an earlier run's button said."""
    with contextlib.suppress(OSError):
        _poweroff_request(configuration).unlink()


def _poweroff_request(configuration: Configuration) -> Path:
    return Path(configuration.service.status_socket).with_name(POWEROFF_REQUEST)


def stop_signal() -> asyncio.Event:
    """Return an event that SIGTERM, SIGINT and SIGHUP set. To be called in the running loop."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _STOP_SIGNALS:
        # nohup has SIGHUP ignored, so that the program outlives its terminal.
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            loop.add_signal_handler(number, stopped.set)
    return stopped
