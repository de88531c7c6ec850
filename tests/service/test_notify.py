"""What systemd is told, on a unix datagram socket."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.service.notify import Announcement, ServiceManager, kept_informed
from tests.support import toml
from tests.support.eventually import eventually
from tests.support.program import Program
from tests.support.ptys import Pty
from tests.support.waiting import PATIENCE_S


class Systemd:
    """The other end of a NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self.environment = {"NOTIFY_SOCKET": address}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.settimeout(PATIENCE_S)

    def close(self) -> None:
        self._socket.close()

    def read(self) -> list[str]:
        """Wait for a message and return its fields."""
        return self._socket.recv(65536).decode().split("\n")

    def heard(self) -> list[list[str]]:
        """Return the messages that are there."""
        messages = []
        self._socket.setblocking(False)
        try:
            while True:
                messages.append(self.read())
        except BlockingIOError:
            return messages
        finally:
            self._socket.settimeout(PATIENCE_S)

    def read_until(self, field: str) -> list[str]:
        """Read messages until one has this field and return all fields read."""
        fields: list[str] = []
        while field not in fields:
            fields += self.read()
        return fields


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket in it."""
    with tempfile.TemporaryDirectory(prefix="rtu-") as folder:
        yield Path(folder)


@pytest.fixture
def systemd(folder: Path) -> Iterator[Systemd]:
    systemd = Systemd(str(folder / "notify"))
    yield systemd
    systemd.close()


# What is due


def test_ready_when_all_lines_are_open() -> None:
    announcement = Announcement(100.0)
    assert announcement.due([], 100.0) == ["READY=1", "STATUS=all lines are open"]


def test_a_missing_line_delays_ready_until_it_opens() -> None:
    announcement = Announcement(100.0)
    fields = announcement.due(["bay1 (no device)"], 100.0)
    assert fields == ["STATUS=not open: bay1 (no device)"]
    announcement.told(fields, 100.0)
    assert announcement.due(["bay1 (no device)"], 101.0) == []
    assert announcement.due([], 102.0) == ["READY=1", "STATUS=all lines are open"]


def test_a_missing_line_delays_ready_for_the_grace_time_only() -> None:
    announcement = Announcement(100.0, grace_s=5.0)
    announcement.told(announcement.due(["bay1 (no device)"], 100.0), 100.0)
    assert announcement.due(["bay1 (no device)"], 104.9) == []
    assert announcement.due(["bay1 (no device)"], 105.0) == ["READY=1"]


def test_ready_is_told_once_and_the_status_when_it_changes() -> None:
    announcement = Announcement(0.0)
    announcement.told(announcement.due([], 0.0), 0.0)
    assert announcement.due([], 1.0) == []
    fields = announcement.due(["a (gone)", "b (gone)"], 2.0)
    assert fields == ["STATUS=not open: a (gone), b (gone)"]
    announcement.told(fields, 2.0)
    assert announcement.due([], 3.0) == ["STATUS=all lines are open"]


def test_what_was_not_sent_is_due_again() -> None:
    announcement = Announcement(0.0, watchdog_s=20.0)
    assert announcement.due([], 0.0) == announcement.due([], 1.0) != []


def test_the_watchdog_is_fed_at_half_its_interval_also_before_ready() -> None:
    announcement = Announcement(0.0, watchdog_s=20.0)
    fields = announcement.due(["a (gone)"], 0.0)
    assert "WATCHDOG=1" in fields
    announcement.told(fields, 0.0)
    assert announcement.due(["a (gone)"], 9.9) == []
    assert announcement.due(["a (gone)"], 10.0) == ["READY=1", "WATCHDOG=1"]
    assert announcement.pause_s(9.9) == pytest.approx(0.1)


def test_no_watchdog_is_fed_where_none_is() -> None:
    announcement = Announcement(0.0)
    announcement.told(announcement.due([], 0.0), 0.0)
    assert announcement.due([], 1e6) == []


def test_a_status_is_one_line_of_bounded_length() -> None:
    (status,) = Announcement(0.0).due(["a (one\ntwo" + " three" * 100 + ")"], 0.0)
    assert "\n" not in status
    assert "one two" in status
    assert len(status) < 220


# The socket


@pytest.mark.parametrize(
    "environment",
    [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "@"}, {"NOTIFY_SOCKET": "vsock:2:1234"}],
)
def test_without_a_usable_socket_there_is_nobody_to_tell(environment: dict[str, str]) -> None:
    assert ServiceManager.of_environment(environment) is None


@pytest.mark.parametrize(
    ("watchdog", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "20000000"}, 20.0),
        ({"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": str(os.getpid())}, 20.0),
        ({"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_of_the_environment(watchdog: dict[str, str], expected: float | None) -> None:
    manager = ServiceManager.of_environment({"NOTIFY_SOCKET": "/nowhere", **watchdog})
    assert manager is not None
    assert manager.watchdog_s == expected
    manager.close()


def test_a_socket_with_an_abstract_name() -> None:
    systemd = Systemd(f"@rtu-bridge-test-{os.getpid()}")
    manager = ServiceManager.of_environment(systemd.environment)
    assert manager is not None
    assert manager.tell("READY=1", "STATUS=x")
    assert systemd.read() == ["READY=1", "STATUS=x"]
    manager.close()
    systemd.close()


def test_nobody_at_the_socket_is_no_error(folder: Path) -> None:
    manager = ServiceManager.of_environment({"NOTIFY_SOCKET": str(folder / "nobody")})
    assert manager is not None
    assert not manager.tell("READY=1")
    manager.close()


# Kept informed


async def test_from_the_first_message_to_the_last(systemd: Systemd) -> None:
    down = ["bay1 (no device)"]
    heard: list[list[str]] = []

    def has_heard(count: int) -> bool:
        heard.extend(systemd.heard())
        return len(heard) >= count

    async with kept_informed(lambda: down, {**systemd.environment, "WATCHDOG_USEC": "100000000"}):
        await eventually(lambda: has_heard(1), "the first message")
        down.clear()
        await eventually(lambda: has_heard(2), "the second message")
    assert has_heard(3)
    assert heard == [
        ["STATUS=not open: bay1 (no device)", "WATCHDOG=1"],
        ["READY=1", "STATUS=all lines are open"],
        ["STOPPING=1", "STATUS=ending"],
    ]


async def test_the_watchdog_is_fed_again_and_again(systemd: Systemd) -> None:
    fed: list[str] = []

    def has_been_fed(times: int) -> bool:
        fed.extend(field for fields in systemd.heard() for field in fields if field == "WATCHDOG=1")
        return len(fed) >= times

    async with kept_informed(list, {**systemd.environment, "WATCHDOG_USEC": "20000"}):
        await eventually(lambda: has_been_fed(5), "five times")


@pytest.mark.wire
def test_the_program_tells_when_its_line_opens(
    folder: Path, systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", systemd.environment["NOTIFY_SOCKET"])
    with Pty() as adapter:
        device = folder / "adapter"
        file = folder / "bridge.toml"
        text = (
            toml.service(status_socket=f"{folder}/s", gpio="none")
            + toml.server()
            + toml.line("bay", device)
            + toml.outstation("a", 1, "bay")
        )
        file.write_text(text, encoding="utf-8")
        with Program("run", "-c", str(file)) as program:
            (first,) = systemd.read()
            assert first.startswith("STATUS=not open: bay (no such device")
            device.symlink_to(adapter.device)
            assert systemd.read_until("READY=1")[-2:] == ["READY=1", "STATUS=all lines are open"]
            program.signal(signal.SIGTERM)
            assert systemd.read() == ["STOPPING=1", "STATUS=ending"]
            assert program.wait() == 0
