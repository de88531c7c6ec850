"""Fragments to segments (IEEE 1815 clause 8.2.1)."""

from __future__ import annotations

from bridge.link.frame import LONGEST_USER_DATA
from bridge.transport.segment import FIN, FIR, SEQUENCE_MODULUS

_STEP = LONGEST_USER_DATA - 1
_OCTETS = tuple(bytes((octet,)) for octet in range(256))


def segments(fragment: bytes, first_sequence: int) -> list[bytes]:
    """Cut a fragment (at least one octet) into the user data of its frames, transport header first.

    `first_sequence` is 0 to 63. The sequence number after the last segment, with which the next fragment
    goes on, is `(first_sequence + len(segments)) % SEQUENCE_MODULUS`.
    """
    last = len(fragment) - _STEP
    return [
        _OCTETS[
            (first_sequence + number) % SEQUENCE_MODULUS | (0 if at else FIR) | (FIN if at >= last else 0)
        ]
        + fragment[at : at + _STEP]
        for number, at in enumerate(range(0, len(fragment), _STEP))
    ]
