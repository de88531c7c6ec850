"""A data partition that cannot be mounted: repaired if that is possible, else made anew.

On it are what was right last, the key of the machine, and the note of an update, which all come again; the
recordings of the flight recorder do not. Without it the box could not fall back when somebody brings a wrong
file, and nobody is there to repair it.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from .places import Places

_FSTAB: Final = Path("/etc/fstab")
_LIMIT_S: Final = 60
Run = Callable[[Sequence[str]], bool]
"""Runs a command and says whether it did what it is for."""


def main(arguments: Sequence[str]) -> int:
    """Bring the data partition back; 1 if it stays away."""
    try:
        device = device_of(_FSTAB.read_text(encoding="utf-8"), Places().data)
        done = None if device is None else bring_back(device, Places().data, _run)
    except OSError as error:
        print(f"repair: {error}", file=sys.stderr)
        return 1
    if done is None:
        print("repair: the data partition cannot be used; replace the card", file=sys.stderr)
        return 1
    print(f"repair: the data partition was {done}", file=sys.stderr)
    return 0


def device_of(fstab: str, folder: Path) -> Path | None:
    """Return the device that is to be mounted at a folder, if the table names it by its partition's UUID."""
    match = re.search(rf"^PARTUUID=([0-9a-f-]+)\s+{re.escape(str(folder))}\s", fstab, re.MULTILINE)
    return None if match is None else Path(f"/dev/disk/by-partuuid/{match[1]}")


def bring_back(device: Path, folder: Path, run: Run) -> str | None:
    """Mount the partition after what it takes; return what that was, None if nothing helped."""
    mount = ["mount", str(folder)]
    for done, command in (
        ("repaired", ["e2fsck", "-f", "-y", str(device)]),
        ("damaged and made anew: what was right last is gone", ["mkfs.ext4", "-q", "-F", str(device)]),
    ):
        # Whatever the first says of itself: that it can be mounted is what counts.
        run(command)
        if run(mount):
            return done
    return None


def _run(command: Sequence[str]) -> bool:
    try:
        return subprocess.run(command, check=False, capture_output=True, timeout=_LIMIT_S).returncode == 0
    except subprocess.SubprocessError:
        return False
