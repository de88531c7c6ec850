"""What the boards of a configuration mean for its pins and lines: `board = ` in [service], and the checks.

A pin in use is a `PinUse`, whatever it is used for: whoever adds a kind of pin to the file adds its uses to
`pin_uses`, and the reserved pins are refused there too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from bridge.service.configuration import pins
from bridge.service.configuration.physics import SYSTEM_LED, Document
from bridge.service.configuration.schema import (
    Kind,
    RefusedError,
    Report,
    Row,
    did_you_mean,
    in_words,
    shown,
    strings,
    under,
)
from hw.assembly import Assembly, AssemblyError, BoardPort, Use
from hw.board import DEFAULT_BOARD, HEADER_LEDS, LAST_GPIO, Board, Direction, System, UartKind
from hw.boards import BOARDS

DEFAULT_NAMES: Final = (DEFAULT_BOARD.name,)
NAMES: Final = Kind((str, list), "a string or an array of strings")
_MOST_BOARDS: Final = 8
_MOST_FREE_SHOWN: Final = 4


class PinUse(NamedTuple):
    """A pin that the configuration uses. `remedy` is what to write where the pin is not free."""

    path: str
    title: str
    pin: int
    remedy: str


def board_names(value: object) -> tuple[str, ...]:
    """Convert the value of `board`: a name, or an array of a computer's and of what is plugged on it."""
    names = (value,) if isinstance(value, str) else strings(value)
    if not names:
        raise RefusedError("is empty; write a name such as 'pi-4', or leave it out")
    if len(names) > _MOST_BOARDS:
        raise RefusedError(f"has {len(names)} entries; write at most {_MOST_BOARDS}")
    for name in names:
        if name not in BOARDS:
            meant = did_you_mean(name, BOARDS)
            right = f"did you mean {shown(meant)}?" if meant else f"write {in_words(BOARDS, 'or')}"
            raise RefusedError(f"there is no board {shown(name)}; {right}")
        if names.count(name) > 1:
            raise RefusedError(f"{shown(name)} is there twice; write each board once")
    try:
        assembly(names)
    except AssemblyError as error:
        raise RefusedError(str(error)) from None
    return tuple(names)


def assembly(names: Iterable[str]) -> Assembly:
    """Return the boards with these names as one. Raises `KeyError`, or `AssemblyError` if they do not fit."""
    return Assembly([BOARDS[name] for name in names])


def check(document: Document, boards: Assembly, board_leds: Mapping[str, int], report: Report) -> None:
    """Report pins in use that a board or a line's UART needs, and lines whose UARTs are not free."""
    taken = {claim.pin: claim.why for claim in boards.claims()}
    taken |= _check_lines(document.lines, boards, report)
    uses = list(pin_uses(document, board_leds))
    busy = {*taken, *(use.pin for use in uses)}
    free = [
        pin for pin in dict.fromkeys((*HEADER_LEDS.values(), *range(2, LAST_GPIO + 1))) if pin not in busy
    ]
    for use in uses:
        if use.pin in taken:
            others = f" (free: {', '.join(map(str, free[:_MOST_FREE_SHOWN]))}, ...)" if free else ""
            report.add(use.path, f"{use.title} is taken: {taken[use.pin]}; {use.remedy}{others}")


def pin_uses(document: Document, board_leds: Mapping[str, int]) -> Iterable[PinUse]:
    """Return the pins that a document uses: those it names, and those of board LEDs that outstations use."""
    for use in pins.pin_uses(document):
        yield PinUse(use.path, f"pin {use.pin}", use.pin, "write another pin")
    own = {row.name for row in document.leds}
    users = {row.get("led"): under(row.path, "led") for row in reversed(document.outstations)}
    users[SYSTEM_LED] = under("service", "board")
    for name, path in users.items():
        if name in board_leds and name not in own:
            pin = board_leds[name]
            remedy = f"use another LED, or write [{under('led', name)}] with another pin"
            yield PinUse(path, f"pin {pin} of the board's LED {shown(name)}", pin, remedy)


