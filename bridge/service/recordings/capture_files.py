"""Recordings as files in a folder of bounded size.

Rules:
  1. All files together, the one being written included, never take more than the limit: the oldest go first.
  2. A file has its name once it is whole. A part that a power cut left is removed at the next writing.
  3. It is written slowly, in a thread, with a pause after a few packets: the interpreter is the bridge's.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

_PREFIX, _SUFFIX, _PART = "rtu-bridge-", ".pcapng", ".part"
_PAUSE_S = 0.002
"""After at most 64 packets, which hold the interpreter for a third of a millisecond."""
_MOST_OF_A_NAME = 100


class CaptureFolder:
    """A folder with at most `limit_octets` of recordings. It is made when it is first written to."""

    def __init__(self, path: str, limit_octets: int) -> None:
        self.path = Path(path)
        self._limit_octets = limit_octets

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
        older = sorted((each.stat().st_mtime_ns, each, each.stat().st_size) for each in self._files())
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

    def _files(self) -> Iterable[Path]:
        return self.path.glob(f"{_PREFIX}*{_SUFFIX}")

    def _unused(self, name: str) -> Path:
        """Return a path that nothing has: several may be asked for within a second."""
        names = (name, *(f"{name}-{number}" for number in range(2, _MOST_OF_A_NAME)))
        return next(path for each in names if not (path := self.path / f"{each}{_SUFFIX}").exists())

    def _make_durable(self) -> None:
        """Let the name survive a power cut."""
        folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _open_privately(path: str, flags: int) -> int:
    # What masters and RTUs say to each other is nobody else's business.
    return os.open(path, flags, 0o640)
