"""RTS switched around frames, from the event loop, to about a millisecond.

state      a frame is written                     its deadline passes
receiving  RTS to send, wait: leading             (none)
leading    joins those that wait                  all that wait go out: sending
sending    goes out, the hold is extended         unsent octets: look again in 1 ms; none: trailing
trailing   goes out: sending again                RTS to receive: receiving

`sending` lasts for the time of the octets. A driver that then goes on counting unsent octets without
sending any is not waited for: a bus that is never released is worse than a frame cut short.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol

from bridge.endpoints.direction import DirectionSettings

_RECHECK_S = 0.001
_STUCK_S = 0.1
_STUCK_OCTETS = 128
"""More than a transmitter's FIFO, which no driver counts, and a baud rate's error over a long frame."""


class RtsPort(Protocol):
    """What `RtsDirection` switches."""

    def set_rts(self, *, is_raised: bool) -> None:
        """Raise or lower RTS."""

    def put(self, octets: bytes) -> None:
        """Send octets, at once."""

    def unsent(self) -> int:
        """Return how many octets have not left yet, as far as that is known."""


class _State(Enum):
    RECEIVING = auto()
    LEADING = auto()
    SENDING = auto()
    TRAILING = auto()


class RtsDirection:
    """Switches RTS around frames; the rules are on top of this file.

    `clock` gives monotonic seconds. It is no argument `now`, because setting RTS takes time. `on_stuck` is
    told when RTS is released although octets are still unsent, as the driver counts. What the port raises
    passes through, and leaves the direction to `release`.
    """

    def __init__(
        self,
        port: RtsPort,
        settings: DirectionSettings,
        *,
        octet_s: float,
        clock: Callable[[], float],
        on_stuck: Callable[[], None],
    ) -> None:
        self._port = port
        self._settings = settings
        self._octet_s = octet_s
        self._clock = clock
        self._on_stuck = on_stuck
        self._state = _State.RECEIVING
        self._deadline: float | None = None
        self._waiting: list[bytes] = []
        self._sent_s = -math.inf
        self._least_unsent = sys.maxsize
        self._shrunk_s = -math.inf

    @property
    def is_leading(self) -> bool:
        """Whether frames wait for the end of the pre-transmit time."""
        return self._state is _State.LEADING

    def next_deadline(self) -> float | None:
        """When to call `on_deadline`, None while nothing is sent."""
        return self._deadline

    def write(self, octets: bytes) -> None:
        """Send a frame, now or when the pre-transmit time is over."""
        match self._state:
            case _State.RECEIVING:
                self._port.set_rts(is_raised=self._settings.rts_on_send)
                self._state = _State.LEADING
                self._deadline = self._clock() + self._settings.pre_transmit_s
                self._waiting.append(octets)
                if self._settings.pre_transmit_s <= 0:
                    self._send_waiting()
            case _State.LEADING:
                self._waiting.append(octets)
            case _State.SENDING | _State.TRAILING:
                self._send(octets)

    def on_deadline(self) -> None:
        """Go on if the deadline has passed."""
        if self._deadline is None or self._clock() < self._deadline:
            return
        match self._state:
            case _State.LEADING:
                self._send_waiting()
            case _State.SENDING:
                self._look_whether_sent()
            case _State.TRAILING:
                self.release()

    def release(self) -> None:
        """Put RTS to receive, whatever is being sent, and forget what waits."""
        self._state = _State.RECEIVING
        self._deadline = None
        self._waiting.clear()
        self._port.set_rts(is_raised=not self._settings.rts_on_send)

    def _send_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for octets in waiting:
            self._send(octets)

    def _send(self, octets: bytes) -> None:
        self._state = _State.SENDING
        self._port.put(octets)
        self._sent_s = max(self._sent_s, self._clock()) + len(octets) * self._octet_s
        self._deadline = self._sent_s
        self._least_unsent = sys.maxsize

    def _look_whether_sent(self) -> None:
        unsent = self._port.unsent()
        now = self._clock()
        if unsent and not self._is_stuck(unsent, now):
            self._deadline = now + _RECHECK_S
            return
        if unsent:
            self._on_stuck()
        self._state = _State.TRAILING
        self._deadline = now + self._settings.post_transmit_s
        if self._settings.post_transmit_s <= 0:
            self.release()

    def _is_stuck(self, unsent: int, now: float) -> bool:
        if unsent < self._least_unsent:
            self._least_unsent = unsent
            self._shrunk_s = now
        return now >= self._shrunk_s + _STUCK_S + _STUCK_OCTETS * self._octet_s
