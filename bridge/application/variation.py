"""One row of the object table, and everything that follows from it (IEEE 1815 annex A)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from struct import Struct

from bridge.application.codec import Codec, compile_codec, split_time
from bridge.application.field import RELATIVE_TIME, Field, FieldType
from bridge.application.measurement import Measurement, PointKind


class Role(Enum):
    """What an object is for: it decides which functions and qualifiers go with it."""

    # Members are looked up with every frame; Enum's own hash is a Python function.
    __hash__ = object.__hash__

    ANY = auto()
    """Variation 0 in a request: the outstation chooses; `group_role` says among what."""
    STATIC = auto()
    EVENT = auto()
    COMMAND = auto()
    COMMAND_EVENT = auto()
    DEADBAND = auto()
    TIME = auto()
    """g50v1: read and written."""
    FREEZE_TIME = auto()
    """g50v2: when to freeze and how often."""
    RECORDED_TIME = auto()
    """g50v3: the time at the last RECORD_CURRENT_TIME, written."""
    SCHEDULE = auto()
    """g50v4: indexed times with intervals."""
    COMMON_TIME = auto()
    DELAY = auto()
    CLASS = auto()
    INDICATIONS = auto()
    ATTRIBUTE = auto()


@dataclass(frozen=True, slots=True, eq=False)
class Variation:
    """A row. There is one instance for each group and variation: compare with `is`.

    `group_role` is the role of the group's numbered variations, `role` this one's. `kind` is None for objects
    that belong to no point. `size` is the octets of one object, 0 where it has no fixed whole octets.
    """

    group: int
    group_name: str
    variation: int
    name: str
    group_role: Role
    kind: PointKind | None
    fields: tuple[Field, ...]
    role: Role = field(init=False)
    size: int = field(init=False)
    bits: int = field(init=False)
    """Bits of one object: 1 or 2 for the packed ones, 0 without a fixed size."""
    _struct: Struct = field(init=False, repr=False)
    _codec: Codec | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        bits = sum(each.type.bits for each in self.fields)
        if FieldType.STRING in {each.type for each in self.fields}:
            bits = 8 * self.variation
        derived = {
            "role": self.group_role if self.variation else Role.ANY,
            "bits": bits,
            "size": bits // 8,
            "_struct": Struct("<" + "".join(each.type.code for each in self.fields)),
            "_codec": None
            if self.group_role is Role.COMMAND
            else compile_codec(
                self.kind, self.fields, bits, has_over_range=self.group_role is not Role.COMMAND_EVENT
            ),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    @property
    def label(self) -> str:
        """The usual short form, such as `g30v1`."""
        return f"g{self.group}v{self.variation}"

    @property
    def layout(self) -> str:
        """The fields in the standard's notation, such as `flags:u8 value:i32`."""
        return " ".join(f"{each.name}:{each.type.notation}" for each in self.fields)

    @property
    def is_relative_time(self) -> bool:
        """Whether the time is an offset to the common time (g51) that must stand before it."""
        return RELATIVE_TIME in self.fields

    @property
    def is_packed(self) -> bool:
        """Whether several objects share an octet."""
        return 0 < self.bits < 8

    @property
    def is_self_sized(self) -> bool:
        """Whether each object says itself how long it is (group 0)."""
        return any(each.type is FieldType.ATTRIBUTE for each in self.fields)

    def octets_of(self, count: int) -> int:
        """Return the octets of `count` objects in one range. Meaningless if `is_self_sized`."""
        return (count * self.bits + 7) // 8

    def encode(self, measurement: Measurement, common_time_ms: int = 0) -> bytes:
        """Encode one object of a point.

        `common_time_ms` is the g51 time before it, used by the relative-time variations alone. A value that
        the variation cannot hold is clipped and flagged OVER_RANGE (analogs; NaN becomes 0 in integers) or
        wraps (counters). A command event's `flags` are its command status.
        """
        return self._measured().one(measurement, common_time_ms)

    def encode_all(self, measurements: Sequence[Measurement]) -> bytes:
        """Encode the objects of one range, in order; packed ones share octets, the lowest bit first."""
        return self._measured().many(measurements)

    def pack(self, **values: float) -> bytes:
        """Encode one object from its fields by name, such as `time=` (ms), as they are."""
        arguments: list[float] = []
        for each in self.fields:
            value = values.pop(each.name)
            arguments += split_time(int(value)) if each.type is FieldType.U48 else (value,)
        if values:
            raise TypeError(f"{self.label} has no field {', '.join(values)}")
        return self._struct.pack(*arguments)

    def unpack(self, octets: bytes) -> dict[str, int | float]:
        """Decode one object, `size` octets long, to its fields by name."""
        unpacked = iter(self._struct.unpack(octets))
        return {
            each.name: next(unpacked) | next(unpacked) << 32 if each.type is FieldType.U48 else next(unpacked)
            for each in self.fields
        }

    def _measured(self) -> Codec:
        if self._codec is None:
            raise TypeError(f"{self.label} is no measurement of a point")
        return self._codec
