"""The tables of "Boards and ports" in the README are those of the data.

`python -m tests.hw.test_boards_in_readme` prints them.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from hw.board import Board, BoardKind, Direction, Port
from hw.boards import BOARDS, USB_ADAPTERS
from tests.support.repository import readme_section


def _table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(headings), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _code(texts: Iterable[str]) -> str:
    return ", ".join(f"`{text}`" for text in texts) or "none"


def _proof(board: Board) -> str:
    return " ".join([board.verified, *([str(board.verified_on)] if board.verified_on else [])])


def _port_of_hat(port: Port) -> str:
    if port.pins is not None:
        return f"{port.name}: GPIO {port.pins.tx}, {port.pins.rx}"
    return f"{port.name}: {_code(port.devices)}"


def boards_table() -> str:
    """Return a row for each board: what it is, its ports, its direction, the pins it needs."""
    rows = []
    for board in BOARDS.values():
        is_hat = board.kind is BoardKind.HAT
        directions = sorted({str(port.direction) for port in board.ports if port.direction is not None})
        ports = "; ".join(map(_port_of_hat, board.ports)) if is_hat or directions else "below"
        rows.append(
            [
                f"`{board.name}`",
                board.title,
                ports if board.ports else "not known",
                ", ".join(directions) or "as wired",
                ", ".join(map(str, sorted(board.reserved))) or "-",
                _proof(board),
            ]
        )
    return _table(["board", "what", "ports", "direction", "GPIO it needs besides", "verified"], rows)


def uarts_table() -> str:
    """Return a row for each UART on the header of a computer."""
    rows = []
    for board in BOARDS.values():
        if board.kind is BoardKind.HAT:
            continue
        for port in board.ports:
            pins = port.pins
            if pins is None:
                continue
            rs485 = port.lines_for(Direction.RS485)
            rows.append(
                [
                    f"`{board.name}`",
                    f"{port.name}, {port.uart}{' (avoid it)' if port.warning else ''}",
                    f"{pins.tx}, {pins.rx} ({pins.cts}, {pins.rts})",
                    _code(port.devices),
                    _code(port.debian_devices) if port.debian_devices else "-",
                    _code(port.config_lines),
                    _code(rs485) if rs485 is not None else "-",
                ]
            )
    headings = [
        "computer",
        "UART",
        "TX, RX (CTS, RTS)",
        "Raspberry Pi OS",
        "Debian",
        "config.txt",
        'for "rs485"',
    ]
    return _table(headings, rows)


def adapters_table() -> str:
    """Return a row for each family of USB adapters."""
    rows = [
        [
            adapter.title,
            _code(f"{vendor}:{product}" for vendor, product in adapter.ids),
            f"`{adapter.driver}`",
            adapter.serial_number,
            str(adapter.verified),
        ]
        for adapter in USB_ADAPTERS
    ]
    return _table(["USB adapter", "ids", "driver", "serial number", "verified"], rows)


@pytest.mark.parametrize("table", [boards_table, uarts_table, adapters_table])
def test_the_readme_has_the_table(table: object) -> None:
    section = readme_section("Boards and ports")
    assert callable(table)
    assert table() in section, "print them anew: python -m tests.hw.test_boards_in_readme"


if __name__ == "__main__":
    print(boards_table(), uarts_table(), adapters_table(), sep="\n\n")
