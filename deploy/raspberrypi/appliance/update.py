"""Writes an update into the slot that does not run. `trial` has the steps, and what a power cut leaves."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from . import files
from .bundle import Bundle, Part, UpdateError, version_numbers
from .media import SECTOR, Media
from .places import Places
from .slots import Slot, SlotError, default_slot
from .trial import Expected, Note, Phase

_EMPTY_SECTOR: Final = bytes(SECTOR)
Devices = Callable[[int], Path]
"""From the number of a partition to its device."""


@dataclass(frozen=True, slots=True)
class Image:
    """What runs: the kind of machine that its image is for, and its version."""

    image: str
    version: str


def slot_to_write(autoboot: bytes | None, running: Slot) -> Slot:
    """Return the slot that neither runs nor is booted by default. Raises `UpdateError`."""
    try:
        default = default_slot(autoboot or b"")
    except SlotError as error:
        raise UpdateError(f"cannot be installed: {error}") from None
    if default is not running:
        raise UpdateError("cannot be installed while another one is on trial; wait, or reboot")
    return running.other


def check_fits(bundle: Bundle, installed: Image, *, allow_older: bool = False) -> None:
    """Raise `UpdateError` unless the update is for this machine, and newer."""
    manifest = bundle.manifest
    if manifest.image != installed.image:
        raise UpdateError(f"is for {manifest.image}, and this is {installed.image}")
    if allow_older or version_numbers(manifest.version) > version_numbers(installed.version):
        return
    raise UpdateError(f"is {manifest.version}, and {installed.version} runs; --allow-older installs it")


class Installer:
    """Writes one update. Nothing is written before all of the file was read and found right."""

    def __init__(self, media: Media, devices: Devices, places: Places, say: Callable[[str], None]) -> None:
        """`say` is told what goes on."""
        self._media = media
        self._devices = devices
        self._places = places
        self._say = say

    def install(self, bundle: Bundle, slot: Slot, expected: Expected) -> Note:
        """Write the slot and read it back; return the note that is kept. Raises `UpdateError`, OSError."""
        boot, root = bundle.manifest.parts["boot"], bundle.manifest.parts["root"]
        boot_device, root_device = self._devices(slot.boot_partition), self._devices(slot.root_partition)
        for part, device in ((boot, boot_device), (root, root_device)):
            if (size := self._media.size(device)) < part.size:
                raise UpdateError(f"needs {part.size} octets for {part.name}, and {device} has {size}")
        self._say("checking the file")
        bundle.check()
        note = Note(bundle.manifest.version, slot, Phase.WRITING, expected)
        self._media.note(self._places.trial, note.dump())
        # Without its first sector the partition is no FAT, and no firmware boots a part of a system.
        self._media.write_at(boot_device, 0, _EMPTY_SECTOR)
        self._media.sync(boot_device)
        self._say(f"writing slot {slot.value}: root file system")
        self._write(root_device, bundle.content(root, slot))
        self._compare(root_device, root, slot, first=None)
        self._say(f"writing slot {slot.value}: boot partition")
        first = self._write(boot_device, bundle.content(boot, slot), without_first=True)
        self._compare(boot_device, boot, slot, first=first)
        self._media.write_at(boot_device, 0, first)
        self._media.sync(boot_device)
        self._compare(boot_device, boot, slot, first=None)
        return note

    def arm(self, note: Note) -> None:
        """Note that the slot is to be tried at the next boot. Raises OSError."""
        self._media.note(self._places.trial, note.at(Phase.ARMED).dump())

    def leave(self, note: Note) -> None:
        """Note that the slot is whole and is not to be tried. Raises OSError."""
        self._media.note(self._places.trial, note.at(Phase.WRITTEN).dump())

    def _write(self, device: Path, blocks: Iterable[bytes], *, without_first: bool = False) -> bytes:
        """Write blocks, all or all but the first sector, which is returned then."""
        offset, first = 0, b""
        for octets in blocks:
            if without_first and offset == 0:
                first = octets[:SECTOR]
                self._media.write_at(device, SECTOR, octets[SECTOR:])
            else:
                self._media.write_at(device, offset, octets)
            offset += len(octets)
        self._media.sync(device)
        return first

    def _compare(self, device: Path, part: Part, slot: Slot, *, first: bytes | None) -> None:
        """Read back; `first` stands for the first sector while that is not written."""
        digest = hashlib.sha256()
        for number, octets in enumerate(self._media.blocks(device, part.size)):
            digest.update(first + octets[SECTOR:] if number == 0 and first is not None else octets)
        if digest.hexdigest() != part.sha256[slot]:
            raise UpdateError(f"reads differently from {device} than it was written; replace the card")


def read_note(places: Places) -> Note | None:
    """Return the note of an update that is under way, or None."""
    return Note.load(files.read(places.trial.parent, places.trial.name).octets)
