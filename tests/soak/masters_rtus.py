"""The four RTUs: two outstations of opendnp3 and two of ours, each on its own port of the bench line."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from bridge import (
    AnalogInput,
    CommandStatus,
    ControlHandler,
    EventClass,
    Function,
    Measurement,
    Outstation,
    OutstationConfig,
    PointKind,
    SerialOutstations,
    SerialSettings,
    UnsolicitedConfig,
)
from tests.soak.site import BAUD, EVENT, FRAME_TIMEOUT_S, MASTER, PARTIES, TICKS, Clock, Mark, Party, encode
from tests.support import opendnp3 as peer
from tests.support.waiting import until

SELECTED, OPERATED, DIRECT = "Select", "SelectBeforeOperate", "DirectOperate"
_STEP_S = 0.02
_EVENT_TICKS = 100
_BUFFERED_EVENTS = 1000
_CALLS = {Function.OPERATE: OPERATED, Function.DIRECT_OPERATE: DIRECT}


class Executed(NamedTuple):
    """One call of an RTU's command handler."""

    at_s: float
    call: str
    number: int
    """The command's number, which its master wrote where the pulse length goes."""


@dataclass(slots=True)
class Rtu:
    """What an RTU did, whoever's outstation it is. Written by its thread, read by others."""

    party: Party
    applied: int = 0
    """The newest tick that its points have taken."""
    events: list[int] = field(default_factory=list)
    """The numbers of its events in order."""
    executed: list[Executed] = field(default_factory=list)

    def values(self, tick: int, *, makes_events: bool) -> tuple[dict[int, float], float | None]:
        """Return the new values by index, and that of the event if one is due."""
        address = self.party.address
        values = {index: encode(Mark(address, tick)) for index in TICKS}
        number = tick // _EVENT_TICKS
        if not makes_events or number == (self.events[-1] if self.events else 0):
            return values, None
        return values, encode(Mark(address, number))

    def note_applied(self, tick: int, event: float | None) -> None:
        """Take note of values that masters read from now on."""
        if event is not None:
            self.events.append(tick // _EVENT_TICKS)
        self.applied = tick


class Rtus:
    """All four, running for the length of `running`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.by_address = {party.address: Rtu(party) for party in PARTIES}
        self.makes_events = True
        self.error: BaseException | None = None
        """What ended one of them before its time."""
        self._is_over = False

    @contextlib.contextmanager
    def running(self, devices: Sequence[Path]) -> Iterator[None]:
        """Run the RTUs on these devices, in the order of `PARTIES`."""
        ours = [(self.by_address[p.address], d) for p, d in zip(PARTIES, devices, strict=True)]
        theirs = [(rtu, device) for rtu, device in ours if rtu.party.is_opendnp3]
        ours = [(rtu, device) for rtu, device in ours if not rtu.party.is_opendnp3]
        ready = [threading.Event(), threading.Event()]
        threads = [
            threading.Thread(target=self._guard, args=(self._run_theirs, theirs, ready[0])),
            threading.Thread(target=self._guard, args=(self._run_ours, ours, ready[1])),
        ]
        for thread in threads:
            thread.start()
        try:
            until(lambda: self.error or all(each.is_set() for each in ready), "the RTUs run")
            yield
        finally:
            self._is_over = True
            for thread in threads:
                thread.join()

    def _guard(self, run: Any, rtus: Any, ready: threading.Event) -> None:
        try:
            run(rtus, ready)
        except BaseException as error:
            self.error = error
            raise

    def _run_theirs(self, rtus: list[tuple[Rtu, Path]], ready: threading.Event) -> None:
        o = peer.o
        manager = o.DNP3Manager(1, None)
        kept = []
        try:
            for rtu, device in rtus:
                kept.append(_opendnp3_outstation(manager, rtu, device))
            while not self._is_over:
                tick = self._clock.tick
                for (rtu, _), (stack, *_) in zip(rtus, kept, strict=True):
                    values, event = rtu.values(tick, makes_events=self.makes_events)
                    builder = o.UpdateBuilder()
                    for index, value in values.items():
                        builder.Update(o.Analog(value), index, o.EventMode.Suppress)
                    if event is not None:
                        builder.Update(o.Analog(event), EVENT, o.EventMode.Force)
                    elif not rtu.events:
                        # Its points say 0 until they are updated: whose they are, from the start.
                        start = encode(Mark(rtu.party.address, 0))
                        builder.Update(o.Analog(start), EVENT, o.EventMode.Suppress)
                    stack.Apply(builder.Build())
                    rtu.note_applied(tick, event)
                ready.set()
                time.sleep(_STEP_S)
        finally:
            manager.Shutdown()

    def _run_ours(self, rtus: list[tuple[Rtu, Path]], ready: threading.Event) -> None:
        asyncio.run(self._serve_ours(rtus, ready))

    async def _serve_ours(self, rtus: list[tuple[Rtu, Path]], ready: threading.Event) -> None:
        outstations = [_our_outstation(rtu) for rtu, _ in rtus]
        ports = []
        for outstation, (_, device) in zip(outstations, rtus, strict=True):
            settings = SerialSettings(device=str(device), baud=BAUD)
            port = SerialOutstations(settings, frame_timeout_s=FRAME_TIMEOUT_S)
            port.add(outstation)
            port.start()
            ports.append(port)
        while not self._is_over:
            tick = self._clock.tick
            for outstation, (rtu, _) in zip(outstations, rtus, strict=True):
                values, event = rtu.values(tick, makes_events=self.makes_events)
                if event is not None:
                    values[EVENT] = event
                with outstation.database.transaction() as transaction:
                    for index, value in values.items():
                        transaction.update(PointKind.ANALOG_INPUT, index, Measurement(value))
                rtu.note_applied(tick, event)
            if all(port.line.is_open for port in ports):
                ready.set()
            await asyncio.sleep(_STEP_S)
        for port in ports:
            await port.close()


class _TheirCommands(peer.o.ICommandHandler):  # type: ignore[misc, name-defined]
    def __init__(self, rtu: Rtu) -> None:
        super().__init__()
        self._rtu = rtu

    def Begin(self) -> None:
        pass

    def End(self) -> None:
        pass

    def Select(self, command: Any, index: int) -> Any:
        self._rtu.executed.append(Executed(time.monotonic(), SELECTED, command.onTimeMS))
        return peer.o.CommandStatus.SUCCESS

    def Operate(self, command: Any, index: int, _handler: Any, operate_type: Any) -> Any:
        self._rtu.executed.append(Executed(time.monotonic(), operate_type.name, command.onTimeMS))
        return peer.o.CommandStatus.SUCCESS


def _opendnp3_outstation(manager: Any, rtu: Rtu, device: Path) -> tuple[Any, ...]:
    """Return the outstation, then what must live as long as it."""
    o = peer.o
    settings = o.SerialSettings()
    settings.deviceName = str(device)
    settings.baud = BAUD
    settings.dataBits = 8
    settings.stopBits = o.StopBits.One
    settings.parity = getattr(o.Parity, "None")
    settings.flowType = getattr(o.FlowControl, "None")
    states = peer.ChannelStates()
    retry = o.ChannelRetry(o.TimeDuration.Milliseconds(100), o.TimeDuration.Milliseconds(500))
    channel = manager.AddSerial(rtu.party.name, o.levels.NOTHING, retry, settings, states)
    database = o.DatabaseConfig(EVENT + 1)
    for kind in set(peer.POINT_KINDS) - {"analog_input"}:
        setattr(database, kind, {})
    config = o.OutstationStackConfig(database)
    config.outstation.eventBufferConfig = o.EventBufferConfig.AllTypes(_BUFFERED_EVENTS)
    config.outstation.params.allowUnsolicited = False
    config.link.LocalAddr, config.link.RemoteAddr = rtu.party.address, MASTER
    config.link.KeepAliveTimeout = o.TimeDuration.Max()
    commands, application = _TheirCommands(rtu), peer._OutstationApplication()
    stack = channel.AddOutstation(rtu.party.name, commands, application, config)
    stack.Enable()
    until(lambda: states.opens, f"{rtu.party.name} opens its port")
    return stack, channel, commands, application, states


class _OurCommands(ControlHandler):
    def __init__(self, rtu: Rtu) -> None:
        self._rtu = rtu

    def select(self, command: Any, index: int) -> CommandStatus:
        self._rtu.executed.append(Executed(time.monotonic(), SELECTED, command.on_time_ms))
        return CommandStatus.SUCCESS

    def operate(self, command: Any, index: int, function: Function) -> CommandStatus:
        self._rtu.executed.append(Executed(time.monotonic(), _CALLS[function], command.on_time_ms))
        return CommandStatus.SUCCESS


def _our_outstation(rtu: Rtu) -> Outstation:
    config = OutstationConfig(
        name=rtu.party.name,
        link_address=rtu.party.address,
        master_address=MASTER,
        keep_alive_s=None,
        unsolicited=UnsolicitedConfig(is_supported=False),
    )
    outstation = Outstation(config, controls=_OurCommands(rtu))
    start = Measurement(encode(Mark(rtu.party.address, 0)))
    for index in TICKS:
        outstation.database.add(index, AnalogInput(EventClass.NONE), start)
    outstation.database.add(EVENT, AnalogInput(EventClass.CLASS_1, event_variation=1), start)
    return outstation
