"""How the lists share the rows of a screen: the one with the cursor gets what the others can do without."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from bridge.service.top.state import Part

_LEAST: Final = 3
"""As many items of a list are shown without the cursor: the worst, where they are sorted by trouble."""
_DISPENSABLE: Final = (Part.MASTERS, Part.LINES, Part.OUTSTATIONS)


class Share(NamedTuple):
    """What one list gets."""

    items: int = 0
    rows: int = 0
    """With the heading; 0 where it is not shown at all."""

    def first(self, total: int, cursor: int) -> int:
        """Return the first item that is shown, so that the cursor is in the middle where it can be."""
        return max(0, min(cursor - self.items // 2, total - self.items))


def share(wanted: Mapping[Part, int], cursor: Part, space: int) -> dict[Part, Share]:
    """Return what each list gets of so many rows, by how many items it has and which one has the cursor."""
    given = {part: min(items, _LEAST) for part, items in wanted.items() if items or part is cursor}
    for part in _DISPENSABLE:
        if _rows(given) > space and part is not cursor:
            given.pop(part, None)
    for part in (cursor, *wanted):
        if part in given:
            left = space - _rows(given)
            given[part] = max(0, min(wanted[part], given[part] + left))
    return {part: Share(given[part], 1 + given[part]) if part in given else Share() for part in wanted}


def _rows(given: Mapping[Part, int]) -> int:
    return len(given) + sum(given.values())
