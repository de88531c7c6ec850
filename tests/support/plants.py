"""A database with ten points of each kind, all different, and what a master must read of them.

`as_read` says it from the layouts of IEEE 1815 annex A alone: nothing of ours is asked.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from bridge.application.measurement import Measurement, PointKind, Value
from bridge.outstation.database import Database
from bridge.outstation.events import EventBuffer, EventBufferSizes
from bridge.outstation.points import (
    AnalogInput,
    AnalogOutput,
    BinaryInput,
    BinaryOutput,
    Counter,
    DoubleBitInput,
    EventClass,
    FrozenAnalog,
    FrozenCounter,
    OctetString,
    PointConfig,
)

POINTS = 10
EPOCH_MS = 1_700_000_000_000
ONLINE = 0x01
OVER_RANGE = 0x20

BINARIES = (PointKind.BINARY_INPUT, PointKind.BINARY_OUTPUT)
ANALOGS = (PointKind.ANALOG_INPUT, PointKind.FROZEN_ANALOG, PointKind.ANALOG_OUTPUT)
COUNTERS = (PointKind.COUNTER, PointKind.FROZEN_COUNTER)
_STATE_BITS = {PointKind.BINARY_INPUT: 0x80, PointKind.BINARY_OUTPUT: 0x80, PointKind.DOUBLE_BIT_INPUT: 0xC0}

_BINARY_FLAGS = (0x01, 0x01, 0x02, 0x05, 0x09, 0x11, 0x21, 0x00, 0x3F, 0x01)
_NUMBER_FLAGS = (0x01, 0x21, 0x02, 0x05, 0x09, 0x11, 0x41, 0x00, 0x7F, 0x01)
_ANALOG_VALUES = (0, -1, 2.5, 32767, -32768, 40_000, -40_000.75, 3e9, -1e12, 0.1)
_COUNTS = (0, 1, 0xFF, 0x100, 0xFFFF, 0x10000, 0x12345, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


class Form(NamedTuple):
    """What one variation has: flags, a number as `struct` knows it ("" for states), an absolute time."""

    has_flags: bool
    number: str = ""
    has_time: bool = False


_ANALOG_EVENTS = {
    1: Form(True, "i"),
    2: Form(True, "h"),
    3: Form(True, "i", True),
    4: Form(True, "h", True),
    5: Form(True, "f"),
    6: Form(True, "d"),
    7: Form(True, "f", True),
    8: Form(True, "d", True),
}
_COUNTER_EVENTS = {
    1: Form(True, "I"),
    2: Form(True, "H"),
    5: Form(True, "I", True),
    6: Form(True, "H", True),
}
_BINARY_EVENTS = {1: Form(True), 2: Form(True, has_time=True), 3: Form(True, has_time=True)}

STATIC_FORMS: Mapping[tuple[PointKind, int], Mapping[int, Form]] = {
    (PointKind.BINARY_INPUT, 1): {1: Form(False), 2: Form(True)},
    (PointKind.DOUBLE_BIT_INPUT, 3): {1: Form(False), 2: Form(True)},
    (PointKind.BINARY_OUTPUT, 10): {1: Form(False), 2: Form(True)},
    (PointKind.COUNTER, 20): {
        1: Form(True, "I"),
        2: Form(True, "H"),
        5: Form(False, "I"),
        6: Form(False, "H"),
    },
    (PointKind.FROZEN_COUNTER, 21): {**_COUNTER_EVENTS, 9: Form(False, "I"), 10: Form(False, "H")},
    (PointKind.ANALOG_INPUT, 30): {
        1: Form(True, "i"),
        2: Form(True, "h"),
        3: Form(False, "i"),
        4: Form(False, "h"),
        5: Form(True, "f"),
        6: Form(True, "d"),
    },
    (PointKind.FROZEN_ANALOG, 31): {
        1: Form(True, "i"),
        2: Form(True, "h"),
        3: Form(True, "i", True),
        4: Form(True, "h", True),
        5: Form(False, "i"),
        6: Form(False, "h"),
        7: Form(True, "f"),
        8: Form(True, "d"),
    },
    (PointKind.ANALOG_OUTPUT, 40): {
        1: Form(True, "i"),
        2: Form(True, "h"),
        3: Form(True, "f"),
        4: Form(True, "d"),
    },
}
EVENT_FORMS: Mapping[tuple[PointKind, int], Mapping[int, Form]] = {
    (PointKind.BINARY_INPUT, 2): _BINARY_EVENTS,
    (PointKind.DOUBLE_BIT_INPUT, 4): _BINARY_EVENTS,
    (PointKind.BINARY_OUTPUT, 11): {1: Form(True), 2: Form(True, has_time=True)},
    (PointKind.COUNTER, 22): _COUNTER_EVENTS,
    (PointKind.FROZEN_COUNTER, 23): _COUNTER_EVENTS,
    (PointKind.ANALOG_INPUT, 32): _ANALOG_EVENTS,
    (PointKind.FROZEN_ANALOG, 33): _ANALOG_EVENTS,
    (PointKind.ANALOG_OUTPUT, 42): _ANALOG_EVENTS,
}
GROUPS: Mapping[int, PointKind] = {group: kind for kind, group in (*STATIC_FORMS, *EVENT_FORMS)}
FORMS: Mapping[tuple[int, int], Form] = {
    (group, variation): form
    for table in (STATIC_FORMS, EVENT_FORMS)
    for (_, group), forms in table.items()
    for variation, form in forms.items()
}
"""Every static and every event variation of the kinds that have more than one, by group and variation."""
PACKED = {1: 2, 3: 2, 10: 2}
"""Groups whose variation 1 is packed, and the variation that reports points with other flags than ONLINE."""

# What Wireshark 4.0 can dissect: see `tests.support.recordings` for what it cannot.
_CONFIGS: Mapping[PointKind, PointConfig] = {
    PointKind.BINARY_INPUT: BinaryInput(),
    PointKind.DOUBLE_BIT_INPUT: DoubleBitInput(),
    PointKind.BINARY_OUTPUT: BinaryOutput(),
    PointKind.COUNTER: Counter(event_variation=5),
    PointKind.FROZEN_COUNTER: FrozenCounter(static_variation=5, event_variation=5),
    PointKind.ANALOG_INPUT: AnalogInput(static_variation=6, event_variation=8),
    PointKind.FROZEN_ANALOG: FrozenAnalog(static_variation=8, event_variation=8),
    PointKind.ANALOG_OUTPUT: AnalogOutput(static_variation=4, event_variation=8, command_variation=8),
    PointKind.OCTET_STRING: OctetString(),
}


@dataclass(frozen=True, slots=True)
class Reading:
    """One object as a master understood it. Flags without state bits; None where the object has none."""

    group: int
    variation: int
    index: int
    value: Value
    flags: int | None
    time_ms: int | None = None


def event_class_of(index: int) -> EventClass:
    """Return the class of a point of the plant: 1, 2, 3, 1 and so on."""
    return EventClass(index % 3 + 1)


def config_of(kind: PointKind, index: int) -> PointConfig:
    """Return how a point of the plant is set up."""
    event_class = event_class_of(index)
    config = replace(_CONFIGS[kind], event_class=event_class)
    if isinstance(config, BinaryOutput | AnalogOutput):
        return replace(config, command_class=event_class)
    return config


def measurement_of(kind: PointKind, index: int, seed: int = 0) -> Measurement:
    """Return a point's value, flags and time; other ones for another seed."""
    at = (index + seed) % POINTS
    flags = (_NUMBER_FLAGS if kind in (*ANALOGS, *COUNTERS) else _BINARY_FLAGS)[at]
    time_ms = EPOCH_MS + list(PointKind).index(kind) * 1000 + index * 10 + seed * 100_000
    return Measurement(_value_of(kind, at), flags, time_ms)


