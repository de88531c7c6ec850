"""The block map of an image (bmaptool's format 2.0): what must be written, with checksums.

What is not in it keeps what was on the card before. So it is not enough to leave out what is zero: where
zero means something, it is in the map.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from layout import BOOT_A, BOOT_B, CONFIG, DATA, MIB, PARTITIONS

BLOCK: Final = 4096
_CHUNK: Final = 64
"""Blocks that are looked at together."""
# The tables of a FAT; and that the data partition is empty, which is how the first boot knows it.
_NEEDED: Final = {CONFIG: 4 * MIB, BOOT_A: 4 * MIB, BOOT_B: 4 * MIB, DATA: 2 * MIB}


def block_map(disk: Path) -> str:
    """Return the map of a disk's image."""
    size = disk.stat().st_size
    with disk.open("rb") as file:
        ranges = list(_ranges(file, size))
        lines = [f"        {_range(file, first, last)}" for first, last in ranges]
    mapped = sum(last - first + 1 for first, last in ranges)
    text = _TEXT.format(
        size=size, blocks=-(-size // BLOCK), mapped=mapped, ranges="\n".join(lines), checksum="0" * 64
    )
    # Of the file with zeros in its place.
    return text.replace("0" * 64, hashlib.sha256(text.encode()).hexdigest())


def _ranges(file: BinaryIO, size: int) -> Iterator[tuple[int, int]]:
    """Yield the first and the last block of what is to be written."""
    first: int | None = None
    count = -(-size // BLOCK)
    for block in range(0, count, _CHUNK):
        file.seek(block * BLOCK)
        is_wanted = _is_needed(block * BLOCK) or any(file.read(_CHUNK * BLOCK))
        if is_wanted and first is None:
            first = block
        elif not is_wanted and first is not None:
            yield first, block - 1
            first = None
    if first is not None:
        yield first, count - 1


def _is_needed(offset: int) -> bool:
    starts = {PARTITIONS[number].offset: length for number, length in _NEEDED.items()}
    return any(start <= offset < start + length for start, length in starts.items())


def _range(file: BinaryIO, first: int, last: int) -> str:
    file.seek(first * BLOCK)
    digest = hashlib.sha256()
    left = (last - first + 1) * BLOCK
    while left and (octets := file.read(min(left, MIB))):
        digest.update(octets)
        left -= len(octets)
    return f'<Range chksum="{digest.hexdigest()}"> {first}-{last} </Range>'


_TEXT = """\
<?xml version="1.0" ?>
<bmap version="2.0">
    <ImageSize> {size} </ImageSize>
    <BlockSize> 4096 </BlockSize>
    <BlocksCount> {blocks} </BlocksCount>
    <MappedBlocksCount> {mapped} </MappedBlocksCount>
    <ChecksumType> sha256 </ChecksumType>
    <BmapFileChecksum> {checksum} </BmapFileChecksum>
    <BlockMap>
{ranges}
    </BlockMap>
</bmap>
"""
