"""`rtu-bridge run`: from a configuration file to a bridge that runs until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from bridge.errors import BindError
from bridge.service import logs
from bridge.service.build import BOARD_LEDS, Bridge
from bridge.service.config import Configuration, load


def run(path: str) -> int:
    """Run the bridge and return the exit status: 0 after a signal, 1 when it cannot listen.

    Raises `ConfigurationError` before anything is started.
    """
    configuration = load(path, BOARD_LEDS)
    logs.set_up(configuration.service.log_level, configuration.service.log_format)
    for warning in configuration.warnings:
        print(warning, file=sys.stderr)
    return run_in_loop(_serve(configuration))


def run_in_loop(main: Coroutine[Any, Any, int]) -> int:
    """Run `main` in the fastest event loop there is on this machine."""
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    with contextlib.suppress(ImportError):
        from uvloop import new_event_loop as loop_factory
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(main)


async def _serve(configuration: Configuration) -> int:
    stopped = stop_signal()
    bridge = Bridge(configuration)
    try:
        await bridge.start()
    except BindError as error:
        print(error.strerror, file=sys.stderr)
        return 1
    # What is alive now stays for the program's life: the collector need not look at it again with every
    # generation, and its pauses do not show in the round trips.
    gc.collect()
    gc.freeze()
    await stopped.wait()
    await bridge.close()
    return 0


def stop_signal() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set. To be called in the running loop."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    return stopped
