"""The answer that may still be on its way to a request whose master asked anew before it came.

Rules:
  1. While it may come, no other session's request goes out: the two would meet on the wire.
  2. The session that asked anew speaks into its own answer at its own risk, unless others wait as well.
  3. It is heard when the outstation owes no answer any more; nobody waits for it longer than for any answer.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from bridge.routing.exchange import Exchange
from bridge.routing.queue import Waiting

_NEVER = float("-inf")


class Unheard:
    """What a line's superseded request is still owed. All times are monotonic seconds."""

    def __init__(self) -> None:
        self._address: int | None = None
        self._session: Hashable = None
        self._until_s = _NEVER

    def forget(self) -> None:
        """Wait for nothing: it came, or the port was opened anew."""
        self._address = self._session = None
        self._until_s = _NEVER

    def expect(self, exchange: Exchange) -> None:
        """Begin to wait for the answer to a superseded request."""
        self._address, self._session = exchange.address, exchange.session
        self._until_s = exchange.deadline_s

    def heard(self, address: int, *, owes_more: bool) -> None:
        """Take note of the end of a late fragment, or of a late link answer (rule 3)."""
        if address == self._address and not owes_more:
            self.forget()

    def safe_from_s(self, candidate: Waiting, waiting: Iterable[Waiting]) -> float:
        """Return from when a request meets no answer on the wire; `waiting` are all that wait."""
        is_the_same = candidate.address == self._address and candidate.session is self._session
        if is_the_same and all(each.session is self._session for each in waiting):
            return _NEVER
        return self._until_s
