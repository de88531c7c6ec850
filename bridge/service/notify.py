"""What systemd is told of the program (sd_notify(3)): ready, alive, ending, and a line of status.

Without a NOTIFY_SOCKET in the environment, as anywhere but in a unit of Type=notify, nothing happens.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final, Self

from bridge.endpoints.hub import LineHub

GRACE_S: Final = 10.0
"""A line that is missing keeps the service from being ready no longer than this: the others are to work."""

_LOOK_S: Final = 0.25
"""How often the lines are looked at."""
_LONGEST_STATUS: Final = 200


class ServiceManager:
    """The socket to systemd."""

    def __init__(self, address: str, watchdog_s: float | None) -> None:
        """`address` is a path, or a name after "@"; `watchdog_s` is how long it may hear nothing."""
        self.watchdog_s = watchdog_s
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)

    @classmethod
    def of_environment(cls, environment: Mapping[str, str]) -> Self | None:
        """Return what the environment names, None if it names none that can be used."""
        address = environment.get("NOTIFY_SOCKET", "")
        if not address.startswith(("/", "@")) or len(address) < 2:
            return None
        return cls(address, _watchdog_s(environment))

    def tell(self, *fields: str) -> bool:
        """Send fields such as "READY=1" as one message; False if that was not possible now."""
        try:
            self._socket.sendto("\n".join(fields).encode(), self._address)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    # The id says for whom it is: a shell between us and systemd hands the environment on.
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    text = environment.get("WATCHDOG_USEC", "")
    return int(text) / 1e6 if text.isdecimal() and int(text) > 0 else None


class Announcement:
    """What is to be told when. `due`, then `told` if it was sent; what was not is due again."""

    def __init__(self, now: float, *, grace_s: float = GRACE_S, watchdog_s: float | None = None) -> None:
        self._ready_at = now + grace_s
        self._interval_s = None if watchdog_s is None else watchdog_s / 2
        self._alive_at = now
        self._is_ready = False
        self._status: str | None = None

    def due(self, down: Sequence[str], now: float) -> list[str]:
        """Return the fields to send now; `down` are the lines that are not open, each with its reason."""
        fields = []
        if not self._is_ready and (not down or now >= self._ready_at):
            fields.append("READY=1")
        status = _status(down)
        if status != self._status:
            fields.append(f"STATUS={status}")
        if self._interval_s is not None and now >= self._alive_at:
            fields.append("WATCHDOG=1")
        return fields

    def told(self, fields: Sequence[str], now: float) -> None:
        """Take note of what was sent."""
        for field in fields:
            name, _, value = field.partition("=")
            if name == "READY":
                self._is_ready = True
            elif name == "STATUS":
                self._status = value
            elif self._interval_s is not None:
                self._alive_at = now + self._interval_s

    def pause_s(self, now: float) -> float:
        """Return how long there is nothing to do."""
        return _LOOK_S if self._interval_s is None else min(_LOOK_S, max(self._alive_at - now, 0.0))


def _status(down: Sequence[str]) -> str:
    if not down:
        return "all lines are open"
    # One field is one line, whatever a driver wrote into its reason.
    text = " ".join(f"not open: {', '.join(down)}".split())
    return text if len(text) <= _LONGEST_STATUS else f"{text[: _LONGEST_STATUS - 3]}..."


def lines_down(hubs: Iterable[LineHub]) -> list[str]:
    """Return the names of lines that are not open, with the reasons."""
    return [f"{hub.name} ({hub.line.reason})" for hub in hubs if not hub.line.is_open]


@asynccontextmanager
async def kept_informed(
    down: Callable[[], Sequence[str]], environment: Mapping[str, str] = os.environ
) -> AsyncIterator[None]:
    """Keep systemd informed for the block, whose end is that of the service.

    Enter it when the program listens. The watchdog is fed by the event loop itself: one that hangs is ended.
    """
    manager = ServiceManager.of_environment(environment)
    if manager is None:
        yield
        return
    informing = asyncio.create_task(_inform(manager, down))
    try:
        yield
    finally:
        informing.cancel()
        with suppress(asyncio.CancelledError):
            await informing
        manager.tell("STOPPING=1", "STATUS=ending")
        manager.close()


async def _inform(manager: ServiceManager, down: Callable[[], Sequence[str]]) -> None:
    loop = asyncio.get_running_loop()
    announcement = Announcement(loop.time(), watchdog_s=manager.watchdog_s)
    while True:
        now = loop.time()
        fields = announcement.due(down(), now)
        if fields and manager.tell(*fields):
            announcement.told(fields, now)
            await asyncio.sleep(announcement.pause_s(now))
        else:
            await asyncio.sleep(_LOOK_S)
