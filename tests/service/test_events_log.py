"""The events log: the README's table is what the code emits; it tells who, why and what was in flight."""

from __future__ import annotations

import ast
import json
import logging
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bridge.routing.exchange import Outcome
from bridge.service.build import Bridge
from tests.support import toml
from tests.support.eventually import eventually
from tests.support.frames import SELECT, link_status, link_status_request, request, response
from tests.support.masters import Master
from tests.support.ptys import Device, Jack, Pty
from tests.support.repository import ROOT, readme_section
from tests.support.sites import running

SOURCES = sorted([*ROOT.glob("bridge/endpoints/*.py"), *ROOT.glob("bridge/service/**/*.py")])
OF_THE_LOG_ITSELF = ("log lines dropped", frozenset({"warning"}), frozenset({"count"}))
"""`bridge.service.log_queue` makes this record by itself."""
TELLS_THE_SYSTEMS_REASON = {
    "line down",
    "no GPIO",
    "no connections",
    "no low latency",
    "no metrics",
    "no recording",
    "no socket",
    "no thread",
}
OURS = {"note": "info", "warn": "warning"}


class Emission(NamedTuple):
    """One call of `note` or `warn`."""

    place: str
    event: str
    levels: frozenset[str]
    fields: frozenset[str]
    reason: ast.expr | None


def _levels(level: ast.expr) -> frozenset[str]:
    if isinstance(level, ast.IfExp):
        return _levels(level.body) | _levels(level.orelse)
    assert isinstance(level, ast.Attribute)
    return frozenset({level.attr.lower()})


def _emissions() -> Iterator[Emission]:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            if name not in OURS or path.name == "events.py":
                continue
            assert isinstance(node, ast.Call)
            place = f"{path.name}:{node.lineno}"
            event = node.args[0] if node.args else None
            if not isinstance(event, ast.Constant):
                # Another function of that name, such as one that warns of a configuration.
                assert "bridge.endpoints.events" not in path.read_text(encoding="utf-8"), place
                continue
            keywords = {keyword.arg: keyword.value for keyword in node.keywords}
            levels = _levels(keywords.pop("level")) if "level" in keywords else frozenset({OURS[name]})
            # `**more` is for what the thing itself says: its fields are the table's "...".
            fields = frozenset("..." if field is None else field for field in keywords)
            yield Emission(place, event.value, levels, fields, keywords.get("reason"))


EMISSIONS = list(_emissions())


def _section() -> str:
    return readme_section("The events log")


def _table() -> Iterator[tuple[str, frozenset[str], frozenset[str]]]:
    for event, levels, fields in re.findall(
        r"^\| `([^`]+)` \| ([^|]+) \| ([^|]*) \|", _section(), re.MULTILINE
    ):
        yield event, frozenset(levels.strip().split(", ")), frozenset(re.findall(r"`([^`]+)`", fields))


def test_the_readme_has_every_event_and_no_other() -> None:
    emitted = {(each.event, each.levels, each.fields) for each in EMISSIONS} | {OF_THE_LOG_ITSELF}
    listed = list(_table())
    assert len(listed) == len(set(listed))
    assert set(listed) == emitted


def test_a_reason_is_a_word_of_the_counters() -> None:
    with_reason = [each for each in EMISSIONS if each.reason is not None]
    assert len(with_reason) >= 10
    for each in with_reason:
        assert each.reason is not None
        attributes = {node.attr for node in ast.walk(each.reason) if isinstance(node, ast.Attribute)}
        is_word = "value" in attributes
        assert is_word is (each.event not in TELLS_THE_SYSTEMS_REASON), each.place


PATIENT = {
    "response_timeout_ms": 60_000,
    "request_ttl_ms": 120_000,
    "control_ttl_ms": 120_000,
    "exchange_limit_ms": 600_000,
}


def site(device: str, **keys: object) -> str:
    return (
        toml.service()
        + toml.server()
        + toml.line("bay1", device, **{**PATIENT, **keys})
        + toml.outstation("pole-12", 12)
        + toml.outstation("pole-13", 13)
    )


@asynccontextmanager
async def _site(device: str) -> AsyncIterator[Bridge]:
    async with running(site(device)) as bridge:
        await eventually(lambda: bridge.hubs["bay1"].line.is_open, "the line is up")
        yield bridge


