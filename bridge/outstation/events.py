"""The events that wait for the master: a buffer per type, one order over all of them.

Rules (IEEE 1815 clauses 4.1.5, 4.1.6 and 5.1):
  1. Events are kept, and reported, in the order in which they happened, whatever their type and class.
  2. Each type has room for a configured number. One more drops the oldest of that type, also one that is
     selected or already sent, and the overflow is indicated until there is room for that type again.
  3. A response takes events in three steps: `select` chooses them, `written` says how many went into the
     fragment, and `confirm` removes exactly those, or `release` takes everything back, in its old order.
  4. One selection at a time: solicited and unsolicited responses never share one. It may span fragments, each
     with its own `written` and `confirm`, and ends when its last event is confirmed, or by `release`.
  5. `EventMode.MOST_RECENT` keeps one event per point and class: a newer one takes the place of the older,
     except of one that was sent. Should that one's confirm fail, the newer takes its place after all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from enum import Enum, auto
from heapq import merge
from itertools import islice
from operator import attrgetter

from bridge.application.function import Iin
from bridge.application.measurement import Measurement
from bridge.errors import PointConfigError, SelectionError
from bridge.outstation.event import Event, EventCounts
from bridge.outstation.lanes import EVENT_CLASSES, Lane, TypeBuffer
from bridge.outstation.points import EVENT_KINDS, EventClass, EventKind

_CLASS_INDICATIONS = {
    EventClass.CLASS_1: Iin.CLASS_1_EVENTS,
    EventClass.CLASS_2: Iin.CLASS_2_EVENTS,
    EventClass.CLASS_3: Iin.CLASS_3_EVENTS,
}
_sequence_of = attrgetter("sequence")


class EventMode(Enum):
    """Which events of a point are kept (IEEE 1815 clause 5.1)."""

    SOE = auto()
    """All: the sequence of events."""
    MOST_RECENT = auto()
    """Only the newest, at the place of the oldest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventBufferSizes:
    """How many events of each type wait at most; 0 keeps none of that type, and indicates no overflow.

    Raises `PointConfigError` for a negative size.
    """

    binary_input: int = 100
    double_bit_input: int = 100
    binary_output: int = 100
    counter: int = 100
    frozen_counter: int = 100
    analog_input: int = 100
    frozen_analog: int = 100
    analog_output: int = 100
    octet_string: int = 100
    binary_command: int = 100
    analog_command: int = 100

    def __post_init__(self) -> None:
        for kind in EVENT_KINDS:
            if self.of(kind) < 0:
                raise PointConfigError(f"event buffer {kind}: size {self.of(kind)}; use 0 or more")

    @classmethod
    def all(cls, size: int) -> EventBufferSizes:
        """Return the same size for each type."""
        return cls(**{field.name: size for field in fields(cls)})

    def of(self, kind: EventKind) -> int:
        """Return the size for one type."""
        size: int = getattr(self, kind)
        return size


