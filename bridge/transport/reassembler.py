"""Segments to fragments (IEEE 1815 clause 8.2.2).

Rules:
  1. A segment with FIR begins a fragment, whatever its sequence number; an unfinished one is dropped.
  2. Without FIR there must be an unfinished fragment, and the sequence number must be the next, modulo 64.
  3. A segment equal to the one before it, header included, is a repeat: it is ignored, the fragment goes on.
  4. Any other sequence number drops the fragment and the segment.
  5. A fragment that outgrows `longest_fragment` is dropped as soon as it does. Nothing longer is ever held.
  6. FIN ends the fragment. What follows without FIR belongs to nothing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from bridge.transport.segment import SEQUENCE_MODULUS, SegmentHeader


class SegmentDiscard(StrEnum):
    """Why a segment, or the unfinished fragment before it, was dropped. Each is counted once an event."""

    EMPTY = "empty"
    """User data without an octet of a fragment in it."""
    NO_BEGINNING = "no_beginning"
    """A segment without FIR while no fragment was unfinished."""
    RESTARTED = "restarted"
    """An unfinished fragment that a segment with FIR replaced."""
    REPEATED = "repeated"
    """A segment that came twice; the fragment goes on."""
    WRONG_SEQUENCE = "wrong_sequence"
    """A gap in the sequence: the unfinished fragment and this segment."""
    OVERSIZE = "oversize"
    """A fragment longer than we take."""
    ABANDONED = "abandoned"
    """An unfinished fragment held at `reset()`."""


_ENDS_FRAGMENT = frozenset({SegmentDiscard.RESTARTED, SegmentDiscard.WRONG_SEQUENCE, SegmentDiscard.OVERSIZE})


@dataclass(slots=True)
class ReassemblerCounters:
    """What went through a reassembler."""

    segments: int = 0
    fragments: int = 0
    discards: Counter[SegmentDiscard] = field(default_factory=Counter)


class Reassembler:
    """Joins the segments of one source. Nothing that a peer sends makes any method raise."""

    def __init__(self, longest_fragment: int) -> None:
        self._longest_fragment = longest_fragment
        self._fragment = bytearray()
        self._last_segment: bytes | None = None
        """The segment before, while its fragment is unfinished."""
        self.counters = ReassemblerCounters()

    def receive(self, user_data: bytes) -> bytes | None:
        """Take the user data of one frame; return the fragment that it completed, else None."""
        self.counters.segments += 1
        reason = self._judge(user_data)
        if reason is not None:
            self.counters.discards[reason] += 1
            if reason in _ENDS_FRAGMENT:
                self._forget()
            if reason is not SegmentDiscard.RESTARTED:
                return None
        self._fragment += user_data[1:]
        if not SegmentHeader.of(user_data[0]).fin:
            self._last_segment = user_data
            return None
        fragment = bytes(self._fragment)
        self._forget()
        self.counters.fragments += 1
        return fragment

    def reset(self) -> None:
        """Forget an unfinished fragment, counted as abandoned, and begin anew as for a new peer."""
        if self._last_segment is not None:
            self.counters.discards[SegmentDiscard.ABANDONED] += 1
        self._forget()

    def _judge(self, user_data: bytes) -> SegmentDiscard | None:
        """Return what is wrong with a segment where it stands, RESTARTED included, or None."""
        if len(user_data) < 2:
            return SegmentDiscard.EMPTY
        header = SegmentHeader.of(user_data[0])
        last = self._last_segment
        held = 0 if header.fir else len(self._fragment)
        if not header.fir:
            if last is None:
                return SegmentDiscard.NO_BEGINNING
            if user_data == last:
                return SegmentDiscard.REPEATED
            if header.sequence != (last[0] + 1) % SEQUENCE_MODULUS:
                return SegmentDiscard.WRONG_SEQUENCE
        if held + len(user_data) - 1 > self._longest_fragment:
            return SegmentDiscard.OVERSIZE
        return SegmentDiscard.RESTARTED if header.fir and last is not None else None

    def _forget(self) -> None:
        self._fragment.clear()
        self._last_segment = None
