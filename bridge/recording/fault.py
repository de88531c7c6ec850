"""When a recording is worth keeping: which faults, how many of them, and how often.

Rules:
  1. A fault asks for a file, which is due `after_s` later: what follows a fault explains it.
  2. Timeouts and CRC errors ask for one only as a burst: so many within `burst_s` on one line or server.
     A burst that goes on asks once.
  3. While a file is due, other faults ask for none: they are in it. After it, the same fault asks for none
     for `least_interval_s`, so that a line that comes and goes does not wear out the card.

Pure: times are seconds of one monotonic clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Fault(StrEnum):
    """What a recording is made for. The words stand in the names of files."""

    TIMEOUTS = "timeouts"
    """Requests that got no answer, in a burst."""
    CRC_ERRORS = "crc_errors"
    """Frames with wrong CRCs, in a burst."""
    PRE_EMPTED = "pre_empted"
    """A newer connection took over a session."""
    LINE_DOWN = "line_down"
    """A port that was open is gone."""
    BABBLE = "babble"
    """Somebody began to talk without end."""
    ON_DEMAND = "on_demand"
    """Somebody asked for it. Not a fault, and asked for elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultLimits:
    """How many faults make a burst, and the times around a file."""

    timeouts: int = 5
    crc_errors: int = 10
    burst_s: float = 60.0
    after_s: float = 10.0
    least_interval_s: float = 600.0


class Due(NamedTuple):
    """A file that is to be written now: for what, when that was, and how many faults asked in vain before."""

    fault: Fault
    at_s: float
    in_vain: int


class FaultWatch:
    """Decides when a file is due."""

    def __init__(self, limits: FaultLimits) -> None:
        self._limits = limits
        self._bursts = {Fault.TIMEOUTS: limits.timeouts, Fault.CRC_ERRORS: limits.crc_errors}
        self._times: dict[tuple[Fault, int], deque[float]] = {}
        self._in_burst: set[tuple[Fault, int]] = set()
        self._not_before: dict[Fault, float] = {}
        self._asked: tuple[Fault, float] | None = None
        self._in_vain = 0

    def happened(self, fault: Fault, interface: int, now: float) -> None:
        """Take note of a fault on a line or a server."""
        if not self._counts(fault, interface, now) or self._asked is not None:
            return
        if now < self._not_before.get(fault, now):
            self._in_vain += 1
        else:
            self._asked = fault, now

    def next_deadline(self) -> float | None:
        """When `on_deadline` should be called, or None."""
        return None if self._asked is None else self._asked[1] + self._limits.after_s

    def on_deadline(self, now: float) -> Due | None:
        """Return the file that is due. Early calls do nothing."""
        deadline = self.next_deadline()
        if self._asked is None or deadline is None or now < deadline:
            return None
        fault, at_s = self._asked
        due = Due(fault, at_s, self._in_vain)
        self._asked, self._in_vain = None, 0
        self._not_before[fault] = now + self._limits.least_interval_s
        return due

    def _counts(self, fault: Fault, interface: int, now: float) -> bool:
        """Tell whether this one is a fault by itself, or the one that makes a burst."""
        most = self._bursts.get(fault)
        if most is None:
            return True
        key = fault, interface
        times = self._times.setdefault(key, deque(maxlen=most))
        times.append(now)
        was_in_burst = key in self._in_burst
        if len(times) == most and now - times[0] <= self._limits.burst_s:
            self._in_burst.add(key)
            return not was_in_burst
        self._in_burst.discard(key)
        return False
