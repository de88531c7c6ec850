"""An outstation of ours in a thread with a loop of its own, for peers in the test's thread or in C++.

`Device` is the application behind it: it notes what it is asked and told, and feeds its outputs back.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeVar

from bridge.application.command import AnalogOutputCommand, CommandStatus, Crob, Operation, TripClose
from bridge.application.function import Function, Iin
from bridge.application.measurement import Measurement, PointKind
from bridge.endpoints.address_filter import AddressFilter
from bridge.endpoints.connection_state import ConnectionState
from bridge.endpoints.local_outstation import Outstation
from bridge.endpoints.serial_outstation import SerialOutstations
from bridge.endpoints.serial_port import SerialSettings
from bridge.endpoints.tcp_server import TcpServer
from bridge.link.framer import LinkErrorMode
from bridge.outstation.attributes import AttributeStore
from bridge.outstation.config import OutstationConfig
from bridge.outstation.database import Database
from bridge.outstation.handlers import (
    ControlHandler,
    FreezeType,
    OutstationApplication,
    OutstationInformation,
    RestartDelay,
)
from tests.support.outstations import Listener
from tests.support.waiting import PATIENCE_S, until

T = TypeVar("T")

COLD_RESTART = RestartDelay(1234)
WARM_RESTART = RestartDelay(3000, is_fine=False)


@dataclass(frozen=True, slots=True)
class Operated:
    """One command that was executed."""

    function: Function
    index: int
    command: Crob | AnalogOutputCommand


@dataclass(eq=False)
class Device(OutstationApplication, ControlHandler, OutstationInformation):
    """A device with outputs that do what they are told. An index from `outputs` on is out of range.

    Without `has_feedback` the points of the outputs stay as they are.
    """

    outputs: int = 10
    has_feedback: bool = True
    database: Database = field(default_factory=Database)
    needs_time: bool = False
    times_ms: list[int] = field(default_factory=list)
    restarts: list[str] = field(default_factory=list)
    selected: list[int] = field(default_factory=list)
    operated: list[Operated] = field(default_factory=list)
    frozen: list[tuple[PointKind, FreezeType]] = field(default_factory=list)
    requests: list[Function | int] = field(default_factory=list)
    broadcasts: list[tuple[Function | int, bool]] = field(default_factory=list)
    confirmed: list[tuple[bool, int]] = field(default_factory=list)
    """Whether the confirm was of an unsolicited response, and how many events it removed."""
    unsolicited_classes: frozenset[int] = frozenset()
    timeouts: int = 0
    clears: int = 0
    failures: list[Exception] = field(default_factory=list)

    # OutstationApplication

    def indications(self) -> Iin:
        return Iin.NEED_TIME if self.needs_time else Iin(0)

    async def write_time(self, utc_ms: int) -> bool:
        self.times_ms.append(utc_ms)
        self.needs_time = False
        return True

    def cold_restart(self) -> RestartDelay:
        self.restarts.append("cold")
        return COLD_RESTART

    async def warm_restart(self) -> RestartDelay:
        self.restarts.append("warm")
        return WARM_RESTART

    def freeze(self, kind: PointKind, start: int | None, stop: int | None, freeze_type: FreezeType) -> bool:
        self.frozen.append((kind, freeze_type))
        return True

    def write_octet_string(self, index: int, octets: bytes) -> bool:
        self.database.update(PointKind.OCTET_STRING, index, Measurement(octets))
        return True

    def write_schedule(self, index: int, utc_ms: int, interval: int, units: int) -> bool:
        return True

    # ControlHandler

    async def select(self, command: Crob | AnalogOutputCommand, index: int) -> CommandStatus:
        await asyncio.sleep(0)
        self.selected.append(index)
        return CommandStatus.SUCCESS if index < self.outputs else CommandStatus.OUT_OF_RANGE

    def operate(self, command: Crob | AnalogOutputCommand, index: int, function: Function) -> CommandStatus:
        if index >= self.outputs:
            return CommandStatus.OUT_OF_RANGE
        self.operated.append(Operated(function, index, command))
        if not self.has_feedback:
            return CommandStatus.SUCCESS
        if isinstance(command, AnalogOutputCommand):
            self.database.update(PointKind.ANALOG_OUTPUT, index, Measurement(command.value))
        elif (state := _state_after(command)) is not None:
            self.database.update(PointKind.BINARY_OUTPUT, index, Measurement(state))
        return CommandStatus.SUCCESS

    # OutstationInformation

    def request_received(self, function: Function | int, sequence: int) -> None:
        self.requests.append(function)

    def confirm_received(self, *, is_unsolicited: bool, events: int) -> None:
        self.confirmed.append((is_unsolicited, events))

    def confirm_timed_out(self, *, is_unsolicited: bool) -> None:
        self.timeouts += 1

    def broadcast_received(self, function: Function | int, *, was_processed: bool) -> None:
        self.broadcasts.append((function, was_processed))

    def restart_cleared(self) -> None:
        self.clears += 1

    def unsolicited_enabled(self, classes: frozenset[int]) -> None:
        self.unsolicited_classes = classes

    def handler_failed(self, error: Exception) -> None:
        self.failures.append(error)


def _state_after(command: Crob) -> bool | None:
    """Return what the output is after the command; None where that is as before."""
    match command.trip_close:
        case TripClose.CLOSE:
            return True
        case TripClose.TRIP:
            return False
    match command.operation:
        case Operation.PULSE_ON | Operation.LATCH_ON:
            return True
        case Operation.PULSE_OFF | Operation.LATCH_OFF:
            return False
    return None


class LoopThread:
    """An event loop in a thread of its own, for the length of a `with` block.

    What raises in it without anybody to see it fails the block's end.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(lambda _loop, context: self.errors.append(context))
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="outstation")
        self.errors: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()
        # Not in place of what went wrong in the test.
        assert error or self.errors == [], self.errors

    def call(self, function: Callable[[], T]) -> T:
        """Call a function in the loop's thread and return what it returns."""

        async def called() -> T:
            return function()

        return self.run(called())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the loop and return what it returns."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)


