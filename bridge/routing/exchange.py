"""One exchange on the line: from a master's frame to the last frame that it causes.

Rules:
  1. What a master's frame awaits is in OPENINGS; what then moves it on is in TRANSITIONS.
  2. A stimulus without a transition does not belong to the exchange and leaves it as it is.
  3. A master's frame that the link layer must acknowledge leaves at least that to wait for.
  4. A response belongs to it only from the outstation asked, to the master that asked, and with the
     application sequence asked for; the fragments after the first count on from there, modulo 16.
     A fragment that continues an answer begins none, whatever its sequence: a master that asks anew counts
     on as the fragments of its earlier answer do.
  5. Only a fragment's first segment shows its sequence: the later ones belong where it did.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum, auto

from bridge.link.frame import Frame
from bridge.routing.stimulus import Reading, Stimulus

S = Stimulus
_SEQUENCES = 16
"""Application sequence numbers count modulo this."""


class Awaits(IntEnum):
    """What the exchange on the wire waits for."""

    NOTHING = auto()
    LINK_ANSWER = auto()
    RESPONSE = auto()
    SEGMENTS = auto()
    """The rest of the request, from the master."""
    CONFIRM = auto()
    """The master's confirm of the last fragment."""
    CONFIRM_AND_MORE = auto()
    """The master's confirm of a fragment after which the outstation sends the next."""


OPENINGS: dict[Stimulus, Awaits] = {
    S.LINK_SERVICE: Awaits.LINK_ANSWER,
    S.REQUEST: Awaits.SEGMENTS,
    S.WHOLE_REQUEST: Awaits.RESPONSE,
    S.UNANSWERED: Awaits.NOTHING,
    S.CONFIRM: Awaits.NOTHING,
    S.UNSOLICITED_CONFIRM: Awaits.NOTHING,
    S.LINK_REPLY: Awaits.NOTHING,
}
"""Later segments open nothing: they follow their first one."""

_STAYS_DURING_RESPONSE = {
    S.LINK_ANSWER: Awaits.RESPONSE,
    S.LINK_REPLY: Awaits.RESPONSE,
    S.UNSOLICITED_CONFIRM: Awaits.RESPONSE,
    S.PART: Awaits.RESPONSE,
}

TRANSITIONS: dict[Awaits, dict[Stimulus, Awaits]] = {
    Awaits.NOTHING: {},
    Awaits.LINK_ANSWER: {
        S.LINK_ANSWER: Awaits.NOTHING,
        S.LINK_REPLY: Awaits.LINK_ANSWER,
        S.UNSOLICITED_CONFIRM: Awaits.LINK_ANSWER,
    },
    Awaits.SEGMENTS: {
        S.SEGMENT: Awaits.SEGMENTS,
        S.LAST_SEGMENT: Awaits.RESPONSE,
        S.LAST_SEGMENT_UNANSWERED: Awaits.NOTHING,
        S.LINK_ANSWER: Awaits.SEGMENTS,
        S.LINK_REPLY: Awaits.SEGMENTS,
        S.UNSOLICITED_CONFIRM: Awaits.SEGMENTS,
    },
    Awaits.RESPONSE: {
        **_STAYS_DURING_RESPONSE,
        S.LAST_FRAGMENT: Awaits.NOTHING,
        S.LAST_FRAGMENT_CON: Awaits.CONFIRM,
        S.FRAGMENT: Awaits.RESPONSE,
        S.FRAGMENT_CON: Awaits.CONFIRM_AND_MORE,
    },
    Awaits.CONFIRM: {
        S.CONFIRM: Awaits.NOTHING,
        S.LINK_ANSWER: Awaits.CONFIRM,
        S.LINK_REPLY: Awaits.CONFIRM,
        S.UNSOLICITED_CONFIRM: Awaits.CONFIRM,
    },
    Awaits.CONFIRM_AND_MORE: {
        S.CONFIRM: Awaits.RESPONSE,
        S.LINK_ANSWER: Awaits.CONFIRM_AND_MORE,
        S.LINK_REPLY: Awaits.CONFIRM_AND_MORE,
        S.UNSOLICITED_CONFIRM: Awaits.CONFIRM_AND_MORE,
    },
}


def awaited_after(reading: Reading, awaits: Awaits) -> Awaits:
    """Apply rule 3 to what the tables say."""
    if awaits is Awaits.NOTHING and reading.asks_link_answer:
        return Awaits.LINK_ANSWER
    return awaits


def next_sequence(sequence: int, count: int = 1) -> int:
    """Return the application sequence number `count` fragments on."""
    return (sequence + count) % _SEQUENCES


_AWAITS_MASTER = frozenset({Awaits.CONFIRM, Awaits.CONFIRM_AND_MORE, Awaits.SEGMENTS})
_OUTSTATION_IS_DONE = frozenset({Awaits.CONFIRM, Awaits.CONFIRM_AND_MORE, Awaits.NOTHING})
_ENDS_OF_FRAGMENTS = frozenset({S.LAST_FRAGMENT, S.LAST_FRAGMENT_CON, S.FRAGMENT, S.FRAGMENT_CON})


