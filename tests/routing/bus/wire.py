"""A half-duplex wire: octets take their time, and who speaks at the same time spoils both."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from bridge.routing.timing import Timing
from tests.routing.bus.clock import Clock
from tests.routing.bus.records import Submission
from tests.routing.bus.scenario import Faults

_LONGEST_CHUNK_OCTETS = 40


@dataclass(slots=True, eq=False)
class Talk:
    """One frame, or some noise, of somebody who is not us."""

    octets: bytes
    start_s: float
    end_s: float
    heard: int = 0
    heard_s: float = 0.0
    is_intact: bool = True


class Wire:
    """Carries what we send to the outstations, and what they say to us."""

    def __init__(self, clock: Clock, timing: Timing, faults: Faults, rng: random.Random) -> None:
        self._clock, self._timing, self._faults, self._rng = clock, timing, faults, rng
        self.octet_s = timing.octet_s
        self.hear: Callable[[bytes], None] = lambda _: None
        """Who gets the octets heard."""
        self.is_port_open = False
        self.reached: Callable[[Submission], None] = lambda _: None
        """Who gets the frames that reach the outstations."""
        self.talks: list[Talk] = []
        self._own: list[tuple[float, float]] = []
        self.own_until_s = float("-inf")
        """When our own last octet leaves."""
        self.last_heard_s = float("-inf")
        self._generation = 0

    def cut(self) -> None:
        """Lose everything on the wire: the port is gone."""
        self._generation += 1
        self.is_port_open = False
        self.talks.clear()
        self._own.clear()
        self.own_until_s = self.last_heard_s = float("-inf")

    def busy_until_s(self) -> float:
        """Until when somebody speaks, as an outstation hears it."""
        ends = [talk.end_s for talk in self.talks]
        return max([self.own_until_s, *ends])

    def send(self, submission: Submission) -> None:
        """Send our own frame: back to back with the one before, if that has not left."""
        now = self._clock.now
        start_s = self.own_until_s if self.own_until_s >= now else now + self._timing.pre_transmit_s
        self.own_until_s = end_s = start_s + len(submission.octets) * self.octet_s
        own = start_s, end_s
        self._own = [each for each in self._own if each[1] > now - 1.0]
        self._own.append(own)
        generation = self._generation

        def arrive() -> None:
            if generation == self._generation and not self._is_talked_over(*own):
                self.reached(submission)

        self._clock.at(end_s, arrive)

    def say(self, octets: bytes, *, is_frame: bool = True) -> float:
        """Let somebody else speak from now on and return when he ends."""
        rng, faults, now = self._rng, self._faults, self._clock.now
        talk = Talk(octets, now, now + len(octets) * self.octet_s, is_intact=is_frame)
        if is_frame and rng.random() < faults.damaged:
            at = rng.randrange(len(octets))
            talk.octets = octets[:at] + bytes((octets[at] ^ rng.randrange(1, 256),)) + octets[at + 1 :]
            talk.is_intact = False
        if is_frame and rng.random() < faults.cut_short:
            talk.octets = octets[: rng.randrange(1, len(octets))]
            talk.is_intact = False
        for other in self.talks:
            if other.end_s > now:
                talk.is_intact = other.is_intact = False
        self.talks = [each for each in self.talks if each.end_s > now - 1.0]
        self.talks.append(talk)
        self._schedule(talk)
        return talk.end_s

    def _schedule(self, talk: Talk) -> None:
        at = 0
        generation = self._generation
        while at < len(talk.octets):
            end = min(len(talk.octets), at + self._rng.randint(1, 2 * _LONGEST_CHUNK_OCTETS))
            end = min(end, at + _LONGEST_CHUNK_OCTETS)

            def arrive(at: int = at, end: int = end) -> None:
                if generation == self._generation:
                    self._heard(talk, at, end)

            self._clock.at(talk.start_s + end * self.octet_s, arrive)
            at = end

    def _heard(self, talk: Talk, at: int, end: int) -> None:
        octets = talk.octets[at:end]
        start_s, end_s = talk.start_s + at * self.octet_s, talk.start_s + end * self.octet_s
        is_over_ours = any(
            start_s < own_end_s and own_start_s < end_s for own_start_s, own_end_s in self._own
        )
        if is_over_ours or self._is_talked_over(start_s, end_s, but=talk):
            talk.is_intact = False
            octets = bytes(octet ^ 0x5A for octet in octets)
        if end == len(talk.octets) and self._rng.random() < self._faults.noise_after:
            octets += self._rng.randbytes(self._rng.randint(1, 5))
        if not self.is_port_open:
            talk.is_intact = False
            return
        talk.heard, talk.heard_s = end, self._clock.now
        self.last_heard_s = self._clock.now
        self.hear(octets)

    def _is_talked_over(self, start_s: float, end_s: float, *, but: Talk | None = None) -> bool:
        return any(talk is not but and start_s < talk.end_s and talk.start_s < end_s for talk in self.talks)
