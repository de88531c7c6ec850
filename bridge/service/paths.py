"""Where the program keeps what is not in the configuration."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

SYSTEM_CONFIGURATION: Final = "/etc/rtu-bridge/bridge.toml"
"""That of the service."""

_SYSTEM = Path("/run/rtu-bridge")
_SOCKET = "status.sock"
_PROBLEMS = "configuration-error"
_MOST_PROBLEMS = 100
_LONGEST_OCTETS = 64 * 1024


def default_capture_folder() -> str | None:
    """Return where recordings are kept if the configuration names no folder: the service's, else nowhere.

    systemd names the folder that it keeps for the service.
    """
    state = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return str(Path(state) / "captures") if state.startswith("/") else None


def default_status_socket() -> str:
    """Return the path of the status socket of the bridge that this user runs.

    Under /run for the service (systemd makes the folder) and for root, else in the user's own runtime folder.
    """
    is_ours = os.access(_SYSTEM if _SYSTEM.exists() else _SYSTEM.parent, os.W_OK)
    return str((_SYSTEM if is_ours else _own_folder()) / _SOCKET)


def status_socket_to_ask() -> str:
    """Return the path of the status socket to ask: of the bridge that this user runs, else of the service."""
    own, service = Path(default_status_socket()), _SYSTEM / _SOCKET
    return str(service if not own.exists() and service.exists() else own)


def configuration_problems(configuration: str) -> tuple[str, ...]:
    """Return what is wrong with the configuration that somebody brought, while an older one is in force.

    The appliance writes it beside the one in force, of which `configuration` is the path. Empty where nothing
    of the kind is there.
    """
    try:
        # Of a link to where there is nothing as well: that is an appliance without a configuration.
        with Path(configuration).resolve().with_name(_PROBLEMS).open("rb") as file:
            text = file.read(_LONGEST_OCTETS).decode("utf-8", errors="replace")
    except (OSError, RuntimeError, ValueError):
        return ()
    return tuple(line for line in text.splitlines()[:_MOST_PROBLEMS] if line.strip())


def _own_folder() -> Path:
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(runtime) / "rtu-bridge"
    return Path(f"/tmp/rtu-bridge-{os.getuid()}")
