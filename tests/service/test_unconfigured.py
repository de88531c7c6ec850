"""An appliance without a configuration shows that it is alive."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from bridge.service import unconfigured
from hw.gpio import GpioBackend
from hw.indicator import Heartbeat, HeartState, LedKind
from tests.hw.timeline import edges


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
