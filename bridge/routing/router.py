"""Whom a master's frame is for: by destination link address, among the outstations of its session.

Rules (IEEE 1815 clause 9.2.2.3, and this product's contract):
  1. DIR must say "from a master"; source and destination must be addresses that a device may use.
  2. A broadcast goes once to every bus of the session's outstations.
  3. The self-address goes to the one outstation there is, where its bus has no other device.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Protocol, TypeVar

from bridge.link.address import AddressKind, kind_of
from bridge.link.frame import Frame
from bridge.routing.drop import Drop


class Routable(Protocol):
    """What the router must know of an outstation."""

    @property
    def bus(self) -> Hashable:
        """What a broadcast reaches once: the line of a bridged outstation, itself for a local one."""

    @property
    def is_alone_on_bus(self) -> bool:
        """Whether no other device would answer to the self-address on that bus."""


R = TypeVar("R", bound=Routable)


def route(frame: Frame, members: Mapping[int, R]) -> tuple[R, ...] | Drop:
    """Return the outstations that a master's frame goes to, or why it goes nowhere.

    `members` are the outstations that share the master's session, by link address.
    """
    if not frame.control.from_master:
        return Drop.WRONG_DIRECTION
    if kind_of(frame.source) is not AddressKind.INDIVIDUAL:
        return Drop.RESERVED_ADDRESS
    member = members.get(frame.destination)
    if member is not None:
        return (member,)
    return _ROUTES[kind_of(frame.destination)](members)


def _nobody(_members: Mapping[int, R]) -> tuple[R, ...] | Drop:
    return Drop.UNKNOWN_DESTINATION


def _reserved(_members: Mapping[int, R]) -> tuple[R, ...] | Drop:
    return Drop.RESERVED_ADDRESS


def _self_address(members: Mapping[int, R]) -> tuple[R, ...] | Drop:
    if len(members) != 1:
        return Drop.SELF_ADDRESS_SHARED
    (member,) = members.values()
    return (member,) if member.is_alone_on_bus else Drop.SELF_ADDRESS_SHARED


def _broadcast(members: Mapping[int, R]) -> tuple[R, ...] | Drop:
    return tuple({member.bus: member for member in members.values()}.values())


_ROUTES = {
    AddressKind.INDIVIDUAL: _nobody,
    AddressKind.RESERVED: _reserved,
    AddressKind.SELF: _self_address,
    AddressKind.BROADCAST: _broadcast,
}
