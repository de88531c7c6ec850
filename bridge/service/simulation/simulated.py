"""A simulated RTU: an outstation whose points move by themselves and follow its commands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from bridge.application.attribute import Attribute, AttributeType
from bridge.application.command import AnalogOutputCommand, CommandStatus, Crob
from bridge.application.function import Function, Iin
from bridge.application.measurement import Measurement, PointKind, Value
from bridge.endpoints.events import note
from bridge.endpoints.local_outstation import FrameWire, Outstation, system_utc_ms
from bridge.outstation.attributes import AttributeStore
from bridge.outstation.config import OutstationConfig
from bridge.outstation.database import Database
from bridge.outstation.events import EventBuffer
from bridge.outstation.handlers import ControlHandler, OutstationApplication
from bridge.service.front import actuator
from bridge.service.front.relays import Movements
from bridge.service.logged_information import LoggedInformation
from bridge.service.simulation.sim_config import Rtu
from bridge.service.simulation.sim_points import Command, Point
from bridge.version import VERSION

_COUNTS = 1 << 32
_DECIMALS = 6
_OPEN, _CLOSED = 1, 2
"""A breaker's ends as a double-bit input."""


class SimulatedRtu:
    """Runs one RTU of a file. Serve `outstation`, `start`, and in the end `stop`."""

    def __init__(self, rtu: Rtu) -> None:
        self._rtu = rtu
        self._loop = asyncio.get_running_loop()
        self._began_s = self._elapsed_s = 0.0
        self._moving = [point for point in rtu.points if point.change is not None]
        self._updates: asyncio.TimerHandle | None = None
        self._movements = Movements()
        self._clock = _Clock(needs_time=rtu.needs_time)
        self._database = Database(EventBuffer(rtu.event_sizes))
        for point in rtu.points:
            self._database.add(point.index, point.config, Measurement(point.value))
        name = rtu.config.name
        self.outstation = _SlowOutstation(
            rtu.config,
            rtu.answer_delay_s,
            database=self._database,
            attributes=_attributes(rtu),
            application=_Application(name, self._clock, self._database),
            information=LoggedInformation(name),
            controls=_Controls(name, rtu.commands, self._execute),
            utc_ms=self._clock.utc_ms,
        )

    def start(self) -> None:
        """Let the points move from now on."""
        self._began_s, self._elapsed_s = self._loop.time(), 0.0
        self._update()

    def stop(self) -> None:
        """Stand still."""
        if self._updates is not None:
            self._updates.cancel()
        self._movements.stop()

    def _update(self) -> None:
        before_s, self._elapsed_s = self._elapsed_s, self._loop.time() - self._began_s
        with self._database.transaction() as transaction:
            for point in self._moving:
                value = _value_at(point, self._elapsed_s)
                if point.kind is PointKind.COUNTER:
                    # It goes on from where a freeze with clear has put it.
                    present = transaction.get(point.kind, point.index).value
                    value = (int(present) + int(value) - int(_value_at(point, before_s))) % _COUNTS
                transaction.update(point.kind, point.index, self._measured(value))
        if self._moving:
            self._updates = self._loop.call_later(self._rtu.update_s, self._update)

    def _measured(self, value: Value) -> Measurement:
        is_synchronized = not self._clock.needs_time
        return Measurement(value, time_ms=self._clock.utc_ms(), is_time_synchronized=is_synchronized)

    # Commands

    def _execute(self, point: Command, command: Crob | AnalogOutputCommand) -> None:
        """Do what an output was told; a newer command ends what an older one still does."""
        if isinstance(command, AnalogOutputCommand):
            self._movements.end((point.kind, point.index))
            self._set(point.kind, point.index, command.value)
            self._feed(point, command.value)
            return
        position = actuator.breaker_position(command)
        if position is not None:
            self._feed(point, position)

        def move(state: bool) -> None:
            self._set(point.kind, point.index, state)
            if position is None:
                self._feed(point, state)

        self._movements.begin((point.kind, point.index), actuator.movements(command), move)

    def _feed(self, point: Command, value: Value) -> None:
        for kind, index in point.feeds:
            shown = value
            if kind is PointKind.DOUBLE_BIT_INPUT:
                shown = _CLOSED if value else _OPEN
            self._loop.call_later(point.delay_s, self._set, kind, index, shown)

    def _set(self, kind: PointKind, index: int, value: Value) -> None:
        # A command point need not have a state that is read back.
        if self._database.has(kind, index):
            self._database.update(kind, index, self._measured(value))


def _value_at(point: Point, elapsed_s: float) -> Value:
    assert point.change is not None
    value = point.change.at(elapsed_s)
    match point.kind:
        case PointKind.BINARY_INPUT | PointKind.BINARY_OUTPUT:
            return bool(value)
        case PointKind.DOUBLE_BIT_INPUT:
            return _CLOSED if value else _OPEN
        case PointKind.COUNTER:
            return int(value)
        case _:
            return round(value, _DECIMALS)


