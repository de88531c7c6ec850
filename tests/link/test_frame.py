from __future__ import annotations

import pytest

from bridge.errors import FrameError
from bridge.link.control import Control, LinkFunction
from bridge.link.frame import Frame, octets_of_frame
from tests.support import wire_crc
from tests.vectors import LINK_FRAMES

DATA = Control.build(LinkFunction.UNCONFIRMED_USER_DATA, from_master=True)


@pytest.mark.parametrize("octets", LINK_FRAMES.values(), ids=LINK_FRAMES)
def test_captured_frames_build_again(octets: bytes) -> None:
    frame = Frame.of_octets(octets)
    assert Frame.build(frame.control, frame.destination, frame.source, frame.user_data) == frame


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 32, 33, 249, 250])
def test_build_and_take_apart(size: int) -> None:
    user_data = bytes(range(size))
    frame = Frame.build(DATA, 0x1234, 0xFEDC, user_data)
    assert frame.octets == wire_crc.frame(0xC4, 0x1234, 0xFEDC, user_data)
    assert frame == Frame.of_octets(frame.octets)
    assert frame.user_data == user_data
    assert len(frame.octets) == octets_of_frame(5 + size)


def test_longest_frame() -> None:
    assert octets_of_frame(255) == 292


@pytest.mark.parametrize(
    ("destination", "source", "user_data"),
    [(0, 0, bytes(251)), (0x10000, 0, b""), (0, -1, b"")],
)
def test_what_a_frame_cannot_hold(destination: int, source: int, user_data: bytes) -> None:
    with pytest.raises(FrameError):
        Frame.build(DATA, destination, source, user_data)
