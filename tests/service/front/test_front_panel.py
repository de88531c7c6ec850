"""The front panel on mock pins: button, contacts, relays and what is said of pins that cannot be had."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.service import run
from bridge.service.front.front_panel import FrontPanel
from hw import gesture
from tests.support import toml
from tests.support.eventually import eventually
from tests.support.sites import configuration_of

SITE = (
    toml.server()
    + toml.line("bay1", "/dev/none")
    + toml.outstation("rtu", 10, led="led1")
    + toml.table("[led.led2]", pin=22)
    + toml.table("[button]", pin=20)
    + toml.table("[input.door]", pin=21, active_low=True, pull="up", debounce_ms=5)
    + toml.table("[relay.trip]", pin=19)
)


class Held:
    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


@pytest.fixture
def held() -> Held:
    return Held()


@pytest.fixture
async def front(held: Held) -> AsyncIterator[FrontPanel]:
    loop = asyncio.get_running_loop()
    panel = FrontPanel(
        configuration_of(toml.service(status_socket="/tmp/none.sock") + SITE), clock=loop.time, held=held
    )
    panel.report()
    panel.start()
    yield panel
    await panel.close()


def push(contact: object, *, low: bool) -> None:
    pin = contact._device.pin  # type: ignore[attr-defined]  # a mock pin is driven from outside
    if low:
        pin.drive_low()
    else:
        pin.drive_high()


async def test_a_short_press_tests_the_lamps(front: FrontPanel, held: Held) -> None:
    system = configuration_of(toml.service(status_socket="/tmp/none.sock") + SITE).outstations[0]
    assert front.led_status(system)["overlay"] is None
    push(front.panel.button, low=True)
    await asyncio.sleep(0.1)  # the length of the press
    push(front.panel.button, low=False)
    await eventually(lambda: front.led_status(system)["overlay"] == "lamp_test", "the lamp test")
    assert held.times == 0


async def test_a_long_press_ends_the_program(
    front: FrontPanel, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gesture, "HOLD_S", 0.2)
    push(front.panel.button, low=True)
    await eventually(lambda: held.times == 1, "the hold")


async def test_a_contact_is_followed(front: FrontPanel, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert front.inputs["door"].is_active is False
    push(front.panel.inputs["door"], low=True)
    await eventually(lambda: front.inputs["door"].is_active is True, "the door")


async def test_a_relay_is_off_until_it_is_switched(front: FrontPanel) -> None:
    relay = front.panel.relays["trip"]
    assert relay.is_high is False  # type: ignore[attr-defined]
    relay.set(True)
    assert relay.is_high is True  # type: ignore[attr-defined]


async def test_without_gpio_everything_is_said_once(caplog: pytest.LogCaptureFixture, held: Held) -> None:
    loop = asyncio.get_running_loop()
    panel = FrontPanel(
        configuration_of(toml.service(status_socket="/tmp/none.sock", gpio="none") + SITE),
        clock=loop.time,
        held=held,
    )
    panel.report()
    assert panel.inputs == {}
    assert panel.relays.is_on("trip") is None
    for what in ("lamp_test", "locate"):
        error = 'no LED can light: gpio is "none" in the configuration'
        assert panel.obey({"do": what}) == {"error": error}
    await panel.close()


async def test_with_pins_the_lamps_are_tested(front: FrontPanel) -> None:
    assert front.obey({"do": "lamp_test"}) == {"done": "all LEDs are tested for 3 s"}


async def test_the_button_ends_the_program_and_leaves_word(tmp_path: Path) -> None:
    stopped = asyncio.Event()
    configuration = configuration_of(toml.service(status_socket=str(tmp_path / "status.sock")) + SITE)
    run.end_by_button(stopped, configuration)
    assert stopped.is_set()
    assert (tmp_path / run.POWEROFF_REQUEST).exists()
    run.forget_poweroff(configuration)
    assert not (tmp_path / run.POWEROFF_REQUEST).exists()
    run.forget_poweroff(configuration)
