"""Where the program keeps what is not in the configuration."""

from __future__ import annotations

import os
from pathlib import Path

_SYSTEM = Path("/run/rtu-bridge")


def default_capture_folder() -> str | None:
    """Return where recordings are kept if the configuration names no folder: the service's, else nowhere.

    systemd names the folder that it keeps for the service.
    """
    state = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return str(Path(state) / "captures") if state.startswith("/") else None


def default_status_socket() -> str:
    """Return the path of the status socket of this user's bridge.

    Under /run for the service (systemd makes the folder) and for root, else in the user's own runtime folder,
    so that `rtu-bridge status` finds the bridge that the same user runs.
    """
    if os.access(_SYSTEM if _SYSTEM.exists() else _SYSTEM.parent, os.W_OK):
        folder = _SYSTEM
    elif runtime := os.environ.get("XDG_RUNTIME_DIR"):
        folder = Path(runtime) / "rtu-bridge"
    else:
        folder = Path(f"/tmp/rtu-bridge-{os.getuid()}")
    return str(folder / "status.sock")
