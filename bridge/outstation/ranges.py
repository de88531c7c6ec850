"""The points that an object header names."""

from __future__ import annotations

from bridge.application.header import ObjectHeader
from bridge.application.measurement import PointKind
from bridge.application.qualifier import RANGES, Qualifier
from bridge.outstation.database import Database

_LAST_INDEX = 0xFFFF


def ranges_of(header: ObjectHeader) -> list[tuple[int, int]]:
    """Return the index ranges that a header names: none for a count of 0."""
    if header.qualifier is Qualifier.ALL:
        return [(0, _LAST_INDEX)]
    if header.qualifier in RANGES:
        assert header.start is not None
        assert header.stop is not None
        return [(header.start, header.stop)]
    return [(index, index) for index, _ in header.items() if index is not None]


def has_all(database: Database, kind: PointKind, start: int, stop: int) -> bool:
    """Whether a range begins and ends with a point, as a READ judges it too."""
    indices = database.indices(kind, start, stop)
    return bool(indices) and (indices[0], indices[-1]) == (start, stop)
