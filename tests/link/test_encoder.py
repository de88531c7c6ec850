from __future__ import annotations

import random

import pytest

from bridge.errors import FrameError
from bridge.link.control import Control, LinkFunction
from bridge.link.encoder import FrameEncoder
from bridge.link.frame import Frame

DATA = Control.build(LinkFunction.UNCONFIRMED_USER_DATA, from_master=False)


@pytest.mark.parametrize("size", [1, 2, 15, 16, 17, 32, 33, 249, 250])
def test_a_frame_is_the_same_the_first_time_and_later(size: int) -> None:
    encoder = FrameEncoder(DATA, 1024)
    for _ in range(3):
        user_data = bytes(range(size))
        assert encoder.encode(1, user_data) == Frame.build(DATA, 1, 1024, user_data).octets


def test_whatever_differs_from_one_frame_to_the_next_is_seen() -> None:
    encoder = FrameEncoder(DATA, 1024)
    chance = random.Random(3)
    user_data = bytearray(250)
    for _ in range(2000):
        user_data[chance.randrange(250)] = chance.randrange(4)
        destination = chance.choice((1, 2, 0xFFEF))
        part = bytes(user_data[: chance.choice((20, 249, 250))])
        assert encoder.encode(destination, part) == Frame.build(DATA, destination, 1024, part).octets


@pytest.mark.parametrize(("destination", "size"), [(1, 251), (0x10000, 1), (-1, 1)])
def test_what_a_frame_cannot_hold(destination: int, size: int) -> None:
    with pytest.raises(FrameError):
        FrameEncoder(DATA, 1024).encode(destination, bytes(size))
