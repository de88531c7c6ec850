"""What a soak run came to, as text."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tests.soak.faults_judge import Violation
from tests.soak.faults_site import HALF_OPEN_TIMEOUT_S, SEND_STALL_S, Vitals

_EFFECTS_SHOWN = 4
_VIOLATIONS_SHOWN = 30


@dataclass(slots=True)
class KindRecord:
    """What the faults of one kind did."""

    times: int = 0
    skipped: str = ""
    recovery_s: list[float] = field(default_factory=list)
    effects: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Report:
    """Everything that a run has to say."""

    seed: str
    kinds: dict[str, KindRecord] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    gone_s: dict[str, list[float]] = field(default_factory=dict)
    before: Vitals | None = None
    after: Vitals | None = None
    rss_warm_kib: float = 0.0
    rss_end_kib: float = 0.0
    balance: str = ""
    stopped_s: float = 0.0
    took_s: float = 0.0
    notes: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether nothing happened that must not."""
        return not self.violations

    @property
    def faults(self) -> int:
        """How many faults were made."""
        return sum(record.times for record in self.kinds.values())

    def __str__(self) -> str:
        return "\n".join((*self._table(), "", *self._facts(), *self._verdict()))

    def _table(self) -> Iterable[str]:
        width = max(map(len, self.kinds), default=4)
        yield f"{'fault':<{width}}  times  recovery, ms: median    max  effects, traffic beside it included"
        for name, record in sorted(self.kinds.items()):
            if record.skipped and not record.recovery_s:
                yield f"{name:<{width}}  skipped: {record.skipped}"
                continue
            median, most = statistics.median(record.recovery_s), max(record.recovery_s)
            effects = ", ".join(
                f"{what} {count}" for what, count in record.effects.most_common(_EFFECTS_SHOWN)
            )
            yield f"{name:<{width}}  {record.times:>5}  {median * 1000:>20.0f} {most * 1000:>6.0f}  {effects}"

    def _facts(self) -> Iterable[str]:
        yield f"{self.faults} faults in {self.took_s:.0f} s, seed {self.seed}"
        yield "judged: " + ", ".join(f"{count} {what}" for what, count in sorted(self.seen.items()))
        limits = {"half_open": HALF_OPEN_TIMEOUT_S, "send_stalled": SEND_STALL_S}
        for kind, times in self.gone_s.items():
            if times:
                yield (
                    f"{kind} sessions gone after: median {statistics.median(times):.1f} s, "
                    f"longest {max(times):.1f} s, {len(times)} times; configured limit {limits[kind]:g} s"
                )
        if self.before is not None and self.after is not None:
            yield f"descriptors: {self.before.descriptors} before, {self.after.descriptors} after"
            yield f"threads: {self.before.threads} before, {self.after.threads} after"
        if self.rss_warm_kib:
            yield f"memory (RSS): {self.rss_warm_kib:.0f} KiB warm, {self.rss_end_kib:.0f} KiB at the end"
        yield f"books: {self.balance}"
        yield f"ended {self.stopped_s:.2f} s after SIGTERM"
        yield from self.notes

    def _verdict(self) -> Iterable[str]:
        if self.is_good:
            yield "violations: none"
            return
        counts: Mapping[str, int] = Counter(violation.what for violation in self.violations)
        yield f"VIOLATIONS: {len(self.violations)}: " + ", ".join(f"{n} {what}" for what, n in counts.items())
        yield from map(str, self.violations[:_VIOLATIONS_SHOWN])
        for fault in sorted({violation.fault for violation in self.violations})[:5]:
            # What shows only at the end has no fault of its own.
            which = f"--only {fault}" if fault else f"--count {self.faults}"
            yield f"replay: python -m tests.soak.faults --seed {self.seed} {which}"
