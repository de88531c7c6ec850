"""What each function does, except READ (IEEE 1815 clauses 4.4 and 5.1).

Each function is a generator: it yields what a handler wants awaited, and returns the answer.
"""

from __future__ import annotations

from collections.abc import Callable

from bridge.application.command import CommandStatus
from bridge.application.function import NO_RESPONSE, Function, Iin
from bridge.application.header import ObjectHeader, count_header
from bridge.application.measurement import PointKind
from bridge.application.objects import VARIATIONS
from bridge.application.qualifier import Qualifier
from bridge.application.request import Request
from bridge.application.response import RESPONSE_HEADER_OCTETS
from bridge.application.variation import Role
from bridge.outstation.answer import Answer, Working
from bridge.outstation.attributes import AttributeStore
from bridge.outstation.config import OutstationConfig
from bridge.outstation.control import Controls, Selection, call
from bridge.outstation.database import Database
from bridge.outstation.freeze import Freezes
from bridge.outstation.handlers import OutstationApplication, OutstationInformation, RestartDelay
from bridge.outstation.points import EventClass
from bridge.outstation.ranges import has_all, ranges_of
from bridge.outstation.writes import Writes

_NOTHING = Iin(0)
_COARSE, _FINE = VARIATIONS[52, 1], VARIATIONS[52, 2]
_LONGEST_DELAY = 0xFFFF


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
        self._application = application
        self._information = information
        self._controls = controls
        self._selection = Selection(config.select_timeout_s)
        self._arrived_s = 0.0
        self.writes = Writes(database, attributes, application, information)
        self.freezes = Freezes(database, application, utc_ms)
        self.unsolicited_classes: frozenset[EventClass] = frozenset()

    def link_began(self) -> None:
        """A new master: no SELECT and no recorded time of the last one counts."""
        self._selection.forget()
        self.writes.recorded_s = None

    def cancel_select(self) -> None:
        """Another request than OPERATE came: the SELECT before it counts no more."""
        self._selection.forget()

    def execute(self, request: Request, now: float, arrived_s: float) -> Working:
        """Return the work that the request asks for; it came at `arrived_s`, and may have been held since."""
        self._arrived_s = arrived_s
        return _WORK[request.function](self, request, now)

    def _write(self, request: Request, now: float) -> Working:
        return self.writes.write(request, now, self._arrived_s)

    def _freeze(self, request: Request, now: float) -> Working:
        return self.freezes.freeze(request)

    def _freeze_at_time(self, request: Request, now: float) -> Working:
        return self.freezes.freeze_at_time(request, now)

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
        self.writes.recorded_s = self._arrived_s
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
        for start, stop in ranges_of(header):
            indices = self._database.indices(kind, start, stop)
            if header.qualifier is not Qualifier.ALL and not has_all(self._database, kind, start, stop):
                iin = Iin.PARAMETER_ERROR
            if indices:
                assign(kind, indices, event_class)
                tell(kind, indices[0], indices[-1], int(event_class))
        return iin


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
