"""Standard input, output and error as they were left to the program: closed, full, or of any encoding."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
import sys
from typing import Final, TextIO

_ERROR: Final = 3
"""syslog's priority of an error."""
_NOBODY_WRITES: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF})


def make_usable() -> None:
    """Open what is closed, and let no character of an output be one that its encoding lacks."""
    for descriptor in (0, 1, 2):
        _open_if_closed(descriptor)
    if sys.stdin is None:
        sys.stdin = _stream(0, "r")
    if sys.stdout is None:
        sys.stdout = _stream(1, "w")
    if sys.stderr is None:
        sys.stderr = _stream(2, "w")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def is_screen() -> bool:
    """Say whether standard output is a terminal on which a picture can be drawn."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb").lower() not in ("", "dumb", "unknown")


def complain(text: str) -> None:
    """Print to standard error; where that is full or gone, the exit status has to say it."""
    if is_journal():
        text = "\n".join(f"<{_ERROR}>{line}" for line in text.splitlines())
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        silence(sys.stderr)


def is_journal(descriptor: int = 2) -> bool:
    """Tell whether a descriptor is the journal's, by what systemd says of it in JOURNAL_STREAM."""
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        # The variable is inherited also by what has its standard error redirected.
        file = os.fstat(descriptor)
        return (file.st_dev, file.st_ino) == (int(device), int(inode))
    except (OSError, ValueError):
        return False


def silence(stream: TextIO) -> None:
    """Let what is still buffered go nowhere: Python flushes it at exit, and would change the exit status."""
    with contextlib.suppress(OSError):
        target = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, target)
        os.close(nowhere)


def is_reader_gone(error: OSError) -> bool:
    """Whether standard output was a pipe that nobody reads any more, or a terminal that hung up."""
    if isinstance(error, BrokenPipeError):
        return True
    return error.errno == errno.EIO and stat.S_ISCHR(os.fstat(1).st_mode)


def is_output_refused(error: OSError) -> bool:
    """Whether the error is that of a full disk, or of another output that takes nothing."""
    return error.errno in _NOBODY_WRITES


def _open_if_closed(descriptor: int) -> None:
    try:
        os.fstat(descriptor)
    except OSError:
        # The lowest free number is this one: those below it are open by now.
        os.open(os.devnull, os.O_RDWR)


def _stream(descriptor: int, mode: str) -> TextIO:
    return io.TextIOWrapper(
        os.fdopen(descriptor, f"{mode}b", closefd=False), encoding="utf-8", errors="backslashreplace"
    )
