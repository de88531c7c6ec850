"""The guest: an emulated machine with Debian and the packaged bridge, driven from the host.

    with Guest(image) as guest:
        guest.run("systemctl is-active rtu-bridge").out
        with guest.far_end("ttyS1") as rtu: ...   # what is connected to its /dev/ttyS1
        with guest.far_end("usb1") as rtu: ...    # a USB adapter, plugged in for the block
        RawMaster("127.0.0.1", guest.port(20000))

Nothing that it writes survives it. It reaches nothing but what is forwarded from loopback.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.deploy.boards import Board, Pc
from tests.deploy.far_end import FarEnd
from tests.deploy.qmp import Qmp
from tests.support.waiting import until

RUN_WITHIN_S = 60.0
READY = "guest: ready"
_HOST_PATIENCE_S = 30.0
_PC = Pc()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command in the guest came to."""

    status: int
    out: str
    err: str


class Guest:
    """A running guest. Leaving the block is pulling its plug."""

    def __init__(self, image: Path, *, board: Board = _PC, ports: Sequence[int] = (20000,)) -> None:
        """`image` is the folder that `build_guest.py` prints; the TCP `ports` are forwarded."""
        self._image = image
        self.board = board
        self._ports = tuple(ports)
        self._requests = 0
        self.booted_in_s = 0.0
        """How long it took from power-on to the line that says ready."""

    def __enter__(self) -> Self:
        self.power_on()
        return self

    def power_on(self) -> None:
        """Switch it on and wait until it can be asked; after `power_off` again."""
        with self._unless_it_fails():
            self._start()
            self._meet()

    def watch_boot(self, text: str) -> None:
        """Switch it on, wait until the console shows a text, where that is not ready, and pull the plug."""
        with self._unless_it_fails():
            self._start()
            self.wait_for(text, within_s=self.board.boot_within_s)
        self.power_off()

    @contextmanager
    def _unless_it_fails(self) -> Iterator[None]:
        # Under /tmp, because the path of a unix socket must be short.
        self.folder = Path(tempfile.mkdtemp(prefix="guest-", dir="/tmp"))
        try:
            yield
        except BaseException:
            print(f"--- console\n{self.console}")
            self.power_off()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            print(f"--- console\n{self.console}")
        self.power_off()

    def _start(self) -> None:
        with (self.folder / "qemu.log").open("wb") as log:
            self._process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder
            )

    def _meet(self) -> None:
        begun_s = time.monotonic()
        self.wait_for(READY, within_s=self.board.boot_within_s)
        self.booted_in_s = time.monotonic() - begun_s
        self.qmp = Qmp(self.folder / "qmp")
        self._forwarded = dict(self._find_forwarded())
        self._agent = socket.socket(socket.AF_UNIX)
        self._agent.connect(str(self.folder / "agent"))
        self._answers = self._agent.makefile("rb")

    def _command(self) -> list[str]:
        command = [self.board.program, *self.board.machine(self._network()), *self._boot()]
        return [*command, "-qmp", "unix:qmp,server=on,wait=off"]

    def _boot(self) -> list[str]:
        """Return QEMU's arguments for kernel, initrd, command line, and what they find the root on."""
        command = ["-kernel", str(self._image / "kernel"), "-initrd", str(self._image / "initrd")]
        arguments = f"net.ifnames=0 {self.board.arguments}"
        # The bare machine has all in its initrd.
        if (root := self._image / "root.sqfs").exists():
            command += self.board.disk(root, is_read_only=True)
            arguments = f"root=/dev/vda rootfstype=squashfs ro {arguments}"
        return [*command, "-append", arguments]

    def _network(self) -> str:
        return "user,id=net,restrict=on" + "".join(
            f",hostfwd=tcp:127.0.0.1:0-:{port}" for port in self._ports
        )

    def _find_forwarded(self) -> list[tuple[int, int]]:
        # Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ
        table = self.qmp.monitor("info usernet")
        rows = re.findall(r"TCP\[HOST_FORWARD\]\s+\d+\s+\S+\s+(\d+)\s+\S+\s+(\d+)", table)
        return [(int(inside), int(outside)) for outside, inside in rows]

    # What is outside

    @property
    def pid(self) -> int:
        """The process of the machine."""
        return self._process.pid

    @property
    def console(self) -> str:
        """What was printed on the console so far."""
        try:
            return (self.folder / "console").read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    def wait_for(self, text: str, *, within_s: float) -> None:
        """Wait until the console shows a text."""

        def is_shown() -> bool:
            if text in self.console:
                return True
            if self._process.poll() is not None:
                log = (self.folder / "qemu.log").read_text(errors="replace")
                ended = f"QEMU ended with {self._process.returncode} before {text!r}"
                raise AssertionError(f"{ended}\n{log}")
            return False

        until(is_shown, f"the console shows {text!r}", within_s=within_s, pause_s=0.05)

    def wait_until_down(self, *, within_s: float) -> None:
        """Wait until the guest itself has gone down, to start again or to stay off: QEMU ends with either."""
        until(lambda: self._process.poll() is not None, "it goes down", within_s=within_s)

    def port(self, inside: int) -> int:
        """Return the port on 127.0.0.1 that leads to a port of the guest."""
        return self._forwarded[inside]

    def far_end(self, name: str) -> FarEnd:
        """Return what a port is connected to; that plugs a USB adapter in, and closing it pulls it out."""
        return FarEnd(self.port_path(name))

    def port_path(self, name: str) -> Path:
        """Return the unix socket of a serial port or USB adapter."""
        return self.folder / name

    def power_off(self) -> None:
        """Pull the plug: nothing in the guest hears of it."""
        for name in ("_answers", "_agent", "qmp"):
            if (thing := self.__dict__.pop(name, None)) is not None:
                thing.close()
        if (process := self.__dict__.pop("_process", None)) is not None:
            process.kill()
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    # What is inside

    def run(self, command: str, *, within_s: float = RUN_WITHIN_S, status: int | None = 0) -> Outcome:
        """Run a shell command as root. It must end with this exit status; None: with any."""
        answer = self._ask(within_s, run=command, within_s=within_s)
        assert answer["status"] is not None, f"not within {within_s:g} s: {command}\n{answer}"
        outcome = Outcome(answer["status"], answer["out"], answer["err"])
        assert status is None or outcome.status == status, f"{command}\n{outcome}"
        return outcome

    def write(self, path: str, content: str | bytes, *, mode: int = 0o644) -> None:
        """Write a small file."""
        octets = content.encode() if isinstance(content, str) else content
        self._ask(RUN_WITHIN_S, write=path, octets=base64.b64encode(octets).decode(), mode=mode)

    def read(self, path: str) -> bytes:
        """Return a small file."""
        return base64.b64decode(self._ask(RUN_WITHIN_S, read=path)["octets"])

    def until(self, command: str, text: str, *, within_s: float = RUN_WITHIN_S) -> str:
        """Run a command until its output has a text, and return that output."""
        printed = [""]

        def is_printed() -> bool:
            printed[0] = self.run(command, status=None).out
            return text in printed[0]

        try:
            until(is_printed, "", within_s=within_s, pause_s=0.1)
        except AssertionError:
            raise AssertionError(f"not within {within_s:g} s: {text!r} of {command}\n{printed[0]}") from None
        return printed[0]

    def _ask(self, patience_s: float, **request: object) -> dict[str, Any]:
        self._requests += 1
        self._agent.settimeout(patience_s + _HOST_PATIENCE_S)
        self._agent.sendall(json.dumps({"id": self._requests, **request}).encode() + b"\n")
        answer: dict[str, Any] = json.loads(self._answers.readline())
        assert answer.pop("id") == self._requests, "an answer to another request"
        assert "error" not in answer, answer
        return answer


def main(image: str) -> None:
    """Boot the guest once, and say how long that took and what its bridge says."""
    with Guest(Path(image)) as guest:
        print(f"ready after {guest.booted_in_s:.0f} s")
        guest.run("systemctl start rtu-bridge", within_s=300.0)  # it may not have finished its own
        print(guest.run("systemctl show -p StatusText --value rtu-bridge").out, end="")


if __name__ == "__main__":
    main(sys.argv[1])
