"""Every row of the table against octets that our codec did not make."""

from __future__ import annotations

import pytest

from bridge.application.attribute import Attribute, AttributeType, encode_attribute_list
from bridge.application.function import Function
from bridge.application.header import all_objects_header
from bridge.application.measurement import Flags, Measurement, PointKind, Value
from bridge.application.objects import (
    ROWS,
    VARIATIONS,
    command_event_group,
    event_group,
    lookup,
    static_group,
    variations_of,
)
from bridge.application.request import Request, parse_request
from bridge.application.variation import Role, Variation
from tests.vectors import load

VECTORS = load("objects.txt")
MEASURED = {Role.STATIC, Role.EVENT, Role.COMMAND_EVENT, Role.DEADBAND}


def row_of(label: str) -> Variation:
    group, _, variation = label[1:].partition("v")
    row = lookup(int(group), int(variation))
    assert row is not None, label
    return row


def value_of(row: Variation, text: str) -> Value:
    if row.kind is PointKind.OCTET_STRING:
        return bytes.fromhex(text)
    return float(text) if "." in text or "e" in text or "n" in text else int(text)


def attribute_of(type_name: str, text: str) -> Attribute:
    kind = AttributeType[type_name]
    if kind is AttributeType.VSTR:
        return Attribute(kind, text.replace("_", " "))
    if kind is AttributeType.OSTR:
        return Attribute(kind, bytes.fromhex(text))
    return Attribute(kind, float(text) if kind is AttributeType.FLT else int(text))


def encoded(row: Variation, words: list[str]) -> bytes:
    if words[0] in Function.__members__:
        return asked_for(row, Function[words[0]])
    fields = dict(word.split("=") for word in words)
    if row.role is Role.ATTRIBUTE:
        if "list" in fields:
            pairs = [(int(each[:-2]), each.endswith("rw")) for each in fields["list"].split(",")]
            return encode_attribute_list(pairs)
        attribute = attribute_of(fields["type"], fields["value"])
        assert Attribute.decode(attribute.encode()) == attribute
        return attribute.encode()
    if row.role in MEASURED or row.is_packed:
        time_ms = int(fields["time"]) if "time" in fields else None
        flags = int(fields.get("flags", "1"), 16)
        measurement = Measurement(value_of(row, fields["value"]), flags, time_ms)
        octets = row.encode(measurement, int(fields.get("common", "0")))
        if "common" not in fields:
            assert row.encode_all([measurement]) == octets
        return octets
    values = {name: float(text) if "." in text else int(text) for name, text in fields.items()}
    octets = row.pack(**values)
    assert row.unpack(octets) == values
    return octets


def asked_for(row: Variation, function: Function) -> bytes:
    """Return the header that asks for a request-only row, after a look that it is legal."""
    attribute_of_set_0 = bytes((row.group, row.variation, 0, 0, 0))
    header = attribute_of_set_0 if row.group == 0 else all_objects_header(row.group, row.variation)
    request = parse_request(bytes((0xC0, function)) + header)
    assert isinstance(request, Request)
    assert [each.row for each in request.headers] == [row]
    assert request.headers[0].octets == header
    return header


@pytest.mark.parametrize("name", VECTORS)
def test_object(name: str) -> None:
    label, *words = name.split()
    row = row_of(label)
    octets = encoded(row, words)
    assert octets.hex() == VECTORS[name].hex()
    if row.size and words[0] not in Function.__members__:
        assert row.size == len(octets)


def test_every_row_has_a_vector() -> None:
    with_vector = {row_of(name.split()[0]) for name in VECTORS}
    assert [row.label for row in ROWS if row not in with_vector] == []
    # A length of string has no row of its own, nor has a private attribute.
    generated = [row for row in with_vector if row not in set(ROWS)]
    assert {row.group for row in generated} == {110, 111}


def test_one_row_for_each_group_and_variation() -> None:
    assert len({row.label for row in ROWS}) == len(ROWS)
    assert all(lookup(*key) is row for key, row in VARIATIONS.items())


def test_unknown_objects() -> None:
    for key in ((0, 0), (1, 3), (60, 0), (60, 5), (70, 1), (112, 5), (102, 1), (255, 255)):
        assert lookup(*key) is None


def test_octet_strings_are_as_long_as_their_variation() -> None:
    for group in (110, 111):
        for variation in range(1, 256):
            row = lookup(group, variation)
            assert row is not None
            assert row.size == variation
            assert row.encode(Measurement(bytes(variation))) == bytes(variation)


def test_variation_0_is_any() -> None:
    for row in VARIATIONS.values():
        assert (row.role is Role.ANY) == (row.variation == 0)


