"""Where things are on the card. `appliance/slots.py` says what each partition is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

MIB: Final = 1024 * 1024
SECTOR: Final = 512
DISK_ID: Final = 0xB21D6E00
"""Of the disk: /etc/fstab and the kernel's command line find the partitions by it."""

_FAT, _EXTENDED, _LINUX = "c", "f", "83"


@dataclass(frozen=True, slots=True)
class Partition:
    """A place on the disk, in MiB."""

    start_mib: int
    size_mib: int
    kind: str = _FAT

    @property
    def offset(self) -> int:
        """Its first octet."""
        return self.start_mib * MIB

    @property
    def size(self) -> int:
        """Its size in octets."""
        return self.size_mib * MIB


CONFIG, BOOT_A, BOOT_B, ROOT_A, ROOT_B, DATA = 1, 2, 3, 5, 6, 7

# A logical partition has a sector of its own before it: that is what the single MiBs are for.
PARTITIONS: Final[Mapping[int, Partition]] = {
    CONFIG: Partition(4, 32),
    BOOT_A: Partition(36, 112),
    BOOT_B: Partition(148, 112),
    4: Partition(260, 910, _EXTENDED),
    ROOT_A: Partition(264, 384, _LINUX),
    ROOT_B: Partition(649, 384, _LINUX),
    DATA: Partition(1034, 128, _LINUX),
}
SIZE: Final = 1171 * MIB


def part_uuid(number: int) -> str:
    """Return what Linux calls a partition."""
    return f"{DISK_ID:08x}-{number:02x}"


def sfdisk_script() -> str:
    """Return what makes sfdisk write the table."""
    lines = ["label: dos", f"label-id: {DISK_ID:#x}", "unit: sectors"]
    for number, each in PARTITIONS.items():
        start, size = each.offset // SECTOR, each.size // SECTOR
        active = ", bootable" if number == CONFIG else ""
        lines.append(f"{number}: start={start}, size={size}, type={each.kind}{active}")
    return "\n".join(lines) + "\n"
