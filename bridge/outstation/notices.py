"""The user's `OutstationInformation`, such that nothing it does stops a session."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from bridge.application.function import Function
from bridge.outstation.handlers import OutstationInformation


class SafeInformation(OutstationInformation):
    """Passes everything on to the user's, and what that raises to its `handler_failed`."""

    def __init__(self, user: OutstationInformation) -> None:
        self._user = user

    def request_received(self, function: Function | int, sequence: int) -> None:
        """Pass it on."""
        self._tell(self._user.request_received, function, sequence)

    def confirm_received(self, *, is_unsolicited: bool, events: int) -> None:
        """Pass it on."""
        self._tell(self._user.confirm_received, is_unsolicited=is_unsolicited, events=events)

    def confirm_timed_out(self, *, is_unsolicited: bool) -> None:
        """Pass it on."""
        self._tell(self._user.confirm_timed_out, is_unsolicited=is_unsolicited)

    def confirm_unexpected(self, *, is_unsolicited: bool, sequence: int) -> None:
        """Pass it on."""
        self._tell(self._user.confirm_unexpected, is_unsolicited=is_unsolicited, sequence=sequence)

    def broadcast_received(self, function: Function | int, *, was_processed: bool) -> None:
        """Pass it on."""
        self._tell(self._user.broadcast_received, function, was_processed=was_processed)

    def restart_cleared(self) -> None:
        """Pass it on."""
        self._tell(self._user.restart_cleared)

    def unsolicited_enabled(self, classes: frozenset[int]) -> None:
        """Pass it on."""
        self._tell(self._user.unsolicited_enabled, classes)

    def handler_failed(self, error: Exception) -> None:
        """Pass it on; there is nobody else to tell if that fails too."""
        with suppress(Exception):
            self._user.handler_failed(error)

    def _tell(self, method: Callable[..., None], *arguments: Any, **named: Any) -> None:
        try:
            method(*arguments, **named)
        except Exception as error:
            self.handler_failed(error)
