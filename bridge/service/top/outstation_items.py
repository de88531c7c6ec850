"""The outstations of a status as a list of the live view."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from rich.text import Text

from bridge.service.top.columns import Cell, Column
from bridge.service.top.items import Item, Listing, host_of, searched, total
from bridge.service.top.lamp import Lamp
from bridge.service.top.rates import Document, Rates
from bridge.service.views.outstation_tables import is_too_short, miss, too_short
from bridge.service.views.tables import EMPTY, milliseconds, per_second

_COLUMNS: Final = (
    # The others make room for this one: whose name is not known cannot be found in the field.
    Column("RTU", least=24, is_name=True),
    Column("LED"),
    Column("addr", is_number=True, left_out=3),
    Column("line", least=8, is_name=True, left_out=2),
    Column("master", least=9, is_name=True, left_out=5),
    Column("to/s", is_number=True),
    Column("from/s", is_number=True),
    Column("p50/p99 ms", is_number=True, left_out=1),
    Column("missed", is_number=True, left_out=4),
)
_TROUBLES: Final = {
    "silent": (7, "red"),
    "missing": (6, "yellow"),
    "noise": (5, "yellow"),
    "lost": (4, "yellow"),
    "off": (2, "dim"),
    "idle": (1, "green"),
    "answering": (0, "green"),
}
"""How bad the states of an LED are, and how their words look."""
_LINE_DOWN: Final = 3
"""Below what is wrong with one outstation alone: the line says what is wrong with all of its own."""
_DISABLED: Final = -1


def style_of(state: str) -> str:
    """Return the style of an LED's state in words."""
    return _TROUBLES.get(state, (1, ""))[1]


def listing(document: Document, rates: Rates) -> Listing:
    """Return the outstations."""
    lines = {line["name"]: line for line in document["lines"]}
    items = (_item(each, lines.get(each.get("line"), {}), rates) for each in document["outstations"])
    return Listing(_COLUMNS, tuple(items))


def _item(outstation: Mapping[str, Any], line: Mapping[str, Any], rates: Rates) -> Item:
    name, master = outstation["name"], outstation["master"]
    to_s, from_s = (
        rates.of(outstation, key, "outstations", name) for key in ("frames_from_master", "frames_to_master")
    )
    errors_s = rates.of(line, "crc_errors", "lines", line["name"]) if line else None
    times = (outstation.get("diagnosis") or {}).get("response_times") or {}
    trouble, style = _trouble(outstation, line)
    cells: tuple[Cell, ...] = (
        name if outstation["enabled"] else f"{name} (disabled)",
        Lamp.of(outstation["led"], style, total(to_s, from_s), errors_s or 0.0),
        str(outstation["link_address"]),
        # One in the bridge itself is on no line.
        outstation["line"] or "(local)",
        host_of(master),
        per_second(to_s),
        per_second(from_s),
        _times(times),
        _missed(outstation),
    )
    return Item(
        name=name,
        cells=cells,
        words=searched(name, str(outstation["link_address"]), outstation["line"], master),
        notes=tuple(_notes(outstation, line)),
        complaints=() if _is_down(line) else tuple(_complaints(outstation)),
        trouble=trouble,
        per_s=total(to_s, from_s),
        slow_s=times.get("p99_s") or 0.0,
    )


def _trouble(outstation: Mapping[str, Any], line: Mapping[str, Any]) -> tuple[int, str]:
    trouble, style = _TROUBLES.get(outstation["led"]["state"], (1, ""))
    if not outstation["enabled"]:
        return _DISABLED, style
    return (_LINE_DOWN if _is_down(line) else trouble), style


def _is_down(line: Mapping[str, Any]) -> bool:
    return bool(line) and not line["is_up"]


def _times(times: Mapping[str, Any]) -> str:
    return "/".join(milliseconds(times[key]) for key in ("p50_s", "p99_s")) if times else EMPTY


def _missed(outstation: Mapping[str, Any]) -> Text:
    diagnosis = outstation.get("diagnosis")
    if diagnosis is None:
        return Text(EMPTY)
    missed = diagnosis["requests"] - diagnosis["answers"]
    return Text(str(missed), style="" if outstation.get("is_answering") or not missed else "red")


def _notes(outstation: Mapping[str, Any], line: Mapping[str, Any]) -> Iterator[Text]:
    name, diagnosis = outstation["name"], outstation.get("diagnosis")
    if not outstation["enabled"]:
        yield Text(f"{name} is disabled in the configuration")
    elif _is_down(line):
        yield Text(f"{name}: its line {line['name']} is down", style="red")
    elif diagnosis is not None and diagnosis["last_miss"] is not None:
        yield miss(name, diagnosis["last_miss"])
    elif diagnosis is not None and diagnosis["requests"] > 0:
        yield Text(
            f"{name}: {diagnosis['answers']} answers to {diagnosis['requests']} requests, "
            f"the last after {milliseconds(outstation.get('last_response_s'))} ms"
        )
    elif outstation["master"] is None:
        yield Text(f"{name}: no master is connected")
    elif diagnosis is None:
        yield Text(f"{name}: its master is {outstation['master']}")
    else:
        yield Text(f"{name}: its master has asked nothing yet")
    if outstation.get("pre_emptions"):
        yield Text(f"{name}: {outstation['pre_emptions']} times a newer connection took over")
    yield from _advice(outstation)


def _complaints(outstation: Mapping[str, Any]) -> Iterator[Text]:
    diagnosis = outstation.get("diagnosis")
    if diagnosis is not None and diagnosis["last_miss"] is not None:
        last = diagnosis["last_miss"]
        if not last["answered_since"] or outstation["led"]["state"] in ("silent", "missing"):
            yield miss(outstation["name"], last)
    yield from _advice(outstation)


def _advice(outstation: Mapping[str, Any]) -> Iterator[Text]:
    diagnosis = outstation.get("diagnosis")
    if diagnosis is not None and is_too_short(diagnosis):
        yield too_short(outstation, diagnosis)
