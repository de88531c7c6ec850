"""The configuration file: TOML in, frozen dataclasses out, or every problem of the file at once.

The text is read by `toml_text`. The keys and the reading of sections are in `keys`, what concerns several
keys in `physics` and `pins`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, Protocol, TypeVar

from bridge.endpoints.address_filter import AddressFilter
from bridge.endpoints.endpoint import Endpoint
from bridge.errors import ConfigurationError
from bridge.link.framer import LinkErrorMode
from bridge.service.appliance.point_layout import FIRST_WIRED
from bridge.service.configuration import boards, physics, pins, recorder_keys
from bridge.service.configuration.keys import FILE_KEYS, SERVICE_KEYS, read_document
from bridge.service.configuration.line_times import PARITY_BITS
from bridge.service.configuration.recorder_keys import RECORDER_KEYS, RecorderConfig
from bridge.service.configuration.schema import Report, read_row
from bridge.service.configuration.toml_text import read_text, read_toml

_NO_LEDS: Final[Mapping[str, int]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    """The program itself: where it tells its status, what it logs, its GPIO driver and its boards."""

    status_socket: str
    log_level: Literal["debug", "info", "warning", "error"]
    log_format: Literal["text", "json"]
    gpio: Literal["auto", "gpiod", "lgpio", "mock", "none"]
    board: tuple[str, ...] = boards.DEFAULT_NAMES
    name: str | None = None
    location: str | None = None


@dataclass(frozen=True, slots=True)
class MetricsConfig:
    """Where the metrics are offered."""

    listen: Endpoint


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """One TCP port that masters connect to."""

    name: str
    listen: Endpoint
    link_error_mode: LinkErrorMode
    half_open_timeout_s: int
    send_stall_s: float
    frame_timeout_s: float


@dataclass(frozen=True, slots=True)
class LineConfig:
    """One serial port, its settings and its times.

    `pre_transmit_s` and `post_transmit_s` are as the file says, not yet the kernel's whole milliseconds.
    """

    name: str
    device: str
    baud: int
    parity: Literal["none", "even", "odd"]
    stop_bits: Literal[1, 2]
    response_timeout_s: float
    frame_timeout_s: float
    request_ttl_s: float
    control_ttl_s: float
    exchange_limit_s: float
    babble_s: float
    broadcast_dead_time_s: float
    turnaround_s: float
    pre_transmit_s: float
    post_transmit_s: float
    direction: Literal["automatic", "rs485", "rts"]
    rts_on_send: bool
    when_down: Literal["hold", "close", "refuse"]

    @property
    def parity_bits(self) -> int:
        """The bits that parity adds to an octet: 0 or 1."""
        return PARITY_BITS[self.parity]

    @property
    def framing(self) -> str:
        """Data bits, parity and stop bits in short: "8N1"."""
        return f"8{self.parity[0].upper()}{self.stop_bits}"


@dataclass(frozen=True, slots=True)
class LedConfig:
    """One LED that the file adds to those of the board, or overrides.

    It has a `pin`, or `red` and `green` pins (GPIO numbers, BCM), or is the `kernel`'s LED of that name.
    """

    name: str
    pin: int | None
    active_low: bool
    red: int | None = None
    green: int | None = None
    kernel: str | None = None


@dataclass(frozen=True, slots=True)
class ButtonConfig:
    """The push button of the panel."""

    pin: int
    active_low: bool
    pull: Literal["none", "up", "down"]


@dataclass(frozen=True, slots=True)
class InputConfig:
    """One contact. A level that it keeps for `debounce_s` counts."""

    name: str
    pin: int
    active_low: bool
    pull: Literal["none", "up", "down"]
    debounce_s: float
    point: int = FIRST_WIRED
    """Its index among the binary inputs of the appliance's outstation."""


@dataclass(frozen=True, slots=True)
class RelayConfig:
    """One relay, off until somebody switches it on."""

    name: str
    pin: int
    active_low: bool
    point: int = FIRST_WIRED
    """Its index among the binary outputs of the appliance's outstation."""


