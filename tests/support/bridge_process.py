"""The real program as a subprocess: `python -m bridge run -c FILE`, on ptys and loopback only."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge.endpoints.status import fetch
from tests.support.repository import ROOT
from tests.support.toml import table
from tests.support.waiting import PATIENCE_S, until

HOST = "127.0.0.1"
_ALARMING = ("traceback", "exception", "resourcewarning", "never retrieved", "never awaited")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One server, one line, and on it an outstation "rtu-N" for each link address N.

    They share the session of one master, this machine, unless `masters` gives some to others by IP address.
    """

    device: str | Path
    addresses: tuple[int, ...] = (10,)
    masters: Mapping[int, str] = field(default_factory=dict)
    link_error_mode: str = "discard"
    server: Mapping[str, object] = field(default_factory=dict)
    line: Mapping[str, object] = field(default_factory=dict)

    def toml(self, status_socket: Path) -> str:
        """Return the configuration file."""
        service = {
            "status_socket": str(status_socket),
            "log_level": "debug",
            "log_format": "json",
            "gpio": "none",
        }
        server = {"listen": f"{HOST}:0", "link_error_mode": self.link_error_mode, **self.server}
        line = {"device": str(self.device), "baud": 115200, **self.line}
        outstations = [
            {
                "name": f"rtu-{address}",
                "server": "main",
                "masters": [self.masters.get(address, HOST)],
                "line": "bay",
                "link_address": address,
            }
            for address in self.addresses
        ]
        tables = [("[service]", service), ("[server.main]", server), ("[line.bay]", line)]
        tables += [("[[outstation]]", outstation) for outstation in outstations]
        return "\n".join(table(title, **values) for title, values in tables)


class BridgeProcess:
    """A running bridge. `running` makes one."""

    def __init__(self, directory: Path, configuration: str) -> None:
        """Start the program in `directory`, which must have a short path: a socket's name is in it."""
        self._socket = directory / "s"
        self._log = directory / "log"
        config = directory / "c.toml"
        config.write_text(configuration, encoding="utf-8")
        command = [sys.executable, "-W", "always::ResourceWarning", "-m", "bridge", "run", "-c", str(config)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def log(self) -> str:
        """Everything that it printed so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def port(self) -> int:
        """The TCP port that it listens on."""
        return int(self.server()["listen"].rpartition(":")[2])

    def events(self, *names: str) -> list[dict[str, Any]]:
        """Return the log's events so far, or those of the names given, in order."""
        lines = self.log.splitlines()
        if lines and not self.log.endswith("\n"):
            lines.pop()
        events = [json.loads(line) for line in lines]
        return [event for event in events if not names or event["event"] in names]

    def wait_for_events(self, *names: str, expected: list[str]) -> list[dict[str, Any]]:
        """Wait until the log's events of these names are as expected, and return them.

        The log lags behind the status, for the program writes it when it has nothing better to do.
        """
        until(
            lambda: [event["event"] for event in self.events(*names)] == expected,
            f"the log has {expected}",
        )
        return self.events(*names)

    def status(self) -> dict[str, Any]:
        """Return what the status socket says."""
        return fetch(str(self._socket))

    def server(self) -> dict[str, Any]:
        """Return the status of the one server."""
        (server,) = self.status()["servers"]
        return server

    def line(self) -> dict[str, Any]:
        """Return the status of the one line."""
        (line,) = self.status()["lines"]
        return line

    def outstation(self, address: int) -> dict[str, Any]:
        """Return the status of one outstation."""
        return next(o for o in self.status()["outstations"] if o["link_address"] == address)

    def wait_until_listening(self) -> None:
        """Wait until it has bound its ports; the status socket is the last thing it opens."""
        until(self._is_listening, "the bridge listens")

    def wait_until_lines_are_up(self) -> None:
        """Wait until every line's port is open."""
        until(lambda: all(line["is_up"] for line in self.status()["lines"]), "every line is up")

    def stop(self) -> None:
        """End it as systemd does, and check that it went in peace."""
        self._process.terminate()
        try:
            status = self._process.wait(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still running {PATIENCE_S:g} s after SIGTERM\n{self.log}") from None
        assert status == 0, f"exit status {status}\n{self.log}"
        assert not self._socket.exists(), "left its status socket behind"
        alarms = [line for line in self.log.splitlines() if any(word in line.lower() for word in _ALARMING)]
        assert not alarms, f"{alarms}\n{self.log}"
        assert self.events(), "logged nothing"  # also: every line is an event, nothing else was printed

    def kill(self) -> None:
        """End it in any case."""
        self._process.kill()
        self._process.wait()

    def _is_listening(self) -> bool:
        assert self._process.poll() is None, f"ended with {self._process.returncode}\n{self.log}"
        try:
            return bool(self.status())
        except (FileNotFoundError, ConnectionRefusedError):
            return False


@contextmanager
def running(
    directory: Path, configuration: Site | str, *, wait_for_lines: bool = True
) -> Iterator[BridgeProcess]:
    """Run a bridge for the block and check its end; when the block fails, its log is printed."""
    text = configuration.toml(directory / "s") if isinstance(configuration, Site) else configuration
    bridge = BridgeProcess(directory, text)
    try:
        bridge.wait_until_listening()
        if wait_for_lines:
            bridge.wait_until_lines_are_up()
        yield bridge
    except BaseException:
        bridge.kill()
        print(bridge.log)
        raise
    bridge.stop()
