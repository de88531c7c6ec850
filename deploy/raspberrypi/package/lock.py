"""Write requirements.lock anew: the versions of requirements.in, with the hashes of all wheels in use.

.venv/bin/python deploy/raspberrypi/package/lock.py
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from targets import MACHINES
from wheels import LOCK, download

REQUIREMENTS = LOCK.with_suffix(".in")
_HEAD = """\
# Written by package/lock.py from requirements.in: do not edit.
# All wheels for Python 3.11 and 3.13 on x86_64 and aarch64.
"""


def main() -> None:
    """Download everything and write the lock file."""
    folder = Path(tempfile.mkdtemp(prefix="rtu-bridge-lock-"))
    try:
        for architecture in MACHINES:
            download(architecture, ["-r", str(REQUIREMENTS)], folder / architecture)
        LOCK.write_text(_HEAD + lock_text(folder.glob("*/*.whl")), encoding="utf-8")
    finally:
        shutil.rmtree(folder)


def lock_text(wheels: Iterable[Path]) -> str:
    """Return a line of requirements for each distribution, with the hashes of its wheels."""
    hashes: dict[str, set[str]] = {}
    for wheel in wheels:
        name, version = wheel.name.split("-")[:2]
        requirement = f"{name.replace('_', '-').lower()}=={version}"
        hashes.setdefault(requirement, set()).add(hashlib.sha256(wheel.read_bytes()).hexdigest())
    return "".join(
        f"{requirement} \\\n"
        + " \\\n".join(f"    --hash=sha256:{digest}" for digest in sorted(digests))
        + "\n"
        for requirement, digests in sorted(hashes.items())
    )


if __name__ == "__main__":
    main()
