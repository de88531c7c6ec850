"""All six freezes, in octets. Time 0 is 1700000000000 ms UTC: 0068e5cf8b01."""

from __future__ import annotations

import pytest

from bridge.application.measurement import PointKind
from bridge.outstation.points import AnalogInput, Counter, EventClass, FrozenAnalog, FrozenCounter
from tests.outstation.harness import Harness, Later

CT, AI = PointKind.COUNTER, PointKind.ANALOG_INPUT
FROZEN = PointKind.FROZEN_COUNTER
FORMS = ("07", "08", "09", "0a")
NO_ANSWER = ("08", "0a", "0c")


def outstation() -> Harness:
    """Counters 0, 1, 3 and an analog input 2 with frozen points; counter 9 without one."""
    o = Harness()
    for index in (0, 1, 3):
        o.add(index, Counter(), 10 + index)
        o.add(index, FrozenCounter(EventClass.CLASS_1, event_variation=5))
    o.add(9, Counter(), 19)
    o.add(2, AnalogInput(), 22)
    o.add(2, FrozenAnalog(EventClass.CLASS_2))
    return o


def frozen(o: Harness) -> dict[int, object]:
    return {index: o.database.get(FROZEN, index).value for index in o.database.indices(FROZEN)}


RANGES = {
    # name: header of counters, IIN2, which are frozen, what the application is asked
    "all": ("14 00 06", "00", {0, 1, 3}, ["None None"]),
    "range": ("14 00 00 00 01", "00", {0, 1}, ["0 1"]),
    "wide range": ("14 00 01 03 00 03 00", "00", {3}, ["3 3"]),
    "range with a gap": ("14 00 00 01 03", "00", {1, 3}, ["1 3"]),
    "range over the end": ("14 00 00 03 0a", "04", {3}, ["3 10"]),
    "range of nothing": ("14 00 00 04 08", "04", set(), ["4 8"]),
    "indices": ("14 00 17 02 00 03", "00", {0, 3}, ["0 0", "3 3"]),
    "index that is not there": ("14 00 17 02 02 03", "04", {3}, ["2 2", "3 3"]),
    "no indices": ("14 00 17 00", "00", set(), []),
    "no wide indices": ("14 00 28 00 00", "00", set(), []),
    "a variation": ("14 01 06", "02", set(), []),
    "no counters": ("01 00 06", "02", set(), []),
    "count": ("14 00 07 01", "04", set(), []),
    "nothing": ("", "00", set(), []),
    "one that is wrong among others": ("01 00 06 14 00 00 01 01", "02", {1}, ["1 1"]),
}


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("function", FORMS)
def test_freeze(function: str, name: str) -> None:
    header, iin, which, calls = RANGES[name]
    o = outstation()
    answer = "" if function in NO_ANSWER else f"< c1 81 {'02' if which else '00'} {iin}"
    o.talk(f"""
        > c1 {function} {header}
        {answer}
    """)
    is_clear = function in ("09", "0a")
    assert frozen(o) == {index: 10 + index if index in which else 0 for index in (0, 1, 3)}
    for index in (0, 1, 3):
        is_cleared = is_clear and index in which
        assert o.database.get(CT, index).value == (0 if is_cleared else 10 + index)
    kind = "CLEAR" if is_clear else "IMMEDIATE"
    assert o.user.calls == [f"freeze counter {call} {kind}" for call in calls]


def test_a_freeze_is_an_event_with_its_time() -> None:
    o = outstation()
    o.talk("""
        +1
        > c1 07 14 00 00 01 01
        < c1 81 02 00
        > c2 01 17 00 06
        < e2 81 00 00  17 05 17 01 01 01 0b 00 00 00 e8 6b e5 cf 8b 01
        > c2 00
        > c3 01 15 05 00 01 01
        < c3 81 00 00  15 05 00 01 01 01 0b 00 00 00 e8 6b e5 cf 8b 01
    """)


@pytest.mark.parametrize("function", ["07", "08"])
def test_analog_inputs_are_frozen(function: str) -> None:
    o = outstation()
    answer = "" if function in NO_ANSWER else "< c1 81 04 00"
    o.talk(f"""
        > c1 {function} 1e 00 06
        {answer}
    """)
    assert o.user.calls == ["freeze analog_input None None IMMEDIATE"]
    assert o.database.get(PointKind.FROZEN_ANALOG, 2).value == 22


def test_analog_inputs_cannot_be_cleared() -> None:
    o = outstation()
    o.talk("""
        > c1 09 1e 00 06 14 00 00 00 00
        < c1 81 02 02                            # the counters' part is done
    """)
    assert o.database.get(AI, 2).value == 22
    assert frozen(o) == {0: 10, 1: 0, 3: 0}


