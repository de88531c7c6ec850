"""The two slots of the card, and the file that tells the firmware which one to boot.

==========  ==============================================================
partition   what it is
==========  ==============================================================
1           FAT: autoboot.txt, and what a person edits
2, 3        FAT: firmware, kernel and device trees of slot a, of slot b
5, 6        squashfs: root file system of slot a, of slot b
7           ext4: data
==========  ==============================================================
"""

from __future__ import annotations

import re
from enum import Enum


class Slot(Enum):
    """One of two complete systems on the card."""

    A = "a"
    B = "b"

    @property
    def other(self) -> Slot:
        """The one that an update is written to when this one runs."""
        return Slot.B if self is Slot.A else Slot.A

    @property
    def boot_partition(self) -> int:
        """The number that the firmware knows it by."""
        return 2 if self is Slot.A else 3

    @property
    def root_partition(self) -> int:
        """The number of its root file system's partition."""
        return 5 if self is Slot.A else 6


class SlotError(Exception):
    """It cannot be told which slot is which."""


def autoboot_text(default: Slot) -> bytes:
    """Return autoboot.txt. Both are of one length and in one sector, so that one write changes the default.

    The firmware takes the slot under [tryboot] once, when it was asked to before a reboot.
    """
    text = (
        f"[all]\ntryboot_a_b=1\nboot_partition={default.boot_partition}\n"
        f"[tryboot]\nboot_partition={default.other.boot_partition}\n"
    )
    return text.encode("ascii")


def default_slot(octets: bytes) -> Slot:
    """Return the slot that autoboot.txt has the firmware boot. Raises `SlotError`."""
    for slot in Slot:
        if _statements(octets) == _statements(autoboot_text(slot)):
            return slot
    raise SlotError("autoboot.txt is not as this program writes it")


def running_slot(cmdline: str) -> Slot:
    """Return the slot whose root file system runs, by the kernel's command line. Raises `SlotError`."""
    for word in cmdline.split():
        if match := re.fullmatch(r"bridge\.slot=([ab])", word):
            return Slot(match[1])
    for slot in Slot:
        ending = rf"root=(?:/dev/\S*\D{slot.root_partition}|PARTUUID=\S*-0?{slot.root_partition})"
        if any(re.fullmatch(ending, word) for word in cmdline.split()):
            return slot
    raise SlotError("the kernel's command line names neither slot; see root= and bridge.slot=")


def _statements(octets: bytes) -> list[str]:
    lines = (line.strip() for line in octets.decode("latin-1").splitlines())
    return [line for line in lines if line and not line.startswith("#")]
