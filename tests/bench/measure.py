"""One visit to one bridge: start it, wait for the first answer, time blocks of round trips, look at its cost.

The machine's speed drifts, so a visit is short and `bridges.py` goes round the peers; `Summary` takes medians
over the quietest third of the rounds.
"""

from __future__ import annotations

import gc
import itertools
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean, median

from tests.bench import rig
from tests.bench.frames import SEQUENCES, Exchange, exchange
from tests.bench.peers import BAUD, Peer, Site
from tests.bench.rig import BenchError, Channel, Cores, NoAnswer

FIRST_ANSWER_TIMEOUT_S = 10.0
MISSES_TO_GIVE_UP = 3
WARM_UP_FRAMES = 64
WARM_UP_TIME_S = 0.3

UART_FIFO_OCTETS = (
    16  # a UART interrupts about once a FIFO of 16 octets, so that is how answers really arrive
)
CHUNK_NS = UART_FIFO_OCTETS * 10 * 1_000_000_000 // BAUD  # 10 bit times an octet: 8N1


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured. A block ends after its frames or its time, whichever comes first."""

    sizes: tuple[int, ...] = (10, 100, 292)
    rounds: int = 12
    frames: int = 3000
    block_s: float = 1.0
    uart_size: int = 292
    uart_frames: int = 20
    uart_rounds: int = 12
    budget_s: float = 165.0
    bridge_cores: Cores | None = None
    client_cores: Cores | None = None

    @property
    def cores(self) -> Cores | None:
        """The cores that anything runs on, None for all."""
        if self.bridge_cores is None or self.client_cores is None:
            return None
        return self.bridge_cores | self.client_cores

    @property
    def uart_wire_us(self) -> float:
        """How long the answer of the UART block is on the wire: no bridge can be faster."""
        return -(-self.uart_size // UART_FIFO_OCTETS) * CHUNK_NS / 1000


# ---------------------------------------------------------------------------------------------- round trips


@dataclass(slots=True)
class Block:
    """Round trips of one size, one after the other."""

    sent: int = 0
    damaged: int = 0  # answered with other octets than the RTU wrote
    unanswered: int = 0
    microseconds: list[float] = field(default_factory=list)
    segments: list[int] = field(default_factory=list)  # recv() calls until the answer was whole
    cpu_s: float = 0.0


@dataclass(frozen=True, slots=True)
class BlockFigures:
    """A block, reduced. Times in microseconds; `cpu_s` is the bridge's CPU seconds per 10,000 round trips."""

    sent: int
    answered: int
    damaged: int
    unanswered: int
    p50: float
    p99: float
    segments: float
    cpu_s: float


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def reduce(block: Block, minus_us: float = 0.0) -> BlockFigures:
    times = block.microseconds
    return BlockFigures(
        sent=block.sent,
        answered=len(times),
        damaged=block.damaged,
        unanswered=block.unanswered,
        p50=percentile(times, 50) - minus_us,
        p99=percentile(times, 99) - minus_us,
        segments=mean(block.segments),
        cpu_s=block.cpu_s / len(times) * 10_000,
    )


def _round_trip(channel: Channel, request: bytes, answer: bytes, block: Block) -> None:
    """Sends one request, reads until its answer is whole, notes what happened. Only that is in the time."""
    size = len(answer)
    clock = time.perf_counter_ns
    block.sent += 1
    start = clock()
    channel.send(request)
    got = channel.receive()
    reads = 1
    while len(got) < size:
        got += channel.receive()
        reads += 1
    end = clock()
    if got == answer:
        block.microseconds.append((end - start) / 1000)
        block.segments.append(reads)
    else:
        block.damaged += 1


