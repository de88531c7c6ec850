"""Every key of the configuration file: its type, example, range and default; and the reading of sections."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from bridge.endpoints.address_filter import AddressFilter
from bridge.errors import FilterError
from bridge.link.address import LAST_INDIVIDUAL, AddressKind, kind_of
from bridge.link.framer import LinkErrorMode
from bridge.routing.timing import default_broadcast_dead_time_s
from bridge.service.configuration import boards, line_times
from bridge.service.configuration.addresses import endpoint, refuse_long
from bridge.service.configuration.line_times import PARITY_BITS
from bridge.service.configuration.local_keys import LOCAL_KEYS, attribute_text
from bridge.service.configuration.metrics_keys import METRICS_KEYS
from bridge.service.configuration.panel_keys import (
    BUTTON_KEYS,
    INPUT_KEYS,
    LED_KEYS,
    RELAY_KEYS,
    complete_points,
)
from bridge.service.configuration.physics import SYSTEM_LED, Document
from bridge.service.configuration.schema import (
    BOOLEAN,
    DELAY,
    INTEGER,
    LEFT_OUT,
    NUMBER,
    STRING,
    STRINGS,
    TABLE,
    TABLES,
    Delay,
    DelayUnit,
    Key,
    RefusedError,
    Report,
    Row,
    between,
    delay,
    kind_title,
    milliseconds,
    one_of,
    read_row,
    seconds,
    shown,
    under,
)
from bridge.service.paths import default_status_socket

BAUD_RATES: Final = (
    *(300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400),
    *(57600, 115200, 230400, 460800, 500000, 576000, 921600),
)
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
LOG_FORMATS: Final = ("text", "json")
GPIO_DRIVERS: Final = ("auto", "gpiod", "lgpio", "mock", "none")
DIRECTIONS: Final = ("automatic", "rs485", "rts")
DOWN_POLICIES: Final = ("hold", "close", "refuse")
BROADCAST_POLICIES: Final = ("allow", "deny")
_LONGEST_SOCKET_PATH_OCTETS = 107
_LONGEST_TIME_MS = 600_000
_LONGEST_LIMIT_MS = 3_600_000
"""Sixteen of the longest fragments take half an hour at 300 baud."""
_LONGEST_DEAD_TIME_MS = 60_000
_MOST_MASTERS = 256
_NO_DELAY = Delay(0.0, DelayUnit.MS)


def _name(value: str) -> str:
    # Names stand in logs, in aligned tables and on command lines.
    if re.fullmatch(r"[\w.-]+", value) is None:
        possible = re.sub(r"[^\w.-]+", "-", value).strip("-")
        right = f"write {shown(possible)}" if possible else "write one"
        raise RefusedError(f"{shown(value)} is no name of letters, digits, '-', '_' and '.'; {right}")
    return value


def _absolute_path(value: str) -> str:
    if not value.startswith("/"):
        raise RefusedError(f"{shown(value)} is no absolute path; write one that begins with '/'")
    if not value.isprintable():
        raise RefusedError(f"{shown(value)} has a control character; write a path without")
    return value


def _socket_path(value: str) -> str:
    octets = len(_absolute_path(value).encode())
    if octets > _LONGEST_SOCKET_PATH_OCTETS:
        limit = _LONGEST_SOCKET_PATH_OCTETS
        raise RefusedError(
            f"is {octets} octets long, and the system allows {limit} for a socket; write a shorter path"
        )
    return value


def _baud(value: int) -> int:
    if value not in BAUD_RATES:
        nearest = min(BAUD_RATES, key=lambda rate: abs(rate - value))
        raise RefusedError(f"{shown(value)} is no standard rate; did you mean {nearest}?")
    return value


_ADDRESS_USES = {
    AddressKind.RESERVED: "is reserved",
    AddressKind.SELF: "is the self-address",
    AddressKind.BROADCAST: "is a broadcast address",
}


def _link_address(value: int) -> int:
    right = f"write 0 to {LAST_INDIVIDUAL}"
    if not 0 <= value <= 0xFFFF:
        raise RefusedError(f"{shown(value)} is out of range; {right}")
    use = _ADDRESS_USES.get(kind_of(value))
    if use is not None:
        raise RefusedError(f"{value} (0x{value:04X}) {use} (IEEE 1815); {right}")
    return value


def _masters(value: list[object]) -> AddressFilter:
    if len(value) > _MOST_MASTERS:
        raise RefusedError(f"has {len(value)} entries; write at most {_MOST_MASTERS}, or networks")
    problems = [problem for number, each in enumerate(value, start=1) for problem in _master(number, each)]
    if problems:
        raise RefusedError(*problems)
    return AddressFilter.parse(map(str, value))


def _master(number: int, value: object) -> Iterator[str]:
    """Yield what is wrong with one entry by itself: nothing, or one problem."""
    if not isinstance(value, str):
        yield f"entry {number} is {kind_title(value)}; write strings only, in quotes"
        return
    try:
        refuse_long(value, "an address '10.1.1.5', a wildcard '10.1.*.7' or a network '10.8.0.0/16'")
        AddressFilter.parse([value])
    except (RefusedError, FilterError) as error:
        yield str(error)


def _outstation_led(value: str) -> str:
    if value == SYSTEM_LED:
        raise RefusedError(f"{shown(value)} is the LED of the program itself; write another, such as 'led1'")
    return value


def _tables(value: list[object]) -> list[object]:
    if not value:
        raise RefusedError("is empty; write at least one [[outstation]]")
    for number, element in enumerate(value, start=1):
        if not isinstance(element, dict):
            raise RefusedError(f"entry {number} is {kind_title(element)}; write [[outstation]] tables")
    return value


FILE_KEYS: Final[Mapping[str, Key]] = {
    "service": Key(TABLE, "[service]", default={}),
    "metrics": Key(TABLE, "[metrics]", default=None),
    "server": Key(TABLE, "[server.main]", default={}),
    "line": Key(TABLE, "[line.bay1]", default={}),
    "led": Key(TABLE, "[led.led1]", default={}),
    "button": Key(TABLE, "[button]", default=None),
    "input": Key(TABLE, "[input.door]", default={}),
    "relay": Key(TABLE, "[relay.horn]", default={}),
    "recorder": Key(TABLE, "[recorder]", default={}),
    "outstation": Key(TABLES, "[[outstation]]", _tables),
}

SERVICE_KEYS: Final[Mapping[str, Key]] = {
    "status_socket": Key(
        STRING,
        'status_socket = "/run/rtu-bridge/status.sock"',
        _socket_path,
        default=default_status_socket(),
    ),
    "log_level": Key(STRING, 'log_level = "info"', one_of(LOG_LEVELS), default="info"),
    "log_format": Key(STRING, 'log_format = "text"', one_of(LOG_FORMATS), default="text"),
    "gpio": Key(STRING, 'gpio = "auto"', one_of(GPIO_DRIVERS), default="auto"),
    "board": Key(boards.NAMES, 'board = "pi-4"', boards.board_names, default=boards.DEFAULT_NAMES),
    "name": Key(STRING, 'name = "substation-7"', attribute_text, default=None),
    "location": Key(STRING, 'location = "Mill Lane, cabinet 3"', attribute_text, default=None),
}

_LINK_ERROR_MODES = {mode.value: mode for mode in LinkErrorMode}
_link_error_mode = one_of(_LINK_ERROR_MODES)

SERVER_KEYS: Final[Mapping[str, Key]] = {
    "listen": Key(STRING, 'listen = "0.0.0.0:20000"', endpoint),
    "link_error_mode": Key(
        STRING,
        'link_error_mode = "discard"',
        lambda value: _LINK_ERROR_MODES[_link_error_mode(value)],
        default=LinkErrorMode.DISCARD,
    ),
    "half_open_timeout_s": Key(INTEGER, "half_open_timeout_s = 15", between(4, 3600), default=15),
    "send_stall_s": Key(NUMBER, "send_stall_s = 5.0", seconds(0.1, 600), default=5.0),
    "frame_timeout_ms": Key(
        INTEGER,
        "frame_timeout_ms = 1000",
        milliseconds(10, _LONGEST_TIME_MS),
        default=1.0,
        attribute="frame_timeout_s",
    ),
}


def _line_time(label: str, example_ms: int, longest_ms: int = _LONGEST_TIME_MS) -> Key:
    """Return the key of a time that has a default in `line_times`."""
    example, convert = f"{label}_ms = {example_ms}", milliseconds(1, longest_ms)
    return Key(INTEGER, example, convert, default=LEFT_OUT, attribute=f"{label}_s")


# `line_times.complete` makes seconds of the delays.
LINE_KEYS: Final[Mapping[str, Key]] = {
    "device": Key(STRING, 'device = "/dev/ttyAMA2"', _absolute_path),
    "baud": Key(INTEGER, "baud = 9600", _baud),
    "parity": Key(STRING, 'parity = "none"', one_of(PARITY_BITS), default="none"),
    "stop_bits": Key(INTEGER, "stop_bits = 1", one_of((1, 2)), default=1),
    "response_timeout_ms": _line_time("response_timeout", 2305),
    "frame_timeout_ms": _line_time("frame_timeout", 141),
    "request_ttl_ms": _line_time("request_ttl", 10_000),
    "control_ttl_ms": _line_time("control_ttl", 5000),
    "exchange_limit_ms": _line_time("exchange_limit", 60_000, _LONGEST_LIMIT_MS),
    "babble_ms": _line_time("babble", 6000, _LONGEST_LIMIT_MS),
    "broadcast_dead_time_ms": Key(
        INTEGER,
        "broadcast_dead_time_ms = 300",
        milliseconds(0, _LONGEST_DEAD_TIME_MS),
        default=default_broadcast_dead_time_s(),
        attribute="broadcast_dead_time_s",
    ),
    "turnaround": Key(DELAY, 'turnaround = "20 bits"', delay, default=LEFT_OUT),
    "pre_transmit": Key(DELAY, 'pre_transmit = "1 ms"', delay, default=_NO_DELAY),
    "post_transmit": Key(DELAY, 'post_transmit = "1 ms"', delay, default=_NO_DELAY),
    "direction": Key(STRING, 'direction = "rs485"', one_of(DIRECTIONS), default="automatic"),
    "rts_on_send": Key(BOOLEAN, "rts_on_send = true", default=True),
    "when_down": Key(STRING, 'when_down = "hold"', one_of(DOWN_POLICIES), default="hold"),
}

OUTSTATION_KEYS: Final[Mapping[str, Key]] = {
    "name": Key(STRING, 'name = "pole-12"', _name),
    "server": Key(STRING, 'server = "main"'),
    "masters": Key(STRINGS, 'masters = ["10.1.1.5"]', _masters),
    "line": Key(STRING, 'line = "bay1"', default=None),
    "link_address": Key(INTEGER, "link_address = 12", _link_address),
    "led": Key(STRING, 'led = "led1"', _outstation_led, default=None),
    "enabled": Key(BOOLEAN, "enabled = true", default=True),
    "broadcast": Key(STRING, 'broadcast = "allow"', one_of(BROADCAST_POLICIES), default="allow"),
    **LOCAL_KEYS,
    "master_address": Key(INTEGER, "master_address = 1", _link_address, default=None),
}


def read_document(file: Row, board_leds: Iterable[str], report: Report) -> Document:
    """Read the sections of a file whose own keys were read already."""
    servers = _read_named(file, "server", SERVER_KEYS, report)
    lines = _read_named(file, "line", LINE_KEYS, report)
    leds = _read_named(file, "led", LED_KEYS, report)
    button, metrics = file.get("button"), file.get("metrics")
    for row in lines or ():
        line_times.complete(row)
    return Document(
        servers=servers or (),
        lines=lines or (),
        leds=leds or (),
        button=None if button is None else read_row(button, BUTTON_KEYS, "button", report),
        inputs=complete_points(_read_named(file, "input", INPUT_KEYS, report) or ()),
        relays=complete_points(_read_named(file, "relay", RELAY_KEYS, report) or ()),
        outstations=_read_outstations(file, report),
        metrics=None if metrics is None else read_row(metrics, METRICS_KEYS, "metrics", report),
        known={
            "server": _names(servers),
            "line": _names(lines),
            "led": _names(leds, (name for name in board_leds if name != SYSTEM_LED)),
        },
    )


def _read_named(file: Row, section: str, keys: Mapping[str, Key], report: Report) -> list[Row] | None:
    """Read the tables under [section]; None when not every name under it is a table."""
    tables = file.get(section)
    if tables is None:
        return None
    for name, table in tables.items():
        if not isinstance(table, dict):
            report.add(
                under(section, name),
                f"{shown(table)} is {kind_title(table)}; "
                f"keys stand under a name, such as {FILE_KEYS[section].example}",
            )
            return None
    return [_read_one(name, table, section, keys, report) for name, table in tables.items()]


def _read_one(
    name: str, table: Mapping[str, Any], section: str, keys: Mapping[str, Key], report: Report
) -> Row:
    path = under(section, name)
    try:
        _name(name)
    except RefusedError as refusal:
        report.add(path, str(refusal))
    return read_row(table, keys, path, report, name)


def _read_outstations(file: Row, report: Report) -> list[Row]:
    rows = []
    for number, table in enumerate(file.get("outstation") or (), start=1):
        name = table.get("name")
        label = name if isinstance(name, str) and name else f"#{number}"
        path = f"outstation.#{number}" if label != name else under("outstation", name)
        rows.append(read_row(table, OUTSTATION_KEYS, path, report, label))
    return rows


def _names(rows: Iterable[Row] | None, others: Iterable[str] = ()) -> frozenset[str] | None:
    return None if rows is None else frozenset((*(row.name for row in rows), *others))
