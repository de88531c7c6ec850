"""The state of a running bridge as plain data. Its keys are an interface: people's scripts read them."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

from bridge.endpoints.hub import LineHub
from bridge.endpoints.tcp_server import TcpServer
from bridge.routing.diagnosis import Diagnosis, ResponseTimes
from bridge.service.config import Configuration, OutstationConfig
from bridge.version import VERSION

if TYPE_CHECKING:
    from bridge.service.build import Bridge


Taking = Generator[None, None, dict[str, Any]]
"""A document being made: it returns the document, and pauses where others may have their turn."""


def take(making: Taking) -> dict[str, Any]:
    """Return a document that is made without pauses: everything in it is of one moment."""
    while True:
        try:
            next(making)
        except StopIteration as end:
            document: dict[str, Any] = end.value
            return document


def taking(bridge: Bridge, configuration: Configuration, uptime_s: float) -> Taking:
    """Make a document of everything that an operator may ask of the bridge, with a pause after each part."""
    document: dict[str, Any] = {
        "version": VERSION,
        "uptime_s": round(uptime_s, 3),
        "configuration": configuration.source_name,
        "configuration_problems": list(bridge.configuration_problems),
        "servers": [_server(server) for server in bridge.servers.values()],
        "lines": [
            _line(hub, configuration.lines[name].framing, configuration.lines[name].baud)
            for name, hub in bridge.hubs.items()
        ],
        "system_led": bridge.front.led_status(None),
        "outstations": [],
        "log": {"lines_dropped": bridge.log.dropped, "lines_suppressed": bridge.log.suppressed},
        "metrics": bridge.metrics.status(),
    }
    for outstation in configuration.outstations:
        yield
        document["outstations"].append(_outstation(bridge, outstation))
    return document


def _server(server: TcpServer) -> dict[str, Any]:
    counters = server.counters
    return {
        "name": server.name,
        "listen": str(server.endpoint),
        "link_error_mode": server.link_error_mode.value,
        "sessions": [
            {
                "peer": session.peer,
                "duration_s": round(session.duration_s, 3),
                "frames_received": session.counters.frames,
                "frames_sent": session.frames_sent,
                "octets_received": session.counters.octets_in,
                "octets_sent": session.octets_sent,
                "octets_discarded": session.counters.octets_discarded,
                "discards": _counts(session.counters.discards),
                "drops": _counts(session.drops),
            }
            for session in server.sessions
        ],
        "session_ends": _counts(server.session_ends),
        "frames_received": counters.frames,
        "octets_received": counters.octets_in,
        "octets_discarded": counters.octets_discarded,
        "discards": _counts(counters.discards),
        "drops": _counts(server.drops),
        "listener_errors": server.listener_errors,
    }


def _line(hub: LineHub, framing: str, baud: int) -> dict[str, Any]:
    line = hub.line
    return {
        "name": hub.name,
        "device": line.settings.device,
        "settings": f"{baud} {framing}",
        "direction": {
            "in_force": line.direction_report.in_force,
            "problem": line.direction_report.problem,
        },
        "is_up": line.is_open,
        "reason": line.reason,
        "is_babbling": hub.is_babbling,
        "babbles": hub.babbles,
        "openings": line.openings,
        "losses": line.losses,
        "frames_heard": hub.counters.frames,
        "octets_heard": hub.counters.octets_in,
        "octets_discarded": hub.counters.octets_discarded,
        "crc_errors": hub.counters.crc_errors,
        "discards": _counts(hub.counters.discards),
        "echo_octets": hub.echo.octets,
        "echoes_spoiled": hub.echo.spoiled,
        "drops": _counts(hub.drops),
        "waiting_frames": hub.waiting_frames,
    }


def _outstation(bridge: Bridge, config: OutstationConfig) -> dict[str, Any]:
    now = bridge.now
    bridged = bridge.outstations.get(config.name)
    session = None if bridged is None else bridge.servers[config.server].session_of(bridged)
    status: dict[str, Any] = {
        "name": config.name,
        "enabled": config.enabled,
        "server": config.server,
        "line": config.line,
        "link_address": config.link_address,
        "master": None if session is None else session.peer,
        "led": bridge.front.led_status(config),
    }
    if bridged is None:
        return status
    counters = bridged.counters
    return status | {
        "frames_from_master": counters.frames_from_master,
        "frames_to_master": counters.frames_to_master,
        "exchanges": _counts(counters.outcomes),
        "last_response_s": _seconds(counters.last_response_s),
        "is_answering": counters.is_answering,
        "drops": _counts(counters.drops),
        "diagnosis": _diagnosis(counters.diagnosis, now),
    }


def _diagnosis(diagnosis: Diagnosis, now: float) -> dict[str, Any]:
    times = diagnosis.response_times()
    return {
        "requests": diagnosis.requests,
        "answers": diagnosis.answers,
        "timeouts": diagnosis.timeouts,
        "misses": _counts(diagnosis.misses),
        "late_answers": diagnosis.late_answers,
        "last_late_by_s": _seconds(diagnosis.last_late_by_s),
        "most_late_by_s": _seconds(diagnosis.most_late_by_s),
        "crc_errors": diagnosis.crc_errors,
        "wrong_address_answers": diagnosis.wrong_address_answers,
        "response_times": None if times is None else _response_times(times),
        "response_timeout_s": _seconds(diagnosis.response_timeout_s),
        "recommended_timeout_s": _seconds(diagnosis.recommended_timeout_s()),
        "last_miss": _last_miss(diagnosis, now),
    }


def _response_times(times: ResponseTimes) -> dict[str, Any]:
    return {
        "answers": times.answers,
        "p50_s": _seconds(times.p50_s),
        "p95_s": _seconds(times.p95_s),
        "p99_s": _seconds(times.p99_s),
        "longest_s": _seconds(times.longest_s),
    }


def _last_miss(diagnosis: Diagnosis, now: float) -> dict[str, Any] | None:
    miss = diagnosis.last_miss
    if miss is None:
        return None
    return {
        "reason": miss.miss.value,
        "sentence": miss.sentence,
        "ago_s": round(now - miss.at_s, 3),
        "answered_since": diagnosis.has_answered_since,
    }


def _seconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)


def _counts(counter: Mapping[Any, int]) -> dict[str, int]:
    return {key.value if isinstance(key, Enum) else str(key): count for key, count in counter.items()}
