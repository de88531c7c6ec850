"""The figures of a soak, and how they are printed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tests.soak.masters_scada import DIRECT, INTEGRITY, POLLS, SBO, Action
from tests.soak.masters_trouble import Intrusions
from tests.soak.masters_wire import Selects

_LOOK_S = 0.005
_HEADS = ("master of", "polls", "lost", "integrity", "SBO", "lost", "direct", "lost", "p50", "p95", "longest")


@dataclass(slots=True)
class Figures:
    """What one phase came to."""

    phase: str
    seconds: float
    frames: int = 0
    busy_share: float = 0.0
    """The share of the time in which somebody spoke."""
    collisions: int = 0
    damaged_frames: int = 0
    pulls: int = 0
    selects: Selects = field(default_factory=lambda: Selects(0, 0))
    intrusions: Intrusions = field(default_factory=Intrusions)
    recovery_s: float | None = None
    actions: dict[int, list[Action]] = field(default_factory=dict)
    """By the RTU's link address."""
    stall_s: float = 0.0
    """The longest time that this program was kept from running: what a timeout is to be held against."""

    def watch(self, until_s: float) -> None:
        """Measure stalls until then."""
        while (now := time.monotonic()) < until_s:
            time.sleep(_LOOK_S)
            self.stall_s = max(self.stall_s, time.monotonic() - now - _LOOK_S)


@dataclass(slots=True)
class Report:
    """What came of a soak."""

    phases: list[Figures] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    values: dict[int, int] = field(default_factory=dict)
    """How many values were judged, by the RTU's link address."""
    oldest_s: float = 0.0
    """The oldest value on its arrival."""


def text_of(report: Report) -> str:
    """Return the report."""
    lines: list[str] = []
    for figures in report.phases:
        lines += _lines_of(figures)
    lines.append(f"{sum(report.values.values())} values judged; the oldest was {report.oldest_s:.2f} s old")
    lines += [f"{len(report.problems)} problems", *(f"  {problem}" for problem in report.problems)]
    return "\n".join(lines)


def _lines_of(figures: Figures) -> Iterator[str]:
    intrusions = figures.intrusions
    yield f"== {figures.phase}, {figures.seconds:g} s; longest stall of the machine {figures.stall_s:.3f} s"
    yield (
        f"   {figures.frames} frames on the wire, busy {figures.busy_share:.0%};"
        f" {figures.collisions} collisions; {figures.selects.operated} SELECTs operated,"
        f" {figures.selects.parted} with other RTUs' frames between"
    )
    yield (
        f"   {figures.damaged_frames} damages by noise, {figures.pulls} pulls,"
        f" {intrusions.connections} second connections"
        f" ({intrusions.asked} asked, {intrusions.answered} answered)"
    )
    yield "   " + _row(_HEADS)
    for address, actions in figures.actions.items():
        yield "   " + _row((address, *_counts(actions), *_times(actions)))
    if figures.recovery_s is not None:
        yield f"   all answered {figures.recovery_s:.1f} s after it"


def _counts(actions: Sequence[Action]) -> Iterator[int]:
    for kinds in (POLLS, (INTEGRITY,), (SBO,), (DIRECT,)):
        ended = [action.is_success for action in actions if action.kind in kinds]
        yield ended.count(True)
        if kinds != (INTEGRITY,):
            yield ended.count(False)


def _times(actions: Iterable[Action]) -> tuple[str, ...]:
    took_s = [each.ended_s - each.begun_s for each in actions if each.is_success and each.kind in POLLS]
    if len(took_s) < 2:
        return ("-", "-", "-")
    p95_s = statistics.quantiles(took_s, n=20)[-1]
    return tuple(f"{each:.2f} s" for each in (statistics.median(took_s), p95_s, max(took_s)))


def _row(cells: Iterable[object]) -> str:
    return "".join(f"{cell!s:>10}" for cell in cells)
