"""From a master's frames to its requests: segments wait for the last one, so that all go out back to back.

A segment that the link layer acknowledges is a request of its own: its master sends the next one only after
the acknowledgement, so waiting for the rest would be waiting for ever.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from bridge.link.frame import Frame
from bridge.routing.drop import Drop
from bridge.routing.stimulus import Reading, Stimulus

_MOST_SEGMENTS = 16
"""The longest fragment, 2048 octets, takes nine."""
_LAST = {
    Stimulus.LAST_SEGMENT: Stimulus.WHOLE_REQUEST,
    Stimulus.LAST_SEGMENT_UNANSWERED: Stimulus.UNANSWERED,
}
"""What a request is when its last segment is there."""

_IN_SEGMENTS = frozenset({Stimulus.REQUEST, Stimulus.SEGMENT, *_LAST})


class Request(NamedTuple):
    """All frames of a request, and what it means."""

    frames: tuple[Frame, ...]
    reading: Reading
    expires_s: float


class Refused(NamedTuple):
    """Frames that go nowhere."""

    frames: tuple[Frame, ...]
    reason: Drop


class Assembly:
    """The requests of one master to one outstation."""

    def __init__(self) -> None:
        self._frames: list[Frame] = []
        self._reading: Reading | None = None
        self._expires_s = 0.0

    def take(
        self, frame: Frame, reading: Reading, *, now: float, expires_s: float
    ) -> list[Request | Refused]:
        """Take the next frame and return what is settled by it; `expires_s` counts for a request's first."""
        if reading.stimulus is Stimulus.SEGMENT or reading.stimulus in _LAST:
            return self._append(frame, reading, now)
        settled: list[Request | Refused] = []
        if reading.starts_fragment:
            settled += self.give_up(Drop.SUPERSEDED)
        if reading.stimulus is Stimulus.REQUEST and not reading.asks_link_answer:
            self._frames, self._reading, self._expires_s = [frame], reading, expires_s
            return settled
        return [*settled, Request((frame,), reading, expires_s)]

    def is_needless(self, reading: Reading) -> bool:
        """Tell whether a frame is a whole request, and nothing is gathered that it would put an end to."""
        return not self._frames and reading.stimulus not in _IN_SEGMENTS

    def continues(self, reading: Reading) -> bool:
        """Tell whether a frame is a later segment of the request that is gathered here."""
        return bool(self._frames) and (reading.stimulus is Stimulus.SEGMENT or reading.stimulus in _LAST)

    def give_up(self, reason: Drop) -> list[Refused]:
        """Forget the segments that wait for more."""
        if not self._frames:
            return []
        refused = Refused(tuple(self._frames), reason)
        self._frames = []
        return [refused]

    def _append(self, frame: Frame, reading: Reading, now: float) -> list[Request | Refused]:
        if not self._frames or self._reading is None:
            return [Refused((frame,), Drop.ORPHAN_SEGMENT)]
        self._frames.append(frame)
        if len(self._frames) > _MOST_SEGMENTS:
            return [*self.give_up(Drop.QUEUE_FULL)]
        if reading.stimulus is Stimulus.SEGMENT:
            return []
        if now >= self._expires_s:
            return [*self.give_up(Drop.EXPIRED)]
        frames, self._frames = tuple(self._frames), []
        whole = replace(self._reading, stimulus=_LAST[reading.stimulus])
        return [Request(frames, whole, self._expires_s)]
