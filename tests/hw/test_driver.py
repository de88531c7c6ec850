import asyncio
import logging
import threading
from collections.abc import Coroutine
from contextlib import ExitStack
from typing import Any

import pytest

from hw.colour import Colour
from hw.driver import SLOT_S, LedDriver
from hw.gpio import GpioBackend, LedPin, Output
from hw.indicator import Heartbeat, Indicator
from hw.looks import SINGLE, LedState
from hw.overlay import Cover
from hw.pattern import LedKind, Look
from tests.hw.timeline import VirtualLoop, until
from tests.support.eventually import eventually
from tests.support.leds import open_leds


def run(main: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main)


class Recorder:
    """An output that notes (time, level) of each write, and fails at will."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.broken = False
        self.writes: list[tuple[float, bool]] = []

    def set(self, lit: bool | Colour) -> None:
        assert isinstance(lit, Colour)
        self.writes.append((round(asyncio.get_running_loop().time(), 6), lit.is_lit))
        if self.broken:
            raise OSError(5, "Input/output error")

    def close(self) -> None:
        pass


def answering() -> Indicator:
    indicator = Indicator()
    indicator.line_up(0.0)
    indicator.master_connected(0.0)
    return indicator


def silent() -> Indicator:
    indicator = Indicator()
    indicator.master_connected(0.0)
    return indicator


def test_writes_are_the_timeline_and_nothing_else() -> None:
    async def main() -> None:
        output = Recorder("led1")
        indicator = answering()
        driver = LedDriver({"led1": indicator}, {"led1": output})
        driver.start()
        await until(10.0)
        assert output.writes == [(0.0, True)]
        indicator.request_sent(10.0)
        driver.changed()
        await until(20.0)
        assert output.writes[1:] == [(10.0, False), (10.1, True)]
        indicator.master_disconnected(20.0)
        driver.changed()
        driver.changed()
        await until(23.0)
        assert output.writes[3:] == [(20.1, False), (22.0, True), (22.1, False)]
        await driver.close()
        await driver.close()
        assert output.writes[6:] == [(23.0, False)]

    run(main())


def test_mock_pins_through_the_driver() -> None:
    async def main() -> None:
        outputs = open_leds(
            {"system": LedPin(26), "led1": LedPin(16), "led2": LedPin(23, active_low=True)},
            backend=GpioBackend.MOCK,
        )
        heart = Heartbeat([])
        driver = LedDriver({"system": heart, "led1": answering(), "led2": silent()}, outputs.leds)
        driver.start()
        levels = []
        for now in (0.05, 0.15, 0.25, 0.35, 1.05):
            await until(now)
            levels.append(tuple(outputs.is_high(name) for name in ("system", "led1", "led2")))
        assert levels == [
            (True, True, False),
            (False, True, True),
            (False, True, False),
            (False, True, True),
            (True, True, False),
        ]
        await driver.close()
        assert [outputs.is_high(name) for name in ("system", "led1", "led2")] == [False, False, True], "dark"
        outputs.close()

    run(main())


async def test_on_a_real_loop() -> None:
    outputs = open_leds({"led1": LedPin(16)}, backend=GpioBackend.MOCK)
    indicator = Indicator()
    driver = LedDriver({"led1": indicator}, outputs.leds)
    driver.start()
    now = asyncio.get_running_loop().time()
    indicator.master_connected(now)
    driver.changed()
    for level in (True, False, True, False):
        await eventually(lambda level=level: outputs.is_high("led1") is level, "it blinks")  # type: ignore[misc]
    await driver.close()
    outputs.close()


def test_the_clock_is_the_callers() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        output = Recorder("led1")
        indicator = Indicator()
        indicator.master_connected(5000.0)
        driver = LedDriver({"led1": indicator}, {"led1": output}, clock=lambda: loop.time() + 5000.0)
        driver.start()
        await until(0.35)
        await driver.close()
        assert output.writes == [(0.0, True), (0.1, False), (0.2, True), (0.3, False), (0.35, False)]

    run(main())


def opened_mocks(stack: ExitStack, count: int) -> dict[str, Output]:
    """Open single LEDs; a mock Pi has 28 pins, so there is one for every 16 of them."""
    outputs: dict[str, Output] = {}
    for bank in range(count // 16):
        leds = {f"led{bank}.{pin}": LedPin(pin) for pin in range(4, 20)}
        opened = open_leds(leds, backend=GpioBackend.MOCK)
        stack.callback(opened.close)
        outputs.update(opened.leds)
    return outputs


def test_threads_and_tasks_do_not_grow_with_the_leds() -> None:
    async def main() -> None:
        before = threading.active_count()
        for count in (16, 64):
            with ExitStack() as stack:
                outputs = opened_mocks(stack, count)
                assert len(outputs) == count
                driver = LedDriver({name: silent() for name in outputs}, outputs)
                driver.start()
                await until(asyncio.get_running_loop().time() + 1.05)
                assert threading.active_count() == before
                assert len(asyncio.all_tasks()) == 2  # the test's and the driver's
                await driver.close()

    run(main())


def test_64_leds_out_of_step_are_looked_at_40_times_a_second_and_written_when_they_change() -> None:
    class Counting(LedDriver):
        looks = 0

        def _show(self, now: float) -> None:
            self.looks += 1
            super()._show(now)

    async def main() -> None:
        outputs = {f"led{number}": Recorder(f"led{number}") for number in range(64)}
        lights = {}
        for number, name in enumerate(outputs):
            lights[name] = Indicator()
            lights[name].line_up(0.0)
            lights[name].master_connected(0.0)
            lights[name].line_down(number * 0.003)
        await until(1.0)
        driver = Counting(lights, outputs)
        driver.start()
        await until(11.0)
        assert driver.looks <= 10 / SLOT_S + 2
        changes = [len(output.writes) for output in outputs.values()]
        assert 99 <= min(changes) <= max(changes) <= 101, "5 Hz are ten changes a second, and no write more"
        await driver.close()

    run(main())


def test_a_thousand_events_a_second_are_40_looks() -> None:
    class Counting(Indicator):
        asked = 0

        def colour(self, now: float) -> Colour:
            self.asked += 1
            return super().colour(now)

    async def main() -> None:
        light = Counting()
        light.line_up(0.0)
        light.master_connected(0.0)
        driver = LedDriver({"led1": light}, {"led1": Recorder("led1")})
        driver.start()
        for event in range(1000):
            await until(1 + event / 1000)
            light.request_sent(1 + event / 1000)
            driver.changed("led1")
        assert 30 <= light.asked <= 45
        await driver.close()

    run(main())


def test_between_slots_a_change_is_late_and_never_short() -> None:
    async def main() -> None:
        for start in (10.001, 10.012, 10.0249):
            output, indicator = Recorder("led1"), answering()
            driver = LedDriver({"led1": indicator}, {"led1": output})
            driver.start()
            now = asyncio.get_running_loop().time()
            await until(now + start)
            indicator.request_sent(now + start)
            driver.changed("led1")
            await until(now + 11.0)
            (dark, _), (lit, _) = output.writes[-2:]
            assert [is_lit for _, is_lit in output.writes[-2:]] == [False, True]
            assert 0 <= dark - (now + start) <= SLOT_S + 1e-6
            assert lit - dark >= 0.1 - 1e-6
            await driver.close()

    run(main())


def test_lamp_test_and_locate() -> None:
    async def main() -> None:
        outputs = {name: Recorder(name) for name in ("led1", "led2")}
        driver = LedDriver({name: Indicator() for name in outputs}, outputs)
        driver.start()
        await until(1.0)
        driver.lamp_test(3.0)
        await until(5.0)
        assert [output.writes for output in outputs.values()] == [[(1.0, True), (4.0, False)]] * 2
        driver.locate("led2", 0.2)
        await until(6.0)
        assert outputs["led1"].writes[2:] == []
        assert outputs["led2"].writes[2:] == [(5.0, True), (5.05, False), (5.1, True), (5.15, False)]
        driver.locate(None, 60.0)
        await until(7.0)
        assert [driver.lights[name].covered_by(7.0) for name in outputs] == [Cover.LOCATE] * 2
        driver.uncover()
        await until(7.03)
        written = [len(output.writes) for output in outputs.values()]
        await until(8.0)
        assert [len(output.writes) for output in outputs.values()] == written
        assert [output.writes[-1][1] for output in outputs.values()] == [False, False]
        with pytest.raises(KeyError):
            driver.locate("led3", 1.0)
        await driver.close()

    run(main())


def test_only_lights_that_are_due_are_asked() -> None:
    class Counting(Indicator):
        asked = 0

        def colour(self, now: float) -> Colour:
            self.asked += 1
            return super().colour(now)

    async def main() -> None:
        resting, driver_output = Counting(), Recorder("led1")
        driver = LedDriver(
            {"led1": resting, "led2": silent()}, {"led1": driver_output, "led2": Recorder("led2")}
        )
        driver.start()
        await until(10.05)
        assert resting.asked == 1
        driver.changed("led2")
        await until(10.09)
        assert resting.asked == 1
        driver.changed("led1")
        await until(10.14)
        assert resting.asked == 2
        driver.changed()
        await until(10.19)
        assert resting.asked == 3
        await driver.close()

    run(main())


def test_a_pin_that_fails_is_logged_once_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        good, bad = Recorder("good"), Recorder("bad")
        bad.broken = True
        driver = LedDriver({"bad": silent(), "good": silent()}, {"bad": bad, "good": good})
        driver.start()
        await until(0.95)
        assert [lit for _, lit in good.writes] == [True, False] * 5
        bad.broken = False
        before = len(bad.writes)
        await until(1.15)
        assert [lit for _, lit in bad.writes[before:]] == [True, False], "tried again at the next change"
        await driver.close()

    with caplog.at_level(logging.INFO, "hw"):
        run(main())
    assert [record.getMessage() for record in caplog.records] == [
        "LED bad: its pin cannot be written ([Errno 5] Input/output error); not logged again"
    ]


def test_a_light_that_raises_leaves_all_dark_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        kind = LedKind.SINGLE

        def look(self, now: float) -> Look:
            return SINGLE[LedState.OFF]

        def is_lit(self, now: float) -> bool:
            return self.colour(now).is_lit

        def colour(self, now: float) -> Colour:
            if now < 1.0:
                return Colour.OFF
            raise RuntimeError("a bug")

        def next_deadline(self, now: float) -> float | None:
            return 1.0

    async def main() -> None:
        output = Recorder("led1")
        driver = LedDriver(
            {"led1": answering(), "led2": Broken()}, {"led1": output, "led2": Recorder("led2")}
        )
        driver.start()
        await until(2.0)
        assert output.writes == [(0.0, True), (1.0, False)]
        await driver.close()

    run(main())
    assert [record.getMessage() for record in caplog.records] == ["the LED driver stopped, all LEDs are dark"]


def test_a_light_needs_an_output() -> None:
    with pytest.raises(ValueError, match="no output for the lights led2, led3"):
        LedDriver({name: Indicator() for name in ("led3", "led1", "led2")}, {"led1": Recorder("led1")})


def test_an_output_without_a_light_stays_dark() -> None:
    async def main() -> None:
        spare = Recorder("spare")
        driver = LedDriver({"led1": silent()}, {"led1": Recorder("led1"), "spare": spare})
        driver.start()
        await until(1.0)
        await driver.close()
        assert spare.writes == []

    run(main())


def test_start_and_close_in_any_order() -> None:
    async def main() -> None:
        driver = LedDriver({}, {})
        await driver.close()
        driver.start()
        with pytest.raises(RuntimeError, match="started before"):
            driver.start()
        await driver.close()

    run(main())
