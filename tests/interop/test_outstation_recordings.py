"""What the other tests of outstations rely on: the dissector's complaints are heard, known gaps aside."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import peers, wire_crc
from tests.support.capture import Segment
from tests.support.recordings import Recordings

pytestmark = pytest.mark.peer

RIGHT = "1e 01 00 00 00 01 b8 0b 00 00"
CUT = "1e 01 00 00 01 01 b8 0b 00 00"
UNKNOWN = "c8 01 00 00 00 01"
GAP = "1f 01 00 00 01 01 b8 0b 00 00 01 b9 0b 00 00"


@pytest.fixture(autouse=True)
def _tshark() -> None:
    peers.require("tshark")


def recorded(*answers: str) -> Recordings:
    segments = [
        Segment(0.0, False, wire_crc.frame(0x44, 1, 1024, bytes((0xC0 | number,)) + bytes.fromhex(answer)))
        for number, answer in enumerate(f"c0 81 00 00 {objects}" for objects in answers)
    ]
    return Recordings([("made up", lambda: segments)])


def test_right_frames_and_known_gaps_pass(tmp_path: Path) -> None:
    dissection = recorded(RIGHT, GAP, RIGHT).check(tmp_path, at_least=3)
    assert dissection.frames == 3


@pytest.mark.parametrize(
    "objects", [CUT, UNKNOWN, RIGHT + CUT, RIGHT + GAP], ids=["cut", "unknown", "cut later", "gap later"]
)
def test_everything_else_is_noticed(tmp_path: Path, objects: str) -> None:
    with pytest.raises(AssertionError, match=r"1 frames: \{'made up"):
        recorded(RIGHT, objects, RIGHT).check(tmp_path, at_least=3)


def test_too_few_frames_are_noticed(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="only 1 frames"):
        recorded(RIGHT).check(tmp_path, at_least=2)
