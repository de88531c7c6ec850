"""The controls of the appliance's outstation: which may be done, who asked, and doing them.

Rules:
  1. What interrupts others is named by an index of its own, and is logged with whoever asked for it.
  2. Nothing is done before the answer to it was sent: it may end the session that asked.
  3. A broadcast controls nothing: the same index is another thing in each RTU that hears it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple, Protocol

from bridge.application.command import AnalogOutputCommand, CommandStatus, Crob, Operation, TripClose
from bridge.application.function import Function
from bridge.application.measurement import Measurement, PointKind
from bridge.endpoints.events import note
from bridge.endpoints.local_outstation import system_utc_ms
from bridge.outstation.database import Database
from bridge.outstation.handlers import ControlHandler
from bridge.service.appliance.local_outstation import Asker
from bridge.service.appliance.point_map import Block
from bridge.service.appliance.point_row import Command
from bridge.service.front import actuator


class Actions(Protocol):
    """What can be done to a running bridge. The judgements change nothing."""

    def may_switch(self, relay: str) -> CommandStatus:
        """Say whether a relay can be commanded."""

    def switch(self, relay: str, crob: Crob) -> None:
        """Let a relay do what a block says."""

    def may_reset(self, line: str) -> CommandStatus:
        """Say whether a line can be reset."""

    def reset(self, line: str) -> None:
        """Close a line's port and open it again."""

    def may_drop_session(self, outstation: str) -> CommandStatus:
        """Say whether an outstation's master can be sent away."""

    def drop_session(self, outstation: str, by: str) -> None:
        """End the session of an outstation's master; `by` is who asked for it."""

    def lamp_test(self, duration_s: float | None) -> None:
        """Light all LEDs for a time, None for the usual one; 0 ends it."""


_OK, _NO = CommandStatus.SUCCESS, CommandStatus.NOT_SUPPORTED
_STARTS: Final = frozenset({Operation.PULSE_ON, Operation.LATCH_ON, Operation.NUL})
_STARTS_AND_ENDS: Final = _STARTS | {Operation.LATCH_OFF}


class _Deed(NamedTuple):
    """How a command is judged and done, for the thing with a name."""

    operations: frozenset[Operation]
    judge: Callable[[Actions, str], CommandStatus]
    do: Callable[[Actions, str, Crob, str], None]


_DEEDS: Final[Mapping[Command, _Deed]] = {
    Command.LAMP_TEST: _Deed(
        _STARTS_AND_ENDS,
        lambda _actions, _name: _OK,
        lambda actions, _name, crob, _by: actions.lamp_test(_duration_s(crob)),
    ),
    Command.SWITCH: _Deed(
        frozenset(Operation),
        lambda actions, name: actions.may_switch(name),
        lambda actions, name, crob, _by: actions.switch(name, crob),
    ),
    Command.RESET: _Deed(
        _STARTS,
        lambda actions, name: actions.may_reset(name),
        lambda actions, name, _crob, _by: actions.reset(name),
    ),
    Command.DROP_SESSION: _Deed(
        _STARTS,
        lambda actions, name: actions.may_drop_session(name),
        lambda actions, name, _crob, by: actions.drop_session(name, by),
    ),
}


class _Target(NamedTuple):
    command: Command
    name: str
    title: str


class ApplianceControls(ControlHandler):
    """Judges and carries out control relay output blocks; there are no analog outputs."""

    def __init__(
        self,
        name: str,
        blocks: Iterable[Block],
        actions: Actions,
        asker: Asker,
        database: Database,
        *,
        is_allowed: bool,
    ) -> None:
        """Prepare the controls of the outstation `name`; `asker` is whoever asks at the moment."""
        self._name = name
        self._actions = actions
        self._asker = asker
        self._database = database
        self._is_allowed = is_allowed
        self._targets = {
            point.index: _Target(point.row.command, block.name, point.name)
            for block in blocks
            for point in block.points
            if point.row.command is not None
        }

    def select(self, command: Crob | AnalogOutputCommand, index: int) -> CommandStatus:
        """Say whether it could be done now."""
        target = self._targets.get(index)
        if isinstance(command, AnalogOutputCommand) or target is None:
            return _NO
        if self._asker.is_broadcast or not self._is_allowed:
            return CommandStatus.NOT_AUTHORIZED
        deed = _DEEDS[target.command]
        status = actuator.judge(command)
        # There is one coil, and nothing that a trip would open.
        is_possible = command.operation in deed.operations and command.trip_close is not TripClose.TRIP
        if status is not _OK or not is_possible:
            return _NO
        return deed.judge(self._actions, target.name)

    def operate(self, command: Crob | AnalogOutputCommand, index: int, function: Function) -> CommandStatus:
        """Do it, if it can be done, as soon as that was answered."""
        status = self.select(command, index)
        target = self._targets.get(index)
        by = self._asker.peer
        if isinstance(command, Crob):
            note(
                "control",
                outstation=self._name,
                by=by,
                source=self._asker.source,
                what=f"index {index}" if target is None else target.title,
                operation=getattr(command.operation, "name", command.operation),
                status=status.name,
            )
            is_something = command.operation is not Operation.NUL and command.count > 0
            if status is _OK and target is not None and is_something:
                deed = _DEEDS[target.command]
                asyncio.get_running_loop().call_soon(deed.do, self._actions, target.name, command, by)
                if target.command is Command.DROP_SESSION:
                    self._blink(index)
        return status

    def _blink(self, index: int) -> None:
        """Report an output that was on for no time: what it did leaves no state behind."""
        now_ms = system_utc_ms()
        with self._database.transaction() as transaction:
            for is_on in (True, False):
                transaction.update(PointKind.BINARY_OUTPUT, index, Measurement(is_on, time_ms=now_ms))


def _duration_s(crob: Crob) -> float | None:
    if crob.operation is Operation.LATCH_OFF:
        return 0.0
    return crob.on_time_ms / 1000 if crob.operation is Operation.PULSE_ON and crob.on_time_ms else None