def _attributes(rtu: Rtu) -> AttributeStore:
    """Return the attributes of the file, and those that any RTU should have."""
    store = AttributeStore()
    text = AttributeType.VSTR
    for number, attribute in {
        240: Attribute(AttributeType.UINT, rtu.config.longest_response),
        241: Attribute(AttributeType.UINT, rtu.config.longest_request),
        242: Attribute(text, VERSION),
        247: Attribute(text, rtu.config.name),
        250: Attribute(text, "RTU Bridge simulated RTU"),
        252: Attribute(text, "RTU Bridge"),
    }.items():
        store.define(number, attribute)
    for entry in rtu.attributes:
        store.define(
            entry.number, entry.attribute, attribute_set=entry.attribute_set, writable=entry.is_writable
        )
    return store


class _Clock:
    """The RTU's time: the system's until a master writes another."""

    def __init__(self, *, needs_time: bool) -> None:
        self.needs_time = needs_time
        self._ahead_ms = 0

    def utc_ms(self) -> int:
        return system_utc_ms() + self._ahead_ms

    def set(self, utc_ms: int) -> None:
        self._ahead_ms = utc_ms - system_utc_ms()
        self.needs_time = False


class _Application(OutstationApplication):
    def __init__(self, name: str, clock: _Clock, database: Database) -> None:
        self._name = name
        self._clock = clock
        self._database = database

    def indications(self) -> Iin:
        return Iin.NEED_TIME if self._clock.needs_time else Iin(0)

    def write_time(self, utc_ms: int) -> bool:
        self._clock.set(utc_ms)
        note("time written", outstation=self._name, utc_ms=utc_ms)
        return True

    def write_octet_string(self, index: int, octets: bytes) -> bool:
        self._database.update(PointKind.OCTET_STRING, index, Measurement(octets))
        return True


class _Controls(ControlHandler):
    def __init__(
        self,
        name: str,
        commands: tuple[Command, ...],
        execute: Callable[[Command, Crob | AnalogOutputCommand], None],
    ) -> None:
        self._name = name
        self._points = {(each.kind, each.index): each for each in commands}
        self._execute = execute

    def select(self, command: Crob | AnalogOutputCommand, index: int) -> CommandStatus:
        point = self._find(command, index)
        if point is None:
            return CommandStatus.NOT_SUPPORTED
        status = actuator.judge(command) if isinstance(command, Crob) else CommandStatus.SUCCESS
        return point.status if status is CommandStatus.SUCCESS else status

    def operate(self, command: Crob | AnalogOutputCommand, index: int, function: Function) -> CommandStatus:
        status = self.select(command, index)
        point = self._find(command, index)
        if point is not None and status is CommandStatus.SUCCESS:
            self._execute(point, command)
        note("control", outstation=self._name, index=index, status=status.name, **_in_words(command))
        return status

    def _find(self, command: Crob | AnalogOutputCommand, index: int) -> Command | None:
        kind = PointKind.BINARY_OUTPUT if isinstance(command, Crob) else PointKind.ANALOG_OUTPUT
        return self._points.get((kind, index))


def _in_words(command: Crob | AnalogOutputCommand) -> dict[str, Any]:
    if isinstance(command, AnalogOutputCommand):
        return {"value": command.value}
    operation = getattr(command.operation, "name", command.operation)
    words: dict[str, Any] = {"operation": operation, "count": command.count}
    if command.trip_close:
        words["coil"] = command.trip_close.name
    return words | {"on_ms": command.on_time_ms, "off_ms": command.off_time_ms}


class _SlowOutstation(Outstation):
    """An outstation that takes its time: everything that it sends goes out `delay_s` later."""

    def __init__(self, config: OutstationConfig, delay_s: float, **parts: Any) -> None:
        super().__init__(config, **parts)
        self._delay_s = delay_s
        self._slow: _SlowWire | None = None

    def session_started(self, session: FrameWire) -> None:
        """Begin with a wire of our own."""
        self._slow = _SlowWire(session, self._delay_s) if self._delay_s else None
        super().session_started(self._slow or session)

    def session_ended(self, session: FrameWire) -> None:
        """End, if it is the present one."""
        slow = self._slow
        super().session_ended(slow if slow is not None and slow.wire is session else session)


class _SlowWire:
    def __init__(self, wire: FrameWire, delay_s: float) -> None:
        self.wire = wire
        self._delay_s = delay_s
        self._loop = asyncio.get_running_loop()

    def send(self, octets: bytes) -> bool:
        self._loop.call_later(self._delay_s, self.wire.send, octets)
        return True

    def link_dead(self) -> None:
        self.wire.link_dead()
