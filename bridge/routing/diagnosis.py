"""Why an outstation does not answer, and how fast it answers when it does.

Sums up the exchanges with one outstation: counters, response times, and one sentence about the last request
that got no answer, from what was heard meanwhile.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from bridge.routing.drop import Drop
from bridge.routing.exchange import MISSED, Evidence, Outcome

_KEPT_RESPONSES = 512
_FEWEST_RESPONSES = 8
_MARGIN = 1.5
_MARGIN_S = 0.1
_STEP_S = 0.05


class Miss(StrEnum):
    """Why a request got no whole answer, the most telling reason first where several apply."""

    LINE_DOWN = "line_down"
    MASTER_GONE = "master_gone"
    SUPERSEDED = "superseded"
    OVERRUN = "overrun"
    BROKEN_OFF = "broken_off"
    MISMATCHED = "mismatched"
    OTHER_OUTSTATION = "other_outstation"
    BAD_CRC = "bad_crc"
    NOISE_ONLY = "noise_only"
    NOTHING_HEARD = "nothing_heard"
    LATE = "late"
    EXPIRED = "expired"
    BABBLE = "babble"
    QUEUE_FULL = "queue_full"


class LastMiss(NamedTuple):
    """The last request without an answer."""

    miss: Miss
    sentence: str
    at_s: float


class ResponseTimes(NamedTuple):
    """Of the last answers, in seconds from the last octet of the request to the first frame of the answer."""

    answers: int
    p50_s: float
    p95_s: float
    p99_s: float
    longest_s: float


@dataclass(frozen=True, slots=True)
class _Case:
    """An exchange that failed, as the sentences need it."""

    evidence: Evidence
    elapsed_s: float
    response_timeout_s: float


_SENTENCES: dict[Miss, Callable[[_Case], str]] = {
    Miss.MASTER_GONE: lambda case: f"its master hung up {_ms(case.elapsed_s)} after asking",
    Miss.SUPERSEDED: lambda case: (
        f"its master asked anew after {_ms(case.elapsed_s)}, "
        f"before the response timeout of {_ms(case.response_timeout_s)}"
    ),
    Miss.OVERRUN: lambda case: f"the exchange went on for {_ms(case.elapsed_s)} and was cut off",
    Miss.BROKEN_OFF: lambda case: (
        f"the answer broke off after {_count(case.evidence.answer_frames, 'frame')}"
    ),
    Miss.MISMATCHED: lambda case: (
        f"it answered something else, {_count(case.evidence.mismatched_answers, 'time')}: "
        "another sequence number, or another master's address"
    ),
    Miss.OTHER_OUTSTATION: lambda case: f"another RTU answered: address {case.evidence.other_address}",
    Miss.BAD_CRC: lambda case: (
        f"damaged: {_count(case.evidence.crc_errors, 'bad CRC')}, "
        f"{_count(case.evidence.stray_octets, 'octet')} that are no frame"
    ),
    Miss.NOISE_ONLY: lambda case: (
        f"noise only: {_count(case.evidence.stray_octets, 'octet')} that are no frame"
    ),
    Miss.NOTHING_HEARD: lambda case: f"nothing was heard within {_ms(case.elapsed_s)}",
}


class Diagnosis:
    """What one outstation's exchanges came to. All times are in seconds, `now` is monotonic."""

    def __init__(self, *, response_timeout_s: float) -> None:
        self._response_timeout_s = response_timeout_s
        self._responses: deque[float] = deque(maxlen=_KEPT_RESPONSES)
        self.requests = 0
        """Requests put on the wire that await an answer."""
        self.answers = 0
        self.timeouts = 0
        self.late_answers = 0
        self.last_late_by_s: float | None = None
        """By how much the last late answer missed the response timeout."""
        self.most_late_by_s: float | None = None
        self.crc_errors = 0
        """Heard while an answer of this outstation was awaited."""
        self.wrong_address_answers = 0
        """Answers of others while one of this outstation was awaited."""
        self.last_miss: LastMiss | None = None

    def finished(self, outcome: Outcome, elapsed_s: float, evidence: Evidence, now: float) -> None:
        """Take note of an exchange that ended."""
        if outcome is Outcome.UNANSWERED:
            return
        self.requests += 1
        self.crc_errors += evidence.crc_errors
        self.wrong_address_answers += evidence.other_answers
        if evidence.response_s is not None:
            self._responses.append(evidence.response_s)
        if outcome is Outcome.ANSWERED:
            self.answers += 1
        elif outcome in MISSED:
            self.timeouts += outcome is Outcome.TIMED_OUT
            miss = _miss_of(outcome, evidence)
            if miss is not Miss.LINE_DOWN:
                case = _Case(evidence, elapsed_s, self._response_timeout_s)
                self._missed(miss, _SENTENCES[miss](case), now)

    def line_failed(self, reason: str, now: float) -> None:
        """A request met a line that is down, or went down under it."""
        self._missed(Miss.LINE_DOWN, f"the line is down: {reason}", now)

    def answered_late(self, response_s: float, now: float) -> None:
        """Take note of an answer whose request was given up, so long after the request."""
        self.late_answers += 1
        self._responses.append(response_s)
        late_by_s = response_s - self._response_timeout_s
        if late_by_s <= 0:
            sentence = f"it answered after {_ms(response_s)}, when its master had given up already"
        else:
            self.last_late_by_s = late_by_s
            self.most_late_by_s = max(late_by_s, self.most_late_by_s or 0.0)
            sentence = f"it answered {_ms(late_by_s)} late, {_ms(response_s)} after the request"
        self._missed(Miss.LATE, sentence, now)

    def never_sent(self, reason: Drop, *, is_babbling: bool, now: float) -> None:
        """Take note of a request that was dropped before it could be sent."""
        if reason is Drop.EXPIRED and is_babbling:
            self._missed(Miss.BABBLE, "it was not sent: somebody on the line talks without end", now)
        elif reason is Drop.EXPIRED:
            self._missed(Miss.EXPIRED, "it expired in the queue: the line was busy for too long", now)
        elif reason is Drop.QUEUE_FULL:
            self._missed(Miss.QUEUE_FULL, "it was not sent: too many requests were waiting", now)

    def response_times(self) -> ResponseTimes | None:
        """Return the percentiles of the last answers, late ones included; None before the first."""
        if not self._responses:
            return None
        ordered = sorted(self._responses)
        p50, p95, p99 = (ordered[math.ceil(share * len(ordered)) - 1] for share in (0.5, 0.95, 0.99))
        return ResponseTimes(len(ordered), p50, p95, p99, ordered[-1])

    def recommended_timeout_s(self) -> float | None:
        """Return a response timeout that every recent answer would have met, with half as much to spare.

        None before there are enough answers to tell.
        """
        if len(self._responses) < _FEWEST_RESPONSES:
            return None
        return math.ceil(round((_MARGIN * max(self._responses) + _MARGIN_S) / _STEP_S, 6)) * _STEP_S

    def _missed(self, miss: Miss, sentence: str, now: float) -> None:
        self.last_miss = LastMiss(miss, sentence, now)


_BY_OUTCOME = {
    Outcome.LINE_DOWN: Miss.LINE_DOWN,
    Outcome.SUPERSEDED: Miss.SUPERSEDED,
    Outcome.OVERRUN: Miss.OVERRUN,
}


def _miss_of(outcome: Outcome, evidence: Evidence) -> Miss:
    if outcome in _BY_OUTCOME:
        return _BY_OUTCOME[outcome]
    signs = (
        (evidence.answer_frames, Miss.BROKEN_OFF),
        (evidence.is_abandoned, Miss.MASTER_GONE),
        (evidence.mismatched_answers, Miss.MISMATCHED),
        (evidence.other_answers, Miss.OTHER_OUTSTATION),
        (evidence.crc_errors, Miss.BAD_CRC),
        (evidence.stray_octets, Miss.NOISE_ONLY),
    )
    return next((miss for sign, miss in signs if sign), Miss.NOTHING_HEARD)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
