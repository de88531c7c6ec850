"""An event that waits for the master, and how many do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.application.measurement import Measurement
from bridge.outstation.points import EVENT_OBJECTS, EventClass, EventKind


@dataclass(frozen=True, slots=True)
class Event:
    """One change of a point, or one command to it, as the master will see it.

    Of a command, `measurement` has the commanded value, and the command status in place of the flags.
    `variation` is the configured one, or what the selecting request asked for; the length for octet strings.
    `sequence` grows from event to event and orders them.
    """

    kind: EventKind
    index: int
    event_class: EventClass
    measurement: Measurement
    variation: int
    sequence: int

    @property
    def group(self) -> int:
        """The object group that reports it."""
        return EVENT_OBJECTS[self.kind].group


@dataclass(frozen=True, slots=True)
class EventCounts:
    """How many events wait, sent but unconfirmed ones included."""

    by_class: Mapping[EventClass, int]
    by_kind: Mapping[EventKind, int]

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.by_kind.values())
