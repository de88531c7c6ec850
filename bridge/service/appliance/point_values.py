"""From the status document to what the points say. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from bridge.application.measurement import Flags, PointKind, Value
from bridge.service.appliance.point_map import Block, MappedPoint

_COUNTS: Final = 1 << 32
_OFF: Final = Flags(0)


class Reading(NamedTuple):
    """What a point says now. `value` None: what it said before, with other flags."""

    point: tuple[PointKind, int]
    value: Value | None
    flags: Flags


def readings(block: Block, section: Mapping[str, Any]) -> Iterator[Reading]:
    """Yield what the points of a block say, of its section of the document; nothing for those that stay."""
    # What is disabled exists and is switched off: not online, and nothing is lost either.
    is_off = not section.get("enabled", True)
    for point in block.points:
        reading = Reading(point.point, None, _OFF) if is_off else _reading(point, section)
        if reading is not None:
            yield reading


def _reading(point: MappedPoint, section: Mapping[str, Any]) -> Reading | None:
    row = point.row
    if row.needs is not None and not section[row.needs]:
        return Reading(point.point, None, Flags.COMM_LOST)
    value = row.value(_find(section, point.path))
    if value is None:
        return None if row.unknown is None else Reading(point.point, None, row.unknown)
    if row.kind is PointKind.COUNTER:
        value = int(value) % _COUNTS
    return Reading(point.point, value, Flags.ONLINE)


def _find(section: Mapping[str, Any], path: Iterable[str]) -> Any:
    """Return what stands at a path such as diagnosis, timeouts; the whole section at an empty one."""
    found: Any = section
    for part in path:
        if found is None:
            return None
        found = found[part]
    return found
