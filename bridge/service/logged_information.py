"""What an operator would want to know of an outstation inside this program, in the events log."""

from __future__ import annotations

from bridge.endpoints.events import note, warn
from bridge.outstation.handlers import OutstationInformation


class LoggedInformation(OutstationInformation):
    """Logs when a master wants to be told unasked, and handlers that fail."""

    def __init__(self, outstation: str) -> None:
        self._outstation = outstation

    def unsolicited_enabled(self, classes: frozenset[int]) -> None:
        """A master wants to be told unasked, or not any more."""
        told = ",".join(map(str, sorted(map(int, classes))))
        note("unsolicited", outstation=self._outstation, classes=told)

    def handler_failed(self, error: Exception) -> None:
        """A bug."""
        warn("handler failed", outstation=self._outstation, error=repr(error))
