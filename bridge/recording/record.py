"""What is recorded: one frame, one stretch of octets that are no frame, or one event."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from bridge.link.frame import LONGEST_FRAME


class Kind(IntEnum):
    """What a record is of. Directions are those of this program."""

    HEARD = 0
    """A whole frame that came from the line or the master."""
    SENT = 1
    """A frame that went out."""
    DISCARDED = 2
    """Octets that came and are in no frame; the detail has the reasons, as counted."""
    DROPPED = 3
    """A frame that went nowhere; the detail has the reason, as counted."""
    EVENT = 4
    """Something that happened; the detail says what."""


Record = tuple[int, int, int, bytes, str]
"""Nanoseconds of the monotonic clock, the channel's number, the kind, octets, detail."""

Source = tuple[int, int, str]
"""The channel's number, the kind and the detail. Frames of one channel have theirs in common."""

RECORD_OCTETS = 120
"""What a record takes in memory besides its octets (CPython 3.11, 64 bits)."""
SOURCE_OCTETS = 130
"""What a source of its own takes, besides the letters of its detail."""
CHANNEL_OCTETS = 500
LONGEST_STRETCH = 2 * LONGEST_FRAME
"""Discarded octets beyond so many are another record."""
LONGEST_DETAIL = 400


@dataclass(frozen=True, slots=True)
class Interface:
    """A line or a server: what a capture calls an interface. `speed_bits_s` is a line's baud rate, or 0."""

    name: str
    description: str
    speed_bits_s: int = 0


@dataclass(frozen=True, slots=True)
class Channel:
    """Where records come from: the line at an interface, or one session of the server there.

    `peer` is a master's IP address and port, None for a line.
    """

    interface: int
    peer: tuple[str, int] | None = None
