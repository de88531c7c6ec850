"""Layers of a build that take long: kept in the cache under the hash of their inputs, with progress shown."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

_KEEP_S: Final = 3600
_TERMINAL_EVERY_S: Final = 0.1
_LOG_EVERY_S: Final = 15.0
_WIDTH: Final = 72


def cache_folder() -> Path:
    """Return where large things are kept between builds."""
    return Path(os.environ.get("RTU_BRIDGE_CACHE") or Path.home() / ".cache/rtu-bridge")


def hash_of(inputs: Iterable[Path], *others: str) -> str:
    """Return 16 hexadecimal digits that are others as soon as a file, its name, or one of the texts is."""
    digest = hashlib.sha256(repr(others).encode())
    for path in inputs:
        octets = path.read_bytes()
        digest.update(f"{path.name} {len(octets)}\n".encode() + octets)
    return digest.hexdigest()[:16]


def note(text: str) -> None:
    """Tell whoever builds what is done now."""
    print(f"== {text}", file=sys.stderr, flush=True)


def run(
    command: Sequence[Path | str], *, within_s: float, environment: Mapping[str, str] | None = None
) -> None:
    """Run a step of a build and show how far it is; all of what it wrote only when it failed.

    Raises `subprocess.CalledProcessError`, or `subprocess.TimeoutExpired` after `within_s`.
    """
    words = [str(word) for word in command]
    began_s = time.monotonic()
    with subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=None if environment is None else {**os.environ, **environment},
    ) as process:
        # Asked to end, not killed: mmdebstrap then takes its own children and mounts with it.
        limit = threading.Timer(within_s, process.terminate)
        limit.start()
        written = bytearray()
        try:
            assert process.stdout is not None
            progress = _Progress(began_s)
            for line in process.stdout:
                written += line
                progress.show(line.decode(errors="replace").strip())
            progress.end()
        finally:
            limit.cancel()
    if process.returncode:
        sys.stderr.buffer.write(written)
        sys.stderr.flush()
        if time.monotonic() - began_s >= within_s:
            raise subprocess.TimeoutExpired(words, within_s)
        raise subprocess.CalledProcessError(process.returncode, words)


def forget_old(used: Path, pattern: str) -> None:
    """Delete what was made beside `used` and nobody asked for within the hour.

    Each change of the program leaves one.
    """
    os.utime(used)
    for old in used.parent.glob(pattern):
        if old != used and time.time() - old.stat().st_mtime > _KEEP_S:
            shutil.rmtree(old, ignore_errors=True)


class _Progress:
    """The last line of a command and the minutes so far: in place on a terminal, now and then in a log."""

    def __init__(self, began_s: float) -> None:
        self._began_s = began_s
        self._in_place = sys.stderr.isatty()
        self._every_s = _TERMINAL_EVERY_S if self._in_place else _LOG_EVERY_S
        self._next_s = began_s + self._every_s

    def show(self, line: str) -> None:
        now_s = time.monotonic()
        if not line or now_s < self._next_s:
            return
        self._next_s = now_s + self._every_s
        minutes, seconds = divmod(int(now_s - self._began_s), 60)
        printable = "".join(each for each in line if each.isprintable())
        text = f"   {minutes}:{seconds:02} {printable[:_WIDTH]}"
        sys.stderr.write(f"\r\033[K{text}" if self._in_place else f"{text}\n")
        sys.stderr.flush()

    def end(self) -> None:
        if self._in_place:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()
