"""One outstation of analog inputs for the poll bench: ours, yadnp3's or py1815's.

python -m tests.bench.polled KIND PORT POINTS CHANGE_FD

It listens on the loopback, outstation 1024 and master 1, with POINTS analog inputs of g30v1 that hold three
times their index. CHANGE_FD is an inherited socket: `1` on it changes one point (the next one each time), `a`
all of them, without events; an octet back says that it is done. Ends on SIGTERM.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from tests.bench.rig import LOOPBACK

MASTER = 1
OUTSTATION = 1024
ONE = b"1"
ALL = b"a"

Change = Callable[[dict[int, float]], None]


class Changes:
    """What the poller asks for, as new values by index."""

    def __init__(self, points: int) -> None:
        self._values = [3.0 * index for index in range(points)]
        self._next = 0

    @property
    def first(self) -> dict[int, float]:
        return dict(enumerate(self._values))

    def asked(self, what: bytes) -> dict[int, float]:
        if what == ALL:
            changed: range | tuple[int] = range(len(self._values))
        else:
            changed = (self._next,)
            self._next = (self._next + 1) % len(self._values)
        for index in changed:
            self._values[index] += 1
        return {index: self._values[index] for index in changed}


def obey(channel: socket.socket, changes: Changes, change: Change) -> bool:
    """Carries one order out; False when nobody is there to give one."""
    what = channel.recv(1)
    if what:
        change(changes.asked(what))
        channel.send(what)
    return bool(what)


async def obey_in_loop(channel: socket.socket, changes: Changes, change: Change) -> None:
    """Obeys until SIGTERM, between the event loop's other work."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)

    def ready() -> None:
        if not obey(channel, changes, change):
            loop.remove_reader(channel)

    channel.setblocking(False)
    loop.add_reader(channel, ready)
    # As `rtu-bridge run` does; py1815 may have it too.
    gc.collect()
    gc.freeze()
    await stopped.wait()


# ---------------------------------------------------------------------------------------------- ours


async def _ours(port: int, changes: Changes, channel: socket.socket) -> None:
    from bridge import AddressFilter, LinkErrorMode, TcpServer
    from bridge.application.measurement import Measurement, PointKind
    from bridge.endpoints.local_outstation import Outstation
    from bridge.outstation.config import OutstationConfig
    from bridge.outstation.points import AnalogInput, EventClass
    from bridge.outstation.values import EventDetection

    class Silent:
        def connection_state_changed(self, state: object, peer: str) -> None: ...

    config = OutstationConfig(link_address=OUTSTATION, master_address=MASTER)
    outstation = Outstation(config)

    def change(values: dict[int, float]) -> None:
        with outstation.database.transaction() as transaction:
            for index, value in values.items():
                transaction.update(
                    PointKind.ANALOG_INPUT, index, Measurement(value), detect=EventDetection.SUPPRESS
                )

    for index in changes.first:
        outstation.database.add(index, AnalogInput(EventClass.CLASS_1))
    change(changes.first)
    server = TcpServer(LinkErrorMode.CLOSE, f"{LOOPBACK}:{port}")
    server.add_outstation(outstation, Silent(), AddressFilter.any())
    await server.bind()
    await obey_in_loop(channel, changes, change)
    await server.close()


def ours_on_uvloop(port: int, changes: Changes, channel: socket.socket) -> None:
    import uvloop

    uvloop.run(_ours(port, changes, channel))


def ours_on_asyncio(port: int, changes: Changes, channel: socket.socket) -> None:
    asyncio.run(_ours(port, changes, channel))


# ---------------------------------------------------------------------------------------------- yadnp3


