"""How long octets take on a serial line, and the time limits that follow from it. Pure arithmetic.

Everywhere here `baud` is bits per second and positive, `parity_bits` is 0 or 1 and `stop_bits` is 1 or 2.
"""

from __future__ import annotations

from bridge.link.frame import LONGEST_FRAME

__all__ = [
    "LONGEST_FRAME",
    "default_frame_timeout_s",
    "default_request_ttl_s",
    "default_response_timeout_s",
    "frame_time_s",
    "octet_time_s",
]

_START_AND_DATA_BITS = 1 + 8
_RESPONSE_ALLOWANCE_S = 2.0
_REQUEST_TTL_S = 10.0
_STALL_ALLOWANCE_S = 0.1
_STALL_OCTETS = 40


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
