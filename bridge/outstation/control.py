"""Controls: select before operate, and direct (IEEE 1815 clauses 4.4.3 to 4.4.5).

Rules:
  1. OPERATE executes only what SELECT named: the same octets, the next sequence number, within the timeout,
     and no other request in between.
  2. Every object is answered by its octets with a status. One that is refused does not stop the others.
  3. A request with more objects than allowed is answered TOO_MANY_OPS for those over the limit.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from inspect import isawaitable
from typing import Any

from bridge.application.command import (
    AnalogOutputCommand,
    Command,
    CommandStatus,
    Crob,
    Operation,
    TripClose,
    echo,
)
from bridge.application.command import decode_command as decode
from bridge.application.function import Function
from bridge.application.measurement import PointKind, Value
from bridge.application.request import Request
from bridge.outstation.database import Database
from bridge.outstation.handlers import ControlHandler, MaybeAsync

_SEQUENCES = 16
_ON_OPERATIONS = frozenset({Operation.PULSE_ON, Operation.LATCH_ON})
_ON_OF_TRIP_CLOSE = {TripClose.CLOSE: True, TripClose.TRIP: False}
"""The commanded state of g13, which a pair of outputs has whatever the operation is."""


class Selection:
    """The SELECT that an OPERATE may follow."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._body: bytes | None = None
        self._sequence = 0
        self._until_s = 0.0

    def remember(self, request: Request, now: float) -> None:
        """Note a SELECT that succeeded."""
        self._body = request.body
        self._sequence = (request.control.sequence + 1) % _SEQUENCES
        self._until_s = now + self._timeout_s

    def forget(self) -> None:
        """Cancel it: another request came, the master went, or it was used."""
        self._body = None

    def judge(self, request: Request, now: float) -> CommandStatus:
        """Say whether this OPERATE follows the SELECT (rule 1), and forget the SELECT."""
        body, self._body = self._body, None
        if body is None or body != request.body or request.control.sequence != self._sequence:
            return CommandStatus.NO_SELECT
        return CommandStatus.SUCCESS if now <= self._until_s else CommandStatus.TIMEOUT


def call(value: MaybeAsync[Any]) -> Generator[Awaitable[Any], Any, Any]:
    """Return what a handler returned, waiting for it where it is async."""
    if isawaitable(value):
        return (yield value)
    return value


class Controls:
    """Executes the objects of a control request through the user's handler."""

    def __init__(
        self,
        handler: ControlHandler,
        database: Database,
        limit: int,
        failed: Callable[[Exception], None],
        utc_ms: Callable[[], int],
    ) -> None:
        self._handler = handler
        self._database = database
        self._limit = limit
        self._failed = failed
        self._utc_ms = utc_ms

    def refuse(self, request: Request, status: CommandStatus) -> bytes:
        """Answer every object of the request with one status."""
        return b"".join(echo(header, [status] * (header.count or 0)) for header in request.headers)

    def execute(self, request: Request) -> Generator[Awaitable[Any], Any, tuple[bytes, bool]]:
        """Select or operate each object; return the echo, and whether all succeeded."""
        done = 0
        are_all_fine = True
        answers = []
        for header in request.headers:
            statuses = []
            row = header.row
            assert row is not None
            for index, octets in header.items():
                assert index is not None
                status = CommandStatus.TOO_MANY_OPS
                if done < self._limit:
                    status = yield from self._one(decode(row, octets), index, request.function)
                done += 1
                are_all_fine &= status is CommandStatus.SUCCESS
                statuses.append(status)
            answers.append(echo(header, statuses))
        return b"".join(answers), are_all_fine

    def _one(
        self, command: Command, index: int, function: Function
    ) -> Generator[Awaitable[Any], Any, CommandStatus]:
        try:
            if function is Function.SELECT:
                status = yield from call(self._handler.select(command, index))
                return CommandStatus(status)
            status = yield from call(self._handler.operate(command, index, function))
            status = CommandStatus(status)
        except Exception as error:
            self._failed(error)
            status = CommandStatus.HARDWARE_ERROR
        if function is not Function.SELECT:
            self._record(command, index, status)
        return status

    def _record(self, command: Command, index: int, status: CommandStatus) -> None:
        """Make the command event (g13, g43) of outputs that are set up to report it."""
        kind, value = _commanded(command)
        if self._database.has(kind, index):
            self._database.record_command(kind, index, value, status, time_ms=self._utc_ms())


def _commanded(command: Command) -> tuple[PointKind, Value]:
    if isinstance(command, AnalogOutputCommand):
        return PointKind.ANALOG_OUTPUT, command.value
    assert isinstance(command, Crob)
    if command.trip_close in _ON_OF_TRIP_CLOSE:
        return PointKind.BINARY_OUTPUT, _ON_OF_TRIP_CLOSE[command.trip_close]
    return PointKind.BINARY_OUTPUT, command.operation in _ON_OPERATIONS
