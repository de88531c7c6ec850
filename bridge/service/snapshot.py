"""The state of a running bridge as plain data. Its keys are an interface: people's scripts read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from enum import Enum
from typing import Any

from bridge.endpoints.bridged_outstation import BridgedOutstation
from bridge.endpoints.tcp_server import TcpServer
from bridge.endpoints.tcp_session import SessionEnd
from bridge.routing.diagnosis import Diagnosis, ResponseTimes
from bridge.service.appliance.local_outstation import LocalOutstation
from bridge.service.appliance.point_row import Section
from bridge.service.configuration.config import LineConfig, OutstationConfig
from bridge.service.running import RunningBridge
from bridge.service.taking import Taking
from bridge.version import VERSION
from hw.vitals import vitals


def taking(bridge: RunningBridge) -> Taking:
    """Make a document of everything that an operator may ask of the bridge, with a pause after each part."""
    configuration = bridge.configuration
    document: dict[str, Any] = {
        **of_appliance(bridge),
        "lines": [of_line(bridge, line) for line in configuration.lines.values()],
        "outstations": [],
        "inputs": [of_input(bridge, name) for name in configuration.inputs],
        "relays": [of_relay(bridge, name) for name in configuration.relays],
        "log": {"lines_dropped": bridge.log.dropped, "lines_suppressed": bridge.log.suppressed},
        "metrics": bridge.metrics.status(),
        "recorder": bridge.recorder.status(),
    }
    for outstation in configuration.outstations:
        yield
        document["outstations"].append(of_outstation(bridge, outstation))
    return document


def of_appliance(bridge: RunningBridge) -> dict[str, Any]:
    """Return the part of the status that is about the program and its machine as a whole."""
    return {
        "version": VERSION,
        "uptime_s": round(bridge.uptime_s, 3),
        "configuration": bridge.configuration.source_name,
        "configuration_problems": list(bridge.configuration_problems),
        "machine": asdict(vitals()),
        "servers": [_server(server) for server in bridge.servers.values()],
        "system_led": bridge.front.led_status(None),
    }


def section(bridge: RunningBridge, which: Section, name: str) -> Mapping[str, Any]:
    """Return what `taking` says of one thing, for whoever follows that alone."""
    match which:
        case Section.APPLIANCE:
            return of_appliance(bridge)
        case Section.INPUT:
            return of_input(bridge, name)
        case Section.RELAY:
            return of_relay(bridge, name)
        case Section.LINE:
            return of_line(bridge, bridge.configuration.lines[name])
    return of_outstation(bridge, bridge.outstation_configs[name])


def of_input(bridge: RunningBridge, name: str) -> dict[str, Any]:
    """Return a contact's state; None where it cannot be read."""
    contact = bridge.front.inputs.get(name)
    return {"name": name, "is_active": None if contact is None else contact.is_active}


def of_relay(bridge: RunningBridge, name: str) -> dict[str, Any]:
    """Return a relay's state; None where it cannot be switched."""
    return {"name": name, "is_on": bridge.front.relays.is_on(name)}


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
        "sessions_started": server.sessions_started,
        "pre_emptions": server.session_ends[SessionEnd.PRE_EMPTED],
        "session_ends": _counts(server.session_ends),
        "frames_received": counters.frames,
        "octets_received": counters.octets_in,
        "octets_discarded": counters.octets_discarded,
        "discards": _counts(counters.discards),
        "drops": _counts(server.drops),
        "listener_errors": server.listener_errors,
    }


def of_line(bridge: RunningBridge, config: LineConfig) -> dict[str, Any]:
    """Return the status of one line."""
    hub = bridge.hubs[config.name]
    line = hub.line
    return {
        "name": hub.name,
        "device": line.settings.device,
        "settings": f"{config.baud} {config.framing}",
        "direction": {
            "in_force": line.direction_report.in_force,
            "problem": line.direction_report.problem,
        },
        "is_up": line.is_open,
        "reason": line.reason,
        "is_resetting": line.is_resetting,
        "is_babbling": hub.is_babbling,
        "babbles": hub.babbles,
        "openings": line.openings,
        "losses": line.losses,
        "bus_load": round(bridge.bus_loads.share(hub.name), 4),
        "frames_sent": hub.frames_sent,
        "octets_sent": hub.octets_sent,
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


def of_outstation(bridge: RunningBridge, config: OutstationConfig) -> dict[str, Any]:
    """Return the status of one outstation, bridged or local."""
    status: dict[str, Any] = {
        "name": config.name,
        "enabled": config.enabled,
        "server": config.server,
        "line": config.line,
        "local": config.local,
        "link_address": config.link_address,
        "master": None,
        "led": bridge.front.led_status(config),
    }
    served = bridge.served(config.name)
    if served is None:
        return status
    server = bridge.server_of(config.name)
    session, sessions = server.session_of(served), server.sessions_of(served)
    status["master"] = None if session is None else session.peer
    status |= {
        "is_reachable": served.is_reachable,
        "sessions_started": sessions.started,
        "pre_emptions": sessions.pre_emptions,
    }
    if config.local is not None:
        return status | _local(bridge.local_outstations[config.name])
    return status | _bridged(bridge.outstations[config.name], bridge.now)


def _bridged(bridged: BridgedOutstation, now: float) -> dict[str, Any]:
    counters = bridged.counters
    return {
        "frames_from_master": counters.frames_from_master,
        "frames_to_master": counters.frames_to_master,
        "exchanges": _counts(counters.outcomes),
        "last_response_s": _seconds(counters.last_response_s),
        "is_answering": counters.is_answering,
        "drops": _counts(counters.drops),
        "diagnosis": _diagnosis(counters.diagnosis, now),
    }


def _local(local: LocalOutstation) -> dict[str, Any]:
    events = local.database.events
    return {
        "frames_from_master": local.frames_from_master,
        "frames_to_master": local.frames_to_master,
        "drops": _counts(local.drops),
        "events_waiting": events.counts().total,
        "events_overflowed": events.has_overflowed,
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
