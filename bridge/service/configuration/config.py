"""The configuration file: TOML in, frozen dataclasses out, or every problem of the file at once.

The keys and the reading of sections are in `keys`, what concerns several keys in
`physics` and `pins`.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, Protocol, TypeVar

from bridge.endpoints.address_filter import AddressFilter
from bridge.endpoints.endpoint import Endpoint
from bridge.errors import ConfigurationError
from bridge.link.framer import LinkErrorMode
from bridge.service.appliance.point_layout import FIRST_WIRED
from bridge.service.configuration import boards, physics, pins, recorder_keys
from bridge.service.configuration.keys import FILE_KEYS, SERVICE_KEYS, read_document
from bridge.service.configuration.line_times import PARITY_BITS
from bridge.service.configuration.recorder_keys import RECORDER_KEYS, RecorderConfig
from bridge.service.configuration.schema import Report, read_row, shortened

_LONGEST_OCTETS: Final = 256 * 1024
"""Far more than hundreds of outstations need, and little enough that whatever it says is read in seconds."""
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


_READ_PROBLEMS: Final[tuple[tuple[type[OSError], str], ...]] = (
    (FileNotFoundError, "there is no such file; name one that exists"),
    (IsADirectoryError, "is a directory; name a file in it"),
    (PermissionError, "may not be read by this user; give it the permission, or run as another user"),
)


def read_text(path: Path, source_name: str) -> str:
    """Return the text of a file of TOML. Raises `ConfigurationError`, with a line of what is wrong."""
    try:
        # Before it is opened: to open a pipe waits for whoever writes, and a device may not end.
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise ConfigurationError([f"{source_name}: is no regular file; name a file of TOML text"])
        with path.open("rb") as file:
            octets = file.read(_LONGEST_OCTETS + 1)
    except OSError as error:
        unusual = f"cannot be read: {error.strerror}; name a readable file"
        problem = next((text for kind, text in _READ_PROBLEMS if isinstance(error, kind)), unusual)
        raise ConfigurationError([f"{source_name}: {problem}"]) from None
    if len(octets) > _LONGEST_OCTETS:
        limit = f"{_LONGEST_OCTETS // 1024} KiB"
        raise ConfigurationError([f"{source_name}: is longer than {limit}; name a configuration file"])
    try:
        # Windows editors put a byte order mark in front; the file lies on the card's FAT partition.
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        problem = f"octet 0x{octets[error.start]:02X} is not UTF-8 text; save the file as UTF-8"
        raise ConfigurationError([f"{source_name}:{line}: {problem}"]) from None


_QUOTED_OR_COMMENT: Final = re.compile(r""""(?:[^"\\\n]|\\.)*"|'[^'\n]*'|#.*""")
_MOST_DOTS: Final = 100


def _refuse_deep_keys(text: str, source_name: str) -> None:
    """Refuse keys of thousands of parts: tomllib takes minutes for one that fills the file."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.count(".") > _MOST_DOTS and _QUOTED_OR_COMMENT.sub("", line).count(".") > _MOST_DOTS:
            problem = "is nested too deep; write tables of depth two"
            raise ConfigurationError([f"{source_name}:{number}: {problem}"])


def read_toml(text: str, source_name: str) -> dict[str, Any]:
    """Take TOML apart. Raises `ConfigurationError`, with a line of what is wrong."""
    _refuse_deep_keys(text, source_name)
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ConfigurationError([f"{source_name}: is nested too deep; write tables of depth two"]) from None
    # Not only TOMLDecodeError: a number of thousands of digits raises a plain ValueError.
    except ValueError as error:
        reason = str(error)
    raise ConfigurationError([_syntax_problem(source_name, reason, text)])


_LONGEST_REASON: Final = 120
"""tomllib quotes what it could not read."""
_OUTSTATION_HEADER: Final = re.compile(r"\s*\[\[?\s*outstation\s*\]")
_SYNTAX_REMEDIES: Final = (
    ("Cannot declare", "write each table once, under a name of its own"),
    ("Cannot overwrite", "write each key once"),
    ("", 'write one key = value a line, with "quotes" around text'),
)


def _syntax_problem(source_name: str, reason: str, text: str) -> str:
    """Turn tomllib's "reason (at line 4, column 2)" into a line of ours."""
    remedy = next(right for start, right in _SYNTAX_REMEDIES if reason.startswith(start))
    lines = text.splitlines()
    place = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", reason)
    if place is None:
        return f"{source_name}: {shortened(reason, _LONGEST_REASON)}; {remedy}"
    reason = shortened(reason[: place.start()], _LONGEST_REASON)
    if place[1] and _OUTSTATION_HEADER.match(text.split("\n")[int(place[1]) - 1]):
        # The same table twice, or a table and then an array of that name.
        remedy = "write [[outstation]], in two brackets, for each RTU"
    where = f"{place[1]}: column {place[2]}" if place[1] else f"{len(lines)}: end of file"
    return f"{source_name}:{where}: {reason}; {remedy}"
