"""What a line's turns lead to: the steps that the shell carries out, in order."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import NamedTuple

from bridge.application.function import Function
from bridge.link.frame import Frame
from bridge.routing.drop import Drop
from bridge.routing.exchange import Evidence, Outcome


class Send(NamedTuple):
    """Write this frame to the line now."""

    address: int
    frame: Frame


class Deliver(NamedTuple):
    """Hand this frame to the session."""

    session: Hashable
    address: int
    frame: Frame


class Dropped(NamedTuple):
    """Count this frame; `address` is the outstation it concerns, None if there is none."""

    address: int | None
    reason: Drop
    response_s: float | None = None
    """For a late answer: how long after the last octet of its request it came."""
    waited_s: float | None = None
    """For a request that expired: how long it had waited."""
    is_control: bool = False
    """Whether that request was a control."""
    frame: Frame | None = None
    """The frame itself."""


class Finished(NamedTuple):
    """An exchange with the outstation ended, `elapsed_s` after its request began."""

    address: int
    outcome: Outcome
    elapsed_s: float
    evidence: Evidence


class Babble(NamedTuple):
    """The line began or ceased to be talked on without end."""

    is_on: bool


class UnderWay(NamedTuple):
    """No step: a request that a session is waiting for the answer of."""

    session: Hashable
    address: int
    function: Function | int | None
    """None for a service of the link layer."""
    since_s: float
    """When its turn on the wire began, or when it came and began to wait."""
    is_sent: bool


Step = Send | Deliver | Dropped | Finished | Babble


def dropped(address: int, frames: Iterable[Frame], reason: Drop) -> list[Step]:
    """Return the steps that drop a request's frames."""
    return [Dropped(address, reason, frame=frame) for frame in frames]
