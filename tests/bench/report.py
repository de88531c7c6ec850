"""The figures as text: a table for the terminal, one for the README, or raw JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from tests.bench.measure import BlockFigures, Plan, Summary

YARDSTICKS = ("c", "ser2net")
RATIO_OCTETS = 100
PINS = {
    "one": "everything on one core",
    "split": "the bridge on one core, client and RTU on another",
    "none": "not pinned to cores",
}


@dataclass(frozen=True, slots=True)
class Result:
    """A whole run. `took_s` is how long it took, `rounds` how many there was time for."""

    plan: Plan
    pin: str
    awake: bool
    machine: dict[str, str]
    rounds: int
    took_s: float
    peers: tuple[Summary, ...]

    def peer(self, key: str) -> Summary | None:
        return next((peer for peer in self.peers if peer.key == key), None)

    def ratio_size(self) -> int:
        return RATIO_OCTETS if RATIO_OCTETS in self.plan.sizes else self.plan.sizes[-1]

    def ratio(self, peer: Summary, yardstick: str) -> float | None:
        """p50 round trip of this peer over the yardstick's, both from this run."""
        size = self.ratio_size()
        other = self.peer(yardstick)
        if other is None or size not in other.sizes or size not in peer.sizes:
            return None
        return peer.sizes[size].p50 / other.sizes[size].p50

    def added(self, peer: Summary) -> float | None:
        """What this peer's p50 round trip is above that of the bare pty: the bridge alone."""
        size = self.ratio_size()
        floor = self.peer("pty")
        if floor is None or size not in floor.sizes or size not in peer.sizes or floor is peer:
            return None
        return peer.sizes[size].p50 - floor.sizes[size].p50


def as_json(result: Result) -> str:
    plan = {
        name: sorted(value) if isinstance(value, frozenset) else value
        for name, value in asdict(result.plan).items()
    }
    peers = [
        {**peer.as_json(), "ratio_to": {key: result.ratio(peer, key) for key in YARDSTICKS}}
        for peer in result.peers
    ]
    head = {
        "pin": result.pin,
        "awake": result.awake,
        "rounds": result.rounds,
        "took_s": round(result.took_s, 1),
    }
    return json.dumps({**head, "machine": result.machine, "plan": plan, "peers": peers}, indent=1)


# ---------------------------------------------------------------------------------------------- columns

Cell = Callable[[Summary], str]


def _us(value: float) -> str:
    return f"{value:,.0f}"


def _number(value: float | None, digits: int = 0, scale: float = 1.0) -> str:
    return "" if value is None else f"{value / scale:,.{digits}f}"


def _times(block: BlockFigures | None) -> str:
    return "" if block is None else f"{_us(block.p50)} / {_us(block.p99)}"


def _round_trips(size: int) -> Cell:
    return lambda peer: _times(peer.sizes.get(size))


def _ratio(result: Result, yardstick: str) -> Cell:
    def cell(peer: Summary) -> str:
        value = result.ratio(peer, yardstick)
        return "" if value is None else f"{value:.3g}" if value < 10 else f"{value:,.0f}"

    return cell


def _segments(block: BlockFigures | None) -> str:
    return "" if block is None else f"{block.segments:.2f}"


def _cpu(peer: Summary, block: BlockFigures | None) -> str:
    return "" if block is None or peer.start_ms is None else f"{block.cpu_s:.2f}"


Table = list[tuple[str, Cell]]


