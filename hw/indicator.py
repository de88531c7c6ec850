"""What an outstation's LED shows, and the system LED. Pure: events and `now` in, a colour and a deadline out.

Facts about one outstation, and what begins and ends them:

    ===============  ==================  ================================================================
    fact             begins with         ends with
    ===============  ==================  ================================================================
    master           master_connected    master_disconnected
    line down        start, line_down    line_up, not before 1 s after the last line_down
    noise            noise_heard         5 s after the last noise_heard
    silent           3 misses in a row   any answer
    answers missing  1 miss              3 requests answered in a row, not before 2 s after the last miss
    idle             master_connected,   request_sent
                     3 expected polls
                     that do not come
    ===============  ==================  ================================================================

The state is that of the first row of `_RULES` that holds. The cause comes before the symptom: a line that is
down is not noisy, and noise explains missing answers (an RTU at a wrong baud rate brings only CRC errors).
What a state looks like on a single and on a bi-colour LED is the table in `hw.looks`.

- A line is down until it is said to be up: an LED never claims what nobody has seen.
- One missed answer is not silence; three in a row are. Any answer ends silence, but the LED stays at
  "missing" until three requests in a row were answered: with every third answer lost it does not flicker.
- A request counts as answered once. More frames of the same answer, and unsolicited ones, prove that the RTU
  is there (they end silence) but not that it answers.
- Misses outlive a session and a line that comes and goes. Many masters reconnect after each timeout; were the
  count to start anew, a dead RTU would never look silent. The last evidence stands until there is newer.
- "Lost only after three times the expected interval" is about what is concluded from something that did not
  come. An answer is expected for every request, so for the RTU it is three requests. A poll is expected at
  the interval that the master keeps (`hw.polling`); when none came for three of them it is idle, and nobody
  claims that its RTU answers. The end of a session needs no conclusion: that is seen, and "lost" at once.
- Idle is the weakest of all: it replaces "answering" only, and a fault stays until newer evidence. Its LED
  is on and does not blink, for that is what the table has for a master that is there and no frames.
- A pattern begins with its first step when its state is entered, or when the blip that runs then is over.
- A frame blinks the LED only where the look has such blips; all others have a rhythm of their own.
- Whatever happens is to be seen for 100 ms at least: blips are that long and always shown to their end, a
  miss shows for 2 s, a line's fault for 1 s, noise for 5 s. A master that is pre-empted by the next is no
  event to the LED: there is a master all the time.

Source: PRODUCT, "LEDs".
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from operator import attrgetter

from hw.colour import Colour
from hw.looks import HEART, HeartState, LedState, Verdict, look_of
from hw.pattern import Blips, LedKind, Look, to_s, to_us
from hw.polling import Polling

__all__ = ["HeartState", "Heartbeat", "Indicator", "LedKind", "LedState"]

MISSES_TO_SILENCE = 3
ANSWERS_TO_RECOVER = 3
LINE_FAULT_SHOWN_S = 1.0  # a glitch of the port is seen as five flashes
MISS_SHOWN_S = 2.0  # four flashes, even when a fast master has its three answers a moment later
NOISE_SHOWN_S = 5.0  # five double flashes: long enough to be noticed and recognised


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
    polling: Polling = field(default_factory=Polling)

    def expiries_us(self) -> list[int]:
        """Return the instants at which a fact ends or begins by itself, in order."""
        return sorted(
            (self.line_fault_until_us, self.noise_until_us, self.miss_until_us, self.polling.idle_at_us)
        )


_Holds = Callable[[_Facts, int], bool]

_RULES: tuple[tuple[_Holds, LedState], ...] = (
    (lambda facts, _: not facts.master_seen, LedState.OFF),
    (lambda facts, _: not facts.master, LedState.LOST),
    (lambda facts, t: not facts.line_open or t < facts.line_fault_until_us, LedState.SILENT),
    (lambda facts, t: t < facts.noise_until_us, LedState.NOISE),
    (lambda facts, _: facts.misses_in_row >= MISSES_TO_SILENCE, LedState.SILENT),
    (lambda facts, _: facts.answers_in_row < ANSWERS_TO_RECOVER, LedState.MISSING),
    (lambda facts, t: t < facts.miss_until_us, LedState.MISSING),
    (lambda facts, t: t >= facts.polling.idle_at_us, LedState.IDLE),
    (lambda _facts, _: True, LedState.ANSWERING),
)
"""Priority order: the first rule that holds gives the state."""


_FRAME, _ERROR = attrgetter("frame_blip"), attrgetter("error_blip")
_VERDICTS = tuple(
    (holds, state, Verdict(state, state), Verdict(LedState.NOISE, state)) for holds, state in _RULES
)
"""Each rule with what it leads to alone and beneath noise: made once, for every event is judged."""
_OFF = _VERDICTS[0][2]


def _judge(facts: _Facts, time_us: int) -> Verdict:
    is_noisy = False
    for holds, state, alone, beneath_noise in _VERDICTS:
        if not holds(facts, time_us):
            continue
        if state is not LedState.NOISE:
            return beneath_noise if is_noisy else alone
        is_noisy = True
    raise AssertionError("the last rule always holds")


@dataclass(frozen=True, slots=True)
class _Shown:
    verdict: Verdict
    look: Look
    begun_us: int
    """When the look's pattern began, or will: after the blip that was running."""


