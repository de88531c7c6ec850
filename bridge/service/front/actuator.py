"""What a relay does with a control relay output block: pure (IEEE 1815 annex A, g12v1).

Rules:
  1. LATCH_ON and LATCH_OFF set the output; it stays.
  2. PULSE_ON is on for the on-time and off for the off-time, `count` times. PULSE_OFF is off, then on.
  3. CLOSE and TRIP choose the coil of a breaker, which a PULSE_ON works: the breaker closes or trips, and
     stays. TRIP or CLOSE with another operation is not supported.
  4. NUL does nothing. The queue bit is obsolete: what asks for it is not supported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bridge.application.command import CommandStatus, Crob, Operation, TripClose

_LATCHES: Mapping[int, bool] = {Operation.LATCH_ON: True, Operation.LATCH_OFF: False}
_PULSES: Mapping[int, bool] = {Operation.PULSE_ON: True, Operation.PULSE_OFF: False}


def judge(crob: Crob) -> CommandStatus:
    """Say whether the relay can do it."""
    is_known = isinstance(crob.operation, Operation) and not crob.queue
    is_pair = crob.trip_close in (TripClose.CLOSE, TripClose.TRIP)
    if not is_known or crob.trip_close is TripClose.RESERVED:
        return CommandStatus.NOT_SUPPORTED
    if is_pair and crob.operation not in (Operation.PULSE_ON, Operation.NUL):
        return CommandStatus.NOT_SUPPORTED
    return CommandStatus.SUCCESS


def movements(crob: Crob) -> Iterator[tuple[bool, float]]:
    """Yield the states that the output takes, each with the seconds until the next one."""
    operation = crob.operation
    if operation in _LATCHES:
        yield _LATCHES[operation], 0.0
    elif operation in _PULSES:
        on_s, off_s = crob.on_time_ms / 1000, crob.off_time_ms / 1000
        first = _PULSES[operation]
        for _ in range(crob.count):
            yield first, on_s if first else off_s
            yield not first, off_s if first else on_s


def breaker_position(crob: Crob) -> bool | None:
    """Return whether the breaker is closed afterwards; None where the block is not about one."""
    if crob.operation is not Operation.PULSE_ON or not crob.count:
        return None
    return {TripClose.CLOSE: True, TripClose.TRIP: False}.get(crob.trip_close)
