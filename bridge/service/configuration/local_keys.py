"""The keys of outstations inside this program, and what must hold of those that have one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from bridge.service.appliance.point_layout import MOST_LINES, MOST_OUTSTATIONS
from bridge.service.configuration.schema import (
    BOOLEAN,
    STRING,
    Key,
    RefusedError,
    Report,
    Row,
    in_words,
    one_of,
    shown,
    under,
)

APPLIANCE: Final = "appliance"
"""The outstation that reports on the appliance itself."""
CONTROL_POLICIES: Final = ("allow", "deny")
_LONGEST_TEXT_OCTETS = 255
"""What an attribute of an outstation holds (IEEE 1815, group 0)."""
_ONLY_LOCAL = ("master_address", "unsolicited", "controls")


def attribute_text(value: str) -> str:
    """Accept a text that a device attribute can hold."""
    if not value or not value.isprintable():
        raise RefusedError(f"{shown(value)} is no line of text; write one")
    octets = len(value.encode())
    if octets > _LONGEST_TEXT_OCTETS:
        raise RefusedError(f"is {octets} octets long; write at most {_LONGEST_TEXT_OCTETS}")
    return value


LOCAL_KEYS: Final[Mapping[str, Key]] = {
    "local": Key(STRING, f'local = "{APPLIANCE}"', one_of((APPLIANCE,)), default=None),
    "unsolicited": Key(BOOLEAN, "unsolicited = false", default=False),
    "controls": Key(STRING, 'controls = "allow"', one_of(CONTROL_POLICIES), default="allow"),
}


def check(outstations: Sequence[Row], lines: Sequence[Row], report: Report) -> None:
    """Report outstations in no place or in two, keys that mean nothing there, and what has no point."""
    for row in outstations:
        _check_place(row, report)
    local = next((row for row in outstations if row.get("local") is not None), None)
    if local is not None:
        for rows, noun, most in (
            (lines, "lines", MOST_LINES),
            (outstations, "outstations", MOST_OUTSTATIONS),
        ):
            if len(rows) > most:
                problem = f"has points for {most} {noun}, and there are {len(rows)}; write at most {most}"
                report.add(under(local.path, "local"), problem)


def _check_place(row: Row, report: Report) -> None:
    written = row.written & {"line", "local"}
    # What is misspelt has neither a value nor its default, and was reported.
    if not written and "line" in row.values and "local" in row.values:
        report.add(under(row.path, "line"), f'is missing; write line = "bay1", or local = "{APPLIANCE}"')
    elif len(written) == 2:
        problem = "stands beside 'line'; write line for an RTU, or local for the appliance itself"
        report.add(under(row.path, "local"), problem)
    elif "line" in written:
        # They have defaults, so only what is written is meant.
        meaningless = [key for key in _ONLY_LOCAL if key in row.written]
        if meaningless:
            problem = f"means nothing for an RTU on a line; delete {in_words(meaningless, 'and')}"
            report.add(under(row.path, meaningless[0]), problem)