def tables(result: Result) -> list[Table]:
    """Two tables, as headings and cells: how fast, and at what cost."""
    largest = result.plan.sizes[-1]
    size = result.ratio_size()
    name: tuple[str, Cell] = ("bridge", lambda peer: peer.label)
    speed: Table = [
        name,
        *((f"{octets} octets, us", _round_trips(octets)) for octets in result.plan.sizes),
        ("above pty, us", lambda peer: _number(result.added(peer))),
        ("x C", _ratio(result, "c")),
        ("x ser2net", _ratio(result, "ser2net")),
        ("UART: added, us", lambda peer: _times(peer.uart)),
    ]
    cost: Table = [
        name,
        ("segments", lambda peer: _segments(peer.sizes.get(largest))),
        ("UART: segments", lambda peer: _segments(peer.uart)),
        ("CPU s", lambda peer: _cpu(peer, peer.sizes.get(size))),
        ("UART: CPU s", lambda peer: _cpu(peer, peer.uart)),
        ("RSS, MB", lambda peer: _number(peer.rss_kib, 1, 1024)),
        ("peak, MB", lambda peer: _number(peer.peak_kib, 1, 1024)),
        ("start, ms", lambda peer: _number(peer.start_ms)),
        ("1st answer, ms", lambda peer: _number(peer.first_answer_ms)),
    ]
    return [speed, cost]


def grid(result: Result, table: Table) -> list[list[str]]:
    """Headings and a row per measured peer."""
    measured = [peer for peer in result.peers if peer.status == "measured"]
    return [[head for head, _ in table], *([cell(peer) for _, cell in table] for peer in measured)]


def notes(result: Result) -> list[str]:
    """What the columns mean, and whatever went wrong."""
    plan = result.plan
    size = result.ratio_size()
    lines = [
        "Round trips of whole DNP3 frames, client > bridge > pty > RTU and back, in us as p50 / p99; "
        f"{PINS[result.pin]}{', no core idle' if result.awake else ''}; medians of the quietest third of "
        f"{result.rounds} interleaved rounds. Trust ratios, not microseconds.",
        f"above pty: what the bridge itself adds to p50 at {size} octets. x C, x ser2net: p50 at {size} "
        "octets over that of the C bridge and of tuned ser2net.",
        f"segments: recv() calls per answer of {plan.sizes[-1]} octets. CPU s: of the bridge's process, per "
        f"10,000 round trips of {size} octets.",
        f"UART: the RTU delivers {plan.uart_size} octets as a UART at 115200 Bd does, 16 at a time. added: "
        f"the round trip beyond the answer's {plan.uart_wire_us / 1000:.1f} ms on the wire. CPU s: again "
        "per 10,000.",
        "start: from spawn until connect() is accepted. 1st answer: from spawn until the RTU's first answer.",
    ]
    for peer in result.peers:
        blocks = [*peer.sizes.values(), *([peer.uart] if peer.uart else [])]
        damaged = sum(block.damaged for block in blocks)
        unanswered = sum(block.unanswered for block in blocks)
        if peer.status != "measured":
            lines.append(f"{peer.label}: {peer.status}: {peer.reason}")
        if peer.stray_octets:
            lines.append(f"{peer.label}: wrote {peer.stray_octets} octets of its own to the master.")
        if damaged or unanswered:
            lines.append(f"{peer.label}: {damaged} answers damaged, {unanswered} requests unanswered.")
    return lines


# ---------------------------------------------------------------------------------------------- forms


def _machine(result: Result) -> str:
    named = {f"{peer.key} {peer.version}" for peer in result.peers if peer.version and "-" not in peer.key}
    machine = [f"{name} {value}" for name, value in result.machine.items()]
    return f"{', '.join([*machine, *sorted(named)])}; {result.took_s:.0f} s."


def terminal(result: Result) -> str:
    parts = [aligned(grid(result, table)) for table in tables(result)]
    return "\n\n".join([*parts, "\n".join([*notes(result), _machine(result)])])


def aligned(lines: list[list[str]]) -> str:
    """A grid in columns of spaces."""
    widths = [max(len(text) for text in column) for column in zip(*lines, strict=True)]
    lines = [lines[0], ["-" * width for width in widths], *lines[1:]]
    return "\n".join("  ".join(_justified(line, widths)).rstrip() for line in lines)


def _justified(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    first, *others = zip(line, widths, strict=True)
    return [first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)]


def piped(lines: list[list[str]]) -> str:
    """A grid as a Markdown table."""
    head, *lines = lines
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def markdown(result: Result) -> str:
    parts = [piped(grid(result, table)) for table in tables(result)]
    return "\n\n".join([*parts, *notes(result), _machine(result)])