def _events(caplog: pytest.LogCaptureFixture, *names: str) -> list[dict[str, Any]]:
    return [
        {"event": record.getMessage(), "level": record.levelname.lower(), **record.fields}  # type: ignore[attr-defined]
        for record in caplog.records
        if record.getMessage() in names
    ]


async def _two_requests(bridge: Bridge, master: Master, device: Device) -> None:
    """Leave a read on the wire, which nobody answers, and a select behind it."""
    await master.send(request(1).octets, request(2, SELECT, to=13).octets)
    await eventually(lambda: device.frames and bridge.hubs["bay1"].waiting_frames == 1, "both are under way")


@pytest.mark.wire
async def test_who_takes_over_and_what_was_in_flight(adapter: Pty, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "bridge")
    async with _site(adapter.device) as bridge:
        endpoint = bridge.servers["main"].endpoint
        with Device(adapter) as device, await Master.connect(endpoint) as older:
            name = older.name
            await _two_requests(bridge, older, device)
            with await Master.connect(endpoint) as newer:
                await eventually(lambda: bridge.servers["main"].session_ends, "the newer one has taken over")
                names = ("master connected", "master disconnected", "request abandoned")
                connected, ended, sent, waiting, again = _events(caplog, *names)
                assert (connected["peer"], again["peer"]) == (name, newer.name)
                assert (ended["reason"], ended["peer"], ended["by"]) == ("pre_empted", name, newer.name)
    counts = ("frames_received", "frames_sent", "octets_received", "octets_sent", "octets_discarded")
    assert [ended[key] for key in counts] == [2, 0, 30, 0, 0]
    assert 0 < ended["duration_s"] < 60
    about = {"event": "request abandoned", "line": "bay1", "peer": name, "reason": "session_ended"}
    assert 0 <= sent.pop("for_s") < 60
    assert 0 <= waiting.pop("for_s") < 60
    assert sent == {**about, "level": "info", "outstation": "pole-12", "function": "read", "state": "sent"}
    assert waiting == {
        **about,
        "level": "info",
        "outstation": "pole-13",
        "function": "select",
        "state": "waiting",
    }
    (dropped,) = _events(caplog, "control dropped")
    told = (dropped["outstation"], dropped["function"], dropped["reason"], dropped["level"])
    assert told == ("pole-13", "select", "session_ended", "warning")


@pytest.mark.wire
async def test_what_a_line_takes_with_it(
    adapter: Pty, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "bridge")
    names = ("line up", "line down", "request abandoned", "control dropped")
    with Jack(tmp_path / "adapter") as jack:
        jack.plug_in(adapter)
        async with _site(jack.device) as bridge:
            with await Master.connect(bridge.servers["main"].endpoint) as master:
                with Device(adapter) as device:
                    await _two_requests(bridge, master, device)
                jack.plug_out()
                adapter.unplug()
                await eventually(lambda: not bridge.hubs["bay1"].line.is_open, "the line is down")
                await master.send(request(3, SELECT).octets)
                drops = bridge.outstations["pole-12"].counters.drops
                await eventually(lambda: drops, "a control meets the line that is down")
                with Pty() as other:
                    jack.plug_in(other)
                    await eventually(lambda: bridge.hubs["bay1"].line.is_open, "the line is back")
    events = _events(caplog, *names)
    # While it is down the reason may change.
    assert [each["event"] for each in events if each["event"] != "line down"] == [
        "line up",
        "request abandoned",
        "request abandoned",
        "control dropped",
        "control dropped",
        "line up",
    ]
    assert [each["event"] for each in events[:3]] == ["line up", "line down", "request abandoned"]
    sent, waiting = _events(caplog, "request abandoned")
    assert [(each["function"], each["state"], each["reason"]) for each in (sent, waiting)] == [
        ("read", "sent", "line_down"),
        ("select", "waiting", "line_down"),
    ]
    dropped = _events(caplog, "control dropped")
    assert [(each["outstation"], each["function"], each["reason"]) for each in dropped] == [
        ("pole-13", "select", "line_down"),
        ("pole-12", "select", "line_down"),
    ]
    assert all(each["sentence"].startswith("the line was down: ") for each in dropped)
    assert 0 < events[-1]["after_s"] < 60


