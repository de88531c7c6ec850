from __future__ import annotations

import math

import pytest

from bridge.application.measurement import PointKind
from bridge.application.objects import VARIATIONS
from bridge.application.variation import Role
from bridge.errors import PointConfigError
from bridge.outstation.points import (
    CONFIGS,
    DEADBAND_OBJECTS,
    EVENT_OBJECTS,
    STATIC_OBJECTS,
    AnalogInput,
    AnalogOutput,
    BinaryInput,
    BinaryOutput,
    CommandKind,
    Counter,
    DoubleBitInput,
    EventClass,
    FrozenAnalog,
    FrozenCounter,
    Objects,
    OctetString,
    PointConfig,
)

OUTPUTS = {
    CommandKind.BINARY_COMMAND: PointKind.BINARY_OUTPUT,
    CommandKind.ANALOG_COMMAND: PointKind.ANALOG_OUTPUT,
}


def rows(role: Role, kind: PointKind) -> set[tuple[int, int]]:
    return {key for key, row in VARIATIONS.items() if row.role is role and row.kind is kind}


def test_every_kind_has_one_configuration() -> None:
    assert list(CONFIGS) == list(PointKind)


@pytest.mark.parametrize("kind", [kind for kind in PointKind if kind is not PointKind.OCTET_STRING])
def test_configurable_variations_are_the_object_tables(kind: PointKind) -> None:
    for role, objects in ((Role.STATIC, STATIC_OBJECTS[kind]), (Role.EVENT, EVENT_OBJECTS[kind])):
        assert {(objects.group, variation) for variation in objects.variations} == rows(role, kind)


@pytest.mark.parametrize("kind", CommandKind)
def test_command_events_are_the_object_tables(kind: CommandKind) -> None:
    objects = EVENT_OBJECTS[kind]
    known = {(objects.group, variation) for variation in objects.variations}
    assert known == rows(Role.COMMAND_EVENT, OUTPUTS[kind])


def test_deadbands_are_the_object_tables() -> None:
    known = {(DEADBAND_OBJECTS.group, variation) for variation in DEADBAND_OBJECTS.variations}
    assert known == rows(Role.DEADBAND, PointKind.ANALOG_INPUT)


def test_octet_strings_have_no_variation_of_their_own() -> None:
    assert STATIC_OBJECTS[PointKind.OCTET_STRING] == Objects(110, frozenset({0}))
    assert EVENT_OBJECTS[PointKind.OCTET_STRING] == Objects(111, frozenset({0}))


@pytest.mark.parametrize(
    ("config", "static", "event"),
    [
        (BinaryInput(), 2, 2),
        (DoubleBitInput(), 2, 2),
        (BinaryOutput(), 2, 2),
        (Counter(), 1, 1),
        (FrozenCounter(), 1, 1),
        (AnalogInput(), 1, 3),
        (FrozenAnalog(), 1, 3),
        (AnalogOutput(), 1, 3),
        (OctetString(), 0, 0),
    ],
)
def test_defaults(config: PointConfig, static: int, event: int) -> None:
    assert (config.static_variation, config.event_variation) == (static, event)
    assert config.event_class is EventClass.NONE
    assert config.in_class_0 == (config.kind is not PointKind.OCTET_STRING)


def test_default_command_events() -> None:
    assert (BinaryOutput().command_variation, AnalogOutput().command_variation) == (2, 3)
    assert BinaryOutput().command_class is AnalogOutput().command_class is EventClass.NONE


def test_the_class_reads_well_in_front() -> None:
    assert AnalogInput(EventClass.CLASS_2, deadband=5).event_class is EventClass.CLASS_2


@pytest.mark.parametrize("config", CONFIGS.values())
def test_wrong_variations_are_named_with_the_right_ones(config: type[PointConfig]) -> None:
    static, event = STATIC_OBJECTS[config.kind], EVENT_OBJECTS[config.kind]
    with pytest.raises(PointConfigError, match=rf"{config.kind}: g{static.group}v77 .* use \d"):
        config(static_variation=77)
    with pytest.raises(PointConfigError, match=rf"{config.kind}: g{event.group}v77 .* use \d"):
        config(event_variation=77)


@pytest.mark.parametrize("deadband", [-0.1, math.nan, -math.inf])
@pytest.mark.parametrize("config", [Counter, AnalogInput, AnalogOutput])
def test_deadbands_are_0_or_more(config: type[Counter], deadband: float) -> None:
    with pytest.raises(PointConfigError, match="use 0 or more"):
        config(deadband=deadband)
    assert config(deadband=math.inf).deadband == math.inf


def test_what_only_some_kinds_have_is_checked_too() -> None:
    with pytest.raises(PointConfigError, match="g34v4"):
        AnalogInput(deadband_variation=4)
    with pytest.raises(PointConfigError, match="g13v3"):
        BinaryOutput(command_variation=3)
    with pytest.raises(PointConfigError, match="g43v0"):
        AnalogOutput(command_variation=0)


@pytest.mark.parametrize("event_class", [-1, 4])
def test_there_are_four_classes(event_class: int) -> None:
    with pytest.raises(PointConfigError, match=f"no event class {event_class}; use 0 to 3"):
        BinaryInput(event_class)  # type: ignore[arg-type]
    with pytest.raises(PointConfigError, match="binary_command"):
        BinaryOutput(command_class=event_class)  # type: ignore[arg-type]
    with pytest.raises(PointConfigError, match="analog_command"):
        AnalogOutput(command_class=event_class)  # type: ignore[arg-type]
