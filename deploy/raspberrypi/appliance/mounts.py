"""What is mounted where, out of /proc/self/mountinfo; partitions mounted, or writable, for a moment only."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LIMIT_S = 10
_PLACE = Path("/run/rtu-bridge-appliance/boot")


def mounted_from(mountinfo: str, folder: Path) -> str | None:
    """Return the device that is mounted at a folder, as "/dev/mmcblk0p1"; None if nothing is."""
    found = None
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, kinds = before.split(" "), after.split(" ")
        if len(fields) > 4 and len(kinds) > 1 and _unescaped(fields[4]) == str(folder):
            # The last one lies over the others.
            found = _unescaped(kinds[1])
    return found


def partition(device: str, number: int) -> str:
    """Return another partition of the same disk: ("/dev/mmcblk0p1", 5) is "/dev/mmcblk0p5".

    Raises ValueError for the name of anything but a partition.
    """
    match = re.fullmatch(r"(/dev/(?:(?:mmcblk|nvme\d+n)\d+p|(?:sd|vd)[a-z]+))\d+", device)
    if match is None:
        raise ValueError(f"{device} is no partition of a disk that this program knows")
    return f"{match[1]}{number}"


@contextmanager
def writable(folder: Path) -> Iterator[None]:
    """Have the card writable for the block. It is read-only else, so that nothing but us can damage it.

    Raises OSError when it cannot be made so.
    """
    _remount(folder, "rw")
    try:
        yield
    finally:
        _remount(folder, "ro")


@contextmanager
def mounted(device: Path) -> Iterator[Path]:
    """Have a boot partition's files in a folder for the block, read-only. Raises OSError if that fails."""
    _PLACE.mkdir(mode=0o700, parents=True, exist_ok=True)
    options = "ro,noatime,nodev,nosuid,noexec,fmask=0177,dmask=0077"
    _run(["mount", "-t", "vfat", "-o", options, str(device), str(_PLACE)], f"{device} cannot be mounted")
    try:
        yield _PLACE
    finally:
        _run(["umount", str(_PLACE)], f"{device} cannot be unmounted")


def _remount(folder: Path, mode: str) -> None:
    _run(["mount", "-o", f"remount,{mode}", str(folder)], f"{folder} cannot be made {mode}")


def _run(command: list[str], problem: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=_LIMIT_S)
    except subprocess.SubprocessError as error:
        detail = getattr(error, "stderr", None) or b""
        raise OSError(f"{problem}: {detail.decode(errors='replace').strip()}") from None


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
