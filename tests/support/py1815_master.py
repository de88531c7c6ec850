"""py1815's master, another third party's, in the words of `tests.support.plants`.

Importing this skips the importing test module where py1815 is not there (`tests.support.peers`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from tests.support import peers
from tests.support.plants import Reading

py1815 = peers.require_module("py1815")
master_module = peers.require_module("py1815.master")
_tasks = peers.require_module("py1815.master.tasks")
_decode = peers.require_module("py1815.decode")

FunctionCode = py1815.FunctionCode
LAYOUTS = frozenset(_decode.LAYOUTS)
"""The objects that it can take apart, by group and variation."""
COMPLETE = "complete"
_HOST = "127.0.0.1"
_NO_TASKS = {
    "startup": False,
    "clear_restart": False,
    "write_time": False,
    "events_when_indicated": False,
    "integrity_on_overflow": False,
}


@asynccontextmanager
async def connected(
    port: int,
    *,
    response_timeout_s: float,
    outstation: int = 1024,
    read_retries: int = 0,
    has_tasks: bool = False,
) -> AsyncIterator[Any]:
    """Yield a master's outstation, connected. Without tasks it sends nothing by itself."""
    tasks = _tasks.Tasks() if has_tasks else _tasks.Tasks(**_NO_TASKS)
    async with master_module.Master() as master:
        yield await master.add(
            "outstation",
            host=_HOST,
            port=port,
            outstation_address=outstation,
            master_address=1,
            response_timeout=response_timeout_s,
            read_retries=read_retries,
            reconnect=None,
            tasks=tasks,
        )


def outcome(exchange: Any) -> str:
    """Return how an exchange ended: "complete", "timeout", "sent"."""
    name: str = exchange.outcome.value
    return name


def readings(objects: Iterable[Any]) -> list[Reading]:
    """Return what it understood of a response's objects; common times and the like left out."""
    return [
        Reading(each.group, each.variation, each.index, each.value, each.flags, each.time_ms)
        for each in objects
        if each.index is not None
    ]
