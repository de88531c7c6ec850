"""What each function does, except READ and the controls' waiting (IEEE 1815 clauses 4.4 and 5.1).

Each function is a generator: it yields what a handler wants awaited, and returns the answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

from bridge.application.attribute import Attribute
from bridge.application.command import CommandStatus
from bridge.application.function import NO_RESPONSE, Function, Iin
from bridge.application.header import ObjectHeader, count_header
from bridge.application.measurement import PointKind
from bridge.application.objects import VARIATIONS
from bridge.application.qualifier import RANGES, Qualifier
from bridge.application.request import Request
from bridge.application.response import RESPONSE_HEADER_OCTETS
from bridge.application.variation import Role, Variation
from bridge.outstation.attributes import DEFAULT_SET, AttributeStore
from bridge.outstation.config import OutstationConfig
from bridge.outstation.control import Controls, Selection, call
from bridge.outstation.database import Database
from bridge.outstation.freeze import FreezeOrder, FreezeSchedule
from bridge.outstation.handlers import FreezeType, OutstationApplication, OutstationInformation, RestartDelay
from bridge.outstation.points import EventClass

_NOTHING = Iin(0)
_RESTART_INDEX = 7
_COARSE, _FINE = VARIATIONS[52, 1], VARIATIONS[52, 2]
_LONGEST_DELAY = 0xFFFF
_LAST_INDEX = 0xFFFF
_MOST_SCHEDULES = 256
_FREEZABLE = frozenset({PointKind.COUNTER, PointKind.ANALOG_INPUT})
_IS_CLEAR = frozenset({Function.FREEZE_CLEAR, Function.FREEZE_CLEAR_NR})

Working = Generator[Awaitable[Any], Any, "Answer"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered with: objects and the indications that it adds."""

    objects: bytes = b""
    iin: Iin = _NOTHING


