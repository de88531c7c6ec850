"""THE table: every object that an outstation reads, writes, sends or executes (IEEE 1815 annex A).

Left out: files (g70), virtual terminals (g112, g113), unsigned integers outside of data sets (g102).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bridge.application import field as f
from bridge.application.field import BIT, BIT_PAIR, FLAGS, RELATIVE_TIME, STATUS, TIME, Field
from bridge.application.measurement import PointKind
from bridge.application.variation import Role, Variation

ALL_ATTRIBUTES = 254
"""The variation of g0 that asks for every attribute of a set."""
ATTRIBUTE_LIST = 255
"""The variation of g0 that lists a set's variations and whether they can be written."""

_Row = tuple[int, str, tuple[Field, ...]]
_ANY: _Row = (0, "any variation", ())


def _group(number: int, name: str, role: Role, kind: PointKind | None, *rows: _Row) -> tuple[Variation, ...]:
    return tuple(
        Variation(number, name, variation, row, role, kind, fields) for variation, row, fields in rows
    )


_INTEGERS_AND_FLOATS: tuple[_Row, ...] = (
    _ANY,
    (1, "32-bit With Flag", (FLAGS, f.I32)),
    (2, "16-bit With Flag", (FLAGS, f.I16)),
    (3, "32-bit With Flag and Time", (FLAGS, f.I32, TIME)),
    (4, "16-bit With Flag and Time", (FLAGS, f.I16, TIME)),
    (5, "Single-precision With Flag", (FLAGS, f.F32)),
    (6, "Double-precision With Flag", (FLAGS, f.F64)),
    (7, "Single-precision With Flag and Time", (FLAGS, f.F32, TIME)),
    (8, "Double-precision With Flag and Time", (FLAGS, f.F64, TIME)),
)
"""The rows that all analog events have: g32, g33 and g42."""
_BINARY_EVENTS: tuple[_Row, ...] = (
    _ANY,
    (1, "Without Time", (FLAGS,)),
    (2, "With Absolute Time", (FLAGS, TIME)),
    (3, "With Relative Time", (FLAGS, RELATIVE_TIME)),
)
_COUNTER_EVENTS: tuple[_Row, ...] = (
    _ANY,
    (1, "32-bit With Flag", (FLAGS, f.U32)),
    (2, "16-bit With Flag", (FLAGS, f.U16)),
    (5, "32-bit With Flag and Time", (FLAGS, f.U32, TIME)),
    (6, "16-bit With Flag and Time", (FLAGS, f.U16, TIME)),
)

