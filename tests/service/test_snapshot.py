"""The status document. Its keys are an interface: people's scripts read them."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bridge.endpoints.http_server import Refusal
from bridge.endpoints.tcp_session import SessionEnd
from bridge.link.frame import LONGEST_FRAME
from bridge.link.framer import Discard
from bridge.routing.diagnosis import Miss
from bridge.routing.drop import Drop
from bridge.routing.exchange import Evidence, Outcome
from bridge.service.build import Bridge
from bridge.version import VERSION
from tests.support import toml
from tests.support.eventually import eventually
from tests.support.frames import link_status, link_status_request
from tests.support.masters import Master
from tests.support.ptys import Device, Pty
from tests.support.repository import readme_section
from tests.support.sites import running

pytestmark = pytest.mark.wire


TOP_KEYS = {
    *("version", "uptime_s", "configuration", "servers", "lines", "system_led", "outstations"),
    *("machine", "inputs", "relays", "log", "metrics", "recorder"),
}
MACHINE_KEYS = {"cpu_temperature_c", "load", "memory_available_octets", "uptime_s"}
DARK = {
    "name": None,
    "kind": "single",
    "state": "off",
    "pattern": "off",
    "colour": None,
    "lit": False,
    "overlay": None,
}
SERVER_KEYS = {
    "name",
    "listen",
    "link_error_mode",
    "sessions",
    "sessions_started",
    "pre_emptions",
    "session_ends",
    "frames_received",
    "octets_received",
    "octets_discarded",
    "discards",
    "drops",
    "listener_errors",
}
SESSION_KEYS = {
    "peer",
    "frames_received",
    "frames_sent",
    "octets_received",
    "octets_sent",
    "octets_discarded",
    "duration_s",
    "discards",
    "drops",
}
LINE_KEYS = {
    "name",
    "device",
    "settings",
    "is_up",
    "reason",
    "openings",
    "losses",
    "frames_heard",
    "octets_heard",
    "octets_discarded",
    "crc_errors",
    "discards",
    "drops",
    "waiting_frames",
    "direction",
    "is_babbling",
    "babbles",
    "echo_octets",
    "echoes_spoiled",
    "is_resetting",
    "bus_load",
    "frames_sent",
    "octets_sent",
}
DISABLED_KEYS = {"name", "enabled", "server", "line", "local", "link_address", "master", "led"}
OUTSTATION_KEYS = DISABLED_KEYS | {
    "is_reachable",
    "sessions_started",
    "pre_emptions",
    "frames_from_master",
    "frames_to_master",
    "exchanges",
    "last_response_s",
    "is_answering",
    "drops",
    "diagnosis",
}
DIAGNOSIS_KEYS = {
    "requests",
    "answers",
    "timeouts",
    "misses",
    "late_answers",
    "last_late_by_s",
    "most_late_by_s",
    "crc_errors",
    "wrong_address_answers",
    "response_times",
    "response_timeout_s",
    "recommended_timeout_s",
    "last_miss",
}


@pytest.fixture
async def bridge(adapter: Pty) -> AsyncIterator[Bridge]:
    lines = toml.two_lines(adapter.device, baud=19200, parity="even", stop_bits=2)
    async with running(toml.service() + lines) as bridge:
        yield bridge


def _one(snapshot: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    (found,) = (item for item in snapshot[kind] if item["name"] == name)
    return dict(found)


async def test_its_keys(bridge: Bridge) -> None:
    with await Master.connect(bridge.servers["main"].endpoint):
        await eventually(lambda: bridge.servers["main"].sessions, "the master")
        snapshot = bridge.snapshot()
    assert set(snapshot) >= TOP_KEYS
    assert set(snapshot["machine"]) >= MACHINE_KEYS
    (server,) = snapshot["servers"]
    (session,) = server["sessions"]
    assert set(server) >= SERVER_KEYS
    assert set(session) >= SESSION_KEYS
    assert all(set(line) >= LINE_KEYS for line in snapshot["lines"])
    enabled, also_enabled, disabled = snapshot["outstations"]
    assert set(enabled) >= OUTSTATION_KEYS
    assert set(also_enabled) >= OUTSTATION_KEYS
    assert set(disabled) >= DISABLED_KEYS
    assert set(enabled["led"]) == set(snapshot["system_led"]) == set(DARK)
    assert set(enabled["diagnosis"]) >= DIAGNOSIS_KEYS
    assert all(set(line["direction"]) >= {"in_force", "problem"} for line in snapshot["lines"])


async def test_before_anything_happened(bridge: Bridge, adapter: Pty) -> None:
    await eventually(lambda: bridge.hubs["bay2"].line.reason != "not opened yet", "an attempt")
    snapshot = bridge.snapshot()
    assert (snapshot["version"], snapshot["configuration"]) == (VERSION, "bridge.toml")
    assert snapshot["uptime_s"] >= 0
    (server,) = snapshot["servers"]
    assert server["listen"] == str(bridge.servers["main"].endpoint)
    assert (server["link_error_mode"], server["sessions"], server["session_ends"]) == ("discard", [], {})
    up, down = snapshot["lines"]
    assert (up["name"], up["device"], up["settings"]) == ("bay1", adapter.device, "19200 8E2")
    assert (up["is_up"], up["reason"], up["openings"], up["losses"]) == (True, None, 1, 0)
    assert (down["is_up"], down["openings"]) == (False, 0)
    assert down["reason"] == "no such device; is the adapter plugged in, is the overlay loaded?"
    outstation = _one(snapshot, "outstations", "pole-12")
    assert (outstation["master"], outstation["is_answering"], outstation["last_response_s"]) == (None,) * 3
    assert outstation["led"] == DARK | {"name": "led1"}
    assert _one(snapshot, "outstations", "pole-13")["led"] == DARK
    assert _one(snapshot, "outstations", "pole-14") == {
        "name": "pole-14",
        "enabled": False,
        "server": "main",
        "line": "bay1",
        "local": None,
        "link_address": 14,
        "master": None,
        "led": DARK,
    }


async def test_what_happened_is_in_it_and_survives_json(bridge: Bridge, adapter: Pty) -> None:
    damaged = link_status(12).octets[:-1] + b"\x00"
    with (
        Device(adapter, lambda frame: damaged + link_status(99).octets + link_status(12).octets),
        await Master.connect(bridge.servers["main"].endpoint) as master,
    ):
        await master.send(b"noise", link_status_request(77).octets, link_status_request(13).octets)
        await master.send(link_status_request(12).octets)
        assert await master.receive(10) == link_status(12).octets
        snapshot = json.loads(json.dumps(bridge.snapshot()))
        name = master.name
    (server,) = snapshot["servers"]
    assert server["drops"] == {"unknown_destination": 1}
    (session,) = server["sessions"]
    assert session == session | {
        "peer": name,
        "frames_received": 3,
        "frames_sent": 1,
        "octets_received": 35,
        "octets_sent": 10,
        "octets_discarded": 5,
        "discards": {"noise": 1},
        "drops": {"unknown_destination": 1},
    }
    line = _one(snapshot, "lines", "bay1")
    assert line == line | {
        "frames_heard": 2,
        "octets_heard": 30,
        "octets_discarded": 10,
        "crc_errors": 1,
        "discards": {"header_crc": 1},
        "drops": {"unknown_source": 1},
        "waiting_frames": 0,
        "frames_sent": 1,
        "octets_sent": 10,
        "is_resetting": False,
    }
    assert 0 < line["bus_load"] < 0.01
    assert (server["sessions_started"], server["pre_emptions"]) == (1, 0)
    outstation = _one(snapshot, "outstations", "pole-12")
    assert outstation == outstation | {
        "master": name,
        "frames_from_master": 1,
        "frames_to_master": 1,
        "exchanges": {"answered": 1},
        "is_answering": True,
        "is_reachable": True,
        "sessions_started": 1,
        "pre_emptions": 0,
        "drops": {},
    }
    assert 0 < outstation["last_response_s"] < 60
    assert outstation["led"]["state"] == "noise"
    assert _one(snapshot, "outstations", "pole-13")["drops"] == {"line_down": 1}


async def test_the_diagnosis_of_an_outstation(bridge: Bridge) -> None:
    diagnosis = bridge.outstations["pole-12"].counters.diagnosis
    now = bridge.now
    evidence = Evidence(crc_errors=3, other_answers=5, other_address=99)
    diagnosis.finished(Outcome.TIMED_OUT, 2.2, evidence, now)
    before = _one(bridge.snapshot(), "outstations", "pole-12")["diagnosis"]
    for number in range(1, 101):
        answered = Evidence(answer_frames=1, response_s=number / 1000)
        diagnosis.finished(Outcome.ANSWERED, 0.2, answered, now)
    after = json.loads(json.dumps(_one(bridge.snapshot(), "outstations", "pole-12")["diagnosis"]))
    assert before["response_times"] is None
    assert before["recommended_timeout_s"] is None
    assert 0 <= before["last_miss"].pop("ago_s") <= after["last_miss"].pop("ago_s")
    miss = {"reason": "other_outstation", "sentence": "another RTU answered instead: address 99"}
    assert before["last_miss"] == {**miss, "answered_since": False}
    assert after == {
        "requests": 101,
        "answers": 100,
        "timeouts": 1,
        "misses": {"other_outstation": 1},
        "late_answers": 0,
        "last_late_by_s": None,
        "most_late_by_s": None,
        "crc_errors": 3,
        "wrong_address_answers": 5,
        "response_times": {
            "answers": 100,
            "p50_s": 0.05,
            "p95_s": 0.095,
            "p99_s": 0.099,
            "longest_s": 0.1,
        },
        "response_timeout_s": round(bridge.hubs["bay1"].line.settings.octet_s * LONGEST_FRAME + 2, 6),
        "recommended_timeout_s": 0.25,
        "last_miss": {**miss, "answered_since": True},
    }
    timeout_s = diagnosis.response_timeout_s
    diagnosis.answered_late(timeout_s + 0.75, now)
    diagnosis.answered_late(timeout_s + 0.5, now)
    late = _one(bridge.snapshot(), "outstations", "pole-12")["diagnosis"]
    assert (late["late_answers"], late["last_late_by_s"], late["most_late_by_s"]) == (2, 0.5, 0.75)
    assert late["misses"] == {"other_outstation": 1, "late": 2}
    assert (late["last_miss"]["reason"], late["last_miss"]["answered_since"]) == ("late", False)


def test_the_readme_names_every_reason_in_the_order_of_precedence() -> None:
    section = readme_section("Why an RTU does not answer")
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == [miss.value for miss in Miss]


def test_the_readme_names_every_end_of_a_session() -> None:
    section = readme_section("Why a session ended")
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == [end.value for end in SessionEnd]


def test_the_readme_names_every_reason_of_what_is_dropped() -> None:
    section = readme_section("Why a frame was dropped")
    listed = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert listed == [reason.value for reason in (*Drop, *Discard)]


def test_the_readme_names_every_outcome_and_every_refusal_of_metrics() -> None:
    section = readme_section("Why an RTU does not answer")
    for word in (*Outcome, *Refusal):
        assert f"`{word.value}`" in section


async def test_direction_babble_and_echo_of_a_line(bridge: Bridge) -> None:
    hub = bridge.hubs["bay1"]
    hub.babbles, hub.echo.octets, hub.echo.spoiled = 3, 5, 7
    line = _one(bridge.snapshot(), "lines", "bay1")
    assert line["direction"] == {"in_force": "the adapter", "problem": None}
    assert (line["is_babbling"], line["babbles"]) == (False, 3)
    assert (line["echo_octets"], line["echoes_spoiled"]) == (5, 7)


async def test_ended_sessions_are_counted_by_their_reasons(bridge: Bridge) -> None:
    server = bridge.servers["main"]
    with await Master.connect(server.endpoint), await Master.connect(server.endpoint, "127.0.0.2"):
        await eventually(lambda: server.session_ends.total() == 1, "the stranger is sent away")
        with await Master.connect(server.endpoint):
            await eventually(lambda: server.session_ends.total() == 2, "the second master takes over")
    await eventually(lambda: server.session_ends.total() == 3, "the second master leaves")
    ends = bridge.snapshot()["servers"][0]["session_ends"]
    assert json.loads(json.dumps(ends)) == {"not_wanted": 1, "pre_empted": 1, "peer_closed": 1}
    status = bridge.snapshot()["servers"][0]
    assert (status["sessions_started"], status["pre_emptions"]) == (2, 1)
    outstation = _one(bridge.snapshot(), "outstations", "pole-13")
    assert (outstation["sessions_started"], outstation["pre_emptions"]) == (2, 1)


async def test_it_is_a_picture_and_not_a_window(bridge: Bridge, adapter: Pty) -> None:
    before = bridge.snapshot()
    text = json.dumps(before)
    with await Master.connect(bridge.servers["main"].endpoint) as master:
        await master.send(link_status_request(77).octets)
        await eventually(lambda: bridge.servers["main"].drops, "the drop")
    assert json.dumps(before) == text
    assert bridge.snapshot()["uptime_s"] >= before["uptime_s"]
