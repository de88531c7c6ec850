"""The machines that QEMU emulates, as far as they differ: what QEMU is told, and where things are.

========  ==============================================================================
`Pc`      16550 ports (/dev/ttyS1 to 3) and FTDI adapters; the fastest on a PC
`Virt`    arm64 with one PL011, /dev/ttyAMA0, and no other hardware of a Raspberry Pi
`Pi4`     a Raspberry Pi 4: SD card, GPIO, watchdog, FTDI adapters, PL011 as console
========  ==============================================================================

Each has a network card, a console in the file `console`, the agent's port in the unix socket `agent`, and for
every serial port or adapter a unix socket of its name. Times that are allowed are five times what was seen on
two busy cores without KVM.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tests.deploy.tools import run_tool

ADAPTERS: Mapping[str, str] = {"usb1": "AAA1", "usb2": "BBB2", "cheap": "0001"}
"""FTDI adapters by the name of their socket, with their serial numbers. Connecting to one plugs it in."""

WATCHDOG_LOG = "unimplemented.log"
"""Where `Pi4` notes what is written into the watchdog: see qemu-pi4.dts."""

_PI4_LESS = Path(__file__).parents[2] / "deploy/raspberrypi/image/twin/qemu-pi4.dts"
_PI4_REVISION = "c03111"
_SD = "/soc/mmc@7e300000"

_NO_EXTRAS = ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
_QUIET = "loglevel=4 systemd.show_status=1 mitigations=off nokaslr"


class Board(Protocol):
    """What a `Guest` runs on."""

    @property
    def program(self) -> str:
        """QEMU's command."""

    @property
    def arguments(self) -> str:
        """For the kernel: where its console is, and what saves time."""

    @property
    def boot_within_s(self) -> float:
        """From power-on until the agent is there."""

    def machine(self, network: str) -> list[str]:
        """Return QEMU's arguments for all but what is booted; `network` is a netdev called "net"."""

    def disk(self, path: Path, *, is_read_only: bool) -> list[str]:
        """Return QEMU's arguments for the disk or card."""

    def device_tree(self, folder: Path, read: Callable[[str], bytes]) -> list[str]:
        """Return QEMU's arguments for a device tree; `read` returns one of those that are on the card."""


class _Virtio:
    """What machines without hardware to speak of have in common."""

    def disk(self, path: Path, *, is_read_only: bool) -> list[str]:
        options = ",readonly=on" if is_read_only else ""
        drive = f"file={path},format=raw,if=none,id=disk{options}"
        return ["-drive", drive, "-device", "virtio-blk-pci,drive=disk"]

    def device_tree(self, folder: Path, read: Callable[[str], bytes]) -> list[str]:
        return []  # QEMU's own

    def _paravirtual(self, network: str) -> list[str]:
        command = ["-netdev", network, "-device", "virtio-net-pci,netdev=net,romfile="]
        command += ["-device", "virtio-serial-pci"]
        return command + socket_at("agent", "-device", "virtserialport,chardev=agent,name=rtu.agent")


