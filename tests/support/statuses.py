"""Status documents of sites of any size, with the keys that a bridge of today gives."""

from __future__ import annotations

from typing import Any

LED = {
    "name": "led1",
    "kind": "single",
    "state": "answering",
    "pattern": "on",
    "colour": None,
    "lit": True,
    "overlay": None,
}
MISS = {
    "reason": "nothing_heard",
    "sentence": "nothing was heard within the response timeout of 2304 ms",
    "ago_s": 3.9,
    "answered_since": False,
}
PATTERNS = {
    "off": "off",
    "lost": "wink",
    "idle": "on",
    "answering": "on",
    "missing": "2 Hz",
    "silent": "5 Hz",
    "noise": "double flash",
}


def led(state: str, **changed: object) -> dict[str, Any]:
    """Return a single LED in a state."""
    return LED | {"state": state, "pattern": PATTERNS[state], "lit": state != "off"} | changed


def line(name: str = "bay1", **changed: object) -> dict[str, Any]:
    """Return a line that works."""
    return {
        "name": name,
        "device": "/dev/ttyAMA2",
        "settings": "9600 8N1",
        "direction": {"in_force": "the adapter", "problem": None},
        "is_up": True,
        "reason": None,
        "is_babbling": False,
        "babbles": 0,
        "openings": 1,
        "losses": 0,
        "is_resetting": False,
        "bus_load": 0.37,
        "frames_sent": 4720,
        "octets_sent": 9000,
        "frames_heard": 4711,
        "octets_heard": 9999,
        "octets_discarded": 17,
        "crc_errors": 3,
        "discards": {},
        "echo_octets": 0,
        "echoes_spoiled": 0,
        "drops": {"unknown_source": 6},
        "waiting_frames": 2,
    } | changed


def down(name: str = "bay1") -> dict[str, Any]:
    """Return a line whose adapter was pulled out."""
    return line(name, is_up=False, reason="no such device; is the adapter plugged in?")


def diagnosis(**changed: object) -> dict[str, Any]:
    """Return what is known of an outstation that answers."""
    return {
        "requests": 1204,
        "answers": 1200,
        "timeouts": 3,
        "late_answers": 0,
        "last_late_by_s": None,
        "most_late_by_s": None,
        "crc_errors": 0,
        "wrong_address_answers": 0,
        "response_times": {"answers": 512, "p50_s": 0.0512, "p95_s": 0.09, "p99_s": 0.4012, "longest_s": 0.5},
        "response_timeout_s": 2.304,
        "recommended_timeout_s": 0.9,
        "last_miss": None,
    } | changed


def outstation(name: str = "pole-12", state: str = "answering", **changed: object) -> dict[str, Any]:
    """Return an outstation whose LED is in a state."""
    return {
        "name": name,
        "enabled": True,
        "server": "main",
        "line": "bay1",
        "link_address": 12,
        "master": "10.1.1.5:4021",
        "led": led(state),
        "frames_from_master": 1234,
        "frames_to_master": 1230,
        "exchanges": {"answered": 1200, "timed_out": 3},
        "last_response_s": 0.0523,
        "is_answering": True,
        "drops": {},
        "diagnosis": diagnosis(),
    } | changed


def session(peer: str = "10.1.1.5:4021", **changed: object) -> dict[str, Any]:
    """Return a master's session."""
    return {
        "peer": peer,
        "frames_received": 1234,
        "frames_sent": 1230,
        "octets_received": 9999,
        "octets_discarded": 0,
        "discards": {},
        "drops": {},
    } | changed


def server(name: str = "main", **changed: object) -> dict[str, Any]:
    """Return a server with a master."""
    return {
        "name": name,
        "listen": "0.0.0.0:20000",
        "link_error_mode": "discard",
        "sessions": [session()],
        "session_ends": {"pre_empted": 2, "peer_closed": 1},
        "octets_discarded": 0,
        "drops": {},
        "listener_errors": 0,
    } | changed


def status(**changed: object) -> dict[str, Any]:
    """Return the status of a site with a line and an outstation on it."""
    return {
        "version": "1.2.3",
        "uptime_s": 93784.9,
        "configuration": "bridge.toml",
        "servers": [server()],
        "lines": [line()],
        "system_led": LED | {"name": "system", "state": "beating", "pattern": "beat"},
        "outstations": [outstation()],
    } | changed