_POINTS = (
    *_group(
        1,
        "Binary Input",
        Role.STATIC,
        PointKind.BINARY_INPUT,
        _ANY,
        (1, "Packed Format", (BIT,)),
        (2, "With Flags", (FLAGS,)),
    ),
    *_group(2, "Binary Input Event", Role.EVENT, PointKind.BINARY_INPUT, *_BINARY_EVENTS),
    *_group(
        3,
        "Double-bit Binary Input",
        Role.STATIC,
        PointKind.DOUBLE_BIT_INPUT,
        _ANY,
        (1, "Packed Format", (BIT_PAIR,)),
        (2, "With Flags", (FLAGS,)),
    ),
    *_group(4, "Double-bit Binary Input Event", Role.EVENT, PointKind.DOUBLE_BIT_INPUT, *_BINARY_EVENTS),
    *_group(
        10,
        "Binary Output",
        Role.STATIC,
        PointKind.BINARY_OUTPUT,
        _ANY,
        (1, "Packed Format", (BIT,)),
        (2, "Output Status With Flags", (FLAGS,)),
    ),
    *_group(
        11,
        "Binary Output Event",
        Role.EVENT,
        PointKind.BINARY_OUTPUT,
        _ANY,
        (1, "Output Status Without Time", (FLAGS,)),
        (2, "Output Status With Time", (FLAGS, TIME)),
    ),
    *_group(
        12,
        "Binary Command",
        Role.COMMAND,
        PointKind.BINARY_OUTPUT,
        _ANY,
        (1, "Control Relay Output Block", (f.CODE, f.COUNT, f.ON_TIME, f.OFF_TIME, STATUS)),
    ),
    *_group(
        13,
        "Binary Output Command Event",
        Role.COMMAND_EVENT,
        PointKind.BINARY_OUTPUT,
        _ANY,
        # The low seven bits of this octet are a command status, the highest the commanded state.
        (1, "Without Time", (STATUS,)),
        (2, "With Time", (STATUS, TIME)),
    ),
    *_group(
        20,
        "Counter",
        Role.STATIC,
        PointKind.COUNTER,
        _ANY,
        (1, "32-bit With Flag", (FLAGS, f.U32)),
        (2, "16-bit With Flag", (FLAGS, f.U16)),
        (5, "32-bit Without Flag", (f.U32,)),
        (6, "16-bit Without Flag", (f.U16,)),
    ),
    *_group(
        21,
        "Frozen Counter",
        Role.STATIC,
        PointKind.FROZEN_COUNTER,
        _ANY,
        (1, "32-bit With Flag", (FLAGS, f.U32)),
        (2, "16-bit With Flag", (FLAGS, f.U16)),
        (5, "32-bit With Flag and Time", (FLAGS, f.U32, TIME)),
        (6, "16-bit With Flag and Time", (FLAGS, f.U16, TIME)),
        (9, "32-bit Without Flag", (f.U32,)),
        (10, "16-bit Without Flag", (f.U16,)),
    ),
    *_group(22, "Counter Event", Role.EVENT, PointKind.COUNTER, *_COUNTER_EVENTS),
    *_group(23, "Frozen Counter Event", Role.EVENT, PointKind.FROZEN_COUNTER, *_COUNTER_EVENTS),
    *_group(
        30,
        "Analog Input",
        Role.STATIC,
        PointKind.ANALOG_INPUT,
        _ANY,
        (1, "32-bit With Flag", (FLAGS, f.I32)),
        (2, "16-bit With Flag", (FLAGS, f.I16)),
        (3, "32-bit Without Flag", (f.I32,)),
        (4, "16-bit Without Flag", (f.I16,)),
        (5, "Single-precision With Flag", (FLAGS, f.F32)),
        (6, "Double-precision With Flag", (FLAGS, f.F64)),
    ),
    *_group(
        31,
        "Frozen Analog Input",
        Role.STATIC,
        PointKind.FROZEN_ANALOG,
        _ANY,
        (1, "32-bit With Flag", (FLAGS, f.I32)),
        (2, "16-bit With Flag", (FLAGS, f.I16)),
        (3, "32-bit With Flag and Time-of-Freeze", (FLAGS, f.I32, TIME)),
        (4, "16-bit With Flag and Time-of-Freeze", (FLAGS, f.I16, TIME)),
        (5, "32-bit Without Flag", (f.I32,)),
        (6, "16-bit Without Flag", (f.I16,)),
        (7, "Single-precision With Flag", (FLAGS, f.F32)),
        (8, "Double-precision With Flag", (FLAGS, f.F64)),
    ),
    *_group(32, "Analog Input Event", Role.EVENT, PointKind.ANALOG_INPUT, *_INTEGERS_AND_FLOATS),
    *_group(33, "Frozen Analog Input Event", Role.EVENT, PointKind.FROZEN_ANALOG, *_INTEGERS_AND_FLOATS),
    *_group(
        34,
        "Analog Input Reporting Deadband",
        Role.DEADBAND,
        PointKind.ANALOG_INPUT,
        _ANY,
        (1, "16-bit", (f.U16,)),
        (2, "32-bit", (f.U32,)),
        (3, "Single-precision", (f.F32,)),
    ),
    *_group(
        40,
        "Analog Output Status",
        Role.STATIC,
        PointKind.ANALOG_OUTPUT,
        _ANY,
        (1, "32-bit With Flag", (FLAGS, f.I32)),
        (2, "16-bit With Flag", (FLAGS, f.I16)),
        (3, "Single-precision With Flag", (FLAGS, f.F32)),
        (4, "Double-precision With Flag", (FLAGS, f.F64)),
    ),
    *_group(
        41,
        "Analog Output",
        Role.COMMAND,
        PointKind.ANALOG_OUTPUT,
        _ANY,
        (1, "32-bit", (f.I32, STATUS)),
        (2, "16-bit", (f.I16, STATUS)),
        (3, "Single-precision", (f.F32, STATUS)),
        (4, "Double-precision", (f.F64, STATUS)),
    ),
    *_group(42, "Analog Output Event", Role.EVENT, PointKind.ANALOG_OUTPUT, *_INTEGERS_AND_FLOATS),
    *_group(
        43,
        "Analog Output Command Event",
        Role.COMMAND_EVENT,
        PointKind.ANALOG_OUTPUT,
        _ANY,
        (1, "32-bit", (STATUS, f.I32)),
        (2, "16-bit", (STATUS, f.I16)),
        (3, "32-bit With Time", (STATUS, f.I32, TIME)),
        (4, "16-bit With Time", (STATUS, f.I16, TIME)),
        (5, "Single-precision", (STATUS, f.F32)),
        (6, "Double-precision", (STATUS, f.F64)),
        (7, "Single-precision With Time", (STATUS, f.F32, TIME)),
        (8, "Double-precision With Time", (STATUS, f.F64, TIME)),
    ),
    *_group(110, "Octet String", Role.STATIC, PointKind.OCTET_STRING, _ANY),
    *_group(111, "Octet String Event", Role.EVENT, PointKind.OCTET_STRING, _ANY),
)

