"""Octets to frames (IEEE 1815 clause 9.2), in Close and in Discard mode.

Rules:
  1. Same octets in, same frames and counters out, however they were cut.
  2. A frame leaves when its last octet arrives, and only when every CRC was right.
  3. A candidate is rejected at the first thing that is wrong: its LEN, its header CRC, a block's CRC.
  4. DISCARD: after a rejection the search goes on one octet after the false start, also when that
     octet came in an earlier read. Nothing intact is lost because of what stood before it.
  5. DISCARD: a candidate that gets no octet for the frame timeout is given up and searched like rule 4.
     The timer alone decides that: octets that arrive late (a busy program, not a slow wire) still count.
  6. CLOSE: the first rejection is `failure`; nothing comes out afterwards. There is no frame timeout,
     because a stream without line errors brings the rest sooner or later.
  7. What is held is one unfinished candidate: at most 291 octets.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Protocol

from bridge.link.crc import intact_until, is_intact
from bridge.link.frame import (
    BLOCK_OCTETS,
    CRC_OCTETS,
    FRAME_OCTETS,
    HEADER_OCTETS,
    SHORTEST_LENGTH,
    START,
    Frame,
)

_WHOLE_BLOCK_OCTETS = BLOCK_OCTETS + CRC_OCTETS


class LinkErrorMode(Enum):
    """What a malformed link frame does to the session it came in."""

    CLOSE = "close"
    DISCARD = "discard"


class Discard(StrEnum):
    """Why octets were dropped. Each is counted once an event, not once an octet."""

    NOISE = "noise"
    """Octets after a good frame (or at the start) that begin no frame."""
    BAD_LENGTH = "bad_length"
    """`05 64` followed by a LEN under 5."""
    HEADER_CRC = "header_crc"
    """Ten octets that look like a header and fail its CRC."""
    BODY_CRC = "body_crc"
    """A right header, then a block that fails its CRC."""
    FRAME_TIMEOUT = "frame_timeout"
    """A frame whose rest did not come in time."""
    ABANDONED = "abandoned"
    """A partial frame held when its session or port ended."""


@dataclass(slots=True)
class FramerCounters:
    """What went through a framer: `octets_in` = octets of `frames` + `octets_discarded` + octets held."""

    octets_in: int = 0
    frames: int = 0
    octets_discarded: int = 0
    discards: Counter[Discard] = field(default_factory=Counter)

    @property
    def crc_errors(self) -> int:
        """Header and body CRC failures together: what an operator calls CRC errors."""
        return self.discards[Discard.HEADER_CRC] + self.discards[Discard.BODY_CRC]


class Witness(Protocol):
    """Is told all that a framer makes of its octets, in their order: every octet in a frame or a discard."""

    def heard(self, octets: bytes) -> None:
        """Take note of a whole frame."""

    def discarded(self, octets: bytes, reason: Discard) -> None:
        """Take note of octets in no frame. Those of one stretch come in parts; NOISE is also its remains."""


class LinkFramer:
    """Finds frames in a stream of octets. Times are seconds of one monotonic clock.

    `failure` is set in CLOSE mode at the first malformed frame; the owner then closes the session.
    Nothing that a peer sends makes any method raise.
    """

    def __init__(self, mode: LinkErrorMode, *, frame_timeout_s: float) -> None:
        self._is_strict = mode is LinkErrorMode.CLOSE
        self._frame_timeout_s = frame_timeout_s
        self._held = b""
        self._verified = 0
        self._deadline: float | None = None
        self._after_good = True
        self.failure: Discard | None = None
        self.counters = FramerCounters()
        self.witness: Witness | None = None

    def receive(self, octets: bytes, now: float) -> list[Frame]:
        """Take octets as they arrive and return the frames that became whole."""
        self.counters.octets_in += len(octets)
        frames: list[Frame] = []
        self._search(self._held + octets if self._held else octets, frames)
        self._deadline = now + self._frame_timeout_s if self._held and not self._is_strict else None
        return frames

    def next_deadline(self) -> float | None:
        """When `on_deadline` should be called, or None while nothing is waited for."""
        return self._deadline

    def half_heard_until(self, now: float) -> float | None:
        """Until when the sender may still be at what was just received; None if that ended with a frame.

        After octets that are no frame, which may be the rest of a damaged one, it is as long as for a frame.
        """
        if self._deadline is not None:
            return self._deadline
        return None if self._after_good else now + self._frame_timeout_s

    def on_deadline(self, now: float) -> list[Frame]:
        """Give up a stalled candidate, return the frames found among its octets. Early calls do nothing."""
        frames: list[Frame] = []
        if self._deadline is None or now < self._deadline:
            return frames
        self._deadline = None
        while self._held:
            held = self._held
            self._hold(b"", 0)
            self._drop(held[:1], Discard.FRAME_TIMEOUT if held.startswith(START) else Discard.NOISE)
            self._search(held[1:], frames)
        return frames

    def reset(self) -> None:
        """Forget a partial frame, counted as abandoned, and begin anew as for a new peer."""
        if self._held:
            self._drop(self._held, Discard.ABANDONED)
        self._hold(b"", 0)
        self._deadline = None
        self._after_good = True
        self.failure = None

    def _search(self, octets: bytes, frames: list[Frame]) -> None:
        """Consume `octets`, which begin with what was held, and hold what may still become a frame."""
        verified = self._verified
        at, end = 0, len(octets)
        while at < end and self.failure is None:
            start = octets.find(START, at)
            if start < 0:
                start = end - octets.endswith(START[:1], at)
            if start > at:
                self._drop(octets[at:start], Discard.NOISE)
                at, verified = start, 0
                continue
            outcome, verified = _examine(octets, at, verified)
            if outcome is None:
                self._held, self._verified = octets[at:], verified
                return
            if isinstance(outcome, Discard):
                self._drop(octets[at : at + 1], outcome)
                at += 1
            else:
                whole = octets[at : at + outcome]
                frames.append(Frame.of_octets(whole))
                if self.witness is not None:
                    self.witness.heard(whole)
                self.counters.frames += 1
                self._after_good = True
                at += outcome
            verified = 0
        if at < end:
            self.counters.octets_discarded += end - at
            if self.witness is not None and self.failure is not None:
                self.witness.discarded(octets[at:], self.failure)
        self._held, self._verified = b"", 0

    def _hold(self, octets: bytes, verified: int) -> None:
        self._held = octets
        self._verified = verified

    def _drop(self, octets: bytes, reason: Discard) -> None:
        self.counters.octets_discarded += len(octets)
        if self.witness is not None:
            self.witness.discarded(octets, reason)
        # The remains of a rejected candidate are no second event.
        if reason is not Discard.NOISE or self._after_good:
            self.counters.discards[reason] += 1
        self._after_good = False
        if self._is_strict and reason is not Discard.ABANDONED:
            self.failure = reason


def _examine(octets: bytes, at: int, verified: int) -> tuple[Discard | int | None, int]:
    """Judge the candidate at `at`, of which `verified` octets are known to be right.

    Returns the reason to reject it, the frame's octets when it is whole, or None while it is neither; and how
    many octets are now known to be right.
    """
    available = len(octets) - at
    if not verified:
        if available >= 3 and octets[at + 2] < SHORTEST_LENGTH:
            return Discard.BAD_LENGTH, 0
        if available < HEADER_OCTETS:
            return None, 0
        if not is_intact(octets[at : at + HEADER_OCTETS]):
            return Discard.HEADER_CRC, 0
        verified = HEADER_OCTETS
    total = FRAME_OCTETS[octets[at + 2]]
    whole = total
    if available < total:
        whole = available - (available - HEADER_OCTETS) % _WHOLE_BLOCK_OCTETS
    intact = intact_until(octets, at + verified, at + whole, _WHOLE_BLOCK_OCTETS) - at
    if intact < whole:
        return Discard.BODY_CRC, intact
    return total if whole == total else None, whole
