"""Where the program keeps things, and whose bridge is asked for its status."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from bridge.service import paths
from bridge.service.cli import main
from bridge.service.paths import configuration_problems, default_status_socket, status_socket_to_ask


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the service, which this user may not write to."""
    folder = tmp_path / "service"
    monkeypatch.setattr(paths, "_SYSTEM", folder)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "user"))
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    return folder


def test_a_user_without_a_bridge_of_his_own_asks_the_service(system: Path) -> None:
    system.mkdir()
    (system / "status.sock").touch()

    assert status_socket_to_ask() == f"{system}/status.sock"
    # Where he runs one himself it offers its status elsewhere.
    assert default_status_socket() == f"{system.parent}/user/rtu-bridge/status.sock"


def test_his_own_bridge_comes_first(system: Path) -> None:
    own = system.parent / "user/rtu-bridge"
    for folder in (system, own):
        folder.mkdir(parents=True)
        (folder / "status.sock").touch()

    assert status_socket_to_ask() == f"{own}/status.sock"


def test_where_there_is_none_at_all_his_own_is_named(system: Path) -> None:
    assert status_socket_to_ask() == default_status_socket()


def test_without_a_runtime_folder_it_is_one_of_the_users_own(
    system: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR")

    assert default_status_socket() == f"/tmp/rtu-bridge-{os.getuid()}/status.sock"


def test_who_may_write_there_uses_the_folder_of_the_service(
    system: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda _path, _mode: True)

    assert default_status_socket() == status_socket_to_ask() == f"{system}/status.sock"


def test_a_configuration_without_a_socket_means_the_service_too(
    system: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    system.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(system / "status.sock"))
    monkeypatch.setattr(
        "bridge.service.configuration.config.load", lambda *_: _Named(default_status_socket())
    )

    assert main(["status", "-c", "any.toml"]) == 1
    assert capsys.readouterr().err.startswith(f"{system}/status.sock: Connection refused")


class _Named:
    def __init__(self, status_socket: str) -> None:
        self.service = self
        self.status_socket = status_socket


# A configuration that somebody brought, and that is wrong


@pytest.fixture
def brought(tmp_path: Path) -> Path:
    """The link that the service is given, as on the appliance."""
    (tmp_path / "run").mkdir()
    (tmp_path / "etc").mkdir()
    link = tmp_path / "etc/bridge.toml"
    link.symlink_to("../run/bridge.toml")
    return link


def _tell(link: Path, octets: bytes) -> None:
    (link.parent.parent / "run/configuration-error").write_bytes(octets)


@pytest.mark.parametrize("is_there", [True, False])
def test_problems_are_told_beside_the_one_in_force_also_if_there_is_none(
    brought: Path, *, is_there: bool
) -> None:
    if is_there:
        brought.resolve().touch()
    _tell(brought, b"bridge.toml: line.bay1.baud: 9601\n\nbridge.toml: x\n")

    assert configuration_problems(str(brought)) == ("bridge.toml: line.bay1.baud: 9601", "bridge.toml: x")


def test_without_such_a_file_there_are_none(brought: Path) -> None:
    assert configuration_problems(str(brought)) == ()


def test_a_link_to_itself_has_none(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("a")

    assert configuration_problems(str(tmp_path / "a")) == ()


def test_what_is_much_too_long_is_cut(brought: Path) -> None:
    _tell(brought, b"\xff problem\n" * 100_000)

    assert len(configuration_problems(str(brought))) == 100


def test_the_status_says_why_no_bridge_runs(
    brought: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "SYSTEM_CONFIGURATION", str(brought))
    assert main(["status", "--socket", "/nonexistent/s"]) == 1
    assert "is the bridge running" in capsys.readouterr().err

    _tell(brought, b"bridge.toml: is not there; put it on the card\n")

    assert main(["status", "--socket", "/nonexistent/s"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "/nonexistent/s: No such file or directory; the configuration is wrong:",
        "bridge.toml: is not there; put it on the card",
    ]
