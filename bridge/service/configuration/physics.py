"""What no single key can tell: references, clashes and times that cannot work, over the rows of a whole file.

What concerns one line's times is in `line_times`, what concerns pins in `pins`.

Every check looks at values that were right by themselves (`Row` holds no others), and the references are
checked first and dropped when wrong, so nothing is reported that follows from something reported before.
A disabled outstation is checked like the others: enabling it must not break a file that was right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, NamedTuple, TypeVar

from bridge.endpoints.address_filter import AddressFilter
from bridge.endpoints.endpoint import Endpoint
from bridge.service.configuration import line_times, local_keys, metrics_keys
from bridge.service.configuration.schema import Report, Row, did_you_mean, in_words, shortened, shown, under

_T = TypeVar("_T")
_MOST_CLASHES: Final = 3
_NUMBERED_DEVICE: Final = re.compile(r"/dev/tty(USB|ACM)\d+")
"""USB adapters by the order in which they were found, which is another one each time."""

SYSTEM_LED: Final = "system"
"""The LED that shows the program itself (`hw.board` calls it so too); no outstation may have it."""


@dataclass(frozen=True, slots=True)
class Document:
    """The rows of a file.

    `known` has, for each key by which an outstation refers to something, the names that exist, or None when
    the section could not be read and nothing can be said about names.
    """

    servers: Sequence[Row]
    lines: Sequence[Row]
    leds: Sequence[Row]
    button: Row | None
    inputs: Sequence[Row]
    relays: Sequence[Row]
    outstations: Sequence[Row]
    metrics: Row | None
    known: Mapping[str, frozenset[str] | None]


_NOUNS: Final = {"server": "server", "line": "line", "led": "LED"}


class Exclusive(NamedTuple):
    """Attributes whose combined values only one row may have; `problem` has their values and {names}."""

    attributes: tuple[str, ...]
    problem: str


_DEVICE = Exclusive(("device",), "{0!r} is the device of lines {names}; give each line its own")
_LED = Exclusive(("led",), "{0!r} is the LED of outstations {names}; give each its own, or leave it out")
_INPUT_POINT = Exclusive(("point",), "{0} is the point of inputs {names}; give each its own")
_RELAY_POINT = Exclusive(("point",), "{0} is the point of relays {names}; give each its own")
_LINK_ADDRESS = Exclusive(
    ("line", "link_address"),
    "on line {0!r} link address {1} is that of outstations {names}; give each RTU on a line its own",
)


def check(document: Document, report: Report) -> None:
    """Report everything that does not fit together. Drops wrong references from the outstations' rows."""
    for row in document.lines:
        line_times.check(row, report)
    _check_exclusive(document.lines, _DEVICE, report)
    _check_endpoints([*document.servers, *([document.metrics] if document.metrics else [])], report)
    _check_references(document, report)
    local_keys.check(document.outstations, document.lines, report)
    _check_names(document.outstations, report)
    _check_exclusive(document.outstations, _LINK_ADDRESS, report)
    _check_exclusive(document.outstations, _LED, report)
    _check_exclusive(document.inputs, _INPUT_POINT, report)
    _check_exclusive(document.relays, _RELAY_POINT, report)
    _check_sessions(document.outstations, report)


def warn(document: Document, report: Report) -> None:
    """Report what is possible and probably not meant, in a document that `check` found right."""
    for label, rows in (("server", document.servers), ("line", document.lines)):
        used = {outstation.get(label) for outstation in document.outstations}
        for row in rows:
            if row.name not in used:
                report.add(
                    row.path, f"no outstation uses it; write {label} = {shown(row.name)} in one, or delete it"
                )
    if document.metrics is not None:
        metrics_keys.warn(document.metrics, report)
    for row in document.lines:
        _warn_of_device(row, report)
        line_times.warn(row, report)
    for (line,), group in _groups(document.outstations, ("line",)):
        _warn_of_broadcasts(line, group, report)


def _warn_of_device(row: Row, report: Report) -> None:
    device = row.get("device")
    if _NUMBERED_DEVICE.fullmatch(device):
        report.add(
            under(row.path, "device"),
            f"{shown(device)} may be another one after a reboot; write its name in /dev/serial/by-id",
        )


def _warn_of_broadcasts(line: str, outstations: Sequence[Row], report: Report) -> None:
    denying = [row for row in outstations if row.get("broadcast") == "deny"]
    allowing = [row for row in outstations if row.get("broadcast") == "allow"]
    if denying and allowing:
        report.add(
            under(denying[0].path, "broadcast"),
            f"no broadcast goes to line {shown(line)}, for every RTU on a line hears it, "
            f"so {_names(allowing)} will get none; write 'deny' there as well, or 'allow' here",
        )


