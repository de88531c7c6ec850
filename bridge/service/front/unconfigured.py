"""`rtu-bridge unconfigured`: an appliance without a configuration shows that it is alive."""

from __future__ import annotations

import asyncio
from typing import Final

from bridge.endpoints.events import note, warn
from bridge.service import log_queue, logs
from bridge.service.run import run_in_loop, stop_signal
from hw.board import DEFAULT_BOARD, SYSTEM_LED
from hw.driver import LedDriver
from hw.gpio import GpioBackend, open_panel
from hw.indicator import Heartbeat, HeartState, LedKind
from hw.wiring import KernelLed, LedPin, LedWiring, PanelWiring

_BOARDS_OWN: Final = "ACT"
"""The green LED that every Raspberry Pi has, as Linux calls it."""


def show(backend: GpioBackend = GpioBackend.AUTO) -> int:
    """Flash the system LED and the board's own one slowly until a signal; return the exit status, 0.

    The system LED is taken to be where boards without a name of their own have it: nobody said otherwise.
    """
    logs.set_up("info", "text")
    with log_queue.in_background():
        run_in_loop(_show(backend))
    return 0


async def _show(backend: GpioBackend) -> None:
    stopped: asyncio.Event = stop_signal()
    pin = DEFAULT_BOARD.led_pins[SYSTEM_LED]
    wiring: dict[str, LedWiring] = {SYSTEM_LED: LedPin(pin), _BOARDS_OWN: KernelLed(_BOARDS_OWN)}
    panel = open_panel(PanelWiring(leds=wiring), backend=backend)
    for problem in (panel.problem, *panel.pin_problems.values()):
        if problem is not None:
            warn("no GPIO", reason=problem)
    lights = {name: Heartbeat((), LedKind.SINGLE, HeartState.UNCONFIGURED) for name in wiring}
    driver = LedDriver(lights, panel.leds)
    driver.start()
    note("unconfigured", system_led=f"GPIO{pin}")
    await stopped.wait()
    await driver.close()
    panel.close()
