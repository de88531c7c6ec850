"""Freezes: at once, and ordered for later (FREEZE_AT_TIME with g50v2, IEEE 1815 clause 4.4.7)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from bridge.application.function import Function, Iin
from bridge.application.measurement import PointKind
from bridge.application.qualifier import Qualifier
from bridge.application.request import Request
from bridge.application.variation import Role
from bridge.outstation.answer import Answer, Working
from bridge.outstation.control import call
from bridge.outstation.database import Database
from bridge.outstation.handlers import FreezeType, OutstationApplication
from bridge.outstation.ranges import has_all, ranges_of

_MOST_ORDERS = 32
_FREEZABLE = frozenset({PointKind.COUNTER, PointKind.ANALOG_INPUT})
_IS_CLEAR = frozenset({Function.FREEZE_CLEAR, Function.FREEZE_CLEAR_NR})


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


class Freezes:
    """Carries out freezes on one outstation's data, for which its user is asked first."""

    def __init__(
        self, database: Database, application: OutstationApplication, utc_ms: Callable[[], int]
    ) -> None:
        self._database = database
        self._application = application
        self._utc_ms = utc_ms
        self._schedule = FreezeSchedule()

    def next_deadline(self) -> float | None:
        """When `do_due` should be called, or None."""
        return self._schedule.next_deadline()

    def freeze(self, request: Request) -> Working:
        """Carry out IMMED_FREEZE or FREEZE_CLEAR, without response or with one."""
        freeze_type = FreezeType.CLEAR if request.function in _IS_CLEAR else FreezeType.IMMEDIATE
        iin = request.iin
        for header in request.headers:
            kind = header.row.kind if header.row is not None else None
            if kind not in _FREEZABLE or (freeze_type is FreezeType.CLEAR and kind is not PointKind.COUNTER):
                iin |= Iin.OBJECT_UNKNOWN
                continue
            for start, stop in ranges_of(header):
                first, last = (None, None) if header.qualifier is Qualifier.ALL else (start, stop)
                if not (yield from call(self._application.freeze(kind, first, last, freeze_type))):
                    iin |= Iin.PARAMETER_ERROR
                    continue
                if header.qualifier is not Qualifier.ALL and not has_all(self._database, kind, start, stop):
                    iin |= Iin.PARAMETER_ERROR
                self._freeze_now(kind, start, stop, clear=freeze_type is FreezeType.CLEAR)
        return Answer(iin=iin)

    def freeze_at_time(self, request: Request, now: float) -> Working:
        """Carry out FREEZE_AT_TIME: take each order, and do at once what is due already."""
        yield from ()
        when: tuple[int, int] | None = None
        iin = Iin(0)
        for header in request.headers:
            row = header.row
            assert row is not None
            if row.role is Role.FREEZE_TIME:
                times = [row.unpack(octets) for _, octets in header.items()]
                if len(times) != 1:
                    return Answer(iin=Iin.PARAMETER_ERROR)
                when = (int(times[0]["time"]), int(times[0]["interval"]))
                continue
            if when is None or row.kind is None:
                return Answer(iin=Iin.PARAMETER_ERROR)
            at_ms, interval_ms = when
            delay_s = max(0, at_ms - self._utc_ms()) / 1000 if at_ms else 0.0
            ranges = tuple(ranges_of(header))
            is_there = header.qualifier is Qualifier.ALL or all(
                has_all(self._database, row.kind, start, stop) for start, stop in ranges
            )
            order = FreezeOrder(row.kind, ranges, now + delay_s, interval_ms / 1000)
            is_taken = not ranges or self._schedule.add(order)
            if not is_there or not is_taken:
                iin |= Iin.PARAMETER_ERROR
        self.do_due(now)
        return Answer(iin=iin)

    def do_due(self, now: float) -> None:
        """Freeze what was ordered for a time that has come."""
        for order in self._schedule.due(now):
            for start, stop in order.ranges:
                self._freeze_now(order.kind, start, stop, clear=False)

    def _freeze_now(self, kind: PointKind, start: int, stop: int, *, clear: bool) -> None:
        self._database.freeze(kind, start, stop, clear=clear, time_ms=self._utc_ms())
