"""Line noise by seed: stray octets before frames, and octets flipped, inserted or lost inside them. Pure.

Damage is decided frame by frame when a frame's length is known, and then done octet by octet. So the same
seed damages the same frames in the same way however they are cut, and nothing waits for the end of a frame.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from bridge.link.frame import SHORTEST_LENGTH, START, octets_of_frame

_MOST_STRAYS = 24
_MOST_HITS = 3
_LENGTH_AT = len(START)


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """How bad one direction of a line is. Raises ValueError for a share outside 0 to 1."""

    seed: int
    between: float = 0.0
    """The share of frames that 1 to 26 stray octets precede."""
    inside: float = 0.0
    """The share of frames in which 1 to 3 octets are flipped, inserted or lost."""

    def __post_init__(self) -> None:
        for share in (self.between, self.inside):
            if not 0 <= share <= 1:
                raise ValueError(f"a share of frames is 0 to 1, not {share}")


@dataclass(slots=True)
class _Octet:
    """One octet that will be heard: the frame's one at `at`, or a new one, with `mask` exclusive-or'ed."""

    at: int | None
    mask: int


class _Stream:
    """What one speaker has said of a frame that is not over."""

    __slots__ = ("frame", "held", "left", "plan", "planned")

    def __init__(self) -> None:
        self.held = bytearray()
        """Octets that may begin a frame; at most two."""
        self.frame = bytearray()
        """What came of the frame under way, when it is damaged."""
        self.left = 0
        """Octets of the frame under way that have not come yet."""
        self.plan: list[_Octet] | None = None
        """What is heard of the frame under way; None: it passes as it is."""
        self.planned = 0
        """How much of the plan was heard."""


class NoiseMaker:
    """Damages streams of frames as they pass. What is not of a frame passes as it is."""

    def __init__(self, noise: Noise) -> None:
        self._noise = noise
        self._random = random.Random(noise.seed)
        self._streams: dict[int, _Stream] = {}
        self.strays = 0
        """Frames that stray octets were put before."""
        self.hits = 0
        """Frames damaged inside."""
        self.octets = 0
        """Octets put before frames, flipped, inserted or lost."""

    def damage(self, octets: bytes, speaker: int = 0) -> bytes:
        """Take what a speaker said next and return what is heard of it.

        Held back are at most two octets at the end, which may begin a frame.
        """
        stream = self._streams.setdefault(speaker, _Stream())
        heard = bytearray()
        at = 0
        while at < len(octets):
            if stream.left:
                part = octets[at : at + stream.left]
                at += len(part)
                heard += _next(stream, part)
                continue
            stream.held.append(octets[at])
            at += 1
            heard += self._search(stream)
        return bytes(heard)

    def _search(self, stream: _Stream) -> bytes:
        """Look whether a frame begins at the last octet that was held; return what will be in none."""
        held = stream.held
        if len(held) > _LENGTH_AT:
            if held[_LENGTH_AT] >= SHORTEST_LENGTH:
                begun = bytes(held)
                held.clear()
                return self._begin(stream, begun)
        elif START.startswith(held):
            return b""
        # No frame begins at its front; one may at its last octet.
        passed = bytes(held)
        held.clear()
        if passed[-1:] == START[:1]:
            held += passed[-1:]
            passed = passed[:-1]
        return passed

    def _begin(self, stream: _Stream, begun: bytes) -> bytes:
        # Both dice are thrown for every frame, so that one setting does not move the other's damage.
        has_stray, is_hit = (self._random.random() < p for p in (self._noise.between, self._noise.inside))
        stray = self._stray() if has_stray else b""
        self.strays += has_stray
        self.hits += is_hit
        self.octets += len(stray)
        stream.left = octets_of_frame(begun[_LENGTH_AT])
        stream.plan = self._plan(stream.left) if is_hit else None
        stream.planned = 0
        stream.frame.clear()
        return stray + _next(stream, begun)

    def _stray(self) -> bytes:
        noise = self._random.randbytes(self._random.randrange(1, _MOST_STRAYS + 1))
        return noise + self._random.choice((b"", b"", START[:1], START))

    def _plan(self, length: int) -> list[_Octet]:
        plan = [_Octet(at, 0) for at in range(length)]
        for _ in range(self._random.randrange(1, _MOST_HITS + 1)):
            at = self._random.randrange(len(plan))
            self.octets += 1
            match self._random.randrange(3):
                case 0:
                    plan[at].mask ^= self._random.randrange(1, 256)
                case 1:
                    plan.insert(at, _Octet(None, self._random.randrange(256)))
                case _:
                    del plan[at]
        return plan


def _next(stream: _Stream, part: bytes) -> bytes:
    """Take the next octets of the frame under way and return what is heard of them."""
    stream.left -= len(part)
    if stream.plan is None:
        return part
    stream.frame += part
    heard = bytearray()
    while stream.planned < len(stream.plan):
        octet = stream.plan[stream.planned]
        if octet.at is not None and octet.at >= len(stream.frame):
            break
        heard.append(octet.mask ^ (0 if octet.at is None else stream.frame[octet.at]))
        stream.planned += 1
    return bytes(heard)
