"""Restarts, unsolicited classes, class assignment, delay, and what is refused, in octets."""

from __future__ import annotations

import pytest

from bridge.application.function import Function
from bridge.application.measurement import PointKind
from bridge.outstation.handlers import RestartDelay
from bridge.outstation.points import AnalogInput, AnalogOutput, BinaryInput, BinaryOutput, Counter, EventClass
from tests.outstation.harness import Harness, Later

NONE, C1, C2, C3 = EventClass
BI, BO, AO = PointKind.BINARY_INPUT, PointKind.BINARY_OUTPUT, PointKind.ANALOG_OUTPUT


def outstation() -> Harness:
    o = Harness()
    for index in (0, 1, 3):
        o.add(index, BinaryInput(C1))
    o.add(0, AnalogInput(C2))
    o.add(0, Counter())
    for index in (0, 1, 5):
        o.add(index, BinaryOutput())
    o.add(7, AnalogOutput())
    return o


# Restarts and delays.


@pytest.mark.parametrize(("function", "name"), [("0d", "cold_restart"), ("0e", "warm_restart")])
def test_restart(function: str, name: str) -> None:
    o = outstation()
    o.talk(f"""
        > c1 {function}
        < c1 81 00 01
    """)
    for delay, objects in {
        RestartDelay(2500): "34 02 07 01 c4 09",
        RestartDelay(70_000): "34 02 07 01 ff ff",
        RestartDelay(70_000, is_fine=False): "34 01 07 01 46 00",
        RestartDelay(0): "34 02 07 01 00 00",
    }.items():
        o.user.answers[name] = delay
        o.talk(f"""
            > c2 {function}
            < c2 81 00 00 {objects}
            > c3 18
            < c3 81 00 00
        """)
    o.user.answers[name] = Later()
    o.talk(f"> c4 {function}")
    o.resume(RestartDelay(1))
    o.talk("< c4 81 00 00  34 02 07 01 01 00")
    assert set(o.user.calls) == {name}
    assert len(o.user.calls) == 6


@pytest.mark.parametrize("delay", [RestartDelay(-1), "soon", ValueError("no")])
def test_a_restart_that_goes_wrong(delay: object) -> None:
    o = outstation()
    o.user.answers["cold_restart"] = delay
    o.talk("""
        > c1 0d
        < c1 81 00 04
    """)
    assert len(o.user.notes) == 1


def test_delay_measurement() -> None:
    outstation().talk("""
        > c1 17
        < c1 81 00 00  34 02 07 01 00 00
    """)


# Unsolicited classes; what they do is in test_unsolicited.


def test_enable_and_disable_where_unsolicited_is_not_supported() -> None:
    outstation().talk("""
        > c1 14 3c 02 06
        < c1 81 00 01
        > c2 15 3c 02 06
        < c2 81 00 01
    """)


# Classes.


def class_of(o: Harness, kind: PointKind, index: int) -> int:
    return int(o.database.config(kind, index).event_class)


ASSIGNMENTS = {
    # name: objects, IIN2, classes of binary inputs 0, 1, 3, calls
    "all": ("3c 03 06 01 00 06", "00", (2, 2, 2), ["class_assigned binary_input 0 3 2"]),
    "to class 0": ("3c 01 06 01 00 06", "00", (0, 0, 0), ["class_assigned binary_input 0 3 0"]),
    "range": ("3c 04 06 01 00 00 00 01", "00", (3, 3, 1), ["class_assigned binary_input 0 1 3"]),
    "range with a gap": ("3c 04 06 01 00 00 01 03", "00", (1, 3, 3), ["class_assigned binary_input 1 3 3"]),
    "range over the end": ("3c 04 06 01 00 00 01 09", "04", (1, 3, 3), ["class_assigned binary_input 1 3 3"]),
    "range of nothing": ("3c 04 06 01 00 00 07 09", "04", (1, 1, 1), []),
    "indices": (
        "3c 04 06 01 00 17 02 00 03",
        "00",
        (3, 1, 3),
        ["class_assigned binary_input 0 0 3", "class_assigned binary_input 3 3 3"],
    ),
    "no indices": ("3c 04 06 01 00 17 00", "00", (1, 1, 1), []),
    "two classes": (
        "3c 03 06 01 00 00 00 00 3c 04 06 01 00 00 01 01 1e 00 06",
        "00",
        (2, 3, 1),
        [
            "class_assigned binary_input 0 0 2",
            "class_assigned binary_input 1 1 3",
            "class_assigned analog_input 0 0 3",
        ],
    ),
    "no class": ("01 00 06", "04", (1, 1, 1), []),
    "a kind without points": ("3c 03 06 03 00 06", "00", (1, 1, 1), []),
    "a class alone": ("3c 03 06", "00", (1, 1, 1), []),
    "a variation": ("3c 03 06 01 02 06", "02", (1, 1, 1), []),
    "events": ("3c 03 06 02 00 06", "02", (1, 1, 1), []),
}


@pytest.mark.parametrize("name", ASSIGNMENTS)
def test_assign_class(name: str) -> None:
    objects, iin, classes, calls = ASSIGNMENTS[name]
    o = outstation()
    o.talk(f"""
        > c1 16 {objects}
        < c1 81 00 {iin}
    """)
    assert tuple(class_of(o, BI, index) for index in (0, 1, 3)) == classes
    assert o.user.calls == calls


