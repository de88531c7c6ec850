"""opendnp3, a third party's DNP3 stack, as master over TCP and as outstation on a serial port.

Importing this skips the importing test module where opendnp3 is not there (`tests.support.peers`).
`python -m tests.support.opendnp3 DEVICE ADDRESS ANALOG` is an outstation in a process of its own, which a
test can kill; it prints a line when it is there and ends with its standard input.

The callbacks come from opendnp3's threads, and what they are given is valid only inside them.
"""

from __future__ import annotations

import itertools
import queue
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from tests.support import peers
from tests.support.waiting import PATIENCE_S, until

o = peers.require_module("opendnp3")

ALL_CLASSES = o.ClassField.AllClasses()
EVENT_CLASSES = o.ClassField.AllEventClasses()
MASTER = 1
"""Every master's link address here."""

SETTABLE_KINDS = (
    *("binary_input", "double_binary", "analog_input", "counter"),
    *("binary_output_status", "analog_output_status"),
)
POINT_KINDS = (*SETTABLE_KINDS, "frozen_counter", "time_and_interval", "octet_string")
ANALOG = ("analog_input",)
_NAMES = itertools.count(1)


class Point(NamedTuple):
    """Which point: "Analog" 3."""

    kind: str
    index: int


class Event(NamedTuple):
    """One value that came as an event."""

    point: Point
    value: object
    is_unsolicited: bool


class Task(NamedTuple):
    """One finished task of a master: names such as "USER_TASK", "SUCCESS"."""

    kind: str
    result: str


class Control(NamedTuple):
    """One call of an outstation's command handler."""

    call: str
    kind: str
    index: int
    value: object


class Soe(o.ISOEHandler):  # type: ignore[misc, name-defined]
    """Keeps every value that a master hears: the last of each point, and the events in order."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[Point, object] = {}
        self.events: list[Event] = []
        self._is_unsolicited = False

    def BeginFragment(self, info: Any) -> None:
        self._is_unsolicited = bool(info.unsolicited)

    def EndFragment(self, info: Any) -> None:
        pass

    def Process(self, info: Any, values: Iterable[Any]) -> None:
        for indexed in values:
            if not hasattr(getattr(indexed, "value", None), "value"):
                continue  # a time, which has no index, or an octet string, which this binding cannot set
            point = Point(type(indexed.value).__name__, indexed.index)
            value = indexed.value.value
            self.values[point] = value
            if info.isEventVariation:
                self.events.append(Event(point, value, self._is_unsolicited))


class _MasterApplication(o.IMasterApplication):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.tasks: list[Task] = []
        self.indications: list[tuple[int, int]] = []

    def Now(self) -> Any:
        return o.UTCTimestamp(int(time.time() * 1000))

    def OnReceiveIIN(self, iin: Any) -> None:
        self.indications.append((iin.LSB, iin.MSB))

    def OnTaskComplete(self, info: Any) -> None:
        self.tasks.append(Task(info.type.name, info.result.name))

    def OnTaskStart(self, kind: Any, task_id: Any) -> None:
        pass

    def OnOpen(self) -> None:
        pass

    def OnClose(self) -> None:
        pass

    def AssignClassDuringStartup(self) -> bool:
        return False


class ChannelStates(o.IChannelListener):  # type: ignore[misc, name-defined]
    """The names of a channel's states in order: OPENING, OPEN, CLOSED, SHUTDOWN."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def OnStateChange(self, state: Any) -> None:
        self.names.append(state.name)

    @property
    def opens(self) -> int:
        """How often it was opened."""
        return self.names.count("OPEN")

    @property
    def closes(self) -> int:
        """How often it was closed."""
        return self.names.count("CLOSED")


class _Commands(o.ICommandHandler):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Control] = []

    def Begin(self) -> None:
        pass

    def End(self) -> None:
        pass

    def Select(self, command: Any, index: int) -> Any:
        self._note("Select", command, index)
        return o.CommandStatus.SUCCESS

    def Operate(self, command: Any, index: int, _handler: Any, operate_type: Any) -> Any:
        self._note(operate_type.name, command, index)
        return o.CommandStatus.SUCCESS

    def _note(self, call: str, command: Any, index: int) -> None:
        is_analog = hasattr(command, "value")
        value = command.value if is_analog else (command.opType.name, command.count, command.onTimeMS)
        self.calls.append(Control(call, type(command).__name__, index, value))


