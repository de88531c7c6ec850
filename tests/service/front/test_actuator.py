"""What a relay does with a control relay output block."""

from __future__ import annotations

import pytest

from bridge.application.command import CommandStatus, Crob
from bridge.service.front.actuator import breaker_position, judge, movements

OK, NO = CommandStatus.SUCCESS, CommandStatus.NOT_SUPPORTED


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (0x00, OK),  # NUL
        (0x01, OK),
        (0x02, OK),
        (0x03, OK),
        (0x04, OK),
        (0x05, NO),  # no operation
        (0x13, NO),  # the queue bit
        (0x23, OK),  # the clear bit
        (0x41, OK),  # close
        (0x81, OK),  # trip
        (0x40, OK),
        (0x43, NO),  # a latch of a coil
        (0x82, NO),
        (0xC1, NO),  # the reserved coil
    ],
)
def test_what_it_can_do(code: int, status: CommandStatus) -> None:
    assert judge(Crob(code)) is status


@pytest.mark.parametrize(
    ("crob", "moves"),
    [
        (Crob(0x03), [(True, 0.0)]),
        (Crob(0x04), [(False, 0.0)]),
        (Crob(0x01, 2, 100, 50), [(True, 0.1), (False, 0.05)] * 2),
        (Crob(0x02, 1, 100, 50), [(False, 0.05), (True, 0.1)]),
        (Crob(0x41, 1, 250, 0), [(True, 0.25), (False, 0.0)]),
        (Crob(0x01, 0, 100, 50), []),
        (Crob(0x00), []),
        (Crob(0x20), []),
    ],
)
def test_movements(crob: Crob, moves: list[tuple[bool, float]]) -> None:
    assert list(movements(crob)) == moves


@pytest.mark.parametrize(
    ("crob", "position"),
    [
        (Crob(0x41), True),
        (Crob(0x81), False),
        (Crob(0x81, count=0), None),
        (Crob(0x01), None),
        (Crob(0x40), None),
        (Crob(0x03), None),
    ],
)
def test_where_a_breaker_ends(crob: Crob, position: bool | None) -> None:
    assert breaker_position(crob) is position
