"""A bridge for somebody's tests: its socket is private, and no bad end goes unnoticed."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from bridge.bench import BenchLine, BridgeProcess
from bridge.bench.process import with_status_socket
from tests.support import toml

SOCKET = Path("/tmp/x/status")


def _site(device: object) -> str:
    return toml.server() + toml.line("bay", device) + toml.outstation("pole-12", 12, "bay", "any")


@pytest.mark.parametrize(
    ("text", "others"),
    [
        ("", {}),
        ("[service]", {}),
        ('[service]\nstatus_socket = "/run/real"\nlog_level = "debug"\n', {"log_level": "debug"}),
        ('[service]\nlog_level = "debug"\nstatus_socket="/run/real" # x\n', {"log_level": "debug"}),
        (' [ service ] # mine\n[server.main]\nstatus_socket = "kept"\n', {}),
    ],
)
def test_the_status_socket_is_replaced(text: str, others: dict[str, str]) -> None:
    changed = tomllib.loads(with_status_socket(text, SOCKET))
    assert changed["service"] == {"status_socket": str(SOCKET), **others}
    assert changed.get("server") == tomllib.loads(text).get("server")


@pytest.mark.parametrize("text", ['service = { log_level = "info" }', "not toml"])
def test_what_cannot_be_changed_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        BridgeProcess(text)


@pytest.mark.wire
def test_it_runs_and_ends_in_peace(tmp_path: Path) -> None:
    with BenchLine() as line:
        file = tmp_path / "bridge.toml"
        file.write_text(_site(line.device), encoding="utf-8")
        bridge = BridgeProcess(file)
        bridge.start()
        bridge.wait_for_lines()
        assert bridge.port() == bridge.port("main") > 0
        with pytest.raises(LookupError, match="main"):
            bridge.port("other")
        bridge.stop()
        assert "line up" in bridge.log
        bridge.stop()


@pytest.mark.wire
def test_a_configuration_that_is_refused_is_told() -> None:
    bridge = BridgeProcess(_site("relative/path"))
    with pytest.raises(AssertionError, match=r"(?s)exit status 2 before.*device"):
        bridge.start()
    bridge.kill()


@pytest.mark.wire
def test_an_end_before_its_time_is_told() -> None:
    with BenchLine() as line:
        bridge = BridgeProcess(_site(line.device))
        bridge.start()
        assert bridge._process is not None
        bridge._process.kill()
        bridge._process.wait()
        with pytest.raises(AssertionError, match="before, with exit status -9"):
            bridge.stop()
