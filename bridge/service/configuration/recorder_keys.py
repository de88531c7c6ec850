"""The keys of the flight recorder, in the section [recorder]."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bridge.service.configuration.schema import (
    BOOLEAN,
    INTEGER,
    NUMBER,
    STRING,
    Key,
    RefusedError,
    Report,
    Row,
    between,
    seconds,
    shown,
    under,
)
from bridge.service.paths import default_capture_folder

_MOST_MIB = 256
"""The smallest Raspberry Pi has 512."""
_MOST_DISK_MIB = 1024 * 1024
_LONGEST_S = 3600


@dataclass(frozen=True, slots=True)
class RecorderConfig:
    """What is recorded and when it is written. Without a `folder` no file is written, only streams."""

    enabled: bool
    memory_mib: int
    folder: str | None
    disk_mib: int
    before_s: float
    after_s: float
    least_interval_s: float
    burst_s: float
    timeouts: int
    crc_errors: int


def _folder(value: str) -> str:
    if not value.startswith("/"):
        raise RefusedError(f"{shown(value)} is no absolute path; write one that begins with '/'")
    if not value.isprintable():
        raise RefusedError(f"{shown(value)} has a control character; write a path without")
    return value


RECORDER_KEYS: Final[Mapping[str, Key]] = {
    "enabled": Key(BOOLEAN, "enabled = true", default=True),
    "memory_mib": Key(INTEGER, "memory_mib = 4", between(1, _MOST_MIB), default=4),
    "folder": Key(
        STRING, 'folder = "/var/lib/rtu-bridge/captures"', _folder, default=default_capture_folder()
    ),
    "disk_mib": Key(INTEGER, "disk_mib = 64", between(1, _MOST_DISK_MIB), default=64),
    "before_s": Key(NUMBER, "before_s = 60.0", seconds(0, _LONGEST_S), default=60.0),
    "after_s": Key(NUMBER, "after_s = 10.0", seconds(0, _LONGEST_S), default=10.0),
    "least_interval_s": Key(NUMBER, "least_interval_s = 600.0", seconds(0, 86400), default=600.0),
    "burst_s": Key(NUMBER, "burst_s = 60.0", seconds(0.1, _LONGEST_S), default=60.0),
    "timeouts": Key(INTEGER, "timeouts = 5", between(1, 1000), default=5),
    "crc_errors": Key(INTEGER, "crc_errors = 10", between(1, 1000), default=10),
}

DEFAULTS: Final = RecorderConfig(**{name: key.default for name, key in RECORDER_KEYS.items()})  # type: ignore[arg-type]


def check(row: Row, report: Report) -> None:
    """Report what does not fit together."""
    memory_mib, disk_mib = row.get("memory_mib"), row.get("disk_mib")
    if memory_mib is not None and disk_mib is not None and disk_mib < memory_mib:
        report.add(
            under(row.path, "disk_mib"),
            f"{disk_mib} is less than memory_mib, {memory_mib}, and one file can be as large; write more",
        )
