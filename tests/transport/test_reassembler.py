from __future__ import annotations

import random

import pytest

from bridge.transport.reassembler import Reassembler, SegmentDiscard

FIR, FIN = 0x40, 0x80
D = SegmentDiscard

# Segments in, as header and text; fragments out; discards counted (IEEE 1815 clause 8.2.2).
CASES: dict[str, tuple[list[tuple[int, bytes]], list[bytes], list[SegmentDiscard]]] = {
    "one segment": ([(FIR | FIN | 9, b"a")], [b"a"], []),
    "two segments": ([(FIR | 9, b"a"), (FIN | 10, b"b")], [b"ab"], []),
    "sequence wraps": ([(FIR | 63, b"a"), (FIN | 0, b"b")], [b"ab"], []),
    "fragments need not go on": ([(FIR | FIN | 9, b"a"), (FIR | FIN | 3, b"b")], [b"a", b"b"], []),
    "no beginning": ([(FIN | 9, b"a"), (FIR | FIN | 9, b"b")], [b"b"], [D.NO_BEGINNING]),
    "after the end": ([(FIR | FIN | 1, b"a"), (FIN | 2, b"b")], [b"a"], [D.NO_BEGINNING]),
    "FIR restarts": ([(FIR | 1, b"a"), (FIR | 5, b"b"), (FIN | 6, b"c")], [b"bc"], [D.RESTARTED]),
    "FIR and FIN restart": ([(FIR | 1, b"a"), (FIR | FIN | 5, b"b")], [b"b"], [D.RESTARTED]),
    "gap": (
        [(FIR | 1, b"a"), (3, b"b"), (FIN | 4, b"c")],
        [],
        [D.WRONG_SEQUENCE, D.NO_BEGINNING],
    ),
    "repeat": ([(FIR | 1, b"a"), (2, b"b"), (2, b"b"), (FIN | 3, b"c")], [b"abc"], [D.REPEATED]),
    "repeated first": ([(FIR | 1, b"a"), (FIR | 1, b"a"), (FIN | 2, b"b")], [b"ab"], [D.RESTARTED]),
    "same number, other octets": (
        [(FIR | 1, b"a"), (2, b"b"), (2, b"x"), (FIN | 3, b"c")],
        [],
        [D.WRONG_SEQUENCE, D.NO_BEGINNING],
    ),
    "same octets, now final": (
        [(FIR | 1, b"a"), (2, b"b"), (FIN | 2, b"b")],
        [],
        [D.WRONG_SEQUENCE],
    ),
    "empty": ([(FIR | FIN, b"")], [], [D.EMPTY]),
    "empty in the middle": ([(FIR | 1, b"a"), (2, b""), (FIN | 2, b"b")], [b"ab"], [D.EMPTY]),
    "as long as we take": ([(FIR | 1, b"aaaaa"), (FIN | 2, b"bbbbb")], [b"aaaaabbbbb"], []),
    "longer": (
        [(FIR | 1, b"aaaaa"), (2, b"bbbbbb"), (FIN | 3, b"c"), (FIR | FIN | 4, b"d")],
        [b"d"],
        [D.OVERSIZE, D.NO_BEGINNING],
    ),
    "longer at once": ([(FIR | 1, b"a"), (FIR | FIN | 2, b"b" * 11)], [], [D.OVERSIZE]),
}


@pytest.mark.parametrize("name", CASES)
def test_case(name: str) -> None:
    incoming, fragments, discards = CASES[name]
    reassembler = Reassembler(10)
    outcomes = [reassembler.receive(bytes((header,)) + text) for header, text in incoming]
    assert [outcome for outcome in outcomes if outcome is not None] == fragments
    assert sorted(reassembler.counters.discards.elements()) == sorted(discards)
    assert reassembler.counters.segments == len(incoming)
    assert reassembler.counters.fragments == len(fragments)


def test_user_data_without_a_header() -> None:
    reassembler = Reassembler(10)
    assert reassembler.receive(b"") is None
    assert reassembler.counters.discards == {D.EMPTY: 1}


def test_reset_abandons() -> None:
    reassembler = Reassembler(10)
    reassembler.reset()
    assert not reassembler.counters.discards
    reassembler.receive(bytes((FIR | 1,)) + b"a")
    reassembler.reset()
    assert reassembler.receive(bytes((FIN | 2,)) + b"b") is None
    assert reassembler.counters.discards == {D.ABANDONED: 1, D.NO_BEGINNING: 1}


def test_every_discard_is_tried() -> None:
    tried = {discard for _, _, discards in CASES.values() for discard in discards}
    assert tried == set(SegmentDiscard) - {D.ABANDONED}


def test_random_segments_never_raise_and_never_outgrow_the_limit() -> None:
    chance = random.Random(1815)
    reassembler = Reassembler(600)
    sequence = 0
    for _ in range(200_000):
        sequence = (sequence + chance.choice((0, 1, 1, 1, 1, 1, 1, 7))) % 64
        header = sequence | chance.choice((0, 0, 0, 0, FIR, FIN, FIR | FIN))
        fragment = reassembler.receive(bytes((header,)) + bytes(chance.randrange(250)))
        assert fragment is None or 0 < len(fragment) <= 600
    assert reassembler.counters.fragments
    assert set(reassembler.counters.discards) >= set(SegmentDiscard) - {D.ABANDONED, D.REPEATED}
    assert reassembler.receive(bytes((FIR | FIN,)) + b"next") == b"next"
