"""The dashboard and the alert rules: they ask for metrics that exist, and the alerts come when they must."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import promql_parser
import pytest
import yaml

from bridge.service.monitoring import exposition
from bridge.service.monitoring.metric_table import SECTIONS, Kind
from tests.support.peers import require
from tests.support.program import ROOT

MONITORING = ROOT / "deploy" / "raspberrypi" / "monitoring"
ALERTS = MONITORING / "alerts.yml"
DASHBOARD = MONITORING / "dashboard.json"
OF_PROMETHEUS = {"up": set[str]()}
"""What every scrape brings along, with no labels but the target's."""
TARGET = {"job", "instance", "__name__"}


def _rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return list(group["rules"])


RULES = _rules()


def _samples() -> dict[str, set[str]]:
    """Return the names that a scrape has, with their labels."""
    suffix = {Kind.COUNTER: "_total", Kind.INFO: "_info"}
    return OF_PROMETHEUS | {
        metric.name + suffix.get(metric.kind, ""): {
            *section.labels,
            *([metric.by] if metric.by else []),
            *([metric.name] if metric.kind is Kind.STATE_SET else []),
            *metric.fields,
        }
        for section in SECTIONS
        for metric in section.metrics
    }


def _panels() -> list[dict[str, Any]]:
    return list(json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"])


def _dashboard() -> Iterator[tuple[str, str]]:
    """Yield every query of the dashboard, with what stands for Grafana's own variables put in."""
    for panel in _panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"].replace("$__rate_interval", "5m")
    for variable in json.loads(DASHBOARD.read_text(encoding="utf-8"))["templating"]["list"]:
        if variable["type"] == "query":
            inside = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["definition"])
            assert inside is not None, variable["name"]
            yield f"variable {variable['name']}", f"count by ({inside[2]}) ({inside[1]})"


EXPRESSIONS = [*_dashboard(), *((rule["alert"], rule["expr"]) for rule in RULES)]


class _Asked(NamedTuple):
    """What an expression asks for: its selectors, and the labels that it groups by."""

    selectors: list[Any]
    labels: set[str]


def _asked(expression: str) -> _Asked:
    asked = _Asked([], set())

    def look(node: Any) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            asked.selectors.append(node)
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            asked.labels.update(node.modifier.labels)

    promql_parser.walk(promql_parser.parse(expression), look)
    return asked


def _values(matcher: Any) -> list[str]:
    return matcher.value.split("|") if "reason" in matcher.name and "$" not in matcher.value else []


@pytest.mark.parametrize(("where", "expression"), EXPRESSIONS)
def test_it_asks_for_metrics_and_labels_that_exist(where: str, expression: str) -> None:
    samples = _samples()
    asked = _asked(expression)
    assert asked.selectors, "it asks for nothing"
    there = set(TARGET)
    for selector in asked.selectors:
        assert selector.name in samples, f"{where} asks for {selector.name}"
        labels = samples[selector.name] | TARGET
        there |= labels
        matchers = list(selector.matchers.matchers)
        assert {matcher.name for matcher in matchers} <= labels, where
        for matcher in matchers:
            assert set(_values(matcher)) <= _reasons(selector.name), f"{where}: {matcher.value}"
    assert asked.labels <= there, where


def _reasons(sample: str) -> set[str]:
    return {
        key
        for section in SECTIONS
        for metric in section.metrics
        if f"{metric.name}_total" == sample
        for key in metric.keys
    }


def test_a_scrape_has_the_names_that_the_table_promises() -> None:
    document = {"lines": [{"name": "bay1", "is_up": True, "crc_errors": 1}]}
    text = b"".join(exposition.pieces(document, "application/openmetrics-text; version=1.0.0")).decode()
    told = set(re.findall(r"^# TYPE (rtu_bridge\w*)", text, re.MULTILINE))
    assert told == {metric.name for section in SECTIONS for metric in section.metrics}
    assert 'rtu_bridge_line_crc_errors_total{line="bay1"} 1.0\n' in text


def test_panels_of_the_dashboard_say_what_they_show() -> None:
    panels = _panels()
    assert len({panel["id"] for panel in panels}) == len(panels) >= 10
    for panel in panels:
        assert panel["title"], "it has a title"
        assert len(panel["description"]) > 20, panel["title"]
        references = [target["refId"] for target in panel["targets"]]
        assert len(references) == len(set(references)), panel["title"]
    places = [tuple(panel["gridPos"][key] for key in "xywh") for panel in panels]
    cells = [(x + i, y + j) for x, y, w, h in places for i in range(w) for j in range(h)]
    assert len(cells) == len(set(cells)), "panels overlap"
    assert max(x for x, _ in cells) < 24, "a panel is beyond the right edge"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["alert"].startswith("RtuBridge")
    assert rule["labels"]["severity"] in ("critical", "warning")
    summary, description = rule["annotations"]["summary"], rule["annotations"]["description"]
    assert "{{ $labels." in summary, "it says where"
    assert not summary.endswith(".")
    assert len(description) > 80, "it says what to look at"
    assert description.endswith(("`.", ".", "?"))


