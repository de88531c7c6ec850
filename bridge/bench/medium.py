"""A serial wire as its stations hear it, octet by octet. Pure: octets and the time go in, hearings come out.

Rules:
  1. An octet takes one octet time and is heard when that is over. What one station says goes out back to
     back; such a run of octets is the unit of work here, for an octet is too small to be cheap.
  2. Half duplex: who speaks while another speaks collides with him. Of the run that began first every octet
     that is overlapped becomes garbage, which all hear, both speakers too. The other run's overlapped octets
     are swallowed: a receiver hears one octet per octet time, not two.
  3. Full duplex: the bridge has a pair of its own and never collides. The RTUs share the way back and do not
     hear each other; two of them at once collide there.
  4. A station hears what was carried in portions, as its UART interrupts: when `chunk_octets` wait, or
     `latency_s` after the first of them came.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from bridge.bench.noise import NoiseMaker
from bridge.bench.values import BRIDGE, Direction, Duplex, Hearing, MediumCounters, MediumSettings, Passage

_IDLE_OCTETS = 4
"""A UART's receiver reports what waits in its FIFO after about this silence: 32 bits on a Raspberry Pi."""
_ROUNDING_OCTETS = 0.01
"""Times are sums of floats: an octet that is this little short of its end has ended."""
_MOST_PASSAGES = 65_536
_MOST_CARRIED = 4096
"""Octets of a run that are remembered after they were carried."""
_BABBLE_OCTETS = 16
_MOST_FLOATED = 256
_UNPACED_OCTET_S = 10 / 9600
"""The pace of what has no end on a wire that takes no time: that of 9600 baud."""


@dataclass(slots=True, eq=False)
class _Run:
    """What one speaker says back to back. It may grow at the end."""

    speaker: int
    begun_s: float
    """When it began; decides who was first."""
    start_s: float
    """When the first octet that is remembered began."""
    octets: bytearray
    carried: int = 0
    """How many of these have passed."""


@dataclass(slots=True, eq=False)
class _Ear:
    octets: bytearray = field(default_factory=bytearray)
    since_s: float = 0.0
    """When the first of them had passed."""


@dataclass(slots=True, eq=False)
class _Babble:
    octets: bytes | None
    next_s: float


