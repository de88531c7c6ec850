"""Each row of PRODUCT's table, from a history to the levels of mock pins, through the real driver.

Times are exact: a virtual clock, and edges on the driver's slots. Bi-colour LEDs are read as their two pins.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from hw.colour import Colour
from hw.driver import SLOT_S, LedDriver
from hw.gpio import BicolourPins, GpioBackend, LedPin, Panel
from hw.indicator import Indicator, LedKind
from hw.outputs import ColourOutput
from tests.hw.test_indicator import MASTER, Event, answers, misses
from tests.hw.timeline import VirtualLoop, until
from tests.support.leds import open_leds

ON, OFF, GREEN, RED, AMBER = "on", Colour.OFF, Colour.GREEN, Colour.RED, Colour.AMBER
DARK = OFF
Seen = str | Colour

_OF_PINS = {
    (False, False): Colour.OFF,
    (True, False): Colour.RED,
    (False, True): Colour.GREEN,
    (True, True): Colour.AMBER,
}


@dataclass(frozen=True)
class Row:
    """A history up to its last event at 10.0, and what is seen from then on, until 14.0."""

    name: str
    history: list[Event]
    single: list[tuple[float, Seen]]
    bicolour: list[tuple[float, Seen]]


def rhythm(start: float, period: float, on_s: float, lit: Seen, times: int) -> list[tuple[float, Seen]]:
    """A light that is on for `on_s` in each period."""
    starts = [round(start + each * period, 3) for each in range(times)]
    return [edge for begin in starts for edge in ((begin, lit), (round(begin + on_s, 3), DARK))]


FLASHES = sorted(rhythm(10.0, 1.0, 0.1, ON, 4) + rhythm(10.2, 1.0, 0.1, ON, 4), key=lambda edge: edge[0])
TABLE = [
    Row("never connected", [(10.0, "line_up")], [(10.0, DARK)], [(10.0, OFF)]),
    Row(
        "was connected, now no master",
        [*MASTER, (10.0, "master_disconnected")],
        rhythm(10.0, 2.0, 0.1, ON, 2),
        rhythm(10.0, 2.0, 0.1, RED, 2),
    ),
    Row("master connected", [(9.0, "line_up"), (10.0, "master_connected")], [(10.0, ON)], [(10.0, GREEN)]),
    Row(
        "RTU answering",
        [*MASTER, *answers(10.0)],
        [(10.0, DARK), (10.1, ON), (10.3, DARK), (10.4, ON)],
        [(10.0, OFF), (10.1, GREEN), (10.3, OFF), (10.4, GREEN)],
    ),
    Row("some answers missing", [*MASTER, *misses(10.0)], rhythm(10.0, 0.5, 0.25, ON, 8), [(10.0, AMBER)]),
    Row(
        "RTU silent",
        [*MASTER, *misses(8.0, 9.0, 10.0)],
        rhythm(10.0, 0.2, 0.1, ON, 20),
        [(10.0, RED)],
    ),
    Row("line down", [*MASTER, (10.0, "line_down")], rhythm(10.0, 0.2, 0.1, ON, 20), [(10.0, RED)]),
    Row("noise", [*MASTER, (10.0, "noise_heard")], FLASHES, [(10.0, RED), (10.1, GREEN)]),
    Row(
        "noise, twice, while answers are missing",
        [*MASTER, *misses(9.5), (10.0, "noise_heard"), (10.0, "noise_heard")],
        FLASHES,
        [(10.0, RED), (10.1, AMBER), (10.3, RED), (10.4, AMBER)],
    ),
]


def single_level(panel: Panel) -> Seen:
    return ON if panel.is_high("led") else DARK


def two_levels(panel: Panel) -> Seen:
    output = panel.leds["led"]
    assert isinstance(output, ColourOutput)
    return _OF_PINS[output.red.is_high, output.green.is_high]


async def watch(row: Row, kind: LedKind, read: Callable[[Panel], Seen]) -> list[tuple[float, Seen]]:
    wiring = {LedKind.SINGLE: LedPin(16), LedKind.BICOLOUR: BicolourPins(16, 23)}[kind]
    panel = open_leds({"led": wiring}, backend=GpioBackend.MOCK)
    indicator = Indicator(kind)
    driver = LedDriver({"led": indicator}, panel.leds)
    driver.start()
    for now, event in row.history:
        if now > asyncio.get_running_loop().time():  # what happens at once is seen at once
            await until(now)
        getattr(indicator, event)(now)
        driver.changed("led")
    seen: list[tuple[float, Seen]] = []
    # Slots are seen a moment later, when the driver has looked; the last event is one itself.
    for slot in range(round(10.0 / SLOT_S), round(14.0 / SLOT_S)):
        await until(slot * SLOT_S + 0.001)
        level = read(panel)
        if not seen or level != seen[-1][1]:
            seen.append((round(slot * SLOT_S, 3), level))
    await driver.close()
    assert read(panel) == DARK
    panel.close()
    return seen


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
@pytest.mark.parametrize("kind", LedKind)
def test_row(row: Row, kind: LedKind) -> None:
    is_single = kind is LedKind.SINGLE
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        seen = runner.run(watch(row, kind, single_level if is_single else two_levels))
    assert seen == (row.single if is_single else row.bicolour)
