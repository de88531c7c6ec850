"""opendnp3's master, with every object that it understood: value, flags, time, variation, in order."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from bridge.application.measurement import PointKind
from tests.support.opendnp3 import (
    EVENT_CLASSES,
    MASTER,
    ChannelStates,
    Master,
    Opendnp3,
    Soe,
    _MasterApplication,
    o,
)
from tests.support.plants import Reading, quality_of
from tests.support.waiting import PATIENCE_S, until

_KINDS = {
    "Binary": PointKind.BINARY_INPUT,
    "DoubleBitBinary": PointKind.DOUBLE_BIT_INPUT,
    "BinaryOutputStatus": PointKind.BINARY_OUTPUT,
    "Counter": PointKind.COUNTER,
    "FrozenCounter": PointKind.FROZEN_COUNTER,
    "Analog": PointKind.ANALOG_INPUT,
    "AnalogOutputStatus": PointKind.ANALOG_OUTPUT,
}


class Heard(NamedTuple):
    """One object of a response, and how it came."""

    reading: Reading
    is_event: bool
    is_unsolicited: bool
    time_quality: str
    """INVALID (there is none), SYNCHRONIZED or UNSYNCHRONIZED."""


class Attribute(NamedTuple):
    """A device attribute: its set and variation, what it says."""

    attribute_set: int
    variation: int
    value: object


class Reader(Soe):
    """Keeps everything that opendnp3 understood, in order, octet strings, commands and deadbands too."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Heard] = []
        self.attributes: list[Attribute] = []
        self.times_ms: list[int] = []
        self.fragments = 0
        self.failures: list[Exception] = []

    @property
    def readings(self) -> list[Reading]:
        """What was read, without how it came."""
        return [each.reading for each in self.heard]

    def BeginFragment(self, info: Any) -> None:
        super().BeginFragment(info)
        self.fragments += 1

    def Process(self, info: Any, values: Iterable[Any]) -> None:
        # What raises here would only be printed.
        try:
            self._keep(info, values)
        except Exception as failure:
            self.failures.append(failure)

    def _keep(self, info: Any, values: Iterable[Any]) -> None:
        group, variation = divmod(int(info.gv.value), 0x100)
        for indexed in values:
            if isinstance(indexed, int):
                self.times_ms.append(indexed)
                continue
            if not hasattr(indexed, "index"):
                self.times_ms.append(indexed.value)
                continue
            reading, quality = _reading(group, variation, indexed.index, indexed.value, info)
            self.heard.append(Heard(reading, bool(info.isEventVariation), self._is_unsolicited, quality))

    def OnDeviceAttribute(self, info: Any, attribute_set: int, variation: int, value: Any) -> None:
        self.attributes.append(Attribute(attribute_set, variation, _attribute_value(value)))


def _reading(group: int, variation: int, index: int, value: Any, info: Any) -> tuple[Reading, str]:
    if isinstance(value, o.OctetString):
        return Reading(group, variation, index, bytes(value.ToBytes()), None), "INVALID"
    if isinstance(value, o.TimeAndInterval):
        return Reading(group, variation, index, value.interval, None, value.time.value), "INVALID"
    if not hasattr(value, "time"):
        return Reading(group, variation, index, value.value, None), "INVALID"
    quality: str = value.time.quality.name
    time_ms = value.time.value if quality != "INVALID" else None
    if hasattr(value, "status"):
        return Reading(group, variation, index, value.value, value.status.value, time_ms), quality
    state = value.value.value if isinstance(value, o.DoubleBitBinary) else value.value
    flags = quality_of(_KINDS[type(value).__name__], value.flags.value) if info.flagsValid else None
    return Reading(group, variation, index, state, flags, time_ms), quality


def _attribute_value(value: Any) -> object:
    match value.type.name:
        case "VISIBLE_STRING":
            return value.stringValue
        case "UNSIGNED_INT":
            return value.unsignedValue
        case "DNP3_TIME":
            time = value.timeValue
            return getattr(time, "value", time)
    return bytes(value.rawValue)


