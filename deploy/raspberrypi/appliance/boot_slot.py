"""The boot partition of a slot, mounted for a moment: what config.txt says there, and our lines of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from . import files, mounts
from .firmware_lines import BootPartition
from .media import Media
from .places import LINES

CONFIG_TXT: Final = "config.txt"
Mounted = Callable[[Path], AbstractContextManager[Path]]
"""From the device of a partition to the folder with its files, for a block; read-only."""
Writable = Callable[[Path], AbstractContextManager[None]]


class BootSlots:
    """Reads and writes what belongs to us in a boot partition. All methods raise OSError."""

    def __init__(
        self, media: Media, mounted: Mounted = mounts.mounted, writable: Writable = mounts.writable
    ) -> None:
        self._media = media
        self._mounted = mounted
        self._writable = writable

    def read(self, device: Path) -> BootPartition:
        """Return what is there. A partition without our file is one of another image: nothing is written."""
        with self._mounted(device) as folder:
            text = files.read(folder, CONFIG_TXT).octets or b""
            names = frozenset(path.stem for path in (folder / "overlays").glob("*.dtbo"))
            return BootPartition(text.decode("latin-1"), names, files.read(folder, LINES).octets)

    def write(self, device: Path, octets: bytes) -> None:
        """Write our file and read it back."""
        with self._mounted(device) as folder, self._writable(folder):
            self._media.replace(folder / LINES, octets)
        if self.read(device).lines_file != octets:
            raise OSError(f"{LINES} on {device} reads differently than it was written; replace the card")
