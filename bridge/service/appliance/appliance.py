"""The outstations that report on the appliance itself: their points follow the status of the bridge.

Everything is looked at once a second, one thing after the other, so that no frame waits for all of them.
What changed in between is looked at at once: events then have the time of the change, and the order in which
things happened. Changes in one turn of the event loop are looked at together.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from bridge.application.measurement import Measurement, PointKind, Value
from bridge.endpoints.line_reporter import OutstationObserver
from bridge.endpoints.local_outstation import system_utc_ms
from bridge.outstation import points
from bridge.outstation.config import ClassDelay, UnsolicitedConfig
from bridge.outstation.config import OutstationConfig as StackConfig
from bridge.outstation.database import Database
from bridge.outstation.events import EventBuffer, EventBufferSizes, EventMode
from bridge.outstation.points import EventKind, PointConfig
from bridge.outstation.values import EventDetection, initial_measurement
from bridge.service.appliance.appliance_controls import Actions, ApplianceControls
from bridge.service.appliance.appliance_identity import ApplianceApplication, attributes
from bridge.service.appliance.local_outstation import Asker, LocalOutstation
from bridge.service.appliance.point_map import Block, MappedPoint, blocks_of
from bridge.service.appliance.point_row import Section
from bridge.service.appliance.point_rows import FROZEN_CLASS
from bridge.service.appliance.point_values import Reading, readings
from bridge.service.configuration.config import Configuration, OutstationConfig
from bridge.service.logged_information import LoggedInformation

_PERIOD_S = 1.0
_WITH_TIME: Final = 5
"""The variation of counter events (g22, g23) that says when."""
_EVENTS: Final = 1000
"""Of a kind of states: hours of a bad day."""
_CLASS_DELAYS: Final = {
    1: ClassDelay(),
    2: ClassDelay(events=100, delay_s=2.0),
    3: ClassDelay(events=100, delay_s=10.0),
}
"""Faults are told at once, counts and measurements, which change every second, in larger portions."""

StatusOf = Callable[[Section, str], Mapping[str, Any]]
"""Returns a section of the status document: of the line, the outstation, ... with that name."""


class Appliance:
    """Makes the outstations and keeps their points up to date. To be made in a running loop.

    `add` one for each outstation that the file asks for, `start`, in the end `close`. Without any it does
    nothing.
    """

    def __init__(self, configuration: Configuration, status_of: StatusOf, actions: Actions) -> None:
        self._loop = asyncio.get_running_loop()
        self._configuration = configuration
        self._status_of = status_of
        self._actions = actions
        self._blocks = blocks_of(configuration)
        self._block_of = {(block.section, block.name): block for block in self._blocks}
        self._databases: list[Database] = []
        self._told: dict[tuple[PointKind, int], tuple[Value, int]] = {}
        self._changed: dict[tuple[Section, str], int] = {}
        self._turn_ms = 0
        self._next = 0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, config: OutstationConfig, observer: OutstationObserver) -> LocalOutstation:
        """Return an outstation with all points. What it is asked shows on `observer`."""
        database = _database(self._blocks)
        self._databases.append(database)
        asker = Asker()
        is_allowed = config.controls == "allow"
        return LocalOutstation(
            _stack_config(config),
            observer=observer,
            asker=asker,
            takes_broadcasts=config.broadcast == "allow",
            database=database,
            application=ApplianceApplication(),
            information=LoggedInformation(config.name),
            controls=ApplianceControls(
                config.name, self._blocks, self._actions, asker, database, is_allowed=is_allowed
            ),
            attributes=attributes(self._configuration),
        )

    def start(self) -> None:
        """Fill the points with what is known now, which is no event, and follow from now on."""
        if self._databases:
            now_ms = system_utc_ms()
            self._tell(
                [(now_ms, self._readings_of(block)) for block in self._blocks], EventDetection.SUPPRESS
            )
            self._look_later()

    def close(self) -> None:
        """Follow no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def changed(self, section: Section, name: str, at: float | None = None) -> None:
        """Say that something about this changed, at `at` (monotonic seconds) or now.

        What one cause changes has one time: that of the first change in a turn of the loop.
        """
        if self._timer is None:
            return
        if not self._changed:
            self._turn_ms = system_utc_ms()
            self._loop.call_soon(self._look_at_changes)
        ago_s = 0.0 if at is None else max(0.0, self._loop.time() - at)
        self._changed.setdefault((section, name), self._turn_ms - round(ago_s * 1000))

    def line_changed(self, line: str) -> None:
        """Say that a line went up or down, and what hangs on it with it."""
        self.changed(Section.LINE, line)
        for outstation in self._configuration.outstations:
            if outstation.line == line:
                self.changed(Section.OUTSTATION, outstation.name)
        self.changed(Section.APPLIANCE, "")

    def _look_at_changes(self) -> None:
        changed, self._changed = self._changed, {}
        if self._timer is not None:
            self._tell(
                (time_ms, self._readings_of(self._block_of[which])) for which, time_ms in changed.items()
            )

    def _look_later(self) -> None:
        self._timer = self._loop.call_later(_PERIOD_S / len(self._blocks), self._look)

    def _look(self) -> None:
        block = self._blocks[self._next]
        self._next = (self._next + 1) % len(self._blocks)
        self._look_later()
        self._tell([(system_utc_ms(), self._readings_of(block))])

    def _readings_of(self, block: Block) -> Iterable[Reading]:
        return readings(block, self._status_of(block.section, block.name))

    def _tell(
        self,
        groups: Iterable[tuple[int, Iterable[Reading]]],
        detect: EventDetection = EventDetection.DETECT,
    ) -> None:
        """Bring the databases up to date, each in one go; what is as it was costs them nothing."""
        news = [
            (*reading.point, measurement)
            for time_ms, group in groups
            for reading in group
            if (measurement := self._news(reading, time_ms)) is not None
        ]
        if not news:
            return
        for database in self._databases:
            with database.transaction() as transaction:
                for kind, index, measurement in news:
                    transaction.update(kind, index, measurement, detect=detect)

    def _news(self, reading: Reading, time_ms: int) -> Measurement | None:
        """Return what a point is to hold from now on, None where it holds that already."""
        point, value, flags = reading
        before = self._told.get(point)
        if value is None:
            value = initial_measurement(point[0]).value if before is None else before[0]
        if before == (value, flags):
            return None
        self._told[point] = value, flags
        return Measurement(value, flags, time_ms)


