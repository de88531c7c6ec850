"""The metrics of a running bridge: names, types and labels are an interface, as people's alerts use them."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import pytest
from prometheus_client.core import Metric as Family
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from bridge.endpoints.endpoint import Endpoint
from bridge.routing.diagnosis import Miss
from bridge.routing.drop import Drop
from bridge.service.build import Bridge
from bridge.service.monitoring import exposition, metrics
from bridge.service.monitoring.metric_table import PROGRAM, SECTIONS, Kind
from bridge.version import VERSION
from tests.support import toml
from tests.support.eventually import eventually
from tests.support.frames import link_status, link_status_request
from tests.support.masters import Master
from tests.support.ptys import Device, Pty
from tests.support.repository import ROOT, readme_section, readme_toml
from tests.support.scrapes import OPENMETRICS, samples_of, scrape
from tests.support.sites import configuration_of, running

pytestmark = pytest.mark.wire

NAMES = ROOT / "tests/vectors/metrics.txt"
NOT_METRICS = frozenset(
    {
        # Text for people, or what a label or another number says already.
        "configuration_problems",
        "system_led.name",
        "system_led.kind",
        "system_led.pattern",
        "system_led.colour",
        "system_led.lit",
        "system_led.overlay",
        "metrics.listen",
        "metrics.problem",
        "recorder.folder",
        "recorder.memory_octets",
        "recorder.disk_limit_octets",
        "lines.reason",
        "outstations.led.name",
        "outstations.led.kind",
        "outstations.led.pattern",
        "outstations.led.colour",
        "outstations.led.lit",
        "outstations.led.overlay",
        "outstations.diagnosis.response_times.answers",
        "outstations.diagnosis.last_miss",
    }
)
"""What the document has and the metrics do not: paths, with all that is below them."""
POLE_12 = {"outstation": "pole-12", "line": "bay1"}


def site(device: str, port: int = 0) -> str:
    metrics = toml.table("[metrics]", listen=f"127.0.0.1:{port}")
    return toml.service() + metrics + toml.two_lines(device, baud=19200)


@pytest.fixture
async def bridge(adapter: Pty) -> AsyncIterator[Bridge]:
    async with running(site(adapter.device)) as bridge:
        yield bridge


def _where(bridge: Bridge) -> Endpoint:
    status = bridge.metrics.status()
    assert status is not None
    return Endpoint.parse(status["listen"])


async def _families(bridge: Bridge) -> dict[str, Family]:
    text = await scrape(_where(bridge), accept=OPENMETRICS)
    return {family.name: family for family in text_string_to_metric_families(text)}


async def test_the_names_types_and_labels_are_those_of_the_list(bridge: Bridge) -> None:
    families = await _families(bridge)
    told = {
        name: (family.type, {frozenset(sample.labels) for sample in family.samples})
        for name, family in families.items()
        if name.startswith("rtu_bridge")
    }
    listed = {}
    for line in NAMES.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, kind, *labels = line.split()
            listed[name] = (kind, frozenset(labels))
    assert list(told) == list(listed), "a new one stands in the list as well; an old one stays"
    for name, (kind, labels) in told.items():
        assert kind == listed[name][0], name
        assert labels <= {listed[name][1]}, name


async def test_every_family_has_a_help_and_the_right_ending(bridge: Bridge) -> None:
    for name, family in (await _families(bridge)).items():
        if not name.startswith("rtu_bridge"):
            # The library's, of the process.
            continue
        assert len(family.documentation) > 5, name
        assert not family.documentation.endswith("."), name
        assert (family.unit != "") is name.endswith(("_seconds", "_celsius")), name
        assert not name.endswith(("_s", "_ms", "_c")), name


async def test_both_formats_have_the_same_samples(bridge: Bridge) -> None:
    open_metrics = samples_of(await scrape(_where(bridge), accept=OPENMETRICS))
    plain = samples_of(await scrape(_where(bridge)))
    ours = {key for key in open_metrics if key[0].startswith("rtu_bridge")}
    assert len(ours) > 100
    assert ours == {key for key in plain if key[0].startswith("rtu_bridge")}


async def test_every_reason_is_there_from_the_start(bridge: Bridge) -> None:
    samples = samples_of(await scrape(_where(bridge), accept=OPENMETRICS))
    for name, keys in (
        ("rtu_bridge_outstation_drops_total", Drop),
        ("rtu_bridge_outstation_misses_total", Miss),
    ):
        told = {
            dict(labels)["reason"]: value
            for (sample, labels), value in samples.items()
            if sample == name and dict(labels)["outstation"] == "pole-12"
        }
        assert told == dict.fromkeys(map(str, keys), 0.0)


def test_every_counter_by_reason_has_an_enumeration() -> None:
    counters = [metric for section in SECTIONS for metric in section.metrics if metric.by]
    assert len(counters) >= 8
    assert all(metric.keys for metric in counters)


async def test_they_say_what_the_status_says(bridge: Bridge, adapter: Pty) -> None:
    damaged = link_status(12).octets[:-1] + b"\x00"
    with (
        Device(adapter, lambda frame: damaged + link_status(99).octets + link_status(12).octets),
        await Master.connect(bridge.servers["main"].endpoint) as master,
    ):
        await master.send(b"noise", link_status_request(77).octets, link_status_request(13).octets)
        await master.send(link_status_request(12).octets)
        assert await master.receive(10) == link_status(12).octets
        samples = samples_of(await scrape(_where(bridge), accept=OPENMETRICS))
        snapshot = bridge.snapshot()
    assert _said(samples, "rtu_bridge_outstation_misses_total", line="bay2", reason="line_down") == 1
    assert _said(samples, "rtu_bridge_outstation_led", **POLE_12, rtu_bridge_outstation_led="noise") == 1
    assert _said(samples, "rtu_bridge_info", version=VERSION) == 1
    assert _said(samples, "rtu_bridge_line_info", line="bay1", settings="19200 8N1") == 1
    assert _said(samples, "rtu_bridge_server_sessions", server="main") == 1
    assert _said(samples, "rtu_bridge_outstation_master_connected", **POLE_12) == 1
    assert _said(samples, "rtu_bridge_line_up", line="bay1") == 1
    assert _said(samples, "rtu_bridge_line_up", line="bay2") == 0
    compared = 0
    for section in SECTIONS[1:]:
        for element in snapshot.get(section.path, ()):
            label = {next(iter(section.labels)): element["name"]}
            for metric in section.metrics:
                value = _at(element, metric.path)
                if metric.kind is Kind.COUNTER and value is not None:
                    numbers = value if metric.by else {"": value}
                    for reason, number in numbers.items():
                        by = {metric.by: reason} if metric.by else {}
                        assert _said(samples, f"{metric.name}_total", **label, **by) == number
                        compared += number > 0
    assert compared >= 15


async def test_what_is_not_known_has_no_sample(bridge: Bridge) -> None:
    families = await _families(bridge)
    assert families["rtu_bridge_outstation_answering"].samples == []
    assert families["rtu_bridge_outstation_response_p99_seconds"].samples == []
    requests = families["rtu_bridge_outstation_requests"].samples
    assert [sample.labels["outstation"] for sample in requests] == ["pole-12", "pole-13"]
    enabled = families["rtu_bridge_outstation_enabled"].samples
    assert [(sample.labels["outstation"], sample.value) for sample in enabled] == [
        ("pole-12", 1),
        ("pole-13", 1),
        ("pole-14", 0),
    ]


async def test_everything_in_the_status_is_a_metric_or_is_left_out_on_purpose(
    bridge: Bridge, adapter: Pty
) -> None:
    with (
        Device(adapter, lambda frame: link_status(12).octets),
        await Master.connect(bridge.servers["main"].endpoint) as master,
    ):
        await master.send(link_status_request(12).octets)
        await master.receive(10)
        snapshot = bridge.snapshot()
    known = set(NOT_METRICS)
    for section in SECTIONS:
        start = f"{section.path}." if section.path else ""
        for metric in section.metrics:
            known |= {f"{start}{path}" for path in (metric.path, *metric.fields.values())}
        known |= {f"{start}{path}" for path in section.labels.values()}
    lists = {section.path for section in SECTIONS} - {PROGRAM.path}
    unknown = {
        path
        for path in _paths(snapshot, lists)
        # What is null may have more below it at another time.
        if not any(f"{path}.".startswith(f"{each}.") or each.startswith(f"{path}.") for each in known)
    }
    assert unknown == set(), "write a row in bridge/service/monitoring/metric_table.py, or leave it out here"


async def test_pieces_are_short_and_their_sum_is_the_librarys_text(bridge: Bridge) -> None:
    document = bridge.snapshot()
    pieces = list(exposition.pieces(document, OPENMETRICS))
    lines = [[line for line in piece.splitlines() if not line.startswith(b"#")] for piece in pieces]
    assert max(map(len, lines)) == 16
    text = b"".join(pieces).decode()

    class Registry:
        def collect(self) -> Iterator[Family]:
            return text_string_to_metric_families(text)

    # Its own counters of the process apart, which have another number each time.
    assert _ours(generate_latest(Registry()).decode()) == _ours(text)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "text/plain"),
        ("*/*", "text/plain"),
        ("text/html,application/xhtml+xml;q=0.9", "text/plain"),
        (OPENMETRICS, "application/openmetrics-text"),
        (
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3",
            "application/openmetrics-text",
        ),
        ("application/openmetrics-text;version=0.0.1", "text/plain"),
        ("application/openmetrics-text;version=abc", "text/plain"),
        ("application/openmetrics-text;version=", "application/openmetrics-text"),
        (";;,,=,application/openmetrics-text;;=", "application/openmetrics-text"),
    ],
)
def test_whatever_is_asked_for_gets_one_of_the_two_formats(accept: str, kind: str) -> None:
    text = b"".join(exposition.pieces({"lines": [{"name": "bay1", "is_up": True}]}, accept)).decode()
    assert exposition.content_type(accept).partition(";")[0] == kind
    assert text.endswith("# EOF\n") is (kind != "text/plain")
    assert samples_of(text)[("rtu_bridge_line_up", frozenset({("line", "bay1")}))] == 1


async def test_a_scrape_lets_others_have_their_turn(bridge: Bridge) -> None:
    pieces = len(list(exposition.pieces(bridge.snapshot(), OPENMETRICS)))
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await bridge.metrics._page({"accept": OPENMETRICS})
    counting.cancel()
    assert turns > pieces


async def test_between_pages_is_a_rest_however_often_they_are_asked_for(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert metrics._REST_PER_WORK >= 9, "a tenth of the time"
    monkeypatch.setattr(metrics, "_REST_PER_WORK", 1e9)
    monkeypatch.setattr(metrics, "_LONGEST_REST_S", 0.2)
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    await bridge.metrics._page({})
    await bridge.metrics._page({})
    assert loop.time() >= began_s + 0.2


async def test_many_at_once_are_all_answered(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_REST_PER_WORK", 0.0)
    texts = await asyncio.gather(*(scrape(_where(bridge)) for _ in range(6)))
    assert all("rtu_bridge_line_up" in text for text in texts)
    assert samples_of(await scrape(_where(bridge)))[("rtu_bridge_metrics_answered_total", frozenset())] == 6


async def test_the_index_says_where_they_are(bridge: Bridge) -> None:
    assert await scrape(_where(bridge), path="/") == "RTU Bridge: the metrics are at /metrics\n"


async def test_a_port_that_is_taken_is_one_warning(adapter: Pty, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        async with running(site(adapter.device, port)) as bridge:
            problem = f"cannot listen on 127.0.0.1:{port}: Address already in use"
            (record,) = (record for record in caplog.records if record.getMessage() == "no metrics")
            assert record.fields == {"reason": problem}  # type: ignore[attr-defined]
            status = bridge.snapshot()["metrics"]
            assert status == {
                "listen": f"127.0.0.1:{port}",
                "problem": problem,
                "answered": 0,
                "refusals": {},
            }
            with (
                Device(adapter, lambda frame: link_status(12).octets),
                await Master.connect(bridge.servers["main"].endpoint) as master,
            ):
                await master.send(link_status_request(12).octets)
                assert await master.receive(10) == link_status(12).octets


async def test_without_the_section_there_are_none(adapter: Pty) -> None:
    text = toml.service() + toml.two_lines(adapter.device)
    async with running(text) as bridge:
        assert bridge.snapshot()["metrics"] is None


def test_a_bridge_without_metrics_does_not_import_the_library() -> None:
    program = "import bridge.service.run, sys; sys.exit('prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, timeout=60, check=False).returncode == 0


async def test_closing_lets_the_port_go(adapter: Pty) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with running(site(adapter.device, port)) as bridge:
        await eventually(lambda: _where(bridge).port == port, "it listens")
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_the_readme_says_how() -> None:
    section = readme_section("Metrics")
    shown = readme_toml("\n## Metrics\n")
    configured = configuration_of(shown + toml.two_lines("/dev/ttyAMA2")).metrics
    assert configured is not None
    assert f"http://{configured.listen}/metrics" in section


def _said(samples: Mapping[tuple[str, frozenset[Any]], float], name: str, **labels: str) -> float:
    (value,) = (
        value
        for (sample, its_labels), value in samples.items()
        if sample == name and labels.items() <= dict(its_labels).items()
    )
    return value


def _at(element: Any, path: str) -> Any:
    for key in path.split("."):
        element = element[key] if element is not None and key in element else None
    return element


def _paths(value: Any, lists: set[str], path: str = "") -> Iterator[str]:
    """Yield the path of every leaf; a list of the document is one place, any other list is a leaf."""
    if isinstance(value, dict) and value:
        for key, below in value.items():
            yield from _paths(below, lists, f"{path}.{key}" if path else key)
    elif path in lists:
        for element in value:
            yield from _paths(element, lists, path)
    else:
        yield path


def _ours(text: str) -> list[str]:
    return [line for line in text.splitlines() if " process_" not in line and not line.startswith("process_")]
