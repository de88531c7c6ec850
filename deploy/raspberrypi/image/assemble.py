"""A disk image out of a system's folder: without root, loop devices or mounts, the same bits each time."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

IMAGE = Path(__file__).parent
sys.path.insert(0, str(IMAGE.parent))

from appliance.firmware_lines import USUAL, file_of  # noqa: E402  # beside this folder
from appliance.places import LINES  # noqa: E402
from appliance.slots import Slot, autoboot_text  # noqa: E402
from layout import (  # noqa: E402
    BOOT_A,
    BOOT_B,
    CONFIG,
    MIB,
    PARTITIONS,
    ROOT_A,
    ROOT_B,
    SIZE,
    part_uuid,
    sfdisk_script,
)

TOOLS = {"mkfs.vfat": "dosfstools", "mcopy": "mtools", "sfdisk": "fdisk"}
"""What it needs, and the packages that have it."""

_BOOT_PARTITIONS = {Slot.A: BOOT_A, Slot.B: BOOT_B}
_FIRMWARE = ("fixup.dat", "fixup4.dat", "start.elf", "start4.elf", "*.dtb")


class TooLargeError(Exception):
    """Something does not fit into its partition."""


def assemble(system: Path, overlays: Path | None, into: Path, epoch_s: int) -> None:
    """Write disk.img, and boot-a.vfat, boot-b.vfat for updates, into a folder.

    `system` is what make-system.sh made, `overlays` a folder of compiled ones. Raises `TooLargeError`, and
    `subprocess.CalledProcessError` when a tool fails.
    """
    disk = into / "disk.img"
    disk.unlink(missing_ok=True)
    with disk.open("wb") as file:
        file.truncate(SIZE)
    _tool(["sfdisk", "-q", str(disk)], epoch_s, text=sfdisk_script())
    with tempfile.TemporaryDirectory(prefix="rtu-bridge-image-") as folder:
        stage = Path(folder)
        fat = _fat(stage / "config", _config_files(system), "BRIDGECFG", 16, CONFIG, epoch_s)
        _put(fat, disk, CONFIG)
    for slot, number in _BOOT_PARTITIONS.items():
        with tempfile.TemporaryDirectory(prefix="rtu-bridge-image-") as folder:
            files = _boot_files(system, overlays, slot)
            fat = _fat(Path(folder) / "boot", files, "BRIDGEBOOT", 32, number, epoch_s)
            _put(fat, disk, number)
            shutil.copyfile(fat, into / f"boot-{slot.value}.vfat")
    for number in (ROOT_A, ROOT_B):
        _put(system / "root.sqfs", disk, number)


def command_line(slot: Slot) -> str:
    """Return the kernel's command line of a slot. No serial console: RTUs would get boot messages."""
    return (
        f"console=tty0 root=PARTUUID={part_uuid(slot.root_partition)} rootfstype=squashfs ro rootwait "
        f"bridge.slot={slot.value} net.ifnames=0 panic=10"
    )


def _config_files(system: Path) -> Mapping[str, bytes | Path]:
    """Return what a person finds on the card, and what the firmware begins with."""
    files: dict[str, bytes | Path] = {
        "autoboot.txt": autoboot_text(Slot.A),
        # Older boards look for it before they look into the slot.
        "config.txt": b"",
        "README.txt": IMAGE / "README.txt",
        "bridge.example.toml": IMAGE.parent / "examples/bridge.toml",
    }
    first_stage = system / "firmware/bootcode.bin"
    return {**files, "bootcode.bin": first_stage} if first_stage.exists() else files


def _boot_files(system: Path, overlays: Path | None, slot: Slot) -> Mapping[str, bytes | Path]:
    files: dict[str, bytes | Path] = {
        "kernel8.img": system / "kernel",
        "initrd.img": system / "initrd",
        "cmdline.txt": f"{command_line(slot)}\n".encode(),
        "config.txt": IMAGE / "config.txt",
        LINES: file_of(USUAL),
    }
    for pattern in _FIRMWARE:
        files |= {path.name: path for path in (system / "firmware").glob(pattern)}
    if overlays is not None:
        files |= {f"overlays/{path.name}": path for path in overlays.glob("*.dtbo")}
    return files


def _fat(
    stage: Path, files: Mapping[str, bytes | Path], label: str, bits: int, number: int, epoch_s: int
) -> Path:
    for name, content in sorted(files.items()):
        path = stage / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.read_bytes())
    # Of FAT's years the first is 1980.
    for path in [*stage.rglob("*"), stage]:
        os.utime(path, (max(epoch_s, 315532800),) * 2)
    image = stage.with_suffix(".vfat")
    with image.open("wb") as file:
        file.truncate(PARTITIONS[number].size)
    _tool(["mkfs.vfat", "-F", str(bits), "-n", label, "--invariant", str(image)], epoch_s)
    names = sorted(str(path) for path in stage.iterdir())
    _tool(["mcopy", "-s", "-m", "-i", str(image), *names, "::"], epoch_s)
    return image


def _put(source: Path, disk: Path, number: int) -> None:
    """Write a file into a partition, leaving out what is zero already."""
    partition = PARTITIONS[number]
    if source.stat().st_size > partition.size:
        raise TooLargeError(f"{source.name} is larger than partition {number} ({partition.size_mib} MiB)")
    with source.open("rb") as reader, disk.open("r+b") as writer:
        offset = partition.offset
        while octets := reader.read(MIB):
            if any(octets):
                writer.seek(offset)
                writer.write(octets)
            offset += len(octets)


def _tool(command: list[str], epoch_s: int, text: str = "") -> None:
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch_s), "TZ": "UTC", "LC_ALL": "C"}
    environment["PATH"] = f"{environment.get('PATH', '')}:/usr/sbin:/sbin"
    done = subprocess.run(
        command, input=text, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    if done.returncode:
        sys.stderr.write(done.stdout + done.stderr)
        done.check_returncode()
