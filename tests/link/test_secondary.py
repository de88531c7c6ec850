from __future__ import annotations

from itertools import product

import pytest

from bridge.link.control import Control, LinkFunction
from bridge.link.frame import Frame
from bridge.link.secondary import REACTIONS, SecondaryStation, State, Stimulus

RESET, TEST, CONFIRMED, UNCONFIRMED, STATUS = 0xC0, 0xD2, 0xD3, 0xC4, 0xC9
FCB = 0x20


def ask(station: SecondaryStation, octet: int) -> tuple[bool, LinkFunction | None]:
    delivers, reply = station.receive(Frame.build(Control.of(octet), 1024, 1))
    if reply is None:
        return delivers, None
    assert (reply.destination, reply.source) == (1, 1024)
    assert not reply.control.from_master
    return delivers, reply.control.function


def test_the_table_is_total() -> None:
    assert set(REACTIONS) == set(product(State, Stimulus))


@pytest.mark.parametrize(
    ("octets", "last"),
    [
        ([STATUS], (False, LinkFunction.LINK_STATUS)),
        ([RESET], (False, LinkFunction.ACK)),
        ([TEST | FCB], (False, LinkFunction.NACK)),
        ([TEST], (False, LinkFunction.NACK)),
        ([CONFIRMED | FCB], (False, LinkFunction.NACK)),
        ([CONFIRMED], (False, LinkFunction.NACK)),
        ([UNCONFIRMED], (True, None)),
        ([0xCF], (False, LinkFunction.NOT_SUPPORTED)),
        ([0x80], (False, None)),
        ([RESET, TEST | FCB], (False, LinkFunction.ACK)),
        ([RESET, TEST | FCB, TEST | FCB], (False, LinkFunction.ACK)),
        ([RESET, CONFIRMED | FCB], (True, LinkFunction.ACK)),
        ([RESET, CONFIRMED | FCB, CONFIRMED | FCB], (False, LinkFunction.ACK)),
        ([RESET, CONFIRMED | FCB, CONFIRMED], (True, LinkFunction.ACK)),
        ([RESET, CONFIRMED | FCB, RESET, CONFIRMED | FCB], (True, LinkFunction.ACK)),
        ([RESET, CONFIRMED], (False, LinkFunction.ACK)),
        ([RESET, UNCONFIRMED], (True, None)),
        ([RESET, STATUS], (False, LinkFunction.LINK_STATUS)),
        ([RESET, 0xCF], (False, LinkFunction.NOT_SUPPORTED)),
        ([RESET, 0x8B], (False, None)),
        ([0xC3], (False, None)),
        ([RESET, 0xD4], (False, None)),
    ],
)
def test_answers(octets: list[int], last: tuple[bool, LinkFunction | None]) -> None:
    station = SecondaryStation(1024)
    results = [ask(station, octet) for octet in octets]
    assert results[-1] == last
