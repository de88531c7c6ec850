"""An appliance without a configuration shows that it is alive."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.service.front import unconfigured
from hw import kernel_leds
from hw.gpio import GpioBackend
from hw.indicator import Heartbeat, HeartState, LedKind
from tests.hw.timeline import edges
from tests.support.eventually import eventually


def test_it_is_a_second_on_and_a_second_off() -> None:
    heart = Heartbeat((), LedKind.SINGLE, HeartState.UNCONFIGURED)

    assert heart.state is HeartState.UNCONFIGURED
    assert edges(heart, 0.0, 4.0) == [(0.0, True), (1.0, False), (2.0, True), (3.0, False)]


def test_an_old_configuration_in_force_is_a_double_beat_until_a_line_is_down() -> None:
    heart = Heartbeat(["bay1"], LedKind.SINGLE, HeartState.WRONG_CONFIGURATION)
    assert heart.state is HeartState.LINE_DOWN

    heart.line_up("bay1", 10.0)
    assert heart.state is HeartState.WRONG_CONFIGURATION
    assert edges(heart, 10.0, 11.0) == [(10.0, True), (10.1, False), (10.2, True), (10.3, False)]


def _no_pins(*_arguments: object) -> None:
    raise OSError("no pins of a real machine in a test")


async def test_the_boards_own_led_does_the_same_and_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    led = tmp_path / "ACT"
    led.mkdir()
    for name, text in {"brightness": "0", "max_brightness": "255", "trigger": "none [mmc0] timer"}.items():
        (led / name).write_text(text)
    monkeypatch.setattr(kernel_leds, "_FOLDER", str(tmp_path))
    monkeypatch.setattr("hw.gpio.open_pins", _no_pins)

    showing = asyncio.create_task(unconfigured._show(GpioBackend.AUTO))
    await eventually(lambda: (led / "brightness").read_text() == "255", "the LED is lit")
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(showing, 20)

    assert (led / "brightness").read_text() == "0"
    assert (led / "trigger").read_text() == "mmc0"


_SHOW = f"""
from {unconfigured.__name__} import show
from hw.gpio import {GpioBackend.__name__}
raise SystemExit(show({GpioBackend.__name__}.MOCK))
"""


@pytest.mark.wire
def test_it_says_so_and_ends_by_a_signal() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _SHOW], stderr=subprocess.PIPE, text=True, env={**os.environ}
    ) as program:
        assert program.stderr is not None
        try:
            line = program.stderr.readline()
            assert "unconfigured" in line
            assert "GPIO26" in line
            program.send_signal(signal.SIGTERM)
            assert program.wait(20) == 0
        finally:
            program.kill()
