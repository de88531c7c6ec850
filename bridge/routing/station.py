"""What a line knows of one outstation: whose it is, what it is saying, and what it still owes."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import NamedTuple

from bridge.link.frame import Frame
from bridge.routing.assembly import Assembly
from bridge.routing.drop import Drop
from bridge.routing.exchange import Exchange
from bridge.routing.steps import Deliver, Dropped
from bridge.routing.stimulus import Reader, Reading, Stimulus

_MOST_OWED = 16
_NEVER = float("-inf")


class Owed(NamedTuple):
    """A request that was given up, whose answer may still come."""

    session: Hashable | None
    sent_s: float
    until_s: float
    """Until when a request of another session with the same sequence could be answered by mistake."""


@dataclass(slots=True)
class Station:
    """An outstation on the line, and the session that owns it now."""

    session: Hashable | None = None
    masters: set[int] | None = None
    """Source addresses that the session's master used; None before it spoke: then any is taken."""
    from_master: Reader = field(default_factory=Reader)
    from_outstation: Reader = field(default_factory=Reader)
    assembly: Assembly = field(default_factory=Assembly)
    unsolicited_for: Hashable | None = None
    """Who got the first segment of the unsolicited fragment that the outstation is sending."""
    unconfirmed: tuple[Hashable, int] | None = None
    """The session and sequence of a fragment whose confirm is overdue and brings the next fragment."""
    is_fragment_late: bool = False
    """Whether the fragment that the outstation is sending answers a request that was given up."""
    selected_until_s: float = _NEVER
    """Until when the session may operate what it selected."""
    _owed: dict[tuple[int, int | None], Owed] = field(default_factory=dict)
    """By the master's address and the application sequence."""

    def begin_session(self, session: Hashable | None) -> None:
        """Belong to another session, or to none, with nothing left of the one before but what is owed."""
        self.session = session
        self.masters = None
        self.from_master = Reader()
        self.assembly = Assembly()
        self.unsolicited_for = self.unconfirmed = None
        self.selected_until_s = _NEVER

    def begin_line(self) -> None:
        """Forget what the outstation was saying: the port was opened anew."""
        self.from_outstation = Reader()
        self.unsolicited_for = self.unconfirmed = None
        self.is_fragment_late = False
        self.selected_until_s = _NEVER

    def unasked(self, frame: Frame, reading: Reading) -> Deliver | Dropped:
        """Say where the outstation's own message goes: to the session that uses its destination."""
        if self.session is None:
            return Dropped(frame.source, Drop.NO_SESSION)
        if self.masters is not None and frame.destination not in self.masters:
            return Dropped(frame.source, Drop.UNKNOWN_MASTER)
        if reading.stimulus is Stimulus.UNSOLICITED:
            if reading.starts_fragment:
                self.unsolicited_for = self.session
            elif self.unsolicited_for is not self.session:
                return Dropped(frame.source, Drop.ORPHAN_SEGMENT)
        return Deliver(self.session, frame.source, frame)

    def owes(self, exchange: Exchange, until_s: float) -> None:
        """Take note of a request that was given up."""
        if exchange.is_in_fragment:
            self.is_fragment_late = True
        if exchange.sequence is None:
            return
        key = exchange.request.source, exchange.sequence
        self._owed.pop(key, None)
        if len(self._owed) >= _MOST_OWED:
            del self._owed[next(iter(self._owed))]
        self._owed[key] = Owed(exchange.session, exchange.sent_s, until_s)

    def answered(self, exchange: Exchange, until_s: float) -> None:
        """Take note of an answered request. Had it been sent before, one answer of two is still owed."""
        key = exchange.request.source, exchange.reading.sequence
        owed = self._owed.pop(key, None) if self._owed else None
        if owed is not None and owed.until_s > exchange.started_s:
            self._owed[key] = Owed(exchange.session, exchange.sent_s, until_s)

    def owes_another(self, exchange: Exchange, frame: Frame, reading: Reading, now: float) -> bool:
        """Tell whether an answer may be one that an earlier session's request is still owed."""
        if not self._owed or not reading.starts_fragment or exchange.session is None:
            return False
        owed = self._owed.get((frame.destination, reading.sequence))
        return owed is not None and owed.session is not exchange.session and now < owed.until_s

    def late(self, frame: Frame, reading: Reading, now: float) -> Dropped | None:
        """Return how an answer is dropped if it is one to a request that was given up."""
        if not reading.starts_fragment:
            return Dropped(frame.source, Drop.LATE) if self.is_fragment_late else None
        owed = None
        if reading.sequence is not None:
            owed = self._owed.pop((frame.destination, reading.sequence), None)
        self.is_fragment_late = owed is not None
        return None if owed is None else Dropped(frame.source, Drop.LATE, max(0.0, now - owed.sent_s))

    def safe_from_s(self, session: Hashable, frame: Frame, reading: Reading) -> float:
        """Return from when a request cannot be answered by what is owed to an earlier session."""
        if not self._owed or reading.sequence is None:
            return 0.0
        owed = self._owed.get((frame.source, reading.sequence))
        return 0.0 if owed is None or owed.session is session else owed.until_s
