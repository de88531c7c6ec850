"""A simulated RTU in this process, on a loop whose clock the test turns."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bridge.application.command import AnalogOutputCommand, CommandStatus, Crob
from bridge.application.function import Function, Iin
from bridge.application.measurement import PointKind, Value
from bridge.link.control import Control, LinkFunction
from bridge.link.frame import Frame
from bridge.service.simulation.sim import example
from bridge.service.simulation.sim_config import parse
from bridge.service.simulation.simulated import SimulatedRtu

BI, DB, AI = PointKind.BINARY_INPUT, PointKind.DOUBLE_BIT_INPUT, PointKind.ANALOG_INPUT
BO, AO, CT = PointKind.BINARY_OUTPUT, PointKind.ANALOG_OUTPUT, PointKind.COUNTER
DIRECT = Function.DIRECT_OPERATE


class TurnedLoop(asyncio.SelectorEventLoop):
    """A loop that does not wait: `turn` moves its clock from one timer to the next."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 1000.0

    def time(self) -> float:
        return self._now

    def turn(self, seconds: float) -> None:
        """Let this time pass."""
        end = self._now + seconds
        self.run_ready()
        while True:
            due = [timer.when() for timer in self._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
            if not due or min(due) > end:
                break
            self._now = max(self._now, min(due))
            self.run_ready()
        self._now = end
        self.run_ready()

    def run_ready(self) -> None:
        for _ in range(5):
            self.call_soon(self.stop)
            self.run_forever()


class Bench:
    """One RTU and its clock."""

    def __init__(self, loop: TurnedLoop, text: str) -> None:
        self.loop = loop
        rtu = example() if not text else parse(text, "rtu.toml")

        async def make() -> SimulatedRtu:
            return SimulatedRtu(rtu[0])

        self.simulated = loop.run_until_complete(make())
        self.outstation = self.simulated.outstation
        self.controls = self.outstation.stack._session._functions._controls._handler
        self.simulated.start()
        loop.run_ready()

    def value(self, kind: PointKind, index: int) -> Value:
        return self.outstation.database.get(kind, index).value

    def operate(self, command: Crob | AnalogOutputCommand, index: int) -> CommandStatus:
        status = self.controls.operate(command, index, DIRECT)
        assert isinstance(status, CommandStatus)
        self.loop.run_ready()
        return status


@contextmanager
def bench(text: str = "") -> Iterator[Bench]:
    loop = TurnedLoop()
    made = Bench(loop, text)
    try:
        yield made
    finally:
        made.simulated.stop()
        loop.run_ready()
        loop.close()


def test_points_move_with_time() -> None:
    with bench() as b:
        volts = [b.value(AI, index) for index in range(3)]
        assert len(set(volts)) == 3, "the points of one entry do not move as one"
        assert (b.value(CT, 0), b.value(BI, 1), b.value(AI, 4)) == (4711, False, -8)
        b.loop.turn(30.2)
        assert [b.value(AI, index) for index in range(3)] != volts
        assert (b.value(CT, 0), b.value(BI, 1), b.value(AI, 4)) == (4721, True, -6)


def test_changes_are_events_by_class_and_deadband() -> None:
    with bench() as b:
        before = b.outstation.database.events.counts().total
        b.loop.turn(60)
        by_kind = b.outstation.database.events.counts().by_kind
        assert b.outstation.database.events.counts().total > before
        assert by_kind[CT] == 20
        assert by_kind[AI] > 10
        assert all(0 <= float(b.value(AI, index)) <= 400 for index in range(4))


def test_a_counter_that_was_cleared_goes_on_from_zero() -> None:
    with bench() as b:
        b.loop.turn(9.2)
        assert b.value(CT, 0) == 4714
        assert b.outstation.database.freeze(CT, clear=True) == 1
        assert b.value(PointKind.FROZEN_COUNTER, 0) == 4714
        b.loop.turn(6)
        assert b.value(CT, 0) == 2


def test_a_breaker_trips_and_closes_and_its_relay_falls_back() -> None:
    with bench() as b:
        assert (b.value(BI, 0), b.value(DB, 0)) == (True, 2)
        assert b.operate(Crob(0x81, 1, 100, 0), 0) is CommandStatus.SUCCESS
        assert (b.value(BO, 0), b.value(BI, 0)) == (True, True)
        b.loop.turn(0.09)
        assert (b.value(BO, 0), b.value(BI, 0), b.value(DB, 0)) == (True, False, 1)
        b.loop.turn(0.02)
        assert (b.value(BO, 0), b.value(BI, 0)) == (False, False)
        b.operate(Crob(0x41, 1, 100, 0), 0)
        b.loop.turn(1)
        assert (b.value(BO, 0), b.value(BI, 0), b.value(DB, 0)) == (False, True, 2)


def test_latches_and_pulses_feed_what_the_output_does() -> None:
    with bench() as b:
        b.operate(Crob(0x03), 1)
        b.loop.turn(0.01)
        assert (b.value(BO, 1), b.value(BI, 4)) == (True, True)
        b.operate(Crob(0x04), 1)
        b.loop.turn(0.01)
        assert (b.value(BO, 1), b.value(BI, 4)) == (False, False)
        b.operate(Crob(0x01, 2, 100, 300), 1)
        b.loop.turn(0.05)
        seen = []
        for _ in range(9):
            seen.append(b.value(BI, 4))
            b.loop.turn(0.1)
        assert seen == [True, False, False, False, True, False, False, False, False]
        assert b.value(BO, 1) is False


def test_a_newer_command_ends_what_an_older_one_still_does() -> None:
    with bench() as b:
        b.operate(Crob(0x01, 100, 1000, 1000), 1)
        b.loop.turn(0.5)
        assert b.value(BO, 1) is True
        b.operate(Crob(0x04), 1)
        b.loop.turn(5)
        assert b.value(BO, 1) is False


def test_a_set_point_feeds_an_analog_input_after_its_delay() -> None:
    with bench() as b:
        assert b.operate(AnalogOutputCommand(12.5, variation=3), 0) is CommandStatus.SUCCESS
        assert (b.value(AO, 0), b.value(AI, 5)) == (12.5, 0)
        b.loop.turn(0.25)
        assert b.value(AI, 5) == 12.5


def test_what_is_refused_is_not_done() -> None:
    with bench() as b:
        assert b.operate(Crob(0x03), 2) is CommandStatus.LOCAL
        assert b.operate(Crob(0x03), 99) is CommandStatus.NOT_SUPPORTED
        assert b.operate(Crob(0x43), 0) is CommandStatus.NOT_SUPPORTED
        assert b.operate(AnalogOutputCommand(1), 9) is CommandStatus.NOT_SUPPORTED
        b.loop.turn(1)
        assert b.value(BI, 0) is True


def test_the_time_is_asked_for_until_it_is_written() -> None:
    with bench("[outstation]\nneeds_time = true\n[[point]]\nkind = 'counter'\nindex = 0") as b:
        application = b.outstation.stack._session._functions._application
        assert application.indications() == Iin.NEED_TIME
        assert application.write_time(86_400_000) is True
        assert application.indications() == Iin(0)


def test_an_octet_string_can_be_written() -> None:
    with bench() as b:
        application = b.outstation.stack._session._functions._application
        assert application.write_octet_string(0, b"new") is True
        assert b.value(PointKind.OCTET_STRING, 0) == b"new"


def test_attributes_of_the_file_stand_beside_those_that_all_have() -> None:
    with bench() as b:
        values = {number: b.outstation.attributes.get(number) for number in (245, 247, 252)}
        assert [each and each.value for each in values.values()] == ["north bay", "feeder-7", "RTU Bridge"]
        assert b.outstation.attributes.is_writable(0, 245)
        assert not b.outstation.attributes.is_writable(0, 252)


class Wire:
    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, octets: bytes) -> bool:
        self.sent.append(octets)
        return True

    def link_dead(self) -> None:
        pytest.fail("nobody is dead")


def test_answers_take_their_time_and_keep_their_order() -> None:
    with bench("[outstation]\nanswer_delay_ms = 30\nunsolicited = false") as b:
        request = Frame.build(
            Control.build(LinkFunction.REQUEST_LINK_STATUS, from_master=True), destination=1024, source=1
        )
        wire = Wire()

        async def ask() -> None:
            b.outstation.session_started(wire)
            b.outstation.receive(wire, request, b.loop.time())

        b.loop.run_until_complete(ask())
        b.loop.turn(0.029)
        assert wire.sent == []
        b.loop.turn(0.002)
        assert len(wire.sent) == 1
        b.outstation.session_ended(wire)
        assert b.outstation._wire is None
