"""`rtu-bridge run` as a subprocess, for tests that want the real program."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bridge.endpoints.status import fetch

PATIENCE_S = 30.0
"""How long anything may take on a busy machine; usually it is a fraction of a second."""
_PAUSE_S = 0.01
_HEADER = re.compile(r"^[ \t]*\[[ \t]*service[ \t]*\][^\n]*$", re.MULTILINE)
_SOCKET = re.compile(r"^[ \t]*status_socket[ \t]*=[^\n]*$", re.MULTILINE)


class BridgeProcess:
    """A running bridge with a status socket of its own. `start` it, and `stop` it."""

    def __init__(self, configuration: str | Path) -> None:
        """Take a configuration's text, or the path of its file. ValueError when it is no TOML."""
        text = configuration.read_text(encoding="utf-8") if isinstance(configuration, Path) else configuration
        # Not under pytest's folders: a socket's path has room for 107 octets.
        self._folder = Path(tempfile.mkdtemp(prefix="rtu-bridge-"))
        self._socket = self._folder / "status"
        self._log = self._folder / "log"
        self._configuration = self._folder / "bridge.toml"
        self._process: subprocess.Popen[bytes] | None = None
        self._last_log = ""
        try:
            self._configuration.write_text(with_status_socket(text, self._socket), encoding="utf-8")
        except ValueError:
            self._remove()
            raise

    def start(self) -> None:
        """Start it and wait until it listens. AssertionError, with its log, when it does not."""
        command = [sys.executable, "-m", "bridge", "run", "-c", str(self._configuration)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        # The status socket is the last thing that it opens.
        self.wait_until(lambda status: True, "the bridge listens")

    def status(self) -> dict[str, Any]:
        """Return what `rtu-bridge status --json` prints. OSError when it does not run."""
        return fetch(str(self._socket))

    def port(self, server: str | None = None) -> int:
        """Return the TCP port of a server by name, or of the only one. LookupError when there is none."""
        servers = {each["name"]: each["listen"] for each in self.status()["servers"]}
        if server is None and len(servers) == 1:
            (server,) = servers
        if server not in servers:
            raise LookupError(f"no server {server!r}; there is {', '.join(servers)}")
        return int(servers[server].rpartition(":")[2])

    def wait_until(self, condition: Callable[[dict[str, Any]], object], what: str) -> dict[str, Any]:
        """Wait until a condition on the status is true and return the status.

        AssertionError, saying `what` was missed, when the bridge ends or 30 seconds are over.
        """
        deadline_s = time.monotonic() + PATIENCE_S
        while True:
            is_last = time.monotonic() >= deadline_s
            try:
                status = self.status()
            except (FileNotFoundError, ConnectionError):
                status = None
            if status is not None and condition(status):
                return status
            code = None if self._process is None else self._process.poll()
            assert code is None, f"ended with exit status {code} before {what}\n{self.log}"
            assert not is_last, f"not within {PATIENCE_S:g} s: {what}\n{self.log}"
            time.sleep(_PAUSE_S)

    def wait_for_lines(self) -> None:
        """Wait until every line's port is open."""
        self.wait_until(lambda status: all(line["is_up"] for line in status["lines"]), "every line is up")

    @property
    def log(self) -> str:
        """Everything that it printed so far."""
        if self._log.exists():
            self._last_log = self._log.read_text(encoding="utf-8", errors="replace")
        return self._last_log

    def stop(self) -> None:
        """End it as systemd does. AssertionError when it had ended before, or does not end in peace."""
        process, self._process = self._process, None
        try:
            if process is not None:
                _end_in_peace(process, lambda: self.log)
        finally:
            self._remove()

    def kill(self) -> None:
        """End it as a loss of power would; `stop` has nothing to say then."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
        self._remove()

    def _remove(self) -> None:
        _ = self.log
        shutil.rmtree(self._folder, ignore_errors=True)


def _end_in_peace(process: subprocess.Popen[bytes], log: Callable[[], str]) -> None:
    code = process.poll()
    assert code is None, f"the bridge had ended before, with exit status {code}\n{log()}"
    process.terminate()
    try:
        code = process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise AssertionError(f"still running {PATIENCE_S:g} s after SIGTERM\n{log()}") from None
    assert code == 0, f"exit status {code}\n{log()}"
    assert "Traceback" not in log(), log()


def with_status_socket(configuration: str, socket: Path) -> str:
    """Return a configuration's text with another status socket. ValueError when it is no TOML."""
    tomllib.loads(configuration)
    setting = f"status_socket = {json.dumps(str(socket))}"
    header = _HEADER.search(configuration)
    if header is None:
        changed = f"{configuration}\n[service]\n{setting}\n"
    else:
        begin = header.end()
        table = re.search(r"^[ \t]*\[", configuration[begin:], re.MULTILINE)
        end = len(configuration) if table is None else begin + table.start()
        service = _SOCKET.sub("", configuration[begin:end])
        changed = f"{configuration[:begin]}\n{setting}{service}{configuration[end:]}"
    try:
        is_taken = tomllib.loads(changed)["service"]["status_socket"] == str(socket)
    except tomllib.TOMLDecodeError:
        is_taken = False
    if not is_taken:
        raise ValueError("write the service's settings as a table, [service]: its status socket is replaced")
    return changed
