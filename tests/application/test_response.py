from __future__ import annotations

import pytest

from bridge.application.function import ApplicationControl, Function, Iin
from bridge.application.measurement import Measurement
from bridge.application.objects import VARIATIONS
from bridge.application.response import (
    ResponseWriter,
    encode_range,
    points_that_fit,
    response_fragment,
)

ANALOG = VARIATIONS[30, 2]
PACKED = VARIATIONS[1, 1]
EVENT = VARIATIONS[2, 1]
RELATIVE = VARIATIONS[2, 3]


def test_a_fragment_is_control_function_indications_objects() -> None:
    control = ApplicationControl.of(0xE5)
    fragment = response_fragment(control, Function.RESPONSE, Iin.DEVICE_RESTART | Iin.OBJECT_UNKNOWN, b"\1")
    assert fragment.hex() == "e581800201"


def test_a_range() -> None:
    assert (
        encode_range(ANALOG, 3, [Measurement(1), Measurement(2)]).hex() == "1e02000304" + "010100" + "010200"
    )
    assert encode_range(PACKED, 255, [Measurement(True)] * 2).hex() == "010101ff000001" + "03"


@pytest.mark.parametrize("row", [ANALOG, PACKED, VARIATIONS[3, 1], VARIATIONS[110, 7]])
@pytest.mark.parametrize("start", [0, 200, 250, 255, 256, 60000])
@pytest.mark.parametrize("count", [1, 2, 5, 6, 7, 50, 300])
def test_as_many_points_fit_as_fit(row: object, start: int, count: int) -> None:
    assert isinstance(row, type(ANALOG))
    measurements = [Measurement(b"" if row.group == 110 else 1)] * count
    sizes = [len(encode_range(row, start, measurements[:n])) for n in range(1, count + 1)]
    for room in range(40):
        expected = max((n for n, size in enumerate(sizes, 1) if size <= room), default=0)
        assert points_that_fit(room, row, start, count) == expected


def test_the_writer_takes_what_fits() -> None:
    writer = ResponseWriter(12)
    assert writer.is_empty
    assert writer.add_range(ANALOG, 0, [Measurement(1)] * 5) == 2
    assert writer.room == 1
    assert writer.add_range(ANALOG, 2, [Measurement(1)] * 3) == 0
    assert not writer.try_add(b"ab")
    assert writer.try_add(b"a")
    assert not writer.is_empty
    assert writer.objects.hex() == "1e02000001" + "010100" * 2 + "61"


def written(*events: tuple[int, int, Measurement], limit: int = 2048) -> str:
    writer = ResponseWriter(limit)
    for variation, index, measurement in events:
        assert writer.try_add_event(VARIATIONS[2, variation], index, measurement)
    return writer.objects.hex()


ON = Measurement(True)


def test_events_of_one_variation_share_a_header() -> None:
    assert written((1, 3, ON), (1, 4, ON), (1, 3, ON)) == "02011703" + "0381" + "0481" + "0381"


def test_another_variation_or_other_octets_end_the_run() -> None:
    with_time = "000000000000"
    assert written((1, 3, ON), (2, 3, ON), (1, 3, ON)) == (
        "02011701" + "0381" + "02021701" + "0381" + with_time + "02011701" + "0381"
    )
    writer = ResponseWriter(100)
    assert writer.try_add_event(EVENT, 1, ON)
    assert writer.try_add(b"\xaa")
    assert writer.try_add_event(EVENT, 1, ON)
    assert writer.objects.hex() == "02011701" + "0181" + "aa" + "02011701" + "0181"


def test_wide_indices_take_wide_headers_and_keep_them() -> None:
    assert written((1, 255, ON), (1, 256, ON), (1, 7, ON)) == (
        "02011701" + "ff81" + "0201280200" + "000181" + "070081"
    )


def test_a_narrow_run_ends_at_255_events() -> None:
    octets = bytes.fromhex(written(*[(1, 1, ON)] * 256))
    assert octets[:4].hex() == "020117ff"
    assert octets[4 + 255 * 2 :].hex() == "02011701" + "0181"


@pytest.mark.parametrize(("limit", "taken"), [(5, 0), (6, 1), (7, 1), (8, 2)])
def test_events_stop_where_the_room_ends(limit: int, taken: int) -> None:
    writer = ResponseWriter(limit)
    assert [writer.try_add_event(EVENT, 1, ON) for _ in range(3)] == [n < taken for n in range(3)]
    assert len(writer.objects) <= limit
    if taken:
        assert writer.objects[3] == taken


def at(time_ms: int | None, *, is_synchronized: bool = True) -> Measurement:
    return Measurement(True, time_ms=time_ms, is_time_synchronized=is_synchronized)


COMMON = "33010701e80300000000"


def test_relative_times_follow_a_common_time() -> None:
    assert written((3, 1, at(1000)), (3, 2, at(1005)), (3, 3, at(66535))) == (
        COMMON + "02031703" + "01810000" + "02810500" + "0381ffff"
    )


@pytest.mark.parametrize(
    ("then", "common"),
    [
        (at(66536), "33010701e80301000000"),
        (at(999), "33010701e70300000000"),
        (at(1000, is_synchronized=False), "33020701e80300000000"),
        (at(None), "33010701000000000000"),
    ],
)
def test_a_common_time_that_cannot_serve_is_followed_by_another(then: Measurement, common: str) -> None:
    assert written((3, 1, at(1000)), (3, 2, then)) == (
        COMMON + "02031701" + "01810000" + common + "02031701" + "02810000"
    )


def test_a_common_time_serves_across_other_objects() -> None:
    assert written((3, 1, at(1000)), (1, 2, ON), (3, 3, at(1001))) == (
        COMMON + "02031701" + "01810000" + "02011701" + "0281" + "02031701" + "03810100"
    )


def test_a_common_time_that_does_not_fit_leaves_nothing_behind() -> None:
    writer = ResponseWriter(17)
    assert not writer.try_add_event(RELATIVE, 1, at(1000))
    assert writer.is_empty
    writer = ResponseWriter(18)
    assert writer.try_add_event(RELATIVE, 1, at(1000))
    assert writer.room == 0