class _OutstationApplication(o.IOutstationApplication):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.needs_time = False
        self.times_ms: list[int] = []
        self.confirms = 0

    def SupportsWriteAbsoluteTime(self) -> bool:
        return True

    def WriteAbsoluteTime(self, timestamp: Any) -> bool:
        self.times_ms.append(timestamp.msSinceEpoch)
        self.needs_time = False
        return True

    def GetApplicationIIN(self) -> Any:
        iin = o.ApplicationIIN()
        iin.needTime = self.needs_time
        return iin

    def SupportsAssignClass(self) -> bool:
        return False

    def ColdRestartSupport(self) -> Any:
        return o.RestartMode.UNSUPPORTED

    def WarmRestartSupport(self) -> Any:
        return o.RestartMode.UNSUPPORTED

    def Now(self) -> Any:
        return o.DNPTime(int(time.time() * 1000))

    def OnConfirmProcessed(self, is_unsolicited: bool, *_left: int) -> None:
        self.confirms += 1


class Outstation:
    """An outstation with some points of every kind, all of class 1."""

    def __init__(self, stack: Any, commands: _Commands, application: _OutstationApplication) -> None:
        self._stack = stack
        self._commands = commands
        self.application = application

    @property
    def controls(self) -> list[Control]:
        """What its masters selected and operated."""
        return self._commands.calls

    def set(self, values: Mapping[Point, Any], *, makes_events: bool) -> None:
        """Give points new values, as events or silently."""
        builder = o.UpdateBuilder()
        mode = o.EventMode.Force if makes_events else o.EventMode.Suppress
        for point, value in values.items():
            builder.Update(getattr(o, point.kind)(value), point.index, mode)
        self._stack.Apply(builder.Build())

    def need_time(self) -> None:
        """Ask for the time with the next answer."""
        self.application.needs_time = True


class Master:
    """A master of one outstation."""

    def __init__(self, stack: Any, soe: Soe, application: _MasterApplication) -> None:
        self._stack = stack
        self._application = application
        self._polls = 0
        self.soe = soe

    @property
    def tasks(self) -> list[Task]:
        """The tasks that it has finished."""
        return list(self._application.tasks)

    @property
    def indications(self) -> list[tuple[int, int]]:
        """The internal indications, first and second octet, of each response."""
        return list(self._application.indications)

    def wait_until_started(self, *, within_s: float = PATIENCE_S) -> None:
        """Wait until the tasks of a new connection are done, of which this is the last."""
        until(
            lambda: any(task.kind == "ENABLE_UNSOLICITED" for task in self.tasks),
            "the master's start-up tasks are done",
            within_s=within_s,
        )

    def begin_poll(self, classes: Any = ALL_CLASSES) -> None:
        """Read classes once; `end_poll` waits for it."""
        self._polls += 1
        self._stack.ScanClasses(classes, self.soe)

    def end_poll(self, *, within_s: float = PATIENCE_S) -> str:
        """Wait for what `begin_poll` began; return its end: "SUCCESS", "FAILURE_RESPONSE_TIMEOUT"."""
        until(lambda: len(self._user_tasks()) >= self._polls, "a poll ends", within_s=within_s)
        return self._user_tasks()[self._polls - 1].result

    def poll(self, classes: Any = ALL_CLASSES, *, within_s: float = PATIENCE_S) -> str:
        """Read classes once and return how that ended."""
        self.begin_poll(classes)
        return self.end_poll(within_s=within_s)

    def poll_until_answered(self, classes: Any = ALL_CLASSES, *, within_s: float) -> int:
        """Poll until one succeeds, and return how many did not."""
        failed = 0

        def succeeds() -> bool:
            nonlocal failed
            is_success = self.poll(classes, within_s=within_s) == "SUCCESS"
            failed += not is_success
            return is_success

        until(succeeds, "a poll succeeds", within_s=within_s)
        return failed

    def select_and_operate(self, command: Any, index: int) -> list[str]:
        """Select and operate; return the task's result and the command's status."""
        return self._command(self._stack.SelectAndOperate, command, index)

    def direct_operate(self, command: Any, index: int) -> list[str]:
        """Operate without a select; return the task's result and the command's status."""
        return self._command(self._stack.DirectOperate, command, index)

    def _command(self, operate: Any, command: Any, index: int) -> list[str]:
        results: queue.Queue[list[str]] = queue.Queue()

        def done(result: Any) -> None:
            results.put([result.summary.name, *(point.status.name for point in result.to_list())])

        operate(command, index, done)
        return results.get(timeout=PATIENCE_S)

    def _user_tasks(self) -> list[Task]:
        return [task for task in self.tasks if task.kind == "USER_TASK"]


