"""One soak run: faults in the order that the seed gives, the checks after each, and those at the end."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import count as counting
from itertools import islice
from pathlib import Path

from tests.soak import faults_of_hosts, faults_of_masters, faults_of_rtus
from tests.soak.faults_judge import Judge
from tests.soak.faults_report import KindRecord, Report
from tests.soak.faults_scene import KINDS, Kind, Scene, cast
from tests.soak.faults_site import BUSY_S, STOP_S, Site, running

KIND_MODULES = (faults_of_masters, faults_of_rtus, faults_of_hosts)
"""Importing them has filled KINDS."""

_FAULT_LIMIT_S = 60.0
_MOST_VIOLATIONS = 50
_FEWEST_FOR_MEMORY = 40
_MEMORY_TOLERANCE_KIB = 2048
"""A session that is not let go of costs 6 KiB (its read buffer of 2 KiB, framer, timers, counters), and a run
of a thousand faults makes several thousand sessions: such a leak is 20 MiB. The allocator's arenas of 1 MiB,
which come and go with floods, are no leak: two of them are allowed."""
_EXPECTED_WARNINGS = frozenset(
    {
        "babble",
        "connection refused",
        "control dropped",
        "does not answer",
        "frame dropped",
        "line down",
        "log lines dropped",
        "octets discarded",
        "request abandoned",
    }
)


def plan(seed: str) -> Iterator[Kind]:
    """Return the kinds of faults in order, without end: round by round, each kind once, shuffled."""
    for number in counting():
        kinds = KINDS.of_round(number)
        yield from random.Random(f"{seed}/round {number}").sample(kinds, len(kinds))


async def run(
    directory: Path,
    *,
    seed: str,
    count: int,
    only: int | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Report:
    """Make `count` faults, or the one with the number `only`, and return what came of it."""
    begun_s = time.monotonic()
    judge = Judge()
    loop, this = asyncio.get_running_loop(), asyncio.current_task()
    assert this is not None
    # The bridge must not outlive this program; and what fails in a callback here must not go unnoticed.
    loop.add_signal_handler(signal.SIGTERM, this.cancel)
    loop.set_exception_handler(
        lambda _, context: judge.accuse("this program failed", f"{context.get('exception')!r}")
    )
    report = Report(seed)
    chosen = list(enumerate(islice(plan(seed), count if only is None else only), 1))
    if only is not None:
        chosen = chosen[-1:]
    async with running(directory, judge) as site:
        await site.fresh()
        report.before = site.vitals()
        memory = await _make_faults(site, report, seed, chosen, say)
        judge.fault = 0
        await _check_the_end(site, report, memory)
    report.violations = judge.violations
    report.seen = judge.seen
    report.gone_s = site.gone_s
    report.took_s = time.monotonic() - begun_s
    return report


async def _make_faults(
    site: Site, report: Report, seed: str, chosen: list[tuple[int, Kind]], say: Callable[[str], None]
) -> list[int]:
    """Make the faults; return the bridge's memory after each, in KiB."""
    memory = []
    counters = await site.counters()
    for number, kind in chosen:
        site.judge.fault = number
        known = len(site.judge.violations)
        dice = random.Random(f"{seed}/{number}")
        (scene,) = cast(site, dice, 1)
        record = report.kinds.setdefault(kind.name, KindRecord())
        await _make_one(kind, scene)
        if scene.skipped:
            record.skipped = scene.skipped
            continue
        record.times += 1
        record.recovery_s.append(await site.fresh())
        before, counters = counters, await site.counters()
        record.effects += counters - before
        memory.append(site.vitals().rss_kib)
        for violation in site.judge.violations[known:]:
            say(f"{violation} ({kind.name}, {scene.master.name}, RTU {scene.rtu.address})")
        if len(site.judge.violations) > _MOST_VIOLATIONS:
            say("too many violations: no more faults")
            break
        if number % 50 == 0:
            say(f"{number} faults, {len(site.judge.violations)} violations, {memory[-1]} KiB")
    return memory


