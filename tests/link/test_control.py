from __future__ import annotations

import pytest

from bridge.link.control import Control, LinkFunction


@pytest.mark.parametrize("octet", range(256))
def test_every_octet_survives(octet: int) -> None:
    control = Control.of(octet)
    assert control.octet == octet
    if control.function is None:
        assert octet & 0x4F not in set(LinkFunction)
    else:
        assert control == Control.build(
            control.function, from_master=control.from_master, fcb=control.fcb, fcv=control.fcv
        )


def test_fields() -> None:
    control = Control.of(0xF3)
    assert control.from_master
    assert control.is_primary
    assert control.fcb
    assert control.fcv
    assert control.function is LinkFunction.CONFIRMED_USER_DATA


def test_which_functions_carry_user_data() -> None:
    carrying = {octet & 0x4F for octet in range(256) if Control.of(octet).carries_user_data}
    assert carrying == {LinkFunction.CONFIRMED_USER_DATA, LinkFunction.UNCONFIRMED_USER_DATA}
