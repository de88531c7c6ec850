"""What stands around a bridge on the bench: the pty, the C programs, processes, the client's end of the wire.

Everything here is a context manager that leaves nothing behind, also on Ctrl-C. Processes are ended by their
own handle, sockets bind loopback only, and every wait has a condition and a deadline.
"""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import termios
import time
import tty
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

HERE = Path(__file__).resolve().parent
LOOPBACK = "127.0.0.1"
START_TIMEOUT_S = 15.0
STOP_TIMEOUT_S = 3.0
ANSWER_TIMEOUT_S = 2.0
QUIET_S = 0.2

Cores = frozenset[int]


class BenchError(Exception):
    """A bridge did not start, went away or could not be measured; the message is for the report."""


class NoAnswer(Exception):
    """Nothing arrived within the answer timeout."""


# ---------------------------------------------------------------------------------------------- C programs


def compiler() -> str | None:
    return shutil.which("gcc") or shutil.which("cc")


def build(name: str, directory: Path) -> Path:
    """Compiles `<name>.c` beside this file into the directory; raises BenchError with gcc's words."""
    gcc = compiler()
    if gcc is None:
        raise BenchError("no C compiler: the RTU of this bench (responder.c) needs gcc")
    program = directory / name
    done = subprocess.run(
        [gcc, "-O2", "-D_GNU_SOURCE", "-o", str(program), str(HERE / f"{name}.c")],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BenchError(f"{name}.c does not compile: {done.stderr.strip()}")
    return program


# ---------------------------------------------------------------------------------------------- pty, port


@dataclass(frozen=True, slots=True)
class Pty:
    """A raw pty pair: the RTU holds `master`, the bridge opens `device`.

    The bench keeps `slave` open too, without reading it, so that the RTU sees no hang-up between bridges.
    """

    master: int
    slave: int
    device: str


@contextmanager
def open_pty() -> Iterator[Pty]:
    master, slave = os.openpty()
    try:
        tty.setraw(master, termios.TCSANOW)
        tty.setraw(slave, termios.TCSANOW)
        yield Pty(master, slave, os.ttyname(slave))
    finally:
        os.close(master)
        os.close(slave)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


# ---------------------------------------------------------------------------------------------- processes


@contextmanager
def on_cores(cores: Cores | None) -> Iterator[None]:
    """Runs this thread on the cores meanwhile; processes started here inherit them. None leaves it alone."""
    before = os.sched_getaffinity(0)
    if cores is not None:
        os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def process(
    command: Sequence[str], *, log: Path, cores: Cores | None, pass_fds: Iterable[int] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a program with its output in `log`, in a process group of its own, and ends it at the end."""
    with log.open("wb") as output, on_cores(cores):
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=tuple(pass_fds),
            process_group=0,
        )
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@contextmanager
def cores_awake(programs: Path, used: Cores | None) -> Iterator[None]:
    """Keeps the cores that the bench does not use busy; where there is none, all from halting (awake.c)."""
    every = os.sched_getaffinity(0)
    free = every - used if used else set()
    with ExitStack() as stack:
        for core in sorted(free or every):
            command = [str(programs / "awake"), str(core), "busy" if free else "idle"]
            stack.enter_context(process(command, log=programs / f"awake-{core}.log", cores=None))
        yield


def last_words(log: Path) -> str:
    """The end of a program's output, on one line."""
    text = log.read_text(errors="replace").strip() if log.exists() else ""
    return " / ".join(text.splitlines()[-3:]) or "no output"


# ---------------------------------------------------------------------------------------------- client


class Channel(Protocol):
    """The client's end: blocking, one system call a call, NoAnswer after ANSWER_TIMEOUT_S."""

    def send(self, octets: bytes) -> None: ...

    def receive(self) -> bytes: ...

    def drain(self) -> int: ...


class TcpChannel:
    """A blocking TCP client. The timeout is the kernel's: Python's own would add a poll() to every recv()."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        connection.settimeout(None)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answer_within(ANSWER_TIMEOUT_S)
        self.send = connection.sendall

    def _answer_within(self, seconds: float) -> None:
        timeval = struct.pack("@ll", int(seconds), int(seconds % 1 * 1e6))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)

    def receive(self) -> bytes:
        try:
            octets = self._socket.recv(4096)
        except BlockingIOError:
            raise NoAnswer from None
        except OSError as error:
            raise BenchError(f"connection lost: {error.strerror}") from error
        if not octets:
            raise BenchError("the bridge closed the connection")
        return octets

    def drain(self) -> int:
        """Throws away what still arrives, until it is quiet; returns how many octets that were."""
        self._answer_within(QUIET_S)
        dropped = 0
        try:
            while True:
                dropped += len(self.receive())
        except NoAnswer:
            return dropped
        finally:
            self._answer_within(ANSWER_TIMEOUT_S)


class PtyChannel:
    """No bridge at all: the client on the slave side of the pty. VTIME is the timeout."""

    def __init__(self, slave: int) -> None:
        self._slave = slave
        self._answer_within(ANSWER_TIMEOUT_S)

    def _answer_within(self, seconds: float) -> None:
        settings = termios.tcgetattr(self._slave)
        settings[6][termios.VMIN] = 0
        settings[6][termios.VTIME] = round(seconds * 10)
        termios.tcsetattr(self._slave, termios.TCSANOW, settings)

    def send(self, octets: bytes) -> None:
        os.write(self._slave, octets)

    def receive(self) -> bytes:
        octets = os.read(self._slave, 4096)
        if not octets:
            raise NoAnswer
        return octets

    def drain(self) -> int:
        self._answer_within(QUIET_S)
        dropped = 0
        try:
            while True:
                dropped += len(self.receive())
        except NoAnswer:
            return dropped
        finally:
            self._answer_within(ANSWER_TIMEOUT_S)


@contextmanager
def connected(port: int, child: subprocess.Popen[bytes], log: Path) -> Iterator[socket.socket]:
    """Connects as soon as the program listens; raises BenchError when it ends or takes too long."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while (connection := _try_connect(port)) is None:
        if child.poll() is not None:
            raise BenchError(f"ended with status {child.returncode}: {last_words(log)}")
        if time.monotonic() > deadline:
            raise BenchError(f"not listening after {START_TIMEOUT_S:.0f} s: {last_words(log)}")
        time.sleep(0.001)
    with connection:
        yield connection


def _try_connect(port: int) -> socket.socket | None:
    attempt = socket.socket()
    try:
        attempt.connect((LOOPBACK, port))
    except ConnectionError:
        attempt.close()
        return None
    if attempt.getsockname() == attempt.getpeername():  # TCP can connect a free local port to itself
        attempt.close()
        return None
    return attempt
