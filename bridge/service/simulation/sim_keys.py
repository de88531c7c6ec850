"""Every key of a file that describes simulated RTUs: its type, example, range and default."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from bridge.application.command import CommandStatus
from bridge.application.measurement import PointKind
from bridge.outstation.config import LONGEST_FRAGMENT, SHORTEST_FRAGMENT
from bridge.outstation.points import EVENT_KINDS, LAST_INDEX, EventClass
from bridge.service.configuration.keys import OUTSTATION_KEYS
from bridge.service.configuration.schema import (
    BOOLEAN,
    INTEGER,
    LEFT_OUT,
    NUMBER,
    STRING,
    TABLE,
    TABLES,
    Key,
    Kind,
    RefusedError,
    between,
    kind_title,
    milliseconds,
    one_of,
    seconds,
    shown,
)
from bridge.service.simulation.waveforms import WAVEFORMS

_LONGEST_MS = 3_600_000
_LARGEST_NUMBER = 1e300
_MOST_EVENTS = 100_000
_LAST_ATTRIBUTE = 253
_LAST_SET = 255
ANY_MASTER: Final = "any"

_TABLE_OR_TABLES: Final = Kind((dict, list), "a table")
_ADDRESS_OR_ANY: Final = Kind((int, str), "an address")
_VALUE: Final = Kind((bool, int, float, str), "a value")

_POINT_KINDS = {str(kind): kind for kind in PointKind}
_COMMANDED = {str(kind): kind for kind in (PointKind.BINARY_OUTPUT, PointKind.ANALOG_OUTPUT)}
_STATUSES = {status.name.lower(): status for status in CommandStatus}
_CLASSES = {int(each): each for each in EventClass}


def _tables(section: str) -> Callable[[list[object]], list[object]]:
    def convert(value: list[object]) -> list[object]:
        for number, element in enumerate(value, start=1):
            if not isinstance(element, dict):
                raise RefusedError(f"entry {number} is {kind_title(element)}; write tables only")
        return value

    return convert


def _one_or_more(section: str) -> Callable[[object], list[object]]:
    check = _tables(section)

    def convert(value: object) -> list[object]:
        if isinstance(value, list) and not value:
            raise RefusedError(f"is empty; write a table of {section}, or leave it out")
        return check(value if isinstance(value, list) else [value])

    return convert


def _master(value: int | str) -> int | None:
    if isinstance(value, int):
        address: int = OUTSTATION_KEYS["link_address"].convert(value)
        return address
    if value != ANY_MASTER:
        raise RefusedError(f"{shown(value)} is no address; write 'any' or a number")
    return None


def _keep_alive(value: float) -> float | None:
    return seconds(0, 86_400)(value) or None


def _indices(value: str) -> tuple[int, ...]:
    right = "write single ones and ranges, such as '0-9' or '0-9,20'"
    found: list[int] = []
    for part in value.split(","):
        match = re.fullmatch(r"\s*(\d{1,5})\s*(?:-\s*(\d{1,5})\s*)?", part, re.ASCII)
        if match is None:
            raise RefusedError(f"{shown(part.strip())} is no range of indices; {right}")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise RefusedError(f"{shown(part.strip())} ends before it begins; {right}")
        found += range(first, between(0, LAST_INDEX)(last) + 1)
        if len(found) > LAST_INDEX + 1:
            raise RefusedError(f"names more than {LAST_INDEX + 1} points; name each once")
    if len(set(found)) < len(found):
        raise RefusedError("names an index twice; name each once")
    return tuple(found)


def _named(names: Mapping[Any, Any]) -> Callable[[Any], Any]:
    accept = one_of(names)
    return lambda value: names[accept(value)]


_number = between(-_LARGEST_NUMBER, _LARGEST_NUMBER)
_INDEX = Key(INTEGER, "index = 0", between(0, LAST_INDEX), default=LEFT_OUT)
_INDICES = Key(STRING, 'indices = "0-9"', _indices, default=LEFT_OUT)
_OUTSTATION = Key(STRING, 'outstation = "rtu"', default=LEFT_OUT)
_VARIATION = between(0, 255)


def _time_ms(label: str, lowest: int, default_s: float) -> Key:
    example = f"{label}_ms = {round(default_s * 1000)}"
    return Key(INTEGER, example, milliseconds(lowest, _LONGEST_MS), default_s, attribute=f"{label}_s")


def _fragment(label: str) -> Key:
    return Key(INTEGER, f"{label} = 2048", between(SHORTEST_FRAGMENT, LONGEST_FRAGMENT), default=2048)


FILE_KEYS: Final[Mapping[str, Key]] = {
    "outstation": Key(_TABLE_OR_TABLES, "[outstation]", _one_or_more("outstation"), default=[{}]),
    "point": Key(TABLES, "[[point]]", _tables("point"), default=[]),
    "command": Key(TABLES, "[[command]]", _tables("command"), default=[]),
    "attribute": Key(TABLES, "[[attribute]]", _tables("attribute"), default=[]),
}

RTU_KEYS: Final[Mapping[str, Key]] = {
    "name": replace(OUTSTATION_KEYS["name"], example='name = "rtu"', default="rtu"),
    "link_address": replace(OUTSTATION_KEYS["link_address"], default=1024),
    "master_address": Key(_ADDRESS_OR_ANY, "master_address = 1", _master, default=None),
    "unsolicited": Key(BOOLEAN, "unsolicited = true", default=True),
    "longest_request": _fragment("longest_request"),
    "longest_response": _fragment("longest_response"),
    "controls_per_request": Key(INTEGER, "controls_per_request = 16", between(1, 65535), default=16),
    "confirm_timeout_ms": _time_ms("confirm_timeout", 10, 5.0),
    "select_timeout_ms": _time_ms("select_timeout", 10, 10.0),
    "keep_alive_s": Key(NUMBER, "keep_alive_s = 60", _keep_alive, default=60.0),
    "self_address": Key(BOOLEAN, "self_address = true", default=True),
    "answer_delay_ms": _time_ms("answer_delay", 0, 0.0),
    "update_ms": _time_ms("update", 20, 0.5),
    "needs_time": Key(BOOLEAN, "needs_time = false", default=False),
    "events": Key(TABLE, "[outstation.events]", default={}),
}

EVENTS_KEYS: Final[Mapping[str, Key]] = {
    str(kind): Key(INTEGER, f"{kind} = 100", between(0, _MOST_EVENTS), default=LEFT_OUT)
    for kind in EVENT_KINDS
}

POINT_KEYS: Final[Mapping[str, Key]] = {
    "outstation": _OUTSTATION,
    "kind": Key(STRING, 'kind = "analog_input"', _named(_POINT_KINDS)),
    "index": _INDEX,
    "indices": _INDICES,
    "class": Key(INTEGER, "class = 1", _named(_CLASSES), EventClass.CLASS_1, attribute="event_class"),
    "in_class_0": Key(BOOLEAN, "in_class_0 = true", default=LEFT_OUT),
    "value": Key(_VALUE, "value = 12.5", default=LEFT_OUT),
    "static_variation": Key(INTEGER, "static_variation = 5", _VARIATION, default=LEFT_OUT),
    "event_variation": Key(INTEGER, "event_variation = 7", _VARIATION, default=LEFT_OUT),
    "deadband": Key(NUMBER, "deadband = 0.5", between(0, _LARGEST_NUMBER), default=LEFT_OUT),
    "deadband_variation": Key(INTEGER, "deadband_variation = 3", _VARIATION, default=LEFT_OUT),
    "command_class": Key(INTEGER, "command_class = 2", _named(_CLASSES), default=LEFT_OUT),
    "command_variation": Key(INTEGER, "command_variation = 2", _VARIATION, default=LEFT_OUT),
    "change": Key(TABLE, 'change = { kind = "sine" }', default=LEFT_OUT),
}

CHANGE_KEYS: Final[Mapping[str, Key]] = {
    "kind": Key(STRING, 'kind = "sine"', one_of(WAVEFORMS)),
    "period_s": Key(NUMBER, "period_s = 60", seconds(0.01, 1e7), default=60.0),
    "min": Key(NUMBER, "min = 0", _number, default=0.0, attribute="low"),
    "max": Key(NUMBER, "max = 100", _number, default=100.0, attribute="high"),
    "step": Key(NUMBER, "step = 1", between(1e-6, _LARGEST_NUMBER), default=1.0),
    "seed": Key(INTEGER, "seed = 1", between(-(2**63), 2**63 - 1), default=0),
}

COMMAND_KEYS: Final[Mapping[str, Key]] = {
    "outstation": _OUTSTATION,
    "kind": Key(STRING, 'kind = "binary_output"', _named(_COMMANDED)),
    "index": _INDEX,
    "indices": _INDICES,
    "feeds": Key(
        _TABLE_OR_TABLES, 'feeds = { kind = "binary_input", index = 3 }', _one_or_more("feeds"), default=[]
    ),
    "delay_ms": _time_ms("delay", 0, 0.0),
    "status": Key(STRING, 'status = "success"', _named(_STATUSES), default=CommandStatus.SUCCESS),
}

FEEDS_KEYS: Final[Mapping[str, Key]] = {
    "kind": Key(STRING, 'kind = "binary_input"', _named(_POINT_KINDS)),
    "index": replace(_INDEX, default=0),
}

ATTRIBUTE_KEYS: Final[Mapping[str, Key]] = {
    "outstation": _OUTSTATION,
    "number": Key(INTEGER, "number = 250", between(1, _LAST_ATTRIBUTE)),
    "set": Key(INTEGER, "set = 0", between(0, _LAST_SET), default=0),
    "value": Key(_VALUE, 'value = "RTU 7"'),
    "writable": Key(BOOLEAN, "writable = false", default=False),
}
