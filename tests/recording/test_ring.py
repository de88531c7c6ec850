from __future__ import annotations

import gc
import random
import sys
import tracemalloc

import pytest

from bridge.recording.record import LONGEST_DETAIL, LONGEST_STRETCH, Channel, Kind, Record
from bridge.recording.ring import LEAST_LIMIT_OCTETS, Ring

LINE = Channel(0)
SENT = int(Kind.SENT)


def record(number: int, octets: bytes = b"frame", *, channel: int = 1) -> Record:
    return (number, channel, SENT, octets, "")


def filled(records: int) -> Ring:
    ring = Ring(0)
    ring.open_channel(LINE, 0, "begins")
    for number in range(1, records):
        ring.add(record(number))
    return ring


MANY = 800
"""Not more than the smallest ring keeps."""


def times(ring: Ring) -> list[int]:
    return [each[0] for batch in ring.view(0).batches() for each in batch]


def test_what_was_added_is_there_in_order() -> None:
    ring = filled(MANY)
    assert (ring.first, ring.next) == (0, MANY)
    assert times(ring) == list(range(MANY))


def test_the_oldest_goes_first() -> None:
    ring = filled(100_000)
    assert 0 < ring.first < ring.next == 100_000
    assert times(ring) == list(range(ring.first, 100_000))


@pytest.mark.parametrize("seed", range(5))
def test_it_never_takes_more_than_its_limit(seed: int) -> None:
    """Whatever is recorded, and counted by the interpreter, not by the ring."""
    rng = random.Random(seed)
    limit = LEAST_LIMIT_OCTETS * rng.choice((1, 2, 5))
    ring = Ring(limit)
    longest = rng.choice((0, 20, 292, LONGEST_STRETCH))
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        open_channels = [ring.open_channel(LINE, 0, "begins")]
        for step in range(12_000):
            kind = rng.random()
            if kind < 0.05:
                open_channels.append(ring.open_channel(Channel(1, (f"10.1.1.{step}", step)), step, "x" * 50))
            elif kind < 0.1 and len(open_channels) > 1:
                ring.close_channel(open_channels.pop())
            elif kind < 0.2:
                ring.add_event(step, open_channels[0], "e" * rng.randrange(LONGEST_DETAIL))
            else:
                octets = rng.randbytes(rng.randrange(longest + 1))
                ring.add((10**18 + step, open_channels[0], SENT, octets, ""))
            if step % 500 == 0:
                gc.collect()
                taken = tracemalloc.get_traced_memory()[0] - before
                assert taken <= limit + sys.getsizeof(open_channels), (step, taken, limit)
            assert ring.most_octets <= limit
    finally:
        tracemalloc.stop()


class TestReaders:
    def test_read_on_from_where_they_were(self) -> None:
        ring = filled(150)
        place, seen = 0, []
        while True:
            number, records = ring.after(place)
            assert number == place
            if not records:
                break
            assert len(records) <= 64
            seen += [each[0] for each in records]
            place += len(records)
        assert seen == list(range(150))
        assert place == ring.next
        ring.add(record(150))
        assert ring.after(place) == (150, [record(150)])

    @pytest.mark.parametrize("place", [0, 1, 63, 64, 65, 130, 149, 150])
    def test_from_anywhere(self, place: int) -> None:
        number, records = filled(150).after(place)
        assert number == place
        assert [each[0] for each in records] == list(range(place, min(150, (place // 64 + 1) * 64)))

    def test_see_by_the_number_what_they_lost(self) -> None:
        ring = filled(100_000)
        number, records = ring.after(5)
        assert number == ring.first > 5
        assert records[0][0] == ring.first

    def test_a_view_does_not_change(self) -> None:
        ring = filled(100)
        view = ring.view(0)
        for number in range(100, 100_000):
            ring.add(record(number))
        assert [each[0] for batch in view.batches() for each in batch] == list(range(100))

    @pytest.mark.parametrize("since_ns", [0, 1, 63, 64, 100, MANY - 1, MANY])
    def test_a_view_from_a_time_on(self, since_ns: int) -> None:
        view = filled(MANY).view(since_ns)
        assert [each[0] for batch in view.batches() for each in batch] == list(range(since_ns, MANY))


class TestGrowing:
    def test_a_record_nobody_has_read(self) -> None:
        ring = filled(3)
        assert ring.grow(2, b" and more", "why")
        assert ring.after(2) == (2, [(2, 1, SENT, b"frame and more", "why")])

    def test_not_one_that_was_read(self) -> None:
        ring = filled(3)
        ring.after(2)
        assert not ring.grow(2, b"!", "")
        ring.add(record(3))
        assert ring.grow(3, b"!", "")
        ring.view(0)
        assert not ring.grow(3, b"!", "")

    def test_not_one_of_another_chunk(self) -> None:
        ring = filled(64)
        assert not ring.grow(63, b"!", "")


class TestChannels:
    def test_are_known_as_long_as_their_records(self) -> None:
        ring = filled(1)
        session = ring.open_channel(Channel(1, ("10.1.1.5", 4021)), 1, "accepted")
        ring.add(record(2, channel=session))
        ring.close_channel(session)
        while ring.first < 3:
            known = {each[1] for batch in ring.view(0).batches() for each in batch}
            assert known <= set(ring.channels)
            ring.add(record(3))
        for number in range(10_000):
            ring.add(record(number))
        assert set(ring.channels) == {1}

    def test_many_short_sessions_leave_nothing(self) -> None:
        ring = filled(1)
        for number in range(50_000):
            ring.close_channel(ring.open_channel(Channel(1, ("10.1.1.5", number)), number, "accepted"))
        assert len(ring.channels) <= ring.next - ring.first + 1


def test_records_are_nothing_that_the_garbage_collector_looks_at_again() -> None:
    ring = filled(MANY)
    gc.collect()
    chunks = [*ring.view(0).chunks]
    gc.collect()
    assert not any(map(gc.is_tracked, chunks))
    assert not any(gc.is_tracked(each) for chunk in chunks for each in chunk)
