"""The points of the appliance's outstation, row by row: what they say, and where in the status it stands.

A row belongs to a section of the status: the appliance as a whole, a line, an outstation, a contact or a
relay. `key` is a path in that section's part of the document of `rtu-bridge status --json`; so points, status
and whatever else is made of that document agree. Rows are an interface: SCADA systems know their offsets. New
ones take offsets that are free; none ever moves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

from bridge.application.measurement import Flags, PointKind
from bridge.outstation.points import EventClass
from bridge.service.appliance.point_row import Command, PointRow

FROZEN_CLASS: Final = EventClass.CLASS_3
"""Of the frozen counters, which every counter has one of: each freeze is an event."""

_TROUBLE: Final = frozenset({"missing", "noise", "silent"})


def _is_present(value: object) -> bool:
    return value is not None


def _is_degraded(led_state: str) -> bool | None:
    """Say whether answers are missing, or noise is heard; None while nobody polls, and nobody can know."""
    if led_state in _TROUBLE:
        return True
    return False if led_state == "answering" else None


def _total(counts: Mapping[str, int]) -> int:
    return sum(counts.values())


def _named(*names: str) -> Callable[[Mapping[str, int]], int]:
    return lambda counts: sum(counts.get(name, 0) for name in names)


def _times(factor: float) -> Callable[[float | None], int | None]:
    return lambda value: None if value is None else round(value * factor)


def _over_servers(count: Callable[[Mapping[str, Any]], int]) -> Callable[[Iterable[Mapping[str, Any]]], int]:
    return lambda servers: sum(map(count, servers))


def _of(key: str) -> Callable[[Mapping[str, Any]], int]:
    return lambda server: server[key]


_refused = _named("not_wanted", "line_down")


class _Row(Protocol):
    def __call__(self, offset: int, name: str, meaning: str, key: str, **more: Any) -> PointRow: ...


def _rows_of(kind: PointKind, event_class: EventClass = EventClass.NONE) -> _Row:
    def row(offset: int, name: str, meaning: str, key: str, **more: Any) -> PointRow:
        more["event_class"] = event_class
        return PointRow(kind=kind, offset=offset, name=name, meaning=meaning, key=key, **more)

    return row


_state = _rows_of(PointKind.BINARY_INPUT, EventClass.CLASS_1)
_output = _rows_of(PointKind.BINARY_OUTPUT, EventClass.CLASS_2)
_counter = _rows_of(PointKind.COUNTER)
_fault = _rows_of(PointKind.COUNTER, EventClass.CLASS_2)
_analog = _rows_of(PointKind.ANALOG_INPUT)
_measured = _rows_of(PointKind.ANALOG_INPUT, EventClass.CLASS_3)

APPLIANCE: Final[tuple[PointRow, ...]] = (
    _state(
        0,
        "all lines up",
        "1: every configured line is open; what the system LED shows",
        "system_led.state",
        value=lambda state: state == "beating",
    ),
    _counter(0, "sessions", "sessions that began", "servers", value=_over_servers(_of("sessions_started"))),
    _fault(
        1,
        "pre-emptions",
        "sessions that ended because a newer connection of the same masters took over",
        "servers",
        value=_over_servers(_of("pre_emptions")),
    ),
    _fault(
        2,
        "refused connections",
        "connections that became no session: of strangers, or while a line was down",
        "servers",
        value=_over_servers(lambda server: _refused(server["session_ends"])),
    ),
    _measured(
        0,
        "CPU temperature",
        "of the processor",
        "machine.cpu_temperature_c",
        value=_times(10),
        unknown=Flags.COMM_LOST,
        deadband=20,
        unit="0.1 °C",
    ),
    _measured(
        1,
        "CPU load",
        "load average of a minute; 100 is all processors busy",
        "machine.load",
        value=_times(100),
        unknown=Flags.COMM_LOST,
        deadband=25,
        unit="%",
    ),
    _measured(
        2,
        "free memory",
        "what programs can still have",
        "machine.memory_available_octets",
        value=_times(1 / 1024**2),
        unknown=Flags.COMM_LOST,
        deadband=32,
        unit="MiB",
    ),
    _analog(
        3,
        "uptime of the machine",
        "since it was switched on",
        "machine.uptime_s",
        value=_times(1),
        unknown=Flags.COMM_LOST,
        unit="s",
    ),
    _analog(
        4, "uptime of the program", "since rtu-bridge was started", "uptime_s", value=_times(1), unit="s"
    ),
    _output(
        0,
        "lamp test",
        "lights all LEDs, for the on-time or 3 s; LATCH_OFF ends it; 1 meanwhile",
        "system_led.overlay",
        value=lambda overlay: overlay == "lamp_test",
        command=Command.LAMP_TEST,
    ),
)

LINE: Final[tuple[PointRow, ...]] = (
    _state(0, "up", "1: the port is open", "is_up"),
    _state(1, "babble", "1: a device talks without end", "is_babbling"),
    _state(
        2,
        "direction wrong",
        "1: RS-485 or RTS is not switched as asked",
        "direction",
        value=lambda direction: direction["problem"] is not None,
    ),
    _counter(0, "frames sent", "frames that went out on the line", "frames_sent"),
    _counter(1, "frames heard", "whole frames that came from the line", "frames_heard"),
    _counter(2, "octets sent", "octets that went out", "octets_sent"),
    _counter(3, "octets heard", "octets that came, our own echo not counted", "octets_heard"),
    _fault(4, "octets discarded", "octets that were in no whole frame", "octets_discarded"),
    _fault(5, "CRC errors", "frames with a wrong CRC", "crc_errors"),
    _fault(6, "losses", "times that the line went down", "losses"),
    _fault(7, "babbles", "times that a device began to talk without end", "babbles"),
    _fault(8, "echoes spoiled", "own frames that came back damaged", "echoes_spoiled"),
    _fault(9, "frames dropped", "frames that concern no outstation here", "drops", value=_total),
    _measured(
        0,
        "bus load",
        "share of the last minute in which octets were on the wire",
        "bus_load",
        value=_times(1000),
        deadband=50,
        unit="0.1 %",
    ),
    _analog(1, "waiting frames", "frames of masters that wait for their turn now", "waiting_frames"),
    _output(
        0,
        "reset",
        "closes the port and opens it again; 1 until it is open",
        "is_resetting",
        command=Command.RESET,
    ),
)

OUTSTATION: Final[tuple[PointRow, ...]] = (
    _state(0, "master connected", "1: a master has a session", "master", value=_is_present, is_local=True),
    _state(
        1,
        "RTU answering",
        "1: the last request that awaits an answer got one",
        "is_answering",
        unknown=Flags.RESTART,
        needs="is_reachable",
    ),
    _state(
        2,
        "degraded",
        "1: the LED shows missing, noise or silent; stays as it was while no master polls",
        "led.state",
        value=_is_degraded,
        needs="is_reachable",
    ),
    _counter(0, "frames from master", "frames that were sent to it", "frames_from_master", is_local=True),
    _counter(1, "frames to master", "frames of it that its master got", "frames_to_master", is_local=True),
    _counter(2, "requests", "requests on the wire that await an answer", "diagnosis.requests"),
    _counter(3, "answers", "requests that were answered in time", "diagnosis.answers"),
    _fault(4, "timeouts", "requests that were not answered in time", "diagnosis.timeouts"),
    _fault(5, "late answers", "answers to requests given up", "diagnosis.late_answers"),
    _fault(6, "CRC errors", "heard while its answer was awaited", "diagnosis.crc_errors"),
    _fault(
        7,
        "answers of others",
        "of other addresses while its answer was awaited",
        "diagnosis.wrong_address_answers",
    ),
    _fault(
        8,
        "expired requests",
        "frames of requests that waited too long and were never sent",
        "drops",
        value=_named("expired"),
    ),
    _fault(
        9,
        "frames dropped",
        "all frames to and from it that were dropped, expired ones included",
        "drops",
        value=_total,
        is_local=True,
    ),
    _counter(10, "sessions", "sessions that began", "sessions_started", is_local=True),
    _fault(
        11,
        "pre-emptions",
        "sessions that ended because a newer connection took over",
        "pre_emptions",
        is_local=True,
    ),
    _measured(
        0,
        "response time p50",
        "half of the last 512 answers came within it",
        "diagnosis.response_times.p50_s",
        value=_times(1000),
        unknown=Flags.RESTART,
        deadband=50,
        unit="ms",
    ),
    _measured(
        1,
        "response time p99",
        "99 of 100 of the last 512 answers came within it",
        "diagnosis.response_times.p99_s",
        value=_times(1000),
        unknown=Flags.RESTART,
        deadband=100,
        unit="ms",
    ),
    _output(
        0,
        "drop session",
        "ends its master's session, with all outstations that share it; 1 only in that instant",
        "",
        value=lambda _: False,
        is_local=True,
        command=Command.DROP_SESSION,
    ),
)

INPUT: Final = _state(0, "", "1: the contact is active", "is_active", unknown=Flags.COMM_LOST)

RELAY: Final = _output(
    0,
    "",
    "latches or pulses the relay; 1 while it is on",
    "is_on",
    unknown=Flags.COMM_LOST,
    command=Command.SWITCH,
)
