"""32 saturated lines at 115200 Bd in one process: our bridge beside tuned ser2net and a minimal C bridge.

python -m tests.bench.lines [--quick] [--peers ours,ser2net] [--lines 32] [--answer 292] [--markdown | --json]

On every line an RTU answers as its UART would (lines.c), and its master asks again as soon as he has it.
Every round starts every bridge afresh, one after the other, because the machine's speed drifts; figures are
those of the quietest third of its rounds. Exit status: 0 measured, 1 a bridge failed, lost or damaged
a frame, 2 the bench cannot run. A bridge that is not installed is reported as missing, which is no failure.

All on one core, the others kept busy (see bridges.py for why): what a bridge costs is then steady from run to
run. `--pin split` gives it a core of its own, `none` leaves all to the scheduler; the octets' way through the
kernel's pty worker is then as chance has it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

from bridge.endpoints.status import fetch
from tests.bench import rig
from tests.bench.bridges import DEFAULT_PIN, machine, pinned
from tests.bench.command import add_forms, carry_out
from tests.bench.frames import Exchange, exchange
from tests.bench.measure import UART_FIFO_OCTETS, cpu_seconds, memory_kib
from tests.bench.measure import Plan as Cores
from tests.bench.peers import BAUD, PEERS, Peer, Site
from tests.bench.report import PINS, aligned, piped
from tests.support.waiting import until

OCTET_NS = 10 * 1_000_000_000 // BAUD  # 10 bit times: 8N1
DEFAULT_PEERS = ("c", "ours", "ser2net")
"""Those that serve many lines from one process."""
YARDSTICK = "ser2net"


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured. Requests are READs of four classes; sizes are octets of a frame."""

    lines: int = 32
    request: int = 27
    answer: int = 292
    rounds: int = 12
    warm_up_s: float = 0.4
    seconds: float = 2.0
    budget_s: float = 165.0

    @property
    def wire_s(self) -> float:
        """How long an exchange is on the wire: no bridge can be faster."""
        return (self.request + self.answer) * OCTET_NS / 1e9

    @property
    def chunks(self) -> int:
        """In how many pieces the UART delivers an answer."""
        return -(-self.answer // UART_FIFO_OCTETS)


QUICK = Plan(rounds=1, warm_up_s=0.2, seconds=0.5)


@dataclass(frozen=True, slots=True)
class Block:
    """One visit to one bridge. `late_p99_us` is how late the load itself was, which is in no other figure."""

    seconds: float
    exchanges: int
    fewest: int
    damaged: int
    lost: int
    p50_us: float
    p99_us: float
    worst_us: float
    late_p99_us: float
    cpu_s: float
    rss_kib: int

    @property
    def cpu_share(self) -> float:
        """CPU seconds of the bridge per second: its share of a core."""
        return self.cpu_s / self.seconds

    @property
    def cpu_us(self) -> float:
        """CPU time of the bridge per exchange."""
        return self.cpu_s / self.exchanges * 1e6


# ---------------------------------------------------------------------------------------------- measuring


def _traffic(plan: Plan) -> bytes:
    """Requests and answers as lines.c reads them."""
    asked, answered = exchange(plan.request), exchange(plan.answer)
    return Exchange(plan.request, asked.answers, asked.requests).table() + answered.table()


def _free_ports(count: int) -> list[int]:
    ports: dict[int, None] = {}
    while len(ports) < count:
        ports[rig.free_port()] = None
    return list(ports)


def visit(peer: Peer, programs: Path, directory: Path, plan: Plan, cores: Cores) -> Block:
    """Starts the bridge afresh, saturates its lines, ends it; raises BenchError."""
    assert peer.command is not None
    directory.mkdir()
    (directory / "traffic").write_bytes(_traffic(plan))
    with ExitStack() as stack:
        ptys = [stack.enter_context(rig.open_pty()) for _ in range(plan.lines)]
        ports = _free_ports(plan.lines)
        site = Site(
            tuple((port, pty.device) for port, pty in zip(ports, ptys, strict=True)), directory, programs
        )
        log = directory / "bridge.log"
        child = stack.enter_context(rig.process(peer.command(site), log=log, cores=cores.bridge_cores))
        masters = [stack.enter_context(rig.connected(port, child, log)) for port in ports]
        if peer.key == "ours":
            _await_lines(directory / "status.sock")
        for master in masters:
            rig.TcpChannel(master)
        pairs = [(pty.master, master.fileno()) for pty, master in zip(ptys, masters, strict=True)]
        command = [str(programs / "lines"), str(directory / "traffic"), str(UART_FIFO_OCTETS), str(OCTET_NS)]
        command += [str(plan.warm_up_s), str(plan.seconds), *(f"{tty}:{tcp}" for tty, tcp in pairs)]
        with rig.on_cores(cores.client_cores):
            return _saturated(command, pairs, child.pid, log)


def _await_lines(status_socket: Path) -> None:
    """Waits until every line of our bridge is open: it listens before, and drops what comes too early."""

    def are_up() -> bool:
        with suppress(OSError):
            return all(line["is_up"] for line in fetch(str(status_socket))["lines"])
        return False

    until(are_up, "every line is up")


def _saturated(command: Sequence[str], pairs: Sequence[tuple[int, int]], pid: int, log: Path) -> Block:
    words = log.with_name("load.log")
    with (
        words.open("wb") as complaints,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            pass_fds=[each for pair in pairs for each in pair],
        ) as load,
    ):
        assert load.stdout is not None
        try:
            load.stdout.readline()
            before = cpu_seconds(pid)
            load.stdout.readline()
            cpu_s = cpu_seconds(pid) - before
            rss_kib, _ = memory_kib(pid)
            figures = load.stdout.readline()
        except (OSError, KeyError):
            raise rig.BenchError(f"went away ({rig.last_words(log)})") from None
        except BaseException:
            load.kill()
            raise
    if load.returncode:
        raise rig.BenchError(f"{rig.last_words(words)} ({rig.last_words(log)})")
    return Block(**json.loads(figures), cpu_s=cpu_s, rss_kib=rss_kib)


