"""The vendored dependencies: wheels of the lock file, fetched once, in one folder for all Pythons."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from elf import without_debug_sections
from layers import cache_folder
from targets import PYTHONS, pip_options

LOCK = Path(__file__).parent.parent / "requirements.lock"

# Sources of extension modules, types for checkers, and what only installers read.
_LEFT_OUT = re.compile(
    r"\.(pyx|pxd|pyi|pxi|c|h|so\.debug)$|\.dist-info/(RECORD|WHEEL|INSTALLER|REQUESTED|sboms/.*)$|\.data/scripts/"
)


def fetch(architecture: str) -> list[Path]:
    """Return the wheels of the lock file for all Pythons; from the cache if they were fetched before.

    Raises `subprocess.CalledProcessError` when pip cannot get one, or when one has another hash than the lock
    file says.
    """
    key = hashlib.sha256(LOCK.read_bytes() + repr(pip_options(architecture, "")).encode()).hexdigest()[:16]
    folder = cache_folder() / "wheels" / f"{architecture}-{key}"
    if not folder.exists():
        download(architecture, ["--require-hashes", "-r", str(LOCK)], folder)
    return sorted(folder.glob("*.whl"))


def download(architecture: str, what: list[str], folder: Path) -> None:
    """Let pip download wheels for all Pythons of an architecture. The folder is there when all are in it."""
    partial = folder.with_name(f"{folder.name}.{os.getpid()}")
    partial.mkdir(parents=True)
    try:
        for python in PYTHONS.values():
            options = pip_options(architecture, python)
            # From this folder on, so that the pure ones are not fetched again for the next Python.
            command = [sys.executable, "-m", "pip", "download", "-q", "--find-links", str(partial)]
            pip = subprocess.run(
                [*command, *options, "-d", str(partial), *what], capture_output=True, text=True, timeout=600
            )
            if pip.returncode:
                sys.stderr.write(pip.stderr)  # kept back until here: it warns of every index that is away
                pip.check_returncode()
        if folder.exists():  # another build was faster
            return
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def unpack(wheels: Iterable[Path], folder: Path) -> None:
    """Write the content of all wheels into one folder.

    Wheels of one distribution for several Pythons differ in their extension modules only, whose names differ
    too. Raises ValueError where that is not so.
    """
    for wheel in wheels:
        for name, octets in _content(wheel):
            path = folder / name
            if path.exists():
                if path.read_bytes() != octets:
                    raise ValueError(f"{wheel.name}: {name} is not the same for all Pythons")
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(octets)


def _content(wheel: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            parts = PurePosixPath(name).parts
            if name.endswith("/") or _LEFT_OUT.search(name):
                continue
            if ".." in parts or name.startswith("/") or parts[0].endswith(".data"):
                raise ValueError(f"{wheel.name}: {name} is at no place known here")
            octets = archive.read(name)
            yield name, without_debug_sections(octets) if ".so" in PurePosixPath(name).suffixes else octets
