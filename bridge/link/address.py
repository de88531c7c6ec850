"""What a 16-bit link address stands for (IEEE 1815 clause 9.2.2.3 and table 9-2)."""

from __future__ import annotations

from enum import Enum, auto

LAST_INDIVIDUAL = 0xFFEF
SELF_ADDRESS = 0xFFFC
BROADCAST_NO_CONFIRM = 0xFFFD
BROADCAST_CONFIRM = 0xFFFE
BROADCAST_OPTIONAL = 0xFFFF


class AddressKind(Enum):
    """The four uses of the address range."""

    INDIVIDUAL = auto()
    RESERVED = auto()
    SELF = auto()
    BROADCAST = auto()


def kind_of(address: int) -> AddressKind:
    """Classify a link address, 0 to 0xFFFF."""
    if address <= LAST_INDIVIDUAL:
        return AddressKind.INDIVIDUAL
    if address < SELF_ADDRESS:
        return AddressKind.RESERVED
    if address == SELF_ADDRESS:
        return AddressKind.SELF
    return AddressKind.BROADCAST
