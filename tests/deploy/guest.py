"""The guest: an emulated machine with Debian and the packaged bridge, driven from the host.

    with Guest(image) as guest:
        guest.run("systemctl is-active rtu-bridge").out
        with guest.serial(1) as rtu: ...          # the far end of its /dev/ttyS1
        with guest.plug_in("usb1") as rtu: ...    # a USB adapter, there for the block
        RawMaster("127.0.0.1", guest.port(20000))

Nothing that it writes survives it. It reaches nothing but what is forwarded from loopback. Times that are
allowed are five times what was seen on two busy cores without KVM.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

from tests.deploy.qmp import Qmp
from tests.support.link_frames import take_frame
from tests.support.waiting import until

QEMU, QEMU_ARM = "qemu-system-x86_64", "qemu-system-aarch64"
BOOT_WITHIN_S = 120.0
"""20 s were seen, 30 s with the machine busy."""
RUN_WITHIN_S = 60.0
READY = "guest: ready"
_HOST_PATIENCE_S = 30.0

_PL011, _UARTCR, _UARTCR_RTS = 0x09000000, 0x30, 0x800

_KERNEL = (
    "console=ttyS0 root=/dev/vda rootfstype=squashfs ro net.ifnames=0 loglevel=4 systemd.show_status=1 "
    "mitigations=off nokaslr no_timer_check"
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command in the guest came to."""

    status: int
    out: str
    err: str


