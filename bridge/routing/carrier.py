"""When the line is free to speak on: after what was heard, and after what we sent ourselves.

Rules:
  1. Nobody is interrupted: while a frame is only half heard the line is his, until its time limit.
  2. After the last octet heard comes the turnaround, in which his driver lets go of the line.
  3. Our own frames leave at the baud rate. A new exchange waits until the last octet has left and the port
     has let go; frames of the exchange on the wire follow back to back.
  4. After a broadcast the line stays silent for the dead time.
"""

from __future__ import annotations

from bridge.routing.timing import Timing

_NEVER = float("-inf")


class Carrier:
    """Listens before talk. All times are monotonic seconds."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._heard_s = _NEVER
        self.silent_from_s = _NEVER
        """From when nobody else is speaking, as far as was heard (rules 1 and 2)."""
        self.sent_until_s = _NEVER
        """When the last octet handed to the port leaves it."""
        self._begun_s = _NEVER
        self._dead_until_s = _NEVER

    def reset(self) -> None:
        """Begin anew: the port was just opened and nothing is under way."""
        self._heard_s = self.silent_from_s = self.sent_until_s = _NEVER
        self._begun_s = self._dead_until_s = _NEVER

    def heard(self, now: float, half_heard_until_s: float | None) -> None:
        """Take note of octets.

        `half_heard_until_s`: the time limit of a frame that is not whole yet, or of the rest of one that was
        damaged; None after a whole frame.
        """
        self._heard_s = now
        silent_from_s = now + self._timing.turnaround_s
        if half_heard_until_s is not None and half_heard_until_s > silent_from_s:
            silent_from_s = half_heard_until_s
        self.silent_from_s = silent_from_s

    def more_follows(self, now: float) -> None:
        """Leave the line to whoever speaks: the frame just heard is not his last."""
        self.silent_from_s = max(self.silent_from_s, now + self._timing.quiet_s)

    def sent(self, octets: int, now: float) -> None:
        """Take note of a frame handed to the port."""
        begins_s = self.sent_until_s
        if begins_s < now:
            begins_s = self._begun_s = now + self._timing.pre_transmit_s
        self.sent_until_s = begins_s + octets * self._timing.octet_s

    def keep_silent(self) -> None:
        """Add the dead time to what was just sent."""
        self._dead_until_s = self.sent_until_s + self._timing.broadcast_dead_time_s

    def answered(self, now: float) -> None:
        """An answer proves that the request has left, whatever the arithmetic says, once it has begun."""
        if self._begun_s <= now < self.sent_until_s:
            self.sent_until_s = now

    @property
    def speaking_until_s(self) -> float:
        """Until when whoever was heard last may still be at the same frame or fragment."""
        return self._heard_s + self._timing.quiet_s

    @property
    def free_from_s(self) -> float:
        """From when a new exchange may start (rules 1 to 4)."""
        free_from_s = self.sent_until_s + self._timing.post_transmit_s
        if free_from_s < self.silent_from_s:
            free_from_s = self.silent_from_s
        return free_from_s if free_from_s > self._dead_until_s else self._dead_until_s

    def is_port_full(self, now: float) -> bool:
        """Whether more waits in the port than it is good for."""
        return self.sent_until_s - now > self._timing.port_frames * self._timing.longest_frame_s