@pytest.mark.parametrize("kind", PointKind)
def test_each_kind_has_its_groups(kind: PointKind) -> None:
    static, event = static_group(kind), event_group(kind)
    assert {row.kind for row in variations_of(static) + variations_of(event)} == {kind}
    if kind is PointKind.OCTET_STRING:
        assert (static, event) == (110, 111)


def test_groups_of_commands() -> None:
    assert command_event_group(PointKind.BINARY_OUTPUT) == 13
    assert command_event_group(PointKind.ANALOG_OUTPUT) == 43
    assert command_event_group(PointKind.COUNTER) is None


def test_variations_of_a_group_are_in_order() -> None:
    assert [row.variation for row in variations_of(21)] == [0, 1, 2, 5, 6, 9, 10]
    assert variations_of(99) == ()


def test_properties_follow_from_the_fields() -> None:
    assert row_of("g2v3").is_relative_time
    assert not row_of("g2v2").is_relative_time
    assert row_of("g3v1").is_packed
    assert row_of("g3v1").octets_of(5) == 2
    assert row_of("g30v5").layout == "flags:u8 value:f32"
    assert row_of("g0v252").is_self_sized


@pytest.mark.parametrize("label", ["g12v1", "g41v1", "g50v1", "g60v1", "g30v0", "g0v252"])
def test_what_is_no_measurement_refuses_to_be_encoded_as_one(label: str) -> None:
    with pytest.raises(TypeError):
        row_of(label).encode(Measurement(1))


def test_pack_refuses_fields_it_has_not() -> None:
    with pytest.raises(TypeError):
        row_of("g50v1").pack(time=1, interval=2)


@pytest.mark.parametrize(
    ("label", "values", "octets"),
    [
        ("g1v1", [1, 0, 1, 1, 0, 0, 0, 0, 0, 1], "0d02"),
        ("g3v1", [1, 2, 3, 0, 2], "3902"),
        ("g80v1", [0, 0, 0, 0, 1, 0, 0, 1] + 8 * [0], "9000"),
        ("g1v2", [True, False], "8101"),
        ("g30v4", [1, -1, 2.5, 70000], "0100ffff0200ff7f"),
        ("g30v2", [1.5, 70000], "01020021ff7f"),
        ("g30v5", [1.5, 1e300], "010000c03f21ffff7f7f"),
        ("g20v6", [1, 65537], "01000100"),
        ("g30v1", [], ""),
        ("g1v1", [], ""),
    ],
)
def test_the_objects_of_a_range(label: str, values: list[Value], octets: str) -> None:
    assert row_of(label).encode_all([Measurement(value) for value in values]).hex() == octets


@pytest.mark.parametrize("row", [row for row in ROWS if row.role in MEASURED], ids=lambda row: row.label)
def test_a_range_is_its_objects_joined(row: Variation) -> None:
    numbers: list[Value] = [0, 1, 2, 3, 200]
    if row.kind in (PointKind.ANALOG_INPUT, PointKind.ANALOG_OUTPUT, PointKind.FROZEN_ANALOG):
        numbers += [-7, 2.5, 1e12, -1e300, float("inf")]
    if row.is_packed:
        return
    for ranged in (numbers[:5], numbers, [numbers[-1]]):
        measurements = [Measurement(value, Flags.ONLINE | Flags.RESTART, 5) for value in ranged]
        assert row.encode_all(measurements) == b"".join(row.encode(each) for each in measurements)


@pytest.mark.parametrize(
    ("time_ms", "octets"),
    [(None, "000000000000"), (-1, "000000000000"), (1, "010000000000"), (1 << 60, "ffffffffffff")],
)
def test_times_are_limited_to_48_bits(time_ms: int | None, octets: str) -> None:
    assert row_of("g2v2").encode(Measurement(True, time_ms=time_ms)).hex() == "81" + octets


@pytest.mark.parametrize(
    ("time_ms", "octets"), [(99, "0000"), (100, "0000"), (165635, "ffff"), (200000, "ffff")]
)
def test_relative_times_are_limited_to_16_bits(time_ms: int, octets: str) -> None:
    assert row_of("g2v3").encode(Measurement(True, time_ms=time_ms), 100).hex() == "81" + octets


@pytest.mark.parametrize(
    ("value", "octets"),
    [
        (32767.4, "01ff7f"),
        (32767.5, "21ff7f"),
        (32768, "21ff7f"),
        (-32768.5, "010080"),
        (-32768.6, "210080"),
        (10**400, "21ff7f"),
    ],
)
def test_over_range_begins_where_rounding_ends(value: float, octets: str) -> None:
    assert row_of("g30v2").encode(Measurement(value)).hex() == octets


def test_state_bits_come_from_the_value_alone() -> None:
    assert row_of("g1v2").encode(Measurement(False, 0xFF)) == b"\x7f"
    assert row_of("g3v2").encode(Measurement(1, 0xFF)) == b"\x7f"
