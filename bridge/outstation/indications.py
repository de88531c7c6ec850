"""The internal indications that every response carries, and how a broadcast is told of by them.

Rules, which are rule 5 of the session in full:
  1. The next response tells of a broadcast. That is enough, unless the broadcast asked for a confirm: then
     each tells of it until one that did is confirmed.
  2. A broadcast that comes after such a response was sent is still to be told of.
"""

from __future__ import annotations

from bridge.application.function import Iin
from bridge.link.address import BROADCAST_CONFIRM
from bridge.outstation.events import EventBuffer
from bridge.outstation.handlers import OutstationApplication, OutstationInformation
from bridge.outstation.writes import Writes

_NOTHING = Iin(0)
_OF_APPLICATION = Iin.NEED_TIME | Iin.LOCAL_CONTROL | Iin.DEVICE_TROUBLE | Iin.CONFIG_CORRUPT


class Indications:
    """Gathers the indications of one outstation."""

    def __init__(
        self,
        events: EventBuffer,
        writes: Writes,
        application: OutstationApplication,
        information: OutstationInformation,
    ) -> None:
        self._events = events
        self._writes = writes
        self._application = application
        self._information = information
        self._broadcast: int | None = None
        self._is_broadcast_told = False

    def now(self) -> Iin:
        """Return what is to be said now."""
        iin = self._events.class_indications()
        if self._writes.is_restarted:
            iin |= Iin.DEVICE_RESTART
        if self._events.has_overflowed:
            iin |= Iin.EVENT_BUFFER_OVERFLOW
        if self._broadcast is not None:
            iin |= Iin.BROADCAST
        try:
            theirs = self._application.indications()
            # The operators of an IntFlag cost more than the rest of this method.
            if theirs != _NOTHING:
                iin |= theirs & _OF_APPLICATION
        except Exception as error:
            self._information.handler_failed(error)
        return iin

    @property
    def needs_confirm(self) -> bool:
        """Whether a broadcast is to be told of by a response that asks for a confirm."""
        return self._broadcast == BROADCAST_CONFIRM

    def broadcast_came(self, address: int | None) -> None:
        """A broadcast came, to this address."""
        self._broadcast = address
        self._is_broadcast_told = False

    def responded(self, *, asks_confirm: bool) -> None:
        """A response was made, with what `now` returned."""
        if not self.needs_confirm:
            self._broadcast = None
        if asks_confirm:
            self._is_broadcast_told = self._broadcast is not None

    def spoke_unasked(self) -> None:
        """An unsolicited response was made, with what `now` returned."""
        self._is_broadcast_told = self._broadcast is not None

    def confirmed(self) -> None:
        """The response that was made last was confirmed."""
        if self._is_broadcast_told:
            self._broadcast = None
