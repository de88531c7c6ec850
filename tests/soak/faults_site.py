"""The site of the soak run: one bridge process, five lines, and masters that share and do not share them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.bench import Bench
from tests.soak.faults_judge import REQUEST_TTL_S, Judge
from tests.soak.faults_masters import SoakMaster
from tests.soak.faults_rtus import SoakLine, SoakRtu
from tests.support.bridge_process import BridgeProcess

HALF_OPEN_TIMEOUT_S = 4
SEND_STALL_S = 1.0
RESPONSE_TIMEOUT_S = 0.3
EXCHANGE_LIMIT_S = 1.5
GENEROUS = 2
"""A peer must be gone within so many times its limit, and what a busy machine takes."""
BUSY_S = 3.0
RECOVERY_S = 15.0
STOP_S = 2.0
"""How soon the program ends after SIGTERM: the requirement."""
_PAUSE_S = 0.01

LINES: dict[str, tuple[tuple[int, ...], int | None]] = {
    "a": ((10, 11, 12, 13), None),
    "b": ((20, 21, 22), None),
    "c": ((30, 31), 115200),
    "d": ((40,), None),
    "e": ((50,), 115200),
}
"""By line: link addresses of its RTUs, and the baud rate of its wire; None takes no time."""

MASTERS: dict[str, tuple[str, int, tuple[int, ...], str]] = {
    "one": ("127.0.1.1", 1, (10, 20), "main"),
    "two": ("127.0.1.2", 2, (11, 30), "main"),
    "three": ("127.0.1.3", 3, (21, 31), "main"),
    "four": ("127.0.1.4", 4, (12,), "main"),
    "alone": ("127.0.1.5", 5, (40,), "main"),
    "strict": ("127.0.1.6", 6, (50,), "strict"),
    "victim-1": ("127.0.1.7", 7, (22,), "main"),
    "victim-2": ("127.0.1.8", 8, (13,), "main"),
}
"""By name: IP address, link address, its RTUs, and its server."""
STRANGER = "127.0.9.9"
"""An IP address that no filter accepts."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """What the bridge's process has, from /proc."""

    descriptors: int
    threads: int
    rss_kib: int


