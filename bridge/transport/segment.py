"""The transport header, first octet of a frame's user data (IEEE 1815 clause 8.2)."""

from __future__ import annotations

from dataclasses import dataclass

FIN = 0x80
FIR = 0x40
_SEQUENCE = 0x3F

SEQUENCE_MODULUS = _SEQUENCE + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentHeader:
    """One transport octet, taken apart: first and final segment of a fragment, sequence 0 to 63."""

    fir: bool
    fin: bool
    sequence: int

    @classmethod
    def of(cls, octet: int) -> SegmentHeader:
        """Return the transport octet's one shared instance; `octet` is 0 to 255."""
        return _HEADERS[octet]

    @property
    def octet(self) -> int:
        """The header as it stands on the wire."""
        return (FIN if self.fin else 0) | (FIR if self.fir else 0) | self.sequence


_HEADERS = tuple(
    SegmentHeader(fir=bool(octet & FIR), fin=bool(octet & FIN), sequence=octet & _SEQUENCE)
    for octet in range(256)
)
