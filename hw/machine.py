"""What this machine is: its model, its GPIO chips, its kernel LEDs, its config.txt. Read from files alone."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hw.board import System
from hw.kernel_files import names_in, text_of

_IMAGE = "etc/rtu-bridge-appliance/image.json"
_BOOT_FILES = ("run/rtu-bridge-appliance/config.txt", "boot/firmware/config.txt", "boot/config.txt")
"""The first is what the image's first boot found in the partition that was booted, which is not mounted."""
_PLACE_OF_COMMAND_LINE = {"boot/firmware/config.txt": "/boot/firmware/cmdline.txt"}


@dataclass(frozen=True, slots=True)
class GpioChip:
    """One GPIO chip. `label` is None where it cannot be known without opening the chip."""

    device: str
    label: str | None
    hardware: str | None
    """The device that it is part of: "fe200000.gpio"."""
    compatible: str | None
    """What the device tree calls it: "brcm,bcm2711-gpio"."""
    may_open: bool | None
    """Whether this user may use its pins. None: there is no file for it in /dev."""


@dataclass(frozen=True, slots=True)
class KernelLed:
    """An LED that the kernel drives."""

    name: str
    trigger: str | None
    brightness: str | None


@dataclass(frozen=True, slots=True)
class BootFile:
    """The firmware's config.txt. `lines` is None if there is none, or it may not be read: see `problem`."""

    path: str
    lines: tuple[str, ...] | None
    problem: str | None = None

    def missing(self, needed: Iterable[str]) -> list[str]:
        """Return the needed lines that do not stand in the file, whatever section they are in."""
        there = {line.partition("#")[0].strip() for line in self.lines or ()}
        return [line for line in needed if line not in there]


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One computer."""

    model: str | None
    """As the device tree says; None on a machine without one."""
    gpio_chips: tuple[GpioChip, ...]
    kernel_leds: tuple[KernelLed, ...]
    boot_file: BootFile
    command_line_file: str
    """Where the kernel's command line is written on a Raspberry Pi."""
    system: System


def machine(root: Path = Path("/")) -> Machine:
    """Read what the machine is whose file system begins at `root`. Raises nothing."""
    boot_file = _boot_file(root)
    return Machine(
        model=text_of(root / "proc/device-tree/model"),
        gpio_chips=tuple(_gpio_chips(root)),
        kernel_leds=tuple(_kernel_leds(root)),
        boot_file=boot_file,
        command_line_file=_PLACE_OF_COMMAND_LINE.get(boot_file.path.lstrip("/"), "/boot/cmdline.txt"),
        system=System.IMAGE if (root / _IMAGE).exists() else System.RASPBERRY_PI_OS,
    )


def _gpio_chips(root: Path) -> Iterable[GpioChip]:
    labels = _labels(root)
    chips = root / "sys/bus/gpio/devices"
    names = [name for name in names_in(chips) if re.fullmatch(r"gpiochip\d+", name)]
    for name in sorted(names, key=lambda name: int(name.removeprefix("gpiochip"))):
        parent = (chips / name).resolve().parent
        device = root / "dev" / name
        yield GpioChip(
            device=f"/dev/{name}",
            label=labels.get(parent),
            hardware=parent.name or None,
            compatible=_first_string(parent / "of_node/compatible"),
            may_open=os.access(device, os.R_OK | os.W_OK) if device.exists() else None,
        )


def _labels(root: Path) -> Mapping[Path, str]:
    """Return labels by the device that a chip is part of: only the old interface in /sys tells them."""
    old = root / "sys/class/gpio"
    found = {}
    for name in names_in(old):
        label = text_of(old / name / "label")
        if name.startswith("gpiochip") and label is not None:
            found[(old / name / "device").resolve()] = label
    return found


def _kernel_leds(root: Path) -> Iterable[KernelLed]:
    leds = root / "sys/class/leds"
    for name in names_in(leds):
        active = re.search(r"\[(.+?)\]", text_of(leds / name / "trigger") or "")
        yield KernelLed(name, active[1] if active else None, text_of(leds / name / "brightness"))


def _boot_file(root: Path) -> BootFile:
    for name in _BOOT_FILES:
        try:
            text = (root / name).read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            return BootFile(f"/{name}", None, f"cannot be read: {error.strerror}")
        return BootFile(f"/{name}", tuple(text.splitlines()))
    return BootFile(f"/{_BOOT_FILES[1]}", None, "there is none on this machine")


def _first_string(path: Path) -> str | None:
    """Return the first of the strings of a device tree property."""
    try:
        return path.read_bytes().partition(b"\0")[0].decode(errors="replace") or None
    except OSError:
        return None
