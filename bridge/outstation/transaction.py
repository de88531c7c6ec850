"""Changes of a database that happen together or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from types import TracebackType

from bridge.application.measurement import Measurement, PointKind
from bridge.errors import DuplicatePointError, PointError, UnknownPointError
from bridge.outstation.points import PointConfig
from bridge.outstation.store import PointStore
from bridge.outstation.table import check_index
from bridge.outstation.values import EventDetection, check_measurement, initial_measurement

_Key = tuple[PointKind, int]


@dataclass(frozen=True, slots=True)
class _Step:
    """One change: whether it needs the point to exist, whether it leaves one, and how it is done."""

    key: _Key
    needs_point: bool
    leaves_point: bool
    apply: Callable[[], bool | None]
    """Returns whether there is an event."""


class Transaction:
    """A list of changes, applied at the end of its `with` block; forgotten if the block raises.

    Everything is checked when it is asked for, with the same errors as the database's methods. Until the end
    nobody else sees anything of it, also where the block awaits something. If meanwhile somebody else added
    or removed a point that it needs, its end raises `UnknownPointError` or `DuplicatePointError`, and changes
    nothing.
    """

    def __init__(self, store: PointStore) -> None:
        self._store = store
        self._steps: list[_Step] = []
        self._pending: dict[_Key, Measurement | None] = {}
        """What the steps so far make of the points; None where they remove one."""
        self._is_over = False

    def __enter__(self) -> Transaction:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_over = True
        if kind is None:
            self._check_points()
            # Not any(): it would stop at the first event.
            events = sum(bool(step.apply()) for step in self._steps)
            self._store.tell(events > 0)

    def add(self, index: int, config: PointConfig, initial: Measurement | None = None) -> None:
        """As `Database.add`."""
        kind = config.kind
        check_index(kind, index)
        if self._exists((kind, index)):
            raise DuplicatePointError(f"{kind} {index} exists already")
        initial = initial or initial_measurement(kind)
        check_measurement(kind, index, initial)
        apply = partial(self._store.add, index, config, initial)
        self._append(_Step((kind, index), False, True, apply), initial)

    def remove(self, kind: PointKind, index: int) -> None:
        """As `Database.remove`."""
        self.get(kind, index)
        self._append(_Step((kind, index), True, False, partial(self._store.remove, kind, index)), None)

    def get(self, kind: PointKind, index: int) -> Measurement:
        """Return the point as it will be. Raises `UnknownPointError`."""
        if (kind, index) not in self._pending:
            return self._store.point(kind, index).measurement
        measurement = self._pending[kind, index]
        if measurement is None:
            raise UnknownPointError(f"there is no {kind} {index}")
        return measurement

    def update(
        self,
        kind: PointKind,
        index: int,
        measurement: Measurement,
        *,
        detect: EventDetection = EventDetection.DETECT,
        static: bool = True,
    ) -> None:
        """As `Database.update`."""
        current = self.get(kind, index)
        check_measurement(kind, index, measurement)
        apply = partial(self._store.update, kind, index, measurement, detect, static=static)
        self._append(_Step((kind, index), True, True, apply), measurement if static else current)

    def set_flags(
        self,
        kind: PointKind,
        index: int,
        flags: int,
        *,
        time_ms: int | None = None,
        detect: EventDetection = EventDetection.DETECT,
    ) -> None:
        """As `Database.set_flags`; the value is the one that the point has at the end."""
        pending = replace(self.get(kind, index), flags=flags, time_ms=time_ms)
        check_measurement(kind, index, pending)
        apply = partial(self._store.set_flags, kind, index, flags, time_ms, detect)
        self._append(_Step((kind, index), True, True, apply), pending)

    def _append(self, step: _Step, pending: Measurement | None) -> None:
        if self._is_over:
            raise PointError("the transaction is over: its changes would be lost")
        self._steps.append(step)
        self._pending[step.key] = pending

    def _exists(self, key: _Key) -> bool:
        return self._pending[key] is not None if key in self._pending else self._store.has(*key)

    def _check_points(self) -> None:
        """Raise for the first step that finds a point gone, or there already."""
        exists: dict[_Key, bool] = {}
        for step in self._steps:
            kind, index = step.key
            if exists.get(step.key, self._store.has(kind, index)) != step.needs_point:
                if step.needs_point:
                    raise UnknownPointError(f"there is no {kind} {index} any more")
                raise DuplicatePointError(f"{kind} {index} exists already")
            exists[step.key] = step.leaves_point
