"""What was asked and answered, with the tags by which the referee knows whose is what."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from bridge.link.frame import HEADER_OCTETS, Frame

FIR, FIN, MIDDLE = 0x40, 0x80, 0x00
_TAG = b"\xa5tag"
_NUMBER_OCTETS = 4


class Session:
    """A master's session, opaque to the turn."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_open = True
        self.exempt_until_s = 0.0
        """Until when the quarantine may make it wait."""
        self.has_broadcast = False

    def __repr__(self) -> str:
        return self.name


class Kind(Enum):
    """What a request is to the bus."""

    ANSWERED = auto()
    UNANSWERED = auto()
    LINK = auto()
    CONFIRM = auto()


@dataclass(slots=True, eq=False, repr=False)
class Ask:
    """One request of a master, in one or several frames."""

    number: int
    session: Session
    address: int
    source: int
    kind: Kind
    function: int
    sequence: int | None
    is_broadcast: bool = False
    is_link_confirmed: bool = False
    origin: Ask | None = None
    """Of a confirm: the request whose answer it confirms."""
    frames: list[Submission] = field(default_factory=list)
    is_whole: bool = False
    is_tainted: bool = False
    """An outstation that broke the rules was believed: what it says later proves nothing."""

    def __repr__(self) -> str:
        what = f"{self.kind.name} {self.function}/{self.sequence}"
        return f"#{self.number} {what} of {self.session} to {self.address}"


@dataclass(slots=True, eq=False, repr=False)
class Submission:
    """One frame of a master."""

    ask: Ask
    index: int
    frame: Frame
    octets: bytes
    submitted_s: float
    is_last: bool
    is_sent: bool = False

    def __repr__(self) -> str:
        return f"{self.ask} segment {self.index}{' last' if self.is_last else ''}"


@dataclass(slots=True, eq=False, repr=False)
class Answer:
    """One fragment of an outstation."""

    number: int
    address: int
    ask: Ask | None
    """None when it is unsolicited."""
    sequence: int
    asks_confirm: bool
    is_last: bool
    keeps_the_rules: bool = True

    def __repr__(self) -> str:
        rules = "" if self.keeps_the_rules else " against the rules"
        return f"answer {self.number}/{self.sequence} of {self.address} to {self.ask}{rules}"


def tag(answer: Answer) -> bytes:
    """Return what every segment of the fragment carries."""
    return _TAG + answer.number.to_bytes(_NUMBER_OCTETS, "big")


def tag_of(frame: Frame) -> int | None:
    """Return the number of the fragment that a frame is a segment of; None for a frame without data."""
    if len(frame.octets) == HEADER_OCTETS:
        return None
    data = frame.user_data
    at = 5 if data[0] & FIR else 1
    if data[at : at + len(_TAG)] != _TAG:
        return None
    at += len(_TAG)
    return int.from_bytes(data[at : at + _NUMBER_OCTETS], "big")
