"""What a row of the tables in `point_rows` says of a kind of point."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bridge.application.measurement import Flags, PointKind, Value
from bridge.outstation.points import EventClass


class Section(StrEnum):
    """What a point is about."""

    APPLIANCE = "appliance"
    INPUT = "input"
    RELAY = "relay"
    LINE = "line"
    OUTSTATION = "outstation"


class Command(StrEnum):
    """What a control does to its section's thing."""

    LAMP_TEST = "lamp_test"
    SWITCH = "switch"
    RESET = "reset"
    DROP_SESSION = "drop_session"


@dataclass(frozen=True, slots=True, kw_only=True)
class PointRow:
    """One kind of point.

    `value` makes the point's value of what stands at `key`, which may be null, or None where that says
    nothing. The point then keeps its value and gets `unknown` as its flags: RESTART for what was not known
    since the start, COMM_LOST for what this machine does not tell. Without `unknown` it stays as it is.
    `needs` is a key that must be true for the point to be in touch with what it is about: else it has the
    flag COMM_LOST.
    """

    kind: PointKind
    offset: int
    name: str
    meaning: str
    key: str
    value: Callable[[Any], Value | None] = lambda value: value
    unknown: Flags | None = None
    needs: str | None = None
    event_class: EventClass = EventClass.NONE
    deadband: float = 0
    unit: str = ""
    is_local: bool = False
    """Whether an outstation of this program has it as well as an RTU."""
    command: Command | None = None
