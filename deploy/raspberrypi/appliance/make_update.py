"""Make an update's file out of an image's parts, where images are built.

    python3 deploy/raspberrypi/appliance make-update --image NAME --version V \
        --boot-a FAT --boot-b FAT --root SQUASHFS --key KEY OUT

The same input gives the same octets, but for the signature of keys that are not
Ed25519.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import subprocess
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from . import signature
from .bundle import MAGIC, UpdateError, version_numbers
from .media import SECTOR

_MOST_PATCHES: Final = 64
"""Two command lines and what a FAT writes about them are far less."""


def main(arguments: Sequence[str]) -> int:
    """Make the file that the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name in ("image", "version"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("boot-a", "boot-b", "root", "key"):
        parser.add_argument(f"--{name}", required=True, type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args(arguments)
    boots = options.boot_a.read_bytes(), options.boot_b.read_bytes()
    try:
        update = make(options.image, options.version, boots, options.root.read_bytes(), options.key)
    except subprocess.CalledProcessError as error:
        print(f"ssh-keygen: {error.stderr.decode(errors='replace').strip()}", file=sys.stderr)
        return 1
    except UpdateError as error:
        print(error, file=sys.stderr)
        return 1
    options.out.write_bytes(update)
    return 0


def make(image: str, version: str, boots: tuple[bytes, bytes], root: bytes, key: Path) -> bytes:
    """Return an update's file; `boots` are the boot partitions of slot a and of slot b.

    Raises `UpdateError` for what cannot be an update, and what `signature.sign` raises.
    """
    version_numbers(version)
    root += bytes(-len(root) % SECTOR)
    packer = zlib.compressobj(6, wbits=31)
    packed = packer.compress(boots[0]) + packer.flush()
    parts = {
        "boot": _part(packed, "gzip", *boots) | {"patches": _patches(*boots)},
        "root": _part(root, "plain", root, root),
    }
    manifest = json.dumps({"image": image, "version": version, "parts": parts}, sort_keys=True).encode()
    signed = signature.sign(manifest, key)
    header = f"{MAGIC} 1 {len(manifest)} {len(signed)}\n".encode()
    return b"".join((header, manifest, signed, packed, root))


def _part(stored: bytes, encoding: str, for_a: bytes, for_b: bytes) -> dict[str, Any]:
    return {
        "encoding": encoding,
        "stored": len(stored),
        "stored_sha256": hashlib.sha256(stored).hexdigest(),
        "size": len(for_a),
        "sha256": {"a": hashlib.sha256(for_a).hexdigest(), "b": hashlib.sha256(for_b).hexdigest()},
    }


def _patches(for_a: bytes, for_b: bytes) -> dict[str, str]:
    if len(for_a) != len(for_b) or len(for_a) % SECTOR:
        raise UpdateError("the boot partitions differ in size, or are no whole sectors")
    patches = {
        str(at): base64.b64encode(for_b[at : at + SECTOR]).decode()
        for at in range(0, len(for_a), SECTOR)
        if for_a[at : at + SECTOR] != for_b[at : at + SECTOR]
    }
    if len(patches) > _MOST_PATCHES:
        differing = f"the boot partitions differ in {len(patches)} sectors"
        raise UpdateError(f"{differing}; build both from the same files")
    return patches
