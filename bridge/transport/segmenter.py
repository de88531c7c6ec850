"""Fragments to segments (IEEE 1815 clause 8.2.1)."""

from __future__ import annotations

from bridge.link.frame import LONGEST_USER_DATA
from bridge.transport.segment import SEQUENCE_MODULUS, SegmentHeader

_STEP = LONGEST_USER_DATA - 1


def segments(fragment: bytes, first_sequence: int) -> list[bytes]:
    """Cut a fragment (at least one octet) into the user data of its frames, transport header first.

    `first_sequence` is 0 to 63. The sequence number after the last segment, with which the next fragment
    goes on, is `(first_sequence + len(segments)) % SEQUENCE_MODULUS`.
    """
    return [
        bytes(
            (
                SegmentHeader(
                    fir=at == 0,
                    fin=at + _STEP >= len(fragment),
                    sequence=(first_sequence + at // _STEP) % SEQUENCE_MODULUS,
                ).octet,
            )
        )
        + fragment[at : at + _STEP]
        for at in range(0, len(fragment), _STEP)
    ]
