"""THE table of metrics: where each stands in the status document, its name, type and help.

Rules:
  1. A metric is a key of `status --json` by the same word: `rtu_bridge_`, then `server_`, `line_`,
     `outstation_`, `input_`, `relay_` or `machine_`, then the key. `is_` goes; `_s` is `_seconds` and `_c`
     `_celsius`; a counter ends with `_total`.
  2. A counter by reason has every reason from the start, at 0: a rate needs the step away from it.
  3. What is null in the document has no sample.
  4. Names, types and labels are an interface, like the keys: people's alerts and dashboards use them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any, Final

from bridge.endpoints.http_server import Refusal
from bridge.endpoints.tcp_session import SessionEnd
from bridge.link.framer import Discard
from bridge.routing.diagnosis import Miss
from bridge.routing.drop import Drop
from bridge.routing.exchange import Outcome
from bridge.service.front.front_panel import HEART_STATES, LED_STATES


class Kind(StrEnum):
    """OpenMetrics types, of those that are used here."""

    COUNTER = "counter"
    GAUGE = "gauge"
    INFO = "info"
    STATE_SET = "stateset"


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def _presence(value: Any) -> float:
    return float(value is not None)


def _length(value: Any) -> float:
    return float(len(value or ()))


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric family.

    `path` leads to the value in the document, or in an element of its section: keys with dots between. A
    counter or gauge with a label `by` is an object there, with a number for each of `keys`; a state set has
    one of `keys`; an info has the labels of `fields`, by their paths. `measure` makes a gauge's number.
    """

    kind: Kind
    name: str
    """Without `_total` and `_info`, as in the exposition's comments."""
    path: str
    help: str
    by: str = ""
    keys: tuple[str, ...] = ()
    fields: dict[str, str] = field(default_factory=dict)
    measure: Callable[[Any], float | None] = _number

    @property
    def unit(self) -> str:
        """The unit, in the words of OpenMetrics; empty for a number of things."""
        return next((unit for unit in ("seconds", "celsius") if self.name.endswith(f"_{unit}")), "")


@dataclass(frozen=True, slots=True)
class Section:
    """A list of the document, or with an empty `path` the document itself.

    `labels` are those of all its metrics: their names, and the paths to their values in an element.
    """

    path: str
    labels: dict[str, str]
    metrics: tuple[Metric, ...]


def _counter(name: str, path: str, help_text: str, by: str = "", keys: Iterable[Any] = ()) -> Metric:
    return Metric(Kind.COUNTER, name, path, help_text, by, tuple(_word(key) for key in keys))


def _gauge(name: str, path: str, help_text: str, measure: Callable[[Any], float | None] = _number) -> Metric:
    return Metric(Kind.GAUGE, name, path, help_text, measure=measure)


def _states(name: str, path: str, help_text: str, states: tuple[str, ...]) -> Metric:
    return Metric(Kind.STATE_SET, name, path, help_text, keys=states)


def _info(name: str, help_text: str, **fields: str) -> Metric:
    return Metric(Kind.INFO, name, "", help_text, fields=fields)


def _word(key: Enum) -> str:
    return str(key.value)


_REASON: Final = "reason"
_DISCARDED = "Octets that are no DNP3 frame, events by reason (not octets)"

PROGRAM: Final = Section(
    path="",
    labels={},
    metrics=(
        _info(
            "rtu_bridge",
            "The program and its configuration",
            version="version",
            configuration="configuration",
        ),
        _gauge("rtu_bridge_uptime_seconds", "uptime_s", "Since the program started"),
        _gauge(
            "rtu_bridge_machine_cpu_temperature_celsius",
            "machine.cpu_temperature_c",
            "Temperature of the processor",
        ),
        _gauge("rtu_bridge_machine_load", "machine.load", "Load of a minute; 1 is all processors busy"),
        _gauge(
            "rtu_bridge_machine_memory_available_octets",
            "machine.memory_available_octets",
            "Memory to be had",
        ),
        _gauge("rtu_bridge_machine_uptime_seconds", "machine.uptime_s", "Since the machine started"),
        _states("rtu_bridge_system_led", "system_led.state", "What the system LED says", HEART_STATES),
        _counter("rtu_bridge_log_lines_dropped", "log.lines_dropped", "Log lines that nobody read in time"),
        _counter(
            "rtu_bridge_log_lines_suppressed",
            "log.lines_suppressed",
            "Log lines beyond 50 a second of one event",
        ),
        _counter(
            "rtu_bridge_metrics_answered", "metrics.answered", "Requests for metrics that were answered"
        ),
        _counter(
            "rtu_bridge_metrics_refusals",
            "metrics.refusals",
            "Connections to the metrics that got no page",
            _REASON,
            Refusal,
        ),
        _counter("rtu_bridge_recorder_records", "recorder.records", "Records of the flight recorder"),
        _counter(
            "rtu_bridge_recorder_records_forgotten",
            "recorder.records_forgotten",
            "Records that newer ones took the room of",
        ),
        _gauge(
            "rtu_bridge_recorder_octets_kept", "recorder.octets_kept", "What the kept records take at most"
        ),
        _counter(
            "rtu_bridge_recorder_files_written", "recorder.files_written", "Files of the flight recorder"
        ),
        _counter(
            "rtu_bridge_recorder_files_failed", "recorder.files_failed", "Files that could not be written"
        ),
        _gauge(
            "rtu_bridge_recorder_problem",
            "recorder.problem",
            "1 where the last file could not be written, or the next one will not be",
            _presence,
        ),
        _gauge("rtu_bridge_recorder_readers", "recorder.readers", "Captures that are being read"),
        _gauge("rtu_bridge_recorder_disk_octets", "recorder.disk_octets", "What its files take"),
        _gauge(
            "rtu_bridge_recorder_disk_free_octets",
            "recorder.disk_free_octets",
            "What the file system of its folder had room for",
        ),
    ),
)

