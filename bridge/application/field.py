"""The fields that objects are made of (IEEE 1815 annex A)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class FieldType(Enum):
    """How a field stands on the wire: its name in the standard's notation, its `struct` code and its bits."""

    U8 = ("u8", "B", 8)
    U16 = ("u16", "H", 16)
    U32 = ("u32", "I", 32)
    U48 = ("u48", "IH", 48)
    I16 = ("i16", "h", 16)
    I32 = ("i32", "i", 32)
    F32 = ("f32", "f", 32)
    F64 = ("f64", "d", 64)
    BIT = ("1 bit", "", 1)
    BIT_PAIR = ("2 bits", "", 2)
    STRING = ("octets", "", 0)
    """As many octets as the variation number says."""
    ATTRIBUTE = ("attribute", "", 0)
    """A type octet, a length octet and that many octets (annex A, group 0)."""

    def __init__(self, notation: str, code: str, bits: int) -> None:
        self.notation = notation
        self.code = code
        self.bits = bits


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an object."""

    name: str
    type: FieldType


FLAGS = Field("flags", FieldType.U8)
STATUS = Field("status", FieldType.U8)
U8 = Field("value", FieldType.U8)
U16 = Field("value", FieldType.U16)
U32 = Field("value", FieldType.U32)
I16 = Field("value", FieldType.I16)
I32 = Field("value", FieldType.I32)
F32 = Field("value", FieldType.F32)
F64 = Field("value", FieldType.F64)
BIT = Field("value", FieldType.BIT)
BIT_PAIR = Field("value", FieldType.BIT_PAIR)
STRING = Field("value", FieldType.STRING)
ATTRIBUTE = Field("value", FieldType.ATTRIBUTE)
TIME = Field("time", FieldType.U48)
RELATIVE_TIME = Field("time", FieldType.U16)
DELAY = Field("delay", FieldType.U16)
INTERVAL = Field("interval", FieldType.U32)
UNITS = Field("units", FieldType.U8)
CODE = Field("code", FieldType.U8)
COUNT = Field("count", FieldType.U8)
ON_TIME = Field("on_time", FieldType.U32)
OFF_TIME = Field("off_time", FieldType.U32)
