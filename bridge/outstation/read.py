"""READ: from object headers to the objects of one fragment after another (IEEE 1815 clauses 4.4.1, 5.1).

Rules:
  1. Events come first, in the order in which they happened; static data follow in the order of the headers.
  2. Static data are those of the moment of the request, however many fragments they take.
  3. A range that begins or ends outside the existing points is a parameter error; what exists is sent.
  4. An answer without events is kept until the database changes, unless it is very long: polls repeat.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from bridge.application.codec import pack_bits
from bridge.application.function import Iin
from bridge.application.header import ObjectHeader, count_header, range_header
from bridge.application.measurement import PointKind
from bridge.application.objects import VARIATIONS, lookup
from bridge.application.qualifier import COUNTS, RANGES, Qualifier
from bridge.application.request import Request
from bridge.application.response import ResponseWriter
from bridge.application.variation import Role, Variation
from bridge.outstation.attributes import AttributeStore
from bridge.outstation.database import Database
from bridge.outstation.events import EventBuffer
from bridge.outstation.points import EVENT_OBJECTS, CommandKind, EventClass, EventKind
from bridge.outstation.table import Run

_CLASS_0_VARIATION = 1
_EVENT_CLASSES = {each + 1: each for each in EventClass if each}
"""By the variation of g60 that asks for them."""
_LAST_INDICATION = 15
_REMEMBERED_READS = 16
_LONGEST_KEPT = 65536
"""Octets of one answer: enough for thousands of points, however often one request asks for them."""
_TIME = VARIATIONS[50, 1]
_COMMAND_EVENT_KINDS = {
    PointKind.BINARY_OUTPUT: CommandKind.BINARY_COMMAND,
    PointKind.ANALOG_OUTPUT: CommandKind.ANALOG_COMMAND,
}
_NOTHING = Iin(0)

Static = Run | bytes
"""A run of points, or whole headers with their objects."""


@dataclass(frozen=True, slots=True)
class Part:
    """The objects of one fragment."""

    objects: bytes
    is_last: bool
    has_events: bool = False


class ReadPlan:
    """What is still to be sent of one READ."""

    def __init__(self, events: EventBuffer, statics: list[Static]) -> None:
        self._events = events
        self._statics = deque(statics)

    def next_part(self, limit: int) -> Part:
        """Return as much as fits in `limit` octets. To be called until it was the last."""
        writer = ResponseWriter(limit)
        are_events_done, count = self._add_events(writer)
        if are_events_done:
            self._add_statics(writer)
        return Part(
            writer.objects,
            is_last=are_events_done and not self._statics,
            has_events=count > 0,
        )

    def _add_events(self, writer: ResponseWriter) -> tuple[bool, int]:
        count = 0
        is_done = True
        for event in self._events.selection():
            row = lookup(EVENT_OBJECTS[event.kind].group, event.variation)
            assert row is not None
            # An event that not even an empty fragment can hold is passed over: it must not stop the others.
            if not writer.try_add_event(row, event.index, event.measurement) and not writer.is_empty:
                is_done = False
                break
            count += 1
        if count:
            self._events.written(count)
        return is_done, count

    def _add_statics(self, writer: ResponseWriter) -> None:
        while self._statics:
            item = self._statics.popleft()
            if isinstance(item, bytes):
                is_complete = writer.try_add(item)
            else:
                is_complete, item = _add_run(writer, item)
            # An object that not even an empty fragment can hold will never be sent.
            if not is_complete and not writer.is_empty:
                self._statics.appendleft(item)
                return


def _add_run(writer: ResponseWriter, run: Run) -> tuple[bool, Run]:
    """Add what fits; return whether that was all, and the rest."""
    row = lookup(run.group, run.variation)
    assert row is not None
    added = writer.add_range(row, run.start, run.measurements)
    return added == len(run.measurements), run._replace(
        start=run.start + added, measurements=run.measurements[added:]
    )


class Reader:
    """Plans the answers to READ requests. `utc_ms` gives the outstation's time for g50v1."""

    def __init__(
        self,
        database: Database,
        attributes: AttributeStore,
        schedules: Callable[[], Iterator[tuple[int, bytes]]],
        indications: Callable[[], Iin],
        utc_ms: Callable[[], int],
    ) -> None:
        self._database = database
        self._events = database.events
        self._attributes = attributes
        self._schedules = schedules
        self._indications = indications
        self._utc_ms = utc_ms
        self._kept: dict[tuple[bytes, int], tuple[int, list[Part]]] = {}

    def read(self, request: Request, limit: int) -> tuple[Iterator[Part], Iin]:
        """Select what the request asks for; return its parts and the indications for what cannot be had.

        The iterator must be used up, or the events' selection released.
        """
        kept = self._kept.get((request.body, limit))
        if kept is not None and kept[0] == self._database.version and not self._selects_events(request):
            return iter(kept[1]), _NOTHING
        statics: list[Static] = []
        iin = request.iin
        is_steady = True
        for header in request.headers:
            row = header.row
            assert row is not None
            is_steady &= row.role not in _UNSTEADY
            found, fault = self._select(header, row)
            statics += found
            if fault:
                iin |= fault
        has_events = self._events.is_selected
        parts = _parts(ReadPlan(self._events, statics), limit)
        if iin or has_events or not is_steady:
            return parts, iin
        return self._keeping(parts, (request.body, limit), self._database.version), iin

    def _keeping(self, parts: Iterator[Part], key: tuple[bytes, int], version: int) -> Iterator[Part]:
        """Pass the parts on, and keep them when the last was passed on and they are not too many."""
        passed: list[Part] = []
        octets = 0
        for part in parts:
            octets += len(part.objects)
            if octets <= _LONGEST_KEPT:
                passed.append(part)
            if part.is_last and octets <= _LONGEST_KEPT:
                if len(self._kept) >= _REMEMBERED_READS:
                    self._kept.clear()
                self._kept[key] = (version, passed)
            yield part

    def _selects_events(self, request: Request) -> bool:
        """Whether any events wait that the request could ask for: then nothing kept will do."""
        return bool(self._events.class_indications())

    def _select(self, header: ObjectHeader, row: Variation) -> tuple[list[Static], Iin]:
        return _SELECTIONS[row.group_role](self, header, row)

    def _class(self, header: ObjectHeader, row: Variation) -> tuple[list[Static], Iin]:
        if row.variation == _CLASS_0_VARIATION:
            return list(self._database.class_0()), _NOTHING
        self._events.select((_EVENT_CLASSES[row.variation],), limit=_limit(header))
        return [], _NOTHING

    def _event(self, header: ObjectHeader, row: Variation) -> tuple[list[Static], Iin]:
        kind: EventKind | None = row.kind
        assert kind is not None
        return self._select_events(header, row, kind)

    def _command_event(self, header: ObjectHeader, row: Variation) -> tuple[list[Static], Iin]:
        assert row.kind is not None
        return self._select_events(header, row, _COMMAND_EVENT_KINDS[row.kind])

    def _select_events(
        self, header: ObjectHeader, row: Variation, kind: EventKind
    ) -> tuple[list[Static], Iin]:
        # The variation of an octet string is its length, which nobody can choose.
        is_chosen = row.variation != 0 and kind is not PointKind.OCTET_STRING
        self._events.select(kind=kind, limit=_limit(header), variation=row.variation if is_chosen else None)
        return [], _NOTHING

    def _static(self, header: ObjectHeader, row: Variation) -> tuple[list[Static], Iin]:
        kind = row.kind
        assert kind is not None
        is_chosen = row.variation != 0 and kind is not PointKind.OCTET_STRING
        variation = row.variation if is_chosen else None
        return self._runs(
            header,
            kind,
            lambda start, stop: self._database.select(kind, start, stop, variation=variation),
        )

    def _deadband(self, header: ObjectHeader, row: Variation) -> tuple[list[Static], Iin]:
        return self._runs(
            header,
            PointKind.ANALOG_INPUT,
            lambda start, stop: self._database.deadbands(start, stop, variation=row.variation or None),
        )

    def _runs(
        self, header: ObjectHeader, kind: PointKind, select: Callable[[int, int], tuple[Run, ...]]
    ) -> tuple[list[Static], Iin]:
        if header.qualifier is Qualifier.ALL:
            return list(select(0, 0xFFFF)), _NOTHING
        if header.qualifier in RANGES:
            assert header.start is not None
            assert header.stop is not None
            ends = self._database.indices(kind, header.start, header.stop)
            is_inside = bool(ends) and ends[0] == header.start and ends[-1] == header.stop
            return list(select(header.start, header.stop)), _NOTHING if is_inside else Iin.PARAMETER_ERROR
        if header.qualifier in COUNTS:
            first = self._database.indices(kind)[: header.count]
            return list(select(first[0], first[-1])) if first else [], _NOTHING
        found: list[Static] = []
        iin = _NOTHING
        for index in _indices(header):
            if self._database.has(kind, index):
                found += select(index, index)
            else:
                iin = Iin.PARAMETER_ERROR
        return found, iin

    def _time(self, header: ObjectHeader, row: Variation) -> tuple[list[Static], Iin]:
        return [count_header(row.group, _TIME.variation, 1) + _TIME.pack(time=self._utc_ms())], _NOTHING

    def _schedule(self, header: ObjectHeader, row: Variation) -> tuple[list[Static], Iin]:
        schedules = dict(self._schedules())
        wanted, iin = _named(header, schedules)
        found: list[Static] = [
            range_header(row.group, row.variation, index, index) + schedules[index] for index in wanted
        ]
        return found, iin

    def _read_indications(self, header: ObjectHeader, row: Variation) -> tuple[list[Static], Iin]:
        start, stop = 0, _LAST_INDICATION
        if header.qualifier in RANGES:
            assert header.start is not None
            assert header.stop is not None
            start, stop = header.start, min(header.stop, stop)
            if start > stop or stop < header.stop:
                return [], Iin.PARAMETER_ERROR
        iin = int(self._indications())
        octets = pack_bits([iin >> index & 1 for index in range(start, stop + 1)], 1)
        return [range_header(row.group, row.variation, start, stop) + octets], _NOTHING

    def _attribute(self, header: ObjectHeader, row: Variation) -> tuple[list[Static], Iin]:
        sets, _ = _named(header, self._attributes.sets())
        found: list[Static] = [each for which in sets for each in self._attributes.read(which, row.variation)]
        return found, _NOTHING if found else Iin.OBJECT_UNKNOWN


