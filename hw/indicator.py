"""What an outstation's LED shows, and the system LED. Pure: events and `now` in, a level and a deadline out.

Facts about one outstation, and what begins and ends them:

    ===============  ==================  ================================================================
    fact             begins with         ends with
    ===============  ==================  ================================================================
    master           master_connected    master_disconnected
    line down        start, line_down    line_up, not before 1 s after the last line_down
    noise            noise_heard         5 s after the last noise_heard
    silent           3 misses in a row   any answer
    answers missing  1 miss              3 requests answered in a row, not before 2 s after the last miss
    ===============  ==================  ================================================================

The state is that of the first row of `_RULES` that holds. The cause comes before the symptom: a line that is
down is not noisy, and noise explains missing answers (an RTU at a wrong baud rate brings only CRC errors).

- A line is down until it is said to be up: an LED never claims what nobody has seen.
- One missed answer is not silence; three in a row are. Any answer ends silence, but the LED stays at
  "missing" until three requests in a row were answered: with every third answer lost it does not flicker.
- A request counts as answered once. More frames of the same answer, and unsolicited ones, prove that the RTU
  is there (they end silence) but not that it answers.
- Misses outlive a session and a line that comes and goes. Many masters reconnect after each timeout; were the
  count to start anew, a dead RTU would never look silent. The last evidence stands until there is newer.
- A pattern begins with its first step when its state is entered.
- A frame blinks the LED only while the RTU answers; all other states have a rhythm of their own.

Source: PRODUCT, "LEDs".
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from math import inf
from types import MappingProxyType

from hw.pattern import FrameBlips, Light, Pattern, to_s, to_us

__all__ = [
    "HEARTBEAT",
    "HEARTBEAT_LINE_DOWN",
    "PATTERNS",
    "Heartbeat",
    "Indicator",
    "LedState",
    "Light",
    "Pattern",
]

MISSES_TO_SILENCE = 3
ANSWERS_TO_RECOVER = 3
LINE_FAULT_SHOWN_S = 1.0  # a glitch of the port is seen as five flashes
MISS_SHOWN_S = 2.0  # four flashes, even when a fast master has its three answers a moment later
NOISE_SHOWN_S = 5.0  # five double flashes: long enough to be noticed and recognised


class LedState(Enum):
    """What one outstation's LED says."""

    OFF = "off"
    """Disabled, or no master has connected since start."""
    LOST = "lost"
    """A master was connected, and none is now."""
    ANSWERING = "answering"
    """A master is connected and nothing is known to be wrong."""
    MISSING = "missing"
    """The master polls and some answers are missing."""
    SILENT = "silent"
    """The master polls and the RTU is silent, or the line is down."""
    NOISE = "noise"
    """Octets with CRC errors were heard on the line."""


PATTERNS: Mapping[LedState, Pattern] = MappingProxyType(
    {
        LedState.OFF: Pattern(((False, inf),)),
        LedState.LOST: Pattern(((True, 0.1), (False, 1.9))),
        LedState.ANSWERING: Pattern(((True, inf),)),  # minus 100 ms per frame
        LedState.MISSING: Pattern(((True, 0.25), (False, 0.25))),
        LedState.SILENT: Pattern(((True, 0.1), (False, 0.1))),
        LedState.NOISE: Pattern(((True, 0.1), (False, 0.1), (True, 0.1), (False, 0.7))),
    }
)

HEARTBEAT = Pattern(((True, 0.1), (False, 0.9)))
HEARTBEAT_LINE_DOWN = PATTERNS[LedState.SILENT]  # the same fault, the same rhythm


@dataclass(slots=True)
class _Facts:
    """What the events have said so far. Every `_until_us` fact holds before that instant, not at it."""

    master: bool = False
    master_seen: bool = False
    line_open: bool = False
    line_fault_until_us: int = 0
    noise_until_us: int = 0
    miss_until_us: int = 0
    misses_in_row: int = 0
    answers_in_row: int = ANSWERS_TO_RECOVER
    awaiting: bool = False

    def expiries_us(self) -> tuple[int, ...]:
        return self.line_fault_until_us, self.noise_until_us, self.miss_until_us


@dataclass(frozen=True, slots=True)
class _Rule:
    holds: Callable[[_Facts, int], bool]
    state: LedState


_RULES: tuple[_Rule, ...] = (
    _Rule(lambda facts, _: not facts.master_seen, LedState.OFF),
    _Rule(lambda facts, _: not facts.master, LedState.LOST),
    _Rule(lambda facts, t: not facts.line_open or t < facts.line_fault_until_us, LedState.SILENT),
    _Rule(lambda facts, t: t < facts.noise_until_us, LedState.NOISE),
    _Rule(lambda facts, _: facts.misses_in_row >= MISSES_TO_SILENCE, LedState.SILENT),
    _Rule(lambda facts, _: facts.answers_in_row < ANSWERS_TO_RECOVER, LedState.MISSING),
    _Rule(lambda facts, t: t < facts.miss_until_us, LedState.MISSING),
    _Rule(lambda _facts, _: True, LedState.ANSWERING),
)
"""Priority order: the first rule that holds gives the state."""


@dataclass(frozen=True, slots=True)
class _Shown:
    state: LedState
    since_us: int

    def becoming(self, state: LedState, time_us: int) -> "_Shown":
        return self if state is self.state else _Shown(state, time_us)


