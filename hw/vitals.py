"""How the machine is: temperature, load, memory, uptime; and what it is called. Read from files alone."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from hw.kernel_files import names_in, text_of

_ROOT = Path("/")
_CPU_ZONES = re.compile(r"cpu\d*[-_]thermal|soc[-_]thermal|x86_pkg_temp", re.ASCII)
"""What kernels call the sensor of the processor: "cpu-thermal" on a Raspberry Pi."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """What changes. None where this machine does not tell."""

    cpu_temperature_c: float | None
    load: float | None
    """The average of a minute, divided by the number of processors: 1 is all of them busy."""
    memory_available_octets: int | None
    uptime_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What stays. None where this machine does not tell."""

    hostname: str | None
    model: str | None
    serial_number: str | None
    """Of the board; where it has none, the operating system's own number of this installation."""


def vitals(root: Path = _ROOT) -> Vitals:
    """Read how the machine is whose file system begins at `root`. Raises nothing."""
    load = _number(text_of(root / "proc/loadavg"))
    return Vitals(
        cpu_temperature_c=_cpu_temperature_c(root),
        load=None if load is None else load / (os.cpu_count() or 1),
        memory_available_octets=_memory_available_octets(root),
        uptime_s=_number(text_of(root / "proc/uptime")),
    )


def identity(root: Path = _ROOT) -> Identity:
    """Read what the machine is called whose file system begins at `root`. Raises nothing."""
    return Identity(
        hostname=text_of(root / "proc/sys/kernel/hostname"),
        model=text_of(root / "proc/device-tree/model"),
        serial_number=text_of(root / "proc/device-tree/serial-number") or text_of(root / "etc/machine-id"),
    )


def _cpu_temperature_c(root: Path) -> float | None:
    zones = root / "sys/class/thermal"
    for name in names_in(zones):
        if _CPU_ZONES.fullmatch(text_of(zones / name / "type") or ""):
            millidegrees = _number(text_of(zones / name / "temp"))
            return None if millidegrees is None else millidegrees / 1000
    return None


def _memory_available_octets(root: Path) -> int | None:
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", text_of(root / "proc/meminfo") or "", re.MULTILINE)
    return None if found is None else int(found[1]) * 1024


def _number(text: str | None) -> float | None:
    """Return the number that a text begins with."""
    try:
        return float((text or "").split()[0])
    except (ValueError, IndexError):
        return None