class Functions:
    """Executes requests on one outstation's data through its user's handlers."""

    def __init__(
        self,
        config: OutstationConfig,
        database: Database,
        attributes: AttributeStore,
        application: OutstationApplication,
        information: OutstationInformation,
        controls: Controls,
        utc_ms: Callable[[], int],
    ) -> None:
        self._config = config
        self._database = database
        self._attributes = attributes
        self._application = application
        self._information = information
        self._controls = controls
        self._utc_ms = utc_ms
        self._selection = Selection(config.select_timeout_s)
        self._arrived_s = 0.0
        self._recorded_s: float | None = None
        self._schedules: dict[int, bytes] = {}
        self.freezes = FreezeSchedule()
        self.is_restarted = True
        """IIN1.7: until the master writes it to 0."""
        self.unsolicited_classes: frozenset[EventClass] = frozenset()

    def schedules(self) -> Iterator[tuple[int, bytes]]:
        """Yield the indexed times with intervals that were written, g50v4."""
        yield from sorted(self._schedules.items())

    def link_began(self) -> None:
        """A new master: no SELECT and no recorded time of the last one counts."""
        self._selection.forget()
        self._recorded_s = None

    def cancel_select(self) -> None:
        """Another request than OPERATE came: the SELECT before it counts no more."""
        self._selection.forget()

    def execute(self, request: Request, now: float, arrived_s: float) -> Working:
        """Return the work that the request asks for; it came at `arrived_s`, and may have been held since."""
        self._arrived_s = arrived_s
        return _WORK[request.function](self, request, now)

    def freeze_due(self, now: float) -> None:
        """Freeze what was ordered for a time that has come."""
        for order in self.freezes.due(now):
            for start, stop in order.ranges:
                self._freeze_now(order.kind, start, stop, clear=False)

    # Writing

    def _write(self, request: Request, now: float) -> Working:
        iin = _NOTHING
        for header in request.headers:
            row = header.row
            assert row is not None
            iin |= yield from _WRITERS[row.group_role](self, header, row, now)
        return Answer(iin=iin)

    def _write_indications(
        self, header: ObjectHeader, row: Variation, now: float
    ) -> Generator[Awaitable[Any], Any, Iin]:
        yield from ()
        for index, octets in header.items():
            if index != _RESTART_INDEX or octets != b"\0":
                return Iin.PARAMETER_ERROR
            if self.is_restarted:
                self.is_restarted = False
                self._information.restart_cleared()
        return _NOTHING

    def _write_time(
        self, header: ObjectHeader, row: Variation, now: float
    ) -> Generator[Awaitable[Any], Any, Iin]:
        since_s: float | None = self._arrived_s
        if row.role is Role.RECORDED_TIME:
            since_s, self._recorded_s = self._recorded_s, None
        if since_s is None:
            return Iin.PARAMETER_ERROR
        offset_ms = round((now - since_s) * 1000)
        times = [int(row.unpack(octets)["time"]) for _, octets in header.items()]
        if len(times) != 1:
            return Iin.PARAMETER_ERROR
        was_set = yield from call(self._application.write_time(times[0] + offset_ms))
        return _NOTHING if was_set else Iin.PARAMETER_ERROR

    def _write_schedule(
        self, header: ObjectHeader, row: Variation, now: float
    ) -> Generator[Awaitable[Any], Any, Iin]:
        for index, octets in header.items():
            assert index is not None
            values = {name: int(value) for name, value in row.unpack(octets).items()}
            is_room = index in self._schedules or len(self._schedules) < _MOST_SCHEDULES
            if not is_room or not (
                yield from call(
                    self._application.write_schedule(
                        index, values["time"], values["interval"], values["units"]
                    )
                )
            ):
                return Iin.PARAMETER_ERROR
            self._schedules[index] = octets
        return _NOTHING

    def _write_deadband(
        self, header: ObjectHeader, row: Variation, now: float
    ) -> Generator[Awaitable[Any], Any, Iin]:
        iin = _NOTHING
        for index, octets in header.items():
            assert index is not None
            deadband = float(row.unpack(octets)["value"])
            is_legal = self._database.has(PointKind.ANALOG_INPUT, index) and deadband >= 0
            if is_legal and (yield from call(self._application.write_deadband(index, deadband))):
                self._database.set_deadband(index, deadband)
            else:
                iin = Iin.PARAMETER_ERROR
        return iin

    def _write_attribute(
        self, header: ObjectHeader, row: Variation, now: float
    ) -> Generator[Awaitable[Any], Any, Iin]:
        for index, octets in header.items():
            which = DEFAULT_SET if index is None else index
            attribute = Attribute.decode(octets)
            if attribute is None or not self._attributes.takes(attribute, which, row.variation):
                return Iin.PARAMETER_ERROR
            if not (
                yield from call(self._application.write_attribute(which, row.variation, attribute.value))
            ):
                return Iin.PARAMETER_ERROR
            self._attributes.define(row.variation, attribute, attribute_set=which, writable=True)
        return _NOTHING

    def _write_string(
        self, header: ObjectHeader, row: Variation, now: float
    ) -> Generator[Awaitable[Any], Any, Iin]:
        for index, octets in header.items():
            assert index is not None
            if not self._database.has(PointKind.OCTET_STRING, index):
                return Iin.PARAMETER_ERROR
            if not (yield from call(self._application.write_octet_string(index, octets))):
                return Iin.PARAMETER_ERROR
        return _NOTHING

    # Controls

    def _select(self, request: Request, now: float) -> Working:
        if self._is_echo_too_long(request):
            return Answer(iin=Iin.PARAMETER_ERROR)
        objects, are_all_fine = yield from self._controls.execute(request)
        if are_all_fine:
            self._selection.remember(request, now)
        return Answer(objects)

    def _operate(self, request: Request, now: float) -> Working:
        if self._is_echo_too_long(request):
            return Answer(iin=Iin.PARAMETER_ERROR)
        status = self._selection.judge(request, now)
        if status is not CommandStatus.SUCCESS:
            return Answer(self._controls.refuse(request, status))
        return (yield from self._direct_operate(request, now))

    def _direct_operate(self, request: Request, now: float) -> Working:
        if self._is_echo_too_long(request):
            return Answer(iin=Iin.PARAMETER_ERROR)
        objects, _ = yield from self._controls.execute(request)
        return Answer(objects)

    def _is_echo_too_long(self, request: Request) -> bool:
        """Whether the request's objects do not fit one response: its answer could not be sent."""
        limit = self._config.longest_response - RESPONSE_HEADER_OCTETS
        return request.function not in NO_RESPONSE and len(request.body) > limit

    # Freezes

    def _freeze(self, request: Request, now: float) -> Working:
        freeze_type = FreezeType.CLEAR if request.function in _IS_CLEAR else FreezeType.IMMEDIATE
        iin = request.iin
        for header in request.headers:
            kind = header.row.kind if header.row is not None else None
            if kind not in _FREEZABLE or (freeze_type is FreezeType.CLEAR and kind is not PointKind.COUNTER):
                iin |= Iin.OBJECT_UNKNOWN
                continue
            for start, stop in _ranges(header):
                first, last = (None, None) if header.qualifier is Qualifier.ALL else (start, stop)
                if not (yield from call(self._application.freeze(kind, first, last, freeze_type))):
                    iin |= Iin.PARAMETER_ERROR
                    continue
                if header.qualifier is not Qualifier.ALL and not self._has_all(kind, start, stop):
                    iin |= Iin.PARAMETER_ERROR
                self._freeze_now(kind, start, stop, clear=freeze_type is FreezeType.CLEAR)
        return Answer(iin=iin)

    def _freeze_at_time(self, request: Request, now: float) -> Working:
        yield from ()
        when: tuple[int, int] | None = None
        iin = _NOTHING
        for header in request.headers:
            row = header.row
            assert row is not None
            if row.role is Role.FREEZE_TIME:
                times = [row.unpack(octets) for _, octets in header.items()]
                if len(times) != 1:
                    return Answer(iin=Iin.PARAMETER_ERROR)
                when = (int(times[0]["time"]), int(times[0]["interval"]))
                continue
            if when is None or row.kind is None:
                return Answer(iin=Iin.PARAMETER_ERROR)
            at_ms, interval_ms = when
            delay_s = max(0, at_ms - self._utc_ms()) / 1000 if at_ms else 0.0
            ranges = tuple(_ranges(header))
            is_there = header.qualifier is Qualifier.ALL or all(
                self._has_all(row.kind, start, stop) for start, stop in ranges
            )
            order = FreezeOrder(row.kind, ranges, now + delay_s, interval_ms / 1000)
            is_taken = not ranges or self.freezes.add(order)
            if not is_there or not is_taken:
                iin |= Iin.PARAMETER_ERROR
        self.freeze_due(now)
        return Answer(iin=iin)

    def _has_all(self, kind: PointKind, start: int, stop: int) -> bool:
        """Whether a range begins and ends with a point, as a READ judges it too."""
        indices = self._database.indices(kind, start, stop)
        return bool(indices) and (indices[0], indices[-1]) == (start, stop)

    def _freeze_now(self, kind: PointKind, start: int, stop: int, *, clear: bool) -> None:
        self._database.freeze(kind, start, stop, clear=clear, time_ms=self._utc_ms())

    # Restarts, times, classes

    def _restart(self, request: Request, now: float) -> Working:
        is_cold = request.function is Function.COLD_RESTART
        restart = self._application.cold_restart if is_cold else self._application.warm_restart
        delay: RestartDelay | None = yield from call(restart())
        if delay is None:
            return Answer(iin=Iin.NO_FUNC_CODE_SUPPORT)
        return Answer(_delay_object(delay))

    def _measure_delay(self, request: Request, now: float) -> Working:
        yield from ()
        # Under a millisecond, unless a handler of the request before it was waited for.
        return Answer(_delay_object(RestartDelay(round((now - self._arrived_s) * 1000))))

    def _record_time(self, request: Request, now: float) -> Working:
        yield from ()
        self._recorded_s = self._arrived_s
        return Answer()

    def _enable_unsolicited(self, request: Request, now: float) -> Working:
        yield from ()
        if not self._config.unsolicited.is_supported:
            return Answer(iin=Iin.NO_FUNC_CODE_SUPPORT)
        classes = {EventClass(header.variation - 1) for header in request.headers}
        is_enabling = request.function is Function.ENABLE_UNSOLICITED
        before = self.unsolicited_classes
        self.unsolicited_classes = before | classes if is_enabling else before - classes
        self._information.unsolicited_enabled(frozenset(int(each) for each in self.unsolicited_classes))
        return Answer(iin=request.iin)

    def _assign_class(self, request: Request, now: float) -> Working:
        yield from ()
        event_class: EventClass | None = None
        iin = _NOTHING
        for header in request.headers:
            row = header.row
            assert row is not None
            if row.role is Role.CLASS:
                event_class = EventClass(row.variation - 1)
            elif event_class is None or row.kind is None:
                iin |= Iin.PARAMETER_ERROR
            else:
                iin |= self._assign(row.kind, header, event_class, is_command=row.group_role is Role.COMMAND)
        return Answer(iin=iin)

    def _assign(
        self, kind: PointKind, header: ObjectHeader, event_class: EventClass, *, is_command: bool
    ) -> Iin:
        assign, tell = self._database.assign_class, self._application.class_assigned
        if is_command:
            assign = self._database.assign_command_class
            tell = self._application.command_class_assigned
        iin = _NOTHING
        for start, stop in _ranges(header):
            indices = self._database.indices(kind, start, stop)
            if header.qualifier is not Qualifier.ALL and not self._has_all(kind, start, stop):
                iin = Iin.PARAMETER_ERROR
            if indices:
                assign(kind, indices, event_class)
                tell(kind, indices[0], indices[-1], int(event_class))
        return iin


