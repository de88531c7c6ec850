"""How waiting events are kept: a lane is one type's events of one class, oldest first.

Selections take the oldest first. So the sent events of a lane are its first ones, the selected ones follow,
and two numbers describe both. Nothing is moved when a confirm fails: the numbers return to zero.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from bridge.outstation.event import Event
from bridge.outstation.points import EventClass

EVENT_CLASSES = (EventClass.CLASS_1, EventClass.CLASS_2, EventClass.CLASS_3)


class Lane:
    """One type's events of one class by sequence: the sent, then the selected, then the others."""

    __slots__ = ("events", "newest", "selected", "written", "written_through")

    def __init__(self) -> None:
        # Of the standard containers the only one with an ordered middle that is replaced and removed in O(1).
        self.events: OrderedDict[int, Event] = OrderedDict()
        self.newest: dict[int, int] = {}
        """The sequence of each point's newest event; kept only where newer events replace older ones."""
        self.selected = 0
        """How many from the front are selected, the sent ones included."""
        self.written = 0
        """How many from the front are sent."""
        self.written_through = 0
        """No event with a later sequence was sent."""

    def to_write(self) -> Iterator[Event]:
        """Iterate over the events that are selected and not sent."""
        return islice(self.events.values(), self.written, self.selected)

    def to_select(self) -> Iterator[Event]:
        """Iterate over the events that are not selected."""
        return islice(self.events.values(), self.selected, None)

    def pop(self) -> None:
        """Remove the oldest event."""
        sequence, event = self.events.popitem(last=False)
        if self.newest.get(event.index) == sequence:
            del self.newest[event.index]
        self.selected -= self.selected > 0
        self.written -= self.written > 0

    def replace_newest(self, event: Event) -> bool:
        """Put the event in the place of its point's newest one; False if there is none, or it was sent."""
        sequence = self.newest.get(event.index, 0)
        if sequence <= self.written_through:
            self.newest[event.index] = event.sequence
            return False
        self.events[sequence] = replace(event, sequence=sequence)
        return True

    def release(self) -> None:
        """Take everything back; where a sent event was replaced meanwhile, the newer takes its place."""
        if self.newest:
            for sequence, event in list(islice(self.events.items(), self.written)):
                newer = self.newest[event.index]
                if newer != sequence:
                    self.events[sequence] = replace(self.events.pop(newer), sequence=sequence)
                    self.newest[event.index] = sequence
        self.selected = self.written = self.written_through = 0


class TypeBuffer:
    """One type's events: a lane for each class, and room for `size` events in all of them together."""

    __slots__ = ("keeps_newest_only", "lanes", "size")

    def __init__(self, size: int, *, keeps_newest_only: bool) -> None:
        self.size = size
        self.keeps_newest_only = keeps_newest_only
        self.lanes = {event_class: Lane() for event_class in EVENT_CLASSES}

    def __len__(self) -> int:
        return sum([len(lane.events) for lane in self.lanes.values()])

    @property
    def is_full(self) -> bool:
        """Whether one more event drops the oldest."""
        return len(self) >= self.size

    def drop_oldest(self) -> None:
        """Remove the oldest event, whatever its class."""
        lanes = [lane for lane in self.lanes.values() if lane.events]
        min(lanes, key=lambda lane: next(iter(lane.events))).pop()
