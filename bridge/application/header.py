"""Object headers (IEEE 1815 clause 4.2.2.7)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bridge.application.codec import unpack_bits
from bridge.application.objects import lookup
from bridge.application.qualifier import COUNTS, FIELD_OCTETS, PREFIXES, RANGES, Qualifier
from bridge.application.variation import Variation

RANGE_8_OCTETS = 5
RANGE_16_OCTETS = 7


@dataclass(frozen=True, slots=True)
class ObjectHeader:
    """One object header with the octets of its objects.

    `start` and `stop` are set for ranges, both inclusive; `count` for all qualifiers but ALL, ranges too.
    `objects` is what follows the header, prefixes included: only prefixes where a request carries no objects.
    """

    group: int
    variation: int
    qualifier: Qualifier
    start: int | None = None
    stop: int | None = None
    count: int | None = None
    objects: bytes = b""

    @property
    def row(self) -> Variation | None:
        """The object's row of the table; never None in a request from `parse_request`."""
        return lookup(self.group, self.variation)

    def items(self) -> Iterator[tuple[int | None, bytes]]:
        """Yield index and octets of each object; the index is None where the qualifier gives none.

        A packed object is one octet with its value. Objects that a request does not carry are empty.
        """
        qualifier = self.qualifier
        if qualifier in RANGES:
            assert self.start is not None
            yield from enumerate(self._values(), self.start)
        elif qualifier in COUNTS:
            yield from ((None, octets) for octets in self._values())
        elif qualifier in PREFIXES:
            yield from self._prefixed()
        elif qualifier is Qualifier.FREE_FORMAT:
            yield None, self.objects

    def _values(self) -> Iterator[bytes]:
        row = self.row
        count = self.count or 0
        if row is None or not self.objects:
            yield from (b"" for _ in range(count))
        elif row.is_packed:
            yield from (bytes((value,)) for value in unpack_bits(self.objects, count, row.bits))
        else:
            at = 0
            for _ in range(count):
                end = at + object_octets(row, self.objects, at)
                yield self.objects[at:end]
                at = end

    def _prefixed(self) -> Iterator[tuple[int, bytes]]:
        row = self.row
        prefix = FIELD_OCTETS[self.qualifier]
        is_bare = row is None or len(self.objects) == prefix * (self.count or 0)
        at = 0
        for _ in range(self.count or 0):
            body = at + prefix
            end = body if is_bare or row is None else body + object_octets(row, self.objects, body)
            yield int.from_bytes(self.objects[at:body], "little"), self.objects[body:end]
            at = end

    @property
    def octets(self) -> bytes:
        """The header and its objects as they stand on the wire."""
        width = FIELD_OCTETS[self.qualifier]
        head = bytes((self.group, self.variation, self.qualifier))
        if self.qualifier in RANGES:
            assert self.start is not None
            assert self.stop is not None
            head += self.start.to_bytes(width, "little") + self.stop.to_bytes(width, "little")
        elif self.count is not None:
            head += self.count.to_bytes(width, "little")
        if self.qualifier is Qualifier.FREE_FORMAT:
            head += len(self.objects).to_bytes(2, "little")
        return head + self.objects


def object_octets(row: Variation, octets: bytes, at: int) -> int:
    """Return how long the object at `at` is; over the end of `octets` when it is cut short."""
    if row.is_self_sized:
        # Type, length, value (annex A, group 0): what is missing counts as one octet too many.
        return 2 + (octets[at + 1] if at + 1 < len(octets) else 0)
    return (row.bits + 7) // 8


def range_header(group: int, variation: int, start: int, stop: int) -> bytes:
    """Encode a start-stop header: 0x00 while both fit one octet, else 0x01."""
    if stop <= 0xFF:
        return bytes((group, variation, Qualifier.RANGE_8, start, stop))
    head = bytes((group, variation, Qualifier.RANGE_16))
    return head + start.to_bytes(2, "little") + stop.to_bytes(2, "little")


def count_header(group: int, variation: int, count: int) -> bytes:
    """Encode a count header: 0x07 while it fits one octet, else 0x08."""
    qualifier = Qualifier.COUNT_8 if count <= 0xFF else Qualifier.COUNT_16
    return bytes((group, variation, qualifier)) + count.to_bytes(FIELD_OCTETS[qualifier], "little")


def prefixed_header(group: int, variation: int, count: int, *, is_wide: bool) -> bytes:
    """Encode the header of indexed objects: 0x28 with two-octet count and indices if `is_wide`, else 0x17."""
    qualifier = Qualifier.PREFIXED_16 if is_wide else Qualifier.PREFIXED_8
    return bytes((group, variation, qualifier)) + count.to_bytes(FIELD_OCTETS[qualifier], "little")


def all_objects_header(group: int, variation: int) -> bytes:
    """Encode a header for all objects, 0x06."""
    return bytes((group, variation, Qualifier.ALL))
