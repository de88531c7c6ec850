"""The Device Profile: what an outstation understands and says, in Markdown, from the tables that it works by.

IEEE 1815 asks for such a document (clause 14). A test keeps `DEVICE_PROFILE.md` beside this module equal to
it; `rtu-bridge profile` prints it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from types import MappingProxyType

from bridge.application.function import NO_RESPONSE, Function
from bridge.application.legality import USES, qualifiers_for
from bridge.application.objects import ALL_ATTRIBUTES, VARIATIONS
from bridge.application.qualifier import PREFIXES, RANGES, Qualifier
from bridge.application.variation import Role, Variation
from bridge.link.address import LAST_INDIVIDUAL, SELF_ADDRESS
from bridge.link.control import LinkFunction
from bridge.link.frame import LONGEST_FRAME
from bridge.outstation.config import (
    LONGEST_FRAGMENT,
    SHORTEST_FRAGMENT,
    ClassDelay,
    OutstationConfig,
    UnsolicitedConfig,
)
from bridge.outstation.events import EventBufferSizes
from bridge.outstation.points import (
    CONFIGS,
    EVENT_KINDS,
    EVENT_OBJECTS,
    LAST_INDEX,
    STATIC_OBJECTS,
    PointConfig,
)

_SOLICITED = frozenset({Function.RESPONSE})
_BOTH = frozenset({Function.RESPONSE, Function.UNSOLICITED_RESPONSE})
_COUNT = frozenset({Qualifier.COUNT_8})

RESPONSES: Mapping[Role, tuple[frozenset[Function], frozenset[Qualifier]]] = MappingProxyType(
    {
        Role.STATIC: (_SOLICITED, RANGES),
        Role.DEADBAND: (_SOLICITED, RANGES),
        Role.SCHEDULE: (_SOLICITED, RANGES),
        Role.INDICATIONS: (_SOLICITED, RANGES),
        Role.ATTRIBUTE: (_SOLICITED, RANGES),
        Role.EVENT: (_BOTH, PREFIXES),
        Role.COMMAND_EVENT: (_BOTH, PREFIXES),
        Role.COMMAND: (_SOLICITED, PREFIXES),
        Role.TIME: (_SOLICITED, _COUNT),
        Role.DELAY: (_SOLICITED, _COUNT),
        Role.COMMON_TIME: (_BOTH, _COUNT),
    }
)
"""In which responses, and under which qualifiers, objects of a role are sent."""

_QUALIFIER_WORDS = {
    Qualifier.RANGE_8: "start and stop, one octet each",
    Qualifier.RANGE_16: "start and stop, two octets each",
    Qualifier.ALL: "all objects",
    Qualifier.COUNT_8: "limited count, one octet",
    Qualifier.COUNT_16: "limited count, two octets",
    Qualifier.PREFIXED_8: "count and indices, one octet each",
    Qualifier.PREFIXED_16: "count and indices, two octets each",
    Qualifier.FREE_FORMAT: "free format",
}
_LINK_WORDS = {
    LinkFunction.RESET_LINK_STATES: "received, answered ACK",
    LinkFunction.TEST_LINK_STATES: "received, answered ACK or NACK by the frame count bit",
    LinkFunction.CONFIRMED_USER_DATA: "received, answered ACK; never sent",
    LinkFunction.UNCONFIRMED_USER_DATA: "received and sent",
    LinkFunction.REQUEST_LINK_STATUS: "received, answered LINK_STATUS; sent as keep-alive",
}

_HEAD = """# Device Profile: outstations of RTU Bridge

Generated from the tables that the program works by (`rtu-bridge profile` prints it). Do not edit.

