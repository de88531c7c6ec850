"""The image's amd64 twin: its card, as a technician has it in hand, and the machine that boots from it.

    card = Card.copy_of(image, folder)
    card.put("bridge.toml", ...)
    with Twin(card) as twin:          # a Guest: twin.run(...), twin.serial(1), twin.port(20000)
        ...
    card.get("bridge.errors.txt")     # leaving the block was a power cut

The image is what `build_image.py amd64` made, without anything for tests in it. The agent and the simulated
pins come in an initrd behind the slot's own. The firmware's part is not emulated: QEMU is given the kernel,
the initrd and the command line out of the slot's boot partition.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.deploy.guest import Guest

DEPLOY = Path(__file__).parents[2] / "deploy/raspberrypi"
sys.path.insert(0, str(DEPLOY / "image"))
from layout import BOOT_A, BOOT_B, CONFIG, MIB, PARTITIONS  # noqa: E402  # a folder of scripts

_FOR_TESTS = "console=ttyS0 loglevel=4 systemd.show_status=1 mitigations=off nokaslr no_timer_check"
_ON_TOP = {
    "guest/files/guest-agent": "usr/lib/guest/guest-agent",
    "guest/files/guest-agent.service": "etc/systemd/system/guest-agent.service",
    "image/twin/twin-gpio": "usr/lib/guest/twin-gpio",
    "image/twin/twin-gpio.service": "etc/systemd/system/twin-gpio.service",
}
_WANTED = {"guest-agent.service": "multi-user.target", "twin-gpio.service": "sysinit.target"}
_TOOL_WITHIN_S = 120


class Card:
    """An SD card outside of its machine."""

    def __init__(self, disk: Path) -> None:
        self.disk = disk

    @classmethod
    def copy_of(cls, image: Path, folder: Path) -> Card:
        """Flash a new one."""
        disk = folder / "card.img"
        _run("cp", "--sparse=always", "--reflink=auto", str(image / "disk.img"), str(disk))
        return cls(disk)

    def put(self, name: str, content: str) -> None:
        """Copy a file to the partition that a person sees."""
        _run("mcopy", "-o", "-i", self._fat(CONFIG), "-", f"::{name}", octets=content.encode())

    def get(self, name: str, *, partition: int = CONFIG) -> bytes | None:
        """Return a file of a FAT partition; None if it is not there."""
        command = ["mcopy", "-i", self._fat(partition), f"::{name}", "-"]
        done = subprocess.run(command, capture_output=True, check=False, timeout=_TOOL_WITHIN_S)
        return None if done.returncode else done.stdout

    def names(self) -> set[str]:
        """Return the names of the files that a person sees."""
        return set(_run("mdir", "-b", "-i", self._fat(CONFIG), "::").decode().replace("::/", "").split())

    def wipe(self, partition: int) -> None:
        """Overwrite a partition with nothing."""
        place = PARTITIONS[partition]
        with self.disk.open("r+b") as file:
            file.seek(place.offset)
            for _ in range(place.size_mib):
                file.write(bytes(MIB))

    def extract(self, partition: int, into: Path) -> Path:
        """Copy a partition to a file."""
        place = PARTITIONS[partition]
        with self.disk.open("rb") as file, into.open("wb") as out:
            file.seek(place.offset)
            for _ in range(place.size_mib):
                out.write(file.read(MIB))
        return into

    def _fat(self, partition: int) -> str:
        return f"{self.disk}@@{PARTITIONS[partition].offset}"


class Twin(Guest):
    """The machine with the card in it. Leaving the block is pulling its plug; the card keeps what it has."""

    def __init__(
        self, card: Card, *, slot: str = "a", lines: int = 2, ports: Sequence[int] = (20000,)
    ) -> None:
        """`slot` is what the firmware would choose."""
        super().__init__(card.disk, lines=lines, ports=ports)
        self.card = card
        self._boot = {"a": BOOT_A, "b": BOOT_B}[slot]

    def _command(self) -> list[str]:
        kernel, initrd = (self._from_slot(name) for name in ("kernel8.img", "initrd.img"))
        (self.folder / "kernel").write_bytes(kernel)
        # The kernel takes what follows from multiples of four on.
        (self.folder / "initrd").write_bytes(initrd + bytes(-len(initrd) % 4) + self._on_top())
        arguments = self._from_slot("cmdline.txt").decode().strip()
        command = self._machine(memory_mib=1024)
        command += ["-kernel", "kernel", "-initrd", "initrd", "-append", f"{arguments} {_FOR_TESTS}"]
        command += ["-drive", f"file={self.card.disk},format=raw,if=none,id=disk"]
        command += ["-device", "virtio-blk-pci,drive=disk"]
        return command + self._devices()

    def _from_slot(self, name: str) -> bytes:
        octets = self.card.get(name, partition=self._boot)
        assert octets is not None, f"the boot partition has no {name}"
        return octets

    def _on_top(self) -> bytes:
        tree = self.folder / "tree"
        for source, target in _ON_TOP.items():
            path = tree / "on-top" / target
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(DEPLOY / source, path)
            path.chmod(0o644 if path.suffix == ".service" else 0o755)
        for unit, target in _WANTED.items():
            link = tree / f"on-top/etc/systemd/system/{target}.wants/{unit}"
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(f"../{unit}")
        names = sorted(str(path.relative_to(tree)) for path in tree.rglob("*"))
        command = ["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0"]
        return _run(*command, octets="\n".join(names).encode(), folder=tree)


def _run(*command: str, octets: bytes | None = None, folder: Path | None = None) -> bytes:
    done = subprocess.run(
        command, input=octets, capture_output=True, check=False, timeout=_TOOL_WITHIN_S, cwd=folder
    )
    assert done.returncode == 0, (command, done.stderr.decode(errors="replace"))
    return done.stdout
