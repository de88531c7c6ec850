"""Carries a plan out. A step that fails is told and the others are done: half a start is better than none."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from . import files, mounts
from .places import ERRORS, NOTES, Places
from .plan import RUN_FILES, Plan

Writable = Callable[[Path], AbstractContextManager[None]]


def apply(
    plan: Plan,
    places: Places,
    failed: Sequence[str] = (),
    *,
    name_host: Callable[[str], None] = socket.sethostname,
    writable: Writable = mounts.writable,
) -> list[str]:
    """Do what a plan says; return what `failed` before and what failed. Raises nothing that a disk does.

    What the system needs comes first, then what the next boot needs, then what people read.
    """
    failures = [*failed]
    wanted = {file.name: file for file in plan.run_files}
    for name in RUN_FILES:
        with _told(failures):
            file = wanted.get(name)
            if file is None:
                files.remove(places.run / name)
            else:
                files.write(places.run / name, file.text.encode(), file.mode)
    with _told(failures):
        name_host(plan.hostname)
    for name, octets in plan.keep.items():
        with _told(failures):
            _put(places.kept / name, octets, 0o600)
    _tell_on_card(plan, places, writable, failures)
    return failures


def lines(texts: tuple[str, ...]) -> bytes | None:
    """Return lines as any editor shows them, Windows' too; None if there are none."""
    return "".join(f"{text}\r\n" for text in texts).encode() or None


def _tell_on_card(plan: Plan, places: Places, writable: Writable, failures: list[str]) -> None:
    # What failed until now as well: nobody reads a console.
    told = {ERRORS: lines(plan.problems), NOTES: lines((*plan.notes, *failures))}
    stale = [name for name, octets in told.items() if files.read(places.card, name).octets != octets]
    if not stale:
        return
    with _told(failures), writable(places.card):
        for name in stale:
            with _told(failures):
                _put_anew(places.card / name, told[name])


def _put(path: Path, octets: bytes | None, mode: int) -> None:
    if octets is None:
        files.remove(path)
    else:
        files.write(path, octets, mode)


def _put_anew(path: Path, octets: bytes | None) -> None:
    """Put a file on the card. On one that is full the old one makes room: what it says is no longer true."""
    try:
        _put(path, octets, 0o644)
    except OSError:
        files.remove(path)
        _put(path, octets, 0o644)


@contextlib.contextmanager
def _told(failures: list[str]) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        failures.append(str(error))
