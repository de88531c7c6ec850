"""A file that describes simulated RTUs: TOML in, frozen dataclasses out, or every problem of it at once.

The keys are in `sim_keys`, what a point's keys mean together in `sim_points`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.application.attribute import Attribute, AttributeType
from bridge.errors import ConfigurationError
from bridge.outstation.config import OutstationConfig, UnsolicitedConfig
from bridge.outstation.events import EventBufferSizes
from bridge.service.configuration.schema import Report, Row, did_you_mean, in_words, read_row, shown, under
from bridge.service.configuration.toml_text import read_text, read_toml
from bridge.service.simulation.sim_keys import (
    ATTRIBUTE_KEYS,
    COMMAND_KEYS,
    EVENTS_KEYS,
    FILE_KEYS,
    POINT_KEYS,
    RTU_KEYS,
)
from bridge.service.simulation.sim_points import Command, Point, check_feeds, read_commands, read_points


@dataclass(frozen=True, slots=True)
class AttributeEntry:
    """One device attribute (group 0)."""

    attribute_set: int
    number: int
    attribute: Attribute
    is_writable: bool


@dataclass(frozen=True, slots=True)
class Rtu:
    """One simulated RTU. `needs_time`: it asks for the time until it is written."""

    config: OutstationConfig
    event_sizes: EventBufferSizes
    answer_delay_s: float
    update_s: float
    needs_time: bool
    points: tuple[Point, ...]
    commands: tuple[Command, ...]
    attributes: tuple[AttributeEntry, ...]


def load(path: str | os.PathLike[str]) -> tuple[Rtu, ...]:
    """Read a file. Raises `ConfigurationError` with every problem of it."""
    source_name = os.fspath(path)
    return parse(read_text(Path(path), source_name), source_name)


def parse(text: str, source_name: str) -> tuple[Rtu, ...]:
    """Read TOML text. Raises `ConfigurationError` with every problem; `source_name` stands before each."""
    report = Report(source_name)
    file = read_row(read_toml(text, source_name), FILE_KEYS, "", report)
    rows = list(_read_rtus(file.get("outstation") or [], report))
    names = [row.get("name") for row in rows]
    members: dict[str, list[_Member]] = {name: [] for name in names if name is not None}
    for section, keys in (("point", POINT_KEYS), ("command", COMMAND_KEYS), ("attribute", ATTRIBUTE_KEYS)):
        for number, table in enumerate(file.get(section) or [], start=1):
            row = read_row(table, keys, f"{section}.#{number}", report, section)
            read = list(_READERS[section](row, report))
            for name in _chosen(row, members, report):
                members[name] += ((row, each) for each in read)
    for held in members.values():
        check_feeds(held, report)
    for held in members.values():
        _check_doubles(held, report)
    if report.problems:
        # What several outstations share is wrong once.
        raise ConfigurationError(list(dict.fromkeys(report.problems)))
    return tuple(_rtu(row, [each for _, each in members[row.get("name")]]) for row in rows)


_Member = tuple[Row, Point | Command | AttributeEntry]


def _read_rtus(tables: Iterable[dict[str, object]], report: Report) -> Iterator[Row]:
    taken: dict[tuple[str, object], str] = {}
    tables = list(tables)
    for number, table in enumerate(tables, start=1):
        path = "outstation" if len(tables) == 1 else f"outstation.#{number}"
        row = read_row(table, RTU_KEYS, path, report)
        events = read_row(row.get("events") or {}, EVENTS_KEYS, under(path, "events"), report)
        row.values["event_sizes"] = EventBufferSizes(**events.values)
        for label in ("name", "link_address"):
            value = row.get(label)
            other = taken.setdefault((label, value), path)
            if value is not None and other != path:
                report.add(under(path, label), f"{shown(value)} is that of {other} too; write another")
        yield row


def _chosen(row: Row, names: Iterable[str], report: Report) -> list[str]:
    """Return the outstations that an entry is for: the one that it names, or all."""
    name = row.get("outstation")
    known = list(names)
    if name is None:
        return known
    if name not in known:
        meant = did_you_mean(name, known)
        right = f"did you mean {meant!r}?" if meant else f"write {in_words(known, 'or')}" if known else ""
        report.add(under(row.path, "outstation"), f"there is no outstation {shown(name)}; {right}")
        return []
    return [name]


def _read_attributes(row: Row, report: Report) -> Iterator[AttributeEntry]:
    value, number = row.get("value"), row.get("number")
    if value is None or number is None or row.get("set") is None:
        return
    attribute = Attribute(_attribute_type(value), int(value) if isinstance(value, bool) else value)
    try:
        attribute.encode()
    except ValueError as error:
        report.add(under(row.path, "value"), f"{error}; write a shorter one")
        return
    yield AttributeEntry(row.get("set"), number, attribute, bool(row.get("writable")))


def _attribute_type(value: object) -> AttributeType:
    if isinstance(value, str):
        return AttributeType.VSTR
    if isinstance(value, float):
        return AttributeType.FLT
    assert isinstance(value, int)
    return AttributeType.UINT if value >= 0 else AttributeType.INT


_READERS: Any = {"point": read_points, "command": read_commands, "attribute": _read_attributes}


def _check_doubles(members: Iterable[_Member], report: Report) -> None:
    taken: dict[tuple[object, ...], str] = {}
    told: set[str] = set()
    for row, member in members:
        match member:
            case AttributeEntry(attribute_set, number):
                key: tuple[object, ...] = (row.name, attribute_set, number)
                words = f"attribute {number} of set {attribute_set}"
            case _:
                key = (row.name, member.kind, member.index)
                words = f"{row.name} {member.kind} {member.index}"
        other = taken.setdefault(key, row.path)
        if other != row.path and row.path not in told:
            told.add(row.path)
            report.add(row.path, f"{words} is that of {other} too; write each once")


def _rtu(row: Row, members: list[Point | Command | AttributeEntry]) -> Rtu:
    values = row.values
    config = OutstationConfig(
        name=values["name"],
        link_address=values["link_address"],
        master_address=values["master_address"],
        longest_request=values["longest_request"],
        longest_response=values["longest_response"],
        confirm_timeout_s=values["confirm_timeout_s"],
        select_timeout_s=values["select_timeout_s"],
        controls_per_request=values["controls_per_request"],
        answers_self_address=values["self_address"],
        keep_alive_s=values["keep_alive_s"],
        unsolicited=UnsolicitedConfig(
            is_supported=values["unsolicited"], confirm_timeout_s=values["confirm_timeout_s"]
        ),
    )
    return Rtu(
        config,
        values["event_sizes"],
        values["answer_delay_s"],
        values["update_s"],
        values["needs_time"],
        tuple(each for each in members if isinstance(each, Point)),
        tuple(each for each in members if isinstance(each, Command)),
        tuple(each for each in members if isinstance(each, AttributeEntry)),
    )
