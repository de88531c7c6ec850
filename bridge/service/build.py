"""The composition root: a configuration becomes servers, lines, outstations and LEDs that run."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

from bridge.endpoints.bridged_outstation import BridgedOutstation
from bridge.endpoints.control import ControlServer, control_path
from bridge.endpoints.direction import Direction
from bridge.endpoints.events import note, warn
from bridge.endpoints.hub import LineHub
from bridge.endpoints.serial_port import SerialSettings
from bridge.endpoints.status import StatusServer
from bridge.endpoints.tcp_server import TcpServer
from bridge.endpoints.tcp_session import SessionLimits
from bridge.endpoints.when_down import WhenDown
from bridge.errors import BindError
from bridge.routing.timing import Timing, octet_time_s
from bridge.service import led_requests
from bridge.service.config import Configuration, LedConfig, LineConfig, OutstationConfig, ServerConfig
from bridge.service.leds import PanelLink
from bridge.service.snapshot import take
from bridge.version import VERSION
from hw.board import DEFAULT_BOARD, SYSTEM_LED
from hw.driver import LedDriver
from hw.gpio import BicolourPins, GpioBackend, KernelLed, LedPin, LedWiring, open_outputs
from hw.indicator import Heartbeat, Indicator, LedKind
from hw.overlay import Overlay
from hw.pattern import Light

_DRAIN_S = 1.0
"""What is being sent may take this long when the program ends; it must be gone within 2 s."""

_FIRST_OPENING_S = 0.2

BOARD_LEDS: Mapping[str, int] = DEFAULT_BOARD.led_pins
"""The LEDs that a configuration may use without defining them, if it names no board."""


class Bridge:
    """Everything that a configuration asks for. To be made in a running event loop.

    `await start()` raises `BindError` and leaves nothing running; `await close()` ends it cleanly.
    """

    def __init__(self, configuration: Configuration) -> None:
        self._loop = asyncio.get_running_loop()
        self._started_s = self._loop.time()
        self._configuration = configuration
        self._line_indicators: dict[str, list[Indicator]] = {name: [] for name in configuration.lines}
        self._pins = _pins(configuration)
        self.heartbeat = Heartbeat(configuration.lines, self._led_kind(SYSTEM_LED))
        self.indicators: dict[str, Indicator] = {}
        self.servers = {name: _server(server) for name, server in configuration.servers.items()}
        self.hubs = {
            name: LineHub(name, _settings(line), _timing(line), line_changed=self._line_changed)
            for name, line in configuration.lines.items()
        }
        self.outstations: dict[str, BridgedOutstation] = {}
        for outstation in configuration.outstations:
            self.indicators[outstation.name] = Indicator(self._led_kind(outstation.led))
            if outstation.broadcast == "deny":
                # Also for one that is disabled: it hangs on the line and hears everything.
                self.hubs[outstation.line].deny_broadcasts()
            if outstation.enabled:
                self._add(outstation)
        self._outputs = open_outputs(self._pins, backend=GpioBackend(configuration.service.gpio))
        self._driver = LedDriver(self._lights(), self._outputs.by_name)
        self._status = StatusServer(configuration.service.status_socket, self.snapshot)
        self._control = ControlServer(control_path(configuration.service.status_socket), self._obey)

    async def start(self) -> None:
        """Listen, open the lines, light the LEDs, offer the status."""
        for problem in (self._outputs.problem, *self._outputs.pin_problems.values()):
            if problem is not None:
                warn("no LED", reason=problem)
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
        self._driver.start()
        # The bridge does its work without them. The status comes last: who finds it finds everything.
        for what, socket in (("no control socket", self._control), ("no status socket", self._status)):
            try:
                await socket.bind()
            except BindError as error:
                warn(what, reason=error.strerror)
        note("started", version=VERSION, servers=len(self.servers), lines=len(self.hubs))

    async def close(self) -> None:
        """End every session and line; what is being sent gets out first, within a second."""
        self._status.close()
        self._control.close()
        for server in self.servers.values():
            server.stop_listening()
        await asyncio.gather(
            *(server.close(drain_s=_DRAIN_S) for server in self.servers.values()),
            *(hub.close(drain_s=_DRAIN_S) for hub in self.hubs.values()),
        )
        await self._driver.close()
        self._outputs.close()
        note("stopped")

    @property
    def now(self) -> float:
        """The time on the clock that the indicators use."""
        return self._loop.time()

    def snapshot(self) -> dict[str, Any]:
        """Return the status as JSON-able data: what `rtu-bridge status --json` prints."""
        return take(self, self._configuration, self.now - self._started_s)

    def led_status(self, outstation: OutstationConfig | None) -> dict[str, Any]:
        """Return what the status says of an outstation's LED, or of the system LED."""
        now = self.now
        if outstation is None:
            heart = self._driver.lights[SYSTEM_LED]
            return _led_status(SYSTEM_LED, self.heartbeat.state.value, heart, now)
        indicator, led = self.indicators[outstation.name], outstation.led
        light = indicator if led is None else self._driver.lights[led]
        return _led_status(led, indicator.state(now).value, light, now)

    def _add(self, outstation: OutstationConfig) -> None:
        indicator = self.indicators[outstation.name]
        self._line_indicators[outstation.line].append(indicator)
        changed = _nothing if outstation.led is None else partial(self._changed, outstation.led)
        link = PanelLink(indicator, self._loop.time, changed)
        hub = self.hubs[outstation.line]
        when_down = WhenDown(self._configuration.lines[outstation.line].when_down)
        bridged = BridgedOutstation(
            outstation.name, outstation.link_address, hub, observer=link, when_down=when_down
        )
        self.outstations[outstation.name] = bridged
        self.servers[outstation.server].add_outstation(bridged, link, outstation.masters)

    def _lights(self) -> dict[str, Light]:
        lights: dict[str, Light] = {SYSTEM_LED: self.heartbeat}
        for outstation in self._configuration.outstations:
            if outstation.led is not None:
                lights[outstation.led] = self.indicators[outstation.name]
        return lights

    def _line_changed(self, line: str, is_up: bool) -> None:
        now = self._loop.time()
        if is_up:
            self.heartbeat.line_up(line, now)
        else:
            self.heartbeat.line_down(line, now)
        for indicator in self._line_indicators[line]:
            if is_up:
                indicator.line_up(now)
            else:
                indicator.line_down(now)
        self._changed()
        for server in self.servers.values():
            server.reachability_changed()

    def _changed(self, led: str | None = None) -> None:
        self._driver.changed(led)

    def _led_kind(self, led: str | None) -> LedKind:
        is_bicolour = led is not None and isinstance(self._pins.get(led), BicolourPins)
        return LedKind.BICOLOUR if is_bicolour else LedKind.SINGLE

    def _obey(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        answer = led_requests.obey(
            request, self._driver, {each.name: each.led for each in self._configuration.outstations}
        )
        note("control", answer=" ".join(answer.values()))
        return answer


def _led_status(name: str | None, state: str, light: Light, now: float) -> dict[str, Any]:
    cover = light.covered_by(now) if isinstance(light, Overlay) else None
    return {
        "name": name,
        "kind": light.kind.value,
        "state": state,
        "pattern": light.look(now).name,
        # A single LED has the colour that was soldered, and nobody told us which.
        "colour": light.colour(now).value if light.kind is LedKind.BICOLOUR else None,
        "lit": light.is_lit(now),
        "overlay": None if cover is None else cover.value,
    }


def _nothing() -> None:
    """What an indicator's event leads to where no LED shows it."""


def _server(config: ServerConfig) -> TcpServer:
    limits = SessionLimits(
        half_open_timeout_s=config.half_open_timeout_s,
        send_stall_s=config.send_stall_s,
        frame_timeout_s=config.frame_timeout_s,
    )
    return TcpServer(config.link_error_mode, str(config.listen), name=config.name, limits=limits)


def _settings(config: LineConfig) -> SerialSettings:
    return SerialSettings(
        device=config.device,
        baud=config.baud,
        parity=config.parity,
        stop_bits=config.stop_bits,
        direction=Direction(config.direction),
        pre_transmit_s=config.pre_transmit_s,
        post_transmit_s=config.post_transmit_s,
        rts_on_send=config.rts_on_send,
    )


def _timing(config: LineConfig) -> Timing:
    return Timing(
        octet_s=octet_time_s(config.baud, parity_bits=config.parity_bits, stop_bits=config.stop_bits),
        response_timeout_s=config.response_timeout_s,
        quiet_s=config.frame_timeout_s,
        request_ttl_s=config.request_ttl_s,
        control_ttl_s=config.control_ttl_s,
        exchange_limit_s=config.exchange_limit_s,
        babble_s=config.babble_s,
        turnaround_s=config.turnaround_s,
        pre_transmit_s=config.pre_transmit_s,
        post_transmit_s=config.post_transmit_s,
        broadcast_dead_time_s=config.broadcast_dead_time_s,
    )


def _pins(configuration: Configuration) -> dict[str, LedWiring]:
    """Return the LEDs that are used: the system LED's and those of the outstations."""
    used = {SYSTEM_LED, *(o.led for o in configuration.outstations if o.led is not None)}
    pins: dict[str, LedWiring] = {
        name: LedPin(pin) for name, pin in configuration.board_leds.items() if name in used
    }
    for led in configuration.leds.values():
        if led.name in used:
            pins[led.name] = _wiring(led)
    return pins


def _wiring(led: LedConfig) -> LedWiring:
    if led.kernel is not None:
        return KernelLed(led.kernel)
    if led.red is not None and led.green is not None:
        return BicolourPins(led.red, led.green, active_low=led.active_low)
    assert led.pin is not None, "an LED is wired in one of three ways"
    return LedPin(led.pin, active_low=led.active_low)
