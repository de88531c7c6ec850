from __future__ import annotations

import pytest

from bridge.application.function import Function, Iin
from bridge.application.legality import USES
from bridge.application.request import Malformed, Request, parse_request
from tests.vectors import LINK_FRAMES, load

REQUESTS = load("requests.txt")

# Each header as label, qualifier, and items as `index=octets`.
HEADERS: dict[str, list[str]] = {
    "confirm": [],
    "confirm-unsolicited": [],
    "confirm-with-rubbish": [],
    "read-integrity-c": ["g60v2 06", "g60v3 06", "g60v4 06", "g60v1 06"],
    "read-class-1-limited": ["g60v2 07" + 5 * " None="],
    "read-class-1-limited-16": ["g60v2 08" + 256 * " None="],
    "read-range-8": ["g30v2 00 3= 4= 5= 6= 7="],
    "read-range-16": ["g30v2 01" + "".join(f" {index}=" for index in range(256, 512))],
    "read-any-all": ["g1v0 06"],
    "read-prefixed": ["g30v0 17 5= 200="],
    "read-prefixed-16": ["g30v0 28 456="],
    "read-attribute": ["g0v252 00 0="],
    "read-all-attributes": ["g0v254 00" + "".join(f" {index}=" for index in range(256))],
    "write-time": ["g50v1 07 None=00f5d2bd8b01"],
    "write-recorded-time": ["g50v3 07 None=00f5d2bd8b01"],
    "write-restart-c": ["g80v1 00 7=00"],
    "write-deadbands": ["g34v1 17 3=0500 9=0a00"],
    "write-attribute": ["g0v247 17 0=0103616263"],
    "write-string": ["g110v3 00 4=616263"],
    "select-crob-c": ["g12v1 28 1=0301640000006400000000"],
    "operate-crob-c": ["g12v1 28 1=0301640000006400000000"],
    "direct-operate-analog": ["g41v2 17 5=0a0000 6=fdff00"],
    "direct-operate-nr": ["g41v3 17 5=0000c03f00"],
    "freeze": ["g20v0 06"],
    "freeze-nr": ["g20v0 06"],
    "freeze-clear-range": ["g20v0 00 1= 2= 3="],
    "freeze-clear-nr": ["g20v0 06"],
    "freeze-at-time": ["g50v2 07 None=00f5d2bd8b0160ea0000", "g20v0 06"],
    "freeze-at-time-nr": ["g50v2 07 None=00f5d2bd8b0160ea0000", "g20v0 06"],
    "cold-restart": [],
    "warm-restart": [],
    "enable-unsolicited-c": ["g60v2 06", "g60v3 06", "g60v4 06"],
    "disable-unsolicited": ["g60v2 06"],
    "assign-class": ["g60v3 06", "g1v0 00 0= 1= 2= 3= 4= 5=", "g60v2 06", "g30v0 06"],
    "assign-class-of-commands": ["g60v3 06", "g12v0 06", "g41v0 06"],
    "delay-measure": [],
    "record-current-time": [],
}


def parsed(octets: bytes) -> Request:
    request = parse_request(octets)
    assert isinstance(request, Request), request
    return request


def refused(octets: str) -> Malformed:
    malformed = parse_request(bytes.fromhex(octets))
    assert isinstance(malformed, Malformed), malformed
    return malformed


def described(request: Request) -> list[str]:
    return [
        " ".join(
            [
                f"g{header.group}v{header.variation}",
                f"{header.qualifier:02x}",
                *(f"{index}={octets.hex()}" for index, octets in header.items()),
            ]
        )
        for header in request.headers
    ]


@pytest.mark.parametrize("name", REQUESTS)
def test_request(name: str) -> None:
    octets = REQUESTS[name]
    request = parsed(octets)
    assert described(request) == HEADERS[name]
    assert (request.control.octet, request.function, request.body) == (octets[0], octets[1], octets[2:])
    assert request.iin == 0
    if request.headers:
        assert b"".join(header.octets for header in request.headers) == request.body


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_cut_short_is_refused_or_has_fewer_headers(name: str) -> None:
    whole = REQUESTS[name]
    complete = {2}
    request = parsed(whole)
    for header in request.headers:
        complete.add(max(complete) + len(header.octets))
    for end in range(2, len(whole)):
        outcome = parse_request(whole[:end])
        if end in complete or request.function is Function.CONFIRM:
            assert isinstance(outcome, Request)
        else:
            assert outcome == Malformed(request.control, request.function, Iin.PARAMETER_ERROR)


def test_every_function_that_is_executed_has_a_vector() -> None:
    assert {octets[1] for octets in REQUESTS.values()} == set(USES)


