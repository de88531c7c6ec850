"""The flight recorder in a status for people: what it keeps and has written, and why it cannot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_MIB: Final = 1024 * 1024


def problem(recorder: Mapping[str, Any]) -> str | None:
    """Return why files cannot be written; None where they can."""
    reason = recorder["problem"]
    return None if reason is None else f"no recording: {recorder['folder']}: {reason}"


def summary(recorder: Mapping[str, Any]) -> str:
    """Return what it keeps and what it has written, in a line."""
    kept, gone = recorder["records"] - recorder["records_forgotten"], recorder["records_forgotten"]
    memory = f"{_mib(recorder['octets_kept'])} of {_mib(recorder['memory_octets'])} MiB"
    text = f"flight recorder: {kept} records in {memory} of memory, {gone} older ones gone"
    if recorder["folder"] is None:
        return f"{text}; no files, for recorder.folder is not set"
    failed = f", {recorder['files_failed']} failed" if recorder["files_failed"] else ""
    text = f"{text}; {recorder['files_written']} files written{failed}"
    if recorder["disk_octets"] is not None:
        taken = f"{_mib(recorder['disk_octets'])} of {_mib(recorder['disk_limit_octets'])} MiB"
        text = f"{text}, {taken} in {recorder['folder']}"
    if recorder["disk_free_octets"] is not None:
        text = f"{text}, {_mib(recorder['disk_free_octets'])} MiB free there"
    return text


def _mib(octets: int) -> str:
    return f"{octets / _MIB:.1f}".removesuffix(".0")