class ReadingMaster(Master):
    """A master whose one-shot tasks are waited for. Each method returns the task's end: "SUCCESS"."""

    soe: Reader

    def _done(self) -> int:
        return len(self._user_tasks())

    def _finish(self, before: int, what: str) -> str:
        until(lambda: self._done() > before, what, within_s=PATIENCE_S)
        self._polls = self._done()
        return self._user_tasks()[before].result

    def take(self) -> list[Heard]:
        """Return what was heard since the last call."""
        assert self.soe.failures == []
        heard, self.soe.heard = self.soe.heard, []
        return heard

    def take_readings(self) -> list[Reading]:
        """Return what was read since the last call."""
        return [each.reading for each in self.take()]

    def read_all(self, group: int, variation: int) -> str:
        """Read all objects of a variation."""
        before = self._done()
        self._stack.ScanAllObjects(o.GroupVariationID(group, variation), self.soe)
        return self._finish(before, f"g{group}v{variation} is read")

    def read_range(self, group: int, variation: int, start: int, stop: int) -> str:
        """Read a range of objects."""
        before = self._done()
        self._stack.ScanRange(o.GroupVariationID(group, variation), start, stop, self.soe)
        return self._finish(before, f"g{group}v{variation} {start} to {stop} is read")

    def read(self, headers: Sequence[Any]) -> str:
        """Read what these object headers ask for."""
        before = self._done()
        self._stack.Scan(list(headers), self.soe)
        return self._finish(before, "these headers are read")

    def perform(self, function: str, headers: Sequence[Any] = ()) -> str:
        """Send a request of any function that is answered without objects."""
        before = self._done()
        self._stack.PerformFunction(function, getattr(o.FunctionCode, function), list(headers))
        return self._finish(before, function)

    def freeze(self, kind: str, headers: Sequence[Any]) -> str:
        """Freeze: ImmediateFreeze, FreezeAndClear, or without response with NR at the end."""
        before = self._done()
        self._stack.Freeze(getattr(o.FreezeType, kind), list(headers))
        return self._finish(before, kind)

    def _command(self, operate: Any, command: Any, index: int) -> list[str]:
        before = self._done()
        result = super()._command(operate, command, index)
        self._finish(before, "a command")
        return result

    def restart(self, kind: str) -> tuple[str, int]:
        """Restart the outstation, COLD or WARM; return the end and the milliseconds that it takes."""
        before = self._done()
        results: list[tuple[str, int]] = []
        self._stack.Restart(
            getattr(o.RestartType, kind),
            lambda result: results.append((result.summary.name, _milliseconds(result.restartTime))),
        )
        self._finish(before, f"a {kind} restart")
        return results[0]

    def write_deadbands(self, deadbands: dict[int, float]) -> str:
        """Write deadbands of analog inputs."""
        before = self._done()
        results: list[str] = []
        values = [
            o.IndexedAnalogInputDeadband(o.AnalogInputDeadband(deadband), index)
            for index, deadband in deadbands.items()
        ]
        self._stack.WriteDeadBands(values, lambda result: results.append(result.summary.name))
        self._finish(before, "deadbands are written")
        return results[0]

    def write_schedule(self, index: int, time_ms: int, interval: int) -> str:
        """Write an indexed time with an interval in seconds."""
        before = self._done()
        schedule = o.TimeAndInterval(o.DNPTime(time_ms), interval, o.IntervalUnits.Seconds)
        self._stack.Write(schedule, index)
        return self._finish(before, "a time with interval is written")

    def check_link(self) -> str:
        """Ask for the link's status."""
        results: list[str] = []
        self._stack.CheckLinkStatus(lambda result: results.append(str(result)))
        until(lambda: results, "the link's status comes")
        return results[0]

    def disable_unsolicited(self) -> None:
        """From now on events wait to be polled."""
        headers = [o.Header.AllObjects(60, variation) for variation in (2, 3, 4)]
        assert self.perform("DISABLE_UNSOLICITED", headers) == "SUCCESS"

    def poll_events(self) -> list[Reading]:
        """Read all event classes and return what they hold."""
        self.take()
        assert self.poll(EVENT_CLASSES) == "SUCCESS"
        return self.take_readings()


def _milliseconds(duration: Any) -> int:
    text = repr(duration)
    return int("".join(character for character in text if character.isdigit()) or -1)


class ReadingOpendnp3(Opendnp3):
    """opendnp3's manager, whose masters read everything, and whose outstations may be served over TCP."""

    def listen(self) -> tuple[Any, int]:
        """Return a channel that masters can connect to, and its port."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = int(free.getsockname()[1])
        endpoint = o.IPEndpoint("127.0.0.1", port)
        mode = o.ServerAcceptMode.CloseExisting
        channel = self._manager.AddTCPServer(
            f"server {port}", o.levels.NOTHING, mode, endpoint, self._keep(ChannelStates())
        )
        return self._keep(channel), port

    def reader(
        self,
        channel: Any,
        outstation: int,
        *,
        response_timeout_s: float = PATIENCE_S,
        keeps_unsolicited: bool = False,
        time_sync: str = "None",
    ) -> ReadingMaster:
        """Add a master that begins to talk to `outstation` at once."""
        config = o.MasterStackConfig()
        config.master.responseTimeout = o.TimeDuration.Milliseconds(round(response_timeout_s * 1000))
        config.master.disableUnsolOnStartup = not keeps_unsolicited
        config.master.timeSyncMode = getattr(o.TimeSyncMode, time_sync)
        config.link.LocalAddr, config.link.RemoteAddr = MASTER, outstation
        config.link.KeepAliveTimeout = o.TimeDuration.Max()
        soe, application = self._keep(Reader()), self._keep(_MasterApplication())
        name = f"reader {len(self._kept)}"
        stack = self._keep(channel.AddMaster(name, soe, application, config))
        stack.Enable()
        return ReadingMaster(stack, soe, application)
