"""What is downloaded: the compressed image, its checksum, block map, bill of materials, list for Imager."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import time
from pathlib import Path

from block_map import block_map
from sbom import bill_of_materials

_COMPRESS_WITHIN_S = 3600


def publish(made: Path, status: Path, into: Path, name: str, epoch_s: int, url: str) -> Path:
    """Write NAME.img.xz and what belongs to it into a folder, and return its path.

    `made` has disk.img and the slots' boot partitions, `status` is what dpkg knows of the image's packages.
    Raises `subprocess.CalledProcessError` when xz fails.
    """
    into.mkdir(parents=True, exist_ok=True)
    disk, packed = made / "disk.img", into / f"{name}.img.xz"
    with packed.open("wb") as file:
        # Blocks, so that the number of threads does not show in the bits.
        command = ["xz", "-6", "-c", "-T2", "--block-size=64MiB", str(disk)]
        subprocess.run(command, check=True, stdout=file, timeout=_COMPRESS_WITHIN_S)
    digest = sha256(packed)
    (into / f"{name}.img.xz.sha256").write_text(f"{digest}  {packed.name}\n", encoding="utf-8")
    (into / f"{name}.img.bmap").write_text(block_map(disk), encoding="utf-8")
    bill = bill_of_materials(status.read_text(encoding="utf-8"), name, epoch_s)
    (into / f"{name}.cdx.json").write_text(json.dumps(bill, indent=1) + "\n", encoding="utf-8")
    entry = {
        "name": "RTU Bridge",
        "description": "DNP3 (IEEE 1815) terminal server for serial RTUs",
        "icon": "",
        "url": f"{url}{packed.name}",
        "extract_size": disk.stat().st_size,
        "extract_sha256": sha256(disk),
        "image_download_size": packed.stat().st_size,
        "image_download_sha256": digest,
        "release_date": time.strftime("%Y-%m-%d", time.gmtime(epoch_s)),
        "init_format": "rpi-preseed",
        "devices": ["pi3-64bit", "pi4-64bit"],
    }
    imager = {"os_list": [entry]}
    (into / f"{name}.os_list.json").write_text(json.dumps(imager, indent=1) + "\n", encoding="utf-8")
    for slot in ("a", "b"):
        shutil.copyfile(made / f"boot-{slot}.vfat", into / f"{name}.boot-{slot}.vfat")
    return packed


def sha256(path: Path) -> str:
    """Return the checksum of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
