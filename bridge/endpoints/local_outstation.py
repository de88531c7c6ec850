"""An outstation that lives in this program: the sans-I/O stack with a loop, a clock and a wire."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from bridge.endpoints.timer import Timer
from bridge.endpoints.when_down import WhenDown
from bridge.link.frame import Frame
from bridge.outstation.attributes import AttributeStore
from bridge.outstation.config import OutstationConfig
from bridge.outstation.database import Database
from bridge.outstation.handlers import ControlHandler, OutstationApplication, OutstationInformation
from bridge.outstation.stack import Await, LinkDead, Octets, OutstationStack, Step


class FrameWire(Protocol):
    """What frames to a master go into: a TCP session or a serial line."""

    def send(self, octets: bytes) -> bool:
        """Send whole frames; tell whether the wire is still there."""

    def link_dead(self) -> None:
        """The master's link does not answer its keep-alive: give the wire up where that makes sense."""


def system_utc_ms() -> int:
    """Return the system clock as milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


class Outstation:
    """A DNP3 outstation (IEEE 1815: subset level 3, the objects of level 4), for TCP and serial lines.

    Everything about it is done in the event loop that runs it. `database` may be filled before and updated at
    any time; new events are reported by themselves where the master has enabled that.

        outstation = Outstation(OutstationConfig(link_address=10))
        outstation.database.add(0, AnalogInput(EventClass.CLASS_1))
        server.add_outstation(outstation, listener, AddressFilter.any())
    """

    def __init__(
        self,
        config: OutstationConfig | None = None,
        *,
        database: Database | None = None,
        application: OutstationApplication | None = None,
        information: OutstationInformation | None = None,
        controls: ControlHandler | None = None,
        attributes: AttributeStore | None = None,
        utc_ms: Callable[[], int] = system_utc_ms,
    ) -> None:
        """Make an outstation; what is not given has the defaults of `bridge.outstation.handlers`."""
        self.config = config or OutstationConfig()
        self.database = database or Database()
        self.attributes = attributes or AttributeStore()
        self.stack = OutstationStack(
            self.config,
            self.database,
            self.attributes,
            application or OutstationApplication(),
            information or OutstationInformation(),
            controls or ControlHandler(),
            utc_ms,
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: Timer | None = None
        self._wire: FrameWire | None = None
        self._work: asyncio.Task[None] | None = None
        self._is_waking = False
        self.database.add_listener(self._wake)

    @property
    def name(self) -> str:
        """The name in logs and errors."""
        return self.config.name

    @property
    def link_address(self) -> int:
        """The link address that masters use."""
        return self.config.link_address

    @property
    def bus(self) -> object:
        """What a broadcast reaches once: this outstation."""
        return self

    @property
    def is_alone_on_bus(self) -> bool:
        """Whether the self-address may mean this outstation."""
        return self.config.answers_self_address

    @property
    def is_reachable(self) -> bool:
        """Always: no line is between it and its master's session."""
        return True

    @property
    def when_down(self) -> WhenDown:
        """What never happens has the policy that changes nothing."""
        return WhenDown.HOLD

    def session_started(self, session: FrameWire) -> None:
        """A master can be reached through this wire, and no longer through another."""
        self._loop = asyncio.get_running_loop()
        if self._timer is None:
            self._timer = Timer(self._loop, self._on_deadline)
        self._stop_work()
        self._wire = session
        self._run(self.stack.link_began(self._loop.time()))

    def session_ended(self, session: FrameWire) -> None:
        """The wire is gone."""
        if session is not self._wire:
            return
        self._wire = None
        self._stop_work()
        self.stack.link_ended()
        self._settle()

    def receive(self, session: FrameWire, frame: Frame, now: float) -> None:
        """Take a master's frame."""
        self._run(self.stack.receive(frame, now))

    def _run(self, steps: Iterable[Step]) -> None:
        for step in steps:
            wire = self._wire
            if wire is None:
                break
            match step:
                case Octets(octets):
                    wire.send(octets)
                case Await(awaitable):
                    assert self._loop is not None
                    self._work = self._loop.create_task(self._await(awaitable))
                case LinkDead():
                    wire.link_dead()
        self._settle()

    async def _await(self, awaitable: object) -> None:
        assert self._loop is not None
        try:
            outcome = await awaitable  # type: ignore[misc]
        except Exception as error:
            steps = self.stack.resume(self._loop.time(), error=error)
        else:
            steps = self.stack.resume(self._loop.time(), outcome)
        self._run(steps)

    def _stop_work(self) -> None:
        if self._work is not None:
            self._work.cancel()
            self._work = None

    def _wake(self) -> None:
        """Note that events came; many changes in a row are looked at once."""
        if self._wire is not None and not self._is_waking:
            assert self._loop is not None
            self._is_waking = True
            self._loop.call_soon(self._woken)

    def _woken(self) -> None:
        self._is_waking = False
        if self._wire is not None:
            assert self._loop is not None
            self._run(self.stack.database_changed(self._loop.time()))

    def _on_deadline(self) -> None:
        assert self._loop is not None
        self._run(self.stack.on_deadline(self._loop.time()))

    def _settle(self) -> None:
        if self._timer is not None:
            self._timer.set(self.stack.next_deadline())
