"""The points of one kind, and the runs of them that a read returns.

A run is what one object header with a start-stop range can carry: points without a gap, all in one variation.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import NamedTuple

from bridge.application.measurement import Flags, Measurement, PointKind
from bridge.errors import DuplicatePointError, PointConfigError, UnknownPointError
from bridge.outstation.points import DEADBAND_OBJECTS, LAST_INDEX, STATIC_OBJECTS, AnalogInput, PointConfig

_PACKED, _WITH_FLAGS = 1, 2
_HAS_PACKED = frozenset({PointKind.BINARY_INPUT, PointKind.DOUBLE_BIT_INPUT, PointKind.BINARY_OUTPUT})


class Run(NamedTuple):
    """Points of consecutive indices in one variation, as one object header reports them.

    The `variation` of group 110 is the length of each value. Runs of g34 have the deadbands as values.
    """

    group: int
    variation: int
    start: int
    measurements: tuple[Measurement, ...]

    @property
    def stop(self) -> int:
        """The last index, included."""
        return self.start + len(self.measurements) - 1


class Point:
    """One point's state."""

    __slots__ = ("config", "deadband", "measurement", "reported")

    def __init__(self, config: PointConfig, measurement: Measurement) -> None:
        self.configure(config)
        self.measurement = measurement
        self.reported = measurement
        """What the last event said, or would have said of a point without a class."""

    def configure(self, config: PointConfig) -> None:
        """Set it up anew."""
        self.config = config
        self.deadband: float = getattr(config, "deadband", 0.0)


class _Span(NamedTuple):
    """Points of consecutive indices and one variation; 0 where the read will name it."""

    start: int
    variation: int
    points: list[Point]


class PointTable:
    """The points of one kind by index. Reads are prepared, and kept until a change that they could see."""

    __slots__ = ("_class_0", "_class_0_spans", "_gapless", "_indices", "_runs", "_spans", "kind", "points")

    _indices: tuple[int, ...] | None
    _gapless: list[_Span] | None
    _spans: list[_Span] | None
    _class_0_spans: list[_Span] | None
    _runs: tuple[Run, ...] | None
    _class_0: tuple[Run, ...] | None

    def __init__(self, kind: PointKind) -> None:
        self.kind = kind
        self.points: dict[int, Point] = {}
        self._reshaped()

    def point(self, index: int) -> Point:
        """Return a point; raises `UnknownPointError`."""
        point = self.points.get(index)
        if point is None:
            raise UnknownPointError(f"there is no {self.kind} {index}")
        return point

    def add(self, index: int, point: Point) -> None:
        """Take a new point.

        Raises `DuplicatePointError`, and `PointConfigError` for an index out of range.
        """
        check_index(self.kind, index)
        if index in self.points:
            raise DuplicatePointError(f"{self.kind} {index} exists already")
        self.points[index] = point
        self._reshaped()

    def remove(self, index: int) -> None:
        """Forget a point; raises `UnknownPointError`."""
        self.point(index)
        del self.points[index]
        self._reshaped()

    def changed(self) -> None:
        """Forget what was prepared for reads: a measurement changed."""
        self._runs = None
        self._class_0 = None

    def indices(self, start: int = 0, stop: int = LAST_INDEX) -> tuple[int, ...]:
        """Return the indices of a range, both ends included, in order."""
        if self._indices is None:
            self._indices = tuple(sorted(self.points))
        indices = self._indices
        return indices[bisect_left(indices, start) : bisect_right(indices, stop)]

    def runs(self, start: int, stop: int, variation: int | None) -> tuple[Run, ...]:
        """Return the points of a range; `variation` None leaves each in its configured one."""
        if variation is not None:
            if self._gapless is None:
                self._gapless = self._spans_of(self.indices(), lambda point: 0)
            spans = _clipped(self._gapless, start, stop)
            return self._runs_of(span._replace(variation=variation) for span in spans)
        if self._spans is None:
            self._spans = self._spans_of(self.indices(), _static_variation)
        if start > 0 or stop < LAST_INDEX:
            return self._runs_of(_clipped(self._spans, start, stop))
        if self._runs is None:
            self._runs = self._runs_of(self._spans)
        return self._runs

    def class_0(self) -> tuple[Run, ...]:
        """Return the points of class 0 in their configured variations."""
        if self._class_0_spans is None:
            members = [index for index in self.indices() if self.points[index].config.in_class_0]
            self._class_0_spans = self._spans_of(members, _static_variation)
        if self._class_0 is None:
            self._class_0 = self._runs_of(self._class_0_spans)
        return self._class_0

    def deadband_runs(self, start: int, stop: int, variation: int | None) -> tuple[Run, ...]:
        """Return the deadbands of a range, as g34 reports them."""
        variation_of = _deadband_variation if variation is None else lambda point: variation
        return tuple(
            Run(DEADBAND_OBJECTS.group, span.variation, span.start, tuple(map(_deadband, span.points)))
            for span in self._spans_of(self.indices(start, stop), variation_of)
        )

    def _reshaped(self) -> None:
        """Forget everything derived: points came or went."""
        self._indices = None
        self._gapless = self._spans = self._class_0_spans = None
        self.changed()

    def _spans_of(self, indices: Sequence[int], variation_of: Callable[[Point], int]) -> list[_Span]:
        """Group points without gaps and of one variation."""
        spans: list[_Span] = []
        expected = -1
        for index in indices:
            point = self.points[index]
            variation = variation_of(point)
            if index != expected or variation != spans[-1].variation:
                spans.append(_Span(index, variation, []))
            spans[-1].points.append(point)
            expected = index + 1
        return spans

    def _runs_of(self, spans: Iterable[_Span]) -> tuple[Run, ...]:
        group = STATIC_OBJECTS[self.kind].group
        runs: list[Run] = []
        for span in spans:
            run = Run(group, span.variation, span.start, tuple([point.measurement for point in span.points]))
            if self.kind is PointKind.OCTET_STRING:
                runs += _split(run, _length)
            elif span.variation == _PACKED and self.kind in _HAS_PACKED:
                runs += _split(run, _packed_or_with_flags)
            else:
                runs.append(run)
        return tuple(runs)


