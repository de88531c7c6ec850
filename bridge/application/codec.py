"""Measurements to object octets: the conversions (IEEE 1815 clause 11.6 and annex A).

Rules:
  1. State bits are merged into the flags: 0x80 of a binary, 0xC0 of a double-bit input.
  2. An analog that an object cannot hold becomes the nearest it can, and OVER_RANGE is set where there are
     flags. Integers are rounded, half to even; NaN becomes 0, over range. Floats keep NaN and infinities.
  3. A counter in a shorter object keeps its low bits: it rolls over earlier, as a shorter counter does.
  4. A time that is not known is 0; times are limited to 48 bits, relative ones to 0 to 65535 ms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from struct import Struct, error, pack
from typing import NamedTuple, cast

from bridge.application.field import FLAGS, RELATIVE_TIME, STATUS, TIME, Field, FieldType
from bridge.application.measurement import Flags, Measurement, PointKind, Value

LAST_TIME_MS = 0xFFFF_FFFF_FFFF
LONGEST_OFFSET_MS = 0xFFFF

_OVER_RANGE = int(Flags.OVER_RANGE)
_DIGITS = b"0123" + bytes(252)
_INTEGER_CODES = "HIhi"
_F32_MAX = (2 - 2**-23) * 2.0**127
_F64_MAX = (2 - 2**-52) * 2.0**1023

One = Callable[[Measurement, int], bytes]
Many = Callable[[Sequence[Measurement]], bytes]
_Convert = Callable[[Value], tuple[float, bool]]
_Head = Callable[[Measurement], tuple[float, ...]]
_Tail = Callable[[Measurement, int], tuple[int, ...]]


class Codec(NamedTuple):
    """How one variation is written: one object, given the common time before it; and a whole range."""

    one: One
    many: Many


def compile_codec(
    kind: PointKind | None, fields: tuple[Field, ...], bits: int, *, has_over_range: bool
) -> Codec | None:
    """Return the codec of a variation's measurements, or None when it carries none."""
    types = {each.type for each in fields}
    if types & {FieldType.BIT, FieldType.BIT_PAIR}:
        return _packed(bits)
    if kind is None or not fields or FieldType.ATTRIBUTE in types:
        return None
    if FieldType.STRING in types:
        return _string(bits // 8)
    states = _STATES.get(kind)
    if states is not None:
        return _state(fields, states)
    return _number(kind, fields, has_over_range=has_over_range)


def split_time(time_ms: int | None) -> tuple[int, int]:
    """Return the low 32 and the high 16 bits of a time in ms, limited to what 48 bits hold."""
    limited = 0 if time_ms is None else min(max(time_ms, 0), LAST_TIME_MS)
    return limited & 0xFFFF_FFFF, limited >> 32


def pack_bits(values: Sequence[int], width: int) -> bytes:
    """Pack values of `width` bits (1 or 2), the first in the lowest bits of the first octet."""
    # int() reads a number's digits at C speed; the standard's order is the reverse of the digits'.
    digits = bytes(values)[::-1].translate(_DIGITS)
    octets = (len(values) * width + 7) // 8
    return int(digits or b"0", 1 << width).to_bytes(octets, "little")


def unpack_bits(octets: bytes, count: int, width: int) -> list[int]:
    """Return the first `count` values of `width` bits."""
    number = int.from_bytes(octets, "little")
    mask = (1 << width) - 1
    return [number >> at * width & mask for at in range(count)]


def _packed(bits: int) -> Codec:
    mask = (1 << bits) - 1

    def many(measurements: Sequence[Measurement]) -> bytes:
        values = cast("list[int]", [each.value for each in measurements])
        return pack_bits([value & mask for value in values], bits)

    return Codec(lambda measurement, _: many((measurement,)), many)


def _string(size: int) -> Codec:
    codec = Struct(f"{size}s")

    def many(measurements: Sequence[Measurement]) -> bytes:
        return b"".join([codec.pack(each.value) for each in measurements])

    return Codec(lambda measurement, _: codec.pack(measurement.value), many)


# A look-up by the flags' number; the operators of an IntFlag would take ten times as long.
_BINARY = tuple(bytes((flags & 0x7F | state << 7) for flags in range(256)) for state in range(2))
_DOUBLE_BIT = tuple(bytes((flags & 0x3F | state << 6) for flags in range(256)) for state in range(4))
_STATES = {
    PointKind.BINARY_INPUT: _BINARY,
    PointKind.BINARY_OUTPUT: _BINARY,
    PointKind.DOUBLE_BIT_INPUT: _DOUBLE_BIT,
}


def _state(fields: tuple[Field, ...], states: tuple[bytes, ...]) -> Codec:
    mask = len(states) - 1

    def octet_of(measurement: Measurement) -> int:
        return states[cast("int", measurement.value) & mask][measurement.flags]

    one = _object(fields, lambda measurement: (octet_of(measurement),))
    if len(fields) == 1:
        return Codec(one, lambda measurements: bytes(map(octet_of, measurements)))
    return Codec(one, lambda measurements: b"".join([one(each, 0) for each in measurements]))


def _number(kind: PointKind, fields: tuple[Field, ...], *, has_over_range: bool) -> Codec:
    value_type = next(each.type for each in fields if each.name == "value")
    is_counter = kind in (PointKind.COUNTER, PointKind.FROZEN_COUNTER)
    convert = _wrapping(value_type) if is_counter else _clipping(value_type)
    has_quality = FLAGS in fields or STATUS in fields

    def head(measurement: Measurement) -> tuple[float, ...]:
        value, is_clipped = convert(measurement.value)
        if not has_quality:
            return (value,)
        flags = measurement.flags
        return (int(flags) | _OVER_RANGE if is_clipped and has_over_range else flags, value)

    one = _object(fields, head)
    codes = "".join(each.type.code for each in fields)

    def many(measurements: Sequence[Measurement]) -> bytes:
        fast = _all_at_once(codes, measurements, has_quality=has_quality)
        return fast if fast is not None else b"".join([one(each, 0) for each in measurements])

    return Codec(one, many)


def _all_at_once(codes: str, measurements: Sequence[Measurement], *, has_quality: bool) -> bytes | None:
    """Pack a whole range in one call, or return None when a value needs more than rounding."""
    if len(codes) > 1 + has_quality:
        return None
    values: Iterable[float] = cast("list[float]", [each.value for each in measurements])
    if codes[-1] in _INTEGER_CODES:
        # Of an integer the rounding is the integer itself.
        values = map(round, values)
    try:
        packed = pack(f"<{len(measurements)}{codes[-1]}", *values)
        flags = bytes([each.flags for each in measurements]) if has_quality else b""
    except (error, OverflowError, ValueError):
        return None
    return _interleave(flags, packed) if flags else packed


def _interleave(flags: bytes, values: bytes) -> bytes:
    """Put each of the flags octets before its value."""
    size = len(values) // len(flags)
    octets = bytearray(len(flags) + len(values))
    octets[:: size + 1] = flags
    for at in range(size):
        octets[at + 1 :: size + 1] = values[at::size]
    return bytes(octets)


def _object(fields: tuple[Field, ...], head: _Head) -> One:
    codec = Struct("<" + "".join(each.type.code for each in fields))
    tail = _tail_of(fields)
    if tail is None:
        return lambda measurement, _: codec.pack(*head(measurement))
    return lambda measurement, common_time_ms: codec.pack(
        *head(measurement), *tail(measurement, common_time_ms)
    )


def _tail_of(fields: tuple[Field, ...]) -> _Tail | None:
    if TIME in fields:
        return lambda measurement, _: split_time(measurement.time_ms)
    if RELATIVE_TIME in fields:
        return lambda measurement, common_time_ms: (
            min(max((measurement.time_ms or 0) - common_time_ms, 0), LONGEST_OFFSET_MS),
        )
    return None


def _wrapping(value_type: FieldType) -> _Convert:
    mask = (1 << value_type.bits) - 1
    return lambda value: (int(value) & mask, False)


def _clipping(value_type: FieldType) -> _Convert:
    if value_type in (FieldType.F32, FieldType.F64):
        return _clipping_float(value_type)
    is_signed = value_type in (FieldType.I16, FieldType.I32)
    high = (1 << (value_type.bits - is_signed)) - 1
    low = -high - 1 if is_signed else 0

    def convert(value: Value) -> tuple[float, bool]:
        number = cast("float", value)
        if number != number:
            return 0, True
        inside = round(min(max(number, low), high))
        # 32767.4 rounds to what fits; only what does not is over range.
        return inside, not (low - 0.5 <= number < high + 0.5)

    return convert


def _clipping_float(value_type: FieldType) -> _Convert:
    codec = Struct("<" + value_type.code)
    largest = _F32_MAX if value_type is FieldType.F32 else _F64_MAX

    def convert(value: Value) -> tuple[float, bool]:
        number = cast("float", value)
        try:
            codec.pack(number)
        except OverflowError:
            return (largest if number > 0 else -largest), True
        return number, False

    return convert
