"""The points and command points of simulated RTUs, from the rows of a file.

An entry with several indices is that many points. What they share is checked once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, NamedTuple

from bridge.application.command import CommandStatus
from bridge.application.measurement import PointKind, Value
from bridge.outstation import points
from bridge.outstation.points import (
    DEADBAND_OBJECTS,
    EVENT_OBJECTS,
    STATIC_OBJECTS,
    CommandKind,
    Objects,
    PointConfig,
)
from bridge.service.configuration.schema import Report, Row, in_words, read_row, shown, under
from bridge.service.simulation.sim_keys import CHANGE_KEYS, FEEDS_KEYS
from bridge.service.simulation.waveforms import Change, Shape

_CONFIGS: Mapping[PointKind, type[PointConfig]] = MappingProxyType(
    {
        each.kind: each
        for each in (
            points.BinaryInput,
            points.DoubleBitInput,
            points.BinaryOutput,
            points.Counter,
            points.FrozenCounter,
            points.AnalogInput,
            points.FrozenAnalog,
            points.AnalogOutput,
            points.OctetString,
        )
    }
)
_DOUBLE_BITS = ("intermediate", "off", "on", "indeterminate")
_NUMBERS = ("ramp", "sine", "steps", "random_walk", "toggle", "count")
_CHANGES: Mapping[PointKind, tuple[str, ...]] = MappingProxyType(
    {
        PointKind.BINARY_INPUT: ("toggle",),
        PointKind.DOUBLE_BIT_INPUT: ("toggle",),
        PointKind.BINARY_OUTPUT: ("toggle",),
        PointKind.COUNTER: ("count",),
        PointKind.ANALOG_INPUT: _NUMBERS,
        PointKind.ANALOG_OUTPUT: _NUMBERS,
    }
)
_FED_BY: Mapping[PointKind, tuple[PointKind, ...]] = MappingProxyType(
    {
        PointKind.BINARY_OUTPUT: (PointKind.BINARY_INPUT, PointKind.DOUBLE_BIT_INPUT),
        PointKind.ANALOG_OUTPUT: (PointKind.ANALOG_INPUT,),
    }
)
_LAST_COUNT = (1 << 32) - 1
_LARGEST_ANALOG = 1e300
_LONGEST_STRING = 255


def _binary(value: object) -> Value | None:
    return value if isinstance(value, bool) else None


def _double_bit(value: object) -> Value | None:
    return _DOUBLE_BITS.index(value) if isinstance(value, str) and value in _DOUBLE_BITS else None


def _count(value: object) -> Value | None:
    is_right = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LAST_COUNT
    return value if is_right and isinstance(value, int) else None


def _analog(value: object) -> Value | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return None if abs(value) > _LARGEST_ANALOG else value


def _string(value: object) -> Value | None:
    octets = value.encode() if isinstance(value, str) else b""
    return octets if 1 <= len(octets) <= _LONGEST_STRING else None


class _Values(NamedTuple):
    default: Value
    right: str
    convert: Callable[[object], Value | None]
    """None for what is no value of the kind."""


_BINARY_VALUES = _Values(False, "write true or false", _binary)
_COUNTS = _Values(0, f"write 0 to {_LAST_COUNT}", _count)
_ANALOGS = _Values(0, "write a number", _analog)
_VALUES: Mapping[PointKind, _Values] = MappingProxyType(
    {
        PointKind.BINARY_INPUT: _BINARY_VALUES,
        PointKind.DOUBLE_BIT_INPUT: _Values(1, f"write {in_words(_DOUBLE_BITS, 'or')}", _double_bit),
        PointKind.BINARY_OUTPUT: _BINARY_VALUES,
        PointKind.COUNTER: _COUNTS,
        PointKind.FROZEN_COUNTER: _COUNTS,
        PointKind.ANALOG_INPUT: _ANALOGS,
        PointKind.FROZEN_ANALOG: _ANALOGS,
        PointKind.ANALOG_OUTPUT: _ANALOGS,
        PointKind.OCTET_STRING: _Values(b"-", "write text of 1 to 255 octets", _string),
    }
)


@dataclass(frozen=True, slots=True)
class Point:
    """One point; with a `change` its value moves by itself, counters from `value` on."""

    index: int
    config: PointConfig
    value: Value
    change: Change | None

    @property
    def kind(self) -> PointKind:
        """The kind of point."""
        return self.config.kind


@dataclass(frozen=True, slots=True)
class Command:
    """An output that takes commands, and the inputs that show what became of them `delay_s` later."""

    kind: PointKind
    index: int
    feeds: tuple[tuple[PointKind, int], ...]
    delay_s: float
    status: CommandStatus


def read_points(row: Row, report: Report) -> Iterator[Point]:
    """Yield the points of one entry; none where something is wrong with it."""
    kind, indices = row.get("kind"), _indices(row, report)
    if kind is None:
        return
    problems = len(report.problems)
    objects = {
        "static_variation": STATIC_OBJECTS[kind],
        "event_variation": EVENT_OBJECTS[kind],
        "deadband_variation": DEADBAND_OBJECTS,
        "command_variation": EVENT_OBJECTS[
            CommandKind.BINARY_COMMAND if kind is PointKind.BINARY_OUTPUT else CommandKind.ANALOG_COMMAND
        ],
    }
    known = {each.name for each in fields(_CONFIGS[kind])}
    for label in (*objects, "deadband", "command_class"):
        if row.get(label) is None:
            continue
        if label not in known:
            report.add(under(row.path, label), f"a point of kind {kind} has none; leave it out")
        elif label in objects:
            _check_variation(row, label, objects[label], report)
    value, change = _value(row, kind, report), _change(row, kind, report)
    if len(report.problems) == problems:
        config = _CONFIGS[kind](**{name: value for name, value in row.values.items() if name in known})
        for place, index in enumerate(indices):
            yield Point(index, config, value, _set_apart(change, place, len(indices)))


def read_commands(row: Row, report: Report) -> Iterator[Command]:
    """Yield the command points of one entry; each further index feeds a further point."""
    kind, indices = row.get("kind"), _indices(row, report)
    fed = list(_feeds(row, kind, report))
    if kind is None or row.get("delay_s") is None or row.get("status") is None:
        return
    for place, index in enumerate(indices):
        feeds = tuple((input_kind, first + place) for input_kind, first in fed)
        yield Command(kind, index, feeds, row.get("delay_s"), row.get("status"))


def check_feeds(members: Iterable[tuple[Row, Any]], report: Report) -> None:
    """Report command points that feed what one outstation does not have, once an entry.

    Not where an entry of points is wrong: what it would have brought is not known.
    """
    if any(problem.startswith(f"{report.source_name}: point.") for problem in report.problems):
        return
    members = list(members)
    there = {(member.kind, member.index) for _, member in members if isinstance(member, Point)}
    told = set()
    for row, member in members:
        missing = set(member.feeds) - there if isinstance(member, Command) else set()
        if missing and row.path not in told:
            told.add(row.path)
            kind, index = min(missing)
            report.add(under(row.path, "feeds"), f"there is no {kind} {index}; write a [[point]] for it")


def _indices(row: Row, report: Report) -> tuple[int, ...]:
    index, indices = row.get("index"), row.get("indices")
    if index is not None and indices is not None:
        report.add(under(row.path, "indices"), "stands beside index; write one of them")
        return ()
    if index is not None:
        return (index,)
    if indices is None and not _is_reported(row, report):
        report.add(under(row.path, "index"), 'is missing; write index = 0 or indices = "0-9"')
    return tuple(indices or ())


def _is_reported(row: Row, report: Report) -> bool:
    """Whether an index of this entry was written, and wrong."""
    starts = tuple(f"{report.source_name}: {under(row.path, label)}:" for label in ("index", "indices"))
    return any(problem.startswith(starts) for problem in report.problems)


def _check_variation(row: Row, label: str, objects: Objects, report: Report) -> None:
    variation = row.get(label)
    if variation not in objects.variations:
        right = in_words(sorted(objects.variations), "or")
        report.add(under(row.path, label), f"g{objects.group} has no variation {variation}; write {right}")


def _value(row: Row, kind: PointKind, report: Report) -> Value:
    default, right, convert = _VALUES[kind]
    written = row.get("value")
    if written is None:
        return default
    value = convert(written)
    if value is None:
        report.add(under(row.path, "value"), f"{shown(written)} is no value of kind {kind}; {right}")
        return default
    return value


def _change(row: Row, kind: PointKind, report: Report) -> Change | None:
    table = row.get("change")
    if table is None:
        return None
    path = under(row.path, "change")
    if kind not in _CHANGES:
        report.add(path, f"a point of kind {kind} does not change by itself; leave it out")
        return None
    change = read_row(table, CHANGE_KEYS, path, report)
    which = change.values.pop("kind", None)
    if which is not None and which not in _CHANGES[kind]:
        right = in_words(_CHANGES[kind], "or")
        report.add(under(path, "kind"), f"{which} is nothing for a {kind}; write {right}")
    low, high = change.get("low"), change.get("high")
    if low is not None and high is not None and low > high:
        report.add(under(path, "min"), f"{low:g} is over max, {high:g}; write the smaller one as min")
    is_whole = which is not None and len(change.values) == len(CHANGE_KEYS) - 1
    return Change(which, Shape(**change.values)) if is_whole else None


def _set_apart(change: Change | None, place: int, places: int) -> Change | None:
    """Let the points of one entry not move as one."""
    if change is None or change.kind == "count":
        return change
    shape = change.shape
    if change.kind == "random_walk":
        return replace(change, shape=replace(shape, seed=shape.seed + place))
    return replace(change, delay_s=shape.period_s * place / places)


def _feeds(row: Row, kind: PointKind | None, report: Report) -> Iterator[tuple[PointKind, int]]:
    path = under(row.path, "feeds")
    for table in row.get("feeds") or ():
        feeds = read_row(table, FEEDS_KEYS, path, report)
        fed, index = feeds.get("kind"), feeds.get("index")
        if kind is not None and fed is not None and fed not in _FED_BY[kind]:
            right = in_words(map(str, _FED_BY[kind]), "or")
            report.add(under(path, "kind"), f"{kind} feeds no {fed}; write {right}")
        elif fed is not None and index is not None:
            yield fed, index
