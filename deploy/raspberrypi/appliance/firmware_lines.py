"""What config.txt must say for the lines of bridge.toml, and the file that says it. Pure.

config.txt itself is the image's. Its last line includes `places.LINES`, which stands beside it in each boot
slot, is one sector long, and is written over in place: a power cut leaves the old one or the new one, and no
other file is touched. Only what is known to be right gets into it: lines of `hw.boards`, and of overlays
those that the slot has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from bridge.service.configuration import boards
from bridge.service.configuration.config import Configuration
from hw.assembly import Assembly, AssemblyError, Use
from hw.board import DEFAULT_BOARD, Direction, System
from hw.boards import base_of_model

from .places import LINES

SIZE: Final = 512
"""Of the file, in octets: one sector, filled up with empty lines."""
USUAL: Final = ("dtoverlay=disable-bt",)
"""Where no line of the configuration is on the header: UART0 is on GPIO14 and 15 all the same."""

_HEAD: Final = "# Written by RTU Bridge out of bridge.toml.\n"
_OVERLAY = re.compile(r"dtoverlay=([a-z0-9-]+)")
_PIN = re.compile(r"gpio=\d{1,2}=op,d[hl]")


@dataclass(frozen=True, slots=True)
class BootPartition:
    """What a boot slot has: its config.txt, the names of its overlays, and `places.LINES`, if it is there."""

    config_txt: str = ""
    overlays: frozenset[str] = frozenset()
    lines_file: bytes | None = None


@dataclass(frozen=True, slots=True)
class Boot:
    """The computer, the slot that it booted, and whether it may be started again at once."""

    model: str
    partition: BootPartition
    may_restart: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """The lines to write, and what people should know of them."""

    lines: tuple[str, ...] = USUAL
    notes: tuple[str, ...] = field(default=())


def wanted(configuration: Configuration, model: str, partition: BootPartition) -> Wanted:
    """Return what a slot's `places.LINES` must say; `model` is what the computer calls itself."""
    notes: list[str] = []
    assembly = _assembly(configuration, model, notes)
    uses = {line.name: Use(line.device, Direction(line.direction)) for line in configuration.lines.values()}
    notes += _impossible(uses, assembly)
    image = set(statements(partition.config_txt))
    needed = [line for line in assembly.config_lines(uses.values(), System.IMAGE) if line not in image]
    possible = [line for line in needed if _is_possible(line, partition.overlays)]
    notes += [f"config.txt: this image has no {line}" for line in needed if line not in possible]
    lines = tuple(possible) if any(map(_OVERLAY.fullmatch, possible)) else (*USUAL, *possible)
    if possible:
        notes.append(f"config.txt: {', '.join(lines)}, for the lines of bridge.toml")
    return Wanted(lines, tuple(notes))


def _assembly(configuration: Configuration, model: str, notes: list[str]) -> Assembly:
    """Return the boards that are named, on the computer that this is."""
    named = boards.assembly(configuration.service.board)
    base = base_of_model(model)
    if base is None or named.base is base:
        return named
    if named.base is not DEFAULT_BOARD:
        notes.append(f"board: bridge.toml says {named.base.name!r}, and this is a {base.name!r}")
    try:
        return named.on(base)
    except AssemblyError as error:
        notes.append(f"board: {error}")
        return Assembly([base])


def _impossible(uses: Mapping[str, Use], assembly: Assembly) -> Iterable[str]:
    for name, use in uses.items():
        port = assembly.port_of(use.device)
        uart = port.uart if port is not None else None
        if uart is None or uart.lines_for(use.direction, System.IMAGE) is not None:
            continue
        if uart.lines_for(Direction.AUTOMATIC, System.IMAGE) is None:
            yield f"line {name}: this image does not switch {use.device} on; use Raspberry Pi OS"
        else:
            problem = f"this image puts no RTS on {use.device} for {use.direction.value!r}"
            yield f"line {name}: {problem}; write 'rs485'"


def _is_possible(line: str, overlays: frozenset[str]) -> bool:
    match = _OVERLAY.fullmatch(line)
    return match[1] in overlays if match else _PIN.fullmatch(line) is not None


def file_of(lines: Iterable[str]) -> bytes:
    """Return `places.LINES` with these lines. Raises ValueError if they do not fit."""
    octets = (_HEAD + "".join(f"{line}\n" for line in lines)).encode("ascii")
    if len(octets) > SIZE:
        raise ValueError(f"{LINES} would have {len(octets)} octets, and may have {SIZE}")
    return octets + b"\n" * (SIZE - len(octets))


def in_force(partition: BootPartition) -> str:
    """Return what the firmware read, as one text."""
    return f"{partition.config_txt.rstrip()}\n{(partition.lines_file or b'').decode('latin-1').rstrip()}\n"


def statements(text: str) -> list[str]:
    """Return the lines of a config.txt that say something."""
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]