_OTHERS = (
    *_group(50, "Time and Date", Role.TIME, None, (1, "Absolute Time", (TIME,))),
    *_group(
        50, "Time and Date", Role.FREEZE_TIME, None, (2, "Absolute Time and Interval", (TIME, f.INTERVAL))
    ),
    *_group(
        50, "Time and Date", Role.RECORDED_TIME, None, (3, "Absolute Time at Last Recorded Time", (TIME,))
    ),
    *_group(
        50,
        "Time and Date",
        Role.SCHEDULE,
        None,
        (4, "Indexed Absolute Time and Long Interval", (TIME, f.INTERVAL, f.UNITS)),
    ),
    *_group(
        51,
        "Time and Date CTO",
        Role.COMMON_TIME,
        None,
        (1, "Absolute Time, Synchronized", (TIME,)),
        (2, "Absolute Time, Unsynchronized", (TIME,)),
    ),
    *_group(52, "Time Delay", Role.DELAY, None, (1, "Coarse", (f.DELAY,)), (2, "Fine", (f.DELAY,))),
    *_group(
        60,
        "Class Data",
        Role.CLASS,
        None,
        (1, "Class 0", ()),
        (2, "Class 1", ()),
        (3, "Class 2", ()),
        (4, "Class 3", ()),
    ),
    *_group(80, "Internal Indications", Role.INDICATIONS, None, (1, "Packed Format", (BIT,))),
)

