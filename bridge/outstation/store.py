"""What a database and its transactions share: points by kind and index, and the one way in which they change.

Arguments are checked by the callers, but for whether a point exists. Listeners are told by `tell`, once for a
group of changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bridge.application.measurement import Measurement, PointKind
from bridge.outstation.events import EventBuffer
from bridge.outstation.points import PointConfig
from bridge.outstation.table import Point, PointTable, Run
from bridge.outstation.values import EventDetection, is_event, is_visible


class PointStore:
    """All points of one outstation, and where their events go."""

    def __init__(self, events: EventBuffer) -> None:
        self.events = events
        self.tables = {kind: PointTable(kind) for kind in PointKind}
        self.listeners: list[Callable[[], None]] = []
        self.version = 0
        self._class_0: tuple[Run, ...] | None = None

    def has(self, kind: PointKind, index: int) -> bool:
        """Return whether there is such a point."""
        return index in self.tables[kind].points

    def point(self, kind: PointKind, index: int) -> Point:
        """Return a point; raises `UnknownPointError`."""
        return self.tables[kind].point(index)

    def class_0(self) -> tuple[Run, ...]:
        """Return all points that belong to class 0."""
        if self._class_0 is None:
            self._class_0 = tuple(run for table in self.tables.values() for run in table.class_0())
        return self._class_0

    def add(self, index: int, config: PointConfig, initial: Measurement) -> None:
        """Add a point; raises `DuplicatePointError`, `PointConfigError`."""
        table = self.tables[config.kind]
        table.add(index, Point(config, initial))
        self._seen(table)

    def remove(self, kind: PointKind, index: int) -> None:
        """Remove a point; raises `UnknownPointError`."""
        table = self.tables[kind]
        table.remove(index)
        self._seen(table)

    def update(
        self,
        kind: PointKind,
        index: int,
        measurement: Measurement,
        detect: EventDetection,
        *,
        static: bool = True,
    ) -> bool:
        """Change a point; return whether there is an event. Raises `UnknownPointError`."""
        table = self.tables[kind]
        point = table.point(index)
        if static:
            is_seen = is_visible(kind, point.measurement, measurement)
            point.measurement = measurement
            if is_seen:
                self._seen(table)
        if detect is EventDetection.DETECT and not is_event(point.reported, measurement, point.deadband):
            return False
        point.reported = measurement
        if detect is EventDetection.SUPPRESS:
            return False
        config = point.config
        variation = config.event_variation
        if isinstance(measurement.value, bytes):
            variation = len(measurement.value)
        return self.events.add(kind, index, config.event_class, measurement, variation)

    def set_flags(
        self, kind: PointKind, index: int, flags: int, time_ms: int | None, detect: EventDetection
    ) -> bool:
        """Change a point's flags; return whether there is an event. Raises `UnknownPointError`."""
        measurement = replace(self.point(kind, index).measurement, flags=flags, time_ms=time_ms)
        return self.update(kind, index, measurement, detect)

    def tell(self, is_event_added: bool) -> bool:
        """Tell the listeners, if there is something to tell; return whether there was."""
        if is_event_added:
            for listener in tuple(self.listeners):
                listener()
        return is_event_added

    def _seen(self, table: PointTable) -> None:
        self.version += 1
        self._class_0 = None
        table.changed()