class Indicator:
    """One outstation's LED. A `Light`.

    All times are monotonic seconds. An event with a `now` before the previous event's counts as simultaneous
    with it. Queries change nothing and may ask for any instant from the last event on. Nothing raises.
    """

    __slots__ = ("_blips", "_facts", "_settled_us", "_shown")

    def __init__(self) -> None:
        self._facts = _Facts()
        self._blips = FrameBlips()
        self._shown = _Shown(LedState.OFF, 0)
        self._settled_us = 0

    def master_connected(self, now: float) -> None:
        """A master's session for this outstation began."""
        time_us = self._settle(now)
        self._facts.master = self._facts.master_seen = True
        self._conclude(time_us)

    def master_disconnected(self, now: float) -> None:
        """The session ended; no other took its place."""
        time_us = self._settle(now)
        self._facts.master = False
        self._conclude(time_us)

    def line_up(self, now: float) -> None:
        """The outstation's line is open. (A local outstation, which has no line, says so once.)"""
        time_us = self._settle(now)
        self._facts.line_open = True
        self._conclude(time_us)

    def line_down(self, now: float) -> None:
        """The outstation's line failed or was closed."""
        time_us = self._settle(now)
        self._facts.line_open = False
        self._facts.line_fault_until_us = time_us + to_us(LINE_FAULT_SHOWN_S)
        self._conclude(time_us)

    def request_sent(self, now: float) -> None:
        """A frame for this outstation was sent on the line."""
        self._blips.frame(self._settle(now))
        self._facts.awaiting = True

    def answer_received(self, now: float) -> None:
        """A frame from this outstation arrived."""
        time_us = self._settle(now)
        self._blips.frame(time_us)
        self._facts.misses_in_row = 0
        self._facts.answers_in_row += self._facts.awaiting
        self._facts.awaiting = False
        self._conclude(time_us)

    def answer_missed(self, now: float) -> None:
        """A request was not answered within the response timeout."""
        time_us = self._settle(now)
        self._facts.awaiting = False
        self._facts.misses_in_row += 1
        self._facts.answers_in_row = 0
        self._facts.miss_until_us = time_us + to_us(MISS_SHOWN_S)
        self._conclude(time_us)

    def noise_heard(self, now: float) -> None:
        """Octets that are no frame, or a frame with a CRC error, were heard on the line."""
        time_us = self._settle(now)
        self._facts.noise_until_us = time_us + to_us(NOISE_SHOWN_S)
        self._conclude(time_us)

    def state(self, now: float) -> LedState:
        """Return what the LED says at `now`."""
        return self._shown_at(to_us(now)).state

    def is_lit(self, now: float) -> bool:
        """Say whether the LED is lit at `now`."""
        time_us = to_us(now)
        shown = self._shown_at(time_us)
        lit, _ = PATTERNS[shown.state].at(time_us - shown.since_us)
        return lit and not (shown.state is LedState.ANSWERING and self._blips.is_dark(time_us))

    def next_deadline(self, now: float) -> float | None:
        """Return when the level could next change by time alone, or None if it cannot."""
        time_us = to_us(now)
        shown = self._shown_at(time_us)
        _, step_left_us = PATTERNS[shown.state].at(time_us - shown.since_us)
        edges_us = [
            None if step_left_us is None else time_us + step_left_us,
            self._blips.next_edge(time_us) if shown.state is LedState.ANSWERING else None,
            self._next_state_change(time_us, shown.state),
        ]
        return min((to_s(edge_us) for edge_us in edges_us if edge_us is not None), default=None)

    def _settle(self, now: float) -> int:
        """Carry out what time alone has changed since the last event, before a new one changes the facts."""
        time_us = max(to_us(now), self._settled_us)
        self._shown = self._shown_at(time_us)
        self._settled_us = time_us
        return time_us

    def _conclude(self, time_us: int) -> None:
        self._shown = self._shown.becoming(self._evaluate(time_us), time_us)

    def _evaluate(self, time_us: int) -> LedState:
        return next(rule.state for rule in _RULES if rule.holds(self._facts, time_us))

    def _shown_at(self, time_us: int) -> _Shown:
        shown = self._shown
        for edge_us in sorted(self._facts.expiries_us()):
            if self._settled_us < edge_us <= time_us:
                shown = shown.becoming(self._evaluate(edge_us), edge_us)
        return shown

    def _next_state_change(self, time_us: int, state: LedState) -> int | None:
        edges_us = (edge_us for edge_us in sorted(self._facts.expiries_us()) if edge_us > time_us)
        return next((edge_us for edge_us in edges_us if self._evaluate(edge_us) is not state), None)


class Heartbeat:
    """The system LED: beats while the program is alive, flashes fast while a line is not open. A `Light`.

    `lines` are the names of the configured lines; none of them is open until `line_up` says so.
    """

    __slots__ = ("_closed", "_since_us")

    def __init__(self, lines: Iterable[str]) -> None:
        self._closed = set(lines)
        self._since_us = 0

    def line_up(self, line: str, now: float) -> None:
        """The line is open."""
        self._set_closed(self._closed - {line}, now)

    def line_down(self, line: str, now: float) -> None:
        """The line failed or was closed."""
        self._set_closed(self._closed | {line}, now)

    def is_lit(self, now: float) -> bool:
        """Say whether the LED is lit at `now`."""
        return self._at(to_us(now))[0]

    def next_deadline(self, now: float) -> float:
        """Return when the level next changes: a heart never rests."""
        time_us = to_us(now)
        step_left_us = self._at(time_us)[1]
        assert step_left_us is not None, "both patterns repeat"
        return to_s(time_us + step_left_us)

    def _set_closed(self, closed: set[str], now: float) -> None:
        if bool(closed) != bool(self._closed):
            self._since_us = to_us(now)
        self._closed = closed

    def _at(self, time_us: int) -> tuple[bool, int | None]:
        pattern = HEARTBEAT_LINE_DOWN if self._closed else HEARTBEAT
        return pattern.at(time_us - self._since_us)
