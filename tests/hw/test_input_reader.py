import asyncio
import logging
import os
import threading
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest

from hw.debounce import Change
from hw.gesture import Gesture
from hw.gpio import GpioBackend, PanelWiring, open_panel
from hw.input_reader import ButtonReader, InputReader
from hw.inputs import Edge, MockInput
from hw.wiring import InputPin, Pull
from tests.hw.machines import Machine
from tests.hw.timeline import VirtualLoop, until
from tests.support.eventually import eventually

DOOR = PanelWiring(inputs={"door": InputPin(21)})


def run(main: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main)


class Contact:
    """An input whose descriptor is a pipe, and which counts how often it is looked at."""

    name = "door"

    def __init__(self, *, is_active: bool = False) -> None:
        self.is_now = is_active
        self.edges: list[Edge] = []
        self.looks = 0
        self.error: Exception | None = None
        self.readable, self._write_end = os.pipe()

    @property
    def is_active(self) -> bool:
        if self.error is not None:
            raise self.error
        return self.is_now

    def fileno(self) -> int | None:
        return self.readable

    def drive(self, is_active: bool, *, at: float) -> None:
        if not self.edges:
            os.write(self._write_end, b"!")
        self.is_now = is_active
        self.edges.append(Edge(at, is_active))

    def read_edges(self) -> Sequence[Edge]:
        self.looks += 1
        edges, self.edges = self.edges, []
        if edges:
            os.read(self.readable, 1)
        return edges

    def close(self) -> None:
        os.close(self.readable)
        os.close(self._write_end)


def now() -> float:
    return asyncio.get_running_loop().time()


def start(contact: Any, changed: Any, debounce_s: float = 0.02) -> InputReader:
    reader = InputReader(contact, debounce_s=debounce_s, changed=changed)
    reader.start()
    return reader


def test_edges_become_changes_with_the_kernels_time() -> None:
    async def main() -> None:
        contact, changes = Contact(), []
        reader = start(contact, changes.append)
        assert reader.is_active is False
        await until(1.0)
        contact.drive(True, at=0.999)
        await until(1.018)
        assert (reader.is_active, changes) == (False, [])
        await until(1.1)
        assert (reader.is_active, changes) == (True, [Change(True, 0.999)])
        contact.drive(False, at=1.1)
        await until(2.0)
        assert changes[1:] == [Change(False, 1.1)]
        reader.close()
        reader.close()
        assert reader.is_active is None
        contact.close()

    run(main())


def test_bounces_are_one_change() -> None:
    async def main() -> None:
        contact, changes = Contact(), []
        reader = start(contact, changes.append)
        for bounce in range(9):
            await until(1.0 + bounce * 0.01)
            contact.drive(bounce % 2 == 0, at=now())
        await until(2.0)
        assert changes == [Change(True, 1.08)]
        reader.close()
        contact.close()

    run(main())


def test_without_debouncing_every_edge_is_told_in_order() -> None:
    async def main() -> None:
        contact, changes = Contact(), []
        reader = start(contact, changes.append, debounce_s=0.0)
        for is_active, at in ((True, 0.1), (False, 0.2), (True, 0.3)):
            contact.drive(is_active, at=at)
        await until(1.0)
        assert changes == [Change(True, 0.1), Change(False, 0.2), Change(True, 0.3)]
        reader.close()
        contact.close()

    run(main())


def test_an_input_that_chatters_is_looked_at_no_more_than_200_times_a_second() -> None:
    async def main() -> None:
        contact, changes = Contact(), []
        reader = start(contact, changes.append)
        for edge in range(10_000):
            await until(1.0 + edge * 0.0001)
            contact.drive(edge % 2 == 0, at=now())
        assert 100 < contact.looks < 250
        assert changes == []
        await until(3.0)
        looks = contact.looks
        await until(100.0)
        assert contact.looks == looks, "an input at rest costs nothing"
        reader.close()
        contact.close()

    run(main())


def test_edges_that_were_lost_are_made_up_for_by_the_level() -> None:
    async def main() -> None:
        contact, changes = Contact(), []
        reader = start(contact, changes.append)
        await until(1.0)
        contact.drive(True, at=1.0)
        contact.drive(False, at=1.0)
        contact.is_now = True  # and the edge that made it so is lost
        await until(2.0)
        assert reader.is_active is True
        assert len(changes) == 1
        reader.close()
        contact.close()

    run(main())


def test_an_input_without_a_descriptor_is_polled() -> None:
    async def main() -> None:
        panel = open_panel(DOOR, backend=GpioBackend.MOCK)
        door, changes = panel.inputs["door"], []
        assert isinstance(door, MockInput)
        reader = start(door, changes.append)
        for is_active in (True, False):
            door.drive(active=is_active)
            driven = now()
            await until(driven + 0.1)
            assert reader.is_active is is_active
            assert changes[-1].is_active is is_active
            assert driven <= changes[-1].at <= driven + 0.02
        assert len(changes) == 2
        reader.close()
        panel.close()

    run(main())