SERVERS: Final = Section(
    path="servers",
    labels={"server": "name"},
    metrics=(
        _info("rtu_bridge_server", "A TCP port", listen="listen", link_error_mode="link_error_mode"),
        _gauge("rtu_bridge_server_sessions", "sessions", "Sessions of masters open now", _length),
        _counter(
            "rtu_bridge_server_session_ends", "session_ends", "Sessions that ended", _REASON, SessionEnd
        ),
        _counter("rtu_bridge_server_sessions_started", "sessions_started", "Sessions of masters that began"),
        _counter(
            "rtu_bridge_server_pre_emptions",
            "pre_emptions",
            "Sessions that a newer connection took over from",
        ),
        _counter("rtu_bridge_server_frames_received", "frames_received", "Frames from masters"),
        _counter("rtu_bridge_server_octets_received", "octets_received", "Octets from masters"),
        _counter(
            "rtu_bridge_server_octets_discarded", "octets_discarded", "Octets from masters in no DNP3 frame"
        ),
        _counter("rtu_bridge_server_discards", "discards", _DISCARDED, _REASON, Discard),
        _counter(
            "rtu_bridge_server_drops", "drops", "Frames of masters that no outstation got", _REASON, Drop
        ),
        _counter(
            "rtu_bridge_server_listener_errors", "listener_errors", "Failures while telling of a session"
        ),
    ),
)

LINES: Final = Section(
    path="lines",
    labels={"line": "name"},
    metrics=(
        _info(
            "rtu_bridge_line",
            "A serial port, its settings, and who switches the direction",
            device="device",
            settings="settings",
            direction="direction.in_force",
        ),
        _gauge("rtu_bridge_line_up", "is_up", "1 while the port is open"),
        _gauge("rtu_bridge_line_resetting", "is_resetting", "1 while it is being reset"),
        _gauge(
            "rtu_bridge_line_bus_load", "bus_load", "Share of the last minute with octets on the wire, 0 to 1"
        ),
        _gauge(
            "rtu_bridge_line_direction_problem",
            "direction.problem",
            "1 while the direction is switched otherwise than asked",
            _presence,
        ),
        _gauge("rtu_bridge_line_babbling", "is_babbling", "1 while a device talks without end"),
        _counter("rtu_bridge_line_babbles", "babbles", "Times a device began to talk without end"),
        _counter("rtu_bridge_line_openings", "openings", "Times the port was opened"),
        _counter("rtu_bridge_line_losses", "losses", "Times the open port was lost"),
        _counter("rtu_bridge_line_frames_sent", "frames_sent", "Frames sent"),
        _counter("rtu_bridge_line_octets_sent", "octets_sent", "Octets sent"),
        _counter("rtu_bridge_line_frames_heard", "frames_heard", "Frames heard"),
        _counter("rtu_bridge_line_octets_heard", "octets_heard", "Octets heard, without our own echo"),
        _counter("rtu_bridge_line_octets_discarded", "octets_discarded", "Octets heard in no DNP3 frame"),
        _counter("rtu_bridge_line_crc_errors", "crc_errors", "Frames heard with a wrong CRC"),
        _counter("rtu_bridge_line_discards", "discards", _DISCARDED, _REASON, Discard),
        _counter("rtu_bridge_line_echo_octets", "echo_octets", "Our own octets, heard and taken out"),
        _counter(
            "rtu_bridge_line_echoes_spoiled", "echoes_spoiled", "Times our own octets came back damaged"
        ),
        _counter("rtu_bridge_line_drops", "drops", "Frames heard that concern no outstation", _REASON, Drop),
        _gauge("rtu_bridge_line_waiting_frames", "waiting_frames", "Frames that wait for their turn now"),
    ),
)

