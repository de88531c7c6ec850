"""What a point measures: a value, its quality flags and its time (IEEE 1815 clause 11.6 and annex A)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag, StrEnum


class PointKind(StrEnum):
    """The kinds of points that an outstation has, each with indices of its own."""

    BINARY_INPUT = "binary_input"
    DOUBLE_BIT_INPUT = "double_bit_input"
    BINARY_OUTPUT = "binary_output"
    COUNTER = "counter"
    FROZEN_COUNTER = "frozen_counter"
    ANALOG_INPUT = "analog_input"
    FROZEN_ANALOG = "frozen_analog"
    ANALOG_OUTPUT = "analog_output"
    OCTET_STRING = "octet_string"


class Flags(IntFlag):
    """Quality flags. Some bits mean another thing for another kind of point."""

    ONLINE = 0x01
    RESTART = 0x02
    COMM_LOST = 0x04
    REMOTE_FORCED = 0x08
    LOCAL_FORCED = 0x10
    CHATTER_FILTER = 0x20
    """Binary and double-bit inputs."""
    ROLLOVER = 0x20
    """Counters."""
    OVER_RANGE = 0x20
    """Analogs."""
    DISCONTINUITY = 0x40
    """Counters."""
    REFERENCE_ERROR = 0x40
    """Analogs."""


Value = bool | int | float | bytes


@dataclass(frozen=True, slots=True)
class Measurement:
    """One point's state.

    `value` is a bool for binaries, 0 to 3 for double-bit inputs (intermediate, off, on, indeterminate), an
    unsigned 32-bit int for counters, an int or float for analogs, 1 to 255 octets for octet strings.
    `time_ms` is UTC milliseconds since 1970, None where no time is known. `flags` has no state bits.
    """

    value: Value
    flags: int = Flags.ONLINE
    time_ms: int | None = None
    is_time_synchronized: bool = True
