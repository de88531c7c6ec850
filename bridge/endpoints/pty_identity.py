"""Whether a pty is the one that was meant: the kernel gives numbers in /dev/pts out again.

Rules:
  1. Who makes a pty and a link to it makes the pty first. A link that is older than its pty was left behind
     by a program that was killed, and the pty is another program's.
  2. A pty that is the terminal of somebody's session is no line: what is written there would appear on his
     screen, and what he types would be taken from him.

Where it cannot be told, the pty is taken for the right one.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_PTYS: Final = Path("/dev/pts")
_MOST_LINKS: Final = 40
_SURELY_OLDER_S: Final = 2.0
"""File systems keep times of their own, some in steps of a second."""


def is_pty(device: str) -> bool:
    """Whether a path is a pty or leads to one."""
    return Path(os.path.realpath(device)).parent == _PTYS


def why_not_meant(device: str) -> str | None:
    """Return why a pty is not the one that was meant, as half a sentence; None for any other device."""
    if not is_pty(device):
        return None
    if is_left_over(device):
        return (
            "the link is left over from a program that was killed, and its pty is another's now; "
            "start that program again"
        )
    owner = _session_on(device)
    if owner is not None:
        return f"it is the terminal of {owner}; name the device of a line"
    return None


def is_left_over(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a link whose pty is gone, or whose number another pty has by now."""
    link = _last_link(Path(path))
    if link is None:
        return False
    try:
        pty = link.stat()
        # No time of its own says when it was made: none is earlier, and a chmod does not move all of them.
        made_s = min(pty.st_atime, pty.st_mtime, pty.st_ctime)
        return made_s > link.lstat().st_mtime + _SURELY_OLDER_S
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _last_link(path: Path) -> Path | None:
    """Return the link that names the pty itself; links to that link may be as old as they like."""
    for _ in range(_MOST_LINKS):
        if not path.is_symlink():
            return None
        target = path.parent / os.readlink(path)
        if target.parent == _PTYS:
            return path
        path = target
    return None


def _session_on(device: str) -> str | None:
    """Return the name and number of a process that has this terminal for its session's."""
    try:
        number = _as_in_proc(os.stat(device).st_rdev)
        processes = sorted(int(name) for name in os.listdir("/proc") if name.isdecimal())
    except OSError:
        return None
    # The leader of a session has the lowest number, as a rule.
    return next((owner for process in processes if (owner := _owner(process, number)) is not None), None)


def _owner(process: int, terminal: int) -> str | None:
    """Return a process' name and number if this is its terminal."""
    try:
        text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # proc(5): pid (comm) state ppid pgrp session tty_nr; there may be anything in comm.
    before, _, after = text.rpartition(")")
    fields = after.split()
    if len(fields) < 5 or int(fields[4]) != terminal:
        return None
    return f"{before.partition('(')[2]} (process {process})"


def _as_in_proc(device: int) -> int:
    """Return a device's number as the kernel writes it there: the minor's low octet, the major, the rest."""
    major, minor = os.major(device), os.minor(device)
    return (minor & 0xFF) | (major << 8) | ((minor & ~0xFF) << 12)
