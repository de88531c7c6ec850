"""The SSH key of this machine: made at the first start of SSH, kept on the data partition."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from . import files
from .places import Places

NAME: Final = "ssh_host_ed25519_key"
_LIMIT_S: Final = 60


def main(arguments: Sequence[str]) -> int:
    """Put the key where sshd reads it; 1 if there is none."""
    places = Places()
    try:
        provide(places)
    except (OSError, subprocess.SubprocessError) as error:
        print(f"host-key: {error}", file=sys.stderr)
        return 1
    return 0


def provide(places: Places) -> None:
    """Put the kept key below /run, or a new one that is kept then. Raises OSError, SubprocessError.

    A kept key that is damaged is replaced; one that cannot be kept is good until the next boot.
    """
    used, kept = places.own_run / NAME, places.kept / NAME
    octets = files.read(places.kept, NAME).octets
    if octets:
        files.write(used, octets, 0o600)
        if _is_key(used):
            return
    used.unlink(missing_ok=True)
    used.parent.mkdir(parents=True, exist_ok=True)
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(used)]
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=_LIMIT_S)
    try:
        files.write(kept, used.read_bytes(), 0o600)
    except OSError as error:
        print(f"host-key: it is not kept: {error}", file=sys.stderr)


def _is_key(path: Path) -> bool:
    command = ["ssh-keygen", "-y", "-P", "", "-f", str(path)]
    done = subprocess.run(command, check=False, capture_output=True, timeout=_LIMIT_S)
    return done.returncode == 0
