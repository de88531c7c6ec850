"""Freezes that were ordered for later (FREEZE_AT_TIME with g50v2, IEEE 1815 clause 4.4.7)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from bridge.application.measurement import PointKind

_MOST_ORDERS = 32


@dataclass(frozen=True, slots=True)
class FreezeOrder:
    """Freeze these index ranges of a kind at `due_s`, then every `interval_s` if not 0."""

    kind: PointKind
    ranges: tuple[tuple[int, int], ...]
    due_s: float
    interval_s: float


class FreezeSchedule:
    """The orders that wait, in bounded number. A new order for the same points replaces the one before."""

    def __init__(self) -> None:
        self._orders: dict[tuple[PointKind, tuple[tuple[int, int], ...]], FreezeOrder] = {}

    def add(self, order: FreezeOrder) -> bool:
        """Take an order; False where too many wait already."""
        key = (order.kind, order.ranges)
        if key not in self._orders and len(self._orders) >= _MOST_ORDERS:
            return False
        self._orders[key] = order
        return True

    def due(self, now: float) -> Iterator[FreezeOrder]:
        """Yield the orders whose time has come, once each, and set the repeating ones anew."""
        for key, order in list(self._orders.items()):
            if now < order.due_s:
                continue
            if order.interval_s > 0:
                missed = int((now - order.due_s) // order.interval_s)
                self._orders[key] = replace(order, due_s=order.due_s + (missed + 1) * order.interval_s)
            else:
                del self._orders[key]
            yield order

    def next_deadline(self) -> float | None:
        """When `due` should be asked next, or None."""
        return min(order.due_s for order in self._orders.values()) if self._orders else None
