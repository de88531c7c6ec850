from __future__ import annotations

import pytest

from bridge.application.function import CONTROLS, NO_RESPONSE, ApplicationControl, Function, Iin
from tests.vectors import LINK_FRAMES


def test_every_control_octet_survives() -> None:
    for octet in range(256):
        control = ApplicationControl.of(octet)
        assert control.octet == octet
        assert control is ApplicationControl.of(octet)


@pytest.mark.parametrize(
    ("octet", "field"), [(0x80, "fir"), (0x40, "fin"), (0x20, "con"), (0x10, "uns"), (0x0F, "sequence")]
)
def test_control_fields_stand_alone(octet: int, field: str) -> None:
    control = ApplicationControl.of(octet)
    fields = ("fir", "fin", "con", "uns", "sequence")
    assert [name for name in fields if getattr(control, name)] == [field]


def test_every_function_octet_survives() -> None:
    for octet in range(256):
        function = Function.of(octet)
        assert int(function) == octet
        assert isinstance(function, Function) == (octet in {*range(34), 129, 130, 131})


def test_which_functions_are_responses() -> None:
    assert {function for function in Function if function.is_response} == {
        Function.RESPONSE,
        Function.UNSOLICITED_RESPONSE,
        Function.AUTHENTICATE_RESP,
    }


def test_which_requests_are_never_answered() -> None:
    assert {6, 8, 10, 12, 33} == NO_RESPONSE


def test_which_requests_are_controls() -> None:
    assert {3, 4, 5, 6} == CONTROLS


@pytest.mark.parametrize("bit", range(16))
def test_every_indication_has_a_name(bit: int) -> None:
    assert Iin(1 << bit).name in Iin.__members__


def test_indications_are_read_low_octet_first() -> None:
    assert Iin.from_bytes(b"\x80\x01", "little") == Iin.DEVICE_RESTART | Iin.NO_FUNC_CODE_SUPPORT
    assert Iin(0xC000).to_bytes(2, "little") == b"\x00\xc0"


def test_a_captured_unsolicited_response() -> None:
    control, function, *iin = LINK_FRAMES["unsolicited-o-1"][11:15]
    assert ApplicationControl.of(control) == ApplicationControl(
        fir=True, fin=True, con=True, uns=True, sequence=0
    )
    assert Function.of(function) is Function.UNSOLICITED_RESPONSE
    assert Iin.from_bytes(bytes(iin), "little") is Iin.DEVICE_RESTART
