"""What a driver says of its transmitter."""

from __future__ import annotations

import errno
import termios
from collections.abc import Callable

import pytest

from bridge.endpoints.tty_rts import TtyRts
from tests.support.uarts import Uart, plugged


@pytest.fixture
def uart(monkeypatch: pytest.MonkeyPatch) -> Uart:
    return plugged(monkeypatch)


def test_unsent_is_the_queue_and_then_the_transmitter(uart: Uart) -> None:
    line = TtyRts(0)
    uart.queued, uart.is_shifting = 7, True
    assert line.unsent() == 7
    uart.queued = 0
    assert line.unsent() == 1
    uart.is_shifting = False
    assert line.unsent() == 0


def test_a_driver_that_tells_nothing_of_its_transmitter_is_asked_once(uart: Uart) -> None:
    uart.tells_transmitter, uart.is_shifting = False, True
    line = TtyRts(0)
    assert [line.unsent(), line.unsent()] == [0, 0]
    assert uart.requests.count(termios.TIOCSERGETLSR) == 1
    uart.queued = 3
    assert line.unsent() == 3


@pytest.mark.parametrize("ask", [TtyRts.unsent, TtyRts.is_raised])
def test_a_vanished_port_raises(uart: Uart, ask: Callable[[TtyRts], object]) -> None:
    uart.gone = errno.EIO
    with pytest.raises(OSError):
        ask(TtyRts(0))
