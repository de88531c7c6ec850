"""Programs of this machine that the tests use, run once and checked."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Collection
from pathlib import Path

_WITHIN_S = 120


def run_tool(
    *command: str | Path,
    octets: bytes | None = None,
    folder: Path | None = None,
    statuses: Collection[int] = (0,),
) -> bytes:
    """Return what a program writes. It must end well, within two minutes. Root's programs are found too."""
    done = subprocess.run(
        [str(word) for word in command],
        input=octets,
        capture_output=True,
        check=False,
        timeout=_WITHIN_S,
        cwd=folder,
        env={**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"},
    )
    assert done.returncode in statuses, (command, done.stdout[-4000:], done.stderr.decode(errors="replace"))
    return done.stdout