class LocalOutstation(LoopThread):
    """An outstation, served over TCP on a free port, or on a serial `device` if there is one."""

    def __init__(
        self,
        database: Database | None = None,
        config: OutstationConfig | None = None,
        *,
        attributes: AttributeStore | None = None,
        device: str | None = None,
        has_feedback: bool = True,
    ) -> None:
        super().__init__()
        self.database = database or Database()
        self.device = Device(has_feedback=has_feedback, database=self.database)
        self.listener = Listener()
        self.server: TcpServer | None = None
        self.serial: SerialOutstations | None = None
        self._config = config or OutstationConfig(name="under test")
        self._attributes = attributes
        self._path = device

    def __enter__(self) -> Self:
        super().__enter__()
        self.run(self._start())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.run(self._stop())
        super().__exit__(kind, error, trace)
        assert error or self.device.failures == [], self.device.failures

    @property
    def port(self) -> int:
        """Where masters connect."""
        assert self.server is not None
        return self.server.endpoint.port

    @property
    def connects(self) -> int:
        """How many sessions of masters have begun."""
        return self.listener.states.count(ConnectionState.CONNECTED)

    @property
    def is_connected(self) -> bool:
        """Whether a master's session is there."""
        return self.listener.states[-1:] == [ConnectionState.CONNECTED]

    def update(self, change: Callable[[Database], object]) -> None:
        """Change the database in the outstation's thread, and return when it is done."""
        self.call(lambda: change(self.database))

    def wait_until_confirmed(self) -> None:
        """Wait until no event is left in the outstation's buffers."""
        until(lambda: self.call(lambda: self.database.events.counts().total) == 0, "all events are confirmed")

    async def _start(self) -> None:
        device = self.device
        outstation = Outstation(
            self._config,
            database=self.database,
            application=device,
            information=device,
            controls=device,
            attributes=self._attributes,
        )
        if self._path is not None:
            settings = SerialSettings(device=self._path, baud=115200)
            self.serial = SerialOutstations(settings, frame_timeout_s=PATIENCE_S)
            self.serial.add(outstation)
            self.serial.start()
            return
        self.server = TcpServer(LinkErrorMode.DISCARD, "127.0.0.1:0")
        self.server.add_outstation(outstation, self.listener, AddressFilter.any())
        await self.server.bind()

    async def _stop(self) -> None:
        if self.server is not None:
            await self.server.close()
        if self.serial is not None:
            await self.serial.close()
