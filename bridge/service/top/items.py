"""What the lists of the live view are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from rich.text import Text

from bridge.service.top.columns import Cell, Column, Layout, Window
from bridge.service.top.state import Order
from bridge.service.views.tables import EMPTY

_ANY_WIDTH: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A row of a list, and what else there is to say about it."""

    name: str
    """Its own in its list."""
    cells: tuple[Cell, ...]
    words: str
    """What a filter looks at: also the names of what belongs to it."""
    notes: tuple[Text, ...] = ()
    """What is said about it while it is under the cursor."""
    complaints: tuple[Text, ...] = ()
    """What is said about it in any case, for it is wrong now."""
    trouble: int = 0
    """How bad it is; 0: nothing is wrong."""
    per_s: float = 0.0
    """Frames a second, both ways."""
    slow_s: float = 0.0
    """How long answers take at worst."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A list: its columns, and its items in the order of the status."""

    columns: tuple[Column, ...]
    items: tuple[Item, ...]

    def picked(self, order: Order, words: str) -> tuple[Item, ...]:
        """Return the items that a filter leaves, sorted. Equal ones stay in the order of the status."""
        wanted = words.casefold()
        found = (item for item in self.items if wanted in item.words.casefold())
        return tuple(sorted(found, key=_KEYS[order]))

    def check(self) -> None:
        """Raise what showing one of its items would raise."""
        rows = [item.cells for item in self.items]
        layout = Layout(self.columns, rows, _ANY_WIDTH)
        for row in rows:
            for piece in layout.row(row):
                if isinstance(piece, Window):
                    piece.at(0.0)


_KEYS: Final[dict[Order, Callable[[Item], Any]]] = {
    Order.TROUBLE: lambda item: -item.trouble,
    Order.NAME: lambda item: item.name.casefold(),
    Order.BUSY: lambda item: -item.per_s,
    Order.SLOW: lambda item: -item.slow_s,
}


def host_of(peer: str | None) -> str:
    """Return the address of a peer without its port."""
    return EMPTY if peer is None else peer.rpartition(":")[0].strip("[]")


def searched(*words: str | None, related: Iterable[str] = ()) -> str:
    """Return what a filter looks at; no filter finds two of them at once."""
    return "\n".join([*(word for word in words if word), *related])


def total(*rates: float | None) -> float:
    """Return the sum of the rates that are known."""
    return sum(rate for rate in rates if rate is not None)