# ---------------------------------------------------------------------------------------------- all rounds


@dataclass(frozen=True, slots=True)
class Summary:
    """One bridge over all rounds."""

    key: str
    label: str
    version: str
    status: str  # measured, missing, failed
    reason: str
    rounds: int
    block: Block | None


@dataclass(frozen=True, slots=True)
class Result:
    """A whole run."""

    plan: Plan
    pin: str
    machine: dict[str, str]
    took_s: float
    bridges: tuple[Summary, ...]

    @property
    def measured(self) -> list[tuple[Summary, Block]]:
        """The bridges that have figures."""
        return [(each, each.block) for each in self.bridges if each.block is not None]

    def ratio(self, block: Block, figure: Callable[[Block], float]) -> float | None:
        """A figure over that of ser2net, both from this run."""
        other = next((other for each, other in self.measured if each.key == YARDSTICK), None)
        return None if other is None else figure(block) / figure(other)

    def share(self, block: Block) -> float:
        """Exchanges, as a share of what the wire allows."""
        return block.exchanges / self.plan.lines / block.seconds * self.plan.wire_s


def _together(blocks: Sequence[Block]) -> Block | None:
    """Times and costs of the quietest third; of all what was lost, and the worst.

    The quietest by p99: in a round that others disturbed, octets pile up, which makes them cheap.
    """
    if not blocks:
        return None
    quiet = sorted(blocks, key=lambda block: block.p99_us)[: -(-len(blocks) // 3)]
    seconds = sum(block.seconds for block in quiet)
    return Block(
        seconds=seconds,
        exchanges=sum(block.exchanges for block in quiet),
        fewest=min(block.fewest for block in quiet),
        damaged=sum(block.damaged for block in blocks),
        lost=sum(block.lost for block in blocks),
        p50_us=median(block.p50_us for block in quiet),
        p99_us=median(block.p99_us for block in quiet),
        worst_us=max(block.worst_us for block in blocks),
        late_p99_us=median(block.late_p99_us for block in quiet),
        cpu_s=sum(block.cpu_s for block in quiet),
        rss_kib=max(block.rss_kib for block in blocks),
    )


def _summary(peer: Peer, blocks: Sequence[Block], missing: dict[str, str], failed: dict[str, str]) -> Summary:
    status = "missing" if peer.key in missing else "failed" if peer.key in failed else "measured"
    version = "" if status == "missing" else peer.version()
    reason = missing.get(peer.key) or failed.get(peer.key, "")
    return Summary(peer.key, peer.label, version, status, reason, len(blocks), _together(blocks))


def run(
    plan: Plan, peers: Sequence[Peer], *, pin: str = DEFAULT_PIN, say: Callable[[str], None] = lambda _: None
) -> Result:
    """Measures the bridges in rounds; raises BenchError only when the bench itself cannot run."""
    cores = pinned(Cores(), pin)
    started = time.monotonic()
    missing = {peer.key: why for peer in peers if (why := peer.missing())}
    failed: dict[str, str] = {}
    blocks: dict[str, list[Block]] = {peer.key: [] for peer in peers}
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rtu-bench-")))
        for program in ("lines", "epoll_bridge", "awake"):
            rig.build(program, directory)
        if pin == DEFAULT_PIN:
            # Elsewhere no core is left to be kept busy, and lazy work would delay the pty worker.
            stack.enter_context(rig.cores_awake(directory, cores.cores))
        for number in range(plan.rounds):
            begun = time.monotonic()
            for peer in peers:
                if peer.key in missing or peer.key in failed:
                    continue
                say(f"round {number + 1} of {plan.rounds}: {peer.label}")
                try:
                    place = directory / f"{peer.key}-{number}"
                    blocks[peer.key].append(visit(peer, directory, place, plan, cores))
                except rig.BenchError as error:
                    failed[peer.key] = str(error)
            now = time.monotonic()
            if now - started + (now - begun) > plan.budget_s:
                break
    bridges = tuple(_summary(peer, blocks[peer.key], missing, failed) for peer in peers)
    return Result(plan, pin, machine(), time.monotonic() - started, bridges)


def clean(result: Result) -> bool:
    """True when every installed bridge was measured and no answer was lost or wrong."""
    return all(each.status != "failed" for each in result.bridges) and not any(
        block.damaged or block.lost for _, block in result.measured
    )


# ---------------------------------------------------------------------------------------------- report


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"


def grid(result: Result) -> list[list[str]]:
    """Headings, and a row per measured bridge."""
    heads = ["bridge", "CPU of a core", "x ser2net", "CPU us / exchange", "added p50, us", "added p99, us"]
    heads += ["p99 x ser2net", "exchanges / s", "of the wire's most", "lost, damaged", "RSS, MB"]
    lines = [heads]
    for each, block in result.measured:
        cells = [each.label, f"{block.cpu_share:.1%}", _times(result.ratio(block, lambda b: b.cpu_share))]
        cells += [f"{block.cpu_us:,.0f}", f"{block.p50_us:,.0f}", f"{block.p99_us:,.0f}"]
        cells += [_times(result.ratio(block, lambda b: b.p99_us)), f"{block.exchanges / block.seconds:,.0f}"]
        cells += [f"{result.share(block):.1%}", f"{block.lost}, {block.damaged}"]
        lines.append([*cells, f"{block.rss_kib / 1024:.1f}"])
    return lines


def notes(result: Result) -> list[str]:
    """What the figures are, and whatever went wrong."""
    plan = result.plan
    rounds = max((each.rounds for each in result.bridges), default=0)
    late = max((block.late_p99_us for _, block in result.measured), default=0.0)
    lines = [
        f"{plan.lines} lines at {BAUD} Bd, saturated, in one process: requests of {plan.request} octets, "
        f"answers of {plan.answer} in {plan.chunks} pieces of {UART_FIFO_OCTETS}, as a UART delivers them; "
        f"{PINS[result.pin]}; the quietest third of {rounds} interleaved rounds. "
        "Trust ratios.",
        f"added: the round trip without the {plan.wire_s * 1000:.1f} ms on the wire. The load was on time "
        f"within {late:,.0f} us (p99); what it was late is not in it.",
    ]
    lines += [
        f"{each.label}: {each.status}: {each.reason}" for each in result.bridges if each.status != "measured"
    ]
    versions = sorted(f"{each.key} {each.version}" for each in result.bridges if each.version)
    named = [*(f"{name} {value}" for name, value in result.machine.items()), *versions]
    return [*lines, f"{', '.join(named)}; {result.took_s:.0f} s."]


def terminal(result: Result) -> str:
    return "\n\n".join([aligned(grid(result)), "\n".join(notes(result))])


def markdown(result: Result) -> str:
    return "\n\n".join([piped(grid(result)), *notes(result)])


def as_json(result: Result) -> str:
    bridges: list[dict[str, object]] = []
    for each in result.bridges:
        block = each.block
        derived = (
            {}
            if block is None
            else {
                "cpu_share": block.cpu_share,
                "wire_share": result.share(block),
                "ratio_to_ser2net": {
                    "cpu_share": result.ratio(block, lambda b: b.cpu_share),
                    "p50": result.ratio(block, lambda b: b.p50_us),
                    "p99": result.ratio(block, lambda b: b.p99_us),
                },
            }
        )
        bridges.append({**asdict(each), **derived})
    head = {"pin": result.pin, "took_s": round(result.took_s, 1), "machine": result.machine}
    return json.dumps({**head, "plan": asdict(result.plan), "bridges": bridges}, indent=1)


# ---------------------------------------------------------------------------------------------- command line


def chosen(names: str) -> list[Peer]:
    unknown = [name for name in names.split(",") if name not in DEFAULT_PEERS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no {', '.join(unknown)}; there are {', '.join(DEFAULT_PEERS)}")
    return [PEERS[name] for name in names.split(",")]


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.lines", description=__doc__.splitlines()[0])
    every = [PEERS[key] for key in DEFAULT_PEERS]
    parser.add_argument("--peers", type=chosen, default=every, help=f"of {','.join(DEFAULT_PEERS)}")
    parser.add_argument("--quick", action="store_true", help="one short round; rough figures")
    parser.add_argument("--rounds", type=int, help="instead of the plan's")
    parser.add_argument("--lines", type=int, help="instead of 32")
    parser.add_argument("--answer", type=int, help="octets of an answer, instead of 292")
    parser.add_argument("--pin", choices=PINS, default=DEFAULT_PIN, help="default here: %(default)s")
    add_forms(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    options = arguments(argv)
    plan = QUICK if options.quick else Plan()
    given = {name: getattr(options, name) for name in ("rounds", "lines", "answer")}
    plan = replace(plan, **{name: value for name, value in given.items() if value})
    form = as_json if options.json else markdown if options.markdown else terminal
    return carry_out(lambda say: run(plan, options.peers, pin=options.pin, say=say), form, clean)


if __name__ == "__main__":
    sys.exit(main())