@dataclass(frozen=True, slots=True)
class OutstationConfig:
    """One RTU: who may reach it, through which server, on which line and under which link address.

    Or, with `local` in place of `line`, an outstation inside this program, to which the last three apply.
    """

    name: str
    server: str
    masters: AddressFilter
    line: str | None
    link_address: int
    led: str | None
    enabled: bool
    broadcast: Literal["allow", "deny"]
    local: Literal["appliance"] | None = None
    master_address: int | None = None
    unsolicited: bool = False
    controls: Literal["allow", "deny"] = "allow"


@dataclass(frozen=True, slots=True)
class Configuration:
    """A whole file that is right. Mappings are by name, in the order of the file.

    Every name in an outstation exists, except that its LED may be one of the board's and not in `leds`.
    `warnings` are whole lines about what is possible and probably not meant. `board_leds` are the pins of
    the boards' own LEDs.
    """

    source_name: str
    service: ServiceConfig
    servers: Mapping[str, ServerConfig]
    lines: Mapping[str, LineConfig]
    leds: Mapping[str, LedConfig]
    button: ButtonConfig | None
    inputs: Mapping[str, InputConfig]
    relays: Mapping[str, RelayConfig]
    outstations: tuple[OutstationConfig, ...]
    warnings: tuple[str, ...]
    recorder: RecorderConfig = recorder_keys.DEFAULTS
    board_leds: Mapping[str, int] = field(default_factory=lambda: _NO_LEDS)
    metrics: MetricsConfig | None = None


def load(path: str | os.PathLike[str], board_leds: Mapping[str, int] = _NO_LEDS) -> Configuration:
    """Read a configuration file. `board_leds` are the LEDs that there are if the file names no board.

    Raises `ConfigurationError` with every problem of the file, also when it cannot be read at all.
    """
    source_name = os.fspath(path)
    return parse(read_text(Path(path), source_name), source_name, board_leds)


def parse(text: str, source_name: str, board_leds: Mapping[str, int] = _NO_LEDS) -> Configuration:
    """Read a configuration from TOML text; `source_name` stands before each problem.

    Raises `ConfigurationError` with every problem of the text.
    """
    report = Report(source_name)
    file = read_row(read_toml(text, source_name), FILE_KEYS, "", report)
    service = read_row(file.get("service") or {}, SERVICE_KEYS, "service", report)
    names = service.get("board") if "board" in service.written else None
    assembly = boards.assembly(names or boards.DEFAULT_NAMES)
    leds = board_leds if names is None else MappingProxyType(assembly.led_pins)
    recorder = read_row(file.get("recorder") or {}, RECORDER_KEYS, "recorder", report)
    recorder_keys.check(recorder, report)
    document = read_document(file, leds, report)
    physics.check(document, report)
    pins.check(document, leds, report)
    boards.check(document, assembly, leds, report)
    if report.problems:
        raise ConfigurationError(report.problems)
    warnings = Report(source_name)
    physics.warn(document, warnings)
    boards.warn(document, assembly, warnings)
    return Configuration(
        source_name=source_name,
        service=ServiceConfig(**service.values),
        servers=_by_name(ServerConfig(name=row.name, **row.values) for row in document.servers),
        lines=_by_name(LineConfig(name=row.name, **row.values) for row in document.lines),
        leds=_by_name(LedConfig(name=row.name, **row.values) for row in document.leds),
        button=None if document.button is None else ButtonConfig(**document.button.values),
        inputs=_by_name(InputConfig(name=row.name, **row.values) for row in document.inputs),
        relays=_by_name(RelayConfig(name=row.name, **row.values) for row in document.relays),
        outstations=tuple(OutstationConfig(**row.values) for row in document.outstations),
        warnings=tuple(warnings.problems),
        recorder=RecorderConfig(**recorder.values),
        board_leds=leds,
        metrics=None if document.metrics is None else MetricsConfig(**document.metrics.values),
    )


class _Named(Protocol):
    @property
    def name(self) -> str: ...


_N = TypeVar("_N", bound=_Named)


def _by_name(items: Iterable[_N]) -> Mapping[str, _N]:
    return MappingProxyType({item.name: item for item in items})
