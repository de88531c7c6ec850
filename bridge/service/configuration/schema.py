"""Reading TOML tables by tables of keys: types, defaults and spelling, with every problem collected.

Rules:
  1. A problem is one line: file, key, what is wrong; what would be right.
  2. A `Row` holds only values that were right. Whoever checks further sees no wrong value, so nothing is
     reported twice: once for itself and once for what follows from it.
  3. A key that is missing under its name and present misspelt is one problem, not two.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import Enum
from typing import Any, Final, NamedTuple

from bridge.errors import RtuBridgeError


class RefusedError(Exception):
    """What a converter finds wrong with a value: "what is wrong; what would be right", once or more."""


class Kind(NamedTuple):
    """A TOML type as Python types, exactly (a bool is no int), with its name in a message."""

    types: tuple[type, ...]
    title: str


STRING: Final = Kind((str,), "a string")
INTEGER: Final = Kind((int,), "an integer")
NUMBER: Final = Kind((int, float), "a number")
BOOLEAN: Final = Kind((bool,), "a boolean")
DELAY: Final = Kind((str,), "a delay in bits or ms")
STRINGS: Final = Kind((list,), "an array of strings")
TABLE: Final = Kind((dict,), "a table")
TABLES: Final = Kind((list,), "an array of tables")

_TITLES = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a float",
    list: "an array",
    dict: "a table",
}
_LONGEST_SHOWN = 60
_MOST_LISTED = 12
_MOST_COMPARED = 100
"""Comparing names takes so long that of thousands none is searched for what was meant."""
_REQUIRED: Final = object()
LEFT_OUT: Final = object()
"""The default of a key that is optional and then has no value in its row."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a table.

    `example` is how the key is written in a file. `convert` makes the value from TOML's and raises
    `RefusedError` or an error of this package. `attribute` is the value's name in the row where the key's
    would mislead, as after a conversion of units.
    """

    kind: Kind
    example: str
    convert: Callable[[Any], Any] = lambda value: value
    default: object = _REQUIRED
    attribute: str = ""

    @property
    def is_required(self) -> bool:
        """Whether a table without this key is wrong."""
        return self.default is _REQUIRED


@dataclass(frozen=True, slots=True)
class Row:
    """One table of the file: where it stands, its name, and the values that were right.

    `written` are the known keys that the file has, right or wrong; the others have their defaults.
    """

    path: str
    name: str
    values: dict[str, Any]
    written: frozenset[str] = frozenset()

    def get(self, attribute: str) -> Any:
        """Return a value, or None where it was wrong, missing or left out."""
        return self.values.get(attribute)


@dataclass(slots=True)
class Report:
    """The problems of one file, in the order found, each a whole line."""

    source_name: str
    problems: list[str] = field(default_factory=list)

    def add(self, path: str, problem: str) -> None:
        """Add `problem`, which is "what is wrong; what would be right", about the key at `path`."""
        self.problems.append(f"{self.source_name}: {path}: {problem}")


def shortened(text: str, limit: int = _LONGEST_SHOWN) -> str:
    """Return a text as a message shows it."""
    return text if len(text) <= limit else text[:limit] + "…"


def under(path: str, label: str) -> str:
    """Return the path of a key under the path of its table, which is empty for the file itself."""
    shown_label = shortened(label)
    quoted_label = shown_label if re.fullmatch(r"[\w-]+…?", shown_label) else json.dumps(shown_label)
    return f"{path}.{quoted_label}" if path else quoted_label


def shown(value: object) -> str:
    """Return a TOML value as a message shows it: short, on one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return repr(shortened(value))
    # Python refuses to print integers of thousands of digits, which a file may hold in hexadecimal.
    if isinstance(value, float) or (isinstance(value, int) and value.bit_length() <= 64):
        return str(value)
    return "this"


def kind_title(value: object) -> str:
    """Return the name of a TOML value's type, with its article."""
    return _TITLES.get(type(value), "a date or time")