class Indicator:
    """One outstation's LED. A `Light`.

    All times are monotonic seconds. An event with a `now` before the previous event's counts as simultaneous
    with it. Queries change nothing and may ask for any instant from the last event on. Nothing raises.
    """

    __slots__ = ("_blips", "_facts", "_future", "_settled_us", "_shown", "kind")

    def __init__(self, kind: LedKind = LedKind.SINGLE) -> None:
        self.kind = kind
        self._facts = _Facts()
        self._blips = Blips()
        self._shown = _Shown(_OFF, look_of(_OFF, kind), 0)
        self._settled_us = 0
        self._future: list[tuple[int, _Shown]] = []  # what time alone will change, if no event comes

    def master_connected(self, now: float) -> None:
        """A master's session for this outstation began."""
        time_us = self._settle(now)
        self._facts.master = self._facts.master_seen = True
        self._facts.polling = Polling()
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
        time_us = self._settle(now)
        self._facts.awaiting = True
        self._facts.polling.request(time_us)
        self._conclude(time_us, _FRAME)

    def answer_received(self, now: float) -> None:
        """A frame from this outstation arrived."""
        time_us = self._settle(now)
        self._facts.misses_in_row = 0
        self._facts.answers_in_row += self._facts.awaiting
        self._facts.awaiting = False
        self._conclude(time_us, _FRAME)

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
        self._conclude(time_us, _ERROR)

    def state(self, now: float) -> LedState:
        """Return what the LED says at `now`."""
        return self._shown_at(to_us(now)).verdict.state

    def look(self, now: float) -> Look:
        """Return what the LED looks like at `now`."""
        return self._shown_at(to_us(now)).look

    def colour(self, now: float) -> Colour:
        """Return the colour at `now`."""
        time_us = to_us(now)
        blip = self._blips.running(time_us)
        if blip is not None:
            return blip
        shown = self._shown_at(time_us)
        return shown.look.pattern.at(time_us - shown.begun_us)[0]

    def is_lit(self, now: float) -> bool:
        """Say whether the LED is lit at `now`."""
        return self.colour(now).is_lit

    def next_deadline(self, now: float) -> float | None:
        """Return when the colour could next change by time alone, or None if it cannot."""
        time_us = to_us(now)
        shown = self._shown_at(time_us)
        pattern_us = max(time_us, shown.begun_us)
        _, step_left_us = shown.look.pattern.at(pattern_us - shown.begun_us)
        edges_us = (
            None if step_left_us is None else pattern_us + step_left_us,
            self._blips.next_edge(time_us),
            self._next_look(time_us, shown.look),
        )
        return min((to_s(edge_us) for edge_us in edges_us if edge_us is not None), default=None)

    def _settle(self, now: float) -> int:
        """Carry out what time alone has changed since the last event, before a new one changes the facts."""
        time_us = max(to_us(now), self._settled_us)
        self._shown = self._shown_at(time_us)
        self._settled_us = time_us
        return time_us

    def _conclude(self, time_us: int, blip_of: Callable[[Look], Colour | None] = lambda _: None) -> None:
        self._shown = self._becoming(self._shown, time_us)
        self._blips.keep(time_us, self._shown.look)
        blip = blip_of(self._shown.look)
        if blip is not None:
            self._blips.add(time_us, blip)
        self._future.clear()
        shown = self._shown
        for edge_us in self._facts.expiries_us():
            if edge_us > time_us:
                then = self._becoming(shown, edge_us)
                if then is not shown:
                    self._future.append((edge_us, then))
                shown = then

    def _becoming(self, shown: _Shown, time_us: int) -> _Shown:
        verdict = _judge(self._facts, time_us)
        if verdict is shown.verdict:
            return shown
        look = look_of(verdict, self.kind)
        if look is shown.look:
            return _Shown(verdict, look, shown.begun_us)
        return _Shown(verdict, look, self._blips.end_of_begun(time_us) or time_us)

    def _shown_at(self, time_us: int) -> _Shown:
        shown = self._shown
        for edge_us, then in self._future:
            if edge_us > time_us:
                break
            shown = then
        return shown

    def _next_look(self, time_us: int, look: Look) -> int | None:
        for edge_us, then in self._future:
            if edge_us > time_us and then.look is not look:
                return edge_us
        return None


class Heartbeat:
    """The system LED: beats while the program is alive, flashes fast while a line is not open. A `Light`.

    `lines` are the names of the configured lines; none of them is open until `line_up` says so. `at_rest` is
    what it says while all are.
    """

    __slots__ = ("_at_rest", "_closed", "_since_us", "kind")

    def __init__(
        self,
        lines: Iterable[str],
        kind: LedKind = LedKind.SINGLE,
        at_rest: HeartState = HeartState.BEATING,
    ) -> None:
        self.kind = kind
        self._at_rest = at_rest
        self._closed = set(lines)
        self._since_us = 0

    def line_up(self, line: str, now: float) -> None:
        """The line is open."""
        self._set_closed(self._closed - {line}, now)

    def line_down(self, line: str, now: float) -> None:
        """The line failed or was closed."""
        self._set_closed(self._closed | {line}, now)

    @property
    def state(self) -> HeartState:
        """What the LED says."""
        return HeartState.LINE_DOWN if self._closed else self._at_rest

    def look(self, now: float) -> Look:
        """Return what the LED looks like."""
        return HEART[self.kind][self.state]

    def colour(self, now: float) -> Colour:
        """Return the colour at `now`."""
        return self._at(now)[0]

    def is_lit(self, now: float) -> bool:
        """Say whether the LED is lit at `now`."""
        return self.colour(now).is_lit

    def next_deadline(self, now: float) -> float | None:
        """Return when the colour next changes."""
        step_left_us = self._at(now)[1]
        return None if step_left_us is None else to_s(to_us(now) + step_left_us)

    def _set_closed(self, closed: set[str], now: float) -> None:
        if bool(closed) != bool(self._closed):
            self._since_us = to_us(now)
        self._closed = closed

    def _at(self, now: float) -> tuple[Colour, int | None]:
        return self.look(now).pattern.at(to_us(now) - self._since_us)
