from __future__ import annotations

import pytest

from bridge.transport.reassembler import Reassembler
from bridge.transport.segment import SegmentHeader
from bridge.transport.segmenter import segments


@pytest.mark.parametrize(
    ("length", "sizes"),
    [(1, [2]), (249, [250]), (250, [250, 2]), (498, [250, 250]), (2048, [250] * 8 + [57])],
)
def test_segments_are_as_long_as_frames_allow(length: int, sizes: list[int]) -> None:
    fragment = bytes(n % 251 for n in range(length))
    cut = segments(fragment, 0)
    assert [len(segment) for segment in cut] == sizes
    assert b"".join(segment[1:] for segment in cut) == fragment


def test_headers() -> None:
    assert [segment[0] for segment in segments(bytes(249), 5)] == [0xC5]
    assert [segment[0] for segment in segments(bytes(1000), 62)] == [0x7E, 0x3F, 0x00, 0x01, 0x82]


@pytest.mark.parametrize("first_sequence", range(64))
def test_what_is_cut_is_joined(first_sequence: int) -> None:
    fragment = bytes(range(256)) * 256
    *unfinished, final = segments(fragment, first_sequence)
    reassembler = Reassembler(len(fragment))
    assert [reassembler.receive(segment) for segment in unfinished] == [None] * len(unfinished)
    assert reassembler.receive(final) == fragment
    assert SegmentHeader.of(final[0]).sequence == (first_sequence + len(unfinished)) % 64