def test_captured_requests_are_understood() -> None:
    for name, frame in LINK_FRAMES.items():
        fragment = frame[11:-2] if len(frame) <= 28 else frame[11:26] + frame[28:-2]
        if "-m-" in name and len(frame) > 10:
            assert isinstance(parse_request(fragment), Request), name


@pytest.mark.parametrize("octets", ["", "c0"])
def test_what_has_no_function_gets_no_answer(octets: str) -> None:
    malformed = refused(octets)
    assert malformed == Malformed(None, None, Iin(0))
    assert not malformed.deserves_answer


@pytest.mark.parametrize("function", [*range(15, 20), *range(25, 34), *range(34, 256)])
def test_functions_that_no_outstation_here_executes(function: int) -> None:
    # Objects are not looked at: OPEN_FILE with its free-format object is no OBJECT_UNKNOWN.
    malformed = refused(f"c0{function:02x}46035b01ffff")
    assert malformed.function == function
    assert malformed.iin == Iin.NO_FUNC_CODE_SUPPORT
    assert malformed.deserves_answer == (function < 129 and function != 33)


def test_nr_functions_are_never_answered() -> None:
    for function in (6, 8, 10, 12):
        assert not refused(f"c0{function:02x}ff").deserves_answer


UNKNOWN, PARAMETER = Iin.OBJECT_UNKNOWN, Iin.PARAMETER_ERROR


@pytest.mark.parametrize(
    ("octets", "iin"),
    [
        ("c001 1e", PARAMETER),
        ("c001 1e00", PARAMETER),
        ("c001 1e0005", PARAMETER),
        ("c001 630105", UNKNOWN | PARAMETER),
        ("c001 1e0000 0504", PARAMETER),
        ("c001 1e0001 0500 0400", PARAMETER),
        ("c001 630100 0504", UNKNOWN | PARAMETER),
        ("c002 630106", UNKNOWN),
        ("c002 1e0106", UNKNOWN),
        ("c002 320106", PARAMETER),
        ("c002 320107 00", PARAMETER),
        ("c002 320107 02 000000000000", PARAMETER),
        ("c002 00f700 0001 010161", PARAMETER),
        ("c002 00f700 0000 010561", PARAMETER),
        ("c002 00fe00 0000 010161", UNKNOWN),
        ("c003 0c0100 0101 4101 00000000 00000000 00", PARAMETER),
        ("c003 0c0117 00", PARAMETER),
        ("c003 0c0017 01 01", UNKNOWN),
        ("c003 0c0217 01 01", UNKNOWN),
        ("c003 0c015b 01 0100 00", PARAMETER),
        ("c001 46035b 02 0100 00", UNKNOWN | PARAMETER),
        ("c016 3c0206 630006", UNKNOWN),
        ("c016 3c0206 1e0106", UNKNOWN),
        ("c016 3c0207 01", PARAMETER),
        ("c00d 3c0206", UNKNOWN),
        ("c00b 320207 01 000000", PARAMETER),
    ],
)
def test_refusals(octets: str, iin: Iin) -> None:
    malformed = refused(octets)
    assert malformed.iin == iin
    assert (malformed.control, malformed.function) == (
        parsed(b"\xc0\x0d").control,
        bytes.fromhex(octets)[1],
    )


@pytest.mark.parametrize(
    ("octets", "left", "iin"),
    [
        ("c001 630106 3c0206", ["g60v2 06"], UNKNOWN),
        ("c001 3c0206 630100 0003", ["g60v2 06"], UNKNOWN),
        ("c001 020100 0003 3c0206", ["g60v2 06"], PARAMETER),
        ("c001 46035b 01 0200 6162 3c0206", ["g60v2 06"], UNKNOWN),
        ("c001 631717 02 0102 3c0206", ["g60v2 06"], UNKNOWN),
        ("c001 0c0106", [], UNKNOWN),
        ("c001 320207 01 3c0206", ["g60v2 06"], UNKNOWN),
        ("c007 1e0106 140006", ["g20v0 06"], UNKNOWN),
        ("c014 3c0106 3c0406", ["g60v4 06"], UNKNOWN),
        ("c014 3c0307 01 3c0406", ["g60v4 06"], PARAMETER),
    ],
)
def test_headers_that_stand_alone_are_left_out(octets: str, left: list[str], iin: Iin) -> None:
    request = parsed(bytes.fromhex(octets))
    assert described(request) == left
    assert request.iin == iin


def test_long_requests_are_parsed_as_short_ones() -> None:
    request = parsed(b"\xc0\x01" + b"\x3c\x02\x06" * 100)
    assert described(request) == ["g60v2 06"] * 100


def test_a_huge_range_costs_nothing_until_it_is_walked() -> None:
    (header,) = parsed(bytes.fromhex("c0011e0001 0000 ffff")).headers
    assert (header.start, header.stop, header.count) == (0, 65535, 65536)
