from __future__ import annotations

import pytest

from bridge.application.header import (
    ObjectHeader,
    all_objects_header,
    count_header,
    prefixed_header,
    range_header,
)
from bridge.application.qualifier import FIELD_OCTETS, Qualifier


def test_every_qualifier_octet_survives() -> None:
    for octet in range(256):
        qualifier = Qualifier.of(octet)
        assert int(qualifier) == octet
        assert isinstance(qualifier, Qualifier) == (octet in {0, 1, 6, 7, 8, 0x17, 0x28, 0x5B})


def test_every_qualifier_has_a_width() -> None:
    assert set(FIELD_OCTETS) == set(Qualifier)


def test_headers_take_the_narrow_form_while_it_fits() -> None:
    assert range_header(30, 1, 0, 255).hex() == "1e010000ff"
    assert range_header(30, 1, 0, 256).hex() == "1e010100000001"
    assert count_header(51, 1, 1).hex() == "33010701"
    assert count_header(51, 1, 256).hex() == "3301080001"
    assert prefixed_header(2, 1, 3, is_wide=False).hex() == "02011703"
    assert prefixed_header(2, 1, 3, is_wide=True).hex() == "0201280300"
    assert all_objects_header(60, 2).hex() == "3c0206"
    assert [len(range_header(1, 2, 0, stop)) for stop in (255, 256)] == [5, 7]


Q = Qualifier
EVERY_QUALIFIER = [
    (ObjectHeader(34, 1, Q.RANGE_8, 3, 4, 2, b"\1\0\2\0"), "220100030401000200", [(3, "0100"), (4, "0200")]),
    (ObjectHeader(34, 1, Q.RANGE_16, 300, 300, 1, b"\1\0"), "2201012c012c010100", [(300, "0100")]),
    (ObjectHeader(60, 2, Q.ALL), "3c0206", []),
    (ObjectHeader(50, 1, Q.COUNT_8, None, None, 1, bytes(6)), "32010701" + "00" * 6, [(None, "00" * 6)]),
    (ObjectHeader(60, 2, Q.COUNT_16, None, None, 2), "3c02080200", [(None, ""), (None, "")]),
    (
        ObjectHeader(41, 2, Q.PREFIXED_8, None, None, 2, bytes.fromhex("05010000 09020000")),
        "2902170205010000" + "09020000",
        [(5, "010000"), (9, "020000")],
    ),
    (
        ObjectHeader(41, 2, Q.PREFIXED_16, None, None, 1, bytes.fromhex("0501010000")),
        "29022801000501010000",
        [(0x105, "010000")],
    ),
    (ObjectHeader(70, 3, Q.FREE_FORMAT, None, None, 1, b"ab"), "46035b0102006162", [(None, "6162")]),
]


@pytest.mark.parametrize(("header", "octets", "items"), EVERY_QUALIFIER)
def test_every_qualifier(header: ObjectHeader, octets: str, items: list[tuple[int | None, str]]) -> None:
    assert header.octets.hex() == octets
    assert [(index, each.hex()) for index, each in header.items()] == items


def test_every_qualifier_is_tried() -> None:
    assert {header.qualifier for header, _, _ in EVERY_QUALIFIER} == set(Qualifier)


def test_packed_objects_come_out_one_by_one() -> None:
    header = ObjectHeader(80, 1, Qualifier.RANGE_8, 4, 7, 4, b"\x09")
    assert list(header.items()) == [(4, b"\1"), (5, b"\0"), (6, b"\0"), (7, b"\1")]


def test_prefixes_without_objects() -> None:
    header = ObjectHeader(30, 1, Qualifier.PREFIXED_8, None, None, 2, b"\x05\x09")
    assert list(header.items()) == [(5, b""), (9, b"")]


def test_attributes_say_how_long_they_are() -> None:
    header = ObjectHeader(0, 247, Qualifier.RANGE_8, 0, 1, 2, bytes.fromhex("010161 01026263"))
    assert [(index, octets.hex()) for index, octets in header.items()] == [(0, "010161"), (1, "01026263")]
    prefixed = ObjectHeader(0, 247, Qualifier.PREFIXED_8, None, None, 1, bytes.fromhex("00 010161"))
    assert [(index, octets.hex()) for index, octets in prefixed.items()] == [(0, "010161")]


def test_an_unknown_object_has_no_row() -> None:
    header = ObjectHeader(99, 1, Qualifier.RANGE_8, 0, 1, 2)
    assert header.row is None
    assert list(header.items()) == [(0, b""), (1, b"")]
