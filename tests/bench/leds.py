"""What the LEDs cost: process time against wall time while all of them blink, on mock pins.

python -m tests.bench.leds [--leds N] [--seconds S]

Every LED has its own output and its own phase, the worst case for a driver that wakes for each change. For
each row of the table it prints the share of one core, the changes a second and the threads that were added.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import threading
import time
from contextlib import ExitStack

from hw.driver import LedDriver
from hw.gpio import BicolourPins, GpioBackend, LedPin, LedWiring, Output
from hw.indicator import Indicator, LedKind
from tests.support.leds import open_leds

_PINS_OF_A_BANK = range(4, 20)
"""A mock Pi has 28 pins, so there are as many mock Pis as it takes."""
_SPREAD_S = 0.2
_EVENT_EVERY_S = 0.1
"""How often at most an indicator is told of a frame or a noise."""


class Counted:
    """An output that counts what is written to it."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self.name = output.name
        self.writes = 0

    def set(self, lit: object) -> None:
        self.writes += 1
        self._output.set(lit)  # type: ignore[arg-type]

    def close(self) -> None:
        self._output.close()


def wirings(kind: LedKind, count: int) -> list[dict[str, LedWiring]]:
    """Return banks of LEDs, each for a mock machine of its own."""
    pins = list(_PINS_OF_A_BANK)
    leds: list[LedWiring] = [LedPin(pin) for pin in pins]
    if kind is LedKind.BICOLOUR:
        leds = [BicolourPins(red, green) for red, green in zip(pins[::2], pins[1::2], strict=True)]
    names = [f"led{number}" for number in range(count)]
    banks = (names[first : first + len(leds)] for first in range(0, count, len(leds)))
    return [dict(zip(bank, leds, strict=False)) for bank in banks]


def indicators(kind: LedKind, history: str, count: int, now: float) -> list[Indicator]:
    """Return indicators in the state that a history leads to, each with a phase of its own."""
    chance = random.Random(1)
    found = []
    for _ in range(count):
        indicator = Indicator(kind)
        indicator.line_up(now - 60)
        indicator.master_connected(now - 60)
        before = now - _SPREAD_S * chance.random()
        if history == "lost":
            indicator.master_disconnected(before)
        elif history in ("missing", "silent"):
            for _ in range(3 if history == "silent" else 1):
                indicator.request_sent(before)
                indicator.answer_missed(before)
        elif history == "noise":
            indicator.noise_heard(before)
        found.append(indicator)
    return found


async def measure(kind: LedKind, history: str, count: int, wall_s: float) -> tuple[float, float, int]:
    """Return the share of a core, the writes a second and the threads that the LEDs added."""
    loop = asyncio.get_running_loop()
    threads = threading.active_count()
    with ExitStack() as stack:
        outputs: dict[str, Counted] = {}
        for bank in wirings(kind, count):
            opened = open_leds(bank, backend=GpioBackend.MOCK)
            assert (opened.problem, opened.pin_problems) == (None, {})
            stack.callback(opened.close)
            outputs |= {name: Counted(output) for name, output in opened.leds.items()}
        lights = indicators(kind, history, count, loop.time())
        driver = LedDriver(dict(zip(outputs, lights, strict=True)), outputs)
        driver.start()
        if history == "locate":
            driver.locate(None, 3600)
        await asyncio.sleep(0.1)
        written = sum(output.writes for output in outputs.values())
        cpu_s, began_s = time.process_time(), time.monotonic()
        while (left_s := began_s + wall_s - time.monotonic()) > 0:
            await asyncio.sleep(min(_EVENT_EVERY_S, left_s) if history in ("frames", "noise") else left_s)
            for name, light in zip(outputs, lights, strict=True):
                if history == "frames":
                    light.request_sent(loop.time())
                elif history == "noise":
                    light.noise_heard(loop.time())
                else:
                    continue
                driver.changed(name)
        took_s = time.monotonic() - began_s
        share = (time.process_time() - cpu_s) / took_s
        writes = sum(output.writes for output in outputs.values()) - written
        added = threading.active_count() - threads
        await driver.close()
    return share, writes / took_s, added


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--leds", type=int, default=64, metavar="N", help="default: %(default)s")
    parser.add_argument("--seconds", type=float, default=3.0, metavar="S", help="a row; default: %(default)g")
    options = parser.parse_args()
    print(f"{options.leds} LEDs, {options.seconds:g} s a row")
    print(f"{'kind':<10}{'what':<10}{'% of a core':>12}{'writes/s':>10}{'threads':>9}")
    for kind in LedKind:
        for history in ("lost", "frames", "missing", "silent", "noise", "locate"):
            share, writes, threads = asyncio.run(measure(kind, history, options.leds, options.seconds))
            print(f"{kind.value:<10}{history:<10}{100 * share:>12.2f}{writes:>10.0f}{threads:>9}")


if __name__ == "__main__":
    main()
