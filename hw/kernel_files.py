"""Small files and folders of the kernel's (/sys, /proc), read without ever failing."""

import os
from pathlib import Path


def text_of(path: Path) -> str | None:
    """Return the text of a file of the kernel's, None if there is none, or nothing in it."""
    try:
        return path.read_bytes().replace(b"\0", b"").decode(errors="replace").strip() or None
    except OSError:
        return None


def names_in(folder: Path) -> list[str]:
    """Return what is in a folder, sorted; nothing if it cannot be read."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []
