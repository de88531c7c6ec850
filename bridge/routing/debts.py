"""What an outstation still owes: answers to requests that were given up, and may come all the same.

A fragment names its request by the master's address and the application sequence; a link answer names it by
the address alone. Until its time is up, a request of another session that could be answered by mistake waits.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

from bridge.link.frame import Frame
from bridge.routing.exchange import Exchange
from bridge.routing.stimulus import Reading, Stimulus

_MOST_OWED = 32
_NEVER = float("-inf")
_SEVERAL = object()
"""In place of a session where requests of several are owed one kind of answer."""

_Key = tuple[int, int | None]
"""The master's address, and the application sequence; None for link answers."""


class Owed(NamedTuple):
    """Answers of one kind that may still come."""

    session: Hashable | None
    sent_s: float
    until_s: float
    answers: int


class Debts:
    """What one outstation owes. All times are monotonic seconds."""

    def __init__(self) -> None:
        self._owed: dict[_Key, Owed] = {}
        self._forgotten_until_s = _NEVER
        """Until when any request may be answered by something that is not kept here any more."""

    def give_up(self, exchange: Exchange, until_s: float) -> None:
        """Take note of a request that was given up, whose answers may come until then."""
        for key in _keys(exchange):
            self._owe(key, exchange, until_s, more=1)

    def answered(self, exchange: Exchange, until_s: float) -> None:
        """Take note of an answered request. Had it been sent before, an answer is still owed."""
        if not self._owed:
            return
        # By its own sequence: that of the exchange counts on with the fragments.
        for sequence in _named_by(exchange.reading):
            key = exchange.request.source, sequence
            owed = self._owed.get(key)
            if owed is None:
                continue
            if owed.until_s > exchange.started_s:
                self._owe(key, exchange, until_s, more=0)
            else:
                del self._owed[key]

    def pay(self, frame: Frame, reading: Reading) -> Owed | None:
        """Return the debt that an answer's frame pays, if it pays one."""
        key = _paid_by(frame, reading)
        owed = None if key is None else self._owed.get(key)
        if key is None or owed is None:
            return None
        if owed.answers > 1:
            self._owed[key] = owed._replace(answers=owed.answers - 1)
        else:
            del self._owed[key]
        return owed

    def is_owed(self, now: float) -> bool:
        """Tell whether any answer may still come."""
        return any(now < owed.until_s for owed in self._owed.values())

    def is_to_another(self, exchange: Exchange, frame: Frame, reading: Reading, now: float) -> bool:
        """Tell whether an answer may be one that an earlier session's request is still owed."""
        if not self._owed or exchange.session is None:
            return False
        key = _paid_by(frame, reading)
        owed = None if key is None else self._owed.get(key)
        return owed is not None and owed.session is not exchange.session and now < owed.until_s

    def safe_from_s(self, session: Hashable, frame: Frame, reading: Reading) -> float:
        """Return from when a request cannot be answered by what another session's is owed."""
        if not self._owed:
            return self._forgotten_until_s
        safe_s = self._forgotten_until_s
        for sequence in _named_by(reading):
            owed = self._owed.get((frame.source, sequence))
            if owed is not None and owed.session is not session:
                safe_s = max(safe_s, owed.until_s)
        return safe_s

    def _owe(self, key: _Key, exchange: Exchange, until_s: float, *, more: int) -> None:
        session, count = exchange.session, more
        before = self._owed.pop(key, None)
        if before is not None and before.until_s > exchange.started_s:
            count += before.answers
            if before.session is not session:
                session = _SEVERAL
        if len(self._owed) >= _MOST_OWED:
            forgotten = self._owed.pop(next(iter(self._owed)))
            self._forgotten_until_s = max(self._forgotten_until_s, forgotten.until_s)
        self._owed[key] = Owed(session, exchange.sent_s, until_s, count)


def _keys(exchange: Exchange) -> list[_Key]:
    """Name the answers that an exchange's request may bring from now on."""
    master = exchange.request.source
    return [(master, sequence) for sequence in _named_by(exchange.reading, exchange.sequence)]


def _named_by(reading: Reading, sequence: int | None = None) -> list[int | None]:
    named: list[int | None] = []
    if sequence is None:
        sequence = reading.sequence
    if sequence is not None:
        named.append(sequence)
    if reading.asks_link_answer or reading.stimulus is Stimulus.LINK_SERVICE:
        named.append(None)
    return named


def _paid_by(frame: Frame, reading: Reading) -> _Key | None:
    if reading.stimulus is Stimulus.LINK_ANSWER:
        return frame.destination, None
    return None if reading.sequence is None else (frame.destination, reading.sequence)
