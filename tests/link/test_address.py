from __future__ import annotations

from collections import Counter

import pytest

from bridge.link.address import AddressKind, kind_of


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        (0x0000, AddressKind.INDIVIDUAL),
        (0xFFEF, AddressKind.INDIVIDUAL),
        (0xFFF0, AddressKind.RESERVED),
        (0xFFFB, AddressKind.RESERVED),
        (0xFFFC, AddressKind.SELF),
        (0xFFFD, AddressKind.BROADCAST),
        (0xFFFE, AddressKind.BROADCAST),
        (0xFFFF, AddressKind.BROADCAST),
    ],
)
def test_borders(address: int, kind: AddressKind) -> None:
    assert kind_of(address) is kind


def test_whole_range() -> None:
    assert Counter(map(kind_of, range(0x10000))) == {
        AddressKind.INDIVIDUAL: 0xFFF0,
        AddressKind.RESERVED: 12,
        AddressKind.SELF: 1,
        AddressKind.BROADCAST: 3,
    }
