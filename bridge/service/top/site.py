"""A status document, and an earlier one, as what the live view shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from rich.text import Text

from bridge.service.top import line_items, master_items, outstation_items
from bridge.service.top.items import Listing
from bridge.service.top.lamp import Lamp
from bridge.service.top.rates import Document, Rates
from bridge.service.top.state import Part
from bridge.service.views.panel import readable
from bridge.service.views.tables import duration

_LISTINGS: Final[dict[Part, Callable[[Document, Rates], Listing]]] = {
    Part.LINES: line_items.listing,
    Part.OUTSTATIONS: outstation_items.listing,
    Part.MASTERS: master_items.listing,
}
_WORST_FIRST: Final = ("silent", "missing", "noise", "lost", "off", "idle", "answering")


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """What a bridge said of itself."""

    document: Document
    title: str
    configuration: str
    heart: Lamp | None
    summary: Text
    lists: Mapping[Part, Listing]


def read(document: Document, earlier: Document | None) -> Site:
    """Return what there is to show. ValueError where the document is no status of this program."""
    try:
        site = _read(document, earlier)
        readable(document)
        for listing in site.lists.values():
            listing.check()
    except Exception as error:
        # Any: whoever answered may have put every type and depth of JSON everywhere.
        raise ValueError("what it answers is no status of this program") from error
    return site


def _read(document: Document, earlier: Document | None) -> Site:
    rates = Rates(document, earlier)
    title = f"rtu-bridge {document['version']}, up {duration(document['uptime_s'])}"
    led = document.get("system_led")
    lists = {part: listing(document, rates) for part, listing in _LISTINGS.items()}
    heart = None if led is None else Lamp.of(led, "", 0.0, 0.0)
    if heart is not None:
        heart.at(0.0)
    return Site(document, title, str(document["configuration"]), heart, _summary(document), lists)


def _summary(document: Document) -> Text:
    lines, outstations = document["lines"], document["outstations"]
    down = sum(not line["is_up"] for line in lines)
    masters = sum(len(server["sessions"]) for server in document["servers"])
    summary = Text(_some(len(lines), "line"))
    if down:
        summary.append(f", {down} down", style="red")
    summary.append(f"; {_some(masters, 'master')}")
    summary.append(f"; {_some(len(outstations), 'RTU')}")
    enabled = [each for each in outstations if each["enabled"]]
    states = Counter(each["led"]["state"] for each in enabled)
    states["disabled"] = len(outstations) - len(enabled)
    for state in (*_WORST_FIRST, *(state for state in states if state not in _WORST_FIRST)):
        if states[state]:
            style = outstation_items.style_of(state)
            summary.append(", ").append(f"{states[state]} {state}", style=style)
    return summary


def _some(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def only(site: Site, part: Part, name: str) -> tuple[Document, Mapping[str, Any]]:
    """Return the status of one item alone, with all that belongs to it, and the item itself."""
    return _ONLY[part](site.document, name)


def _only_line(document: Document, name: str) -> tuple[Document, Mapping[str, Any]]:
    (line,) = (each for each in document["lines"] if each["name"] == name)
    outstations = [each for each in document["outstations"] if each.get("line") == name]
    return {**document, "lines": [line], "outstations": outstations, "servers": []}, line


def _only_outstation(document: Document, name: str) -> tuple[Document, Mapping[str, Any]]:
    (outstation,) = (each for each in document["outstations"] if each["name"] == name)
    lines = [each for each in document["lines"] if each["name"] == outstation.get("line")]
    servers = [
        {**each, "sessions": [one for one in each["sessions"] if one["peer"] == outstation["master"]]}
        for each in document["servers"]
        if each["name"] == outstation["server"]
    ]
    return {**document, "lines": lines, "outstations": [outstation], "servers": servers}, outstation


def _only_master(document: Document, name: str) -> tuple[Document, Mapping[str, Any]]:
    counted = {server["name"]: server for server in document["servers"]}
    for server in document["servers"]:
        counted |= {f"{server['name']} {session['peer']}": session for session in server["sessions"]}
    one = counted[name]
    servers = [each for each in document["servers"] if name == each["name"] or one in each["sessions"]]
    outstations = [
        each
        for each in document["outstations"]
        if each["server"] == servers[0]["name"] and one.get("peer", each["master"]) == each["master"]
    ]
    return {**document, "lines": [], "outstations": outstations, "servers": servers}, one


_ONLY: Final[dict[Part, Callable[[Document, str], tuple[Document, Mapping[str, Any]]]]] = {
    Part.LINES: _only_line,
    Part.OUTSTATIONS: _only_outstation,
    Part.MASTERS: _only_master,
}
