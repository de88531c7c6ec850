"""The composition root: a configuration becomes servers, lines, outstations and LEDs that run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from bridge.endpoints.bridged_outstation import BridgedOutstation
from bridge.endpoints.control import ControlServer, control_path
from bridge.endpoints.events import note, warn
from bridge.endpoints.hub import LineHub
from bridge.endpoints.session_groups import ServedOutstation
from bridge.endpoints.status import StatusServer
from bridge.endpoints.tcp_server import TcpServer
from bridge.endpoints.when_down import WhenDown
from bridge.errors import BindError
from bridge.service.appliance.appliance import Appliance
from bridge.service.appliance.bridge_actions import BridgeActions
from bridge.service.appliance.bus_loads import BusLoads
from bridge.service.appliance.local_outstation import LocalOutstation
from bridge.service.appliance.point_row import Section
from bridge.service.configuration.config import Configuration, LineConfig, OutstationConfig, ServerConfig
from bridge.service.front.front_panel import FrontPanel, Moved
from bridge.service.front.leds import PanelLink
from bridge.service.log_queue import LogCounters
from bridge.service.monitoring.metrics import Metrics
from bridge.service.recordings.recorder import Recorder
from bridge.service.settings import serial_settings, session_limits, timing
from bridge.service.snapshot import section, taking
from bridge.service.taking import take
from bridge.version import VERSION
from hw.indicator import Indicator

_DRAIN_S = 1.0
"""What is being sent may take this long when the program ends; it must be gone within 2 s."""

_FIRST_OPENING_S = 0.2


class Bridge:
    """Everything that a configuration asks for. To be made in a running event loop.

    `await start()` raises `BindError` and leaves nothing running; `await close()` ends it cleanly.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        ended: Callable[[], None] = lambda: None,
        log: LogCounters | None = None,
        problems: Sequence[str] = (),
    ) -> None:
        """Build everything; `ended` is called when the panel's button says that the program is to end.

        `log` counts what the program's log loses, for the status. `problems` are those of a newer
        configuration that is wrong, so that this one is in force.
        """
        self.configuration = configuration
        self.configuration_problems = tuple(problems)
        self.outstation_configs = {each.name: each for each in configuration.outstations}
        self.log = log or LogCounters()
        self._loop = asyncio.get_running_loop()
        self._started_s = self._loop.time()
        self._line_indicators: dict[str, list[Indicator]] = {name: [] for name in configuration.lines}
        self.front = FrontPanel(
            configuration,
            clock=self._loop.time,
            held=ended,
            moved=self._moved,
            is_outdated=bool(problems),
        )
        self.recorder = Recorder(configuration)
        self.servers = {name: self._server(server) for name, server in configuration.servers.items()}
        self.hubs = {name: self._hub(line) for name, line in configuration.lines.items()}
        self.bus_loads = BusLoads(self.hubs)
        self.appliance = Appliance(configuration, partial(section, self), BridgeActions(self))
        self.outstations: dict[str, BridgedOutstation] = {}
        self.local_outstations: dict[str, LocalOutstation] = {}
        for outstation in configuration.outstations:
            self._add(outstation)
        self._status = StatusServer(configuration.service.status_socket, self.snapshot)
        self._control = ControlServer(control_path(configuration.service.status_socket), self._obey)
        metrics = configuration.metrics
        self.metrics = Metrics(None if metrics is None else metrics.listen, partial(taking, self))

    async def start(self) -> None:
        """Listen, open the lines, light the LEDs, offer the status."""
        self.front.report()
        for hub in self.hubs.values():
            hub.start()
        # A master that connects at once should find its lines open; one that is missing keeps nobody waiting.
        _, blocked = await asyncio.wait(
            [asyncio.create_task(hub.line.attempted.wait()) for hub in self.hubs.values()],
            timeout=_FIRST_OPENING_S,
        )
        for waiting in blocked:
            waiting.cancel()
        try:
            for server in self.servers.values():
                await server.bind()
        except BindError:
            await self.close()
            raise
        self.front.start()
        await self.metrics.start()
        await self.recorder.start()
        self.bus_loads.start()
        self.appliance.start()
        # The bridge does its work without them. The status comes last: who finds it finds everything.
        for what, socket in (("control", self._control), ("status", self._status)):
            try:
                await socket.bind()
            except BindError as error:
                warn("no socket", socket=what, reason=error.strerror)
        note("started", version=VERSION, servers=len(self.servers), lines=len(self.hubs))

    async def close(self) -> None:
        """End every session and line; what is being sent gets out first, within a second."""
        self._status.close()
        self._control.close()
        self.metrics.close()
        self.appliance.close()
        self.bus_loads.close()
        for server in self.servers.values():
            server.stop_listening()
        await asyncio.gather(
            # First: that lines and sessions end now is no fault.
            self.recorder.close(),
            *(server.close(drain_s=_DRAIN_S) for server in self.servers.values()),
            *(hub.close(drain_s=_DRAIN_S) for hub in self.hubs.values()),
        )
        await self.front.close()
        note("stopped")

    @property
    def now(self) -> float:
        """The time on the clock that the indicators use."""
        return self._loop.time()

    @property
    def uptime_s(self) -> float:
        """How long it has been running."""
        return self.now - self._started_s

    def served(self, outstation: str) -> ServedOutstation | None:
        """Return an outstation by its name; None for one that is disabled."""
        return self.outstations.get(outstation) or self.local_outstations.get(outstation)

    def server_of(self, outstation: str) -> TcpServer:
        """Return the server through which an outstation is reached. Raises KeyError."""
        return self.servers[self.outstation_configs[outstation].server]

    def snapshot(self) -> dict[str, Any]:
        """Return the status as JSON-able data: what `rtu-bridge status --json` prints."""
        return take(taking(self))

    def _server(self, config: ServerConfig) -> TcpServer:
        return TcpServer(
            config.link_error_mode,
            str(config.listen),
            name=config.name,
            limits=session_limits(config),
            taps=self.recorder.server(config.name),
        )

    def _hub(self, config: LineConfig) -> LineHub:
        return LineHub(
            config.name,
            serial_settings(config),
            timing(config),
            line_changed=self._line_changed,
            state_changed=self._state_changed,
            tap=self.recorder.line(config.name),
        )

    def _add(self, outstation: OutstationConfig) -> None:
        if outstation.line is None:
            self._add_local(outstation)
        else:
            self._add_bridged(outstation, outstation.line)

    def _add_bridged(self, outstation: OutstationConfig, line: str) -> None:
        hub = self.hubs[line]
        if outstation.broadcast == "deny":
            # Also for one that is disabled: it hangs on the line and hears everything.
            hub.deny_broadcasts()
        if not outstation.enabled:
            hub.add_neighbour(outstation.link_address)
            return
        self._line_indicators[line].append(self.front.indicators[outstation.name])
        link = self._link(outstation)
        when_down = WhenDown(self.configuration.lines[line].when_down)
        bridged = BridgedOutstation(
            outstation.name, outstation.link_address, hub, observer=link, when_down=when_down
        )
        self.outstations[outstation.name] = bridged
        self.servers[outstation.server].add_outstation(bridged, link, outstation.masters)

    def _add_local(self, outstation: OutstationConfig) -> None:
        if not outstation.enabled:
            return
        link = self._link(outstation)
        self.front.indicators[outstation.name].line_up(self._loop.time())
        local = self.appliance.add(outstation, link)
        self.local_outstations[outstation.name] = local
        self.servers[outstation.server].add_outstation(local, link, outstation.masters)

    def _link(self, outstation: OutstationConfig) -> PanelLink:
        return PanelLink(
            self.front.indicators[outstation.name],
            self._loop.time,
            _nothing if outstation.led is None else partial(self.front.changed, outstation.led),
            noticed=partial(self.appliance.changed, Section.OUTSTATION, outstation.name),
        )

    def _moved(self, moved: Moved) -> None:
        self.appliance.changed(Section(moved.section), moved.name, moved.at)

    def _state_changed(self, line: str, outstation: str | None) -> None:
        if outstation is None:
            self.appliance.changed(Section.LINE, line)
        else:
            self.appliance.changed(Section.OUTSTATION, outstation)

    def _line_changed(self, line: str, is_up: bool) -> None:
        self.appliance.line_changed(line)
        now = self._loop.time()
        if is_up:
            self.front.heartbeat.line_up(line, now)
        else:
            self.front.heartbeat.line_down(line, now)
        for indicator in self._line_indicators[line]:
            if is_up:
                indicator.line_up(now)
            else:
                indicator.line_down(now)
        self.front.changed()
        for server in self.servers.values():
            server.reachability_changed()

    def _obey(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        answer = self.front.obey(request)
        note("control", answer=" ".join(answer.values()))
        return answer


def _nothing() -> None:
    """What an indicator's event leads to where no LED shows it."""