class Medium:
    """The wire: `say`, and `on_deadline` at `next_deadline`. `now` is monotonic seconds, never going back."""

    def __init__(self, settings: MediumSettings) -> None:
        self.settings = settings
        self.octet_s = settings.octet_s
        speakers = 1 + settings.rtus
        self._speakers = range(speakers)
        self._pace_s = self.octet_s or _UNPACED_OCTET_S
        latency_s = _IDLE_OCTETS * self.octet_s if settings.latency_s is None else settings.latency_s
        self._latency_s = latency_s
        self._random = random.Random(settings.seed)
        self._runs: list[_Run] = []
        self._last: list[_Run | None] = [None] * speakers
        self._ears = [_Ear() for _ in self._speakers]
        self._is_alive = [True] * speakers
        self._delay_s = [0.0] * speakers
        self._babble: dict[int, _Babble] = {}
        self._noise: dict[Direction, NoiseMaker] = {}
        self._floating = 0.0
        self._quiet_since_s = 0.0
        self._audience = [tuple(self._listeners(speaker)) for speaker in self._speakers]
        self.passages: deque[Passage] = deque(maxlen=_MOST_PASSAGES)
        """What passed, the newest last; the oldest of very many are forgotten."""
        self.counters = MediumCounters(said=[0] * speakers, unsaid=[0] * speakers)

    def _listeners(self, speaker: int) -> Iterable[int]:
        for listener in self._speakers:
            is_within_reach = self.settings.duplex is Duplex.HALF or BRIDGE in (speaker, listener)
            if self.settings.is_echoing if listener == speaker else is_within_reach:
                yield listener

    # Speaking and hearing

    def say(self, speaker: int, octets: bytes, now: float) -> None:
        """Send octets after what this speaker still sends."""
        self._advance(now)
        self.counters.said[speaker] += len(octets)
        if not self._is_alive[speaker] or speaker in self._babble:
            self.counters.unsaid[speaker] += len(octets)
            return
        maker = self._noise.get(_direction(speaker))
        if maker is not None:
            before = maker.octets
            octets = maker.damage(octets, speaker)
            self.counters.octets_damaged += maker.octets - before
        if octets:
            self._append(speaker, octets, now, now + self._delay_s[speaker])

    def waiting(self, speaker: int, now: float) -> int:
        """Return how many octets of a speaker have not passed yet."""
        run = self._last[speaker]
        return 0 if run is None else len(run.octets) - self._due(run, now)

    def next_deadline(self) -> float | None:
        """When `on_deadline` has something to do, or None while nothing is said and nothing waits."""
        deadlines = [ear.since_s + self._latency_s for ear in self._ears if ear.octets]
        deadlines += [babble.next_s for babble in self._babble.values()]
        for run in self._runs:
            left = len(run.octets) - run.carried
            if left:
                missing = max(1, self.settings.chunk_octets - self._fullest_ear(run.speaker))
                first_s = run.start_s + (run.carried + 1) * self.octet_s
                deadlines.append(first_s + self._latency_s)
                if missing <= left:
                    deadlines.append(first_s + (missing - 1) * self.octet_s)
        if self._floating:
            deadlines.append(self._quiet_since_s + self.settings.chunk_octets * self._pace_s)
        return min(deadlines, default=None)

    def on_deadline(self, now: float) -> list[Hearing]:
        """Return what the ports deliver now. Early calls are harmless, late ones deliver more at once."""
        self._advance(now)
        hearings = []
        for listener, ear in enumerate(self._ears):
            if not ear.octets:
                continue
            if len(ear.octets) >= self.settings.chunk_octets or now >= ear.since_s + self._latency_s:
                hearings.append(Hearing(listener, bytes(ear.octets)))
                ear.octets.clear()
        return hearings

    # Faults

    def make_noise(self, direction: Direction, maker: NoiseMaker) -> None:
        """Damage the frames of one direction from now on."""
        self._noise[direction] = maker

    def float_idle(self, share: float, now: float) -> None:
        """Let the idle line sound: this share (0 to 1) of idle octet times is heard as random octets."""
        if not 0 <= share <= 1:
            raise ValueError(f"a share of octet times is 0 to 1, not {share}")
        self._advance(now)
        self._floating = share
        self._quiet_since_s = max(self._quiet_since_s, now)

    def make_clean(self) -> None:
        """Damage no frames any more, and let the idle line be silent."""
        self._noise.clear()
        self._floating = 0.0

    def babble(self, speaker: int, octets: bytes | None, now: float) -> None:
        """Let a speaker talk without end: `octets` again and again, or random ones. He says nothing else."""
        self._advance(now)
        self._cut(speaker, now)
        run = self._last[speaker]
        self._babble[speaker] = _Babble(octets, now if run is None else max(now, self._end_s(run)))

    def hush(self, speaker: int, now: float) -> None:
        """End a speaker's babble."""
        self._advance(now)
        if self._babble.pop(speaker, None) is not None:
            self._cut(speaker, now)

    def die(self, speaker: int, now: float) -> None:
        """Let a speaker say and hear nothing. What he was sending breaks off."""
        self._advance(now)
        self._is_alive[speaker] = False
        self._cut(speaker, now)
        self._ears[speaker].octets.clear()

    def revive(self, speaker: int, now: float) -> None:
        """Let a speaker say and hear again, from now on."""
        self._advance(now)
        self._is_alive[speaker] = True

    def delay(self, speaker: int, seconds: float) -> None:
        """Let everything that a speaker begins to say go out this much later."""
        if not 0 <= seconds < math.inf:
            raise ValueError(f"a delay is 0 seconds or more, not {seconds}")
        self._delay_s[speaker] = seconds

    # Runs

    def _end_s(self, run: _Run) -> float:
        return run.start_s + len(run.octets) * self.octet_s

    def _due(self, run: _Run, now: float) -> int:
        if not self.octet_s:
            return len(run.octets) if now >= run.start_s else 0
        passed = int((now - run.start_s) / self.octet_s + _ROUNDING_OCTETS)
        return min(len(run.octets), max(0, passed))

    def _append(self, speaker: int, octets: bytes, now: float, start_s: float) -> None:
        run = self._last[speaker]
        if run is not None and self._end_s(run) > now:
            run.octets += octets
            return
        run = _Run(speaker, start_s, start_s, bytearray(octets))
        self._last[speaker] = run
        self._runs.append(run)
        self._runs.sort(key=lambda run: run.begun_s)

    def _cut(self, speaker: int, now: float) -> None:
        """Forget what a speaker has not sent."""
        run = self._last[speaker]
        if run is not None:
            del run.octets[self._due(run, now) :]

    def _advance(self, now: float) -> None:
        """Carry everything that has passed by now to the ears."""
        if self._babble:
            self._babble_on(now)
        for run in self._runs:
            due = self._due(run, now)
            if due > run.carried:
                self._carry(run, due)
        # An octet that has not passed yet began at most an octet time ago: nobody else's can overlap it.
        horizon_s = now - self.octet_s
        self._runs = [
            run for run in self._runs if run.carried < len(run.octets) or self._end_s(run) > horizon_s
        ]
        for run in self._runs:
            if run.carried > _MOST_CARRIED:
                self._shorten(run)
        if self._floating:
            self._float_on(now)

    def _shorten(self, run: _Run) -> None:
        forgotten = run.carried - 2
        del run.octets[:forgotten]
        run.carried -= forgotten
        run.start_s += forgotten * self.octet_s

    def _carry(self, run: _Run, due: int) -> None:
        octets = bytes(run.octets[run.carried : due])
        garbage = b""
        if len(self._runs) > 1 and self.octet_s:
            octets, garbage = self._collided(run, due, octets)
        first_s = run.start_s + (run.carried + 1) * self.octet_s
        last_s = run.start_s + due * self.octet_s
        is_heard = False
        for listener in self._audience[run.speaker]:
            is_heard |= self._hear(listener, octets, first_s)
        if garbage and not self.settings.is_echoing:
            # Its own speaker hears it too: it is not what he says.
            self._hear(run.speaker, garbage, first_s)
        run.carried = due
        if is_heard and octets:
            self.passages.append(Passage(last_s, _direction(run.speaker), octets, run.speaker))

    def _hear(self, listener: int, octets: bytes, first_s: float) -> bool:
        if not self._is_alive[listener]:
            return False
        ear = self._ears[listener]
        if not ear.octets:
            ear.since_s = first_s
        ear.octets += octets
        return True

    def _fullest_ear(self, speaker: int) -> int:
        return max((len(self._ears[listener].octets) for listener in self._audience[speaker]), default=0)

    # Collisions

    def _collided(self, run: _Run, due: int, octets: bytes) -> tuple[bytes, bytes]:
        """Return what is heard of these octets of a run, and what of that is garbage."""
        garbled: set[int] = set()
        swallowed: set[int] = set()
        is_rival_first = True
        for rival in self._runs:
            if rival is run:
                is_rival_first = False
            elif self._share_a_pair(run.speaker, rival.speaker):
                overlap = self._overlap(run, rival, due)
                (swallowed if is_rival_first else garbled).update(overlap)
                # Two runs meet at the beginning of the later one, if at all.
                if is_rival_first and overlap and overlap[0] == 0:
                    self.counters.collisions += 1
        self.counters.octets_collided += len(garbled | swallowed)
        heard, garbage = bytearray(), bytearray()
        for index, octet in enumerate(octets, run.carried):
            if index in swallowed:
                continue
            if index in garbled:
                garbage.append(self._random.randrange(256))
            heard.append(garbage[-1] if index in garbled else octet)
        return bytes(heard), bytes(garbage)

    def _share_a_pair(self, speaker: int, rival: int) -> bool:
        if speaker == rival:
            return False
        return self.settings.duplex is Duplex.HALF or BRIDGE not in (speaker, rival)

    def _overlap(self, run: _Run, rival: _Run, due: int) -> range:
        """Return the octets of a run, of those that pass now, during which a rival speaks."""
        if not rival.octets:
            return range(0)
        first = math.floor((rival.start_s - run.start_s) / self.octet_s + _ROUNDING_OCTETS)
        end = math.ceil((self._end_s(rival) - run.start_s) / self.octet_s - _ROUNDING_OCTETS)
        return range(max(first, run.carried), min(end, due))

    # What has no end

    def _babble_on(self, now: float) -> None:
        for speaker, babble in self._babble.items():
            # After a long sleep the time that was missed is not made up for.
            babble.next_s = max(babble.next_s, now - 1.0)
            while babble.next_s <= now:
                octets = babble.octets or self._random.randbytes(_BABBLE_OCTETS)
                if self._is_alive[speaker]:
                    self.counters.octets_babbled += len(octets)
                    self._append(speaker, octets, babble.next_s - self.octet_s / 2, babble.next_s)
                babble.next_s += len(octets) * self._pace_s

    def _float_on(self, now: float) -> None:
        for run in self._runs:
            if run.start_s <= now:
                self._quiet_since_s = max(self._quiet_since_s, self._end_s(run))
        slots = int((now - self._quiet_since_s) / self._pace_s + _ROUNDING_OCTETS)
        if slots <= 0:
            return
        first_s = self._quiet_since_s + self._pace_s
        self._quiet_since_s += slots * self._pace_s
        random_ = self._random
        sounding = sum(random_.random() < self._floating for _ in range(min(slots, _MOST_FLOATED)))
        octets = random_.randbytes(sounding)
        self.counters.octets_floated += len(octets)
        is_heard = [self._hear(listener, octets, first_s) for listener in self._speakers if octets]
        if any(is_heard):
            self.passages.append(Passage(self._quiet_since_s, Direction.TO_BRIDGE, octets, None))


def _direction(speaker: int) -> Direction:
    return Direction.TO_RTU if speaker == BRIDGE else Direction.TO_BRIDGE
