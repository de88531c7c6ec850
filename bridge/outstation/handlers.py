"""What an outstation asks of its application, and what it tells it. Subclass what you need; all has defaults.

Methods whose result decides an answer may be `async`: the outstation waits for them and answers then. They
are called one at a time, in the order of the request's objects. What they raise is reported to
`OutstationInformation.handler_failed` and answered as a refusal; it never ends a session.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias, TypeVar

from bridge.application.command import AnalogOutputCommand, CommandStatus, Crob
from bridge.application.function import Function, Iin
from bridge.application.measurement import PointKind

T = TypeVar("T")
MaybeAsync: TypeAlias = T | Awaitable[T]


@dataclass(frozen=True, slots=True)
class RestartDelay:
    """How long a restart takes: answered as fine (milliseconds) or coarse (seconds) time delay, g52."""

    ms: int
    is_fine: bool = True


class FreezeType(Enum):
    """What a freeze does to the running counters."""

    IMMEDIATE = auto()
    CLEAR = auto()
    """The running counters start again at zero."""


class OutstationApplication:
    """The device behind the outstation: time, restarts, freezes, settings. The defaults refuse politely."""

    def indications(self) -> Iin:
        """Return the IIN bits that only the device knows.

        NEED_TIME, LOCAL_CONTROL, DEVICE_TROUBLE and CONFIG_CORRUPT are taken from it, others are ignored.
        """
        return Iin(0)

    def write_time(self, utc_ms: int) -> MaybeAsync[bool]:
        """Set the clock to milliseconds since 1970 UTC; return False to answer "parameter error"."""
        return False

    def cold_restart(self) -> MaybeAsync[RestartDelay | None]:
        """Restart everything soon after the answer; None answers "not supported"."""
        return None

    def warm_restart(self) -> MaybeAsync[RestartDelay | None]:
        """Restart the application soon after the answer; None answers "not supported"."""
        return None

    def freeze(
        self, kind: PointKind, start: int | None, stop: int | None, freeze_type: FreezeType
    ) -> MaybeAsync[bool]:
        """Say whether points may be frozen now; the database then does it. None, None: all points."""
        return True

    def write_deadband(self, index: int, deadband: float) -> MaybeAsync[bool]:
        """Say whether an analog input's deadband may be set; the database then takes it."""
        return True

    def write_octet_string(self, index: int, octets: bytes) -> MaybeAsync[bool]:
        """Take an octet string from the master; return False to refuse. Updating the point is up to you."""
        return False

    def write_schedule(self, index: int, utc_ms: int, interval: int, units: int) -> MaybeAsync[bool]:
        """Take an indexed time with interval, g50v4; return False to refuse. The outstation keeps it."""
        return False

    def write_attribute(self, attribute_set: int, variation: int, value: object) -> MaybeAsync[bool]:
        """Say whether a writable device attribute may be set; the outstation then keeps it."""
        return True

    def class_assigned(self, kind: PointKind, start: int, stop: int, event_class: int) -> None:
        """Points were assigned to a class by the master: keep that, if it should survive a restart."""

    def command_class_assigned(self, kind: PointKind, start: int, stop: int, event_class: int) -> None:
        """The command events (g13, g43) of outputs were assigned to a class by the master."""


class ControlHandler:
    """Executes the master's commands. The defaults refuse: NOT_SUPPORTED."""

    def select(self, command: Crob | AnalogOutputCommand, index: int) -> MaybeAsync[CommandStatus]:
        """Say whether the command could be executed, without doing anything."""
        return CommandStatus.NOT_SUPPORTED

    def operate(
        self, command: Crob | AnalogOutputCommand, index: int, function: Function
    ) -> MaybeAsync[CommandStatus]:
        """Execute the command and say how it went.

        `function` is OPERATE after a matching select, DIRECT_OPERATE, or DIRECT_OPERATE_NR, whose status goes
        nowhere.
        """
        return CommandStatus.NOT_SUPPORTED


class OutstationInformation:
    """Hears what happens. Nothing here decides anything; all methods return at once.

    What they raise goes to `handler_failed`; what that raises is lost.
    """

    def request_received(self, function: Function | int, sequence: int) -> None:
        """A request is about to be processed."""

    def confirm_received(self, *, is_unsolicited: bool, events: int) -> None:
        """The master confirmed a response, and with it this number of events."""

    def confirm_timed_out(self, *, is_unsolicited: bool) -> None:
        """A confirm did not come; its events wait for the next response."""

    def confirm_unexpected(self, *, is_unsolicited: bool, sequence: int) -> None:
        """A confirm came that nothing waits for."""

    def broadcast_received(self, function: Function | int, *, was_processed: bool) -> None:
        """A broadcast was processed, or ignored."""

    def restart_cleared(self) -> None:
        """The master cleared the restart indication."""

    def unsolicited_enabled(self, classes: frozenset[int]) -> None:
        """The master enabled or disabled unsolicited reporting; these classes are enabled now."""

    def handler_failed(self, error: Exception) -> None:
        """A method of the application or of the controls raised."""
