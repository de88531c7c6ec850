from __future__ import annotations

from dataclasses import dataclass

import pytest

from bridge.link.control import LinkFunction
from bridge.routing.drop import Drop
from bridge.routing.router import route
from tests.support.frames import from_rtu, link_status_request


@dataclass(frozen=True)
class Member:
    bus: str
    is_alone_on_bus: bool = False


A, B, C = Member("bay1"), Member("bay1"), Member("bay2")
SHARED = {12: A, 13: B, 14: C}


def test_by_destination() -> None:
    assert route(link_status_request(13), SHARED) == (B,)


@pytest.mark.parametrize(
    ("destination", "reason"),
    [
        (11, Drop.UNKNOWN_DESTINATION),
        (0xFFF0, Drop.RESERVED_ADDRESS),
        (0xFFFB, Drop.RESERVED_ADDRESS),
        (0xFFFC, Drop.SELF_ADDRESS_SHARED),
    ],
)
def test_nowhere(destination: int, reason: Drop) -> None:
    assert route(link_status_request(destination), SHARED) is reason


@pytest.mark.parametrize("source", [0xFFF0, 0xFFFC, 0xFFFF])
def test_a_source_must_be_a_device(source: int) -> None:
    assert route(link_status_request(12, source), SHARED) is Drop.RESERVED_ADDRESS


def test_a_frame_from_an_outstation_is_not_a_masters() -> None:
    assert route(from_rtu(LinkFunction.LINK_STATUS, to=12), SHARED) is Drop.WRONG_DIRECTION


def test_self_address_needs_one_device_on_the_bus_and_in_the_session() -> None:
    alone = Member("bay3", is_alone_on_bus=True)
    assert route(link_status_request(0xFFFC), {12: alone}) == (alone,)
    assert route(link_status_request(0xFFFC), {12: A}) is Drop.SELF_ADDRESS_SHARED
    assert route(link_status_request(0xFFFC), {12: alone, 13: A}) is Drop.SELF_ADDRESS_SHARED


@pytest.mark.parametrize("destination", [0xFFFD, 0xFFFE, 0xFFFF])
def test_a_broadcast_reaches_each_bus_once(destination: int) -> None:
    destinations = route(link_status_request(destination), SHARED)
    assert not isinstance(destinations, Drop)
    assert sorted(member.bus for member in destinations) == ["bay1", "bay2"]
