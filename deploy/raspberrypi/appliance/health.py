"""Whether all is as it was before the update: the bridge is ready, the network is up, the lines are open."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final

from .trial import HOLD_S, LIMIT_S, Expected

_BRIDGE: Final = "rtu-bridge.service"
_LIMIT_S: Final = 10


@dataclass(frozen=True, slots=True)
class Observation:
    """What is seen at one time. `lines_up` is None when the bridge does not tell its status."""

    is_bridge_ready: bool
    restarts: int
    is_network_up: bool
    lines_up: frozenset[str] | None
    lines: frozenset[str] = frozenset()


class Verdict(Enum):
    """What to do about a trial."""

    WAIT = "wait"
    COMMIT = "commit"
    REVERT = "revert"


class Watch:
    """Judges a trial: all must be well for some time without a break, before its time is over."""

    def __init__(
        self, expected: Expected | None, now: float, *, hold_s: float = HOLD_S, limit_s: float = LIMIT_S
    ) -> None:
        """`expected` is None when nothing is known of before: then all that is configured must be well."""
        self._expected = expected
        self._hold_s = hold_s
        self._ends_at = now + limit_s
        self._well_since: float | None = None
        self._restarts: int | None = None
        self.missing = "nothing was seen yet"

    def judge(self, seen: Observation, now: float) -> Verdict:
        """Return what to do now; `missing` says then what is not well."""
        self.missing = "; ".join(self._faults(seen))
        if self.missing:
            self._well_since = None
        elif self._well_since is None:
            self._well_since = now
        self._restarts = seen.restarts
        if self._well_since is not None and now - self._well_since >= self._hold_s:
            return Verdict.COMMIT
        return Verdict.REVERT if now >= self._ends_at else Verdict.WAIT

    def _faults(self, seen: Observation) -> list[str]:
        expected = self._expected or Expected(lines_up=seen.lines)
        faults = []
        if expected.is_bridge_ready and not seen.is_bridge_ready:
            faults.append("the bridge is not ready")
        elif expected.is_bridge_ready and self._restarts not in (None, seen.restarts):
            faults.append("the bridge was restarted")
        if expected.is_network_up and not seen.is_network_up:
            faults.append("the network is not up")
        if expected.is_bridge_ready and seen.lines_up is None:
            faults.append("the bridge does not tell its status")
        elif closed := sorted(expected.lines_up - (seen.lines_up or frozenset())):
            faults.append(f"not open: {', '.join(closed)}")
        return faults


def expected_of(seen: Observation) -> Expected:
    """Return what an update has to bring back."""
    return Expected(seen.is_bridge_ready, seen.is_network_up, seen.lines_up or frozenset())


def observe(configuration: Path, netif_state: Path) -> Observation:
    """Look at the running system. Raises nothing."""
    properties = _properties()
    is_ready = properties.get("ActiveState") == "active"
    lines = _status(configuration) if is_ready else None
    restarts = properties.get("NRestarts", "")
    return Observation(
        is_bridge_ready=is_ready,
        restarts=int(restarts) if restarts.isdecimal() else 0,
        is_network_up=_is_routable(netif_state),
        lines_up=None if lines is None else frozenset(name for name, is_up in lines.items() if is_up),
        lines=frozenset(lines or ()),
    )


def _properties() -> dict[str, str]:
    command = ["systemctl", "show", _BRIDGE, "--property=ActiveState,NRestarts"]
    try:
        text = subprocess.run(command, check=True, capture_output=True, text=True, timeout=_LIMIT_S).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def _status(configuration: Path) -> dict[str, bool] | None:
    """Return which lines are open by the bridge's status, None if it does not tell."""
    from bridge.endpoints.status import fetch
    from bridge.service.configuration.config import load
    from hw.board import DEFAULT_BOARD

    try:
        path = load(configuration, DEFAULT_BOARD.led_pins).service.status_socket
        return lines_of(fetch(path))
    except Exception:
        # The program that is judged may answer anything.
        return None


def lines_of(snapshot: dict[str, Any]) -> dict[str, bool]:
    """Return which lines are open. Raises KeyError or TypeError for what is no status."""
    return {str(line["name"]): line["is_up"] is True for line in snapshot["lines"]}


def _is_routable(state: Path) -> bool:
    """Return whether an interface has an address that others can reach (systemd-networkd's own word)."""
    try:
        text = state.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return "OPER_STATE=routable" in text.splitlines()


def watched(
    watch: Watch, look: Callable[[], Observation], clock: Callable[[], float], pause: Callable[[], None]
) -> Verdict:
    """Look until there is a verdict."""
    while True:
        verdict = watch.judge(look(), clock())
        if verdict is not Verdict.WAIT:
            return verdict
        pause()
