"""Commands: control relay output blocks and analog outputs (IEEE 1815 annex A, groups 12 and 41)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import cast

from bridge.application.header import ObjectHeader
from bridge.application.objects import VARIATIONS
from bridge.application.qualifier import FIELD_OCTETS
from bridge.application.variation import Variation

_OPERATION = 0x0F
_QUEUE = 0x10
_CLEAR = 0x20
_TRIP_CLOSE_SHIFT = 6
_CROB_GROUP = 12
_ANALOG_GROUP = 41
_CROB = VARIATIONS[_CROB_GROUP, 1]


class CommandStatus(IntEnum):
    """What became of a command; the last octet of its echo."""

    SUCCESS = 0
    TIMEOUT = 1
    NO_SELECT = 2
    FORMAT_ERROR = 3
    NOT_SUPPORTED = 4
    ALREADY_ACTIVE = 5
    HARDWARE_ERROR = 6
    LOCAL = 7
    TOO_MANY_OPS = 8
    NOT_AUTHORIZED = 9
    AUTOMATION_INHIBIT = 10
    PROCESSING_LIMITED = 11
    OUT_OF_RANGE = 12
    DOWNSTREAM_LOCAL = 13
    ALREADY_COMPLETE = 14
    BLOCKED = 15
    CANCELLED = 16
    BLOCKED_OTHER_MASTER = 17
    DOWNSTREAM_FAIL = 18
    NON_PARTICIPATING = 126

    @classmethod
    def of(cls, octet: int) -> CommandStatus | int:
        """Return the status of an octet, or the octet itself where the standard defines none."""
        return _STATUSES.get(octet, octet)


class Operation(IntEnum):
    """What a control relay output block does to its output."""

    NUL = 0
    PULSE_ON = 1
    PULSE_OFF = 2
    LATCH_ON = 3
    LATCH_OFF = 4

    @classmethod
    def of(cls, code: int) -> Operation | int:
        """Return the operation of a code, or the code itself where the standard defines none."""
        return _OPERATIONS.get(code, code)


class TripClose(IntEnum):
    """Which of a pair of outputs is meant; 3 is reserved and keeps its place."""

    NUL = 0
    CLOSE = 1
    TRIP = 2
    RESERVED = 3


_STATUSES = {int(status): status for status in CommandStatus}
_OPERATIONS = {int(operation): operation for operation in Operation}


@dataclass(frozen=True, slots=True)
class Crob:
    """A control relay output block, g12v1. `code` is the control octet with every bit as it came."""

    code: int
    count: int = 1
    on_time_ms: int = 0
    off_time_ms: int = 0
    status: CommandStatus | int = CommandStatus.SUCCESS

    @classmethod
    def decode(cls, octets: bytes) -> Crob:
        """Take one object apart, 11 octets long."""
        values = cast("dict[str, int]", _CROB.unpack(octets))
        return cls(
            code=values["code"],
            count=values["count"],
            on_time_ms=values["on_time"],
            off_time_ms=values["off_time"],
            status=CommandStatus.of(values["status"]),
        )

    def encode(self) -> bytes:
        """Return the object."""
        return _CROB.pack(
            code=self.code,
            count=self.count,
            on_time=self.on_time_ms,
            off_time=self.off_time_ms,
            status=self.status,
        )

    @property
    def operation(self) -> Operation | int:
        """The low nibble of the code."""
        return Operation.of(self.code & _OPERATION)

    @property
    def trip_close(self) -> TripClose:
        """Trip, close or neither."""
        return TripClose(self.code >> _TRIP_CLOSE_SHIFT)

    @property
    def queue(self) -> bool:
        """The obsolete bit that asks to queue the operation behind others."""
        return bool(self.code & _QUEUE)

    @property
    def clear(self) -> bool:
        """Whether a running operation of this output is to be cancelled first."""
        return bool(self.code & _CLEAR)


@dataclass(frozen=True, slots=True)
class AnalogOutputCommand:
    """An analog output block, g41. `variation` 1 to 4 says how the value is written."""

    value: int | float
    status: CommandStatus | int = CommandStatus.SUCCESS
    variation: int = 1

    @classmethod
    def decode(cls, variation: int, octets: bytes) -> AnalogOutputCommand:
        """Take one object of this variation apart, as long as its row says."""
        values = VARIATIONS[_ANALOG_GROUP, variation].unpack(octets)
        return cls(values["value"], CommandStatus.of(int(values["status"])), variation)

    def encode(self) -> bytes:
        """Return the object."""
        return VARIATIONS[_ANALOG_GROUP, self.variation].pack(value=self.value, status=self.status)


Command = Crob | AnalogOutputCommand


def decode_command(row: Variation, octets: bytes) -> Command:
    """Take one object of g12v1 or g41 apart, `row.size` octets long."""
    if row is _CROB:
        return Crob.decode(octets)
    return AnalogOutputCommand.decode(row.variation, octets)


def with_status(octets: bytes, status: int) -> bytes:
    """Return a received command object verbatim but for its status, which is the last octet."""
    return octets[:-1] + bytes((status,))


def echo(header: ObjectHeader, statuses: Iterable[int]) -> bytes:
    """Return a received command header with its objects verbatim, but for one status for each object."""
    prefix_octets = FIELD_OCTETS[header.qualifier]
    objects = b"".join(
        (index or 0).to_bytes(prefix_octets, "little") + with_status(octets, status)
        for (index, octets), status in zip(header.items(), statuses, strict=True)
    )
    return replace(header, objects=objects).octets
