"""The control octet of a link frame (IEEE 1815 clause 9.2.2.1)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag

_FUNCTION_CODE = 0x0F


class ControlBits(IntFlag):
    """The independent bits of the control octet; FCV of a primary frame and DFC of a secondary share one."""

    DIR = 0x80
    PRM = 0x40
    FCB = 0x20
    FCV = 0x10
    DFC = 0x10


class LinkFunction(IntEnum):
    """Function codes with PRM folded in, so that one value tells primary from secondary."""

    RESET_LINK_STATES = 0x40
    TEST_LINK_STATES = 0x42
    CONFIRMED_USER_DATA = 0x43
    UNCONFIRMED_USER_DATA = 0x44
    REQUEST_LINK_STATUS = 0x49
    ACK = 0x00
    NACK = 0x01
    LINK_STATUS = 0x0B
    NOT_SUPPORTED = 0x0F


CARRIES_USER_DATA = frozenset({LinkFunction.CONFIRMED_USER_DATA, LinkFunction.UNCONFIRMED_USER_DATA})
"""Functions whose frames have a transport segment in them."""

_FUNCTIONS = {int(function): function for function in LinkFunction}


@dataclass(frozen=True, slots=True)
class Control:
    """One control octet, taken apart; `octet` keeps every bit, also of codes that are not defined.

    `function` is None for an undefined code.
    """

    octet: int
    from_master: bool
    is_primary: bool
    fcb: bool
    fcv: bool
    function: LinkFunction | None
    carries_user_data: bool

    @classmethod
    def of(cls, octet: int) -> Control:
        """Return the control octet's one shared instance; `octet` is 0 to 255."""
        return CONTROLS[octet]

    @classmethod
    def build(
        cls, function: LinkFunction, *, from_master: bool, fcb: bool = False, fcv: bool = False
    ) -> Control:
        """Compose a control octet."""
        octet = int(function)
        octet |= ControlBits.DIR if from_master else 0
        octet |= ControlBits.FCB if fcb else 0
        octet |= ControlBits.FCV if fcv else 0
        return CONTROLS[octet]


def _take_apart(octet: int) -> Control:
    function = _FUNCTIONS.get(octet & (ControlBits.PRM | _FUNCTION_CODE))
    return Control(
        octet=octet,
        from_master=bool(octet & ControlBits.DIR),
        is_primary=bool(octet & ControlBits.PRM),
        fcb=bool(octet & ControlBits.FCB),
        fcv=bool(octet & ControlBits.FCV),
        function=function,
        carries_user_data=function in CARRIES_USER_DATA,
    )


CONTROLS = tuple(_take_apart(octet) for octet in range(256))
"""By octet: what `Control.of` gives, for who reads one with every frame."""
