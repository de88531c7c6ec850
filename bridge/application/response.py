"""Responses: fragments and what fits into them (IEEE 1815 clauses 4.2.2 and 5.1)."""

from __future__ import annotations

from collections.abc import Sequence

from bridge.application.codec import LONGEST_OFFSET_MS
from bridge.application.function import ApplicationControl, Function, Iin
from bridge.application.header import (
    RANGE_8_OCTETS,
    RANGE_16_OCTETS,
    count_header,
    prefixed_header,
    range_header,
)
from bridge.application.measurement import Measurement
from bridge.application.objects import VARIATIONS
from bridge.application.variation import Variation

RESPONSE_HEADER_OCTETS = 4
_SYNCHRONIZED = VARIATIONS[51, 1]
_UNSYNCHRONIZED = VARIATIONS[51, 2]


def response_fragment(control: ApplicationControl, function: Function, iin: Iin, objects: bytes) -> bytes:
    """Encode a fragment: RESPONSE or UNSOLICITED_RESPONSE, indications, objects."""
    return bytes((control.octet, function)) + iin.to_bytes(2, "little") + objects


def encode_range(row: Variation, start: int, measurements: Sequence[Measurement]) -> bytes:
    """Encode neighbouring points (at least one) as one range header with its objects."""
    header = range_header(row.group, row.variation, start, start + len(measurements) - 1)
    return header + row.encode_all(measurements)


def points_that_fit(room: int, row: Variation, start: int, count: int) -> int:
    """Return how many of `count` points from index `start` on fit in `room` octets under one header."""
    narrow = _fitting(room - RANGE_8_OCTETS, row, min(count, 0x100 - start))
    if narrow == count or 0 < narrow < 0x100 - start:
        return narrow
    # A wider header may still be worth it, or leave less than the narrow one alone.
    return max(narrow, _fitting(room - RANGE_16_OCTETS, row, count))


def _fitting(room: int, row: Variation, count: int) -> int:
    return max(0, min(count, room * 8 // row.bits))


class ResponseWriter:
    """Collects the objects of one fragment, at most `limit` octets; its header is not counted."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._octets = bytearray()
        self._run: _Run | None = None
        self._common_time: tuple[int, bool] | None = None

    @property
    def room(self) -> int:
        """Octets that are still free."""
        return self._limit - len(self._octets)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was added."""
        return not self._octets

    @property
    def objects(self) -> bytes:
        """What was collected."""
        return bytes(self._octets)

    def try_add(self, octets: bytes) -> bool:
        """Append whole headers with their objects, if they fit."""
        if len(octets) > self.room:
            return False
        self._octets += octets
        self._run = None
        return True

    def add_range(self, row: Variation, start: int, measurements: Sequence[Measurement]) -> int:
        """Append as many of these neighbouring points as fit, under one header; return how many."""
        fitting = points_that_fit(self.room, row, start, len(measurements))
        if fitting:
            self.try_add(encode_range(row, start, measurements[:fitting]))
        return fitting

    def try_add_event(self, row: Variation, index: int, measurement: Measurement) -> bool:
        """Append one event, if it fits.

        Events of one variation in a row share a header, whose count grows with them. A relative time gets a
        common time before it (g51, clause 11.9.3) wherever the one that stands cannot serve it.
        """
        if row.is_relative_time and not self._has_common_time_for(measurement):
            return self._add_with_common_time(row, index, measurement)
        base_ms = self._common_time[0] if self._common_time else 0
        octets = row.encode(measurement, base_ms)
        run = self._run
        if run is None or not run.takes(row, index):
            return self._begin_run(row, index, octets)
        if run.prefix_octets + len(octets) > self.room:
            return False
        self._octets += index.to_bytes(run.prefix_octets, "little") + octets
        run.grow(self._octets)
        return True

    def _has_common_time_for(self, measurement: Measurement) -> bool:
        if self._common_time is None:
            return False
        base_ms, is_synchronized = self._common_time
        offset_ms = (measurement.time_ms or 0) - base_ms
        return measurement.is_time_synchronized == is_synchronized and 0 <= offset_ms <= LONGEST_OFFSET_MS

    def _add_with_common_time(self, row: Variation, index: int, measurement: Measurement) -> bool:
        time_ms = measurement.time_ms or 0
        common = _SYNCHRONIZED if measurement.is_time_synchronized else _UNSYNCHRONIZED
        octets = count_header(common.group, common.variation, 1) + common.pack(time=time_ms)
        if not self._begin_run(row, index, row.encode(measurement, time_ms), before=octets):
            return False
        self._common_time = (time_ms, measurement.is_time_synchronized)
        return True

    def _begin_run(self, row: Variation, index: int, octets: bytes, before: bytes = b"") -> bool:
        is_wide = index > 0xFF
        header = before + prefixed_header(row.group, row.variation, 1, is_wide=is_wide)
        prefix_octets = 1 + is_wide
        if len(header) + prefix_octets + len(octets) > self.room:
            return False
        self._octets += header
        self._run = _Run(row, len(self._octets) - prefix_octets, prefix_octets)
        self._octets += index.to_bytes(prefix_octets, "little") + octets
        return True


class _Run:
    """The header that grows: where its count stands, and what may still go under it."""

    def __init__(self, row: Variation, count_at: int, prefix_octets: int) -> None:
        self._row = row
        self._count_at = count_at
        self._count = 1
        self.prefix_octets = prefix_octets

    def takes(self, row: Variation, index: int) -> bool:
        largest = (1 << 8 * self.prefix_octets) - 1
        return row is self._row and index <= largest and self._count < largest

    def grow(self, octets: bytearray) -> None:
        self._count += 1
        end = self._count_at + self.prefix_octets
        octets[self._count_at : end] = self._count.to_bytes(self.prefix_octets, "little")
