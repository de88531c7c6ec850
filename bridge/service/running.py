"""What a running bridge shows to those who look at it or act on it."""

from __future__ import annotations

from typing import Protocol

from bridge.endpoints.bridged_outstation import BridgedOutstation
from bridge.endpoints.hub import LineHub
from bridge.endpoints.session_groups import ServedOutstation
from bridge.endpoints.tcp_server import TcpServer
from bridge.service.appliance.appliance import Appliance
from bridge.service.appliance.bus_loads import BusLoads
from bridge.service.appliance.local_outstation import LocalOutstation
from bridge.service.configuration.config import Configuration, OutstationConfig
from bridge.service.front.front_panel import FrontPanel
from bridge.service.log_queue import LogCounters
from bridge.service.monitoring.metrics import Metrics
from bridge.service.recordings.recorder import Recorder


class RunningBridge(Protocol):
    """The parts of a bridge, by the names in its configuration. `bridge.service.build.Bridge` is one.

    Outstations that are disabled are in `outstation_configs` only.
    """

    configuration: Configuration
    configuration_problems: tuple[str, ...]
    outstation_configs: dict[str, OutstationConfig]
    front: FrontPanel
    servers: dict[str, TcpServer]
    hubs: dict[str, LineHub]
    bus_loads: BusLoads
    appliance: Appliance
    outstations: dict[str, BridgedOutstation]
    local_outstations: dict[str, LocalOutstation]
    log: LogCounters
    metrics: Metrics
    recorder: Recorder

    @property
    def now(self) -> float:
        """The time on the clock that the indicators use."""

    @property
    def uptime_s(self) -> float:
        """How long it has been running."""

    def served(self, outstation: str) -> ServedOutstation | None:
        """Return an outstation by its name; None for one that is disabled."""

    def server_of(self, outstation: str) -> TcpServer:
        """Return the server through which an outstation is reached. Raises KeyError."""
