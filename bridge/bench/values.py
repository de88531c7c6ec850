"""What a bench wire is, and what is told of it. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from bridge.routing.timing import octet_time_s

MOST_RTUS = 64
"""Far more than RS-485 drives; each is a pty, of which the machine has a few thousand for everybody."""
BRIDGE = 0
"""The bridge's number as a speaker and listener; the RTUs' are 1 and up."""


class Duplex(Enum):
    """Whether the bridge and the RTUs share one pair of wires."""

    HALF = "half"
    FULL = "full"


class Direction(Enum):
    """Which way octets travel."""

    TO_RTU = "to the RTU"
    TO_BRIDGE = "to the bridge"


@dataclass(frozen=True, slots=True, kw_only=True)
class MediumSettings:
    """What kind of wire it is. Raises ValueError for values that no wire has."""

    baud: int | None = 9600
    """Bits per second; None: octets take no time."""
    parity_bits: int = 0
    stop_bits: int = 1
    rtus: int = 1
    duplex: Duplex = Duplex.HALF
    is_echoing: bool = False
    """Whether speakers hear themselves, as behind a 2-wire adapter whose receiver stays on."""
    chunk_octets: int = 8
    latency_s: float | None = None
    """Default: four octet times. An FTDI adapter's is 0.016."""
    seed: int = 1
    """For what collisions, babble and a floating line sound like."""

    def __post_init__(self) -> None:
        if self.baud is not None and self.baud <= 0:
            raise ValueError(f"a baud rate is positive, not {self.baud}; None is a wire that takes no time")
        if self.parity_bits not in (0, 1) or self.stop_bits not in (1, 2):
            raise ValueError("there are 0 or 1 parity bits and 1 or 2 stop bits")
        if not 1 <= self.rtus <= MOST_RTUS or self.chunk_octets < 1:
            raise ValueError(f"there are 1 to {MOST_RTUS} RTUs, and at least one octet in a chunk")
        if self.latency_s is not None and not 0 <= self.latency_s < math.inf:
            raise ValueError(f"a latency is 0 seconds or more, not {self.latency_s}")

    @property
    def octet_s(self) -> float:
        """Return the seconds that one octet takes."""
        if self.baud is None:
            return 0.0
        return octet_time_s(self.baud, parity_bits=self.parity_bits, stop_bits=self.stop_bits)


@dataclass(frozen=True, slots=True)
class Hearing:
    """Octets that a listener's port delivers now."""

    listener: int
    octets: bytes


@dataclass(frozen=True, slots=True)
class Passage:
    """Octets that somebody heard, damage included; `time_s` is when the last of them had passed."""

    time_s: float
    direction: Direction
    octets: bytes
    speaker: int | None
    """Who said it; None is a floating line."""


@dataclass(slots=True)
class MediumCounters:
    """What happened since the wire was made, in octets where nothing else is said."""

    said: list[int]
    """By speaker; babble is not said."""
    unsaid: list[int]
    """By speaker: of these, what never went out, because he was dead or babbled."""
    collisions: int = 0
    """Times that a run of octets met another."""
    octets_collided: int = 0
    """Heard as garbage, or swallowed."""
    octets_damaged: int = 0
    """Put before frames, flipped, inserted or lost by `NoiseMaker`."""
    octets_babbled: int = 0
    octets_floated: int = 0