def run_block(channel: Channel, traffic: Exchange, frames: int, seconds: float) -> Block:
    """Round trips until either limit; raises BenchError when the bridge stopped answering."""
    block = Block()
    misses = 0
    gc.disable()
    try:
        end = time.monotonic() + seconds
        for number in range(frames):
            sequence = number % SEQUENCES
            try:
                _round_trip(channel, traffic.requests[sequence], traffic.answers[sequence], block)
                misses = 0
            except NoAnswer:
                block.unanswered += 1
                misses += 1
                channel.drain()
            if misses == MISSES_TO_GIVE_UP:
                raise BenchError(f"no answer to {misses} requests of {traffic.octets} octets in a row")
            if time.monotonic() > end:
                break
    finally:
        gc.enable()
    if not block.microseconds:
        raise BenchError(f"no request of {traffic.octets} octets was answered rightly")
    return block


def first_answer(channel: Channel, traffic: Exchange) -> int:
    """Asks until the first right answer; returns how many octets came before it (banners)."""
    deadline = time.monotonic() + FIRST_ANSWER_TIMEOUT_S
    for number in itertools.count():
        sequence = number % SEQUENCES
        got = b""
        channel.send(traffic.requests[sequence])
        try:
            while traffic.answers[sequence] not in got:
                got += channel.receive()
            return len(got) - traffic.octets
        except NoAnswer:
            if time.monotonic() > deadline:
                break
    raise BenchError(f"listening, but no right answer within {FIRST_ANSWER_TIMEOUT_S:.0f} s")


# ---------------------------------------------------------------------------------------------- its cost


def cpu_seconds(pid: int) -> float:
    """CPU time of a process, user and system.

    The scheduler's nanoseconds of every thread where the kernel has them, else utime + stime in clock ticks.
    A thread that ended takes its nanoseconds along, so the larger of the two is right.
    """
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    try:
        threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
        return max(ticks, sum(int(path.read_text().split()[0]) for path in threads) / 1e9)
    except OSError:
        return ticks


def memory_kib(pid: int) -> tuple[int, int]:
    """Resident set now, and its peak."""
    status = Path(f"/proc/{pid}/status").read_text()
    values = dict(line.split(":", 1) for line in status.splitlines())
    return int(values["VmRSS"].split()[0]), int(values["VmHWM"].split()[0])


# ---------------------------------------------------------------------------------------------- a visit


@dataclass(frozen=True, slots=True)
class Visit:
    """What one round saw of one peer. `uart` is None in rounds that leave it out."""

    start_ms: float | None
    first_answer_ms: float | None
    stray_octets: int
    sizes: dict[int, BlockFigures]
    uart: BlockFigures | None
    rss_kib: int | None
    peak_kib: int | None


@contextmanager
def _responder(pty: rig.Pty, directory: Path, plan: Plan, *, paced: bool) -> Iterator[None]:
    table = directory / "answers"
    table.write_bytes(b"".join(exchange(size).table() for size in {*plan.sizes, plan.uart_size}))
    pace = (UART_FIFO_OCTETS, CHUNK_NS) if paced else (0, 0)
    command = [str(directory.parent / "responder"), str(pty.master), str(table), *map(str, pace)]
    log = directory / "responder.log"
    with rig.process(command, log=log, cores=plan.client_cores, pass_fds=[pty.master]):
        yield


def _measured(
    channel: Channel, traffic: Exchange, frames: int, seconds: float, pid: int | None, minus_us: float = 0.0
) -> BlockFigures:
    before = cpu_seconds(pid) if pid else 0.0
    block = run_block(channel, traffic, frames, seconds)
    block.cpu_s = (cpu_seconds(pid) if pid else 0.0) - before
    return reduce(block, minus_us)


def _talk(
    channel: Channel,
    pid: int | None,
    started: float,
    pty: rig.Pty,
    directory: Path,
    plan: Plan,
    *,
    uart: bool,
) -> tuple[float, int, dict[int, BlockFigures], BlockFigures | None]:
    sizes = {}
    with _responder(pty, directory, plan, paced=False):
        stray = first_answer(channel, exchange(plan.sizes[-1]))
        answered_ms = (time.monotonic() - started) * 1000
        stray += channel.drain()
        for size in plan.sizes:
            traffic = exchange(size)
            run_block(channel, traffic, WARM_UP_FRAMES, WARM_UP_TIME_S)
            sizes[size] = _measured(channel, traffic, plan.frames, plan.block_s, pid)
    if not uart:
        return answered_ms, stray, sizes, None
    with _responder(pty, directory, plan, paced=True):
        traffic = exchange(plan.uart_size)
        run_block(channel, traffic, 2, WARM_UP_TIME_S)
        seconds = plan.uart_frames * plan.uart_wire_us / 1e6 * 2
        paced = _measured(channel, traffic, plan.uart_frames, seconds, pid, plan.uart_wire_us)
    return answered_ms, stray, sizes, paced


