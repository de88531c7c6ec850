"""The command `rtu-bridge` as a subprocess, with what it prints, its signals and its exit status."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType, TracebackType
from typing import Self

from tests.support.repository import ROOT
from tests.support.waiting import PATIENCE_S, until

_MODULE = ("-m", "bridge")

PROGRAM_PATIENCE_S = 30.0
"""A program starts in a fifth of a second, and in five where six others want the same processor."""


class Program:
    """One running command. Leaving the block kills it, should it still run.

    `terminal` is the other side of the one that it has.

    `start` is what stands before its arguments: how Python starts the program. On a terminal, standard output
    and error are one, and both in `out`.
    """

    def __init__(
        self,
        *arguments: str,
        start: Sequence[str] = _MODULE,
        is_on_terminal: bool = False,
        columns: int = 160,
        rows: int = 50,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        without = ("PYTHONUNBUFFERED", "COLUMNS", "LINES", "NO_COLOR")
        usual = {name: value for name, value in os.environ.items() if name not in without}
        whole = {**usual, "TERM": "xterm", "LC_ALL": "C.UTF-8", **environment}
        self.terminal: int | None = None
        self._printed: dict[str, bytearray] = {"out": bytearray(), "err": bytearray()}
        command = [sys.executable, *start, *arguments]
        if is_on_terminal:
            ours, theirs = pty.openpty()
            _set_size(theirs, columns, rows)
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=whole,
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                start_new_session=True,
                preexec_fn=_take_terminal,
            )
            os.close(theirs)
            self.terminal = os.dup(ours)
            outputs = {"out": ours}
        else:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=whole,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            assert self._process.stdout is not None
            assert self._process.stderr is not None
            outputs = {
                "out": os.dup(self._process.stdout.fileno()),
                "err": os.dup(self._process.stderr.fileno()),
            }
            self._process.stdout.close()
            self._process.stderr.close()
        self._readers = [
            threading.Thread(target=self._read, args=(name, descriptor), daemon=True)
            for name, descriptor in outputs.items()
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for reader in self._readers:
            reader.join(PATIENCE_S)
        if self.terminal is not None:
            os.close(self.terminal)
        if error is not None:
            print(f"--- standard output\n{self.out}\n--- standard error\n{self.err}")

    @property
    def out(self) -> str:
        """What it printed so far to standard output."""
        return self._printed["out"].decode(errors="replace")

    @property
    def err(self) -> str:
        """What it printed so far to standard error."""
        return self._printed["err"].decode(errors="replace")

    @property
    def pid(self) -> int:
        """Its process number."""
        return self._process.pid

    def until_printed(self, text: str) -> str:
        """Wait for a text on standard output or error and return all of that output so far."""

        def printed() -> str:
            for output in (self.out, self.err):
                if text in output:
                    return output
            assert self._process.poll() is None, f"ended with {self._process.returncode} before {text!r}"
            return ""

        return until(printed, f"the program prints {text!r}", within_s=PROGRAM_PATIENCE_S)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def type(self, keys: str) -> None:
        """Let somebody at its terminal type."""
        assert self.terminal is not None
        os.write(self.terminal, keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        """Let somebody pull at the corner of its terminal's window."""
        assert self.terminal is not None
        _set_size(self.terminal, columns, rows)

    def wait(self, within_s: float = PROGRAM_PATIENCE_S) -> int:
        """Wait for its end, and all that it printed, and return its exit status."""
        try:
            status = self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {within_s:g} s") from None
        for reader in self._readers:
            reader.join(PATIENCE_S)
        return status

    def _read(self, name: str, descriptor: int) -> None:
        # A terminal whose other side is closed reads as an error.
        with suppress(OSError):
            while octets := os.read(descriptor, 65536):
                self._printed[name] += octets
        os.close(descriptor)


def _take_terminal() -> None:
    """Make standard input the controlling terminal, whose Ctrl-C is a signal. Runs in the child."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _set_size(terminal: int, columns: int, rows: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def run_to_the_end(*arguments: str) -> tuple[int, str, str]:
    """Run a command that ends by itself; return its exit status, standard output and standard error."""
    with Program(*arguments) as program:
        status = program.wait()
        return status, program.out, program.err