def measurements_of(kind: PointKind, seed: int = 0, points: int = POINTS) -> dict[int, Measurement]:
    """Return those of all points of a kind."""
    return {index: measurement_of(kind, index, seed) for index in range(points)}


def plant(sizes: EventBufferSizes | None = None) -> Database:
    """Return a database with the ten points of each kind."""
    database = Database(EventBuffer(sizes or EventBufferSizes.all(200)))
    for kind in PointKind:
        for index, measurement in measurements_of(kind).items():
            database.add(index, config_of(kind, index), measurement)
    return database


def _value_of(kind: PointKind, at: int) -> Value:
    match kind:
        case PointKind.DOUBLE_BIT_INPUT:
            return at % 4
        case PointKind.COUNTER | PointKind.FROZEN_COUNTER:
            return _COUNTS[at]
        case PointKind.ANALOG_INPUT | PointKind.FROZEN_ANALOG | PointKind.ANALOG_OUTPUT:
            return _ANALOG_VALUES[at]
        case PointKind.OCTET_STRING:
            return bytes(range(at, 2 * at + 1))
    return at % 2 == 0


def as_read(group: int, variation: int, index: int, measurement: Measurement) -> Reading:
    """Return what a master must understand of a point that is reported in a variation.

    A packed binary whose flags are not plainly ONLINE comes with flags instead.
    """
    if variation == 1 and group in PACKED and measurement.flags != ONLINE:
        variation = PACKED[group]
    form = FORMS[group, variation]
    value, flags = _converted(form.number, measurement)
    return Reading(
        group,
        variation,
        index,
        value,
        flags if form.has_flags else None,
        measurement.time_ms if form.has_time else None,
    )


def all_as_read(group: int, variation: int, measurements: Mapping[int, Measurement]) -> list[Reading]:
    """Return what a master must understand of several points."""
    return [as_read(group, variation, index, measurement) for index, measurement in measurements.items()]


def as_configured(indices: range = range(POINTS)) -> Iterator[Reading]:
    """Yield what an integrity poll must bring of the plant. Octet strings are not of class 0."""
    for kind, group in STATIC_FORMS:
        for index in indices:
            config = config_of(kind, index)
            yield as_read(group, config.static_variation, index, measurement_of(kind, index))


def quality_of(kind: PointKind, flags: int) -> int:
    """Return a flags octet without its state bits."""
    return flags & ~_STATE_BITS.get(kind, 0)


def _converted(number: str, measurement: Measurement) -> tuple[Value, int]:
    """Return value and flags as the octets of this number format hold them."""
    value, flags = measurement.value, int(measurement.flags)
    if not number or isinstance(value, bytes):
        return value, flags
    match number:
        case "I" | "H":
            return int(value) % (1 << 8 * struct.calcsize(number)), flags
        case "f" | "d":
            return struct.unpack("<" + number, struct.pack("<" + number, value))[0], flags
    largest = (1 << 8 * struct.calcsize(number) - 1) - 1
    clipped = min(max(round(value), -largest - 1), largest)
    return clipped, flags | (OVER_RANGE if clipped != round(value) else 0)