# What promtool says


class Scenario(NamedTuple):
    """Series that differ from those of a healthy bridge, and the alerts that are on at a minute."""

    name: str
    changes: dict[str, str]
    minute: int
    alerts: set[str]


BOX = 'job="rtu-bridge"'
BAY = f'{BOX}, line="bay1"'
RTU = f'{BAY}, outstation="a"'
HEALTHY = {
    f"up{{{BOX}}}": "1x120",
    f"rtu_bridge_uptime_seconds{{{BOX}}}": "0+60x120",
    f"rtu_bridge_machine_cpu_temperature_celsius{{{BOX}}}": "60x120",
    f"rtu_bridge_recorder_problem{{{BOX}}}": "0x120",
    f"rtu_bridge_line_up{{{BAY}}}": "1x120",
    f"rtu_bridge_line_losses_total{{{BAY}}}": "2x120",
    f"rtu_bridge_line_direction_problem{{{BAY}}}": "0x120",
    f"rtu_bridge_line_babbling{{{BAY}}}": "0x120",
    f"rtu_bridge_line_bus_load{{{BAY}}}": "0.4x120",
    f'rtu_bridge_line_discards_total{{{BAY}, reason="header_crc"}}': "7x120",
    f'rtu_bridge_line_discards_total{{{BAY}, reason="noise"}}': "0x60 1x60",
    f'rtu_bridge_server_session_ends_total{{{BOX}, server="main", reason="pre_empted"}}': "1x120",
    f'rtu_bridge_server_session_ends_total{{{BOX}, server="main", reason="peer_closed"}}': "0+1x120",
    f'rtu_bridge_server_session_ends_total{{{BOX}, server="main", reason="not_wanted"}}': "0x120",
    f"rtu_bridge_outstation_answers_total{{{RTU}}}": "0+12x120",
    f'rtu_bridge_outstation_misses_total{{{RTU}, reason="nothing_heard"}}': "0x120",
    f'rtu_bridge_outstation_misses_total{{{RTU}, reason="expired"}}': "0x120",
    f'rtu_bridge_outstation_misses_total{{{RTU}, reason="late"}}': "0+1x120",
    f"rtu_bridge_outstation_master_connected{{{RTU}}}": "1x120",
    f"rtu_bridge_outstation_response_timeout_seconds{{{RTU}}}": "2.3x120",
    f"rtu_bridge_outstation_recommended_timeout_seconds{{{RTU}}}": "0.5x120",
}
"""By the minute."""
SILENT = {"outstation_answers": "0+12x30 360x90", "nothing_heard": "0x30 0+12x90"}
SCENARIOS = [
    Scenario("healthy", {}, 100, set()),
    Scenario("no power", {"up": "1x30 0x90"}, 40, {"RtuBridgeNotAnswering"}),
    Scenario("one scrape failed", {"up": "1x30 0 1x90"}, 31, set()),
    Scenario("restarts", {"uptime": "0+60x30 0+60x4 0+60x4 0+60x90"}, 45, {"RtuBridgeRestarts"}),
    Scenario("one restart", {"uptime": "0+60x30 0+60x90"}, 45, set()),
    Scenario("line down", {"line_up": "1x30 0x90"}, 33, {"RtuBridgeLineDown"}),
    Scenario("line down, its RTU silent", {"line_up": "1x30 0x90", **SILENT}, 38, {"RtuBridgeLineDown"}),
    Scenario("line down for a moment", {"line_up": "1x30 0 1x90"}, 31, set()),
    Scenario("a loose plug", {"losses": "2x30 2+1x90"}, 40, {"RtuBridgeLineUnsteady"}),
    Scenario("pulled and plugged in once", {"losses": "2x30 3x90"}, 32, set()),
    Scenario("direction", {"direction": "0x30 1x90"}, 33, {"RtuBridgeDirectionProblem"}),
    Scenario("babble", {"babbling": "0x30 1x90"}, 33, {"RtuBridgeBabble"}),
    Scenario("an RTU without power", SILENT, 39, {"RtuBridgeRtuSilent"}),
    Scenario("one that its master does not poll", {"outstation_answers": "0+12x30 360x90"}, 60, set()),
    Scenario("a tenth missing", {"nothing_heard": "0x30 0+1.2x90"}, 60, {"RtuBridgeAnswersMissing"}),
    Scenario("one in fifty missing", {"nothing_heard": "0x30 0+0.2x90"}, 60, set()),
    Scenario("late answers, no others missing", {'"late"': "0+6x120"}, 60, set()),
    Scenario("slow answers", {"recommended": "0.5x30 2.5x90"}, 60, {"RtuBridgeResponseTimeoutShort"}),
    Scenario("CRC errors", {"header_crc": "7x30 7+3x90"}, 60, {"RtuBridgeNoise"}),
    Scenario("few CRC errors", {"header_crc": "7x30 8x90"}, 35, set()),
    Scenario("the master is gone", {"master": "1x30 0x90"}, 40, {"RtuBridgeMasterLost"}),
    Scenario("the master connects anew", {"master": "1x30 0x2 1x90"}, 32, set()),
    Scenario("there never was a master", {"master": "0x120"}, 100, set()),
    Scenario("two masters", {"pre_empted": "1x30 1+2x90"}, 45, {"RtuBridgePreEmptionStorm"}),
    Scenario("one take-over", {"pre_empted": "1x30 2x90"}, 35, set()),
    Scenario("a stranger", {"not_wanted": "0x30 1x90"}, 35, {"RtuBridgeConnectionsRefused"}),
    Scenario("expired", {"expired": "0x30 0+0.5x90"}, 60, {"RtuBridgeRequestsExpire"}),
    Scenario("one expired", {"expired": "0x30 1x90"}, 38, set()),
    Scenario("a full line", {"bus_load": "0.4x30 0.95x90"}, 60, {"RtuBridgeLineBusy"}),
    Scenario("the sun on the cabinet", {"celsius": "60x30 84x90"}, 60, {"RtuBridgeHot"}),
    Scenario("a full disk", {"recorder_problem": "0x30 1x90"}, 45, {"RtuBridgeNoRecording"}),
]


