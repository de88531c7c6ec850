"""The newest records, within a bound of memory.

Rules:
  1. Adding a record takes the same short time always: no search, no formatting, no copy of octets. It makes
     nothing that the garbage collector looks at. What it takes in memory is summed up once in 64 records.
  2. What is kept takes no more than the limit, overheads included. The oldest go first, 64 at a time.
  3. Every record has a number, counted from 0. Who reads on from a number sees from the gap what was lost:
     the ring knows no readers and waits for none.
  4. A record may grow for as long as nobody has read it.
  5. A channel begins with an event, and is known for as long as one of its records may be.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from bridge.recording.record import (
    CHANNEL_OCTETS,
    LONGEST_DETAIL,
    LONGEST_STRETCH,
    RECORD_OCTETS,
    SOURCE_OCTETS,
    Channel,
    Kind,
    Record,
)

_CHUNK = 64
_FIELDS = 3
"""Of a record in the ring: its time, its source, its octets, one after the other."""
FULL = _CHUNK * _FIELDS
_MOST_OF_A_CHUNK = _CHUNK * (
    CHANNEL_OCTETS + RECORD_OCTETS + SOURCE_OCTETS + LONGEST_STRETCH + LONGEST_DETAIL
)
"""What the newest records, not summed up yet, take at most."""
LEAST_LIMIT_OCTETS = 3 * _MOST_OF_A_CHUNK


@dataclass(frozen=True, slots=True)
class View:
    """Records as they were at one moment, with their channels; it may be read in another thread."""

    chunks: tuple[Sequence[Any], ...]
    channels: Mapping[int, Channel]
    since_ns: int

    def batches(self) -> Iterator[list[Record]]:
        """Yield them in lists of at most 64, oldest first."""
        for chunk in self.chunks:
            if chunk and chunk[-_FIELDS] >= self.since_ns:
                yield [record for record in _records(chunk) if record[0] >= self.since_ns]


class Ring:
    """Keeps at most `limit_octets`, or `LEAST_LIMIT_OCTETS` if that is less."""

    def __init__(self, limit_octets: int) -> None:
        self._limit_octets = max(limit_octets, LEAST_LIMIT_OCTETS) - _MOST_OF_A_CHUNK
        self._chunks: deque[tuple[Any, ...]] = deque()
        """Whole ones; their records are `_CHUNK` each."""
        self._sizes: deque[int] = deque()
        self._octets = 0
        self.newest: list[Any] = []
        """Flat, and one list always. Taps append here by themselves, which is half of what a call takes:
        a time, a source and octets, then `end_chunk` if that makes it `FULL`."""
        self._channels: dict[int, Channel] = {}
        self._closed: deque[tuple[int, int]] = deque()
        self._opened = 0
        self._extra_octets = 0
        """What the newest records take besides their octets and what all take: texts and channels."""
        self.first = 0
        """The number of the oldest record."""
        self._read = 0

    @property
    def channels(self) -> Mapping[int, Channel]:
        """The channels of all records that are kept, by number."""
        return MappingProxyType(self._channels)

    @property
    def next(self) -> int:
        """The number that the next record will have."""
        return self._newest_first + len(self.newest) // _FIELDS

    @property
    def most_octets(self) -> int:
        """What everything that is kept takes at most."""
        return self._octets + _MOST_OF_A_CHUNK

    def add(self, record: Record) -> None:
        """Keep a record that has a source of its own."""
        time_ns, channel, kind, octets, detail = record
        self._extra_octets += SOURCE_OCTETS + len(detail)
        self.newest += (time_ns, (channel, kind, detail), octets)
        if len(self.newest) == FULL:
            self.end_chunk()

    def grow(self, number: int, octets: bytes, detail: str) -> bool:
        """Add octets to a record, with another detail; tell whether nobody had read it."""
        at = number - self._newest_first
        if at < 0 or number < self._read:
            return False
        _, (channel, kind, _), before = self.newest[at * _FIELDS : (at + 1) * _FIELDS]
        self.newest[at * _FIELDS + 1 : (at + 1) * _FIELDS] = (channel, kind, detail), before + octets
        self._extra_octets += len(detail)
        return True

    def add_event(self, time_ns: int, channel: int, text: str) -> None:
        """Keep an event, told in at most 400 characters."""
        self.add((time_ns, channel, int(Kind.EVENT), b"", text[:LONGEST_DETAIL]))

    def open_channel(self, channel: Channel, time_ns: int, text: str) -> int:
        """Make a channel known, that begins with an event. Return its number, to be closed in the end."""
        self._opened += 1
        self._channels[self._opened] = channel
        self._extra_octets += CHANNEL_OCTETS
        self.add_event(time_ns, self._opened, text)
        return self._opened

    def close_channel(self, number: int) -> None:
        """Forget the channel once its records are gone."""
        self._closed.append((self.next, number))

    def after(self, number: int) -> tuple[int, list[Record]]:
        """Return at most 64 records and the number of the first: `number`, or the oldest if that is gone.

        There are none where `number` is that of the next record.
        """
        self._read = self.next
        number = max(number, self.first)
        chunk, at = divmod(number - self.first, _CHUNK)
        flat = self._chunks[chunk] if chunk < len(self._chunks) else self.newest
        return number, _records(flat[at * _FIELDS :])

    def view(self, since_ns: int) -> View:
        """Return the records from a time on."""
        self._read = self.next
        return View((*self._chunks, tuple(self.newest)), dict(self._channels), since_ns)

    def end_chunk(self) -> None:
        """Sum up the newest records, and let go of as many old ones as that takes."""
        # A tuple of plain values is something that the garbage collector looks at only once.
        chunk = tuple(self.newest)
        self.newest.clear()
        size = _CHUNK * RECORD_OCTETS + sum(map(len, chunk[_FIELDS - 1 :: _FIELDS])) + self._extra_octets
        self._extra_octets = 0
        self._chunks.append(chunk)
        self._sizes.append(size)
        self._octets += size
        while self._octets > self._limit_octets:
            self._chunks.popleft()
            self._octets -= self._sizes.popleft()
            self.first += _CHUNK
        while self._closed and self._closed[0][0] <= self.first:
            del self._channels[self._closed.popleft()[1]]

    @property
    def _newest_first(self) -> int:
        return self.first + _CHUNK * len(self._chunks)


def _records(flat: Sequence[Any]) -> list[Record]:
    """Return the records that stand in a chunk."""
    return [
        (time_ns, channel, kind, octets, detail)
        for time_ns, (channel, kind, detail), octets in zip(*[iter(flat)] * _FIELDS, strict=True)
    ]
