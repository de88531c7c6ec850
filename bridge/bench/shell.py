"""`rtu-bridge wire`: a bench line in the shell, with faults by typing."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import NamedTuple

from bridge.bench.noise import Noise
from bridge.bench.values import Direction
from bridge.bench.wire import BenchLine

DONE, FAILED = 0, 1
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_READ_OCTETS = 4096
_LONGEST_NUMBER = 4


class _Command(NamedTuple):
    arguments: str
    help: str
    done: str


class _WrongError(Exception):
    """What is wrong with what was typed, and what would be right."""


COMMANDS: Mapping[str, _Command] = {
    "unplug": _Command("", "pull the bridge's adapter out", "unplugged"),
    "replug": _Command("", "put it back", "plugged in"),
    "babble": _Command("RTU", "let an RTU talk without end", "RTU {0} babbles"),
    "hush": _Command("RTU", "end that", "RTU {0} does not babble"),
    "die": _Command("RTU", "let an RTU say and hear nothing", "RTU {0} is dead"),
    "revive": _Command("RTU", "end that", "RTU {0} is alive"),
    "delay": _Command("RTU SECONDS", "let an RTU answer later", "RTU {0} answers {1} s later"),
    "noise": _Command(
        "SHARE", "damage this share of frames, and put stray octets before as many", "noise in {0} of frames"
    ),
    "float": _Command(
        "SHARE", "let random octets sound in this share of idle octet times", "floating in {0} of idle time"
    ),
    "clean": _Command("", "end noise and float", "clean"),
    "help": _Command("", "list the commands", ""),
}


def run_wire(line: BenchLine, *, noise: float, seed: int) -> int:
    """Run a line until SIGINT, SIGTERM or SIGHUP, and do what is typed; return the exit status."""
    with _stop_signals() as stopped:
        try:
            line.start()
        except OSError as error:
            place = error.filename2 or error.filename or "cannot make its ptys"
            _complain(f"rtu-bridge wire: {error.strerror}: {place}")
            line.close()
            return FAILED
        try:
            if noise:
                _make_noise(line, noise, seed)
            print(f"BRIDGE {line.device}")
            for rtu in line.rtus:
                print(f"RTU {rtu.device}")
            print('type "help" for what can go wrong, Ctrl-C to end', flush=True)
            for typed in _typed_until(stopped):
                _obey(line, typed, seed)
        finally:
            line.close()
    return DONE


def _obey(line: BenchLine, typed: str, seed: int) -> None:
    words = typed.split()
    if not words:
        return
    try:
        done = _do(line, words[0], words[1:], seed)
    except (_WrongError, ValueError) as error:
        _complain(f"{typed.strip()}: {error}")
    else:
        print(done, flush=True)


def _do(line: BenchLine, name: str, arguments: list[str], seed: int) -> str:
    """Do what was typed and return what to say. Raises `_WrongError`, and ValueError for what no line can."""
    if name not in COMMANDS:
        raise _WrongError('no such command; type "help"')
    command = COMMANDS[name]
    expected = command.arguments.split()
    if len(arguments) != len(expected):
        raise _WrongError(f"write {name} {command.arguments}".rstrip())
    values = [_value(text, what, line) for text, what in zip(arguments, expected, strict=True)]
    match name:
        case "help":
            return _help()
        case "unplug" | "replug":
            getattr(line, name)()
        case "clean":
            line.make_clean()
        case "noise":
            _make_noise(line, values[0], seed)
        case "float":
            line.float_idle(values[0])
        case _:
            getattr(line.rtus[int(values[0]) - 1], name)(*values[1:])
    return command.done.format(*(f"{value:g}" for value in values))


def _value(text: str, what: str, line: BenchLine) -> float:
    if what == "RTU":
        count = len(line.rtus)
        if not text.isdecimal() or len(text) > _LONGEST_NUMBER or not 1 <= int(text) <= count:
            raise _WrongError(f"{text} is no RTU; there {_numbered(count)}")
        return int(text)
    try:
        return float(text)
    except ValueError:
        example = "0.5 (seconds)" if what == "SECONDS" else "0.1 (a tenth)"
        raise _WrongError(f"{text} is no number; write one such as {example}") from None


def _numbered(count: int) -> str:
    return "is only RTU 1" if count == 1 else f"are RTUs 1 to {count}"


def _make_noise(line: BenchLine, share: float, seed: int) -> None:
    for offset, direction in enumerate(Direction):
        line.make_noise(direction, Noise(seed=seed + offset, between=share, inside=share))


def _help() -> str:
    lines = (f"  {f'{name} {each.arguments}':<20}{each.help}" for name, each in COMMANDS.items())
    return "\n".join(["commands:", *lines])


def _complain(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _typed_until(stopped: socket.socket) -> Iterator[str]:
    """Yield lines of standard input until a signal comes; the input's end is no reason to stop."""
    inputs: list[socket.socket | int] = [stopped, 0]
    unread = b""
    while True:
        ready = select.select(inputs, [], [])[0]
        if stopped in ready:
            return
        octets = os.read(0, _READ_OCTETS)
        if not octets:
            inputs.remove(0)
        *lines, unread = (unread + octets[:_READ_OCTETS]).split(b"\n")
        unread = unread[:_READ_OCTETS]
        yield from (line.decode(errors="replace") for line in lines)


@contextmanager
def _stop_signals() -> Iterator[socket.socket]:
    """Give a socket that is readable after a signal to stop."""

    def nothing(number: int, frame: FrameType | None) -> None:
        """The wake-up socket says it; without a handler Python would not write to it."""

    ours, pythons = socket.socketpair()
    pythons.setblocking(False)
    earlier = {each: signal.signal(each, nothing) for each in _STOPPING}
    wakeup = signal.set_wakeup_fd(pythons.fileno())
    try:
        yield ours
    finally:
        signal.set_wakeup_fd(wakeup)
        for each, handler in earlier.items():
            signal.signal(each, handler)
        ours.close()
        pythons.close()
