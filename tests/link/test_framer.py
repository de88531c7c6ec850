from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterable

import pytest

from bridge.link.control import Control, LinkFunction
from bridge.link.frame import Frame
from bridge.link.framer import Discard, FramerCounters, LinkErrorMode, LinkFramer
from tests.support import wire_crc
from tests.vectors import LINK_FRAMES

TIMEOUT_S = 0.5
GOOD = Frame.build(Control.build(LinkFunction.REQUEST_LINK_STATUS, from_master=True), 1024, 1).octets
LONG = wire_crc.frame(0xC4, 1024, 1, bytes(range(250)))
CLOSE, DISCARD = LinkErrorMode.CLOSE, LinkErrorMode.DISCARD


def framer(mode: LinkErrorMode = DISCARD) -> LinkFramer:
    return LinkFramer(mode, frame_timeout_s=TIMEOUT_S)


def flipped(octets: bytes, bit: int) -> bytes:
    broken = bytearray(octets)
    broken[bit // 8] ^= 1 << bit % 8
    return bytes(broken)


class Story:
    """What a witness heard: frames, and contiguous discards as one, with the reasons that count."""

    def __init__(self) -> None:
        self.parts: list[tuple[bytes, list[Discard]]] = []

    def heard(self, octets: bytes) -> None:
        self.parts.append((octets, []))

    def discarded(self, octets: bytes, reason: Discard) -> None:
        if not self.parts or not self.parts[-1][1]:
            self.parts.append((b"", [reason]))
        elif reason is not Discard.NOISE:
            self.parts[-1][1].append(reason)
        self.parts[-1] = (self.parts[-1][0] + octets, self.parts[-1][1])


def run(
    chunks: Iterable[bytes], mode: LinkErrorMode = DISCARD
) -> tuple[list[bytes], FramerCounters, Discard | None]:
    """Feed the chunks, then let the frame timeout pass; the books must balance."""
    return run_witnessed(chunks, mode)[0]


def run_witnessed(
    chunks: Iterable[bytes], mode: LinkErrorMode
) -> tuple[tuple[list[bytes], FramerCounters, Discard | None], Story]:
    under_test = framer(mode)
    under_test.witness = story = Story()
    frames = [frame for chunk in chunks for frame in under_test.receive(chunk, 0.0)]
    frames += under_test.on_deadline(TIMEOUT_S)
    counters = under_test.counters
    return ([frame.octets for frame in frames], counters, under_test.failure), story


def cut(octets: bytes, places: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(places), len(octets)]
    return [octets[a:b] for a, b in itertools.pairwise(edges)]


def damaged_streams() -> dict[str, bytes]:
    """Streams in which every kind of damage stands before, between and inside good frames."""
    rng = random.Random(1815)
    noise = rng.randbytes(40)
    return {
        "noise": noise + GOOD,
        "one start octet": b"\x05" + GOOD,
        "stray start": b"\x05\x64" + GOOD,
        "two stray starts": b"\x05\x64\x05\x64" + GOOD,
        "length under 5": b"\x05\x64\x04\xc9" + GOOD,
        "header CRC": flipped(GOOD, 70) + GOOD,
        "body CRC": flipped(LONG, 8 * 200) + GOOD,
        "truncated": LONG[:150] + GOOD * 3,
        "lost body": LONG[:10] + GOOD * 30,
        "frame inside a lost body": LONG[:12] + GOOD + LONG,
        "start inside noise": noise[:9] + b"\x05\x64\xff\x00" + noise[9:] + GOOD + noise[:3] + LONG,
        "trailing start": GOOD + b"\x05",
        "trailing partial": LONG + LONG[:33],
    }


STREAMS = {**LINK_FRAMES, **damaged_streams()}


@pytest.mark.parametrize("mode", LinkErrorMode)
@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_chunk_invariance(stream: bytes, mode: LinkErrorMode) -> None:
    expected, story = run_witnessed([stream], mode)
    frames, counters, _ = expected
    assert counters.octets_in == len(stream)
    if mode is DISCARD:
        assert sum(map(len, frames)) + counters.octets_discarded == len(stream)
    assert run((bytes([octet]) for octet in stream), mode) == expected
    for place in range(1, len(stream)):
        same, same_story = run_witnessed(cut(stream, [place]), mode)
        assert same == expected
        assert mode is CLOSE or same_story.parts == story.parts
    rng = random.Random(len(stream))
    for _ in range(200):
        places = rng.choices(range(len(stream)), k=rng.randrange(1, 12))
        assert run(cut(stream, places), mode) == expected


@pytest.mark.parametrize("mode", LinkErrorMode)
@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_a_witness_hears_every_octet_in_its_place(stream: bytes, mode: LinkErrorMode) -> None:
    (frames, counters, _), story = run_witnessed([stream], mode)
    assert [octets for octets, reasons in story.parts if not reasons] == frames
    told = b"".join(octets for octets, _ in story.parts)
    assert stream.startswith(told)
    assert len(told) == len(stream) or mode is CLOSE
    if mode is DISCARD:
        assert Counter(reason for _, reasons in story.parts for reason in reasons) == counters.discards


def test_a_witness_hears_what_is_abandoned() -> None:
    under_test = framer()
    under_test.witness = story = Story()
    under_test.receive(LONG[:100], 0.0)
    under_test.reset()
    assert story.parts == [(LONG[:100], [Discard.ABANDONED])]


@pytest.mark.parametrize("vector", LINK_FRAMES.values(), ids=LINK_FRAMES)
def test_every_single_bit_error_is_dropped_and_the_next_frame_recovered(vector: bytes) -> None:
    for bit in range(8 * len(vector)):
        frames, counters, _ = run([flipped(vector, bit), GOOD])
        assert frames == [GOOD]
        assert counters.octets_discarded == len(vector)
        assert counters.discards.total() >= 1


DAMAGE = {
    "random noise": lambda rng: rng.randbytes(rng.randrange(1, 80)),
    "05": lambda rng: b"\x05",
    "05 64": lambda rng: b"\x05\x64",
    "truncated frame": lambda rng: LONG[: rng.randrange(3, 292)],
    "flipped bit": lambda rng: flipped(LONG, rng.randrange(8 * 292)),
}


@pytest.mark.parametrize("own_segment", [True, False])
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_hundred_of_a_hundred(damage, own_segment: bool) -> None:  # type: ignore[no-untyped-def]
    rng = random.Random(20000)
    under_test = framer()
    now, recovered = 0.0, 0
    for _ in range(100):
        octets = damage(rng)
        frames = []
        for chunk in (octets, GOOD) if own_segment else (octets + GOOD,):
            frames += under_test.receive(chunk, now)
        now += TIMEOUT_S
        frames += under_test.on_deadline(now)
        recovered += [frame.octets for frame in frames] == [GOOD]
    assert recovered == 100


@pytest.mark.parametrize(
    ("stream", "reason"),
    [
        (b"\x00" + GOOD, Discard.NOISE),
        (b"\x05\x64\x04" + GOOD, Discard.BAD_LENGTH),
        (flipped(GOOD, 40) + GOOD, Discard.HEADER_CRC),
        (flipped(LONG, 100) + GOOD, Discard.BODY_CRC),
    ],
)
def test_each_reason_is_counted_once_and_closes_in_close_mode(stream: bytes, reason: Discard) -> None:
    frames, counters, failure = run([stream])
    assert frames == [GOOD]
    assert counters.discards == {reason: 1}
    assert failure is None
    frames, counters, failure = run([GOOD + stream], CLOSE)
    assert frames == [GOOD]
    assert failure is reason
    assert counters.discards == {reason: 1}
    assert counters.octets_discarded == len(stream)


def test_crc_errors_are_header_and_body_together() -> None:
    _, counters, _ = run([flipped(GOOD, 40) + GOOD + flipped(LONG, 100)])
    assert counters.crc_errors == 2


def test_a_block_that_fails_rejects_at_once() -> None:
    under_test = framer()
    broken = flipped(LONG, 8 * 12)
    assert under_test.receive(broken[:27], 0.0) == []
    assert not under_test.counters.discards
    under_test.receive(broken[27:28], 0.0)
    assert under_test.counters.discards == {Discard.BODY_CRC: 1}


def test_a_frame_inside_user_data_is_not_taken_out() -> None:
    outer = wire_crc.frame(0xC4, 7, 1, b"\xc0\xc0" + GOOD)
    assert run([outer])[0] == [outer]


class TestFrameTimeout:
    def test_a_lost_body_delays_nobody_longer(self) -> None:
        under_test = framer()
        assert under_test.receive(LONG[:10] + GOOD, 1.0) == []
        assert under_test.next_deadline() == 1.0 + TIMEOUT_S
        assert under_test.on_deadline(1.0 + TIMEOUT_S - 0.001) == []
        assert [frame.octets for frame in under_test.on_deadline(1.0 + TIMEOUT_S)] == [GOOD]
        assert under_test.counters.discards == {Discard.FRAME_TIMEOUT: 1}
        assert under_test.next_deadline() is None

    def test_every_octet_postpones_it(self) -> None:
        under_test = framer()
        for n, octet in enumerate(GOOD[:-1]):
            assert under_test.receive(bytes([octet]), n * 0.4) == []
        assert under_test.next_deadline() == 8 * 0.4 + TIMEOUT_S

    def test_octets_that_waited_for_a_busy_program_still_count(self) -> None:
        under_test = framer()
        under_test.receive(GOOD[:5], 0.0)
        assert [frame.octets for frame in under_test.receive(GOOD[5:], 60.0)] == [GOOD]

    def test_a_lone_start_octet_becomes_noise(self) -> None:
        under_test = framer()
        under_test.receive(b"\x05", 0.0)
        under_test.on_deadline(TIMEOUT_S)
        assert under_test.counters.discards == {Discard.NOISE: 1}
        assert under_test.next_deadline() is None

    def test_close_mode_waits(self) -> None:
        under_test = framer(CLOSE)
        under_test.receive(GOOD[:5], 0.0)
        assert under_test.next_deadline() is None
        assert len(under_test.receive(GOOD[5:], 99.0)) == 1


def test_reset_forgets_a_partial_frame_by_name() -> None:
    under_test = framer()
    under_test.receive(LONG[:100], 0.0)
    under_test.reset()
    assert under_test.counters.discards == {Discard.ABANDONED: 1}
    assert under_test.counters.octets_discarded == 100
    assert under_test.next_deadline() is None
    assert len(under_test.receive(GOOD, 1.0)) == 1


def test_reset_reopens_a_closed_framer() -> None:
    under_test = framer(CLOSE)
    under_test.receive(b"noise", 0.0)
    assert under_test.receive(GOOD, 0.0) == []
    under_test.reset()
    assert under_test.failure is None
    assert len(under_test.receive(GOOD, 0.0)) == 1


def test_a_million_hostile_octets() -> None:
    """Random and mutated octets: no exception, bounded memory, and the next good frame comes out."""
    rng = random.Random(3)
    under_test = framer()
    now = fed = 0.0
    pieces = [*LINK_FRAMES.values(), LONG, b"\x05\x64", b"\x05"]
    while fed < 1_000_000:
        octets = flipped(rng.choice(pieces), rng.randrange(8)) if rng.random() < 0.5 else rng.randbytes(700)
        under_test.receive(octets[: rng.randrange(len(octets) + 1)], now)
        fed += len(octets)
        assert len(under_test._held) <= 291
    now += TIMEOUT_S
    under_test.on_deadline(now)
    assert [frame.octets for frame in under_test.receive(GOOD, now)] == [GOOD]
    counters = under_test.counters
    assert counters.octets_in > counters.octets_discarded > 0


class TestHalfHeardUntil:
    """Until when the sender may still be at what was just received."""

    def test_nothing_or_whole_frames(self) -> None:
        under_test = framer()
        assert under_test.half_heard_until(1.0) is None
        under_test.receive(GOOD + GOOD, 1.0)
        assert under_test.half_heard_until(1.0) is None

    def test_half_a_frame_has_its_deadline(self) -> None:
        under_test = framer()
        under_test.receive(GOOD[:5], 1.0)
        assert under_test.half_heard_until(1.0) == under_test.next_deadline() == 1.0 + TIMEOUT_S

    @pytest.mark.parametrize("octets", [b"\xff", flipped(GOOD, 70), GOOD + b"\xff"])
    def test_octets_that_are_no_frame_may_go_on_as_long(self, octets: bytes) -> None:
        under_test = framer()
        under_test.receive(octets, 1.0)
        assert under_test.next_deadline() is None
        assert under_test.half_heard_until(2.0) == 2.0 + TIMEOUT_S

    def test_a_whole_frame_after_them_ends_it(self) -> None:
        under_test = framer()
        under_test.receive(b"\xff", 1.0)
        under_test.receive(GOOD, 1.1)
        assert under_test.half_heard_until(1.1) is None

    def test_reset(self) -> None:
        under_test = framer()
        under_test.receive(b"\xff", 1.0)
        under_test.reset()
        assert under_test.half_heard_until(1.0) is None