def _check_exclusive(rows: Iterable[Row], exclusive: Exclusive, report: Report) -> None:
    for values, group in _groups(rows, exclusive.attributes):
        if len(group) > 1:
            values = tuple(shortened(value) if isinstance(value, str) else value for value in values)
            problem = exclusive.problem.format(*values, names=_names(group))
            report.add(under(group[1].path, exclusive.attributes[-1]), problem)


def _check_endpoints(listeners: Sequence[Row], report: Report) -> None:
    for first, second in _clashes(
        [row for row in listeners if row.get("listen")],
        lambda first, second: _collide(first.get("listen"), second.get("listen")),
    ):
        taken, wanted = first.get("listen"), second.get("listen")
        report.add(
            under(second.path, "listen"),
            f"'{wanted}' collides with '{taken}' of server {shown(first.name)}; write another port",
        )


def _clashes(items: Sequence[_T], clash: Callable[[_T, _T], bool]) -> Iterator[tuple[_T, _T]]:
    """Yield each item that clashes with earlier ones, after each of the first three of these.

    All pairs of a file with thousands of items would be more than memory holds.
    """
    for number, second in enumerate(items):
        earlier = (first for first in items[:number] if clash(first, second))
        for first in islice(earlier, _MOST_CLASHES):
            yield first, second


def _collide(one: Endpoint, other: Endpoint) -> bool:
    # Port 0 asks for any free port, which is never the same one twice.
    return one.port == other.port != 0 and (_covers(one, other) or _covers(other, one))


def _covers(one: Endpoint, other: Endpoint) -> bool:
    # [::] takes the port for IPv4 as well: IPv4 masters arrive there as IPv4-mapped addresses.
    is_wildcard = one.host.is_unspecified and one.host.version >= other.host.version
    return is_wildcard or one.host == other.host


def _check_references(document: Document, report: Report) -> None:
    for row in document.outstations:
        for label, known in document.known.items():
            name = row.get(label)
            if name is None or known is None or name in known:
                continue
            remedy = _remedy(under(label, name), name, sorted(known))
            report.add(under(row.path, label), f"there is no {_NOUNS[label]} {shown(name)}; {remedy}")
            del row.values[label]


def _remedy(path: str, name: str, known: Sequence[str]) -> str:
    if not known:
        return f"add [{path}]"
    meant = did_you_mean(name, known)
    if meant is None:
        return f"write {in_words(known, 'or')}"
    return f"did you mean {shown(meant)}? (known: {in_words(known, 'and')})"


def _check_names(outstations: Sequence[Row], report: Report) -> None:
    numbers: dict[str, list[int]] = {}
    for number, row in enumerate(outstations, start=1):
        if "name" in row.values:
            numbers.setdefault(row.name, []).append(number)
    for name, same in numbers.items():
        if len(same) > 1:
            report.add(
                under(outstations[same[1] - 1].path, "name"),
                f"{shown(name)} is the name of outstations {in_words(same, 'and')} of the file; "
                "give each its own",
            )


def _check_sessions(outstations: Sequence[Row], report: Report) -> None:
    """Check that a master's address leads to one session, and a link address in it to one outstation."""
    firsts = [(*values, group[0]) for values, group in _groups(outstations, ("server", "masters"))]
    for first, second in _clashes(
        firsts, lambda first, second: first[0] == second[0] and first[1].overlaps(second[1])
    ):
        _report_overlap(first[1:], second[1:], report)
    for (server, _, link_address), group in _groups(outstations, ("server", "masters", "link_address")):
        # Those on one line have been reported as two RTUs with one address.
        first_on_line = {_place(row): row for row in reversed(group)}
        clash = [row for row in group if first_on_line[_place(row)] is row]
        if len(clash) > 1:
            report.add(
                under(clash[1].path, "link_address"),
                f"on server {shown(server)} link address {link_address} is that of outstations "
                f"{_names(clash)}, and their masters are the same; "
                "give each its own link address, masters or server",
            )


def _place(row: Row) -> object:
    """Return what RTUs with the same address would clash on: their line; a local one is on its own."""
    return row.get("line") or id(row)


def _report_overlap(
    first: tuple[AddressFilter, Row], second: tuple[AddressFilter, Row], report: Report
) -> None:
    (first_masters, first_row), (second_masters, second_row) = first, second
    report.add(
        under(second_row.path, "masters"),
        f"{shown(second_row.name)} and {shown(first_row.name)} both let "
        f"{first_masters.common_address(second_masters)} in, "
        "and their masters differ; write the same masters in both "
        "(they then share a session, told apart by link address), "
        "or masters without a common address",
    )


def _groups(rows: Iterable[Row], attributes: tuple[str, ...]) -> Iterator[tuple[tuple[Any, ...], list[Row]]]:
    """Group the rows that have all of the attributes by their values, in the order of the file."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        values = tuple(row.get(attribute) for attribute in attributes)
        if None not in values:
            groups.setdefault(values, []).append(row)
    return iter(groups.items())


def _names(rows: Iterable[Row]) -> str:
    return in_words((row.name for row in rows), "and")
