"""Who uses which pin, and that everything has one of its own, over the rows of a whole file.

Like `physics` it looks only at values that were right by themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from bridge.service.configuration.physics import SYSTEM_LED, Document
from bridge.service.configuration.schema import Report, Row, in_words, shown, under

_MOST_LISTED: Final = 12
_WIRINGS: Final = ("pin", "red", "green", "kernel")


class PinUse(NamedTuple):
    """A key of the file that takes a pin: its path, what it is for ("LED 'a'"), and the GPIO number."""

    path: str
    title: str
    pin: int


def pin_uses(document: Document) -> Iterator[PinUse]:
    """Yield each use of a pin in a file, without the board's own LEDs."""
    for row in document.leds:
        for key, part in (("pin", ""), ("red", " (red)"), ("green", " (green)")):
            yield from _use(row, key, f"LED {shown(row.name)}{part}")
    if document.button is not None:
        yield from _use(document.button, "pin", "the button")
    for noun, rows in (("input", document.inputs), ("relay", document.relays)):
        for row in rows:
            yield from _use(row, "pin", f"{noun} {shown(row.name)}")


def check(document: Document, board_leds: Mapping[str, int], report: Report) -> None:
    """Report LEDs that are wired in no way or in several, and pins that two things want."""
    for row in document.leds:
        _check_wiring(row, report)
    _check_kernel_leds(document.leds, report)
    uses = list(pin_uses(document))
    by_pin: dict[int, list[PinUse]] = {}
    for use in uses:
        by_pin.setdefault(use.pin, []).append(use)
    for pin, same in by_pin.items():
        if len(same) > 1:
            titles = _listed([use.title for use in same])
            report.add(same[1].path, f"pin {pin} is that of {titles}; give each its own")
    _check_board_pins(document, board_leds, uses, report)


def _use(row: Row, key: str, title: str) -> Iterator[PinUse]:
    pin = row.get(key)
    if pin is not None:
        yield PinUse(under(row.path, key), title, pin)


def _check_wiring(row: Row, report: Report) -> None:
    written = row.written & set(_WIRINGS)
    # What is misspelt has neither a value nor its default, and was reported.
    if not written and all(key in row.values for key in _WIRINGS):
        right = "write pin = 17, or red = 5 and green = 6, or kernel = 'ACT'"
        report.add(row.path, f"is wired to nothing; {right}")
    elif "kernel" in written and len(written) > 1:
        others = in_words(sorted(written - {"kernel"}), "and")
        report.add(under(row.path, "kernel"), f"stands beside {others}; write one of them")
    elif "kernel" in written and row.get("active_low"):
        problem = "has no meaning for an LED of the kernel, which knows how it is wired; delete it"
        report.add(under(row.path, "active_low"), problem)
    elif "pin" in written and len(written) > 1:
        others = in_words(sorted(written - {"pin"}), "and")
        report.add(
            under(row.path, "pin"), f"stands beside {others}; write pin for one colour, red and green for two"
        )
    elif len(written & {"red", "green"}) == 1:
        (one,) = written & {"red", "green"}
        missing = "green" if one == "red" else "red"
        if missing in row.values:
            report.add(
                under(row.path, missing), f"is missing beside {one!r}; write {missing} = 6, or only pin = 17"
            )


def _check_kernel_leds(rows: Sequence[Row], report: Report) -> None:
    firsts: dict[str, Row] = {}
    for row in rows:
        kernel = row.get("kernel")
        first = None if kernel is None else firsts.setdefault(kernel, row)
        if first is not None and first is not row:
            problem = f"{shown(kernel)} is that of LED {shown(first.name)}; give each its own"
            report.add(under(row.path, "kernel"), problem)


def _check_board_pins(
    document: Document, board_leds: Mapping[str, int], uses: Sequence[PinUse], report: Report
) -> None:
    """Check the file's pins against those of board LEDs in use; the pins of the others are free."""
    used = {SYSTEM_LED, *(row.get("led") for row in document.outstations)}
    used -= {row.name for row in document.leds}
    led_paths = tuple(f"{row.path}." for row in document.leds)
    names = {pin: name for name, pin in board_leds.items() if name in used}
    for use in uses:
        if use.pin in names:
            is_led = use.path.startswith(led_paths)
            right = "use that LED, or write another pin" if is_led else "write another pin"
            report.add(use.path, f"pin {use.pin} is that of the board's LED {names[use.pin]!r}; {right}")


def _listed(titles: Sequence[str]) -> str:
    if len(titles) > _MOST_LISTED:
        return f"{', '.join(titles[:_MOST_LISTED])}, … ({len(titles)} in all)"
    return f"{', '.join(titles[:-1])} and {titles[-1]}"
