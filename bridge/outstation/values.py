"""What a point of each kind may hold, and which changes of it matter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import NamedTuple

from bridge.application.measurement import Flags, Measurement, PointKind, Value
from bridge.errors import PointValueError

LAST_TIME_MS = (1 << 48) - 1
_LAST_COUNT = (1 << 32) - 1
_LAST_DOUBLE_BIT = 3
_LONGEST_STRING = 255
_LARGEST_ANALOG = 1e308


class EventDetection(Enum):
    """Whether an update is an event."""

    DETECT = auto()
    """If flags, or value by more than the deadband, differ from what was reported last."""
    FORCE = auto()
    """In any case."""
    SUPPRESS = auto()
    """In no case; the master counts as told, and later updates are compared with this one."""


def _is_binary(value: Value) -> bool:
    return isinstance(value, bool)


def _is_double_bit(value: Value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LAST_DOUBLE_BIT


def _is_count(value: Value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LAST_COUNT


def _is_analog(value: Value) -> bool:
    if isinstance(value, float):
        return True
    # Larger integers have no difference to a float.
    return (
        isinstance(value, int)
        and not isinstance(value, bool)
        and -_LARGEST_ANALOG <= value <= _LARGEST_ANALOG
    )


def _is_string(value: Value) -> bool:
    return isinstance(value, bytes) and 1 <= len(value) <= _LONGEST_STRING


class _Rule(NamedTuple):
    is_value: Callable[[Value], bool]
    allowed: str
    state_bits: int
    """Of the flags octet on the wire."""
    initial: Value


_RULES: Mapping[PointKind, _Rule] = {
    PointKind.BINARY_INPUT: _Rule(_is_binary, "a bool", 0x80, False),
    PointKind.DOUBLE_BIT_INPUT: _Rule(_is_double_bit, "an int of 0 to 3", 0xC0, _LAST_DOUBLE_BIT),
    PointKind.BINARY_OUTPUT: _Rule(_is_binary, "a bool", 0x80, False),
    PointKind.COUNTER: _Rule(_is_count, "an int of 0 to 2**32 - 1", 0, 0),
    PointKind.FROZEN_COUNTER: _Rule(_is_count, "an int of 0 to 2**32 - 1", 0, 0),
    PointKind.ANALOG_INPUT: _Rule(_is_analog, "an int or a float", 0, 0.0),
    PointKind.FROZEN_ANALOG: _Rule(_is_analog, "an int or a float", 0, 0.0),
    PointKind.ANALOG_OUTPUT: _Rule(_is_analog, "an int or a float", 0, 0.0),
    PointKind.OCTET_STRING: _Rule(_is_string, "1 to 255 octets", 0, b"\0"),
}
_TIMED = frozenset({PointKind.FROZEN_COUNTER, PointKind.FROZEN_ANALOG})
"""Kinds whose static variations can carry a time."""


def initial_measurement(kind: PointKind) -> Measurement:
    """Return what a point holds before its first update: no value yet, flag RESTART."""
    return Measurement(_RULES[kind].initial, Flags.RESTART)


def check_measurement(kind: PointKind, index: int, measurement: Measurement) -> None:
    """Raise `PointValueError` unless a point of this kind can hold the measurement."""
    is_value, allowed, state_bits, _ = _RULES[kind]
    if not is_value(measurement.value):
        raise PointValueError(f"{kind} {index}: value {measurement.value!r}; use {allowed}")
    if not 0 <= measurement.flags <= 0xFF or measurement.flags & state_bits:
        raise PointValueError(
            f"{kind} {index}: flags {int(measurement.flags):#x}; use 0 to {0xFF & ~state_bits:#x}"
        )
    check_time(measurement.time_ms)


def check_time(time_ms: int | None) -> None:
    """Raise `PointValueError` unless 48 bits can carry the time."""
    if time_ms is not None and not 0 <= time_ms <= LAST_TIME_MS:
        raise PointValueError(f"time {time_ms} ms; use 0 to 2**48 - 1, or None where no time is known")


def is_event(reported: Measurement, measurement: Measurement, deadband: float) -> bool:
    """Return whether the master should hear of a measurement, given what was reported to it last.

    Any change of flags counts; any change of a state or a string; of a number one of more than the deadband.
    Becoming "not a number", or a number again, counts too.
    """
    if reported.flags != measurement.flags:
        return True
    old, new = reported.value, measurement.value
    if old == new:
        return False
    if isinstance(old, bytes) or isinstance(new, bytes):
        return True
    return abs(new - old) > deadband or (new != new) != (old != old)


def is_visible(kind: PointKind, old: Measurement, new: Measurement) -> bool:
    """Return whether a read of static data could tell the measurements apart."""
    if old.flags != new.flags:
        return True
    if old.value != new.value and (old.value == old.value or new.value == new.value):
        return True
    return kind in _TIMED and old.time_ms != new.time_ms
