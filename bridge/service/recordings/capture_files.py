"""Recordings as files in a folder of bounded size.

Rules:
  1. All files together, the one being written included, never take more than the limit: the oldest go first.
  2. A file has its name once it is whole. A part that a power cut left is removed at the next writing.
  3. It is written slowly, in a thread, with a pause after a few packets: the interpreter is the bridge's.
  4. On a disk that is full nothing is removed but the part that found no room: the recordings that there are
     may be of the fault that matters.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import BinaryIO

_PREFIX, _SUFFIX, _PART = "rtu-bridge-", ".pcapng", ".part"
_PAUSE_S = 0.002
"""After at most 64 packets, which hold the interpreter for a third of a millisecond."""


@dataclass(frozen=True, slots=True)
class FolderState:
    """How a folder was when it was looked at."""

    is_there: bool
    octets: int
    """What the recordings in it take."""
    free_octets: int | None
    """What its file system has room for; None where that is not told."""
    problem: str | None
    """Why this user cannot write there, in the system's words."""


class CaptureFolder:
    """A folder with at most `limit_octets` of recordings. It is made when it is first written to."""

    def __init__(self, path: str, limit_octets: int) -> None:
        self.path = Path(path)
        self._limit_octets = limit_octets

    def look(self) -> FolderState:
        """Return how the folder is; one that is not there yet, how what it will be made in is. Can block."""
        place = self.path
        # os.path's says no where this user may not look; Path's raises.
        while not os.path.exists(place) and place != place.parent:
            place = place.parent
        is_there = place == self.path
        try:
            system = os.statvfs(place)
            octets = sum(size for _, _, size in self._oldest_first())
        except OSError as error:
            return FolderState(is_there, 0, None, error.strerror)
        problem = _why_not_writable(place, system.f_flag)
        return FolderState(is_there, octets, system.f_bavail * system.f_frsize, problem)

    def write(self, reason: str, wall_s: float, parts: Iterable[bytes]) -> Path:
        """Write a file and return its path. `wall_s` is seconds since 1970 UTC, for its name.

        Takes seconds: to be called in a thread. Raises `OSError`, and leaves nothing behind.
        """
        self.path.mkdir(mode=0o750, parents=True, exist_ok=True)
        for left_over in self.path.glob(f"{_PREFIX}*{_PART}"):
            left_over.unlink(missing_ok=True)
        target = self._unused(f"{_PREFIX}{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(wall_s))}-{reason}")
        part = target.with_suffix(_PART)
        try:
            with open(part, "wb", opener=_open_privately) as file:
                self._fill(file, parts)
                file.flush()
                os.fsync(file.fileno())
            part.rename(target)
        except BaseException:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise
        self._make_durable()
        return target

    def _fill(self, file: BinaryIO, parts: Iterable[bytes]) -> None:
        older = self._oldest_first()
        room = self._limit_octets - sum(size for _, _, size in older)
        for octets in parts:
            room -= len(octets)
            while room < 0:
                if not older:
                    raise OSError(errno.EFBIG, "the recording is larger than disk_mib allows")
                _, oldest, size = older.pop(0)
                oldest.unlink(missing_ok=True)
                room += size
            file.write(octets)
            time.sleep(_PAUSE_S)

    def _oldest_first(self) -> list[tuple[int, Path, int]]:
        """Return the time, path and size of each recording."""
        found = []
        for path in self.path.glob(f"{_PREFIX}*{_SUFFIX}"):
            # Somebody may be tidying up.
            with suppress(FileNotFoundError):
                status = path.stat()
                found.append((status.st_mtime_ns, path, status.st_size))
        return sorted(found)

    def _unused(self, name: str) -> Path:
        """Return a path that nothing has: several may be asked for within a second."""
        names = chain((name,), (f"{name}-{number}" for number in count(2)))
        return next(path for each in names if not (path := self.path / f"{each}{_SUFFIX}").exists())

    def _make_durable(self) -> None:
        """Let the name survive a power cut."""
        folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _why_not_writable(folder: Path, mount_flags: int) -> str | None:
    if not folder.is_dir():
        return os.strerror(errno.ENOTDIR)
    if mount_flags & os.ST_RDONLY:
        return os.strerror(errno.EROFS)
    return None if os.access(folder, os.W_OK | os.X_OK) else os.strerror(errno.EACCES)


def _open_privately(path: str, flags: int) -> int:
    # What masters and RTUs say to each other is nobody else's business.
    return os.open(path, flags, 0o640)