def visit(peer: Peer, programs: Path, directory: Path, plan: Plan, *, uart: bool) -> Visit:
    """Starts the peer afresh, measures it, ends it. Raises BenchError when it cannot be measured."""
    directory.mkdir()
    with ExitStack() as stack:
        stack.enter_context(rig.on_cores(plan.client_cores))
        pty = stack.enter_context(rig.open_pty())
        started = time.monotonic()
        if peer.command is None:
            channel: Channel = rig.PtyChannel(pty.slave)
            _, stray, sizes, paced = _talk(channel, None, started, pty, directory, plan, uart=uart)
            return Visit(None, None, stray, sizes, paced, None, None)
        port = rig.free_port()
        site = Site(((port, pty.device),), directory, programs)
        command = peer.command(site)
        log = directory / "bridge.log"
        started = time.monotonic()
        child = stack.enter_context(rig.process(command, log=log, cores=plan.bridge_cores))
        connection = stack.enter_context(rig.connected(port, child, log))
        start_ms = (time.monotonic() - started) * 1000
        try:
            answered_ms, stray, sizes, paced = _talk(
                rig.TcpChannel(connection), child.pid, started, pty, directory, plan, uart=uart
            )
            rss, peak = memory_kib(child.pid)
        except BenchError as error:
            raise BenchError(f"{error} ({rig.last_words(log)})") from error
        return Visit(start_ms, answered_ms, stray, sizes, paced, rss, peak)


# ---------------------------------------------------------------------------------------------- all rounds


@dataclass(frozen=True, slots=True)
class Summary:
    """One peer over all rounds."""

    key: str
    label: str
    version: str
    status: str  # measured, missing, failed
    reason: str
    rounds: int
    start_ms: float | None
    first_answer_ms: float | None
    stray_octets: int
    sizes: dict[int, BlockFigures]
    uart: BlockFigures | None
    rss_kib: float | None
    peak_kib: float | None
    p50_by_round: dict[int, list[float]]

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def summarize(peer: Peer, visits: Sequence[Visit], status: str, reason: str = "") -> Summary:
    sizes = list(visits[0].sizes) if visits else []
    return Summary(
        key=peer.key,
        label=peer.label,
        version=peer.version() if status != "missing" else "",
        status=status,
        reason=reason,
        rounds=len(visits),
        start_ms=_median([v.start_ms for v in visits]),
        first_answer_ms=_median([v.first_answer_ms for v in visits]),
        stray_octets=max((v.stray_octets for v in visits), default=0),
        sizes={size: _together([v.sizes[size] for v in visits]) for size in sizes},
        uart=_together(paced) if (paced := [v.uart for v in visits if v.uart]) else None,
        rss_kib=_median([v.rss_kib for v in visits]),
        peak_kib=_median([v.peak_kib for v in visits]),
        p50_by_round={size: [round(v.sizes[size].p50, 2) for v in visits] for size in sizes},
    )


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _together(blocks: Sequence[BlockFigures]) -> BlockFigures:
    """Times and costs of the quietest third, counts of all."""
    quiet = sorted(blocks, key=lambda block: block.p50)[: -(-len(blocks) // 3)]
    return BlockFigures(
        sent=sum(b.sent for b in blocks),
        answered=sum(b.answered for b in blocks),
        damaged=sum(b.damaged for b in blocks),
        unanswered=sum(b.unanswered for b in blocks),
        p50=median(b.p50 for b in quiet),
        p99=median(b.p99 for b in quiet),
        segments=mean(b.segments for b in blocks),
        cpu_s=median(b.cpu_s for b in quiet),
    )