def test_the_level_at_the_start_is_no_change() -> None:
    async def main() -> None:
        contact, changes = Contact(is_active=True), []
        reader = start(contact, changes.append)
        await until(1.0)
        assert (reader.is_active, changes) == (True, [])
        reader.close()
        contact.close()

    run(main())


@pytest.mark.parametrize("when", ["at the start", "later"])
def test_an_input_that_cannot_be_read_is_given_up_with_one_line(
    when: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        contact = Contact()
        error = OSError(5, "Input/output error")
        contact.error = error if when == "at the start" else None
        reader = start(contact, [].append)
        contact.error = error
        contact.drive(True, at=now())
        await until(1.0)
        assert reader.is_active is None
        looks = contact.looks
        await until(2.0)
        assert contact.looks == looks
        reader.close()
        contact.close()

    with caplog.at_level(logging.WARNING):
        run(main())
    assert [record.getMessage() for record in caplog.records] == [
        "input door cannot be read any more: Input/output error"
    ]


def test_a_listener_that_raises_is_told_of_the_next_change(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        heard: list[Change] = []

        def changed(change: Change) -> None:
            heard.append(change)
            raise RuntimeError("a bug")

        contact = Contact()
        reader = start(contact, changed)
        contact.drive(True, at=0.0)
        await until(1.0)
        contact.drive(False, at=1.0)
        await until(2.0)
        assert [change.is_active for change in heard] == [True, False]
        reader.close()
        contact.close()

    run(main())
    assert [record.getMessage() for record in caplog.records] == ["input door: its listener failed"] * 2


def test_a_listener_may_close_its_reader() -> None:
    async def main() -> None:
        contact, heard = Contact(), []

        def changed(change: Change) -> None:
            heard.append(change)
            reader.close()

        reader = start(contact, changed)
        contact.drive(True, at=0.0)
        await until(1.0)
        contact.drive(False, at=1.0)
        await until(2.0)
        assert heard == [Change(True, 0.0)]
        contact.close()

    run(main())


def test_without_a_loop() -> None:
    contact = Contact()
    with pytest.raises(RuntimeError):
        InputReader(contact, debounce_s=0.0, changed=[].append).start()
    contact.close()


class TestButton:
    def test_what_it_says(self) -> None:
        async def main() -> None:
            contact, told = Contact(), []
            button = ButtonReader(contact, gestured=lambda gesture: told.append((round(now(), 3), gesture)))
            button.start()
            for is_active, at in (
                *((True, 1.0), (False, 1.2)),  # a short press
                *((True, 2.0), (False, 5.0)),  # somebody changed his mind
                *((True, 10.0), (False, 17.0)),  # a hold, told while it lasts
            ):
                await until(at)
                contact.drive(is_active, at=at)
            await until(30.0)
            assert told == [(1.23, Gesture.SHORT_PRESS), (15.0, Gesture.HOLD)]
            button.close()
            button.close()
            contact.close()

        run(main())

    def test_one_that_is_stuck_says_nothing(self) -> None:
        async def main() -> None:
            contact, told = Contact(is_active=True), []
            button = ButtonReader(contact, gestured=told.append)
            button.start()
            await until(60.0)
            contact.drive(False, at=60.0)
            await until(61.0)
            assert told == []
            button.close()
            contact.close()

        run(main())

    def test_closing_while_it_is_held(self) -> None:
        async def main() -> None:
            contact, told = Contact(), []
            button = ButtonReader(contact, gestured=told.append)
            button.start()
            contact.drive(True, at=0.0)
            await until(1.0)
            button.close()
            await until(10.0)
            assert told == []
            contact.close()

        run(main())

    def test_a_listener_that_raises_does_not_silence_it(self) -> None:
        async def main() -> None:
            contact, told = Contact(), []

            def gestured(gesture: Gesture) -> None:
                told.append(gesture)
                raise RuntimeError("a bug")

            button = ButtonReader(contact, gestured=gestured)
            button.start()
            for at in (1.0, 2.0):
                contact.drive(True, at=at)
                await until(at + 0.2)
                contact.drive(False, at=at + 0.2)
                await until(at + 0.9)
            assert told == [Gesture.SHORT_PRESS] * 2
            button.close()
            contact.close()

        run(main())


async def test_libgpiods_edges_on_a_real_loop(machine: Machine) -> None:
    gpiod = machine.with_gpiod({0: "pinctrl-bcm2711"})
    wiring = PanelWiring(inputs={"gas": InputPin(21, active_low=True, pull=Pull.UP)})
    before = set(threading.enumerate())
    panel = open_panel(wiring, backend=GpioBackend.GPIOD)
    changes: list[Change] = []
    reader = start(panel.inputs["gas"], changes.append)
    pressed = now()
    gpiod.drive(21, high=False, at=pressed)
    await eventually(lambda: reader.is_active, "the contact is active")
    gpiod.drive(21, high=True, at=pressed + 0.5)
    await eventually(lambda: not reader.is_active, "the contact is at rest again")
    assert [(change.is_active, pytest.approx(change.at)) for change in changes] == [
        (True, pressed),
        (False, pressed + 0.5),
    ]
    assert set(threading.enumerate()) == before
    reader.close()
    panel.close()
