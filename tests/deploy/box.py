"""The appliance: an emulated machine with the image's card in it.

    card = Card.flashed(image, folder)
    card.put("bridge.toml", ...)
    with Box(card) as box:            # a Guest: box.run(...), box.far_end("ttyS1"), box.port(20000)
        ...
    card.get("bridge.errors.txt")     # leaving the block was a power cut

There is nothing for tests on the card. The agent, and simulated pins where the board has none, come in an
initrd behind the slot's own. The firmware's part is not emulated: QEMU is given the kernel, the initrd, the
command line and the device tree out of the slot's boot partition.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.deploy.boards import Board, Pc
from tests.deploy.card import BOOT_A, BOOT_B, Card
from tests.deploy.guest import Guest
from tests.deploy.tools import run_tool

DEPLOY = Path(__file__).parents[2] / "deploy/raspberrypi"
_PC = Pc(memory_mib=1024)
_ON_TOP = {
    "guest/files/guest-agent": "usr/lib/guest/guest-agent",
    "guest/files/guest-agent.service": "etc/systemd/system/guest-agent.service",
    "image/twin/80-agent.rules": "etc/udev/rules.d/80-agent.rules",
    "image/twin/twin-gpio": "usr/lib/guest/twin-gpio",
    "image/twin/twin-gpio.service": "etc/systemd/system/twin-gpio.service",
}
_WANTED = {"guest-agent.service": "multi-user.target", "twin-gpio.service": "sysinit.target"}


class Box(Guest):
    """The machine with the card in it. Leaving the block is pulling its plug; the card keeps what it has."""

    def __init__(
        self,
        card: Card,
        *,
        slot: str = "a",
        board: Board = _PC,
        ports: Sequence[int] = (20000,),
        stick: Path | None = None,
    ) -> None:
        """`slot` is what the firmware would choose; `stick` a file that is another disk, /dev/vdb on `Pc`."""
        super().__init__(card.disk, board=board, ports=ports)
        self.card = card
        self._partition = {"a": BOOT_A, "b": BOOT_B}[slot]
        self._stick = stick

    def _boot(self) -> list[str]:
        files = {name: self._from_slot(name) for name in ("kernel8.img", "initrd.img", "cmdline.txt")}
        (self.folder / "kernel").write_bytes(files["kernel8.img"])
        initrd = files["initrd.img"]
        # The kernel takes what follows from multiples of four on.
        (self.folder / "initrd").write_bytes(initrd + bytes(-len(initrd) % 4) + self._on_top())
        arguments = f"{files['cmdline.txt'].decode().strip()} {self.board.arguments}"
        command = ["-kernel", "kernel", "-initrd", "initrd", "-append", arguments]
        command += self.board.device_tree(self.folder, self._from_slot)
        command += self.board.disk(self.card.disk, is_read_only=False)
        if self._stick is not None:
            drive = f"file={self._stick},format=raw,if=none,id=stick,readonly=on"
            command += ["-drive", drive, "-device", "virtio-blk-pci,drive=stick"]
        return command

    def _from_slot(self, name: str) -> bytes:
        octets = self.card.get(name, partition=self._partition)
        assert octets is not None, f"the boot partition has no {name}"
        return octets

    def _on_top(self) -> bytes:
        tree = self.folder / "tree"
        for source, target in _ON_TOP.items():
            path = tree / "on-top" / target
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(DEPLOY / source, path)
            path.chmod(0o755 if path.suffix == "" else 0o644)
        for unit, target in _WANTED.items():
            link = tree / f"on-top/etc/systemd/system/{target}.wants/{unit}"
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(f"../{unit}")
        names = sorted(str(path.relative_to(tree)) for path in tree.rglob("*"))
        command = ["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0"]
        return run_tool(*command, octets="\n".join(names).encode(), folder=tree)
