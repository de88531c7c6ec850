"""How a point is set up: its event class, its variations, its deadband. One class per kind of point.

Defaults report flags with every value and, where the kind is known for sequence of events, the time:

    kind                static   event    command event
    BinaryInput         g1v2     g2v2
    DoubleBitInput      g3v2     g4v2
    BinaryOutput        g10v2    g11v2    g13v2
    Counter             g20v1    g22v1
    FrozenCounter       g21v1    g23v1
    AnalogInput         g30v1    g32v3    (deadbands: g34v3)
    FrozenAnalog        g31v1    g33v3
    AnalogOutput        g40v1    g42v3    g43v3
    OctetString         g110     g111     (the variation is the length of the value)

The analog defaults are 32-bit integers, which every master reads; choose the float variations for fractions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import ClassVar, Final, NamedTuple

from bridge.application.measurement import PointKind
from bridge.application.objects import command_event_group, event_group, static_group, variations_of
from bridge.errors import PointConfigError

LAST_INDEX = 65535
"""The highest index that a 16-bit range or prefix can carry."""


class EventClass(IntEnum):
    """The class in which a point reports its events (IEEE 1815 clause 4.1.5.3)."""

    NONE = 0
    """No events: the point is read in class 0 or by its range. ASSIGN_CLASS with class 0 leads here."""
    CLASS_1 = 1
    CLASS_2 = 2
    CLASS_3 = 3


class CommandKind(StrEnum):
    """Events that report a command to an output, as opposed to the output's new state: g13 and g43."""

    BINARY_COMMAND = "binary_command"
    ANALOG_COMMAND = "analog_command"


EventKind = PointKind | CommandKind
"""What has an event buffer of its own."""
EVENT_KINDS: tuple[EventKind, ...] = (*PointKind, *CommandKind)


class Objects(NamedTuple):
    """The object group of something reported, and the variations that it may be configured to use."""

    group: int
    variations: frozenset[int]


def _objects(group: int) -> Objects:
    """Return what the object table has; the variation of a string is its length, which nobody configures."""
    numbered = frozenset(row.variation for row in variations_of(group) if row.variation)
    is_string = group in (static_group(PointKind.OCTET_STRING), event_group(PointKind.OCTET_STRING))
    return Objects(group, frozenset({0}) if is_string else numbered)


_COMMANDED = {
    CommandKind.BINARY_COMMAND: PointKind.BINARY_OUTPUT,
    CommandKind.ANALOG_COMMAND: PointKind.ANALOG_OUTPUT,
}


def _command_objects(kind: PointKind) -> Objects:
    group = command_event_group(kind)
    assert group is not None
    return _objects(group)


STATIC_OBJECTS: Mapping[PointKind, Objects] = MappingProxyType(
    {kind: _objects(static_group(kind)) for kind in PointKind}
)
EVENT_OBJECTS: Mapping[EventKind, Objects] = MappingProxyType(
    {kind: _objects(event_group(kind)) for kind in PointKind}
    | {command: _command_objects(kind) for command, kind in _COMMANDED.items()}
)
DEADBAND_OBJECTS = _objects(34)