def _parts(plan: ReadPlan, limit: int) -> Iterator[Part]:
    while True:
        part = plan.next_part(limit)
        yield part
        if part.is_last:
            return


def _limit(header: ObjectHeader) -> int | None:
    return header.count if header.qualifier in COUNTS else None


def _named(header: ObjectHeader, existing: Collection[int]) -> tuple[list[int], Iin]:
    """Return those of the existing indices that a header names, and the indications for the others."""
    if header.qualifier is Qualifier.ALL:
        return sorted(existing), _NOTHING
    if header.qualifier in COUNTS:
        return sorted(existing)[: header.count], _NOTHING
    if header.qualifier in RANGES:
        assert header.start is not None
        assert header.stop is not None
        # Not the other way round: a range names up to 65536, and a request hundreds of ranges.
        named = sorted(index for index in existing if header.start <= index <= header.stop)
        is_inside = named[:1] == [header.start] and named[-1:] == [header.stop]
        return named, _NOTHING if is_inside else Iin.PARAMETER_ERROR
    asked = _indices(header)
    named = [index for index in asked if index in existing]
    return named, _NOTHING if len(named) == len(asked) else Iin.PARAMETER_ERROR


def _indices(header: ObjectHeader) -> list[int]:
    """Return the indices that a header with prefixes names."""
    return [index for index, _ in header.items() if index is not None]


_UNSTEADY = frozenset({Role.TIME, Role.INDICATIONS, Role.SCHEDULE, Role.ATTRIBUTE})
"""What can change without the database's version."""

_SELECTIONS: dict[Role, Callable[[Reader, ObjectHeader, Variation], tuple[list[Static], Iin]]] = {
    Role.CLASS: Reader._class,
    Role.EVENT: Reader._event,
    Role.COMMAND_EVENT: Reader._command_event,
    Role.STATIC: Reader._static,
    Role.DEADBAND: Reader._deadband,
    Role.TIME: Reader._time,
    Role.SCHEDULE: Reader._schedule,
    Role.INDICATIONS: Reader._read_indications,
    Role.ATTRIBUTE: Reader._attribute,
}
