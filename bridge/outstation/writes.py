"""What a WRITE does, object by object (IEEE 1815 clause 4.4.2)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterator
from typing import Any

from bridge.application.attribute import Attribute
from bridge.application.function import Iin
from bridge.application.header import ObjectHeader
from bridge.application.measurement import PointKind
from bridge.application.request import Request
from bridge.application.variation import Role, Variation
from bridge.outstation.answer import Answer, Working
from bridge.outstation.attributes import DEFAULT_SET, AttributeStore
from bridge.outstation.control import call
from bridge.outstation.database import Database
from bridge.outstation.handlers import OutstationApplication, OutstationInformation

_NOTHING = Iin(0)
_RESTART_INDEX = 7
_MOST_SCHEDULES = 256

Writing = Generator[Awaitable[Any], Any, Iin]
"""A header being written: it yields what a handler wants awaited, and returns the indications."""


class Writes:
    """Writes to one outstation's data through its user's handlers."""

    def __init__(
        self,
        database: Database,
        attributes: AttributeStore,
        application: OutstationApplication,
        information: OutstationInformation,
    ) -> None:
        self._database = database
        self._attributes = attributes
        self._application = application
        self._information = information
        self._arrived_s = 0.0
        self._schedules: dict[int, bytes] = {}
        self.recorded_s: float | None = None
        """When RECORD_CURRENT_TIME came, which the time written next is counted from."""
        self.is_restarted = True
        """IIN1.7: until the master writes it to 0."""

    def schedules(self) -> Iterator[tuple[int, bytes]]:
        """Yield the indexed times with intervals that were written, g50v4."""
        yield from sorted(self._schedules.items())

    def write(self, request: Request, now: float, arrived_s: float) -> Working:
        """Carry out WRITE; the request came at `arrived_s`."""
        self._arrived_s = arrived_s
        iin = _NOTHING
        for header in request.headers:
            row = header.row
            assert row is not None
            iin |= yield from _WRITERS[row.group_role](self, header, row, now)
        return Answer(iin=iin)

    def _write_indications(self, header: ObjectHeader, row: Variation, now: float) -> Writing:
        yield from ()
        for index, octets in header.items():
            if index != _RESTART_INDEX or octets != b"\0":
                return Iin.PARAMETER_ERROR
            if self.is_restarted:
                self.is_restarted = False
                self._information.restart_cleared()
        return _NOTHING

    def _write_time(self, header: ObjectHeader, row: Variation, now: float) -> Writing:
        since_s: float | None = self._arrived_s
        if row.role is Role.RECORDED_TIME:
            since_s, self.recorded_s = self.recorded_s, None
        if since_s is None:
            return Iin.PARAMETER_ERROR
        offset_ms = round((now - since_s) * 1000)
        times = [int(row.unpack(octets)["time"]) for _, octets in header.items()]
        if len(times) != 1:
            return Iin.PARAMETER_ERROR
        was_set = yield from call(self._application.write_time(times[0] + offset_ms))
        return _NOTHING if was_set else Iin.PARAMETER_ERROR

    def _write_schedule(self, header: ObjectHeader, row: Variation, now: float) -> Writing:
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

    def _write_deadband(self, header: ObjectHeader, row: Variation, now: float) -> Writing:
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

    def _write_attribute(self, header: ObjectHeader, row: Variation, now: float) -> Writing:
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

    def _write_string(self, header: ObjectHeader, row: Variation, now: float) -> Writing:
        for index, octets in header.items():
            assert index is not None
            if not self._database.has(PointKind.OCTET_STRING, index):
                return Iin.PARAMETER_ERROR
            if not (yield from call(self._application.write_octet_string(index, octets))):
                return Iin.PARAMETER_ERROR
        return _NOTHING


_WRITERS: dict[Role, Callable[[Writes, ObjectHeader, Variation, float], Writing]] = {
    Role.INDICATIONS: Writes._write_indications,
    Role.TIME: Writes._write_time,
    Role.RECORDED_TIME: Writes._write_time,
    Role.SCHEDULE: Writes._write_schedule,
    Role.DEADBAND: Writes._write_deadband,
    Role.ATTRIBUTE: Writes._write_attribute,
    Role.STATIC: Writes._write_string,
}
