"""Device attributes (IEEE 1815 annex A, group 0): a type octet, a length octet, the value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from struct import pack, unpack

AttributeValue = str | int | float | bytes

_LONGEST_VALUE = 0xFF
_EXTENDED = 0x100
_WRITABLE = 0x01


class AttributeType(IntEnum):
    """Data types of attribute values."""

    VSTR = 1
    """Visible string."""
    UINT = 2
    INT = 3
    FLT = 4
    OSTR = 5
    """Octet string."""
    BSTR = 6
    """Bit string, kept as its octets."""
    TIME = 7
    """48-bit ms since 1970."""

    @classmethod
    def of(cls, octet: int) -> AttributeType | int:
        """Return the type of an octet, or the octet itself where it is none of these."""
        return _TYPES.get(octet, octet)


_PARSED = frozenset(
    {AttributeType.VSTR, AttributeType.UINT, AttributeType.INT, AttributeType.FLT, AttributeType.TIME}
)
_TYPES = {int(each): each for each in AttributeType}
_LIST = 254
_EXTENDED_LIST = 255


@dataclass(frozen=True, slots=True)
class Attribute:
    """A value with its type; an unknown type keeps its number, its value stays octets."""

    type: AttributeType | int
    value: AttributeValue

    @classmethod
    def decode(cls, octets: bytes) -> Attribute | None:
        """Take one object apart, as `ObjectHeader.items` gives it; None if value and type contradict."""
        if len(octets) < 2 or len(octets) != 2 + octets[1]:
            return None
        kind = AttributeType.of(octets[0])
        value = _decode_value(kind, octets[2:])
        return None if value is None else cls(kind, value)

    def encode(self) -> bytes:
        """Return the object. Raises `ValueError` for a value that its type or 255 octets cannot hold."""
        octets = _encode_value(self.type, self.value)
        if len(octets) > _LONGEST_VALUE:
            raise ValueError(f"an attribute of {len(octets)} octets; {_LONGEST_VALUE} is the most")
        return bytes((self.type, len(octets))) + octets


def encode_attribute_list(variations: Iterable[tuple[int, bool]]) -> bytes:
    """Encode g0v255: each variation of a set with whether it can be written."""
    octets = b"".join(bytes((number, _WRITABLE if writable else 0)) for number, writable in variations)
    if len(octets) <= _LONGEST_VALUE:
        return bytes((_LIST, len(octets))) + octets
    # The extended list counts from 256 on; its 255 pairs are the most there can be.
    return bytes((_EXTENDED_LIST, len(octets) - _EXTENDED)) + octets


def _decode_value(kind: AttributeType | int, octets: bytes) -> AttributeValue | None:
    match kind:
        case AttributeType.VSTR:
            return octets.decode("utf-8", "replace")
        case AttributeType.UINT:
            return int.from_bytes(octets, "little") if octets else None
        case AttributeType.INT:
            return int.from_bytes(octets, "little", signed=True) if octets else None
        case AttributeType.FLT:
            code = {4: "<f", 8: "<d"}.get(len(octets))
            return None if code is None else float(unpack(code, octets)[0])
        case AttributeType.TIME:
            return int.from_bytes(octets, "little") if len(octets) == 6 else None
        case _:
            return octets


def _encode_value(kind: AttributeType | int, value: AttributeValue) -> bytes:
    match kind, value:
        case AttributeType.VSTR, str():
            return value.encode()
        case AttributeType.UINT, int():
            return _shortest(value, signed=False)
        case AttributeType.INT, int():
            return _shortest(value, signed=True)
        case AttributeType.FLT, int() | float():
            return _float(value)
        case AttributeType.TIME, int() if 0 <= value < 1 << 48:
            return value.to_bytes(6, "little")
        case _, bytes() if kind not in _PARSED:
            return value
    raise ValueError(f"{value!r} is no value of attribute type {kind!r}")


def _shortest(value: int, *, signed: bool) -> bytes:
    """Return an integer in the fewest of 1, 2, 4 or 8 octets."""
    for size in (1, 2, 4, 8):
        try:
            return value.to_bytes(size, "little", signed=signed)
        except OverflowError:
            continue
    raise ValueError(f"{value} does not fit an attribute")


def _float(value: float) -> bytes:
    """Return a float in four octets where that loses nothing, else in eight."""
    try:
        short = pack("<f", value)
    except OverflowError:
        return pack("<d", value)
    is_exact = unpack("<f", short)[0] == value or value != value
    return short if is_exact else pack("<d", value)
