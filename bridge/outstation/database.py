"""An outstation's points: their current values, their events, and what a master may set about them.

Rules (IEEE 1815 clauses 4.1.2 to 4.1.6 and 4.4):
  1. Each kind has indices of its own, 0 to 65535, with gaps where the device has none.
  2. An update is an event if the flags changed, or the value by more than the deadband, since the last event:
     small steps add up until they are reported.
  3. Points and their events change together; a transaction applies many of them at once.
  4. `version` grows with every change that a read of static data could tell. While it stays, the same read
     has the same answer.
  5. Freezing copies running points to the frozen points of the same index. Those without one are not frozen.

Nothing here waits, and nothing is locked: use one database from one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from bridge.application.measurement import Measurement, PointKind, Value
from bridge.errors import PointError, PointValueError
from bridge.outstation.events import EventBuffer
from bridge.outstation.points import (
    LAST_INDEX,
    AnalogInput,
    AnalogOutput,
    BinaryOutput,
    CommandKind,
    EventClass,
    PointConfig,
)
from bridge.outstation.store import PointStore
from bridge.outstation.table import Run
from bridge.outstation.transaction import Transaction
from bridge.outstation.values import EventDetection, check_measurement, check_time, initial_measurement

FROZEN_KINDS = {
    PointKind.COUNTER: PointKind.FROZEN_COUNTER,
    PointKind.ANALOG_INPUT: PointKind.FROZEN_ANALOG,
}
"""Where a freeze of running points goes to."""
_COMMANDED_AS = {
    PointKind.BINARY_OUTPUT: CommandKind.BINARY_COMMAND,
    PointKind.ANALOG_OUTPUT: CommandKind.ANALOG_COMMAND,
}
_LAST_STATUS = 127


class Database:
    """All points of one outstation.

    What it raises is a `bridge.errors.PointError`, and leaves everything as it was.
    """

    def __init__(self, events: EventBuffer | None = None) -> None:
        self._store = PointStore(events or EventBuffer())
        self._tables = self._store.tables

    @property
    def events(self) -> EventBuffer:
        """The events that wait for the master."""
        return self._store.events

    @property
    def version(self) -> int:
        """A number that grows with every visible change of static data, deadbands included."""
        return self._store.version

    def add_listener(self, listener: Callable[[], None]) -> None:
        """Call this after events were added: once for each method, once for a whole transaction.

        It should note the fact and return; what it raises reaches whoever changed the database.
        """
        self._store.listeners.append(listener)

    def remove_listener(self, listener: Callable[[], None]) -> None:
        """Call this no more."""
        self._store.listeners.remove(listener)

    # The points.

    def add(self, index: int, config: PointConfig, initial: Measurement | None = None) -> None:
        """Add a point of the configuration's kind.

        Without `initial` it has the flag RESTART until its first update. Adding is no event.
        Raises `DuplicatePointError`, `PointConfigError` for an index above 65535, `PointValueError`.
        """
        initial = initial or initial_measurement(config.kind)
        check_measurement(config.kind, index, initial)
        self._store.add(index, config, initial)

    def remove(self, kind: PointKind, index: int) -> None:
        """Remove a point. Its events happened, and stay. Raises `UnknownPointError`."""
        self._store.remove(kind, index)

    def has(self, kind: PointKind, index: int) -> bool:
        """Return whether there is such a point."""
        return self._store.has(kind, index)

    def indices(self, kind: PointKind, start: int = 0, stop: int = LAST_INDEX) -> tuple[int, ...]:
        """Return the indices that exist in a range, both ends included, in order."""
        return self._tables[kind].indices(start, stop)

    def get(self, kind: PointKind, index: int) -> Measurement:
        """Return a point's current value, flags and time. Raises `UnknownPointError`."""
        return self._store.point(kind, index).measurement

    def config(self, kind: PointKind, index: int) -> PointConfig:
        """Return how a point is set up now, with the class and the deadband that a master set.

        Raises `UnknownPointError`.
        """
        return self._store.point(kind, index).config

    def update(
        self,
        kind: PointKind,
        index: int,
        measurement: Measurement,
        *,
        detect: EventDetection = EventDetection.DETECT,
        static: bool = True,
    ) -> bool:
        """Set a point's value, flags and time; return whether that put an event in the buffer.

        `static` False leaves the current value: for events that are older than it.
        Raises `UnknownPointError`, `PointValueError`.
        """
        check_measurement(kind, index, measurement)
        return self._store.tell(self._store.update(kind, index, measurement, detect, static=static))

    def set_flags(
        self,
        kind: PointKind,
        index: int,
        flags: int,
        *,
        time_ms: int | None = None,
        detect: EventDetection = EventDetection.DETECT,
    ) -> bool:
        """Set a point's flags and keep its value; `time_ms` is when they changed. As `update` otherwise."""
        measurement = replace(self.get(kind, index), flags=flags, time_ms=time_ms)
        return self.update(kind, index, measurement, detect=detect)

    def transaction(self) -> Transaction:
        """Return a `with` block whose changes are seen at its end, all at once, or never if it raises."""
        return Transaction(self._store)

    # What a master reads.

    def select(
        self, kind: PointKind, start: int = 0, stop: int = LAST_INDEX, *, variation: int | None = None
    ) -> tuple[Run, ...]:
        """Return the points of a range, both ends included, as runs in the order of their indices.

        `variation` None leaves each point in its configured one. Binaries whose flags are not plainly ONLINE
        are never packed. Gaps are left out: compare with the range to know of them.
        """
        return self._tables[kind].runs(start, stop, variation)

    def class_0(self) -> tuple[Run, ...]:
        """Return all points that belong to class 0, kind by kind."""
        return self._store.class_0()

    def deadbands(
        self, start: int = 0, stop: int = LAST_INDEX, *, variation: int | None = None
    ) -> tuple[Run, ...]:
        """Return the analog inputs' deadbands as runs of g34; `variation` None leaves the configured ones."""
        return self._tables[PointKind.ANALOG_INPUT].deadband_runs(start, stop, variation)

    # What a master sets.

    def deadband(self, index: int) -> float:
        """Return an analog input's deadband. Raises `UnknownPointError`."""
        return self._store.point(PointKind.ANALOG_INPUT, index).deadband

    def set_deadband(self, index: int, deadband: float) -> None:
        """Set an analog input's deadband.

        Raises `UnknownPointError`, and `PointConfigError` unless it is a number of 0 or more.
        """
        point = self._store.point(PointKind.ANALOG_INPUT, index)
        assert isinstance(point.config, AnalogInput)
        point.configure(replace(point.config, deadband=deadband))
        self._store.version += 1

    def assign_class(self, kind: PointKind, indices: Iterable[int], event_class: EventClass) -> None:
        """Set the class of points' future events; those that wait stay in theirs, and class 0 its members.

        Raises `UnknownPointError`, `PointConfigError`.
        """
        points = [self._store.point(kind, index) for index in indices]
        configs = [replace(point.config, event_class=event_class) for point in points]
        for point, config in zip(points, configs, strict=True):
            point.configure(config)

    def assign_command_class(self, kind: PointKind, indices: Iterable[int], event_class: EventClass) -> None:
        """Set the class of outputs' future command events, g13 and g43.

        Raises `UnknownPointError`, and `PointError` for points that are no outputs.
        """
        if kind not in _COMMANDED_AS:
            raise PointError(f"{kind} takes no commands")
        points = [self._store.point(kind, index) for index in indices]
        for point in points:
            assert isinstance(point.config, BinaryOutput | AnalogOutput)
            point.configure(replace(point.config, command_class=event_class))

    def freeze(
        self,
        kind: PointKind,
        start: int = 0,
        stop: int = LAST_INDEX,
        *,
        clear: bool = False,
        time_ms: int | None = None,
        is_time_synchronized: bool = True,
    ) -> int:
        """Freeze a range of counters or analog inputs at `time_ms`; return how many.

        Every freeze is an event of the frozen point. `clear` sets counters to 0, which is no event of theirs.
        Raises `PointError` for other kinds, and to clear analog inputs; `PointValueError`.
        """
        if kind not in FROZEN_KINDS or (clear and kind is not PointKind.COUNTER):
            raise PointError(f"{kind} cannot be frozen{' and cleared' if clear else ''}")
        check_time(time_ms)
        store, frozen_kind = self._store, FROZEN_KINDS[kind]
        indices = [index for index in self.indices(kind, start, stop) if store.has(frozen_kind, index)]
        is_event_added = False
        for index in indices:
            running = self.get(kind, index)
            taken = Measurement(running.value, running.flags, time_ms, is_time_synchronized)
            is_event_added |= store.update(frozen_kind, index, taken, EventDetection.FORCE)
            if clear:
                store.update(kind, index, replace(taken, value=0), EventDetection.SUPPRESS)
        store.tell(is_event_added)
        return len(indices)

    def record_command(
        self,
        kind: PointKind,
        index: int,
        value: Value,
        status: int,
        *,
        time_ms: int | None = None,
        is_time_synchronized: bool = True,
    ) -> bool:
        """Record a command to an output, g13 or g43; return whether that put an event in the buffer.

        `value` is the commanded state or set point, `status` the command status (0 to 127) that was answered.
        Raises `UnknownPointError`, `PointValueError`, and `PointError` for points that are no outputs.
        """
        if kind not in _COMMANDED_AS:
            raise PointError(f"{kind} {index} takes no commands")
        config = self.config(kind, index)
        assert isinstance(config, BinaryOutput | AnalogOutput)
        check_measurement(kind, index, Measurement(value, time_ms=time_ms))
        if not 0 <= status <= _LAST_STATUS:
            raise PointValueError(f"{kind} {index}: command status {status}; use 0 to {_LAST_STATUS}")
        command = Measurement(value, status, time_ms, is_time_synchronized)
        is_kept = self.events.add(
            _COMMANDED_AS[kind], index, config.command_class, command, config.command_variation
        )
        return self._store.tell(is_kept)