def test_the_application_refuses_and_thinks() -> None:
    o = outstation()
    o.user.answers["freeze"] = False
    o.talk("""
        > c1 07 14 00 06
        < c1 81 00 04
    """)
    o.user.answers["freeze"] = Later()
    o.talk("> c2 09 14 00 06")
    o.resume(True)
    o.talk("< c2 81 02 00")
    assert frozen(o) == {0: 10, 1: 11, 3: 13}
    o.user.answers["freeze"] = OSError("broken")
    o.talk("""
        > c3 07 14 00 06
        < c3 81 02 04
    """)


# At a time: g50v2 with the time and the interval, then what to freeze.

IN_5_S = "32 02 07 01 88 7b e5 cf 8b 01"
"""1700000005000."""
NOW = "32 02 07 01 00 00 00 00 00 00"
ONCE = "00 00 00 00"
EVERY_10_S = "10 27 00 00"


@pytest.mark.parametrize("function", ["0b", "0c"])
def test_freeze_at_a_time(function: str) -> None:
    o = outstation()
    answer = "" if function in NO_ANSWER else "< c1 81 00 00"
    o.talk(f"""
        > c1 {function} {IN_5_S} {ONCE} 14 00 06
        {answer}
        ? 5.0
        +4.9
    """)
    assert frozen(o) == {0: 0, 1: 0, 3: 0}
    o.talk("+0.1 \n ? -")
    assert frozen(o) == {0: 10, 1: 11, 3: 13}
    o.talk("""
        > c2 01 3c 02 07 01
        < e2 81 02 00  17 05 17 01 00 01 0a 00 00 00 88 7b e5 cf 8b 01
    """)


def test_freeze_again_and_again() -> None:
    o = outstation()
    o.talk(f"""
        > c1 0b {IN_5_S} {EVERY_10_S} 14 00 00 00 00
        < c1 81 00 00
        ? 5.0
        +5
        ? 15.0
        +10
        ? 25.0
    """)
    assert o.database.events.counts().total == 2
    # A program that slept: one freeze, and the beat goes on.
    o.now = 47.0
    o.talk("+0 \n ? 55.0")
    assert o.database.events.counts().total == 3


def test_freeze_at_time_zero_is_now() -> None:
    o = outstation()
    o.talk(f"""
        > c1 0b {NOW} {EVERY_10_S} 14 00 06
        < c1 81 02 00
        ? 10.0
        > c2 0b {NOW} {ONCE} 14 00 06            # the same points: once now, and no more
        < c2 81 02 00
        ? -
    """)
    assert frozen(o) == {0: 10, 1: 11, 3: 13}


def test_a_time_that_has_passed_is_now() -> None:
    o = outstation()
    o.talk(f"""
        +100
        > c1 0b {IN_5_S} {ONCE} 14 00 06
        < c1 81 02 00
        ? -
    """)


def test_several_times_in_one_request() -> None:
    o = outstation()
    o.talk(f"""
        > c1 0b {IN_5_S} {ONCE} 14 00 00 00 00 1e 00 06 {NOW} {ONCE} 14 00 17 02 01 03
        < c1 81 02 00
        ? 5.0
    """)
    assert frozen(o) == {0: 0, 1: 11, 3: 13}
    o.talk("+5 \n ? -")
    assert frozen(o) == {0: 10, 1: 11, 3: 13}
    assert o.database.get(PointKind.FROZEN_ANALOG, 2).value == 22


AT_TIME_FAULTS = {
    "no time": ("14 00 06", "04", "-"),
    "two times in one header": (
        f"{IN_5_S.replace('07 01', '07 02')} {ONCE} {NOW[12:]} {ONCE} 14 00 06",
        "04",
        "-",
    ),
    "cut short": (IN_5_S, "04", "-"),
    "no counters": (f"{IN_5_S} {ONCE} 01 00 06", "02", "-"),
    "no indices": (f"{IN_5_S} {ONCE} 14 00 17 00", "00", "-"),
    "range over the end": (f"{IN_5_S} {ONCE} 14 00 00 03 0a", "04", "5.0"),
    "only a time": (f"{IN_5_S} {ONCE}", "00", "-"),
}


@pytest.mark.parametrize("name", AT_TIME_FAULTS)
def test_what_cannot_be_frozen_at_a_time(name: str) -> None:
    objects, iin, due = AT_TIME_FAULTS[name]
    o = outstation()
    o.talk(f"""
        > c1 0b {objects}
        < c1 81 00 {iin}
        ? {due}
    """)


def test_orders_are_bounded() -> None:
    o = outstation()
    orders = [f"14 00 17 {count:02x} {'00' * count}" for count in range(1, 34)]
    o.talk(f"""
        > c1 0b {IN_5_S} {EVERY_10_S} {" ".join(orders[:32])}
        < c1 81 00 00
        > c2 0b {IN_5_S} {EVERY_10_S} {orders[32]}
        < c2 81 00 04
    """)


def test_orders_outlive_the_link() -> None:
    o = outstation()
    o.talk(f"""
        > c1 0b {IN_5_S} {ONCE} 14 00 06
        < c1 81 00 00
    """)
    o.stack.link_ended()
    o.talk("? 5.0 \n +5 \n ? -")
    assert frozen(o) == {0: 10, 1: 11, 3: 13}