class EventBuffer:
    """All events of one outstation, in bounded memory; constant time for each event that is touched."""

    def __init__(
        self,
        sizes: EventBufferSizes | None = None,
        modes: Mapping[EventKind, EventMode] | None = None,
    ) -> None:
        sizes = sizes or EventBufferSizes()
        modes = modes or {}
        self._types = {
            kind: TypeBuffer(sizes.of(kind), keeps_newest_only=modes.get(kind) is EventMode.MOST_RECENT)
            for kind in EVENT_KINDS
        }
        self._lanes = [lane for type_ in self._types.values() for lane in type_.lanes.values()]
        self._overflowed: set[EventKind] = set()
        self._sequence = 0
        self._asked_variations: dict[int, int] = {}
        """By sequence: what the present selection reports in place of the configured variation."""
        self._is_empty = True
        """Whether nothing waits, nor was sent: most polls find it so, and need not look into any lane."""
        self._indications: Iin | None = None
        """The answer of `class_indications` until an event comes or goes."""

    @property
    def has_overflowed(self) -> bool:
        """Whether events were lost and their type had no room since: IIN2.3."""
        return bool(self._overflowed)

    @property
    def is_selected(self) -> bool:
        """Whether a selection is under way."""
        return not self._is_empty and any(lane.selected for lane in self._lanes)

    @property
    def unconfirmed(self) -> int:
        """How many events were sent and wait for their confirm."""
        return 0 if self._is_empty else sum(lane.written for lane in self._lanes)

    def add(
        self, kind: EventKind, index: int, event_class: EventClass, measurement: Measurement, variation: int
    ) -> bool:
        """Append an event; return whether it is kept. Those of class NONE and of a type of size 0 are not."""
        type_ = self._types[kind]
        if not event_class or not type_.size:
            return False
        self._sequence += 1
        event = Event(kind, index, event_class, measurement, variation, self._sequence)
        lane = type_.lanes[event_class]
        if type_.keeps_newest_only and lane.replace_newest(event):
            return True
        self._indications = None
        self._is_empty = False
        if type_.is_full:
            type_.drop_oldest()
            self._overflowed.add(kind)
        lane.events[self._sequence] = event
        return True

    def select(
        self,
        classes: Collection[EventClass] = EVENT_CLASSES,
        kind: EventKind | None = None,
        *,
        limit: int | None = None,
        variation: int | None = None,
    ) -> int:
        """Add to the selection the oldest events of these classes and this type; return how many.

        `kind` None takes all types, `limit` None all events. `variation` replaces the configured one for as
        long as they are selected. Call it once for each object header of a READ.
        Raises `SelectionError` while sent events wait for their confirm.
        """
        if self._is_empty:
            return 0
        if self.unconfirmed:
            raise SelectionError("sent events wait for their confirm: confirm or release them first")
        if not self.is_selected:
            self._asked_variations.clear()
        types = self._types.values() if kind is None else (self._types[kind],)
        lanes = [type_.lanes[each] for type_ in types for each in EVENT_CLASSES if each in classes]
        if limit is None:
            chosen = [event for lane in lanes for event in lane.to_select()]
            for lane in lanes:
                lane.selected = len(lane.events)
        else:
            chosen = list(islice(_in_order([lane.to_select() for lane in lanes]), limit))
            for event in chosen:
                self._lane_of(event).selected += 1
        if variation is not None:
            self._asked_variations.update((event.sequence, variation) for event in chosen)
        return len(chosen)

    def selection(self) -> Iterator[Event]:
        """Iterate over the selected events that are not sent yet, oldest first.

        Begin anew for each fragment, and use it up before the next event is added.
        """
        if self._is_empty:
            return iter(())
        events = _in_order([lane.to_write() for lane in self._lanes if lane.selected > lane.written])
        asked = self._asked_variations
        if not asked:
            return events
        return (
            replace(event, variation=asked[event.sequence]) if event.sequence in asked else event
            for event in events
        )

    def written(self, count: int) -> None:
        """Note that the first `count` events of `selection()` are in the fragment that is sent now."""
        for event in list(islice(self.selection(), count)):
            lane = self._lane_of(event)
            lane.written += 1
            lane.written_through = event.sequence
        self._indications = None

    def confirm(self) -> int:
        """Remove the sent events, the master has them; return how many. What else is selected stays so."""
        confirmed = self.unconfirmed
        if not confirmed:
            return 0
        for lane in self._lanes:
            while lane.written:
                lane.pop()
        self._events_went()
        return confirmed

    def release(self) -> None:
        """End the selection: its events, sent or not, wait again in their old order."""
        if self._is_empty:
            return
        for lane in self._lanes:
            lane.release()
        self._events_went()

    def waiting(self, event_class: EventClass) -> int:
        """Return how many events of the class are not sent yet."""
        if self._is_empty:
            return 0
        lanes = (type_.lanes[event_class] for type_ in self._types.values())
        return sum(len(lane.events) - lane.written for lane in lanes)

    def class_indications(self) -> Iin:
        """Return the IIN bits of the classes that have events besides those already sent."""
        if self._indications is None:
            self._indications = Iin(0)
            for event_class, bit in _CLASS_INDICATIONS.items():
                if self.waiting(event_class):
                    self._indications |= bit
        return self._indications

    def counts(self) -> EventCounts:
        """Return how many events wait for the master, for the application to see."""
        types = self._types
        return EventCounts(
            {each: sum(len(type_.lanes[each].events) for type_ in types.values()) for each in EVENT_CLASSES},
            {kind: len(type_) for kind, type_ in types.items()},
        )

    def _lane_of(self, event: Event) -> Lane:
        return self._types[event.kind].lanes[event.event_class]

    def _events_went(self) -> None:
        self._indications = None
        self._is_empty = not any(lane.events for lane in self._lanes)
        self._overflowed = {kind for kind in self._overflowed if self._types[kind].is_full}


def _in_order(lanes: Iterable[Iterator[Event]]) -> Iterator[Event]:
    """Merge what the lanes hold, each oldest first, to one order."""
    return merge(*lanes, key=_sequence_of)
