"""READ of every object that can be read, against octets that our codec did not make."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.application.attribute import Attribute
from bridge.application.function import Function
from bridge.application.legality import qualifiers_for
from bridge.application.measurement import Measurement, PointKind
from bridge.application.objects import ROWS, lookup
from bridge.application.variation import Role, Variation
from bridge.outstation.attributes import AttributeStore
from bridge.outstation.points import (
    CONFIGS,
    AnalogInput,
    EventClass,
)
from bridge.outstation.values import EventDetection
from tests.application.test_objects import attribute_of, value_of
from tests.outstation.harness import EPOCH_MS, Harness

INDEX = 3
LINES = [
    line.split(":")
    for line in (Path(__file__).parent.parent / "vectors" / "reads.txt").read_text("ascii").splitlines()
    if line and not line.startswith("#")
]


def row_of(label: str) -> Variation:
    group, _, variation = label[1:].partition("v")
    row = lookup(int(group), int(variation))
    assert row is not None
    return row


def outstation_with(row: Variation, fields: dict[str, str]) -> Harness:
    """Return an outstation with what the vector's name describes, and nothing else."""
    o = Harness(is_restarted="restart" in fields)
    match row.group_role:
        case Role.ATTRIBUTE:
            add_attributes(o.attributes, row, fields)
        case Role.DEADBAND:
            o.add(INDEX, AnalogInput(deadband=float(fields["value"])))
        case Role.TIME:
            o.now = (int(fields["time"]) - EPOCH_MS) / 1000
        case Role.SCHEDULE:
            numbers = [int(fields[name]) for name in ("time", "interval", "units")]
            octets = b"".join(n.to_bytes(size, "little") for n, size in zip(numbers, (6, 4, 1), strict=True))
            o.ask(f"c002320417 01{INDEX:02x}{octets.hex()}")
        case Role.INDICATIONS:
            pass
        case _:
            add_point(o, row, fields)
    return o


def add_attributes(store: AttributeStore, row: Variation, fields: dict[str, str]) -> None:
    if "list" in fields:
        for each in fields["list"].split(","):
            store.define(int(each[:-2]), Attribute(2, 1), writable=each.endswith("rw"))
        return
    attribute = attribute_of(fields["type"], fields["value"])
    assert isinstance(attribute, Attribute)
    store.define(247 if row.variation == 254 else row.variation, attribute)


def add_point(o: Harness, row: Variation, fields: dict[str, str]) -> None:
    kind = PointKind.BINARY_INPUT if row.kind is None else row.kind
    like = row if row.kind is not None else row_of("g1v2")
    time_ms = int(fields["time"]) if "time" in fields else None
    value = value_of(like, fields["value"])
    if kind in (PointKind.BINARY_INPUT, PointKind.BINARY_OUTPUT):
        value = bool(value)
    measurement = Measurement(value, int(fields["flags"], 16) if "flags" in fields else 1, time_ms)
    event_class = EventClass(int(fields.get("class", "1")))
    if row.group_role is Role.COMMAND_EVENT:
        o.database.add(INDEX, CONFIGS[kind](command_class=event_class))  # type: ignore[call-arg]
        o.database.record_command(kind, INDEX, value, measurement.flags, time_ms=time_ms)
        return
    is_static = row.group_role is Role.STATIC
    o.database.add(INDEX, CONFIGS[kind](EventClass.NONE if is_static else event_class))
    common_ms = int(fields.get("common", str(time_ms or 0)))
    if common_ms != (time_ms or 0):
        first = Measurement(value, measurement.flags, common_ms)
        o.database.update(kind, INDEX, first, detect=EventDetection.FORCE)
    o.database.update(kind, INDEX, measurement, detect=EventDetection.FORCE)


@pytest.mark.parametrize(("name", "octets"), LINES, ids=[name[:60] for name, _ in LINES])
def test_read(name: str, octets: str) -> None:
    label, *words = name.split()
    request, answer = octets.split()
    o = outstation_with(row_of(label), dict(word.split("=") for word in words))
    assert o.ask(request) == answer
    if answer.startswith("e"):
        o.talk(f"> c{answer[1]} 00")
        assert not o.database.events.counts().total
    else:
        # A READ again is a READ anew, of the same.
        assert o.ask(request) == answer


def test_every_object_that_can_be_read_has_a_vector() -> None:
    read = {row_of(name.split()[0]) for name, _ in LINES}
    readable = {row for row in ROWS if qualifiers_for(Function.READ, row)}
    assert sorted(row.label for row in readable - read) == []