def check_index(kind: PointKind, index: int) -> None:
    """Raise `PointConfigError` unless 16 bits can carry the index."""
    if not 0 <= index <= LAST_INDEX:
        raise PointConfigError(f"{kind} {index}: use an index of 0 to {LAST_INDEX}")


def _clipped(spans: list[_Span], start: int, stop: int) -> Iterator[_Span]:
    """Yield the parts of the spans that lie in a range, both ends included."""
    first = max(bisect_right(spans, start, key=_start) - 1, 0)
    for span in islice(spans, first, None):
        if span.start > stop:
            return
        points = span.points[max(start - span.start, 0) : stop - span.start + 1]
        if points:
            yield _Span(max(start, span.start), span.variation, points)


def _split(run: Run, variation_of: Callable[[Measurement], int]) -> Iterator[Run]:
    """Cut a run where the variation depends on what the points hold."""
    start = run.start
    for variation, equal in groupby(run.measurements, variation_of):
        part = Run(run.group, variation, start, tuple(equal))
        yield part
        start = part.stop + 1


def _length(measurement: Measurement) -> int:
    assert isinstance(measurement.value, bytes)
    return len(measurement.value)


def _packed_or_with_flags(measurement: Measurement) -> int:
    # A packed bit means a point that is online and nothing else; any other flags have to be said.
    return _PACKED if measurement.flags == Flags.ONLINE else _WITH_FLAGS


def _start(span: _Span) -> int:
    return span.start


def _static_variation(point: Point) -> int:
    return point.config.static_variation


def _deadband_variation(point: Point) -> int:
    assert isinstance(point.config, AnalogInput)
    return point.config.deadband_variation


def _deadband(point: Point) -> Measurement:
    return Measurement(point.deadband)