class Opendnp3:
    """opendnp3's manager for the length of a `with` block: channels, masters and outstations."""

    def __init__(self) -> None:
        self._manager = o.DNP3Manager(2, None)
        # Its threads call into these: they must live as long as it does.
        self._kept: list[Any] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._manager.Shutdown()

    def connect(self, port: int) -> tuple[Any, ChannelStates]:
        """Return a channel to a TCP port of this machine, which is opened by its first master."""
        states = self._keep(ChannelStates())
        endpoint = o.IPEndpoint("127.0.0.1", port)
        channel = self._manager.AddTCPClient(
            _name("tcp"), o.levels.NOTHING, _retry(), [endpoint], "127.0.0.1", states
        )
        return self._keep(channel), states

    def open_serial(self, device: str | Path) -> tuple[Any, ChannelStates]:
        """Return a channel on a serial port."""
        settings = o.SerialSettings()
        settings.deviceName = str(device)
        settings.baud = 115200
        settings.dataBits = 8
        settings.stopBits = o.StopBits.One
        settings.parity = getattr(o.Parity, "None")
        settings.flowType = getattr(o.FlowControl, "None")
        states = self._keep(ChannelStates())
        channel = self._manager.AddSerial(_name("serial"), o.levels.NOTHING, _retry(), settings, states)
        return self._keep(channel), states

    def outstation(
        self,
        channel: Any,
        address: int,
        *,
        points: int = 5,
        kinds: Iterable[str] = POINT_KINDS,
        is_unsolicited: bool = False,
    ) -> Outstation:
        """Add an outstation with `points` points of each of these kinds."""
        config = o.OutstationStackConfig(_database(points, kinds))
        config.outstation.eventBufferConfig = o.EventBufferConfig.AllTypes(100)
        config.outstation.params.allowUnsolicited = is_unsolicited
        config.outstation.params.solConfirmTimeout = _duration(5)
        config.outstation.params.unsolConfirmTimeout = _duration(1)
        config.link.LocalAddr, config.link.RemoteAddr = address, MASTER
        config.link.KeepAliveTimeout = o.TimeDuration.Max()
        commands, application = self._keep(_Commands()), self._keep(_OutstationApplication())
        stack = self._keep(channel.AddOutstation(_name("outstation"), commands, application, config))
        stack.Enable()
        return Outstation(stack, commands, application)

    def master(
        self,
        channel: Any,
        outstation: int,
        *,
        response_timeout_s: float = 5.0,
        keeps_unsolicited: bool = False,
        time_sync: str = "None",
    ) -> Master:
        """Add a master that begins to talk to `outstation` at once."""
        config = o.MasterStackConfig()
        config.master.responseTimeout = _duration(response_timeout_s)
        config.master.taskRetryPeriod = config.master.maxTaskRetryPeriod = _duration(0.1)
        config.master.disableUnsolOnStartup = not keeps_unsolicited
        config.master.timeSyncMode = getattr(o.TimeSyncMode, time_sync)
        config.link.LocalAddr, config.link.RemoteAddr = MASTER, outstation
        config.link.KeepAliveTimeout = o.TimeDuration.Max()
        soe, application = self._keep(Soe()), self._keep(_MasterApplication())
        stack = self._keep(channel.AddMaster(_name("master"), soe, application, config))
        stack.Enable()
        return Master(stack, soe, application)

    def _keep(self, thing: Any) -> Any:
        self._kept.append(thing)
        return thing


def values_of_every_kind(points: int, seed: int) -> dict[Point, Any]:
    """Return different values for `points` points of every kind that an outstation can be given."""
    double_bits = (o.DoubleBit.DETERMINED_OFF, o.DoubleBit.DETERMINED_ON, o.DoubleBit.INTERMEDIATE)
    values: dict[Point, Any] = {}
    for index in range(points):
        values[Point("Binary", index)] = (index + seed) % 2 == 0
        values[Point("BinaryOutputStatus", index)] = (index + seed) % 3 == 0
        values[Point("DoubleBitBinary", index)] = double_bits[(index + seed) % 3]
        values[Point("Analog", index)] = float(seed * 1000 + index)
        values[Point("AnalogOutputStatus", index)] = float(seed * 1000 - index)
        values[Point("Counter", index)] = seed * 100 + index
    return values


def analog_values(points: int, seed: int) -> dict[Point, Any]:
    """Return different values for analog inputs."""
    return {Point("Analog", index): float(seed * 1000 + index) for index in range(points)}


def _database(points: int, kinds: Iterable[str]) -> Any:
    """All points are of class 1; this binding cannot configure single points, only leave a kind out."""
    database = o.DatabaseConfig(points)
    for kind in set(POINT_KINDS) - set(kinds):
        setattr(database, kind, {})
    return database


def _duration(seconds: float) -> Any:
    return o.TimeDuration.Milliseconds(round(seconds * 1000))


def _retry() -> Any:
    return o.ChannelRetry(_duration(0.1), _duration(0.5))


def _name(kind: str) -> str:
    return f"{kind} {next(_NAMES)}"


def _serve(device: str, address: str, analog: str) -> None:
    with Opendnp3() as peer:
        channel, states = peer.open_serial(Path(device))
        outstation = peer.outstation(channel, int(address), points=1, kinds=ANALOG)
        outstation.set({Point("Analog", 0): float(analog)}, makes_events=False)
        until(lambda: states.opens, "the port is open")
        print("ready", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    _serve(*sys.argv[1:])
