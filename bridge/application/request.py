"""Requests: fragments from a master, taken apart (IEEE 1815 clause 4.2).

Rules:
  1. Whatever the octets are, the outcome is a value: `Request` or `Malformed` with what to answer.
  2. The function decides first: one that no outstation here executes is refused before its objects are read.
  3. Every header of a `Request` is legal by `bridge.application.legality`, its objects are whole.
  4. Where headers stand alone (READ and others) illegal ones are left out and `iin` says why; elsewhere,
     or where the octets cannot be followed, the whole request is refused: nothing is half executed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from bridge.application.function import NO_RESPONSE, ApplicationControl, Function, Iin
from bridge.application.header import ObjectHeader, object_octets
from bridge.application.legality import INDEPENDENT_HEADERS, USES, carries_objects, qualifiers_for
from bridge.application.objects import lookup
from bridge.application.qualifier import COUNTS, FIELD_OCTETS, PREFIXES, RANGES, Qualifier
from bridge.application.variation import Variation

NO_INDICATIONS = Iin(0)
_REQUEST_HEADER_OCTETS = 2
_LONGEST_REMEMBERED = 64


@dataclass(frozen=True, slots=True)
class Request:
    """A request whose headers can be executed.

    `body` is everything after the function code, as it came. `iin` is what to answer for headers left out.
    """

    control: ApplicationControl
    function: Function
    headers: tuple[ObjectHeader, ...]
    body: bytes
    iin: Iin = NO_INDICATIONS


@dataclass(frozen=True, slots=True)
class Malformed:
    """A fragment that cannot be executed; `control` and `function` are None where it has not got them."""

    control: ApplicationControl | None
    function: Function | int | None
    iin: Iin

    @property
    def deserves_answer(self) -> bool:
        """Whether to answer at all: not to fragments without a function, responses and NR functions."""
        if self.control is None or self.function is None:
            return False
        return self.function not in NO_RESPONSE and Function.CONFIRM < self.function < Function.RESPONSE


def parse_request(fragment: bytes) -> Request | Malformed:
    """Take one fragment apart. Never raises; FIR, FIN, UNS and the sequence are the session's to judge."""
    if len(fragment) < _REQUEST_HEADER_OCTETS:
        return Malformed(None, None, NO_INDICATIONS)
    control = ApplicationControl.of(fragment[0])
    function = Function.of(fragment[1])
    if not isinstance(function, Function) or function not in USES:
        return Malformed(control, function, Iin.NO_FUNC_CODE_SUPPORT)
    body = fragment[_REQUEST_HEADER_OCTETS:]
    if function is Function.CONFIRM:
        # Objects after a confirm mean nothing; refusing it would only repeat the events.
        return Request(control, function, (), body)
    # Polls repeat: the same short body is taken apart once.
    read = _read_remembered if len(body) <= _LONGEST_REMEMBERED else _read_headers
    outcome = read(function, body)
    if isinstance(outcome, Iin):
        return Malformed(control, function, outcome)
    headers, iin = outcome
    return Request(control, function, headers, body, iin)


def _read_headers(function: Function, body: bytes) -> tuple[tuple[ObjectHeader, ...], Iin] | Iin:
    """Return the headers and the indications for those left out, or the indications of a refusal."""
    headers: list[ObjectHeader] = []
    left_out = NO_INDICATIONS
    at = 0
    while at < len(body):
        if len(body) - at < 3:
            return Iin.PARAMETER_ERROR
        row = lookup(body[at], body[at + 1])
        qualifier = Qualifier.of(body[at + 2])
        fault = _judge(function, row, qualifier)
        if fault and function not in INDEPENDENT_HEADERS:
            return fault
        if not isinstance(qualifier, Qualifier):
            return fault | Iin.PARAMETER_ERROR
        outcome = _read_header(function, row, qualifier, body, at)
        if outcome is None:
            return fault | Iin.PARAMETER_ERROR
        header, at = outcome
        if fault:
            left_out |= fault
        else:
            headers.append(header)
    return tuple(headers), left_out


_read_remembered = lru_cache(maxsize=64)(_read_headers)


def _judge(function: Function, row: Variation | None, qualifier: Qualifier | int) -> Iin:
    allowed = qualifiers_for(function, row) if row is not None else frozenset()
    if not allowed:
        return Iin.OBJECT_UNKNOWN
    return NO_INDICATIONS if qualifier in allowed else Iin.PARAMETER_ERROR


def _read_header(
    function: Function, row: Variation | None, qualifier: Qualifier, body: bytes, at: int
) -> tuple[ObjectHeader, int] | None:
    """Return the header at `at` and where the next one begins; None if it is cut short or contradictory."""
    width = FIELD_OCTETS[qualifier]
    begin = at + 3
    end = begin + (2 * width if qualifier in RANGES else width)
    if qualifier is Qualifier.FREE_FORMAT:
        end += 2
    if end > len(body):
        return None
    first = int.from_bytes(body[begin : begin + width], "little")
    start = stop = count = None
    objects_end: int | None = end
    if qualifier in RANGES:
        start, stop = first, int.from_bytes(body[begin + width : end], "little")
        if start > stop:
            return None
        count = stop - start + 1
    elif qualifier is not Qualifier.ALL:
        count = first
    if qualifier is Qualifier.FREE_FORMAT:
        objects_end = end + int.from_bytes(body[begin + 1 : end], "little") if count == 1 else None
    elif count is not None:
        objects_end = _end_of_objects(function, row, qualifier, count, body, end)
    if objects_end is None or objects_end > len(body):
        return None
    return ObjectHeader(
        body[at], body[at + 1], qualifier, start, stop, count, body[end:objects_end]
    ), objects_end


def _end_of_objects(
    function: Function, row: Variation | None, qualifier: Qualifier, count: int, body: bytes, at: int
) -> int | None:
    """Return where `count` objects, with their prefixes, end; None (or over the end) if they do not fit."""
    prefix = FIELD_OCTETS[qualifier] if qualifier in PREFIXES else 0
    if row is None or not carries_objects(function, row):
        return at + count * prefix
    if not count and (qualifier in COUNTS or qualifier in PREFIXES):
        return None
    if not row.is_self_sized:
        each = prefix + row.size
        return at + (row.octets_of(count) if row.is_packed else count * each)
    for _ in range(count):
        at += prefix
        at += object_octets(row, body, at)
        if at > len(body):
            return None
    return at
