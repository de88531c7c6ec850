"""Build everything a second time, from Debian's archive, and say what differs: `make image-repeat`.

Ends with 1 if anything does. The first root is the one of the cache, which is built if need be; one from
another day differs at least by what Debian has changed since.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import assemble
import build_image
from release import sha256

Entry = tuple[object, ...]
"""What a tar file says of a member: kind, rights, owners, time, target, content."""

_FIELDS = ("kind", "mode", "uid", "gid", "mtime", "target", "devices", "headers", "content")


def main() -> int:
    """Compare roots, systems and disks; print the checksums and every difference."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("architecture", choices=build_image.NAMES)
    architecture = parser.parse_args().architecture
    root = build_image.root(architecture)
    with tempfile.TemporaryDirectory(prefix="rtu-bridge-repeat-") as folder:
        again = Path(folder) / "root.tar"
        build_image.make_root(architecture, again)
        differences = [*differences_of_roots(root, again)]
        print("\n".join(differences) or f"the roots are the same: {sha256(root)}")
        differences += _compare_disks(architecture, [root, again], Path(folder))
    return 1 if differences else 0


def _compare_disks(architecture: str, roots: list[Path], folder: Path) -> Iterator[str]:
    disks: list[Mapping[str, str]] = []
    for number, root in enumerate(roots):
        system = folder / f"system-{number}"
        with build_image.parts(architecture, None) as (package, appliance):
            build_image.make_system(architecture, root, package, appliance, system)
        overlays = build_image.overlays(folder / f"overlays-{number}") if architecture == "arm64" else None
        assemble.assemble(system, overlays, system, build_image.source_date_epoch())
        names = ("kernel", "initrd", "root.sqfs", "boot-a.vfat", "boot-b.vfat", "disk.img")
        disks.append({name: sha256(system / name) for name in names})
        (system / "disk.img").unlink()
    for name, digest in disks[0].items():
        if disks[1][name] == digest:
            print(f"{name} is the same: {digest}")
        else:
            print(difference := f"{name} differs")
            yield difference


def differences_of_roots(one: Path, other: Path) -> Iterator[str]:
    """Yield a line for each member that is not the same in two tar files, and for another order."""
    entries = [dict(_entries(path)) for path in (one, other)]
    for name in sorted(entries[0].keys() | entries[1].keys()):
        first, second = (each.get(name) for each in entries)
        if first is None or second is None:
            yield f"{name}: only in the {'second' if first is None else 'first'}"
        elif first != second:
            fields = [field for field, a, b in zip(_FIELDS, first, second, strict=True) if a != b]
            yield f"{name}: {', '.join(fields)}"
    if entries[0] == entries[1] and [*entries[0]] != [*entries[1]]:
        yield "the order"


def _entries(path: Path) -> Iterator[tuple[str, Entry]]:
    with tarfile.open(path) as archive:
        for member in archive:
            content = None
            if file := archive.extractfile(member) if member.isfile() else None:
                content = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
            about = (member.type, member.mode, member.uid, member.gid, member.mtime, member.linkname)
            devices = (member.devmajor, member.devminor)
            yield member.name, (*about, devices, sorted(member.pax_headers.items()), content)


if __name__ == "__main__":
    sys.exit(main())
