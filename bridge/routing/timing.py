"""How long octets take on a serial line, and the time limits that follow from it. Pure arithmetic.

Everywhere here `baud` is bits per second and positive, `parity_bits` is 0 or 1 and `stop_bits` is 1 or 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from bridge.link.frame import LONGEST_FRAME

__all__ = [
    "LONGEST_FRAGMENT_OCTETS",
    "LONGEST_FRAME",
    "Timing",
    "bits_s",
    "default_babble_s",
    "default_broadcast_dead_time_s",
    "default_control_ttl_s",
    "default_exchange_limit_s",
    "default_frame_timeout_s",
    "default_request_ttl_s",
    "default_response_timeout_s",
    "default_turnaround_s",
    "frame_time_s",
    "octet_time_s",
]

LONGEST_FRAGMENT_OCTETS = 9 * LONGEST_FRAME
"""What a fragment of 2048 octets takes on the line: nine segments of 249, each in a frame."""

_START_AND_DATA_BITS = 1 + 8
_RESPONSE_ALLOWANCE_S = 2.0
_REQUEST_TTL_S = 10.0
_STALL_ALLOWANCE_S = 0.1
_STALL_OCTETS = 40
_CONTROL_TTL_S = 5.0
_EXCHANGE_FRAGMENTS = 16
_EXCHANGE_LIMIT_S = 60.0
_TURNAROUND_OCTETS = 2
_BABBLE_ALLOWANCE_S = 3.0
_BROADCAST_DEAD_TIME_S = 0.3


@dataclass(frozen=True, slots=True)
class Timing:
    """A line's times, in seconds, and how many frames may wait."""

    octet_s: float
    response_timeout_s: float
    quiet_s: float
    """How long after the last octet heard a started frame may still go on."""
    request_ttl_s: float
    control_ttl_s: float
    exchange_limit_s: float
    """How long one exchange may hold the line, however lively."""
    babble_s: float
    """How long the line may be talked on without a pause and without an awaited answer."""
    turnaround_s: float = 0.0
    """Silence between the last octet heard and the first one sent."""
    pre_transmit_s: float = 0.0
    post_transmit_s: float = 0.0
    """How long the port holds the line before the first and after the last octet that it sends."""
    broadcast_dead_time_s: float = 0.0
    """Silence after a broadcast, in which the outstations do what it says."""
    queue_frames: int = 256
    port_frames: int = 16
    """Longest frames that may be handed to the port ahead of the wire: the segments of one request."""

    @property
    def longest_frame_s(self) -> float:
        """The time that a longest frame takes."""
        return LONGEST_FRAME * self.octet_s


def octet_time_s(baud: int, *, parity_bits: int, stop_bits: int) -> float:
    """Return the seconds that one octet takes: 10 bits for 8N1, 11 with parity or a second stop bit."""
    return (_START_AND_DATA_BITS + parity_bits + stop_bits) / baud


def frame_time_s(octets: int, baud: int, *, parity_bits: int, stop_bits: int) -> float:
    """Return the seconds that `octets` take back to back."""
    return octets * octet_time_s(baud, parity_bits=parity_bits, stop_bits=stop_bits)


def default_response_timeout_s(baud: int, *, parity_bits: int, stop_bits: int) -> float:
    """Return how long to wait for an answer: 2 s for the device to think, plus one longest frame."""
    longest_s = frame_time_s(LONGEST_FRAME, baud, parity_bits=parity_bits, stop_bits=stop_bits)
    return _RESPONSE_ALLOWANCE_S + longest_s


def default_request_ttl_s(response_timeout_s: float) -> float:
    """Return how long a request may wait for its turn: 10 s, or two silent devices' time on a slow line."""
    return max(_REQUEST_TTL_S, 2 * response_timeout_s)


def default_frame_timeout_s(baud: int, *, parity_bits: int, stop_bits: int) -> float:
    """Return the stall inside a frame after which its rest is lost: 100 ms plus 40 octets.

    The 100 ms cover the latency timer of USB adapters (16 ms) and a busy scheduler, not the wire.
    """
    stall_s = frame_time_s(_STALL_OCTETS, baud, parity_bits=parity_bits, stop_bits=stop_bits)
    return _STALL_ALLOWANCE_S + stall_s


def bits_s(bits: float, baud: int) -> float:
    """Return the seconds that `bits` bit times take."""
    return bits / baud


def default_control_ttl_s(response_timeout_s: float, request_ttl_s: float) -> float:
    """Return how long a control may wait for its turn: 5 s, and never longer than any request may.

    On a slow line it is one silent device's time and a half, or the control behind one would never go.
    """
    return min(request_ttl_s, max(_CONTROL_TTL_S, 1.5 * response_timeout_s))


def default_exchange_limit_s(baud: int, *, parity_bits: int, stop_bits: int) -> float:
    """Return how long one exchange may hold the line: 60 s, or sixteen longest fragments on a slow line."""
    fragment_s = frame_time_s(LONGEST_FRAGMENT_OCTETS, baud, parity_bits=parity_bits, stop_bits=stop_bits)
    return max(_EXCHANGE_LIMIT_S, _EXCHANGE_FRAGMENTS * fragment_s)


def default_turnaround_s(baud: int, *, parity_bits: int, stop_bits: int) -> float:
    """Return the silence before we speak after somebody else: two octets, for his driver to let go.

    In whole milliseconds, as timers count. So it is nothing from 38400 baud on, where the way through the
    bridge takes as long.
    """
    octets_s = frame_time_s(_TURNAROUND_OCTETS, baud, parity_bits=parity_bits, stop_bits=stop_bits)
    return math.floor(octets_s * 1000) / 1000


def default_babble_s(baud: int, *, parity_bits: int, stop_bits: int) -> float:
    """Return how long talk that nobody awaits is no fault: 3 s and the time of a longest fragment."""
    fragment_s = frame_time_s(LONGEST_FRAGMENT_OCTETS, baud, parity_bits=parity_bits, stop_bits=stop_bits)
    return _BABBLE_ALLOWANCE_S + fragment_s


def default_broadcast_dead_time_s() -> float:
    """Return the silence after a broadcast: 300 ms, which covers a freeze or a time write."""
    return _BROADCAST_DEAD_TIME_S
