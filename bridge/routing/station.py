"""What a line knows of one outstation: whose it is, what it is saying, and what it still owes."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from bridge.link.address import AddressKind, kind_of
from bridge.link.frame import Frame
from bridge.routing.assembly import Assembly
from bridge.routing.debts import Debts
from bridge.routing.drop import Drop
from bridge.routing.exchange import Exchange
from bridge.routing.steps import Deliver, Dropped
from bridge.routing.stimulus import Reader, Reading, Stimulus

NEVER = float("-inf")


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
    selected_until_s: float = NEVER
    """Until when the session may operate what it selected."""
    debts: Debts = field(default_factory=Debts)

    def begin_session(self, session: Hashable | None) -> None:
        """Belong to another session, or to none, with nothing left of the one before but what is owed."""
        self.session = session
        self.masters = None
        self.from_master = Reader()
        self.assembly = Assembly()
        self.unsolicited_for = self.unconfirmed = None
        self.selected_until_s = NEVER

    def begin_line(self) -> None:
        """Forget what the outstation was saying: the port was opened anew."""
        self.from_outstation = Reader()
        self.unsolicited_for = self.unconfirmed = None
        self.is_fragment_late = False
        self.selected_until_s = NEVER

    def unasked(self, frame: Frame, reading: Reading) -> Deliver | Dropped:
        """Say where the outstation's own message goes: to the session that uses its destination."""
        if kind_of(frame.destination) is not AddressKind.INDIVIDUAL:
            return Dropped(frame.source, Drop.RESERVED_ADDRESS, frame=frame)
        if self.session is None:
            return Dropped(frame.source, Drop.NO_SESSION, frame=frame)
        if self.masters is not None and frame.destination not in self.masters:
            return Dropped(frame.source, Drop.UNKNOWN_MASTER, frame=frame)
        if reading.stimulus is Stimulus.UNSOLICITED:
            if reading.starts_fragment:
                self.unsolicited_for = self.session
            elif self.unsolicited_for is not self.session:
                return Dropped(frame.source, Drop.ORPHAN_SEGMENT, frame=frame)
        return Deliver(self.session, frame.source, frame)

    def gives_up(self, exchange: Exchange, until_s: float) -> None:
        """Take note of a request that was given up, whose answers may come until then."""
        if exchange.is_in_fragment:
            self.is_fragment_late = True
        self.debts.give_up(exchange, until_s)

    def late(self, frame: Frame, reading: Reading, now: float) -> Dropped | None:
        """Return how an answer is dropped if it is one to a request that was given up."""
        is_segment = reading.stimulus is not Stimulus.LINK_ANSWER
        if is_segment and not reading.starts_fragment:
            return Dropped(frame.source, Drop.LATE, frame=frame) if self.is_fragment_late else None
        owed = self.debts.pay(frame, reading)
        if is_segment:
            self.is_fragment_late = owed is not None
        if owed is None:
            return None
        return Dropped(frame.source, Drop.LATE, max(0.0, now - owed.sent_s), frame=frame)
