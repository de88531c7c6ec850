"""The four masters: opendnp3, each from a loopback address of its own, each busy with its one RTU.

What they hear is judged where it comes in. A master's own log tells the rest: it names every frame that is
not for it, every answer that it does not await, and every octet that is in no frame.
"""

from __future__ import annotations

import contextlib
import queue
import random
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.soak.masters_rtus import Rtu
from tests.soak.site import (
    EVENT,
    HOST,
    MASTER,
    MASTER_TIMEOUT_S,
    PARTIES,
    TICKS,
    Clock,
    Party,
    decode,
    seconds,
)
from tests.support import opendnp3 as peer
from tests.support.waiting import until

EVENTS, INTEGRITY, SBO, DIRECT = "events", "integrity", "select-operate", "direct-operate"
POLLS, CONTROLS = (EVENTS, INTEGRITY), (SBO, DIRECT)
SUCCESS = "SUCCESS"
_PERIODS_S = {SBO: 1.5, INTEGRITY: 5.0, DIRECT: 6.0}
"""How often; the rest of the time a master reads events, as fast as the line lets it."""
_MOST_PAUSE_S = 0.08
_GIVES_UP_S = 60.0
_OUTPUTS = 4
_HARMLESS = (
    *("Timeout waiting for response", "read error", "Error Connecting", "write error"),
    # These RTUs do not report unasked; they say so when a master starts.
    *(
        f"Task was explicitly rejected via response with error IIN bit(s): {verb} Unsolicited"
        for verb in ("Disable", "Enable")
    ),
)
"""What a master may have to warn of: silence, and the ends of its connections."""


class Action(NamedTuple):
    """Something that a master did, and how it ended."""

    phase: str
    kind: str
    number: int
    """Of a control; what its RTU is told to be the pulse length."""
    begun_s: float
    ended_s: float
    result: str
    """The task's end, or the command's status where the task itself came to its end."""

    @property
    def is_success(self) -> bool:
        """Whether it did what it was for."""
        return self.result == SUCCESS


@dataclass(slots=True)
class Hearsay:
    """What one master heard, and what is wrong with it."""

    problems: list[str] = field(default_factory=list)
    events: list[int] = field(default_factory=list)
    values: int = 0
    oldest_s: float = 0.0
    """The age of the oldest value, when it arrived."""


class _Soe(peer.o.ISOEHandler):  # type: ignore[misc, name-defined]
    """Judges values: they are of this master's RTU, and measured after the request for them was made."""

    def __init__(self, rtu: Rtu, clock: Clock, hearsay: Hearsay) -> None:
        super().__init__()
        self._rtu, self._clock, self._hearsay = rtu, clock, hearsay
        self._ticks: set[int] = set()
        self.floor = 0
        """What the RTU had applied when the request was made."""

    def BeginFragment(self, info: Any) -> None:
        self._ticks.clear()

    def EndFragment(self, info: Any) -> None:
        if len(self._ticks) > 1:
            self._hearsay.problems.append(f"values of different times in one answer: {sorted(self._ticks)}")

    def Process(self, info: Any, values: Iterable[Any]) -> None:
        for indexed in values:
            value = getattr(getattr(indexed, "value", None), "value", None)
            if isinstance(value, float):
                self._judge(indexed.index, value, is_event=bool(info.isEventVariation))

    def _judge(self, index: int, value: float, *, is_event: bool) -> None:
        hearsay, address, now = self._hearsay, self._rtu.party.address, self._clock.tick
        mark = decode(value)
        hearsay.values += 1
        if mark.address != address:
            hearsay.problems.append(f"misrouted: a value of {mark.address} reached the master of {address}")
        elif is_event and index == EVENT:
            hearsay.events.append(mark.count)
        elif index in TICKS:
            self._ticks.add(mark.count)
            hearsay.oldest_s = max(hearsay.oldest_s, seconds(now - mark.count))
            if not self.floor <= mark.count <= now:
                hearsay.problems.append(
                    f"stale: {address} says {mark.count}; at the request it had {self.floor}, now is {now}"
                )


class _Application(peer.o.IMasterApplication):  # type: ignore[misc, name-defined]
    def __init__(self, rtu: Rtu, soe: _Soe) -> None:
        super().__init__()
        self._rtu, self._soe = rtu, soe
        self.done: queue.SimpleQueue[str] = queue.SimpleQueue()
        """How tasks of ours ended."""
        self.starts = 0
        """How many times it came to the end of its start-up."""

    def Now(self) -> Any:
        return peer.o.UTCTimestamp(int(time.time() * 1000))

    def OnTaskStart(self, kind: Any, task_id: Any) -> None:
        self._soe.floor = self._rtu.applied

    def OnTaskComplete(self, info: Any) -> None:
        if info.type.name == "USER_TASK":
            self.done.put(info.result.name)
        elif info.type.name == "ENABLE_UNSOLICITED":
            self.starts += 1

    def OnReceiveIIN(self, iin: Any) -> None:
        pass

    def OnOpen(self) -> None:
        pass

    def OnClose(self) -> None:
        pass

    def AssignClassDuringStartup(self) -> bool:
        return False


class _Log(peer.o.ILogHandler):  # type: ignore[misc, name-defined]
    """Sorts opendnp3's warnings by master."""

    def __init__(self, hearsay: dict[str, Hearsay]) -> None:
        super().__init__()
        self._hearsay = hearsay

    def log(self, module: Any, name: str, level: Any, location: str, message: str) -> None:
        is_grave = level.value in (peer.o.flags.ERR.value, peer.o.flags.WARN.value)
        if is_grave and not message.startswith(_HARMLESS):
            self._hearsay[name].problems.append(f"its master warns: {message}")