def test_events_go_to_the_assigned_class_from_then_on() -> None:
    o = outstation()
    o.update(BI, 0, 1)
    o.talk("""
        > c1 16 3c 04 06 01 00 06
        < c1 81 02 00
    """)
    o.update(BI, 0, 0)
    o.talk("""
        > c2 01 3c 04 06
        < e2 81 02 00  02 02 17 01 00 01 00 68 e5 cf 8b 01
        > c2 00
        > c3 16 3c 01 06 01 00 06
        < c3 81 02 00
    """)
    o.update(BI, 0, 1)
    o.talk("""
        > c4 01 3c 02 06 3c 03 06 3c 04 06
        < e4 81 00 00  02 02 17 01 00 81 00 68 e5 cf 8b 01
    """)


COMMAND_ASSIGNMENTS = {
    "all crobs": ("3c 02 06 0c 00 06", "00", {(BO, 0): 1, (BO, 1): 1, (BO, 5): 1, (AO, 7): 0}),
    "range of crobs": ("3c 03 06 0c 00 00 00 01", "00", {(BO, 0): 2, (BO, 1): 2, (BO, 5): 0, (AO, 7): 0}),
    "analog outputs": ("3c 04 06 29 00 17 01 07", "00", {(BO, 0): 0, (BO, 1): 0, (BO, 5): 0, (AO, 7): 3}),
    "over the end": ("3c 04 06 29 00 00 07 08", "04", {(BO, 0): 0, (BO, 1): 0, (BO, 5): 0, (AO, 7): 3}),
    "no class": ("0c 00 06", "04", {(BO, 0): 0, (BO, 1): 0, (BO, 5): 0, (AO, 7): 0}),
    "to none": ("3c 02 06 0c 00 06 3c 01 06 0c 00 06", "00", {(BO, 0): 0, (AO, 7): 0}),
}


@pytest.mark.parametrize("name", COMMAND_ASSIGNMENTS)
def test_assign_the_class_of_command_events(name: str) -> None:
    objects, iin, classes = COMMAND_ASSIGNMENTS[name]
    o = outstation()
    o.talk(f"""
        > c1 16 {objects}
        < c1 81 00 {iin}
    """)
    for (kind, index), event_class in classes.items():
        config = o.database.config(kind, index)
        assert isinstance(config, BinaryOutput | AnalogOutput)
        assert (config.command_class, config.event_class) == (event_class, 0)
    assert all(call.startswith("command_class_assigned") for call in o.user.calls)


def test_commands_are_reported_in_the_assigned_class() -> None:
    outstation().talk("""
        > c1 16 3c 03 06 0c 00 00 05 05
        < c1 81 00 00
        > c2 05 0c 01 17 01 05 03 01 00 00 00 00 00 00 00 00 00
        < c2 81 04 00 0c 01 17 01 05 03 01 00 00 00 00 00 00 00 00 00
        > c3 01 3c 03 06
        < e3 81 00 00  0d 02 17 01 05 80 00 68 e5 cf 8b 01
    """)


# What is refused.

EXECUTED = {
    *range(Function.READ, Function.INITIALIZE_DATA),
    *range(Function.ENABLE_UNSOLICITED, Function.OPEN_FILE),
}
UNKNOWN_FUNCTIONS = sorted(set(range(1, 128)) - EXECUTED - {Function.AUTH_REQ_NO_ACK})


@pytest.mark.parametrize("function", UNKNOWN_FUNCTIONS)
def test_unknown_function(function: int) -> None:
    o = outstation()
    o.talk(f"""
        > c1 {function:02x}
        < c1 81 00 01
        > c2 {function:02x} 01 02 06
        < c2 81 00 01
        > c3 {function:02x} ff ff ff
        < c3 81 00 01
    """)
    assert o.user.calls == []


def test_the_unknown_function_that_wants_no_answer() -> None:
    outstation().talk("> c1 21")


REFUSED = {
    # name: request without its control octet, IIN
    "object group": ("01 46 01 06", "00 02"),
    "variation": ("01 01 09 06", "00 02"),
    "object that is not read": ("01 0c 01 06", "00 02"),
    "qualifier": ("01 01 02 05", "00 04"),
    "qualifier not with the object": ("01 02 02 00 00 01", "00 04"),
    "header of one octet": ("01 01", "00 04"),
    "header of two octets": ("01 01 02", "00 04"),
    "range cut short": ("01 01 02 00 00", "00 04"),
    "range the wrong way round": ("01 01 02 00 05 04", "00 04"),
    "wide range cut short": ("01 01 02 01 00 00 01", "00 04"),
    "count cut short": ("01 3c 02 07", "00 04"),
    "indices cut short": ("01 01 02 17 02 00", "00 04"),
    "free format cut short": ("01 01 02 5b 01 05 00 00", "00 04"),
    "rubbish after a header": ("01 3c 02 06 3c", "00 04"),
    "unknown object after a known one, written": ("02 50 01 00 07 07 00 63 01 06", "00 02"),
    "objects after a function that takes none": ("17 01 02 06", "00 02"),
    "objects after a restart": ("0d 3c 02 06", "00 02"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    request, iin = REFUSED[name]
    o = outstation()
    o.talk(f"""
        > c1 {request}
        < c1 81 {iin}
        > c2 17
        < c2 81 00 00  34 02 07 01 00 00
    """)
    assert o.user.calls == []


def test_every_function_code_has_a_defined_fate() -> None:
    for function in range(256):
        o = outstation()
        o.send(bytes((0xC1, function)))
        is_answered = 0 < function < 128 and function not in (6, 8, 10, 12, 33)
        assert len(o.heard) == is_answered, function
