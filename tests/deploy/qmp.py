"""QEMU's machine protocol: one command at a time over a unix socket."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

_PATIENCE_S = 30.0


class Qmp:
    """A connection to a running QEMU."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_PATIENCE_S)
        self._socket.connect(str(path))
        self._file = self._socket.makefile("rwb")
        self._file.readline()  # the greeting
        self.command("qmp_capabilities")

    def command(self, name: str, **arguments: object) -> Any:
        """Run a command and return what it returns. Raises RuntimeError with QEMU's reason."""
        self._file.write(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")
        self._file.flush()
        while line := self._file.readline():
            answer = json.loads(line)
            if "error" in answer:
                raise RuntimeError(f"{name}: {answer['error']['desc']}")
            if "return" in answer:  # anything else is an event
                return answer["return"]
        raise RuntimeError(f"{name}: QEMU has ended")

    def monitor(self, line: str) -> str:
        """Run a command of the monitor for people and return what it prints."""
        return str(self.command("human-monitor-command", **{"command-line": line}))

    def close(self) -> None:
        """Close the connection."""
        self._file.close()
        self._socket.close()