@dataclass(frozen=True, slots=True)
class PointConfig:
    """What all kinds share; use the subclass of the kind.

    `in_class_0` says whether a read of class 0 returns the point; reads of its range always do.
    Raises `PointConfigError` for a class or a variation that the kind does not have.
    """

    kind: ClassVar[PointKind]

    event_class: EventClass = EventClass.NONE
    _: KW_ONLY
    in_class_0: bool = True
    static_variation: int = 0
    event_variation: int = 0

    def __post_init__(self) -> None:
        _check_class(self.kind, self.event_class)
        _check_variation(self.kind, STATIC_OBJECTS[self.kind], self.static_variation)
        _check_variation(self.kind, EVENT_OBJECTS[self.kind], self.event_variation)
        self._check_more()

    def _check_more(self) -> None:
        """Check what only some kinds have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BinaryInput(PointConfig):
    """A contact or any other state of two values."""

    kind: ClassVar[PointKind] = PointKind.BINARY_INPUT
    static_variation: int = 2
    event_variation: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubleBitInput(PointConfig):
    """A switch that reports both its ends: intermediate, off, on or indeterminate."""

    kind: ClassVar[PointKind] = PointKind.DOUBLE_BIT_INPUT
    static_variation: int = 2
    event_variation: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class BinaryOutput(PointConfig):
    """The state of an output that a CROB commands. Its commands report in a class of their own."""

    kind: ClassVar[PointKind] = PointKind.BINARY_OUTPUT
    static_variation: int = 2
    event_variation: int = 2
    command_class: EventClass = EventClass.NONE
    command_variation: int = 2

    def _check_more(self) -> None:
        kind = CommandKind.BINARY_COMMAND
        _check_class(kind, self.command_class)
        _check_variation(kind, EVENT_OBJECTS[kind], self.command_variation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter(PointConfig):
    """A running 32-bit counter. An event is due when it moved by more than `deadband` counts.

    A freeze copies it to the `FrozenCounter` of the same index, if there is one.
    """

    kind: ClassVar[PointKind] = PointKind.COUNTER
    static_variation: int = 1
    event_variation: int = 1
    deadband: float = 0.0

    def _check_more(self) -> None:
        check_deadband(self.deadband)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenCounter(PointConfig):
    """What a counter of the same index held when it was frozen. Every freeze is an event."""

    kind: ClassVar[PointKind] = PointKind.FROZEN_COUNTER
    static_variation: int = 1
    event_variation: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalogInput(PointConfig):
    """A measured value. An event is due when it moved by more than `deadband`, in units of the value.

    `deadband_variation` answers reads of g34 that name no variation; 3, a float, keeps fractions.
    """

    kind: ClassVar[PointKind] = PointKind.ANALOG_INPUT
    static_variation: int = 1
    event_variation: int = 3
    deadband: float = 0.0
    deadband_variation: int = 3

    def _check_more(self) -> None:
        check_deadband(self.deadband)
        _check_variation("analog input deadband", DEADBAND_OBJECTS, self.deadband_variation)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenAnalog(PointConfig):
    """What an analog input of the same index held when it was frozen. Every freeze is an event."""

    kind: ClassVar[PointKind] = PointKind.FROZEN_ANALOG
    static_variation: int = 1
    event_variation: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalogOutput(PointConfig):
    """The state of a set point. Its commands report in a class of their own."""

    kind: ClassVar[PointKind] = PointKind.ANALOG_OUTPUT
    static_variation: int = 1
    event_variation: int = 3
    deadband: float = 0.0
    command_class: EventClass = EventClass.NONE
    command_variation: int = 3

    def _check_more(self) -> None:
        check_deadband(self.deadband)
        kind = CommandKind.ANALOG_COMMAND
        _check_class(kind, self.command_class)
        _check_variation(kind, EVENT_OBJECTS[kind], self.command_variation)


@dataclass(frozen=True, slots=True, kw_only=True)
class OctetString(PointConfig):
    """1 to 255 octets of any meaning. Outside class 0 by default: many masters do not expect them there."""

    kind: ClassVar[PointKind] = PointKind.OCTET_STRING
    in_class_0: bool = False


CONFIGS: Final[Mapping[PointKind, type[PointConfig]]] = {
    config.kind: config
    for config in (
        *(BinaryInput, DoubleBitInput, BinaryOutput, Counter, FrozenCounter),
        *(AnalogInput, FrozenAnalog, AnalogOutput, OctetString),
    )
}
"""The configuration of each kind of point, in the order of the kinds."""


def check_deadband(deadband: float) -> None:
    """Raise `PointConfigError` unless the deadband is a number of 0 or more; infinity turns detection off."""
    if not deadband >= 0:
        raise PointConfigError(f"deadband {deadband}: use 0 or more")


def _check_class(what: str, event_class: int) -> None:
    if not EventClass.NONE <= event_class <= EventClass.CLASS_3:
        raise PointConfigError(f"{what}: no event class {event_class}; use 0 to 3")


def _check_variation(what: str, objects: Objects, variation: int) -> None:
    if variation not in objects.variations:
        known = ", ".join(map(str, sorted(objects.variations)))
        raise PointConfigError(f"{what}: g{objects.group}v{variation} cannot be its variation; use {known}")