class Master:
    """One master. `work` keeps it busy."""

    def __init__(self, stack: Any, rtu: Rtu, application: _Application, soe: _Soe, hearsay: Hearsay) -> None:
        self.rtu = rtu
        self.hearsay = hearsay
        self.actions: list[Action] = []
        self._stack, self._application, self._soe = stack, application, soe
        self._random = random.Random(rtu.party.address)
        self._numbers = 0
        self._due_s = dict.fromkeys(_PERIODS_S, 0.0)

    @property
    def is_started(self) -> bool:
        """Whether it got through its start-up."""
        return self._application.starts > 0

    def leave(self) -> None:
        """Close its connection; what it tries until `come_back` fails at once."""
        self._stack.Disable()

    def come_back(self) -> None:
        """Connect again."""
        self._stack.Enable()

    def work(self, phase: str, until_s: float) -> None:
        """Poll and operate until then."""
        now = time.monotonic()
        for kind, period_s in _PERIODS_S.items():
            self._due_s[kind] = now + self._random.random() * period_s
        while (now := time.monotonic()) < until_s:
            due = [kind for kind, due_s in self._due_s.items() if due_s <= now]
            kind = self._random.choice(due) if due else EVENTS
            if due:
                self._due_s[kind] = now + _PERIODS_S[kind]
            self.act(phase, kind)
            time.sleep(self._random.random() * _MOST_PAUSE_S)

    def act(self, phase: str, kind: str) -> Action:
        """Do one thing and wait for its end."""
        begun_s = time.monotonic()
        number, result = (0, self._poll(kind)) if kind in POLLS else self._control(kind)
        action = Action(phase, kind, number, begun_s, time.monotonic(), result)
        self.actions.append(action)
        return action

    def _poll(self, kind: str) -> str:
        classes = peer.EVENT_CLASSES if kind == EVENTS else peer.ALL_CLASSES
        self._stack.ScanClasses(classes, self._soe)
        return self._application.done.get(timeout=_GIVES_UP_S)

    def _control(self, kind: str) -> tuple[int, str]:
        o = peer.o
        self._numbers += 1
        number = self._numbers
        command = o.ControlRelayOutputBlock(
            o.OperationType.LATCH_ON, o.TripCloseCode.NUL, False, 1, number, 0
        )
        results: queue.SimpleQueue[tuple[str, list[str]]] = queue.SimpleQueue()

        def done(result: Any) -> None:
            results.put((result.summary.name, [point.status.name for point in result.to_list()]))

        operate = self._stack.SelectAndOperate if kind == SBO else self._stack.DirectOperate
        operate(command, number % _OUTPUTS, done)
        summary, statuses = results.get(timeout=_GIVES_UP_S)
        self._application.done.get(timeout=_GIVES_UP_S)
        return number, summary if summary != SUCCESS or not statuses else statuses[0]


class Masters:
    """All four, for the length of `connected`."""

    def __init__(self, rtus: Iterable[Rtu], clock: Clock) -> None:
        self._rtus = list(rtus)
        self._clock = clock
        self.all: list[Master] = []
        self.errors: list[str] = []

    @contextlib.contextmanager
    def connected(self, port: int) -> Iterator[None]:
        """Connect all to the bridge and wait until each has started."""
        hearsay = {party.name: Hearsay() for party in PARTIES}
        log = _Log(hearsay)
        manager = peer.o.DNP3Manager(2, log)
        kept: list[Any] = []
        try:
            kept += [self._connect(manager, rtu, port, hearsay[rtu.party.name]) for rtu in self._rtus]
            until(lambda: all(each.is_started for each in self.all), "all masters start", within_s=30)
            yield
        finally:
            manager.Shutdown()

    def _connect(self, manager: Any, rtu: Rtu, port: int, hearsay: Hearsay) -> tuple[Any, ...]:
        o, party = peer.o, rtu.party
        states = peer.ChannelStates()
        retry = o.ChannelRetry(o.TimeDuration.Milliseconds(100), o.TimeDuration.Milliseconds(500))
        levels = o.LogLevels(o.flags.ERR.value | o.flags.WARN.value)
        endpoint = o.IPEndpoint(HOST, port)
        channel = manager.AddTCPClient(party.name, levels, retry, [endpoint], party.host, states)
        config = _stack_config(party)
        soe = _Soe(rtu, self._clock, hearsay)
        application = _Application(rtu, soe)
        stack = channel.AddMaster(party.name, soe, application, config)
        self.all.append(Master(stack, rtu, application, soe, hearsay))
        stack.Enable()
        return channel, stack, soe, application, states

    @contextlib.contextmanager
    def working(self, phase: str, seconds: float) -> Iterator[None]:
        """Keep all busy while the block runs, for this long; then wait for the ends of what they do."""
        until_s = time.monotonic() + seconds
        threads = [threading.Thread(target=self._work, args=(each, phase, until_s)) for each in self.all]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            for thread in threads:
                thread.join()

    def _work(self, master: Master, phase: str, until_s: float) -> None:
        try:
            master.work(phase, until_s)
        except Exception as error:
            self.errors.append(f"the master of {master.rtu.party.address} gave up in {phase}: {error!r}")


def _stack_config(party: Party) -> Any:
    o = peer.o
    config = o.MasterStackConfig()
    config.master.responseTimeout = o.TimeDuration.Milliseconds(round(MASTER_TIMEOUT_S * 1000))
    config.master.taskRetryPeriod = config.master.maxTaskRetryPeriod = o.TimeDuration.Milliseconds(100)
    config.master.taskStartTimeout = o.TimeDuration.Seconds(30)
    config.link.LocalAddr, config.link.RemoteAddr = MASTER, party.address
    config.link.KeepAliveTimeout = o.TimeDuration.Max()
    return config