@pytest.mark.wire
async def test_silence_is_told_with_the_counters_word(adapter: Pty, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "bridge")
    text = site(adapter.device, response_timeout_ms=500)
    async with running(text) as bridge:
        await eventually(lambda: bridge.hubs["bay1"].line.is_open, "the line is up")
        diagnosis = bridge.outstations["pole-12"].counters.diagnosis
        with Device(adapter) as device, await Master.connect(bridge.servers["main"].endpoint) as master:
            await master.send(request(1).octets)
            await eventually(lambda: diagnosis.timeouts, "nothing was heard")
            device.answer = lambda frame: response(2).octets
            await master.send(request(2).octets)
            await eventually(lambda: diagnosis.answers, "it answers")
        silent, again = _events(caplog, "does not answer", "answers again")
        assert diagnosis.last_miss is not None
        assert (silent["outcome"], silent["reason"]) == (Outcome.TIMED_OUT, "nothing_heard")
        assert (silent["reason"], silent["sentence"]) == diagnosis.last_miss[:2]
        assert again["outstation"] == "pole-12"


@pytest.mark.wire
async def test_a_request_of_the_link_layer_is_told_as_well(
    adapter: Pty, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "bridge")
    async with _site(adapter.device) as bridge:
        with Device(adapter) as device, await Master.connect(bridge.servers["main"].endpoint) as master:
            await master.send(link_status_request().octets)
            await eventually(lambda: device.frames, "it is on the wire")
        await eventually(lambda: bridge.servers["main"].session_ends, "the master is gone")
        (abandoned,) = _events(caplog, "request abandoned")
        assert abandoned["function"] == "link_service"
        adapter.write(link_status().octets)


# The journal


def _run_on_the_journal(*arguments: str, journal: bool = True) -> tuple[int, list[str]]:
    """Run the program with a standard error that is, or is not, what JOURNAL_STREAM names."""
    with tempfile.TemporaryFile() as stderr:
        status = os.fstat(stderr.fileno())
        named = f"{status.st_dev}:{status.st_ino if journal else status.st_ino + 1}"
        code = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**os.environ, "JOURNAL_STREAM": named},
            stderr=stderr,
            stdout=subprocess.DEVNULL,
            timeout=60,
            check=False,
        ).returncode
        stderr.seek(0)
        return code, stderr.read().decode().splitlines()


LOGS = """
import logging
from bridge.endpoints.events import note, warn
from bridge.service import log_queue, logs
logs.set_up("debug", {log_format!r})
with log_queue.in_background():
    note("detail", level=logging.DEBUG)
    note("event", outstation="pole-12")
    warn("problem")
    note("failure", level=logging.ERROR)
log_queue.say("it ends")
"""


def test_lines_for_the_journal_carry_their_priority() -> None:
    _, lines = _run_on_the_journal("-c", LOGS.format(log_format="text"))
    assert [line[:3] for line in lines] == ["<7>", "<6>", "<4>", "<3>", "<3>"]
    assert lines[1].endswith(" INFO    event                outstation=pole-12")
    assert lines[-1] == "<3>it ends"


def test_so_do_lines_of_json() -> None:
    _, lines = _run_on_the_journal("-c", LOGS.format(log_format="json"))
    assert [line[:3] for line in lines] == ["<7>", "<6>", "<4>", "<3>", "<3>"]
    assert json.loads(lines[1][3:])["outstation"] == "pole-12"


def test_elsewhere_there_is_none() -> None:
    _, lines = _run_on_the_journal("-c", LOGS.format(log_format="text"), journal=False)
    assert len(lines) == 5
    assert not any(line.startswith("<") for line in lines)


def test_every_problem_of_a_configuration_is_an_error_in_the_journal() -> None:
    code, lines = _run_on_the_journal("-m", "bridge", "check", "tests/config/bad/many_at_once.toml")
    assert code == 2
    assert len(lines) > 1
    assert all(line.startswith("<3>tests/config/bad/many_at_once.toml: ") for line in lines)


def test_a_variable_that_names_nothing_is_no_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    from bridge.service.streams import is_journal

    for named in ("", ":", "8", "8:x", "a:b", "-1:99999999999999999999"):
        monkeypatch.setenv("JOURNAL_STREAM", named)
        assert not is_journal()
    assert not is_journal(10_000)