class Outcome(StrEnum):
    """How an exchange ended."""

    ANSWERED = "answered"
    UNANSWERED = "no_answer_due"
    """Nothing was to be answered."""
    TIMED_OUT = "timed_out"
    SUPERSEDED = "superseded"
    """Its master asked anew before the answer came."""
    OVERRUN = "overrun"
    """It went on and on, and its time was up."""
    LINE_DOWN = "line_down"


MISSED = frozenset({Outcome.TIMED_OUT, Outcome.SUPERSEDED, Outcome.OVERRUN, Outcome.LINE_DOWN})
"""The outcomes of requests that got no whole answer."""


@dataclass(slots=True)
class Evidence:
    """What was heard during an exchange: what tells why an answer is missing."""

    answer_frames: int = 0
    response_s: float | None = None
    """From the last octet of the request to the first frame of the answer."""
    is_abandoned: bool = False
    """The session that asked ended first."""
    stray_octets: int = 0
    """Octets heard that are in no frame, or in one that never became whole."""
    crc_errors: int = 0
    mismatched_answers: int = 0
    """Answers of the outstation asked, to something else."""
    other_answers: int = 0
    other_address: int | None = None
    """The link address of the last answer that came from another outstation."""


@dataclass(slots=True, eq=False)
class Exchange:
    """The exchange that holds the line. `session` becomes None when its session ends before it does."""

    session: Hashable | None
    address: int
    """Link address of the outstation asked, as the configuration has it."""
    request: Frame
    reading: Reading
    awaits: Awaits
    sequence: int | None
    started_s: float
    deadline_s: float
    outbox: list[tuple[Frame, bool]] = field(default_factory=list)
    """Frames that go out as soon as nobody speaks; whether the outstation's time to answer counts from it."""
    awaits_first_fragment: bool = True
    """Whether no fragment of the answer came yet (rule 4)."""
    sent_s: float = 0.0
    """When the last octet of the last frame sent leaves the port."""
    evidence: Evidence = field(default_factory=Evidence)
    is_in_fragment: bool = False
    """Whether a fragment of the answer has begun and not ended (rule 5)."""

    @property
    def is_answered(self) -> bool:
        """Whether anything of an answer came."""
        return self.evidence.answer_frames > 0

    @property
    def awaits_master(self) -> bool:
        """Whether it is the master's to say something: a confirm, or the rest of its request."""
        return self.awaits in _AWAITS_MASTER

    @property
    def lacks_its_master(self) -> bool:
        """Whether the outstation did its part: an answer that nobody confirmed is an answer."""
        return self.is_answered and self.awaits in _OUTSTATION_IS_DONE

    @property
    def unsent(self) -> tuple[Frame, ...]:
        """The frames that belong to it and were not sent."""
        return tuple(frame for frame, _ in self.outbox)

    def forget_its_master(self) -> None:
        """Await nothing more of a master that is gone."""
        if self.awaits_master:
            self.awaits = Awaits.NOTHING

    def is_with(self, session: Hashable, address: int) -> bool:
        """Whether a frame between this session and this outstation can be part of the exchange."""
        return self.session is session and self.address == address

    def is_followed_by(self, reading: Reading) -> bool:
        """Whether the stimulus belongs here now."""
        return reading.stimulus in TRANSITIONS[self.awaits]

    def advance(self, reading: Reading) -> bool:
        """Move on if the stimulus belongs here; tell whether it did."""
        following = TRANSITIONS[self.awaits].get(reading.stimulus)
        if following is None:
            return False
        self.awaits = awaited_after(reading, following)
        return True

    def accepts_answer(
        self, frame: Frame, reading: Reading, now: float, *, is_anothers: bool = False
    ) -> bool:
        """Take a frame of an outstation into the exchange, or refuse it (rules 4 and 5).

        `is_anothers` for one that an earlier session's request is still owed.
        """
        if frame.source != self.address:
            return False
        if reading.starts_fragment:
            # Whatever it was saying before has broken off.
            self.is_in_fragment = False
        if is_anothers or frame.destination != self.request.source:
            return False
        if reading.starts_fragment and self.sequence is not None and reading.sequence != self.sequence:
            return False
        if reading.is_continuation and self.awaits_first_fragment:
            return False
        is_segment = reading.stimulus is not S.LINK_ANSWER
        if is_segment and not reading.starts_fragment and not self.is_in_fragment:
            return False
        if not self.advance(reading):
            return False
        if is_segment:
            self.is_in_fragment = reading.stimulus not in _ENDS_OF_FRAGMENTS
            self.awaits_first_fragment = self.awaits_first_fragment and self.is_in_fragment
        evidence = self.evidence
        evidence.answer_frames += 1
        if evidence.response_s is None:
            evidence.response_s = now - self.sent_s if now > self.sent_s else 0.0
        if reading.stimulus in _ENDS_OF_FRAGMENTS and self.sequence is not None:
            self.sequence = next_sequence(self.sequence)
        return True
