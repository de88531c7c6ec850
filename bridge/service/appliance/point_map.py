"""Which point of the appliance's outstation is what, for a configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.application.measurement import PointKind
from bridge.service.appliance import point_rows
from bridge.service.appliance.point_layout import BLOCK, FIRST_LINE, FIRST_OUTSTATION
from bridge.service.appliance.point_row import PointRow, Section
from bridge.service.configuration.config import Configuration


@dataclass(frozen=True, slots=True)
class MappedPoint:
    """A row with its index. A counter has a frozen counter of the same index beside it."""

    row: PointRow
    index: int
    name: str
    point: tuple[PointKind, int]
    """The kind and the index."""
    path: tuple[str, ...]
    """The row's key, taken apart."""

    @property
    def kind(self) -> PointKind:
        """The kind of point."""
        return self.row.kind


def _mapped(row: PointRow, index: int, name: str) -> MappedPoint:
    return MappedPoint(row, index, name, (row.kind, index), tuple(row.key.split(".")) if row.key else ())


@dataclass(frozen=True, slots=True)
class Block:
    """The points of one thing: a line by its name, the appliance with an empty one."""

    section: Section
    name: str
    points: tuple[MappedPoint, ...]

    @property
    def title(self) -> str:
        """What it is called: "line bay1", "appliance"."""
        return f"{self.section} {self.name}".rstrip()


def blocks_of(configuration: Configuration) -> tuple[Block, ...]:
    """Return all points of a configuration, block by block."""
    return (
        _block(Section.APPLIANCE, "", 0, point_rows.APPLIANCE),
        *(
            _wired(Section.INPUT, contact.name, contact.point, point_rows.INPUT)
            for contact in configuration.inputs.values()
        ),
        *(
            _wired(Section.RELAY, relay.name, relay.point, point_rows.RELAY)
            for relay in configuration.relays.values()
        ),
        *(
            _block(Section.LINE, name, FIRST_LINE + BLOCK * place, point_rows.LINE)
            for place, name in enumerate(configuration.lines)
        ),
        *(
            _block(
                Section.OUTSTATION,
                outstation.name,
                FIRST_OUTSTATION + BLOCK * place,
                [row for row in point_rows.OUTSTATION if row.is_local or outstation.local is None],
            )
            for place, outstation in enumerate(configuration.outstations)
        ),
    )


def _block(section: Section, name: str, base: int, rows: Sequence[PointRow]) -> Block:
    title = f"{section} {name}".rstrip()
    return Block(
        section, name, tuple(_mapped(row, base + row.offset, f"{title}: {row.name}") for row in rows)
    )


def _wired(section: Section, name: str, index: int, row: PointRow) -> Block:
    return Block(section, name, (_mapped(row, index, f"{section} {name}"),))
