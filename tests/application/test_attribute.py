from __future__ import annotations

import pytest

from bridge.application.attribute import (
    Attribute,
    AttributeType,
    AttributeValue,
    encode_attribute_list,
)

T = AttributeType


@pytest.mark.parametrize(
    ("kind", "value", "octets"),
    [
        (T.VSTR, "A", "010141"),
        (T.VSTR, "", "0100"),
        (T.UINT, 255, "0201ff"),
        (T.UINT, 256, "02020001"),
        (T.UINT, 65536, "020400000100"),
        (T.INT, -1, "0301ff"),
        (T.INT, -129, "03027fff"),
        (T.FLT, 1.5, "04040000c03f"),
        (T.FLT, 0.1, "04089a9999999999b93f"),
        (T.FLT, 1e300, "04089c7500883ce4377e"),
        (T.OSTR, b"\x00\xff", "050200ff"),
        (T.BSTR, b"\x05", "060105"),
        (T.TIME, 1, "0706010000000000"),
        (99, b"x", "630178"),
    ],
)
def test_attribute(kind: AttributeType | int, value: AttributeValue, octets: str) -> None:
    attribute = Attribute(kind, value)
    assert attribute.encode().hex() == octets
    assert Attribute.decode(bytes.fromhex(octets)) == attribute


@pytest.mark.parametrize("octets", ["", "01", "010241", "01014141", "0200", "0300", "0403000000", "070100"])
def test_what_contradicts_itself_is_none(octets: str) -> None:
    assert Attribute.decode(bytes.fromhex(octets)) is None


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (T.UINT, -1),
        (T.UINT, "1"),
        (T.VSTR, b"x"),
        (T.VSTR, "x" * 256),
        (T.TIME, 1 << 48),
        (T.OSTR, "x"),
        (T.INT, 1 << 64),
        (T.UINT, b"\1"),
    ],
)
def test_what_cannot_be_an_attribute_is_refused(kind: AttributeType, value: AttributeValue) -> None:
    with pytest.raises(ValueError):
        Attribute(kind, value).encode()


def test_every_type_octet_survives() -> None:
    for octet in range(256):
        assert int(AttributeType.of(octet)) == octet
        assert isinstance(AttributeType.of(octet), AttributeType) == (1 <= octet <= 7)


def test_lists_grow_into_the_extended_form() -> None:
    assert encode_attribute_list([]).hex() == "fe00"
    assert encode_attribute_list((n, False) for n in range(127))[:2].hex() == "fefe"
    extended = encode_attribute_list((n, True) for n in range(255))
    assert (extended[:4].hex(), len(extended)) == ("fffe0001", 2 + 510)
