"""The same seed is the same damage, however the octets are cut, and damage is what was asked for."""

from __future__ import annotations

import random

import pytest

from bridge.bench.noise import Noise, NoiseMaker
from tests.support import wire_crc

REQUEST = wire_crc.frame(0xC4, 10, 1, bytes(range(40)))
ANSWER = wire_crc.frame(0x44, 1, 10, bytes(range(250)))
BAD = Noise(seed=1815, between=0.5, inside=0.5)


def heard(noise: Noise, sent: bytes, rng: random.Random | None = None) -> tuple[bytes, NoiseMaker]:
    """Return what is heard of `sent`, cut at random places."""
    maker, octets, at = NoiseMaker(noise), b"", 0
    while at < len(sent):
        length = len(sent) if rng is None else rng.randrange(1, 50)
        octets += maker.damage(sent[at : at + length])
        at += length
    return octets, maker


def test_the_same_seed_is_the_same_damage_however_it_is_cut() -> None:
    sent = (REQUEST + ANSWER) * 50
    whole, maker = heard(BAD, sent)
    assert heard(BAD, sent, random.Random(1))[0] == heard(BAD, sent, random.Random(2))[0] == whole
    assert heard(Noise(seed=7, between=0.5, inside=0.5), sent)[0] != whole
    assert 30 <= maker.strays <= 70
    assert 30 <= maker.hits <= 70
    assert maker.octets >= maker.strays + maker.hits


def test_without_damage_nothing_changes() -> None:
    sent = (REQUEST + ANSWER) * 50
    octets, maker = heard(Noise(seed=1), sent, random.Random(1))
    assert octets == sent
    assert (maker.strays, maker.hits, maker.octets) == (0, 0, 0)


def test_between_leaves_frames_whole_and_inside_does_not() -> None:
    between, maker = heard(Noise(seed=1, between=1.0), REQUEST * 100)
    assert maker.strays == between.count(REQUEST) == 100
    assert len(between) == 100 * len(REQUEST) + maker.octets
    inside, maker = heard(Noise(seed=1, inside=1.0), REQUEST * 100)
    assert maker.hits == 100
    assert maker.octets >= 100
    assert REQUEST not in inside


def test_one_setting_does_not_move_the_others_damage() -> None:
    hits = [heard(Noise(seed=3, inside=share), REQUEST * 100)[1].hits for share in (0.2, 0.4)]
    assert hits[0] < hits[1]


def test_what_is_no_frame_passes_at_once() -> None:
    maker = NoiseMaker(Noise(seed=1, between=1.0, inside=1.0))
    octets = b"hello\x05\x05\x05\x64\x04 \x05\x64\x00"
    assert maker.damage(octets) == octets


def test_a_frame_is_not_held_until_it_is_whole() -> None:
    maker = NoiseMaker(Noise(seed=1))
    assert [maker.damage(REQUEST[at : at + 1]) for at in range(5)] == [
        *(b"", b"", REQUEST[:3]),
        *(REQUEST[3:4], REQUEST[4:5]),
    ]


def test_speakers_frames_are_told_apart() -> None:
    maker = NoiseMaker(Noise(seed=1))
    parts = [maker.damage(ANSWER[:7], 1), maker.damage(REQUEST, 2), maker.damage(ANSWER[7:], 1)]
    assert parts == [ANSWER[:7], REQUEST, ANSWER[7:]]


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_is_a_share(share: float) -> None:
    with pytest.raises(ValueError, match="0 to 1"):
        Noise(seed=1, between=share)
    with pytest.raises(ValueError, match="0 to 1"):
        Noise(seed=1, inside=share)