async def _make_one(kind: Kind, scene: Scene) -> None:
    try:
        async with asyncio.timeout(_FAULT_LIMIT_S):
            await kind.act(scene)
    except (OSError, TimeoutError, AssertionError) as error:
        scene.site.judge.accuse("fault failed", f"{kind.name}: {error!r}")


async def _check_the_end(site: Site, report: Report, memory: list[int]) -> None:
    await site.settle()
    await site.fresh()
    await _check_vitals(site, report, memory)
    for master in site.masters:
        await master.stop()
    await _check_books(site, report)
    for master in site.masters:
        master.start()
    await site.fresh()
    await _check_stop(site, report)
    _check_log(site)


async def _check_vitals(site: Site, report: Report, memory: list[int]) -> None:
    before = report.before
    assert before is not None

    async def is_as_before() -> bool:
        now = report.after = site.vitals()
        return now.descriptors <= before.descriptors and now.threads <= before.threads

    # Threads that open ports, and status clients that hang, end within seconds.
    await site.until(is_as_before, f"descriptors and threads as before: {before}, now {site.vitals()}")
    if len(memory) < _FEWEST_FOR_MEMORY:
        report.notes.append(f"memory: not judged, {len(memory)} faults are too few")
        return
    fifth = len(memory) // 5
    report.rss_warm_kib = statistics.median(memory[fifth : 2 * fifth])
    report.rss_end_kib = statistics.median(memory[-fifth:])
    if report.rss_end_kib > report.rss_warm_kib + _MEMORY_TOLERANCE_KIB:
        site.judge.accuse(
            "memory", f"{report.rss_warm_kib:.0f} KiB warm, {report.rss_end_kib:.0f} KiB at the end"
        )


async def _check_books(site: Site, report: Report) -> None:
    """With nobody connected and nothing waiting: every frame that came in went out or was dropped."""

    async def is_idle() -> bool:
        status = await site.status()
        sessions = [session for server in status["servers"] for session in server["sessions"]]
        return not sessions and not any(line["waiting_frames"] for line in status["lines"])

    await site.until(is_idle, "nobody connected, nothing waiting")
    balance = None

    async def is_balanced() -> bool:
        nonlocal balance
        balance = _books(await site.status(), site.extra_copies)
        return balance[0] == balance[1]

    # The last exchanges may take their response timeouts.
    await site.until(is_balanced, "the counters balance", within_s=BUSY_S)
    assert balance is not None
    report.balance = f"{balance[0]} frames in, {balance[1]} delivered or dropped with a reason"
    if balance[0] != balance[1]:
        site.judge.accuse("unbalanced", report.balance)


def _books(status: dict[str, list[dict[str, object]]], copies: int) -> tuple[int, int]:
    def total(where: str, what: str) -> int:
        return sum(int(str(entry[what])) for entry in status[where])

    def dropped(where: str) -> int:
        drops = [entry["drops"] for entry in status[where]]
        return sum(sum(each.values()) for each in drops if isinstance(each, dict))

    came = total("servers", "frames_received") + copies + total("lines", "frames_heard")
    went = total("outstations", "frames_from_master") + total("outstations", "frames_to_master")
    return came, went + sum(map(dropped, ("servers", "lines", "outstations")))


async def _check_stop(site: Site, report: Report) -> None:
    """End it as systemd does, while everybody talks."""
    begun_s = time.monotonic()
    stopping = asyncio.create_task(asyncio.to_thread(site.process.stop))
    while os.path.exists(f"/proc/{site.pid}") and not stopping.done():
        await asyncio.sleep(0.01)
    report.stopped_s = time.monotonic() - begun_s
    try:
        await stopping
    except AssertionError as error:
        site.judge.accuse("end", str(error)[:2000])
    if report.stopped_s > STOP_S:
        site.judge.accuse("end", f"{report.stopped_s:.1f} s after SIGTERM")


def _check_log(site: Site) -> None:
    for event in site.process.events():
        level = str(event["level"]).lower()
        if level in ("error", "critical") or (
            level == "warning" and event["event"] not in _EXPECTED_WARNINGS
        ):
            site.judge.accuse("log", str(event))