OUTSTATIONS: Final = Section(
    path="outstations",
    labels={"outstation": "name", "line": "line"},
    metrics=(
        _info(
            "rtu_bridge_outstation",
            "An outstation, at a link address of a server",
            server="server",
            link_address="link_address",
            local="local",
        ),
        _gauge("rtu_bridge_outstation_enabled", "enabled", "1 if it is enabled"),
        _gauge(
            "rtu_bridge_outstation_master_connected", "master", "1 while a master is connected", _presence
        ),
        _gauge("rtu_bridge_outstation_reachable", "is_reachable", "1 while its line is open"),
        _counter(
            "rtu_bridge_outstation_sessions_started", "sessions_started", "Sessions of its masters that began"
        ),
        _counter(
            "rtu_bridge_outstation_pre_emptions",
            "pre_emptions",
            "Its sessions that a newer connection took over from",
        ),
        _states("rtu_bridge_outstation_led", "led.state", "What its LED says", LED_STATES),
        _gauge(
            "rtu_bridge_outstation_answering",
            "is_answering",
            "1 if the last request was answered; nothing before the first",
        ),
        _counter("rtu_bridge_outstation_frames_from_master", "frames_from_master", "Frames sent to it"),
        _counter(
            "rtu_bridge_outstation_frames_to_master", "frames_to_master", "Its frames passed to its master"
        ),
        _counter(
            "rtu_bridge_outstation_exchanges", "exchanges", "Exchanges, by how they ended", "outcome", Outcome
        ),
        _gauge(
            "rtu_bridge_outstation_last_response_seconds", "last_response_s", "The last whole exchange took"
        ),
        _counter(
            "rtu_bridge_outstation_drops", "drops", "Frames to or from it that went nowhere", _REASON, Drop
        ),
        _counter(
            "rtu_bridge_outstation_requests", "diagnosis.requests", "Requests sent that await an answer"
        ),
        _counter("rtu_bridge_outstation_answers", "diagnosis.answers", "Requests that were answered whole"),
        _counter("rtu_bridge_outstation_timeouts", "diagnosis.timeouts", "Requests that timed out"),
        _counter(
            "rtu_bridge_outstation_misses",
            "diagnosis.misses",
            "Requests without an answer, by why; one whose answer came late also as late",
            _REASON,
            Miss,
        ),
        _counter(
            "rtu_bridge_outstation_late_answers",
            "diagnosis.late_answers",
            "Answers after the request was given up",
        ),
        _gauge(
            "rtu_bridge_outstation_last_late_by_seconds",
            "diagnosis.last_late_by_s",
            "The last late answer was late by",
        ),
        _gauge(
            "rtu_bridge_outstation_most_late_by_seconds",
            "diagnosis.most_late_by_s",
            "The latest answer was late by",
        ),
        _counter(
            "rtu_bridge_outstation_crc_errors",
            "diagnosis.crc_errors",
            "Wrong CRCs while its answer was awaited",
        ),
        _counter(
            "rtu_bridge_outstation_wrong_address_answers",
            "diagnosis.wrong_address_answers",
            "Answers of others while its own was awaited",
        ),
        *(
            _gauge(
                f"rtu_bridge_outstation_response_{which}_seconds",
                f"diagnosis.response_times.{which}_s",
                f"Response time of the last 512 answers: {words}",
            )
            for which, words in (
                ("p50", "half were faster"),
                ("p95", "95 of 100 were faster"),
                ("p99", "99 of 100 were faster"),
                ("longest", "the longest"),
            )
        ),
        _gauge(
            "rtu_bridge_outstation_response_timeout_seconds", "diagnosis.response_timeout_s", "The one in use"
        ),
        _gauge(
            "rtu_bridge_outstation_recommended_timeout_seconds",
            "diagnosis.recommended_timeout_s",
            "The response timeout that its answers would need",
        ),
        _gauge("rtu_bridge_outstation_events_waiting", "events_waiting", "Events that wait for its master"),
        _gauge("rtu_bridge_outstation_events_overflowed", "events_overflowed", "1 after events were lost"),
    ),
)

INPUTS: Final = Section(
    path="inputs",
    labels={"input": "name"},
    metrics=(_gauge("rtu_bridge_input_active", "is_active", "1 while the contact is active"),),
)

RELAYS: Final = Section(
    path="relays",
    labels={"relay": "name"},
    metrics=(_gauge("rtu_bridge_relay_on", "is_on", "1 while the relay is on"),),
)

SECTIONS: Final = (PROGRAM, SERVERS, LINES, OUTSTATIONS, INPUTS, RELAYS)
