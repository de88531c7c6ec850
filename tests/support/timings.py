"""A line's times for tests: instant and patient unless a test says otherwise."""

from __future__ import annotations

from dataclasses import replace

from bridge.routing.timing import Timing

_PATIENT = Timing(
    octet_s=1e-6,
    response_timeout_s=60.0,
    quiet_s=60.0,
    request_ttl_s=60.0,
    control_ttl_s=60.0,
    exchange_limit_s=600.0,
    babble_s=600.0,
)


def timing(**changes: float | int) -> Timing:
    """Return patient times with changes."""
    return replace(_PATIENT, **changes)  # type: ignore[arg-type]
