"""The requests of all sessions that wait for their turn on a line.

Rules:
  1. Sessions take turns: the one whose last turn is longest ago is next, and of its outstations the one
     whose last turn is longest ago. A new session comes behind those that are there: hanging up and coming
     back is no way to the front.
  2. What ends somebody else's wait (confirms, link replies) goes first, then controls, then the rest: but no
     more than a few turns in a row are taken before their time, and none from who has waited for a response
     timeout or is about to expire, so that nobody starves.
  3. What waited longer than it is worth is taken out, never sent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from enum import IntEnum

from bridge.link.frame import Frame
from bridge.routing.stimulus import Reading, Stimulus

_MOST_JUMPS = 4
_NEVER = float("inf")


class Rank(IntEnum):
    """The order of what waits (rule 2)."""

    ENDS_A_WAIT = 0
    CONTROL = 1
    REQUEST = 2


_ENDS_A_WAIT = frozenset({Stimulus.CONFIRM, Stimulus.UNSOLICITED_CONFIRM, Stimulus.LINK_REPLY})


def rank_of(reading: Reading) -> Rank:
    """Return the rank of what a master's frame starts."""
    if reading.stimulus in _ENDS_A_WAIT:
        return Rank.ENDS_A_WAIT
    return Rank.CONTROL if reading.is_control else Rank.REQUEST


@dataclass(slots=True, eq=False)
class Waiting:
    """A request with all of its frames, which go out back to back."""

    session: Hashable
    address: int
    frames: tuple[Frame, ...]
    reading: Reading
    rank: Rank
    arrived_s: float
    expires_s: float
    asking_since_s: float | None = None
    """When its master began to ask, if this takes the place of an earlier request."""

    @property
    def waits_since_s(self) -> float:
        """Since when its master has been waiting for this outstation."""
        return self.arrived_s if self.asking_since_s is None else self.asking_since_s


class Queue:
    """What waits on one line."""

    def __init__(self, *, urgent_s: float) -> None:
        """`urgent_s`: who has waited so long, or expires so soon, is not passed by any more."""
        self._urgent_s = urgent_s
        self.waiting: deque[Waiting] = deque()
        """In the order of arrival; to be read only."""
        self._expiry_s = _NEVER
        """No request expires sooner."""
        self._turns = 0
        self._last_turn: dict[Hashable, int] = {}
        self._last_turn_with: dict[Hashable, dict[int, int]] = {}
        """Of a session with an outstation."""
        self._jumps = 0

    @property
    def frames(self) -> int:
        """How many frames wait."""
        return sum(len(waiting.frames) for waiting in self.waiting)

    def frames_of(self, session: Hashable) -> int:
        """How many frames of one session wait."""
        return sum(len(waiting.frames) for waiting in self.waiting if waiting.session is session)

    def add(self, waiting: Waiting) -> None:
        """Let a request wait."""
        self.waiting.append(waiting)
        session = waiting.session
        if session not in self._last_turn:
            self._last_turn[session] = self._turns
            self._last_turn_with[session] = {}
        self._last_turn_with[session].setdefault(waiting.address, self._turns)
        if waiting.expires_s < self._expiry_s:
            self._expiry_s = waiting.expires_s

    def forget(self, session: Hashable) -> None:
        """Forget when a session had its last turn: it is over."""
        self._last_turn.pop(session, None)
        self._last_turn_with.pop(session, None)

    def next_expiry(self) -> float | None:
        """When a request may expire, or None: never later than it does."""
        return self._expiry_s if self.waiting else None

    def remove(self, is_unwanted: Callable[[Waiting], bool]) -> list[Waiting]:
        """Take out and return every request that is no longer wanted."""
        removed = [waiting for waiting in self.waiting if is_unwanted(waiting)]
        for waiting in removed:
            self.waiting.remove(waiting)
        return removed

    def remove_expired(self, now: float) -> list[Waiting]:
        """Take out and return what waited longer than it is worth (rule 3)."""
        if now < self._expiry_s:
            return []
        expired = self.remove(lambda waiting: now >= waiting.expires_s)
        self._expiry_s = min((waiting.expires_s for waiting in self.waiting), default=_NEVER)
        return expired

    def next_start(self, starts_from: Callable[[Waiting], float]) -> float | None:
        """When the first request may start, by what `starts_from` says of each."""
        return min(map(starts_from, self.waiting), default=None)

    def take(self, now: float, starts_from: Callable[[Waiting], float]) -> Waiting | None:
        """Take out the request whose turn it is, among those that may start now."""
        if len(self.waiting) == 1:
            # Nobody to choose from: most requests come to a line that is free.
            if starts_from(self.waiting[0]) > now:
                return None
            chosen = self.waiting.popleft()
        else:
            able = [waiting for waiting in self.waiting if starts_from(waiting) <= now]
            if not able:
                return None
            chosen = able[0] if len(able) == 1 else self._choose(able, now)
            self.waiting.remove(chosen)
        self._turns += 1
        self._last_turn[chosen.session] = self._turns
        self._last_turn_with[chosen.session][chosen.address] = self._turns
        return chosen

    def _choose(self, able: list[Waiting], now: float) -> Waiting:
        due = min(able, key=self._last_turns)
        first = min(able, key=lambda waiting: (waiting.rank, self._last_turns(waiting)))
        is_due_urgent = due.expires_s - now <= self._urgent_s or now - due.waits_since_s >= self._urgent_s
        if first.rank < due.rank and self._jumps < _MOST_JUMPS and not is_due_urgent:
            self._jumps += 1
            return first
        self._jumps = 0
        return due

    def _last_turns(self, waiting: Waiting) -> tuple[int, int, Rank]:
        with_it = self._last_turn_with[waiting.session][waiting.address]
        return self._last_turn[waiting.session], with_it, waiting.rank
