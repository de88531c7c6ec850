"""Why an outstation does not answer, and how fast it answers when it does.

Sums up the exchanges with one outstation: counters, response times, and one sentence about the last request
that got no answer, from what was heard meanwhile.
"""

from __future__ import annotations

import math
from collections import Counter, deque
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
    SUPERSEDED = "superseded"
    OVERRUN = "overrun"
    BROKEN_OFF = "broken_off"
    MASTER_GONE = "master_gone"
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


_HEARD: dict[Miss, Callable[[Evidence], str]] = {
    Miss.BROKEN_OFF: lambda heard: (
        f"the answer broke off: {_count(heard.answer_frames, 'frame')} came, the rest did not"
    ),
    Miss.MISMATCHED: lambda heard: (
        "it answered something else: another sequence number or master address, "
        f"{_count(heard.mismatched_answers, 'time')}"
    ),
    Miss.OTHER_OUTSTATION: lambda heard: f"another RTU answered instead: address {heard.other_address}",
    Miss.BAD_CRC: lambda heard: (
        f"the answer was damaged: {_count(heard.crc_errors, 'wrong CRC')}, "
        f"{_count(heard.stray_octets, 'octet')} in no whole frame"
    ),
    Miss.NOISE_ONLY: lambda heard: f"only noise was heard: {_count(heard.stray_octets, 'octet')} in no frame",
    Miss.NOTHING_HEARD: lambda heard: "nothing was heard",
}
"""What was heard until a request was given up, the most telling sign first."""

_SENTENCES: dict[Miss, Callable[[_Case], str]] = {
    Miss.MASTER_GONE: lambda case: f"its master hung up before an answer came; {_heard(case.evidence)}",
    Miss.SUPERSEDED: lambda case: (
        f"its master asked again after {_ms(case.elapsed_s)}{_before_timeout(case)}; "
        f"until then {_heard(case.evidence)}"
    ),
    Miss.OVERRUN: lambda case: f"the exchange did not end and was cut off after {_ms(case.elapsed_s)}",
    Miss.NOTHING_HEARD: lambda case: (
        f"{_heard(case.evidence)} within the response timeout of {_ms(case.response_timeout_s)}"
    ),
}
"""Of the reasons that are not only what was heard."""


