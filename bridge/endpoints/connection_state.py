"""Who hears when a master comes and goes, and in which order."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from enum import Enum
from typing import Protocol

from bridge.endpoints.events import warn


class ConnectionState(Enum):
    """Whether an outstation has a master."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"


class ConnectionStateListener(Protocol):
    """Hears when a master that matches the outstation's filter comes and goes."""

    def connection_state_changed(self, state: ConnectionState, peer: str) -> None:
        """Take note; `peer` is "address:port". What is raised here is logged and goes no further.

        All listeners hear of one change before any hears of the next, also when one of them brought it about.
        """


Listeners = Sequence[tuple[str, ConnectionStateListener]]
"""Each with the name of its outstation."""


class Announcer:
    """Tells listeners what they have not heard yet: all of them of one change, before any of the next."""

    def __init__(self) -> None:
        self.failures = 0
        """How often a listener raised something."""
        self._untold: deque[tuple[Listeners, ConnectionState, str]] = deque()
        self._is_telling = False

    def add(self, listeners: Listeners, state: ConnectionState, peer: str) -> None:
        """Take note of a change; `tell` tells it."""
        self._untold.append((listeners, state, peer))

    def tell(self) -> None:
        """Tell what was added, unless a listener is being told now: then it follows that."""
        if self._is_telling:
            return
        self._is_telling = True
        try:
            while self._untold:
                self._tell_all(*self._untold.popleft())
        finally:
            self._is_telling = False

    def _tell_all(self, listeners: Listeners, state: ConnectionState, peer: str) -> None:
        for outstation, listener in listeners:
            try:
                listener.connection_state_changed(state, peer)
            except Exception as error:
                self.failures += 1
                warn("listener failed", outstation=outstation, state=state.value, error=repr(error))