def _stack_config(config: OutstationConfig) -> StackConfig:
    return StackConfig(
        name=config.name,
        link_address=config.link_address,
        master_address=config.master_address,
        # A master of RTUs on the same session may know nothing of this address, and would not answer.
        keep_alive_s=None,
        unsolicited=UnsolicitedConfig(is_supported=config.unsolicited, class_delays=_CLASS_DELAYS),
    )


def _database(blocks: Sequence[Block]) -> Database:
    mapped = [point for block in blocks for point in block.points]
    of_kind = Counter(point.kind for point in mapped)
    sizes = EventBufferSizes(
        binary_input=_EVENTS,
        binary_output=_EVENTS,
        counter=of_kind[PointKind.COUNTER],
        # A freeze is an event of every frozen counter.
        frozen_counter=2 * of_kind[PointKind.COUNTER],
        analog_input=of_kind[PointKind.ANALOG_INPUT],
    )
    # What counts a fault that lasts would push out everything else; the last count says it all.
    newest = EventMode.MOST_RECENT
    modes: dict[EventKind, EventMode] = {PointKind.COUNTER: newest, PointKind.ANALOG_INPUT: newest}
    database = Database(EventBuffer(sizes, modes))
    for point in mapped:
        database.add(point.index, _point_config(point))
        if point.kind is PointKind.COUNTER:
            database.add(
                point.index, points.FrozenCounter(FROZEN_CLASS, in_class_0=False, event_variation=_WITH_TIME)
            )
    return database


def _point_config(point: MappedPoint) -> PointConfig:
    row = point.row
    match row.kind:
        case PointKind.BINARY_INPUT:
            return points.BinaryInput(row.event_class)
        case PointKind.BINARY_OUTPUT:
            return points.BinaryOutput(row.event_class)
        case PointKind.COUNTER:
            return points.Counter(row.event_class, deadband=row.deadband, event_variation=_WITH_TIME)
        case PointKind.ANALOG_INPUT:
            return points.AnalogInput(row.event_class, deadband=row.deadband)
    raise ValueError(f"the point map has no {row.kind}")