class Diagnosis:
    """What one outstation's exchanges came to. All times are in seconds, `now` is monotonic."""

    def __init__(
        self,
        *,
        response_timeout_s: float,
        request_ttl_s: float | None = None,
        control_ttl_s: float | None = None,
    ) -> None:
        """Begin with nothing; the limits are those of the line, None where nobody knows them."""
        self.response_timeout_s = response_timeout_s
        self._ttls_s = {"request_ttl_ms": request_ttl_s, "control_ttl_ms": control_ttl_s}
        self._responses: deque[float] = deque(maxlen=_KEPT_RESPONSES)
        self.requests = 0
        """Requests put on the wire that await an answer."""
        self.answers = 0
        self.timeouts = 0
        self.misses: Counter[Miss] = Counter()
        """Requests without an answer in time, by why; one whose answer comes late counts as late as well."""
        self.late_answers = 0
        self.last_late_by_s: float | None = None
        """By how much the last late answer missed the response timeout."""
        self.most_late_by_s: float | None = None
        self.crc_errors = 0
        """Heard while an answer of this outstation was awaited."""
        self.wrong_address_answers = 0
        """Answers of others while one of this outstation was awaited."""
        self.last_miss: LastMiss | None = None
        self.has_answered_since = False
        """Whether an answer came in time after the last miss."""

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
            self.has_answered_since = True
        elif outcome in MISSED:
            self.timeouts += outcome is Outcome.TIMED_OUT
            miss = _miss_of(outcome, evidence)
            if miss is Miss.LINE_DOWN:
                # `line_failed` takes note of it, who knows why.
                return
            self.misses[miss] += 1
            if not self._tells_more(evidence, now - elapsed_s):
                case = _Case(evidence, elapsed_s, self.response_timeout_s)
                self._missed(miss, _sentence(miss, case), now)

    def line_failed(self, reason: str, now: float) -> None:
        """A request met a line that is down, or went down under it."""
        self.misses[Miss.LINE_DOWN] += 1
        self._missed(Miss.LINE_DOWN, f"the line was down: {reason}", now)

    def answered_late(self, response_s: float, now: float) -> None:
        """Take note of an answer whose request was given up, so long after the request."""
        self.late_answers += 1
        self.misses[Miss.LATE] += 1
        self._responses.append(response_s)
        late_by_s = response_s - self.response_timeout_s
        if late_by_s <= 0:
            sentence = f"it answered after {_ms(response_s)}, but its master did not wait that long"
        else:
            self.last_late_by_s = late_by_s
            self.most_late_by_s = max(late_by_s, self.most_late_by_s or 0.0)
            timeout = _ms(self.response_timeout_s)
            sentence = f"it answered {_ms(late_by_s)} too late: the response timeout is {timeout}"
        self._missed(Miss.LATE, sentence, now)

    def never_sent(
        self,
        reason: Drop,
        *,
        is_babbling: bool,
        now: float,
        waited_s: float | None = None,
        is_control: bool = False,
    ) -> None:
        """Take note of a request that was dropped before it could be sent, after it had waited so long.

        Other reasons than EXPIRED, SUPERSEDED and QUEUE_FULL are no miss, and do nothing.
        """
        why = "a device talked without end" if is_babbling else "the line was busy"
        if reason is Drop.EXPIRED:
            miss = Miss.BABBLE if is_babbling else Miss.EXPIRED
            sentence = f"{self._expiry(waited_s, is_control=is_control)}: {why}"
        elif reason is Drop.SUPERSEDED:
            miss, sentence = Miss.SUPERSEDED, f"its master asked again before it could be sent: {why}"
        elif reason is Drop.QUEUE_FULL:
            miss, sentence = Miss.QUEUE_FULL, "the request was not sent: too many were waiting"
        else:
            return
        self.misses[miss] += 1
        self._missed(miss, sentence, now)

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

    def _tells_more(self, evidence: Evidence, since_s: float) -> bool:
        """Whether the late answer to an earlier request is all that was heard since."""
        miss = self.last_miss
        is_late = miss is not None and miss.miss is Miss.LATE and miss.at_s >= since_s
        return is_late and _heard_of(evidence) is Miss.NOTHING_HEARD

    def _expiry(self, waited_s: float | None, *, is_control: bool) -> str:
        """Return how long a request waited, and the limit that this was too long for."""
        what = "control" if is_control else "request"
        ttl_s = self._ttls_s[f"{what}_ttl_ms"]
        if waited_s is None or ttl_s is None:
            return f"the {what} was not sent in time"
        return f"the {what} waited {_ms(waited_s)} and was not sent ({what}_ttl_ms is {ttl_s * 1000:.0f})"

    def _missed(self, miss: Miss, sentence: str, now: float) -> None:
        self.last_miss = LastMiss(miss, sentence, now)
        self.has_answered_since = False


_BY_OUTCOME = {
    Outcome.LINE_DOWN: Miss.LINE_DOWN,
    Outcome.SUPERSEDED: Miss.SUPERSEDED,
    Outcome.OVERRUN: Miss.OVERRUN,
}


def _miss_of(outcome: Outcome, evidence: Evidence) -> Miss:
    if outcome in _BY_OUTCOME:
        return _BY_OUTCOME[outcome]
    if evidence.is_abandoned and not evidence.answer_frames:
        return Miss.MASTER_GONE
    return _heard_of(evidence)


def _heard_of(evidence: Evidence) -> Miss:
    signs = (
        (evidence.answer_frames, Miss.BROKEN_OFF),
        (evidence.mismatched_answers, Miss.MISMATCHED),
        (evidence.other_answers, Miss.OTHER_OUTSTATION),
        (evidence.crc_errors, Miss.BAD_CRC),
        (evidence.stray_octets, Miss.NOISE_ONLY),
    )
    return next((miss for sign, miss in signs if sign), Miss.NOTHING_HEARD)


def _heard(evidence: Evidence) -> str:
    return _HEARD[_heard_of(evidence)](evidence)


def _sentence(miss: Miss, case: _Case) -> str:
    return _SENTENCES[miss](case) if miss in _SENTENCES else _heard(case.evidence)


def _before_timeout(case: _Case) -> str:
    # An exchange goes on beyond the timeout while there is something to hear.
    if case.elapsed_s >= case.response_timeout_s:
        return ""
    return f", before the response timeout of {_ms(case.response_timeout_s)}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
