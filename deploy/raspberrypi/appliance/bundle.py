"""The file of an update: a line, a manifest, its signature, and the two partitions' content.

    rtu-bridge-update 1 OCTETS-OF-MANIFEST OCTETS-OF-SIGNATURE\\n
    manifest (JSON), signature (as `ssh-keygen -Y sign` makes it), the parts one after the other

The manifest names what is signed: the SHA-256 of each part as stored, and of what it is for each slot. A part
may be compressed (gzip). The boot partitions of the slots differ in a few sectors (the command line names the
root); the part is that of slot a, and the manifest has the sectors of slot b.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from .media import BLOCK, SECTOR
from .slots import Slot

MAGIC: Final = "rtu-bridge-update"
PARTS: Final = ("boot", "root")
ENCODINGS: Final = ("plain", "gzip")
_HEADER: Final = re.compile(rb"rtu-bridge-update 1 (\d{1,6}) (\d{1,5})\n", re.ASCII)
_LONGEST_HEADER = 64
_LONGEST_MANIFEST = 256 * 1024
_LONGEST_SIGNATURE = 8 * 1024
_SHA256 = re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(r"\d{1,4}(\.\d{1,4}){1,3}", re.ASCII)
_GZIP = 31


class UpdateError(Exception):
    """An update that is not installed; the message says why, and what would help."""


@dataclass(frozen=True, slots=True)
class Part:
    """The content of one partition: `stored` octets in the file, `size` octets on the partition."""

    name: str
    encoding: str
    stored: int
    stored_sha256: str
    size: int
    sha256: Mapping[Slot, str]
    patches: Mapping[int, bytes]
    """Sectors of slot b by their offsets."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an update is. `image` is the kind of machine that it is for."""

    image: str
    version: str
    parts: Mapping[str, Part]

    @classmethod
    def parse(cls, octets: bytes) -> Manifest:
        """Read a manifest whose signature was right. Raises `UpdateError`."""
        try:
            document = json.loads(octets)
            parts = {name: _part(name, document["parts"][name]) for name in PARTS}
            manifest = cls(_text(document["image"]), _text(document["version"]), parts)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise UpdateError(f"the manifest is not as this version knows it ({error!r})") from None
        version_numbers(manifest.version)
        return manifest


class Bundle:
    """An update's file, whose manifest was signed. Use it as a context."""

    def __init__(self, path: Path, verify: Callable[[bytes, bytes], None]) -> None:
        """Read the manifest after `verify(manifest, signature)`. Raises `UpdateError`, OSError."""
        self._file: BinaryIO = path.open("rb")
        try:
            octets, signature = self._signed()
            verify(octets, signature)
            self.manifest = Manifest.parse(octets)
            self._begins = {}
            offset = self._file.tell()
            for name in PARTS:
                self._begins[name] = offset
                offset += self.manifest.parts[name].stored
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Bundle:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    def _signed(self) -> tuple[bytes, bytes]:
        header = self._file.readline(_LONGEST_HEADER)
        match = _HEADER.fullmatch(header)
        if match is None:
            raise UpdateError("is no update of RTU Bridge, or one that needs a newer version to install it")
        lengths = int(match[1]), int(match[2])
        if lengths[0] > _LONGEST_MANIFEST or lengths[1] > _LONGEST_SIGNATURE:
            raise UpdateError("its header is damaged; copy it again")
        octets, signature = self._file.read(lengths[0]), self._file.read(lengths[1])
        if (len(octets), len(signature)) != lengths:
            raise UpdateError("is cut short; copy it again")
        return octets, signature

    def check(self) -> None:
        """Read all of it and compare. Raises `UpdateError`."""
        for part in self.manifest.parts.values():
            digest = hashlib.sha256()
            for octets in self._stored(part):
                digest.update(octets)
            if digest.hexdigest() != part.stored_sha256:
                raise UpdateError(f"its {part.name} partition is damaged; copy it again")

    def content(self, part: Part, slot: Slot) -> Iterator[bytes]:
        """Yield what is to be on the slot's partition, in blocks of `BLOCK`. Raises `UpdateError`.

        Not one octet more than the manifest says, whatever it unpacks to.
        """
        offset, rest = 0, b""
        for octets in self._unpacked(part):
            rest += octets
            if offset + len(rest) > part.size:
                raise UpdateError(f"its {part.name} partition is longer than its manifest says")
            while len(rest) >= BLOCK:
                yield _patched(rest[:BLOCK], offset, part, slot)
                offset, rest = offset + BLOCK, rest[BLOCK:]
        if offset + len(rest) != part.size:
            raise UpdateError(f"its {part.name} partition is shorter than its manifest says")
        if rest:
            yield _patched(rest, offset, part, slot)

    def _unpacked(self, part: Part) -> Iterator[bytes]:
        if part.encoding == "plain":
            yield from self._stored(part)
            return
        unpacker = zlib.decompressobj(_GZIP)
        try:
            for octets in self._stored(part):
                while octets:
                    yield unpacker.decompress(octets, BLOCK)
                    octets = unpacker.unconsumed_tail
            yield unpacker.flush()
        except zlib.error:
            raise UpdateError(f"its {part.name} partition cannot be unpacked; copy it again") from None

    def _stored(self, part: Part) -> Iterator[bytes]:
        self._file.seek(self._begins[part.name])
        left = part.stored
        while left > 0:
            octets = self._file.read(min(BLOCK, left))
            if not octets:
                raise UpdateError("is cut short; copy it again")
            left -= len(octets)
            yield octets


def version_numbers(version: str) -> tuple[int, ...]:
    """Return a version's numbers, to compare it with another. Raises `UpdateError`."""
    if _VERSION.fullmatch(version) is None:
        raise UpdateError(f"its version is {version!r}, which is none")
    return tuple(int(number) for number in version.split("."))


def _patched(octets: bytes, offset: int, part: Part, slot: Slot) -> bytes:
    if slot is Slot.A:
        return octets
    block = bytearray(octets)
    for at, sector in part.patches.items():
        if offset <= at < offset + len(block):
            block[at - offset : at - offset + SECTOR] = sector
    return bytes(block)


def _part(name: str, document: Mapping[str, Any]) -> Part:
    size = _count(document["size"])
    patches = {_count(int(at)): _sector(text) for at, text in document.get("patches", {}).items()}
    if size == 0 or size % SECTOR or any(at % SECTOR or at + SECTOR > size for at in patches):
        raise ValueError(f"sizes of {name}")
    if document["encoding"] not in ENCODINGS:
        raise ValueError(f"encoding of {name}")
    return Part(
        name=name,
        encoding=document["encoding"],
        stored=_count(document["stored"]),
        stored_sha256=_digest(document["stored_sha256"]),
        size=size,
        sha256={slot: _digest(document["sha256"][slot.value]) for slot in Slot},
        patches=patches,
    )


def _text(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) < 100 or not value.isprintable():
        raise ValueError("a text")
    return value


def _count(value: object) -> int:
    if type(value) is not int or not 0 <= value < 1 << 40:
        raise ValueError("a size")
    return value


def _digest(value: object) -> str:
    if not isinstance(value, str) or _SHA256.fullmatch(value) is None:
        raise ValueError("a digest")
    return value


def _sector(value: object) -> bytes:
    try:
        sector = base64.b64decode(_long_text(value), validate=True)
    except binascii.Error:
        sector = b""
    if len(sector) != SECTOR:
        raise ValueError("a sector")
    return sector


def _long_text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a text")
    return value