| | |
|---|---|
| Function | outstation |
| Standard | IEEE 1815-2012 (DNP3) |
| Subset level, requests and responses | 3 in full; the objects and functions of 4 |
| Beyond the levels | octet strings (g110, g111), schedules (g50v4) |
| Not supported | files (g70), data sets (g85 to g88), virtual terminals (g112, g113), authentication (g120) |
| Connections | serial; TCP server, one master a session |
"""


def device_profile() -> str:
    """Return the whole document."""
    sections = [
        _HEAD,
        _link(),
        _application(),
        _events(),
        _points(),
        _functions(),
        _qualifiers(),
        _objects(),
        _attributes(),
    ]
    return "\n".join(sections)


def _link() -> str:
    config = OutstationConfig()
    rows = [
        ("Addresses", f"0 to {LAST_INDIVIDUAL}; default {config.link_address}"),
        ("Self-address", f"0x{SELF_ADDRESS:04X}; can be turned off"),
        ("Broadcast addresses", "0xFFFD, 0xFFFE, 0xFFFF"),
        ("Master's address", "checked; can be any"),
        ("Longest frame", f"{LONGEST_FRAME} octets, sent and received"),
        ("Link confirmation", "never asked for; given when asked for"),
        ("Keep-alive", f"after {config.keep_alive_s:g} s of silence; can be set or turned off"),
        *((f"{function.name} ({function & 0x0F})", words) for function, words in _LINK_WORDS.items()),
    ]
    return _section("Link layer", ("", ""), rows)


def _application() -> str:
    config, unsolicited, delay = OutstationConfig(), UnsolicitedConfig(), ClassDelay()
    sizes = f"{SHORTEST_FRAGMENT} to {LONGEST_FRAGMENT} octets"
    rows = [
        ("Longest fragment received", f"{sizes}; default {config.longest_request}"),
        ("Longest fragment sent", f"{sizes}; default {config.longest_response}"),
        ("Responses of several fragments", "yes, each but the last confirmed"),
        ("Confirm timeout, solicited", f"default {config.confirm_timeout_s:g} s"),
        ("Select timeout", f"default {config.select_timeout_s:g} s"),
        ("Commands in a request", f"default {config.controls_per_request} at most"),
        ("Unsolicited responses", "supported; off until the master enables a class; can be turned off"),
        ("Confirm timeout, unsolicited", f"default {unsolicited.confirm_timeout_s:g} s"),
        (
            "Retries, unsolicited",
            f"default {unsolicited.retries}, then again after {unsolicited.retry_delay_s:g} s",
        ),
        (
            "Unsolicited when",
            f"by class, default {delay.events} event or {delay.delay_s:g} s after the first",
        ),
        ("Time synchronization", "by the application: write of g50v1; g50v3 after RECORD_CURRENT_TIME"),
        ("Restarts", "by the application; refused by default"),
    ]
    return _section("Application layer", ("", ""), rows)


def _events() -> str:
    sizes = EventBufferSizes()
    rows = [(str(kind), f"g{EVENT_OBJECTS[kind].group}", sizes.of(kind)) for kind in EVENT_KINDS]
    text = _section("Event buffers", ("events of", "group", "default size"), rows)
    return f"""{text}
Sizes can be set for each type; 0 keeps none. All events in their order, or the most recent of each point. A
full buffer drops its oldest event and indicates EVENT_BUFFER_OVERFLOW.
"""


def _points() -> str:
    rows = []
    for point in map(_default, CONFIGS.values()):
        group, events = STATIC_OBJECTS[point.kind].group, EVENT_OBJECTS[point.kind].group
        is_string = not point.static_variation
        rows.append(
            (
                str(point.kind),
                f"g{group}, the value's length" if is_string else f"g{group}v{point.static_variation}",
                f"g{events}, the value's length" if is_string else f"g{events}v{point.event_variation}",
                "yes" if point.in_class_0 else "no",
            )
        )
    text = _section("Points", ("kind", "default static", "default event", "in class 0 by default"), rows)
    return f"""{text}