class Site:
    """Everything together, running."""

    def __init__(self, judge: Judge, lines: dict[str, SoakLine], masters: list[SoakMaster]) -> None:
        self.judge = judge
        self.lines = lines
        self.masters = masters
        self.rtus = {rtu.address: rtu for line in lines.values() for rtu in line.rtus}
        self.process: BridgeProcess
        self.status_path = ""
        self.lingering: set[asyncio.Task[None]] = set()
        """What goes on while other faults are made: peers that will be gone, in time."""
        self.gone_s: dict[str, list[float]] = {"half_open": [], "send_stalled": []}
        """How long peers were there that had to go."""
        self.extra_copies = 0
        """Broadcasts reach several lines: frames that go out more often than they came in."""

    @property
    def polling(self) -> list[SoakMaster]:
        """The masters that should have answers now."""
        return [master for master in self.masters if not master.is_away]

    @property
    def regulars(self) -> list[SoakMaster]:
        """The masters that no fault makes vanish."""
        return [master for master in self.masters if not master.name.startswith("victim")]

    async def status(self) -> dict[str, Any]:
        """Return what the status socket says."""
        async with asyncio.timeout(BUSY_S * 2):
            reader, writer = await asyncio.open_unix_connection(self.status_path, limit=1 << 24)
            try:
                return dict(json.loads(await reader.read()))
            finally:
                writer.close()

    async def peers(self) -> set[str]:
        """Return the sessions that the bridge has, as "address:port"."""
        status = await self.status()
        return {session["peer"] for server in status["servers"] for session in server["sessions"]}

    async def counters(self) -> Counter[str]:
        """Return the site's counters, summed up by what they count."""
        return counters_of(await self.status())

    async def until(
        self,
        condition: Callable[[], Awaitable[bool]],
        what: str,
        *,
        within_s: float = RECOVERY_S,
        pause_s: float = _PAUSE_S,
    ) -> bool:
        """Wait until it is so; if it is not in time accuse the bridge of it, and say False."""
        begun_s, fault = time.monotonic(), self.judge.fault
        while not await condition():
            passed_s = time.monotonic() - begun_s - self.judge.paused_since_s(begun_s)
            if passed_s > within_s:
                self.judge.accuse("not in time", f"not within {within_s:g} s: {what}", fault=fault)
                return False
            await asyncio.sleep(pause_s)
        return True

    async def fresh(self, masters: Iterable[SoakMaster] | None = None, since_s: float | None = None) -> float:
        """Wait until each master has an answer of each RTU to a request sent from now on; return how long."""
        begun_s = time.monotonic() if since_s is None else since_s
        chosen = list(self.polling if masters is None else masters)

        def missing() -> list[str]:
            return [
                f"{master.name} of {address}"
                for master in chosen
                for address in master.outstations
                if not master.is_away and master.fresh_s.get(address, 0.0) < begun_s
            ]

        deadline_s = begun_s + RECOVERY_S
        while missing() and time.monotonic() < deadline_s:
            await asyncio.sleep(_PAUSE_S)
        if missing():
            self.judge.accuse(
                "no recovery", f"no fresh answer within {RECOVERY_S:g} s: {', '.join(missing())}"
            )
        return time.monotonic() - begun_s

    # The process

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def vitals(self) -> Vitals:
        """Look at its process."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return Vitals(
            descriptors=len(os.listdir(f"/proc/{self.pid}/fd")),
            threads=_number(status, "Threads"),
            rss_kib=_number(status, "VmRSS"),
        )

    async def stop_for(self, seconds: float) -> None:
        """Stop the bridge's process as a debugger or a frozen machine does, and let it go on."""
        begun_s = time.monotonic()
        os.kill(self.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            os.kill(self.pid, signal.SIGCONT)
            self.judge.paused(begun_s, time.monotonic())

    async def settle(self) -> None:
        """Wait for what lingers."""
        while self.lingering:
            await asyncio.wait(self.lingering)


def _number(status: str, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+)", status, re.MULTILINE)
    assert found is not None, status
    return int(found[1])


def counters_of(status: dict[str, Any]) -> Counter[str]:
    """Sum a status document up by what its counters count."""
    counters: Counter[str] = Counter()

    def add(prefix: str, counts: dict[str, int]) -> None:
        for name, count in counts.items():
            counters[f"{prefix} {name}"] += count

    for server in status["servers"]:
        add("end", server["session_ends"])
        add("drop", server["drops"])
        add("tcp discard", server["discards"])
    for line in status["lines"]:
        add("drop", line["drops"])
        add("line discard", line["discards"])
        add("line", {"losses": line["losses"], "babbles": line["babbles"]})
    for outstation in status["outstations"]:
        add("drop", outstation["drops"])
        add("exchange", outstation["exchanges"])
    return counters


def configuration(directory: Path, lines: dict[str, SoakLine]) -> str:
    """Return the bridge's configuration file."""
    server = {
        "listen": "127.0.0.1:0",
        "half_open_timeout_s": HALF_OPEN_TIMEOUT_S,
        "send_stall_s": SEND_STALL_S,
        "frame_timeout_ms": 300,
    }
    tables: list[tuple[str, dict[str, object]]] = [
        (
            "[service]",
            {
                "status_socket": str(directory / "s"),
                "log_level": "info",
                "log_format": "json",
                "gpio": "none",
            },
        ),
        ("[server.main]", {**server, "link_error_mode": "discard"}),
        ("[server.strict]", {**server, "link_error_mode": "close"}),
    ]
    for name, line in lines.items():
        tables.append(
            (
                f"[line.{name}]",
                {
                    "device": str(line.wire.device),
                    "baud": 115200,
                    "response_timeout_ms": round(RESPONSE_TIMEOUT_S * 1000),
                    "frame_timeout_ms": 60,
                    "request_ttl_ms": round(REQUEST_TTL_S * 1000),
                    "control_ttl_ms": round(REQUEST_TTL_S * 1000),
                    "exchange_limit_ms": round(EXCHANGE_LIMIT_S * 1000),
                    "babble_ms": 400,
                    "broadcast_dead_time_ms": 30,
                    "when_down": "close" if name == "e" else "hold",
                },
            )
        )
    for ip, _, addresses, server_name in MASTERS.values():
        for address in addresses:
            line_name = next(name for name, (on_it, _) in LINES.items() if address in on_it)
            tables.append(
                (
                    "[[outstation]]",
                    {
                        "name": f"rtu-{address}",
                        "server": server_name,
                        "masters": [ip],
                        "line": line_name,
                        "link_address": address,
                    },
                )
            )
    return "\n".join(
        "\n".join([title, *(f"{key} = {json.dumps(value)}" for key, value in table.items()), ""])
        for title, table in tables
    )


@asynccontextmanager
async def running(directory: Path, judge: Judge) -> AsyncIterator[Site]:
    """Run the site for the block; the bridge is killed at its end if it still runs."""
    with Bench() as bench:
        lines = {
            name: SoakLine(name, addresses, judge, bench, directory / f"line-{name}", baud)
            for name, (addresses, baud) in LINES.items()
        }
        with contextlib.ExitStack() as stack:
            for line in lines.values():
                stack.enter_context(line.wire)
            rtus: dict[int, SoakRtu] = {rtu.address: rtu for line in lines.values() for rtu in line.rtus}
            masters = [
                SoakMaster(name, ip, link_address, [rtus[address] for address in addresses], judge, server)
                for name, (ip, link_address, addresses, server) in MASTERS.items()
            ]
            site = Site(judge, lines, masters)
            site.process = BridgeProcess(directory, configuration(directory, lines))
            site.status_path = str(directory / "s")
            try:
                await asyncio.to_thread(site.process.wait_until_listening)
                await asyncio.to_thread(site.process.wait_until_lines_are_up)
                await _begin(site)
                yield site
            finally:
                site.process.kill()
                for task in site.lingering:
                    task.cancel()
                for master in masters:
                    with contextlib.suppress(Exception):
                        await master.stop()
                for rtu in rtus.values():
                    await rtu.close()


async def _begin(site: Site) -> None:
    ports = {
        server["name"]: int(server["listen"].rpartition(":")[2])
        for server in (await site.status())["servers"]
    }
    for rtu in site.rtus.values():
        rtu.open()
    for master in site.masters:
        master.port = ports[master.server]
        master.start()
