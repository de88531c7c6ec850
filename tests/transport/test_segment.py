from __future__ import annotations

import pytest

from bridge.transport.segment import SegmentHeader
from tests.vectors import LINK_FRAMES


def test_every_octet_survives() -> None:
    for octet in range(256):
        header = SegmentHeader.of(octet)
        assert header.octet == octet
        assert header == SegmentHeader(fir=header.fir, fin=header.fin, sequence=header.sequence)
        assert header is SegmentHeader.of(octet)


@pytest.mark.parametrize(
    ("octet", "header"),
    [
        (0x00, SegmentHeader(fir=False, fin=False, sequence=0)),
        (0x40, SegmentHeader(fir=True, fin=False, sequence=0)),
        (0x80, SegmentHeader(fir=False, fin=True, sequence=0)),
        (0xFF, SegmentHeader(fir=True, fin=True, sequence=63)),
    ],
)
def test_fields(octet: int, header: SegmentHeader) -> None:
    assert SegmentHeader.of(octet) == header


def test_the_segments_of_a_captured_response() -> None:
    first, final = (SegmentHeader.of(LINK_FRAMES[name][10]) for name in ("response-o-3", "segment-o-1"))
    assert first == SegmentHeader(fir=True, fin=False, sequence=3)
    assert final == SegmentHeader(fir=False, fin=True, sequence=4)
