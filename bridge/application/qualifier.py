"""Qualifier octets of object headers (IEEE 1815 clause 4.2.2.7.3)."""

from __future__ import annotations

from enum import IntEnum


class Qualifier(IntEnum):
    """Object prefix in the high, range specifier in the low nibble: the combinations in use."""

    RANGE_8 = 0x00
    """One-octet start and stop."""
    RANGE_16 = 0x01
    ALL = 0x06
    """No range: every object."""
    COUNT_8 = 0x07
    """One-octet count, no indices."""
    COUNT_16 = 0x08
    PREFIXED_8 = 0x17
    """One-octet count, a one-octet index before each object."""
    PREFIXED_16 = 0x28
    FREE_FORMAT = 0x5B
    """A count of 1, a two-octet size, the object."""

    @classmethod
    def of(cls, octet: int) -> Qualifier | int:
        """Return the qualifier of an octet, or the octet itself where it is none of ours."""
        return _QUALIFIERS.get(octet, octet)


_QUALIFIERS = {int(qualifier): qualifier for qualifier in Qualifier}

RANGES = frozenset({Qualifier.RANGE_8, Qualifier.RANGE_16})
COUNTS = frozenset({Qualifier.COUNT_8, Qualifier.COUNT_16})
PREFIXES = frozenset({Qualifier.PREFIXED_8, Qualifier.PREFIXED_16})

FIELD_OCTETS = {
    Qualifier.RANGE_8: 1,
    Qualifier.RANGE_16: 2,
    Qualifier.ALL: 0,
    Qualifier.COUNT_8: 1,
    Qualifier.COUNT_16: 2,
    Qualifier.PREFIXED_8: 1,
    Qualifier.PREFIXED_16: 2,
    Qualifier.FREE_FORMAT: 1,
}
"""Octets of each number in the range field, and of a prefix."""
