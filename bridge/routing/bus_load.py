"""How busy a line is: the share of the time in which octets were on the wire, over the last minute."""

from __future__ import annotations

from collections import deque

WINDOW_S = 60.0
_SHORTEST_S = 10.0
"""Less time is taken for as much: the first request of a line that was just made is no full load."""


class BusLoad:
    """Keeps how many octets there were when, and needs to be told so every few seconds. Sans-I/O."""

    def __init__(self, octet_s: float) -> None:
        """Begin with nothing; an octet takes `octet_s` seconds on the wire."""
        self._octet_s = octet_s
        self._samples: deque[tuple[float, int]] = deque()

    def sample(self, now: float, octets: int) -> None:
        """Take note of how many octets were sent and heard until now, altogether."""
        samples = self._samples
        samples.append((now, octets))
        # The oldest one kept is the last from before the window.
        while len(samples) > 1 and samples[1][0] <= now - WINDOW_S:
            samples.popleft()

    def share(self, now: float, octets: int) -> float:
        """Return the share, 0 to 1, since the window began; both directions of a line are added up."""
        if not self._samples:
            return 0.0
        began_s, octets_before = self._samples[0]
        busy_s = (octets - octets_before) * self._octet_s
        # What was handed to the driver a moment ago is counted already, and still takes its time.
        return min(1.0, busy_s / max(now - began_s, _SHORTEST_S))