_ATTRIBUTE_NAMES = {
    196: "Configuration identifier",
    197: "Configuration version",
    198: "Time and date that the configuration was built",
    199: "Time and date that the configuration was last modified",
    200: "Configuration digest or signature",
    201: "Configuration digest algorithm",
    202: "Master resource identifier",
    203: "Device location altitude",
    204: "Device location longitude",
    205: "Device location latitude",
    206: "User-assigned secondary operator name",
    207: "User-assigned primary operator name",
    208: "User-assigned system name",
    209: "Secure authentication version",
    210: "Number of security statistics per association",
    211: "Identification of user-specific attributes",
    212: "Number of master-defined data set prototypes",
    213: "Number of outstation-defined data set prototypes",
    214: "Number of master-defined data sets",
    215: "Number of outstation-defined data sets",
    216: "Maximum number of binary output objects per request",
    217: "Local timing accuracy",
    218: "Duration of time accuracy",
    219: "Support for analog output events",
    220: "Maximum analog output index",
    221: "Number of analog outputs",
    222: "Support for binary output events",
    223: "Maximum binary output index",
    224: "Number of binary outputs",
    225: "Support for frozen counter events",
    226: "Support for frozen counters",
    227: "Support for counter events",
    228: "Maximum counter index",
    229: "Number of counter points",
    230: "Support for frozen analog inputs",
    231: "Support for analog input events",
    232: "Maximum analog input index",
    233: "Number of analog input points",
    234: "Support for double-bit binary input events",
    235: "Maximum double-bit binary input index",
    236: "Number of double-bit binary input points",
    237: "Support for binary input events",
    238: "Maximum binary input index",
    239: "Number of binary input points",
    240: "Maximum transmit fragment size",
    241: "Maximum receive fragment size",
    242: "Device manufacturer's software version",
    243: "Device manufacturer's hardware version",
    244: "User-assigned owner name",
    245: "User-assigned location name",
    246: "User-assigned identification code or number",
    247: "User-assigned device name",
    248: "Device serial number",
    249: "DNP3 subset and conformance",
    250: "Device manufacturer's product name and model",
    252: "Device manufacturer's name",
    ALL_ATTRIBUTES: "Non-specific all attributes request",
    ATTRIBUTE_LIST: "List of attribute variations",
}

_ATTRIBUTES = _group(
    0,
    "Device Attributes",
    Role.ATTRIBUTE,
    None,
    *((number, name, (f.ATTRIBUTE,)) for number, name in _ATTRIBUTE_NAMES.items()),
)

ROWS = (*_ATTRIBUTES, *_POINTS, *_OTHERS)
"""The rows as they are written here; `VARIATIONS` adds the ones that differ in nothing but their number."""

_NUMBERED = (
    # Sets other than 0 define their variations as they like.
    *_group(
        0,
        "Device Attributes",
        Role.ATTRIBUTE,
        None,
        *((n, f"attribute {n}", (f.ATTRIBUTE,)) for n in range(1, 254) if n not in _ATTRIBUTE_NAMES),
    ),
    *(
        row
        for group, name, role in ((110, "Octet String", Role.STATIC), (111, "Octet String Event", Role.EVENT))
        for row in _group(
            group,
            name,
            role,
            PointKind.OCTET_STRING,
            *((n, f"{n} octets", (f.STRING,)) for n in range(1, 256)),
        )
    ),
)

VARIATIONS: Mapping[tuple[int, int], Variation] = MappingProxyType(
    {(row.group, row.variation): row for row in (*ROWS, *_NUMBERED)}
)
"""Every row by group and variation, each string length and attribute number included."""

_GROUP_OF = {(row.group_role, row.kind): row.group for row in _POINTS}


def lookup(group: int, variation: int) -> Variation | None:
    """Return the row of an object, or None for one that this outstation does not know."""
    return VARIATIONS.get((group, variation))


def variations_of(group: int) -> tuple[Variation, ...]:
    """Return the rows of a group in ascending order, variation 0 included; none for an unknown group."""
    return tuple(row for (number, _), row in sorted(VARIATIONS.items()) if number == group)


def static_group(kind: PointKind) -> int:
    """Return the group of a kind's present values."""
    return _GROUP_OF[Role.STATIC, kind]


def event_group(kind: PointKind) -> int:
    """Return the group of a kind's events."""
    return _GROUP_OF[Role.EVENT, kind]


def command_event_group(kind: PointKind) -> int | None:
    """Return the group that reports commands to points of a kind: 13, 43 or None."""
    return _GROUP_OF.get((Role.COMMAND_EVENT, kind))
