from __future__ import annotations

import asyncio

import pytest

from bridge.application.command import Crob
from bridge.service.front.relays import Movements, Relays
from tests.support.eventually import eventually, turns_of_the_loop

LATCH_ON, LATCH_OFF, PULSE_ON = 0x03, 0x04, 0x01


class Switch:
    def __init__(self) -> None:
        self.log: list[bool] = []
        self.is_broken = False

    def set(self, lit: bool) -> None:
        if self.is_broken:
            raise OSError("the pin is gone")
        self.log.append(lit)


async def test_a_latch_stays() -> None:
    switch, moved = Switch(), []
    relays = Relays({"horn": switch}, moved.append)
    assert relays.is_on("horn") is False
    relays.execute("horn", Crob(LATCH_ON))
    await eventually(lambda: relays.is_on("horn"), "the relay is on")
    relays.execute("horn", Crob(LATCH_OFF))
    await eventually(lambda: relays.is_on("horn") is False, "the relay is off")
    assert (switch.log, moved) == ([True, False], ["horn", "horn"])


async def test_a_pulse_takes_its_time() -> None:
    switch, loop = Switch(), asyncio.get_running_loop()
    relays = Relays({"horn": switch})
    began_s = loop.time()
    relays.execute("horn", Crob(PULSE_ON, 2, 30, 20))
    await eventually(lambda: len(switch.log) == 4, "two pulses")
    assert loop.time() - began_s >= 0.08
    assert switch.log == [True, False, True, False]


async def test_a_newer_command_ends_the_pulses_of_an_older_one() -> None:
    switch = Switch()
    relays = Relays({"horn": switch})
    relays.execute("horn", Crob(PULSE_ON, 100, 3_600_000, 0))
    await eventually(lambda: switch.log == [True], "it is on")
    relays.execute("horn", Crob(LATCH_OFF))
    await eventually(lambda: switch.log == [True, False], "it is off")
    await turns_of_the_loop()
    assert switch.log == [True, False]


async def test_a_relay_whose_pin_could_not_be_had_has_no_state() -> None:
    relays = Relays({})
    assert relays.is_on("horn") is None
    with pytest.raises(KeyError):
        relays.execute("horn", Crob(LATCH_ON))


async def test_a_pin_that_fails_moved_nothing(caplog: pytest.LogCaptureFixture) -> None:
    switch, moved = Switch(), []
    switch.is_broken = True
    relays = Relays({"horn": switch}, moved.append)
    relays.execute("horn", Crob(LATCH_ON))
    await eventually(lambda: "relay failed" in caplog.text, "the warning")
    assert (relays.is_on("horn"), moved) == (False, [])


async def test_close_ends_what_is_under_way() -> None:
    tasks = asyncio.all_tasks()
    switch = Switch()
    relays = Relays({"horn": switch})
    relays.execute("horn", Crob(PULSE_ON, 1, 3_600_000, 0))
    await eventually(lambda: switch.log == [True], "it is on")
    relays.close()
    await turns_of_the_loop()
    assert (asyncio.all_tasks(), switch.log) == (tasks, [True])


async def test_movements_of_different_things_do_not_end_each_other() -> None:
    log: list[tuple[str, bool]] = []
    movements = Movements()
    movements.begin("a", [(True, 3600.0)], lambda state: log.append(("a", state)))
    movements.begin("b", [(True, 0.0), (False, 0.0)], lambda state: log.append(("b", state)))
    await eventually(lambda: len(log) == 3, "all of them")
    assert log == [("a", True), ("b", True), ("b", False)]
    movements.end("a")
    movements.end("nothing")
    movements.stop()