def _ranges(header: ObjectHeader) -> list[tuple[int, int]]:
    """Return the index ranges that a header names: none for a count of 0."""
    if header.qualifier is Qualifier.ALL:
        return [(0, _LAST_INDEX)]
    if header.qualifier in RANGES:
        assert header.start is not None
        assert header.stop is not None
        return [(header.start, header.stop)]
    return [(index, index) for index, _ in header.items() if index is not None]


def _delay_object(delay: RestartDelay) -> bytes:
    row, time = (_FINE, delay.ms) if delay.is_fine else (_COARSE, delay.ms // 1000)
    return count_header(row.group, row.variation, 1) + row.pack(delay=min(time, _LONGEST_DELAY))


_WORK: dict[Function, Callable[[Functions, Request, float], Working]] = {
    Function.WRITE: Functions._write,
    Function.SELECT: Functions._select,
    Function.OPERATE: Functions._operate,
    Function.DIRECT_OPERATE: Functions._direct_operate,
    Function.DIRECT_OPERATE_NR: Functions._direct_operate,
    Function.IMMED_FREEZE: Functions._freeze,
    Function.IMMED_FREEZE_NR: Functions._freeze,
    Function.FREEZE_CLEAR: Functions._freeze,
    Function.FREEZE_CLEAR_NR: Functions._freeze,
    Function.FREEZE_AT_TIME: Functions._freeze_at_time,
    Function.FREEZE_AT_TIME_NR: Functions._freeze_at_time,
    Function.COLD_RESTART: Functions._restart,
    Function.WARM_RESTART: Functions._restart,
    Function.ENABLE_UNSOLICITED: Functions._enable_unsolicited,
    Function.DISABLE_UNSOLICITED: Functions._enable_unsolicited,
    Function.ASSIGN_CLASS: Functions._assign_class,
    Function.DELAY_MEASURE: Functions._measure_delay,
    Function.RECORD_CURRENT_TIME: Functions._record_time,
}

_WRITERS: dict[
    Role, Callable[[Functions, ObjectHeader, Variation, float], Generator[Awaitable[Any], Any, Iin]]
] = {
    Role.INDICATIONS: Functions._write_indications,
    Role.TIME: Functions._write_time,
    Role.RECORDED_TIME: Functions._write_time,
    Role.SCHEDULE: Functions._write_schedule,
    Role.DEADBAND: Functions._write_deadband,
    Role.ATTRIBUTE: Functions._write_attribute,
    Role.STATIC: Functions._write_string,
}
