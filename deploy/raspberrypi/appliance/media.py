"""Every write of an update goes through here, so that tests can cut the power at each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from . import files

BLOCK: Final = 1024 * 1024
SECTOR: Final = 512


class Media:
    """Partitions and small files. All methods raise OSError."""

    def size(self, device: Path) -> int:
        """Return the size of a partition in octets."""
        with device.open("rb") as file:
            return file.seek(0, os.SEEK_END)

    def write_at(self, device: Path, offset: int, octets: bytes) -> None:
        """Write into a partition; durable after `sync`."""
        descriptor = os.open(device, os.O_WRONLY | os.O_CLOEXEC)
        try:
            _write_all(descriptor, octets, offset)
        finally:
            os.close(descriptor)

    def sync(self, device: Path) -> None:
        """Have all that was written on the partition itself, and nothing of it in memory."""
        descriptor = os.open(device, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
            # What is read then comes from the card: that is what is to be verified.
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)

    def blocks(self, device: Path, size: int) -> Iterator[bytes]:
        """Read the first `size` octets, in blocks."""
        with device.open("rb", buffering=0) as file:
            left = size
            while left > 0:
                octets = file.read(min(BLOCK, left))
                if not octets:
                    return
                left -= len(octets)
                yield octets

    def replace(self, path: Path, octets: bytes) -> None:
        """Put a small file in place of another one; one of the same length in a single write."""
        try:
            if path.stat().st_size == len(octets):
                self._overwrite(path, octets)
                return
        except FileNotFoundError:
            pass
        files.write(path, octets)

    def _overwrite(self, path: Path, octets: bytes) -> None:
        # On FAT a rename is two writes, and a cut between them leaves no file. This is one, of one sector.
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            _write_all(descriptor, octets, 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def note(self, path: Path, octets: bytes | None) -> None:
        """Keep a note, or remove it."""
        if octets is None:
            files.remove(path)
        else:
            files.write(path, octets)


def _write_all(descriptor: int, octets: bytes, offset: int) -> None:
    view = memoryview(octets)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written