def yadnp3(port: int, changes: Changes, channel: socket.socket) -> None:
    import opendnp3 as o

    class Application(o.IOutstationApplication):  # type: ignore[misc]
        """Nothing of its own: each method in Python would cost every poll a call."""

    class Commands(o.ICommandHandler):  # type: ignore[misc]
        def Begin(self) -> None: ...

        def End(self) -> None: ...

        def Select(self, command: object, index: int) -> Any:
            return o.CommandStatus.NOT_SUPPORTED

        def Operate(self, command: object, index: int, handler: object, kind: object) -> Any:
            return o.CommandStatus.NOT_SUPPORTED

    class Listener(o.IChannelListener):  # type: ignore[misc]
        def OnStateChange(self, state: object) -> None: ...

    manager = o.DNP3Manager(1, None)
    endpoint = o.IPEndpoint(LOOPBACK, port)
    mode = o.ServerAcceptMode.CloseExisting
    server = manager.AddTCPServer("bench", o.levels.NOTHING, mode, endpoint, Listener())
    points = o.DatabaseConfig(len(changes.first))
    for kind in _YADNP3_KINDS:
        setattr(points, kind, {})
    config = o.OutstationStackConfig(points)
    config.outstation.eventBufferConfig = o.EventBufferConfig.AllTypes(100)
    config.outstation.params.allowUnsolicited = False
    config.link.LocalAddr, config.link.RemoteAddr = OUTSTATION, MASTER
    config.link.KeepAliveTimeout = o.TimeDuration.Max()
    handlers = Commands(), Application()
    outstation = server.AddOutstation("bench", *handlers, config)
    outstation.Enable()

    def change(values: dict[int, float]) -> None:
        builder = o.UpdateBuilder()
        for index, value in values.items():
            builder.Update(o.Analog(value), index, o.EventMode.Suppress)
        outstation.Apply(builder.Build())

    change(changes.first)
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    threading.Thread(target=_obey_for_ever, args=(channel, changes, change), daemon=True).start()
    stopped.wait()
    manager.Shutdown()


_YADNP3_KINDS = (
    "binary_input",
    "double_binary",
    "counter",
    "frozen_counter",
    "binary_output_status",
    "analog_output_status",
    "time_and_interval",
    "octet_string",
)
"""All that its configuration can be without; the analog inputs stay."""


def _obey_for_ever(channel: socket.socket, changes: Changes, change: Change) -> None:
    while obey(channel, changes, change):
        pass


# ---------------------------------------------------------------------------------------------- py1815


async def _py1815(port: int, changes: Changes, channel: socket.socket) -> None:
    from py1815 import OutstationServer, Session, UnknownObject, objects
    from py1815.events import EventBuffers

    points = [objects.AnalogPoint(value) for value in changes.first.values()]

    class Provider:
        def read_blocks(self, headers: Any) -> list[bytes]:
            return [
                objects.analog_range(start, points[start : start + 200])
                for header in headers
                for start in self._starts(header)
            ]

        def read(self, headers: Any) -> bytes:
            return b"".join(self.read_blocks(headers))

        def _starts(self, header: Any) -> Iterator[int] | range:
            if not header.is_class_request:
                raise UnknownObject(f"g{header.group}")
            return range(0, len(points) if not header.event_class else 0, 200)

    def change(values: dict[int, float]) -> None:
        for index, value in values.items():
            points[index] = objects.AnalogPoint(value)

    session = Session(Provider(), events=EventBuffers(), outstation_address=OUTSTATION, master_address=MASTER)
    server = OutstationServer(session, bind=f"{LOOPBACK}:{port}")
    await server.start()
    await obey_in_loop(channel, changes, change)
    await server.stop()


def py1815(port: int, changes: Changes, channel: socket.socket) -> None:
    asyncio.run(_py1815(port, changes, channel))


KINDS = {each.__name__: each for each in (ours_on_uvloop, ours_on_asyncio, yadnp3, py1815)}


def main() -> None:
    kind, port, points, descriptor = sys.argv[1:]
    with socket.socket(fileno=int(descriptor)) as channel:
        KINDS[kind](int(port), Changes(int(points)), channel)


if __name__ == "__main__":
    main()