def in_words(items: Iterable[object], conjunction: str) -> str:
    """Return values as a sentence lists them: "'a', 'b' or 'c'"; of many the first ones."""
    *others, last = map(shown, items)
    if len(others) >= _MOST_LISTED:
        return f"{', '.join(others[:_MOST_LISTED])}, … ({len(others) + 1} in all)"
    return f"{', '.join(others)} {conjunction} {last}" if others else last


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that `name` most likely misspells, or None."""
    names = list(known)
    return (
        next(iter(get_close_matches(name.lower(), names, n=1)), None)
        if len(names) <= _MOST_COMPARED
        else None
    )


def read_row(
    table: Mapping[str, object], keys: Mapping[str, Key], path: str, report: Report, name: str = ""
) -> Row:
    """Read one table; report unknown keys, then for each known key a missing, mistyped or refused value."""
    misspelt = _report_unknown(table, keys, path, report)
    row = Row(path, name, {}, frozenset(label for label in keys if label in table))
    for label, key in keys.items():
        if label in table:
            _read_value(table[label], label, key, row, report)
        elif key.is_required:
            if label not in misspelt:
                report.add(under(path, label), f"is missing; write {key.example}")
        elif key.default is not LEFT_OUT and label not in misspelt:
            row.values[key.attribute or label] = key.default
    return row


def _report_unknown(
    table: Mapping[str, object], keys: Mapping[str, Key], path: str, report: Report
) -> set[str]:
    """Report keys that do not exist; return the absent known keys that these were meant to be."""
    misspelt = set()
    for label in table:
        if label in keys:
            continue
        meant = did_you_mean(label, keys)
        if meant is None:
            report.add(under(path, label), f"is no key here; write {in_words(keys, 'or')}")
            continue
        report.add(under(path, label), f"is no key here; did you mean {meant!r}?")
        if meant not in table:
            misspelt.add(meant)
    return misspelt


def _read_value(value: object, label: str, key: Key, row: Row, report: Report) -> None:
    path = under(row.path, label)
    if type(value) not in key.kind.types:
        report.add(
            path, f"{shown(value)} is {kind_title(value)}; write {key.kind.title}, such as {key.example}"
        )
        return
    try:
        row.values[key.attribute or label] = key.convert(value)
    except RefusedError as refusal:
        for problem in refusal.args:
            report.add(path, problem)
    except RtuBridgeError as refusal:
        report.add(path, str(refusal))


def between(lowest: float, highest: float) -> Callable[[Any], Any]:
    """Return a converter that accepts numbers from `lowest` to `highest`."""

    def convert(value: Any) -> Any:
        # Written so that it refuses a NaN, which TOML can express.
        if not lowest <= value <= highest:
            raise RefusedError(f"{shown(value)} is out of range; write {lowest} to {highest}")
        return value

    return convert


def seconds(lowest: float, highest: float) -> Callable[[Any], float]:
    """Return a converter from whole or broken seconds in a range to seconds."""
    in_range = between(lowest, highest)
    return lambda value: float(in_range(value))


def milliseconds(lowest: int, highest: int) -> Callable[[Any], float]:
    """Return a converter from milliseconds in a range to seconds."""
    in_range = between(lowest, highest)
    return lambda value: in_range(value) / 1000


class DelayUnit(Enum):
    """What a delay counts: bit times, which the baud rate makes seconds, or milliseconds."""

    BITS = "bits"
    MS = "ms"


class Delay(NamedTuple):
    """A time as the file writes it; not negative."""

    amount: float
    unit: DelayUnit


_DELAY: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?) ?(bits|ms)", re.ASCII)


def delay(value: Any) -> Delay:
    """Convert a number with its unit: "20 bits" or "2.5 ms"."""
    match = _DELAY.fullmatch(value)
    if match is None:
        right = "write a number from 0 and its unit, such as '20 bits' or '2.5 ms'"
        raise RefusedError(f"{shown(value)} is no delay in bits or ms; {right}")
    return Delay(float(match[1]), DelayUnit(match[2]))


def one_of(choices: Iterable[Any]) -> Callable[[Any], Any]:
    """Return a converter that accepts the listed values only."""
    accepted = tuple(choices)

    def convert(value: Any) -> Any:
        if value not in accepted:
            raise RefusedError(f"{shown(value)} is not possible here; write {in_words(accepted, 'or')}")
        return value

    return convert


def strings(value: Any) -> tuple[str, ...]:
    """Convert an array whose elements must all be strings."""
    for number, element in enumerate(value, start=1):
        if not isinstance(element, str):
            raise RefusedError(f"entry {number} is {kind_title(element)}; write strings only, in quotes")
    return tuple(value)
