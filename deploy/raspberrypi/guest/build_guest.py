"""Build the guest for tests, an amd64 Debian with the package in it, and print its folder: `make guest`.

Two layers are kept in the cache, each under the hash of what it was made from: the root file system (a
minute, from Debian's archive) and the guest with the package installed (ten seconds, without network). What
Debian has changed since is not part of the hash: delete the cached root to get it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

GUEST = Path(__file__).parent
sys.path.insert(0, str(GUEST.parent / "package"))

from build_deb import build  # noqa: E402  # a folder of scripts, not a package
from layers import cache_folder, forget_old, hash_of, note, run  # noqa: E402

TOOLS = {"mmdebstrap": "mmdebstrap", "sqfstar": "squashfs-tools", "cpio": "cpio"}
"""What the building needs, and the packages that have it."""

_ROOT_INPUTS = ("make-root.sh", "dpkg.conf", "modules.list", "overlay-in-memory", "packages.list")
_BARE_INPUTS = ("make-bare.sh", "dpkg.conf")
_ROOT_WITHIN_S = 1800
_GUEST_WITHIN_S = 300


def main() -> int:
    """Build what is missing and print the folder with root.sqfs, kernel and initrd."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--bare", action="store_true", help="the arm64 machine with a PL011 instead")
    options = parser.parse_args()
    missing = [package for tool, package in TOOLS.items() if shutil.which(tool) is None]
    if missing:
        print(f"not installed: apt-get install {' '.join(missing)}", file=sys.stderr)
        return 1
    try:
        print(bare_guest() if options.bare else guest())
    except subprocess.CalledProcessError as error:
        print(f"{error.cmd[0]} failed with status {error.returncode}", file=sys.stderr)
        return 1
    return 0


def root_path() -> Path:
    """Return where the root file system is kept for the recipe as it is."""
    return _cached_root("root", _ROOT_INPUTS)


def bare_root_path() -> Path:
    """Return where the unpacked packages of the bare machine are kept."""
    return _cached_root("bare", _BARE_INPUTS)


def guest() -> Path:
    """Return the folder of a guest with the package of this tree, built if need be."""
    files = ("guest-agent", "guest-agent.service", "guest-setup", "guest-setup.service")
    return _build(root_path(), "make-root.sh", "amd64", "make-guest.sh", files)


def bare_guest() -> Path:
    """Return the folder of a bare arm64 machine with the package of this tree, built if need be."""
    return _build(
        bare_root_path(), "make-bare.sh", "arm64", "make-bare-guest.sh", ("guest-agent", "bare-init")
    )


def _cached_root(kind: str, recipe: Iterable[str]) -> Path:
    key = hash_of([GUEST / name for name in recipe], os.environ.get("DEBIAN_MIRROR", ""))
    return cache_folder() / "guest" / f"{kind}-{key}.tar"


def _build(root: Path, root_maker: str, architecture: str, guest_maker: str, files: Iterable[str]) -> Path:
    if not root.exists():
        root.parent.mkdir(parents=True, exist_ok=True)
        note(f"building {root} (a minute)")
        partial = root.with_suffix(f".{os.getpid()}.tar")
        run([GUEST / root_maker, partial], within_s=_ROOT_WITHIN_S)
        partial.replace(root)
    with tempfile.TemporaryDirectory(prefix="rtu-bridge-guest-") as folder:
        package = build(architecture, Path(folder))
        inputs = [GUEST / guest_maker, *(GUEST / "files" / name for name in files), package]
        made = root.parent / f"guest-{hash_of(inputs, root.name)}"
        if not made.exists():
            note(f"building {made} (ten seconds)")
            partial = made.with_name(f"{made.name}.{os.getpid()}")
            run([GUEST / guest_maker, root, package, partial], within_s=_GUEST_WITHIN_S)
            partial.replace(made)
    forget_old(made, "guest-*")
    return made


if __name__ == "__main__":
    sys.exit(main())
