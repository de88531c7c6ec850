from __future__ import annotations

import math

import pytest

from bridge.application.measurement import Flags, Measurement, PointKind, Value
from bridge.errors import PointValueError
from bridge.outstation.values import check_measurement, initial_measurement, is_event, is_visible

NAN = math.nan
K = PointKind


@pytest.mark.parametrize("kind", PointKind)
def test_before_the_first_update(kind: PointKind) -> None:
    measurement = initial_measurement(kind)
    check_measurement(kind, 0, measurement)
    assert measurement.flags == Flags.RESTART
    assert measurement.time_ms is None


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (K.BINARY_INPUT, True),
        (K.BINARY_OUTPUT, False),
        (K.DOUBLE_BIT_INPUT, 0),
        (K.DOUBLE_BIT_INPUT, 3),
        (K.COUNTER, 0),
        (K.FROZEN_COUNTER, 2**32 - 1),
        (K.ANALOG_INPUT, -(2**40)),
        (K.FROZEN_ANALOG, NAN),
        (K.ANALOG_OUTPUT, -math.inf),
        (K.OCTET_STRING, b"x"),
        (K.OCTET_STRING, bytes(255)),
    ],
)
def test_values(kind: PointKind, value: Value) -> None:
    check_measurement(kind, 0, Measurement(value))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (K.BINARY_INPUT, 1),
        (K.BINARY_OUTPUT, b"\1"),
        (K.DOUBLE_BIT_INPUT, 4),
        (K.DOUBLE_BIT_INPUT, True),
        (K.COUNTER, -1),
        (K.COUNTER, 2**32),
        (K.COUNTER, 1.0),
        (K.FROZEN_COUNTER, False),
        (K.ANALOG_INPUT, True),
        (K.ANALOG_INPUT, "1"),
        (K.ANALOG_INPUT, 10**400),
        (K.ANALOG_OUTPUT, -(10**400)),
        (K.OCTET_STRING, b""),
        (K.OCTET_STRING, bytes(256)),
        (K.OCTET_STRING, "x"),
    ],
)
def test_wrong_values(kind: PointKind, value: Value) -> None:
    with pytest.raises(PointValueError, match=rf"{kind} 7: value .*; use "):
        check_measurement(kind, 7, Measurement(value))


@pytest.mark.parametrize(
    ("kind", "flags", "limit"),
    [(K.BINARY_INPUT, 0x81, 0x7F), (K.BINARY_OUTPUT, 0x80, 0x7F), (K.DOUBLE_BIT_INPUT, 0x41, 0x3F)],
)
def test_state_bits_are_no_flags(kind: PointKind, flags: int, limit: int) -> None:
    value = initial_measurement(kind).value
    check_measurement(kind, 0, Measurement(value, limit))
    with pytest.raises(PointValueError, match=f"flags {flags:#x}; use 0 to {limit:#x}"):
        check_measurement(kind, 0, Measurement(value, flags))


def test_flags_are_an_octet_and_times_48_bits() -> None:
    check_measurement(K.COUNTER, 0, Measurement(1, 0xFF, 2**48 - 1))
    for flags, time_ms in ((0x100, 0), (-1, 0), (1, -1), (1, 2**48)):
        with pytest.raises(PointValueError):
            check_measurement(K.COUNTER, 0, Measurement(1, flags, time_ms))


@pytest.mark.parametrize(
    ("old", "new", "deadband", "expected"),
    [
        (False, True, 0, True),
        (True, True, 0, False),
        (1, 2, 0, True),
        (0, 2**32 - 1, 2**32, False),
        (10, 15, 5, False),
        (10, 15.1, 5, True),
        (10, 4, 5, True),
        (10, 11, math.inf, False),
        (b"a", b"b", 0, True),
        (b"a", b"a", 0, False),
        (NAN, NAN, 0, False),
        (1.0, NAN, 1e9, True),
        (NAN, 1.0, 1e9, True),
        (math.inf, math.inf, 0, False),
        (math.inf, -math.inf, 1e9, True),
        (1.0, math.inf, 1e9, True),
        (1e308, -1e308, 1, True),
        (2**53, 2**53 + 1, 0, True),
    ],
)
def test_events(old: Value, new: Value, deadband: float, expected: bool) -> None:
    assert is_event(Measurement(old), Measurement(new), deadband) is expected
    assert is_event(Measurement(old, 1), Measurement(new, 3), deadband)


def test_a_new_time_alone_is_no_event() -> None:
    assert not is_event(Measurement(1, time_ms=1), Measurement(1, time_ms=2), 0)


def test_only_frozen_points_show_their_time() -> None:
    for kind in (K.COUNTER, K.FROZEN_COUNTER):
        visible = is_visible(kind, Measurement(1, time_ms=1), Measurement(1, time_ms=2))
        assert visible is (kind is K.FROZEN_COUNTER)


def test_nan_looks_like_nan() -> None:
    assert not is_visible(K.ANALOG_INPUT, Measurement(NAN), Measurement(float("nan")))
    assert is_visible(K.ANALOG_INPUT, Measurement(NAN), Measurement(1.0))
    assert is_visible(K.ANALOG_INPUT, Measurement(1.0), Measurement(NAN))