Indices 0 to {LAST_INDEX} of each kind, with gaps. Event class, variations and membership of class 0 are set
for each point.
"""


def _default(config: type[PointConfig]) -> PointConfig:
    return config()


def _functions() -> str:
    rows = [
        (function.value, function.name, "none" if not _is_answered(function) else "129 RESPONSE")
        for function in USES
    ]
    text = _section("Functions received", ("code", "name", "answered with"), rows)
    return f"""{text}
Sent without a request: 130 UNSOLICITED_RESPONSE. Other requests are answered NO_FUNC_CODE_SUPPORT.
"""


def _is_answered(function: Function) -> bool:
    return function not in NO_RESPONSE and function is not Function.CONFIRM


def _qualifiers() -> str:
    rows = [(f"{qualifier:02X}", _QUALIFIER_WORDS[qualifier]) for qualifier in Qualifier]
    return _section("Qualifiers", ("code", "meaning"), rows)


def _objects() -> str:
    rows = []
    known = [row for _, row in sorted(VARIATIONS.items())]
    for (group, _, name, *cells), alike in groupby(known, _alike):
        variations = [row.variation for row in alike]
        label = f"{variations[0]} to {variations[-1]}" if len(variations) > 1 else str(variations[0])
        rows.append((group, label, name, *cells))
    headings = ("group", "variation", "object", "request: functions, qualifiers", "response", "qualifiers")
    text = _section("Objects", headings, rows)
    return f"{text}\nFunctions are codes in decimal, qualifiers in hexadecimal.\n"


def _alike(row: Variation) -> tuple[object, ...]:
    """Return what rows must have in common to stand in one line: strings by length, attributes by number."""
    is_numbered = row.is_self_sized or row.group_role is Role.ATTRIBUTE
    is_string = row.variation > 0 and row.bits == 8 * row.variation and row.layout == "value:octets"
    name = f"{row.group_name}: {row.name}"
    if is_numbered:
        name = row.group_name
    elif is_string:
        name = f"{row.group_name}: as many octets as the variation"
    key = 0 if is_numbered or is_string else row.variation
    functions, qualifiers = _response(row)
    return row.group, key, name, _requests(row), functions, qualifiers


def _requests(row: Variation) -> str:
    """Return the functions that take an object, those with the same qualifiers together."""
    by_qualifiers: dict[frozenset[Qualifier], list[Function]] = {}
    for function in USES:
        qualifiers = qualifiers_for(function, row)
        if qualifiers:
            by_qualifiers.setdefault(qualifiers, []).append(function)
    return "; ".join(
        f"{_list(map(int, functions))} with {_hex(qualifiers)}"
        for qualifiers, functions in by_qualifiers.items()
    )


def _response(row: Variation) -> tuple[str, str]:
    """Return the functions and qualifiers under which an object is sent; nothing for those that never are."""
    is_asked_only = row.role is Role.ATTRIBUTE and row.variation == ALL_ATTRIBUTES
    never: tuple[frozenset[Function], frozenset[Qualifier]] = (frozenset(), frozenset())
    functions, qualifiers = never if is_asked_only else RESPONSES.get(row.role, never)
    return _list(sorted(map(int, functions))), _hex(qualifiers)


def _attributes() -> str:
    rows = [
        (row.variation, row.name)
        for (group, _), row in sorted(VARIATIONS.items())
        if group == 0 and not row.name.startswith("attribute ")
    ]
    text = _section("Device attributes of set 0", ("variation", "name"), rows)
    return f"{text}\nWhich there are, and which can be written, is up to the device, as are private sets.\n"


def _section(title: str, headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    return "\n".join([f"## {title}\n", *_table(headings, rows), ""])


def _table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    yield f"| {' | '.join(headings)} |"
    yield "|---" * len(headings) + "|"
    for row in rows:
        yield f"| {' | '.join(map(str, row))} |"


def _list(codes: Iterable[int]) -> str:
    return ", ".join(map(str, codes))


def _hex(qualifiers: Iterable[Qualifier]) -> str:
    return ", ".join(f"{qualifier:02X}" for qualifier in sorted(qualifiers))
