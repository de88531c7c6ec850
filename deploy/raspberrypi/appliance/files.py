"""Files that a power cut leaves whole: the old one or the new one, never a part."""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LONGEST_OCTETS: Final = 256 * 1024
"""As long as a configuration may be."""


@dataclass(frozen=True, slots=True)
class Source:
    """What was found under the name of a file: its octets, or a problem, or neither if there is none."""

    name: str
    octets: bytes | None = None
    problem: str | None = None


def read(folder: Path, name: str) -> Source:
    """Read a file that anybody may have put there. Raises nothing."""
    path = folder / name
    try:
        # Not blocking: to open a pipe would wait for whoever writes.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return Source(name, problem="is no regular file; put a text file there")
            octets = file.read(LONGEST_OCTETS + 1)
    except FileNotFoundError:
        return Source(name)
    except OSError as error:
        reason = error.strerror or str(error)
        return Source(name, problem=f"cannot be read: {reason}; copy it to the card again")
    if len(octets) > LONGEST_OCTETS:
        problem = f"is longer than {LONGEST_OCTETS // 1024} KiB; put a configuration there"
        return Source(name, problem=problem)
    return Source(name, octets)


def write(path: Path, octets: bytes, mode: int = 0o644) -> None:
    """Put a file in place of the one that is there, if it differs. Raises OSError.

    Not written when it is the same: cards wear.
    """
    if _holds(path, octets):
        os.chmod(path, mode)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.new")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(octets)
            file.flush()
            os.fsync(descriptor)
        partial.replace(path)
    except OSError:
        # On a full partition the beginning would be in the way of everything else.
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def remove(path: Path) -> None:
    """Take a file away if it is there. Raises OSError."""
    try:
        path.unlink()
    except FileNotFoundError:
        return
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make names in a folder durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _holds(path: Path, octets: bytes) -> bool:
    try:
        return path.stat().st_size == len(octets) and path.read_bytes() == octets
    except OSError:
        return False
