"""All about one line, outstation or master: the tables of `rtu-bridge status`, and every counter there is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.text import Text

from bridge.service.top.columns import Row, line
from bridge.service.top.site import Site, only
from bridge.service.top.state import Part
from bridge.service.views.panel import sections
from bridge.service.views.tables import build, name

_HEIGHT = 1 << 16
"""No screen is as high; nothing is cut off."""


def text(site: Site, part: Part, item: str, width: int) -> list[Row]:
    """Return everything that is known of an item, line by line."""
    document, counted = only(site, part, item)
    parts: list[RenderableType] = []
    # What an outstation's first table says stands above, as a row of the list.
    for section in list(sections(document))[part is Part.OUTSTATIONS :]:
        parts += ["", *section]
    parts += ["", build((name("key of the status"), name("value")), _values(counted))]
    return _rendered(parts, width)


def _rendered(parts: Iterable[RenderableType], width: int) -> list[Row]:
    """Return what rich prints, line by line."""
    console = Console(width=width, height=_HEIGHT, markup=False, emoji=False, highlight=False)
    lines = console.render_lines(Group(*parts), console.options.update(width=width), pad=False)
    return [
        line(Text.assemble(*((piece.text, piece.style or "") for piece in pieces)), width) for pieces in lines
    ]


def _values(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _values(each, (*path, str(key)))
    elif isinstance(value, list):
        for at, each in enumerate(value):
            yield from _values(each, (*path, str(at)))
    else:
        yield ".".join(path), "none" if value is None else str(value)
