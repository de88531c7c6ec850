"""Our own voice, taken out of what is heard.

An RS-485 adapter whose receiver stays on hears what it sends. What is heard right after a frame is compared
with that frame: an outstation's frame differs from ours in its fourth octet at the latest, by DIR, so four
equal octets are an echo. An echo that breaks off or differs later was spoiled by somebody who spoke at the
same time.
"""

from __future__ import annotations

_TELLING_OCTETS = 4
_MOST_EXPECTED = 8192


class EchoFilter:
    """Compares what one port hears with what it sent. `hold_s`: how long a few equal octets wait for more."""

    def __init__(self, *, hold_s: float) -> None:
        self._hold_s = hold_s
        self._expected = b""
        self._is_certain = False
        self._held = b""
        self._held_until_s = 0.0
        self.octets = 0
        """Octets of echo taken out."""
        self.spoiled = 0
        """Echoes that were not what was sent: somebody spoke at the same time."""

    def sent(self, octets: bytes) -> None:
        """Expect these octets, after those that are still expected."""
        if len(self._expected) < _MOST_EXPECTED:
            self._expected += octets

    def receive(self, octets: bytes, now: float) -> bytes:
        """Return what was heard without the echo."""
        if not self._expected:
            return octets
        octets, self._held = self._held + octets, b""
        expected = self._expected
        if not self._is_certain:
            telling = min(_TELLING_OCTETS, len(octets))
            if octets[:telling] != expected[:telling]:
                self._expected = b""
                return octets
            if len(octets) < _TELLING_OCTETS:
                self._held, self._held_until_s = octets, now + self._hold_s
                return b""
        return self._take_out(octets, expected)

    def next_deadline(self) -> float | None:
        """When what is held is no echo after all; None while nothing is held."""
        return self._held_until_s if self._held else None

    def on_deadline(self, now: float) -> bytes:
        """Return what was held too long. Early calls return nothing."""
        if not self._held or now < self._held_until_s:
            return b""
        octets = self._held
        self.reset()
        return octets

    def reset(self) -> None:
        """Expect nothing: the port was opened anew."""
        self._expected = self._held = b""
        self._is_certain = False

    def _take_out(self, octets: bytes, expected: bytes) -> bytes:
        shorter = min(len(octets), len(expected))
        if octets[:shorter] != expected[:shorter]:
            # Where the echo ends is not to be told: what somebody else said may begin like ours goes on.
            self.spoiled += 1
            self.reset()
            return octets
        self.octets += shorter
        if shorter == len(expected):
            self.reset()
        else:
            self._expected, self._is_certain = expected[shorter:], True
        return octets[shorter:]
