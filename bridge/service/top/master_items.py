"""The servers of a status and the masters' sessions on them, as a list of the live view."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.text import Text

from bridge.service.top.columns import Cell, Column
from bridge.service.top.items import Item, Listing, searched, total
from bridge.service.top.rates import Document, Rates
from bridge.service.views.tables import EMPTY, counts, per_second

_COLUMNS: Final = (
    Column("server, master", least=23, is_name=True),
    Column("RTUs", is_number=True, left_out=1),
    Column("to/s", is_number=True),
    Column("from/s", is_number=True),
    Column("bad octets", is_number=True, left_out=2),
    Column("sessions ended, frames dropped", least=10, left_out=3),
)


def listing(document: Document, rates: Rates) -> Listing:
    """Return each server, and below it the masters that are connected to it."""
    return Listing(_COLUMNS, tuple(_items(document, rates)))


def _items(document: Document, rates: Rates) -> Iterator[Item]:
    for server in document["servers"]:
        served = [each for each in document["outstations"] if each["server"] == server["name"]]
        sessions = [_session(server, session, served, rates) for session in server["sessions"]]
        yield _server(server, served, sessions)
        yield from sessions


def _server(server: Mapping[str, Any], served: Sequence[Mapping[str, Any]], sessions: Sequence[Item]) -> Item:
    name, ends, drops = server["name"], server["session_ends"], server["drops"]
    cells: tuple[Cell, ...] = (
        Text(f"{name} {server['listen']}", style="" if server["sessions"] else "yellow"),
        str(len(served)),
        EMPTY,
        EMPTY,
        str(server.get("octets_discarded", 0)),
        _said(ends, drops),
    )
    note = f"{name} listens on {server['listen']}, {server['link_error_mode']} mode"
    note += f"; sessions ended: {counts(ends)}" if ends else ""
    note += f"; frames dropped: {counts(drops)}" if drops else ""
    peers = (session["peer"] for session in server["sessions"])
    words = searched(name, server["listen"], related=[*peers, *_related(served)])
    return Item(
        name=name,
        cells=cells,
        words=words,
        notes=(Text(note),),
        # However they are sorted, a server stands above its sessions.
        trouble=max((item.trouble for item in sessions), default=0),
        per_s=sum(item.per_s for item in sessions),
    )


def _session(
    server: Mapping[str, Any], session: Mapping[str, Any], served: Sequence[Mapping[str, Any]], rates: Rates
) -> Item:
    peer, drops = session["peer"], session.get("drops", {})
    where = ("servers", server["name"], peer)
    asked = [each for each in served if each["master"] == peer]
    to_s, from_s = (rates.of(session, key, *where) for key in ("frames_received", "frames_sent"))
    bad_s = rates.of(session, "octets_discarded", *where) or 0.0
    cells: tuple[Cell, ...] = (
        f"  {peer}",
        str(len(asked)),
        per_second(to_s),
        per_second(from_s),
        Text(str(session.get("octets_discarded", 0)), style="yellow" if bad_s else ""),
        _said({}, drops),
    )
    names = ", ".join(each["name"] for each in asked)
    note = f"{peer} on {server['name']}: {names or 'no RTU'}; frames dropped: {counts(drops)}"
    return Item(
        name=f"{server['name']} {peer}",
        cells=cells,
        words=searched(server["name"], peer, related=_related(asked)),
        notes=(Text(note),),
        trouble=int(bad_s > 0),
        per_s=total(to_s, from_s),
    )


def _related(outstations: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for each in outstations:
        yield each["name"]
        if each.get("line"):
            yield each["line"]


def _said(ends: Mapping[str, int], drops: Mapping[str, int]) -> str:
    said = [counts(ends)] if ends else []
    said += [f"dropped: {counts(drops)}"] if drops else []
    return "; ".join(said)