def test_every_alert_has_a_scenario_that_brings_it() -> None:
    assert {alert for scenario in SCENARIOS for alert in scenario.alerts} == {rule["alert"] for rule in RULES}


def _series(scenario: Scenario) -> list[dict[str, str]]:
    series = dict(HEALTHY)
    for part, values in scenario.changes.items():
        exact = [name for name in HEALTHY if name.startswith(f"{part}{{")]
        (name,) = exact or (name for name in HEALTHY if part in name)
        series[name] = values
    return [{"series": name, "values": values} for name, values in series.items()]


def _test_of(scenario: Scenario) -> dict[str, Any]:
    return {
        "name": scenario.name,
        "interval": "1m",
        "input_series": _series(scenario),
        "promql_expr_test": [
            {
                "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": f"{scenario.minute}m",
                "exp_samples": [
                    {"labels": f'{{alertname="{alert}"}}', "value": 1} for alert in sorted(scenario.alerts)
                ],
            }
        ],
    }


def _promtool(*arguments: str) -> str:
    done = subprocess.run(
        [require("promtool"), *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.peer
def test_promtool_takes_the_rules() -> None:
    assert f"SUCCESS: {len(RULES)} rules found" in _promtool("check", "rules", str(ALERTS))


@pytest.mark.peer
def test_every_alert_comes_when_it_must_and_only_then(tmp_path: Path) -> None:
    tests = {
        "rule_files": [str(ALERTS)],
        "evaluation_interval": "30s",
        "tests": [_test_of(scenario) for scenario in SCENARIOS],
    }
    file = tmp_path / "tests.yml"
    file.write_text(yaml.safe_dump(tests), encoding="utf-8")
    assert "SUCCESS" in _promtool("test", "rules", str(file))


@pytest.mark.peer
def test_an_alert_that_does_not_come_fails_the_test(tmp_path: Path) -> None:
    wrong = Scenario("healthy", {}, 100, {"RtuBridgeHot"})
    file = tmp_path / "tests.yml"
    tests = {"rule_files": [str(ALERTS)], "evaluation_interval": "30s", "tests": [_test_of(wrong)]}
    file.write_text(yaml.safe_dump(tests), encoding="utf-8")
    with pytest.raises(AssertionError, match="RtuBridgeHot"):
        _promtool("test", "rules", str(file))


@pytest.mark.peer
def test_promtool_finds_nothing_to_say_of_the_metrics() -> None:
    text = b"".join(exposition.pieces({"lines": [{"name": "bay1", "is_up": True}]}, "text/plain"))
    done = subprocess.run(
        [require("promtool"), "check", "metrics"], input=text, capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
