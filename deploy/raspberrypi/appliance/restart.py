"""Starting the box again, for the firmware to read what was written; counted, so that it never goes on.

The count is on the data partition. It is written before the restart, and taken away by the boot that finds
everything as it should be. Where it cannot be kept there is no restart.
"""

from __future__ import annotations

import subprocess
from typing import Final

from . import files, mounts
from .places import Places

MOST: Final = 2
"""So many restarts in a row; then what was written waits for the next power-on."""
NAME: Final = "restarts"


def is_possible(places: Places) -> bool:
    """Return whether there may be another restart."""
    return is_kept(places) and _count(places) < MOST


def note(places: Places) -> None:
    """Count one that comes. Raises OSError, and then there must be none."""
    if not is_kept(places):
        raise OSError(f"{places.data} is not mounted")
    files.write(places.kept / NAME, str(_count(places) + 1).encode())


def forget(places: Places) -> None:
    """Take the count away. Raises OSError."""
    files.remove(places.kept / NAME)


def now() -> None:
    """Start again. Raises OSError, `subprocess.SubprocessError`."""
    subprocess.run(["systemctl", "--no-block", "reboot"], check=True, capture_output=True, timeout=20)


def _count(places: Places) -> int:
    found = files.read(places.kept, NAME)
    if found.octets is None and found.problem is None:
        return 0
    digits = (found.octets or b"").strip()
    # What cannot be read counts as too many.
    return int(digits) if digits.isdigit() and len(digits) < 4 else MOST


def is_kept(places: Places) -> bool:
    """Return whether the data partition is there, so that what is written is there after a restart."""
    try:
        return mounts.mounted_from(places.mounts.read_text(errors="replace"), places.data) is not None
    except OSError:
        return False
