"""Why there is no status, in words."""

from __future__ import annotations

from typing import Final

NO_STATUS: Final = (OSError, ValueError, RecursionError)
"""What asking a bridge for its status raises when there is none to show."""


def reason_of(error: BaseException) -> str:
    """Say why there is no status."""
    reason = getattr(error, "strerror", None) or str(error)
    if isinstance(error, PermissionError):
        return f"{reason}; ask with sudo, or as the user that runs the bridge"
    return reason


def problem_of(error: BaseException) -> str:
    """Say what follows from that of the bridge."""
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        return f"not running: {reason_of(error)}"
    return f"no status: {reason_of(error)}"
