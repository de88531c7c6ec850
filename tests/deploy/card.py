"""The appliance's SD card, as a technician has it in hand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.deploy.tools import run_tool

sys.path.insert(0, str(Path(__file__).parents[2] / "deploy/raspberrypi/image"))
from layout import BOOT_A, BOOT_B, CONFIG, DATA, MIB, PARTITIONS  # a folder of scripts

__all__ = ["BOOT_A", "BOOT_B", "CONFIG", "DATA", "MIB", "PARTITIONS", "Card"]

_SIZE = 2048 * MIB
"""Of a card. QEMU takes powers of two only."""
_FLASH_WITHIN_S = 300


class Card:
    """An SD card outside of its machine."""

    def __init__(self, disk: Path) -> None:
        self.disk = disk

    @classmethod
    def flashed(cls, image: Path, folder: Path) -> Card:
        """Flash a new one, with an image or a compressed image."""
        disk = folder / "card.img"
        if image.suffix == ".xz":
            with disk.open("wb") as file:
                subprocess.run(["xz", "-dc", str(image)], check=True, stdout=file, timeout=_FLASH_WITHIN_S)
        else:
            run_tool("cp", "--sparse=always", "--reflink=auto", image, disk)
        os.truncate(disk, _SIZE)
        return cls(disk)

    def put(self, name: str, content: str) -> None:
        """Copy a file to the partition that a person sees."""
        run_tool("mcopy", "-o", "-i", self._fat(CONFIG), "-", f"::{name}", octets=content.encode())

    def get(self, name: str, *, partition: int = CONFIG) -> bytes | None:
        """Return a file of a FAT partition; None if it is not there."""
        command = ["mcopy", "-i", self._fat(partition), f"::{name}", "-"]
        done = subprocess.run(command, capture_output=True, check=False, timeout=120)
        return None if done.returncode else done.stdout

    def names(self) -> set[str]:
        """Return the names of the files that a person sees."""
        return set(run_tool("mdir", "-b", "-i", self._fat(CONFIG), "::").decode().replace("::/", "").split())

    def wipe(self, partition: int) -> None:
        """Overwrite a partition with nothing."""
        place = PARTITIONS[partition]
        with self.disk.open("r+b") as file:
            file.seek(place.offset)
            for _ in range(place.size_mib):
                file.write(bytes(MIB))

    def extract(self, partition: int, into: Path) -> Path:
        """Copy a partition to a file."""
        place = PARTITIONS[partition]
        with self.disk.open("rb") as file, into.open("wb") as out:
            file.seek(place.offset)
            for _ in range(place.size_mib):
                out.write(file.read(MIB))
        return into

    def _fat(self, partition: int) -> str:
        return f"{self.disk}@@{PARTITIONS[partition].offset}"
