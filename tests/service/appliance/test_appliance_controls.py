"""The controls of the appliance's outstation: what is accepted of whom, and what then happens."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from bridge.application.command import AnalogOutputCommand, CommandStatus, Crob
from bridge.application.function import Function
from bridge.application.measurement import PointKind
from bridge.outstation.database import Database
from bridge.outstation.points import BinaryOutput, EventClass
from bridge.service.appliance.appliance_controls import ApplianceControls
from bridge.service.appliance.local_outstation import Asker
from bridge.service.appliance.point_map import blocks_of
from tests.service.appliance.test_point_map import SITE
from tests.support.eventually import turns_of_the_loop
from tests.support.sites import configuration_of

NUL, PULSE_ON, PULSE_OFF, LATCH_ON, LATCH_OFF, CLOSE, TRIP, QUEUE = 0, 1, 2, 3, 4, 0x41, 0x81, 0x11
LAMPS, HORN, BAY1, BAY2, POLE, BOX = 0, 20, 100, 120, 1000, 1020
OK, NO = CommandStatus.SUCCESS, CommandStatus.NOT_SUPPORTED
DIRECT = Function.DIRECT_OPERATE


class Actions:
    """Writes down what it is told to do; what may not be done has a status in `refusals`."""

    def __init__(self) -> None:
        self.done: list[tuple[Any, ...]] = []
        self.refusals: dict[str, CommandStatus] = {}

    def may_switch(self, relay: str) -> CommandStatus:
        return self.refusals.get(relay, OK)

    def switch(self, relay: str, crob: Crob) -> None:
        self.done.append(("switch", relay, crob.code))

    def may_reset(self, line: str) -> CommandStatus:
        return self.refusals.get(line, OK)

    def reset(self, line: str) -> None:
        self.done.append(("reset", line))

    def may_drop_session(self, outstation: str) -> CommandStatus:
        return self.refusals.get(outstation, OK)

    def drop_session(self, outstation: str, by: str) -> None:
        self.done.append(("drop", outstation, by))

    def lamp_test(self, duration_s: float | None) -> None:
        self.done.append(("lamps", duration_s))


class Bench:
    def __init__(self, *, is_allowed: bool = True) -> None:
        blocks = blocks_of(configuration_of(SITE))
        self.actions, self.asker, self.database = Actions(), Asker("10.0.0.1:4021", 100), Database()
        for index in (LAMPS, HORN, BAY1, BAY2, POLE, BOX):
            self.database.add(index, BinaryOutput(EventClass.CLASS_2))
        self.controls = ApplianceControls(
            "box", blocks, self.actions, self.asker, self.database, is_allowed=is_allowed
        )

    async def operate(self, crob: Crob, index: int) -> tuple[CommandStatus, list[tuple[Any, ...]]]:
        """Operate, and return the status and what was done after it was given."""
        status = self.controls.operate(crob, index, DIRECT)
        assert self.actions.done == [], "before the answer went out"
        await turns_of_the_loop()
        done, self.actions.done = self.actions.done, []
        return status, done


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize(
    ("crob", "index", "done"),
    [
        (Crob(PULSE_ON), BAY1, ("reset", "bay1")),
        (Crob(LATCH_ON), BAY2, ("reset", "bay2")),
        (Crob(CLOSE, 1, 100), BAY2, ("reset", "bay2")),
        (Crob(PULSE_ON), POLE, ("drop", "pole-12", "10.0.0.1:4021")),
        (Crob(PULSE_ON), BOX, ("drop", "box", "10.0.0.1:4021")),
        (Crob(LATCH_ON), HORN, ("switch", "horn", LATCH_ON)),
        (Crob(LATCH_OFF), HORN, ("switch", "horn", LATCH_OFF)),
        (Crob(PULSE_OFF, 3, 10, 20), HORN, ("switch", "horn", PULSE_OFF)),
        (Crob(CLOSE, 1, 100), HORN, ("switch", "horn", CLOSE)),
        (Crob(LATCH_ON), LAMPS, ("lamps", None)),
        (Crob(PULSE_ON, 1, 2500), LAMPS, ("lamps", 2.5)),
        (Crob(PULSE_ON), LAMPS, ("lamps", None)),
        (Crob(LATCH_OFF), LAMPS, ("lamps", 0.0)),
    ],
)
async def test_what_is_done_after_the_answer(
    bench: Bench, crob: Crob, index: int, done: tuple[Any, ...]
) -> None:
    assert bench.controls.select(crob, index) is OK
    await turns_of_the_loop()
    assert bench.actions.done == [], "a select does nothing"
    assert await bench.operate(crob, index) == (OK, [done])


@pytest.mark.parametrize(
    ("crob", "index"),
    [
        (Crob(LATCH_OFF), BAY1),
        (Crob(PULSE_OFF), BAY1),
        (Crob(TRIP), BAY1),
        (Crob(QUEUE), BAY1),
        (Crob(5), BAY1),
        (Crob(LATCH_OFF), POLE),
        (Crob(TRIP, 1, 100), HORN),
        (Crob(PULSE_OFF), LAMPS),
        (Crob(PULSE_ON), 21),
        (Crob(PULSE_ON), 140),
    ],
)
async def test_what_is_not_supported(bench: Bench, crob: Crob, index: int) -> None:
    assert bench.controls.select(crob, index) is NO
    assert await bench.operate(crob, index) == (NO, [])


async def test_there_are_no_analog_outputs(bench: Bench) -> None:
    assert bench.controls.select(AnalogOutputCommand(1), HORN) is NO
    assert bench.controls.operate(AnalogOutputCommand(1), HORN, DIRECT) is NO


@pytest.mark.parametrize("crob", [Crob(NUL), Crob(PULSE_ON, 0)])
@pytest.mark.parametrize("index", [LAMPS, HORN, BAY1, POLE])
async def test_no_operation_and_no_time_do_nothing(bench: Bench, crob: Crob, index: int) -> None:
    assert await bench.operate(crob, index) == (OK, [])
    assert bench.database.events.counts().total == 0


async def test_what_cannot_be_done_now_is_refused_by_select_and_by_operate(bench: Bench) -> None:
    bench.actions.refusals = {
        "bay1": CommandStatus.ALREADY_ACTIVE,
        "pole-12": CommandStatus.ALREADY_COMPLETE,
        "horn": CommandStatus.HARDWARE_ERROR,
    }
    for index, name in ((BAY1, "bay1"), (POLE, "pole-12"), (HORN, "horn")):
        status = bench.actions.refusals[name]
        assert bench.controls.select(Crob(PULSE_ON), index) is status
        assert await bench.operate(Crob(PULSE_ON), index) == (status, [])


async def test_a_broadcast_controls_nothing(bench: Bench) -> None:
    bench.asker.is_broadcast = True
    for index in (LAMPS, HORN, BAY1, POLE):
        assert await bench.operate(Crob(PULSE_ON), index) == (CommandStatus.NOT_AUTHORIZED, [])


async def test_controls_can_be_denied() -> None:
    bench = Bench(is_allowed=False)
    assert bench.controls.select(Crob(PULSE_ON), BAY1) is CommandStatus.NOT_AUTHORIZED
    assert await bench.operate(Crob(PULSE_ON), BAY1) == (CommandStatus.NOT_AUTHORIZED, [])
    assert bench.controls.select(Crob(PULSE_ON), 140) is NO, "there is nothing to be denied"


async def test_a_dropped_session_leaves_two_events_and_no_state(bench: Bench) -> None:
    await bench.operate(Crob(PULSE_ON), POLE)
    events = bench.database.events
    events.select()
    told = [(event.kind, event.index, event.measurement.value) for event in events.selection()]
    assert told == [(PointKind.BINARY_OUTPUT, POLE, True), (PointKind.BINARY_OUTPUT, POLE, False)]


async def test_who_asked_for_what_is_in_the_log(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "bridge"):
        await bench.operate(Crob(PULSE_ON), BAY1)
        await bench.operate(Crob(TRIP), HORN)
        await bench.operate(Crob(9), 7)
    assert [record.fields for record in caplog.records] == [  # type: ignore[attr-defined]
        {
            "outstation": "box",
            "by": "10.0.0.1:4021",
            "source": 100,
            "what": what,
            "operation": operation,
            "status": status,
        }
        for what, operation, status in (
            ("line bay1: reset", "PULSE_ON", "SUCCESS"),
            ("relay horn", "PULSE_ON", "NOT_SUPPORTED"),
            ("index 7", 9, "NOT_SUPPORTED"),
        )
    ]


async def test_nothing_is_left_running(bench: Bench) -> None:
    tasks = asyncio.all_tasks()
    await bench.operate(Crob(PULSE_ON), BAY1)
    assert asyncio.all_tasks() == tasks