def _check_lines(lines: Iterable[Row], boards: Assembly, report: Report) -> dict[int, str]:
    """Report lines whose UARTs are not free; return the pins that lines take, with why."""
    owners = {claim.pin: claim for claim in boards.hat_claims()}
    users: dict[str, Row] = {}
    taken: dict[int, str] = {}
    for row in lines:
        use = _use(row)
        port = boards.port_of(use.device) if use is not None else None
        if use is None or port is None:
            continue
        path = under(row.path, "device")
        name = (port.uart or port.port).name
        first = users.setdefault(name, row)
        if first is not row:
            if first.get("device") != use.device:  # else it was reported as a device of two lines
                problem = f"{shown(use.device)} and {shown(first.get('device'))} of line {shown(first.name)}"
                report.add(path, f"{problem} are the same UART, {name}; give each line its own")
            continue
        for claim in boards.claims_of(use):
            owner = owners.setdefault(claim.pin, claim)
            if owner.port != claim.port:
                problem = f"{shown(use.device)} needs GPIO{claim.pin}, which is taken: {owner.why}"
                report.add(path, f"{problem}; use another port, or another board")
                break
            taken[claim.pin] = owner.why
    return taken


def warn(document: Document, boards: Assembly, report: Report) -> None:
    """Report what contradicts the boards and may be meant all the same."""
    for hat in boards.hats:
        _warn_of_lost_ports(hat, boards, report)
    for row in document.lines:
        use = _use(row)
        port = boards.port_of(use.device) if use is not None else None
        if use is not None and port is not None:
            _warn_of_line(row, use, port, report)


def _warn_of_lost_ports(hat: Board, boards: Assembly, report: Report) -> None:
    is_any = boards.base is DEFAULT_BOARD
    lost = [
        port.port.name
        for port in boards.ports
        if port.board is hat and port.port.pins and port.uart is None and not (is_any and port.devices)
    ]
    if not lost:
        return
    if is_any:
        problem = f"where {in_words(lost, 'and')} of {hat.title} are found depends on the computer"
        right = "name that too, such as board = ['pi-4', ...]"
    else:
        problem = f"{boards.base.title} has no UART for {in_words(lost, 'and')} of {hat.title}"
        right = "is it another computer?"
    report.add(under("service", "board"), f"{problem}; {right}")


def _warn_of_line(row: Row, use: Use, port: BoardPort, report: Report) -> None:
    if port.warning:
        report.add(under(row.path, "device"), port.warning)
    fixed = port.port.direction
    path = under(row.path, "direction")
    if fixed is not None and fixed is not use.direction:
        who = (
            "switches its direction by itself"
            if fixed is Direction.AUTOMATIC
            else "is switched by the kernel"
        )
        report.add(path, f"{use.direction.value!r}, but {port.title} {who}; write {fixed.value!r}")
    elif fixed is None and port.uart is not None and port.uart.lines_for(use.direction) is None:
        problem = f"{use.direction.value!r} needs RTS of {port.title}, and no overlay of Raspberry Pi OS"
        by_image = port.uart.lines_for(use.direction, System.IMAGE)
        other = f"; {by_image[-1]} of the image does" if by_image else ""
        report.add(path, f"{problem} puts it there{other}; see `rtu-bridge hardware`")
    elif fixed in (Direction.RS485, Direction.RTS) and row.get("rts_on_send") is not port.port.rts_on_send:
        right = str(port.port.rts_on_send).lower()
        report.add(under(row.path, "rts_on_send"), f"{port.title} is wired the other way; write {right}")
    if port.port.uart is UartKind.MINI and row.get("parity") != "none":
        report.add(under(row.path, "parity"), "a mini UART has no parity; use another port, or write 'none'")


def _use(row: Row) -> Use | None:
    device, direction = row.get("device"), row.get("direction")
    return None if device is None or direction is None else Use(device, Direction(direction))
