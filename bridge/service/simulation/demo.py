"""`rtu-bridge demo`: a bridge that works without hardware, and a panel that shows it at work."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from importlib import resources

from bridge.endpoints.endpoint import Endpoint
from bridge.endpoints.serial_outstation import PtyOutstations
from bridge.errors import BindError, EndpointError
from bridge.link.control import Control, LinkFunction
from bridge.link.frame import Frame
from bridge.service import log_queue, logs, streams
from bridge.service.build import Bridge
from bridge.service.configuration import config
from bridge.service.front.front_panel import BOARD_LEDS
from bridge.service.paths import default_status_socket
from bridge.service.run import run_in_loop, stop_signal
from bridge.service.simulation import sim_config
from bridge.service.simulation.demo_master import DemoMaster
from bridge.service.simulation.sim import example
from bridge.service.simulation.sim_config import Rtu
from bridge.service.simulation.simulated import SimulatedRtu

_MASTER_HOST = "127.0.0.2"
_POLL_PERIOD_S = 0.7
_PANEL_PERIOD_S = 0.05
_STATUS_PERIOD_S = 0.5
_PLAIN_PERIOD_S = 5.0


def demo(listen: str, *, is_plain: bool) -> int:
    """Run the demo until SIGINT or SIGTERM and return the exit status."""
    try:
        endpoint = Endpoint.parse(listen)
    except EndpointError as error:
        streams.complain(f"--listen: {error}")
        return 2
    if not _is_reachable(endpoint):
        streams.complain(
            f"--listen: {endpoint} cannot be reached from {_MASTER_HOST}, where the demo's own master is; "
            f"write 127.0.0.1:{endpoint.port} or 0.0.0.0:{endpoint.port}"
        )
        return 2
    logs.set_up("info" if is_plain else "error", "text")
    with contextlib.suppress(KeyboardInterrupt), log_queue.in_background():
        return run_in_loop(_demo(listen, is_plain=is_plain))
    return 0


def _is_reachable(endpoint: Endpoint) -> bool:
    # [::] takes IPv4 masters too, [::1] does not.
    return endpoint.host.is_unspecified or (endpoint.host.version == 4 and endpoint.host.is_loopback)


async def _demo(listen: str, *, is_plain: bool) -> int:
    stopped = stop_signal()
    poles, yours = _Line(sim_config.parse(_text("demo_rtus.toml"), "demo_rtus.toml")), _Line(example())
    text = _text("demo.toml")
    values = {
        "listen": listen,
        "bay1": poles.served.device,
        "bay2": yours.served.device,
        "status_socket": default_status_socket(),
    }
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    bridge = Bridge(config.parse(text, "demo.toml", BOARD_LEDS))
    try:
        await bridge.start()
    except BindError as error:
        streams.complain(f"{error.strerror}; try --listen 127.0.0.1:20001")
        return 1
    endpoint = bridge.servers["main"].endpoint
    print(_introduction(endpoint), flush=True)
    master = DemoMaster((12, 13))
    polling = asyncio.create_task(
        master.run((_host(endpoint), endpoint.port), _MASTER_HOST, period_s=_POLL_PERIOD_S)
    )
    show = _print_plainly if is_plain else _show_live
    try:
        await show(bridge, stopped, _notes(endpoint))
    finally:
        polling.cancel()
        await bridge.close()
        await poles.close()
        await yours.close()
    return 0


class _Line:
    """Simulated RTUs behind a pty, where the bridge finds a serial port."""

    def __init__(self, rtus: Iterable[Rtu]) -> None:
        self.served = PtyOutstations()
        self._simulated = [SimulatedRtu(rtu) for rtu in rtus]
        for each in self._simulated:
            self.served.add(each.outstation)
            each.start()
        self.served.start()

    async def close(self) -> None:
        """Unplug them."""
        for each in self._simulated:
            each.stop()
        await self.served.close()


def _text(name: str) -> str:
    return (resources.files("bridge.service.simulation") / name).read_text(encoding="utf-8")


def _host(endpoint: Endpoint) -> str:
    """Where the demo's masters, who have IPv4 addresses, reach the endpoint."""
    return "127.0.0.1" if endpoint.host.is_unspecified else str(endpoint.host)


def _introduction(endpoint: Endpoint) -> str:
    return (
        f"A bridge listens on {endpoint}. A master at {_MASTER_HOST} polls two simulated RTUs through it.\n"
        f"Be the master of a third, address 1024, from another shell:\n"
        f"  {_link_status_command(endpoint)}\n"
        f"or point your own DNP3 master at it, from 127.0.0.1. Its points, events and controls:\n"
        f"  rtu-bridge sim --print-example\n"
        f"Address 1 is the bridge itself, with its lines and RTUs as points: rtu-bridge points\n"
        f"Ask: rtu-bridge status. End: Ctrl-C.\n"
    )


def _notes(endpoint: Endpoint) -> tuple[str, ...]:
    """What the live view has room for."""
    return (
        "Be the master of yours-1024, from another shell of this machine:",
        _link_status_command(endpoint),
        f"or point your own DNP3 master at {_host(endpoint)}:{endpoint.port}, address 1024.",
    )


def _link_status_command(endpoint: Endpoint) -> str:
    request = Frame.build(
        Control.build(LinkFunction.REQUEST_LINK_STATUS, from_master=True), destination=1024, source=1
    )
    # No zeros in front, where no digit follows: so it fits into 80 columns.
    octets = "".join(f"\\{octet:o}" for octet in request.octets)
    return f"printf '{octets}' | timeout 1 nc {_host(endpoint)} {endpoint.port} | od -tx1"


async def _show_live(bridge: Bridge, stopped: asyncio.Event, notes: tuple[str, ...]) -> None:
    from bridge.service.top.live import Live
    from bridge.service.top.sources import Inside
    from bridge.service.top.terminal import Terminal

    with Terminal().taken() as terminal:
        live = Live(terminal, Inside(bridge.snapshot, _STATUS_PERIOD_S, notes))
        while live.step(0.0) and not await _happens(stopped, _PANEL_PERIOD_S):
            pass


async def _print_plainly(bridge: Bridge, stopped: asyncio.Event, notes: tuple[str, ...]) -> None:
    from bridge.service.views.panel import plain_lines

    while not await _happens(stopped, _PLAIN_PERIOD_S):
        print("\n".join(plain_lines(bridge.snapshot())), flush=True)


async def _happens(event: asyncio.Event, within_s: float) -> bool:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), within_s)
    return event.is_set()
