"""Device trees: those of Debian's arm64 kernels, fetched once by this machine's apt, and a reader of them."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

Tree: TypeAlias = Mapping[str, Mapping[str, bytes]]
"""Path of a node to its properties."""

_WITHIN_S = 300
_MAGIC = 0xD00DFEED
_BEGIN_NODE, _END_NODE, _PROPERTY, _END = 1, 2, 3, 9
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_NOTHING_OF_THE_MACHINE = """\
Dir::State "{folder}/state";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "-";
Dir::Etc::preferencesparts "-";
APT::Architecture "arm64";
APT::Architectures "arm64";
APT::Sandbox::User "root";
Acquire::Languages "none";
"""


class UnreachableError(Exception):
    """The trees could not be fetched; the text says why."""


def read(octets: bytes) -> Tree:
    """Return the nodes of a flattened device tree. Raises ValueError if it is none."""
    magic, _, structure, strings = struct.unpack_from(">4I", octets)
    if magic != _MAGIC:
        raise ValueError("no flattened device tree")
    nodes: dict[str, dict[str, bytes]] = {}
    path: list[str] = []
    at = structure
    while (token := _cell(octets, at)) != _END:
        at += 4
        if token == _BEGIN_NODE:
            end = octets.index(0, at)
            path.append(octets[at:end].decode())
            nodes["/".join(path) or "/"] = {}
            at = _aligned(end + 1)
        elif token == _END_NODE:
            path.pop()
        elif token == _PROPERTY:
            size, name = _cell(octets, at), strings + _cell(octets, at + 4)
            value = octets[at + 8 : at + 8 + size]
            nodes["/".join(path) or "/"][octets[name : octets.index(0, name)].decode()] = value
            at = _aligned(at + 8 + size)
    return nodes


def _cell(octets: bytes, at: int) -> int:
    return int.from_bytes(octets[at : at + 4], "big")


def _aligned(at: int) -> int:
    return (at + 3) & ~3


def debian_trees(suite: str) -> Path:
    """Return the folder with the device trees of a suite's kernel, from the cache if they are there.

    What Debian has changed since is not seen: delete the folder to get it.

    Raises `UnreachableError` where there is no apt, no network, or no such kernel.
    """
    cache = Path(os.environ.get("RTU_BRIDGE_CACHE") or Path.home() / ".cache/rtu-bridge")
    folder = cache / "device-trees" / suite
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{suite}.") as scratch:
        found = _fetched(suite, Path(scratch))
        partial = Path(scratch) / "trees"
        partial.mkdir()
        for tree in found:
            shutil.copyfile(tree, partial / tree.name)
        with suppress(OSError):  # another run was faster
            partial.rename(folder)
    return folder


def _fetched(suite: str, folder: Path) -> list[Path]:
    apt = _apt_for(suite, folder)
    _run(apt, folder, "apt-get", "-q", "-o", "APT::Update::Error-Mode=any", "update")
    kernel = next(iter(_depends(apt, folder, "linux-image-arm64", "linux-image-")), "linux-image-arm64")
    # Since 7 the trees are in a package of their own, which is small.
    packages = [*_depends(apt, folder, kernel, "linux-base-"), kernel]
    for package in packages:
        _run(apt, folder, "apt-get", "-q", "download", package)
        (archive,) = folder.glob(f"{package}_*.deb")
        _run(apt, folder, "dpkg-deb", "-x", archive.name, "content")
        if found := sorted((folder / "content").rglob("broadcom/bcm*.dtb")):
            return found
    raise UnreachableError(f"{' and '.join(packages)} of {suite} have no device trees")


def _apt_for(suite: str, folder: Path) -> Path:
    for name in ("state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    (folder / "sources.list").write_text(f"deb [arch=arm64 signed-by={_KEYRING}] {_mirror()} {suite} main\n")
    apt = folder / "apt.conf"
    apt.write_text(_NOTHING_OF_THE_MACHINE.format(folder=folder))
    return apt


def _mirror() -> str:
    """Return where this machine has Debian from."""
    if given := os.environ.get("DEBIAN_MIRROR"):
        return given.rstrip("/")
    try:
        asked = [
            "apt-get",
            "indextargets",
            "--format",
            "$(REPO_URI)",
            "Origin: Debian",
            "Created-By: Packages",
        ]
        uris = subprocess.run(asked, capture_output=True, text=True, timeout=_WITHIN_S, check=False).stdout
    except OSError as error:
        raise UnreachableError(f"no apt here: {error}") from error
    return next(
        (uri.rstrip("/") for uri in uris.split() if "security" not in uri), "http://deb.debian.org/debian"
    )


def _depends(apt: Path, folder: Path, package: str, start: str) -> list[str]:
    said = _run(apt, folder, "apt-cache", "depends", package)
    return re.findall(rf"^\s*Depends: ({re.escape(start)}\S+)$", said, re.M)


def _run(apt: Path, folder: Path, *command: str) -> str:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "APT_CONFIG": str(apt), "LC_ALL": "C"},
            capture_output=True,
            text=True,
            timeout=_WITHIN_S,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip() or "nothing said").splitlines()[-1]
        raise UnreachableError(f"{' '.join(command)}: {last}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnreachableError(f"{' '.join(command)}: {error}") from error
    return done.stdout


def cells(value: bytes) -> list[int]:
    """Return the 32-bit numbers of a property."""
    return [number for (number,) in struct.iter_unpack(">I", value)]


def strings(value: bytes) -> list[str]:
    """Return the texts of a property."""
    return value.decode().rstrip("\0").split("\0")


def is_enabled(tree: Tree, path: str) -> bool:
    """Say whether the kernel makes a device of this node."""
    return tree[path].get("status", b"okay\0") in (b"okay\0", b"ok\0")


def muxed_pins(tree: Tree, path: str) -> Iterator[int]:
    """Yield the GPIO numbers that a device takes while it is used."""
    by_handle = {cells(node["phandle"])[0]: at for at, node in tree.items() if "phandle" in node}
    for handle in cells(tree[path].get("pinctrl-0", b"")):
        group = by_handle[handle]
        for at, node in tree.items():
            if at == group or at.startswith(f"{group}/"):
                yield from cells(node.get("brcm,pins", b""))
                yield from (int(pin.removeprefix("gpio")) for pin in strings(node.get("pins", b"")) if pin)


def pulled_up(tree: Tree, pin: int, group: str) -> bool:
    """Say whether a group of pins pulls one of its pins up."""
    pins = cells(tree[group].get("brcm,pins", b""))
    if pin in pins:
        return cells(tree[group].get("brcm,pull", bytes(4 * len(pins))))[pins.index(pin)] == 2
    return any(
        "bias-pull-up" in node and node.get("pins") == f"gpio{pin}\0".encode()
        for at, node in tree.items()
        if at.startswith(f"{group}/")
    )
