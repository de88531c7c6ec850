"""Device attributes: what an outstation says of itself (IEEE 1815 annex A, group 0)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bridge.application.attribute import Attribute, encode_attribute_list
from bridge.application.header import range_header
from bridge.application.objects import ALL_ATTRIBUTES, ATTRIBUTE_LIST

DEFAULT_SET = 0
_GROUP = 0
_LAST_ATTRIBUTE = 253


@dataclass(frozen=True, slots=True)
class AttributeEntry:
    """One attribute of a set; only writable ones can be written by a master."""

    attribute: Attribute
    is_writable: bool = False


class AttributeStore:
    """All attributes by set (0 is the standard's, others are private) and variation (1 to 253)."""

    def __init__(self, entries: Mapping[tuple[int, int], AttributeEntry] | None = None) -> None:
        self._entries = dict(entries or {})

    def define(
        self,
        variation: int,
        attribute: Attribute,
        *,
        attribute_set: int = DEFAULT_SET,
        writable: bool = False,
    ) -> None:
        """Add or replace an attribute. Raises `ValueError` for a variation outside 1 to 253."""
        if not 0 < variation <= _LAST_ATTRIBUTE:
            raise ValueError(f"attribute variation {variation}: use 1 to {_LAST_ATTRIBUTE}")
        attribute.encode()
        self._entries[attribute_set, variation] = AttributeEntry(attribute, writable)

    def get(self, variation: int, *, attribute_set: int = DEFAULT_SET) -> Attribute | None:
        """Return an attribute, or None."""
        entry = self._entries.get((attribute_set, variation))
        return entry.attribute if entry else None

    def is_writable(self, attribute_set: int, variation: int) -> bool:
        """Whether a master may write it."""
        entry = self._entries.get((attribute_set, variation))
        return entry is not None and entry.is_writable

    def takes(self, attribute: Attribute, attribute_set: int, variation: int) -> bool:
        """Whether a master may write this: of the type that is there, and such that it can be read again."""
        entry = self._entries.get((attribute_set, variation))
        if entry is None or not entry.is_writable or entry.attribute.type != attribute.type:
            return False
        try:
            attribute.encode()
        except ValueError:
            return False
        return True

    def sets(self) -> tuple[int, ...]:
        """Return the sets that have attributes, in order."""
        return tuple(sorted({attribute_set for attribute_set, _ in self._entries}))

    def read(self, attribute_set: int, variation: int) -> Iterator[bytes]:
        """Yield headers with objects: one attribute, all of a set (254), or the list of a set (255)."""
        variations = sorted(number for which, number in self._entries if which == attribute_set)
        if variation == ATTRIBUTE_LIST:
            if variations:
                listed = [(number, self.is_writable(attribute_set, number)) for number in variations]
                yield _object(attribute_set, variation, encode_attribute_list(listed))
            return
        for number in variations:
            if variation in (number, ALL_ATTRIBUTES):
                yield _object(attribute_set, number, self._entries[attribute_set, number].attribute.encode())


def _object(attribute_set: int, variation: int, octets: bytes) -> bytes:
    return range_header(_GROUP, variation, attribute_set, attribute_set) + octets