@dataclass(frozen=True, slots=True)
class Pc(_Virtio):
    """An amd64 PC. COM1 is the console, which leaves up to three `lines`."""

    lines: int = 2
    adapters: Mapping[str, str] = field(default_factory=lambda: ADAPTERS)
    memory_mib: int = 768
    program: str = "qemu-system-x86_64"
    arguments: str = f"console=ttyS0 {_QUIET} no_timer_check"
    boot_within_s: float = 150.0

    def machine(self, network: str) -> list[str]:
        command = ["-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "qemu64", "-smp", "2"]
        command += ["-m", str(self.memory_mib), *_NO_EXTRAS]
        command += self._paravirtual(network)
        command += ["-chardev", "file,id=console,path=console"]
        command += ["-device", "isa-serial,chardev=console,index=0"]
        for number in range(1, self.lines + 1):
            name = f"ttyS{number}"
            command += socket_at(name, "-device", f"isa-serial,chardev={name},index={number}")
        return [*command, "-device", "qemu-xhci", *_plugs(self.adapters)]


@dataclass(frozen=True, slots=True)
class Virt(_Virtio):
    """QEMU's own arm64 machine. Its UART is the line's, so the console is elsewhere."""

    program: str = "qemu-system-aarch64"
    arguments: str = f"console=hvc0 {_QUIET}"
    boot_within_s: float = 300.0

    def machine(self, network: str) -> list[str]:
        command = ["-M", "virt", "-accel", "tcg,thread=multi", "-cpu", "cortex-a72", "-smp", "2"]
        command += ["-m", "1024", *_NO_EXTRAS]
        command += self._paravirtual(network)
        command += ["-chardev", "file,id=console,path=console", "-device", "virtconsole,chardev=console"]
        return command + socket_at("ttyAMA0", "-serial", "chardev:ttyAMA0")


@dataclass(frozen=True, slots=True)
class Pi4:
    """A Raspberry Pi 4 B with the image's own device tree, less what QEMU lacks.

    No network controller is emulated, and USB is the slow one: a hub with a network card, the agent's adapter
    and the lines' is on it. `adapters` are plugged in from the beginning.
    """

    adapters: Mapping[str, str] = field(default_factory=lambda: {"usb1": "AAA1"})
    program: str = "qemu-system-aarch64"
    arguments: str = f"console=ttyAMA0,115200 {_QUIET} systemd.default_device_timeout_sec=900"
    boot_within_s: float = 900.0

    def machine(self, network: str) -> list[str]:
        command = ["-M", "raspi4b", "-icount", "shift=1", "-display", "none", "-no-reboot"]
        command += ["-serial", "file:console", "-serial", "null", "-monitor", "none"]
        command += ["-d", "unimp", "-D", WATCHDOG_LOG]
        command += ["-netdev", network, "-device", "usb-hub,port=1", "-device", "usb-net,netdev=net,port=1.1"]
        adapters = {"agent": "agent", **self.adapters}
        for number, (name, serial) in enumerate(adapters.items(), 2):
            options = f"always-plugged=on,port=1.{number},serial={serial}"
            command += socket_at(name, "-device", f"usb-serial,chardev={name},{options}")
        return command

    def disk(self, path: Path, *, is_read_only: bool) -> list[str]:
        return ["-drive", f"file={path},format=raw,if=sd{',readonly=on' if is_read_only else ''}"]

    def device_tree(self, folder: Path, read: Callable[[str], bytes]) -> list[str]:
        own, overlay, tree = folder / "own.dtb", folder / "qemu.dtbo", folder / "pi4.dtb"
        own.write_bytes(read("bcm2711-rpi-4-b.dtb"))
        run_tool("dtc", "-q", "-@", "-I", "dts", "-O", "dtb", "-o", overlay, _PI4_LESS)
        run_tool("fdtoverlay", "-i", own, "-o", tree, overlay)
        # The card is where the board has its Wi-Fi.
        run_tool("fdtput", "-d", tree, _SD, "mmc-pwrseq")
        run_tool("fdtput", "-r", tree, f"{_SD}/wifi@1")
        run_tool("fdtput", "-d", tree, _SD, "non-removable")
        run_tool("fdtput", tree, _SD, "broken-cd")
        # The firmware says which board it is.
        run_tool("fdtput", "-c", tree, "/system")
        run_tool("fdtput", "-t", "x", tree, "/system", "linux,revision", _PI4_REVISION)
        return ["-dtb", str(tree)]


def socket_at(name: str, *device: str) -> list[str]:
    """Return a device whose other end is a unix socket of that name."""
    return ["-chardev", f"socket,id={name},path={name},server=on,wait=off", *device]


def _plugs(adapters: Mapping[str, str]) -> Iterable[str]:
    for name, serial in adapters.items():
        yield from socket_at(name, "-device", f"usb-serial,chardev={name},serial={serial}")
