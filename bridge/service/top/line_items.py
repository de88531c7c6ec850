"""The lines of a status as a list of the live view."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

from rich.text import Text

from bridge.service.top.columns import Cell, Column
from bridge.service.top.items import Item, Listing, searched, total
from bridge.service.top.rates import Document, Rates
from bridge.service.views import line_tables
from bridge.service.views.tables import EMPTY, counts, per_second

T = TypeVar("T")

_COLUMNS: Final = (
    Column("line", least=16, is_name=True),
    Column("state"),
    Column("settings", left_out=3),
    Column("load", is_number=True),
    Column("to/s", is_number=True),
    Column("from/s", is_number=True),
    Column("bad CRC", is_number=True, left_out=1),
    Column("waiting", is_number=True, left_out=2),
    Column("device", least=8, is_name=True, left_out=4),
)
_LOAD: Final = 3
_FULL: Final = 0.9
"""A line with less time to spare than this keeps its masters waiting."""


def listing(document: Document, rates: Rates) -> Listing:
    """Return the lines. Without a column for their load, where the bridge does not measure that."""
    items = tuple(_item(document, line, rates) for line in document["lines"])
    if any("bus_load" in line for line in document["lines"]):
        return Listing(_COLUMNS, items)
    shorter = (replace(item, cells=_without_load(item.cells)) for item in items)
    return Listing(_without_load(_COLUMNS), tuple(shorter))


def _without_load(row: tuple[T, ...]) -> tuple[T, ...]:
    return (*row[:_LOAD], *row[_LOAD + 1 :])


def _item(document: Document, line: Mapping[str, Any], rates: Rates) -> Item:
    name = line["name"]
    outstations = [each for each in document["outstations"] if each.get("line") == name]
    to_s = _sent_per_s(line, outstations, rates)
    from_s = rates.of(line, "frames_heard", "lines", name)
    crc_s = rates.of(line, "crc_errors", "lines", name) or 0.0
    problems = tuple(line_tables.problems(line))
    cells: tuple[Cell, ...] = (
        name,
        line_tables.state(line),
        line["settings"],
        _load(line.get("bus_load")),
        per_second(to_s),
        per_second(from_s),
        Text(str(line["crc_errors"]), style="yellow" if crc_s else ""),
        str(line["waiting_frames"]),
        line["device"],
    )
    return Item(
        name=name,
        cells=cells,
        words=searched(name, line["device"], related=_related(outstations)),
        notes=problems or tuple(_notes(line)),
        complaints=problems,
        trouble=_trouble(line, is_noisy=crc_s > 0, has_problem=bool(problems)),
        per_s=total(to_s, from_s),
    )


def _sent_per_s(
    line: Mapping[str, Any], outstations: Sequence[Mapping[str, Any]], rates: Rates
) -> float | None:
    if "frames_sent" in line:
        return rates.of(line, "frames_sent", "lines", line["name"])
    # Of a bridge that counts it for each outstation only.
    sent = [rates.of(each, "frames_from_master", "outstations", each["name"]) for each in outstations]
    return total(*sent) if any(rate is not None for rate in sent) else None


def _related(outstations: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for each in outstations:
        yield each["name"]
        if each["master"]:
            yield each["master"]


def _load(share: float | None) -> Text:
    if share is None:
        return Text(EMPTY)
    return Text(f"{share:.0%}", style="yellow" if share >= _FULL else "")


def _trouble(line: Mapping[str, Any], *, is_noisy: bool, has_problem: bool) -> int:
    if not line["is_up"]:
        return 4
    if line.get("is_babbling"):
        return 3
    return 2 if has_problem else int(is_noisy or (line.get("bus_load") or 0.0) >= _FULL)


def _notes(line: Mapping[str, Any]) -> Iterator[Text]:
    said = [f"{line['name']}: {line['device']}"]
    lost, octets, drops = (line.get(key) for key in ("losses", "octets_discarded", "drops"))
    said += [f"lost {lost} times"] if lost else []
    said += [f"{octets} octets dropped"] if octets else []
    said += [f"frames dropped: {counts(drops)}"] if drops else []
    yield Text("; ".join(said))
