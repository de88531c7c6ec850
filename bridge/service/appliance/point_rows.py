"""The points of the appliance's outstation, row by row: what they say, and where in the status it stands.

A row belongs to a section of the status: the appliance as a whole, a line, an outstation, a contact or a
relay. `key` is a path in that section's part of the document of `rtu-bridge status --json`; so points, status
and whatever else is made of that document agree. Rows are an interface: SCADA systems know their offsets. New
ones take offsets that are free; none ever moves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from bridge.application.measurement import Flags, PointKind, Value
from bridge.outstation.points import EventClass


class Section(StrEnum):
    """What a point is about."""

    APPLIANCE = "appliance"
    INPUT = "input"
    RELAY = "relay"
    LINE = "line"
    OUTSTATION = "outstation"


class Command(StrEnum):
    """What a control does to its section's thing."""

    LAMP_TEST = "lamp_test"
    SWITCH = "switch"
    RESET = "reset"
    DROP_SESSION = "drop_session"


FROZEN_CLASS: Final = EventClass.CLASS_3
"""Of the frozen counters, which every counter has one of: each freeze is an event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PointRow:
    """One kind of point.

    `value` makes the point's value of what stands at `key`, which may be null, or None where that says
    nothing. The point then keeps its value and gets `unknown` as its flags: RESTART for what was not known
    since the start, COMM_LOST for what this machine does not tell. Without `unknown` it stays as it is.
    `needs` is a key that must be true for the point to be in touch with what it is about: else it has the
    flag COMM_LOST.
    """

    kind: PointKind
    offset: int
    name: str
    meaning: str
    key: str
    value: Callable[[Any], Value | None] = lambda value: value
    unknown: Flags | None = None
    needs: str | None = None
    event_class: EventClass = EventClass.NONE
    deadband: float = 0
    unit: str = ""
    is_local: bool = False
    """Whether an outstation of this program has it as well as an RTU."""
    command: Command | None = None


_INPUT, _COUNTER = PointKind.BINARY_INPUT, PointKind.COUNTER
_ANALOG, _OUTPUT = PointKind.ANALOG_INPUT, PointKind.BINARY_OUTPUT
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


def _counter(offset: int, name: str, meaning: str, key: str, **more: Any) -> PointRow:
    return PointRow(kind=_COUNTER, offset=offset, name=name, meaning=meaning, key=key, **more)


_STATE: Final[Mapping[str, Any]] = {"event_class": EventClass.CLASS_1}
_FAULT: Final[Mapping[str, Any]] = {"event_class": EventClass.CLASS_2}
_MEASURED: Final[Mapping[str, Any]] = {"event_class": EventClass.CLASS_3}

APPLIANCE: Final[tuple[PointRow, ...]] = (
    PointRow(
        kind=_INPUT,
        offset=0,
        name="all lines up",
        meaning="1: every configured line is open; what the system LED shows",
        key="system_led.state",
        value=lambda state: state == "beating",
        **_STATE,
    ),
    _counter(0, "sessions", "sessions that began", "servers", value=_over_servers(_of("sessions_started"))),
    _counter(
        1,
        "pre-emptions",
        "sessions that ended because a newer connection of the same masters took over",
        "servers",
        value=_over_servers(_of("pre_emptions")),
        **_FAULT,
    ),
    _counter(
        2,
        "refused connections",
        "connections that became no session: of strangers, or while a line was down",
        "servers",
        value=_over_servers(lambda server: _refused(server["session_ends"])),
        **_FAULT,
    ),
    PointRow(
        kind=_ANALOG,
        offset=0,
        name="CPU temperature",
        meaning="of the processor",
        key="machine.cpu_temperature_c",
        value=_times(10),
        unknown=Flags.COMM_LOST,
        deadband=20,
        unit="0.1 °C",
        **_MEASURED,
    ),
    PointRow(
        kind=_ANALOG,
        offset=1,
        name="CPU load",
        meaning="load average of a minute; 100 is all processors busy",
        key="machine.load",
        value=_times(100),
        unknown=Flags.COMM_LOST,
        deadband=25,
        unit="%",
        **_MEASURED,
    ),
    PointRow(
        kind=_ANALOG,
        offset=2,
        name="free memory",
        meaning="what programs can still have",
        key="machine.memory_available_octets",
        value=_times(1 / 1024**2),
        unknown=Flags.COMM_LOST,
        deadband=32,
        unit="MiB",
        **_MEASURED,
    ),
    PointRow(
        kind=_ANALOG,
        offset=3,
        name="uptime of the machine",
        meaning="since it was switched on",
        key="machine.uptime_s",
        value=_times(1),
        unknown=Flags.COMM_LOST,
        unit="s",
    ),
    PointRow(
        kind=_ANALOG,
        offset=4,
        name="uptime of the program",
        meaning="since rtu-bridge was started",
        key="uptime_s",
        value=_times(1),
        unit="s",
    ),
    PointRow(
        kind=_OUTPUT,
        offset=0,
        name="lamp test",
        meaning="lights all LEDs, for the on-time or 3 s; LATCH_OFF ends it; 1 meanwhile",
        key="system_led.overlay",
        value=lambda overlay: overlay == "lamp_test",
        command=Command.LAMP_TEST,
        **_FAULT,
    ),
)

LINE: Final[tuple[PointRow, ...]] = (
    PointRow(
        kind=_INPUT,
        offset=0,
        name="up",
        meaning="1: the port is open",
        key="is_up",
        **_STATE,
    ),
    PointRow(
        kind=_INPUT,
        offset=1,
        name="babble",
        meaning="1: a device talks without end",
        key="is_babbling",
        **_STATE,
    ),
    PointRow(
        kind=_INPUT,
        offset=2,
        name="direction wrong",
        meaning="1: RS-485 or RTS is not switched as asked",
        key="direction",
        value=lambda direction: direction["problem"] is not None,
        **_STATE,
    ),
    _counter(0, "frames sent", "frames that went out on the line", "frames_sent"),
    _counter(1, "frames heard", "whole frames that came from the line", "frames_heard"),
    _counter(2, "octets sent", "octets that went out", "octets_sent"),
    _counter(3, "octets heard", "octets that came, our own echo not counted", "octets_heard"),
    _counter(4, "octets discarded", "octets that were in no whole frame", "octets_discarded", **_FAULT),
    _counter(5, "CRC errors", "frames with a wrong CRC", "crc_errors", **_FAULT),
    _counter(6, "losses", "times that the line went down", "losses", **_FAULT),
    _counter(7, "babbles", "times that a device began to talk without end", "babbles", **_FAULT),
    _counter(8, "echoes spoiled", "own frames that came back damaged", "echoes_spoiled", **_FAULT),
    _counter(9, "frames dropped", "frames that concern no outstation here", "drops", value=_total, **_FAULT),
    PointRow(
        kind=_ANALOG,
        offset=0,
        name="bus load",
        meaning="share of the last minute in which octets were on the wire",
        key="bus_load",
        value=_times(1000),
        deadband=50,
        unit="0.1 %",
        **_MEASURED,
    ),
    PointRow(
        kind=_ANALOG,
        offset=1,
        name="waiting frames",
        meaning="frames of masters that wait for their turn now",
        key="waiting_frames",
    ),
    PointRow(
        kind=_OUTPUT,
        offset=0,
        name="reset",
        meaning="closes the port and opens it again; 1 until it is open",
        key="is_resetting",
        command=Command.RESET,
        **_FAULT,
    ),
)

OUTSTATION: Final[tuple[PointRow, ...]] = (
    PointRow(
        kind=_INPUT,
        offset=0,
        name="master connected",
        meaning="1: a master has a session",
        key="master",
        value=_is_present,
        is_local=True,
        **_STATE,
    ),
    PointRow(
        kind=_INPUT,
        offset=1,
        name="RTU answering",
        meaning="1: the last request that awaits an answer got one",
        key="is_answering",
        unknown=Flags.RESTART,
        needs="is_reachable",
        **_STATE,
    ),
    PointRow(
        kind=_INPUT,
        offset=2,
        name="degraded",
        meaning="1: the LED shows missing, noise or silent; stays as it was while no master polls",
        key="led.state",
        value=_is_degraded,
        needs="is_reachable",
        **_STATE,
    ),
    _counter(0, "frames from master", "frames that were sent to it", "frames_from_master", is_local=True),
    _counter(1, "frames to master", "frames of it that its master got", "frames_to_master", is_local=True),
    _counter(2, "requests", "requests on the wire that await an answer", "diagnosis.requests"),
    _counter(3, "answers", "requests that were answered in time", "diagnosis.answers"),
    _counter(4, "timeouts", "requests that were not answered in time", "diagnosis.timeouts", **_FAULT),
    _counter(5, "late answers", "answers to requests given up", "diagnosis.late_answers", **_FAULT),
    _counter(6, "CRC errors", "heard while its answer was awaited", "diagnosis.crc_errors", **_FAULT),
    _counter(
        7,
        "answers of others",
        "of other addresses while its answer was awaited",
        "diagnosis.wrong_address_answers",
        **_FAULT,
    ),
    _counter(
        8,
        "expired requests",
        "frames of requests that waited too long and were never sent",
        "drops",
        value=_named("expired"),
        **_FAULT,
    ),
    _counter(
        9,
        "frames dropped",
        "all frames to and from it that were dropped, expired ones included",
        "drops",
        value=_total,
        is_local=True,
        **_FAULT,
    ),
    _counter(10, "sessions", "sessions that began", "sessions_started", is_local=True),
    _counter(
        11,
        "pre-emptions",
        "sessions that ended because a newer connection took over",
        "pre_emptions",
        is_local=True,
        **_FAULT,
    ),
    PointRow(
        kind=_ANALOG,
        offset=0,
        name="response time p50",
        meaning="half of the last 512 answers came within it",
        key="diagnosis.response_times.p50_s",
        value=_times(1000),
        unknown=Flags.RESTART,
        deadband=50,
        unit="ms",
        **_MEASURED,
    ),
    PointRow(
        kind=_ANALOG,
        offset=1,
        name="response time p99",
        meaning="99 of 100 of the last 512 answers came within it",
        key="diagnosis.response_times.p99_s",
        value=_times(1000),
        unknown=Flags.RESTART,
        deadband=100,
        unit="ms",
        **_MEASURED,
    ),
    PointRow(
        kind=_OUTPUT,
        offset=0,
        name="drop session",
        meaning="ends its master's session, with all outstations that share it; 1 only in that instant",
        key="",
        value=lambda _: False,
        is_local=True,
        command=Command.DROP_SESSION,
        **_FAULT,
    ),
)

INPUT: Final = PointRow(
    kind=_INPUT,
    offset=0,
    name="",
    meaning="1: the contact is active",
    key="is_active",
    unknown=Flags.COMM_LOST,
    **_STATE,
)

RELAY: Final = PointRow(
    kind=_OUTPUT,
    offset=0,
    name="",
    meaning="latches or pulses the relay; 1 while it is on",
    key="is_on",
    unknown=Flags.COMM_LOST,
    command=Command.SWITCH,
    **_FAULT,
)