class FarEnd:
    """What is connected to a port of the guest: an RTU that does exactly what a test says."""

    def __init__(self, path: Path) -> None:
        """Connect; a USB adapter is plugged in by that."""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(RUN_WITHIN_S)
        self._socket.connect(str(path))
        self._octets = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect; a USB adapter is pulled out by that."""
        self._socket.close()

    def read_frame(self) -> bytes:
        """Return the next frame heard; nothing but frames may come."""
        while (frame := take_frame(self._octets)) is None:
            octets = self._socket.recv(65536)
            assert octets, "the guest ended instead of sending a frame"
            self._octets += octets
        return frame

    def write(self, octets: bytes) -> None:
        """Send octets as they are."""
        self._socket.sendall(octets)


class Guest:
    """A running guest. Leaving the block is pulling its plug."""

    def __init__(
        self,
        image: Path,
        *,
        lines: int = 2,
        adapters: Mapping[str, str] = MappingProxyType({"usb1": "AAA1", "usb2": "BBB2", "cheap": "0001"}),
        ports: Sequence[int] = (20000,),
        kernel_arguments: str = "",
    ) -> None:
        """`image` is the folder that `build_guest.py` prints.

        It has `lines` 16550 ports, /dev/ttyS1 and up to 3; FTDI adapters that are not plugged in yet, by
        name with their serial numbers; and its TCP `ports` forwarded.
        """
        assert 0 <= lines <= 3, "COM1 is the console, and there are four"
        self._image = image
        self._lines = lines
        self._adapters = dict(adapters)
        self._ports = tuple(ports)
        self._kernel_arguments = kernel_arguments
        self._requests = 0
        self.booted_in_s = 0.0
        """How long it took from power-on to the line that says ready."""

    def __enter__(self) -> Self:
        # Under /tmp, because the path of a unix socket must be short.
        self.folder = Path(tempfile.mkdtemp(prefix="guest-", dir="/tmp"))
        try:
            self._start()
        except BaseException:
            self.power_off()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            print(f"--- console\n{self.console}")
        self.power_off()

    def _start(self) -> None:
        begun_s = time.monotonic()
        with (self.folder / "qemu.log").open("wb") as log:
            self._process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder
            )
        self.wait_for(READY, within_s=BOOT_WITHIN_S)
        self.booted_in_s = time.monotonic() - begun_s
        self.qmp = Qmp(self.folder / "qmp")
        self._forwarded = dict(self._find_forwarded())
        self._agent = socket.socket(socket.AF_UNIX)
        self._agent.connect(str(self.folder / "agent"))
        self._answers = self._agent.makefile("rb")

    def _command(self) -> list[str]:
        command = self._machine(memory_mib=768)
        command += ["-kernel", str(self._image / "kernel"), "-initrd", str(self._image / "initrd")]
        command += ["-append", f"{_KERNEL} {self._kernel_arguments}".strip()]
        disk = f"file={self._image / 'root.sqfs'},format=raw,if=none,id=disk,readonly=on"
        command += ["-drive", disk, "-device", "virtio-blk-pci,drive=disk"]
        return command + self._devices()

    @staticmethod
    def _machine(*, memory_mib: int) -> list[str]:
        """The emulated board, without a screen."""
        command = [QEMU, "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "qemu64", "-smp", "2"]
        command += ["-m", str(memory_mib)]
        return [*command, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]

    def _devices(self) -> list[str]:
        """Network, console, serial ports, the agent and the adapters: all but the disk."""
        command = ["-netdev", self._network(), "-device", "virtio-net-pci,netdev=net"]
        command += ["-chardev", "file,id=console,path=console"]
        command += ["-device", "isa-serial,chardev=console,index=0"]
        for number in range(1, self._lines + 1):
            command += _socket(f"ttyS{number}", "-device", f"isa-serial,chardev=ttyS{number},index={number}")
        command += ["-device", "virtio-serial-pci"]
        command += _socket("agent", "-device", "virtserialport,chardev=agent,name=rtu.agent")
        command += ["-device", "qemu-xhci"]
        for name, serial in self._adapters.items():
            command += _socket(name, "-device", f"usb-serial,chardev={name},serial={serial}")
        return [*command, "-qmp", "unix:qmp,server=on,wait=off"]

    def _network(self) -> str:
        return "user,id=net,restrict=on" + "".join(
            f",hostfwd=tcp:127.0.0.1:0-:{port}" for port in self._ports
        )

    def _find_forwarded(self) -> list[tuple[int, int]]:
        # Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ
        table = self.qmp.monitor("info usernet")
        rows = re.findall(r"TCP\[HOST_FORWARD\]\s+\d+\s+\S+\s+(\d+)\s+\S+\s+(\d+)", table)
        return [(int(inside), int(outside)) for outside, inside in rows]

    # What is outside

    @property
    def pid(self) -> int:
        """The process of the machine."""
        return self._process.pid

    @property
    def console(self) -> str:
        """What was printed on the console so far."""
        try:
            return (self.folder / "console").read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    def wait_for(self, text: str, *, within_s: float) -> None:
        """Wait until the console shows a text."""

        def is_shown() -> bool:
            if text in self.console:
                return True
            if self._process.poll() is not None:
                log = (self.folder / "qemu.log").read_text(errors="replace")
                raise AssertionError(f"QEMU ended with {self._process.returncode} before {text!r}\n{log}")
            return False

        until(is_shown, f"the console shows {text!r}\n{self.console}", within_s=within_s, pause_s=0.05)

    def port(self, inside: int) -> int:
        """Return the port on 127.0.0.1 that leads to a port of the guest."""
        return self._forwarded[inside]

    def serial(self, number: int) -> FarEnd:
        """Return the far end of /dev/ttyS`number`."""
        return FarEnd(self.folder / f"ttyS{number}")

    def plug_in(self, name: str) -> FarEnd:
        """Plug an adapter in and return its far end; closing that pulls it out."""
        return FarEnd(self.folder / name)

    def power_off(self) -> None:
        """Pull the plug: nothing in the guest hears of it."""
        for name in ("_answers", "_agent", "qmp"):
            if (thing := self.__dict__.pop(name, None)) is not None:
                thing.close()
        if (process := self.__dict__.pop("_process", None)) is not None:
            process.kill()
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    # What is inside

    def run(self, command: str, *, within_s: float = RUN_WITHIN_S, status: int | None = 0) -> Outcome:
        """Run a shell command as root. It must end with this exit status; None: with any."""
        answer = self._ask(within_s, run=command, within_s=within_s)
        assert answer["status"] is not None, f"not within {within_s:g} s: {command}\n{answer}"
        outcome = Outcome(answer["status"], answer["out"], answer["err"])
        assert status is None or outcome.status == status, f"{command}\n{outcome}"
        return outcome

    def write(self, path: str, content: str | bytes, *, mode: int = 0o644) -> None:
        """Write a small file."""
        octets = content.encode() if isinstance(content, str) else content
        self._ask(RUN_WITHIN_S, write=path, octets=base64.b64encode(octets).decode(), mode=mode)

    def read(self, path: str) -> bytes:
        """Return a small file."""
        return base64.b64decode(self._ask(RUN_WITHIN_S, read=path)["octets"])

    def until(self, command: str, text: str, *, within_s: float = RUN_WITHIN_S) -> str:
        """Run a command until its output has a text, and return that output."""
        printed = [""]

        def is_printed() -> bool:
            printed[0] = self.run(command, status=None).out
            return text in printed[0]

        try:
            until(is_printed, "", within_s=within_s, pause_s=0.1)
        except AssertionError:
            raise AssertionError(f"not within {within_s:g} s: {text!r} of {command}\n{printed[0]}") from None
        return printed[0]

    def _ask(self, patience_s: float, **request: object) -> dict[str, Any]:
        self._requests += 1
        self._agent.settimeout(patience_s + _HOST_PATIENCE_S)
        self._agent.sendall(json.dumps({"id": self._requests, **request}).encode() + b"\n")
        answer: dict[str, Any] = json.loads(self._answers.readline())
        assert answer.pop("id") == self._requests, "an answer to another request"
        assert "error" not in answer, answer
        return answer


class Pl011Machine(Guest):
    """An arm64 machine whose one UART is a PL011, as a Raspberry Pi's: /dev/ttyAMA0.

    It has Debian's kernel and Python and the unpacked package, but no systemd: tests start the program.
    """

    def __init__(self, image: Path, *, ports: Sequence[int] = (20000,)) -> None:
        """`image` is the folder that `build_guest.py --bare` prints."""
        super().__init__(image, lines=0, adapters={}, ports=ports)

    def far_end(self) -> FarEnd:
        """Return the far end of /dev/ttyAMA0."""
        return FarEnd(self.folder / "ttyAMA0")

    def is_rts_pin_high(self) -> bool:
        """Return the level of the UART's RTS pin, from its control register, read from outside.

        A port that asserts RTS has a low pin: a transceiver's DE on it must be high to send.
        """
        printed = self.qmp.monitor(f"xp /1wx {_PL011 + _UARTCR:#x}")
        return not int(printed.split(":")[1], 16) & _UARTCR_RTS

    def _command(self) -> list[str]:
        command = [QEMU_ARM, "-M", "virt", "-accel", "tcg,thread=multi", "-cpu", "cortex-a72", "-smp", "2"]
        command += ["-m", "1024", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
        command += ["-kernel", str(self._image / "kernel"), "-initrd", str(self._image / "initrd")]
        # The UART is the line's, so the console is elsewhere.
        command += ["-append", "console=hvc0 net.ifnames=0 loglevel=4 mitigations=off nokaslr"]
        command += ["-device", "virtio-serial-pci", "-chardev", "file,id=console,path=console"]
        command += ["-device", "virtconsole,chardev=console"]
        command += _socket("agent", "-device", "virtserialport,chardev=agent,name=rtu.agent")
        command += ["-netdev", self._network(), "-device", "virtio-net-pci,netdev=net,romfile="]
        command += _socket("ttyAMA0", "-serial", "chardev:ttyAMA0")
        return [*command, "-qmp", "unix:qmp,server=on,wait=off"]


def _socket(name: str, *device: str) -> list[str]:
    return ["-chardev", f"socket,id={name},path={name},server=on,wait=off", *device]


def main(image: str) -> None:
    """Boot the guest once, and say how long that took and what its bridge says."""
    with Guest(Path(image)) as guest:
        print(f"ready after {guest.booted_in_s:.0f} s")
        guest.run("systemctl start rtu-bridge", within_s=300.0)  # it may not have finished its own
        print(guest.run("systemctl show -p StatusText --value rtu-bridge").out, end="")


if __name__ == "__main__":
    main(sys.argv[1])
