"""What metrics cost the relay: round trips without them, with them, and while they are scraped.

python -m tests.bench.scrapes [--outstations N] [--rounds N] [--seconds S]

Three bridges in one run, a block of each after the other: a machine's speed drifts, so only figures of one
run compare. The scraper asks once a second, as Prometheus does not: every 15 s is usual.
"""

from __future__ import annotations

import argparse
import os
import pty
import socket
import subprocess
import sys
import tempfile
import time
import tty
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from bridge.endpoints.status import fetch
from tests.support.frames import link_status, link_status_request
from tests.support.program import Program
from tests.support.waiting import until

RTU = 1
REQUEST, ANSWER = link_status_request(RTU).octets, link_status(RTU).octets
ASK_EVERY_S = 1.0
_SCRAPER = """
import sys, time, urllib.request
accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
request = urllib.request.Request(sys.argv[1], headers=accept)
while True:
    urllib.request.urlopen(request, timeout=30).read()
    time.sleep(float(sys.argv[2]))
"""
_RESPONDER = """
import os, sys
far, size, answer = int(sys.argv[1]), int(sys.argv[2]), bytes.fromhex(sys.argv[3])
heard = b""
while part := os.read(far, 4096):
    heard += part
    while len(heard) >= size:
        heard = heard[size:]
        os.write(far, answer)
"""


def configuration(folder: Path, device: str, outstations: int, *, with_metrics: bool) -> str:
    """Return a site with one line; the metrics are on a port that is free."""
    head = f"""
[service]
status_socket = "{folder}/s"
gpio = "none"
[server.main]
listen = "127.0.0.1:0"
[line.bay1]
device = "{device}"
baud = 921600
"""
    metrics = '[metrics]\nlisten = "127.0.0.1:0"\n' if with_metrics else ""
    rtus = "".join(
        f'[[outstation]]\nname = "pole-{number}"\nserver = "main"\nmasters = ["127.0.0.1"]\n'
        f'line = "bay1"\nlink_address = {number}\n'
        for number in range(RTU, RTU + outstations)
    )
    return head + metrics + rtus


@contextmanager
def _child(*arguments: str, keep: tuple[int, ...] = ()) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", *arguments], pass_fds=keep)
    try:
        yield
    finally:
        process.kill()
        process.wait()


class Contender:
    """A bridge with its RTU and its master, and perhaps a scraper."""

    def __init__(self, stack: ExitStack, name: str, outstations: int, *, with_metrics: bool, scraped: bool):
        self.name = name
        self._scraped = scraped
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rtu-")))
        far, near = pty.openpty()
        stack.callback(os.close, far)
        stack.callback(os.close, near)
        tty.setraw(near)
        stack.enter_context(_child(_RESPONDER, str(far), str(len(REQUEST)), ANSWER.hex(), keep=(far,)))
        file = folder / "bridge.toml"
        text = configuration(folder, os.ttyname(near), outstations, with_metrics=with_metrics)
        file.write_text(text, encoding="utf-8")
        self._program = stack.enter_context(Program("run", "-c", str(file)))
        self._program.until_printed("started")
        status = until(lambda: fetch(str(folder / "s")), "the status")
        self._url = f"http://{status['metrics']['listen']}/metrics" if with_metrics else ""
        host, _, port = status["servers"][0]["listen"].rpartition(":")
        self._master = stack.enter_context(socket.create_connection((host, int(port))))
        self._master.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.round_trips_us: list[float] = []
        self.cpu_s = self.wall_s = 0.0

    def run(self, seconds: float) -> None:
        """Time round trips for so long."""
        with ExitStack() as stack:
            if self._scraped:
                stack.enter_context(_child(_SCRAPER, self._url, str(ASK_EVERY_S)))
            cpu_s, began_s = self._cpu_s(), time.monotonic()
            while time.monotonic() < began_s + seconds:
                asked_ns = time.monotonic_ns()
                self._master.sendall(REQUEST)
                answer = b""
                while len(answer) < len(ANSWER):
                    answer += self._master.recv(64)
                self.round_trips_us.append((time.monotonic_ns() - asked_ns) / 1000)
            self.cpu_s += self._cpu_s() - cpu_s
            self.wall_s += time.monotonic() - began_s

    def _cpu_s(self) -> float:
        fields = Path(f"/proc/{self._program.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def memory_mb(self) -> float:
        """The resident memory."""
        pages = int(Path(f"/proc/{self._program.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def row(self) -> str:
        """Return the figures."""
        ordered = sorted(self.round_trips_us)
        p99, p999 = (ordered[int(share * len(ordered))] for share in (0.99, 0.999))
        cpu_us = self.cpu_s / len(ordered) * 1e6
        return (
            f"{self.name:<24}{len(ordered):>9}{median(ordered):>8.0f}{p99:>8.0f}{p999:>9.0f}{ordered[-1]:>9.0f}"
            f"{cpu_us:>14.1f}{self.memory_mb:>10.1f}"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--outstations", type=int, default=64, metavar="N", help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=6, metavar="N", help="default: %(default)s")
    parser.add_argument(
        "--seconds", type=float, default=3.0, metavar="S", help="a block; default: %(default)g"
    )
    options = parser.parse_args()
    with ExitStack() as stack:
        contenders = [
            Contender(stack, name, options.outstations, with_metrics=with_metrics, scraped=scraped)
            for name, with_metrics, scraped in (
                ("no metrics", False, False),
                ("metrics", True, False),
                ("metrics, once a second", True, True),
            )
        ]
        for _ in range(options.rounds):
            for contender in contenders:
                contender.run(options.seconds)
        print(f"{options.outstations} outstations, {options.rounds} rounds of {options.seconds:g} s each; us")
        heads = f"{'trips':>9}{'p50':>8}{'p99':>8}{'p99.9':>9}{'longest':>9}{'CPU a trip':>14}{'RSS, MB':>10}"
        print(f"{'':<24}{heads}")
        for contender in contenders:
            print(contender.row())


if __name__ == "__main__":
    main()
