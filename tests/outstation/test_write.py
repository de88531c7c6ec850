"""WRITE: restart indication, times, deadbands, attributes, octet strings, schedules, in octets."""

from __future__ import annotations

import pytest

from bridge.application.attribute import Attribute, AttributeType
from bridge.application.measurement import PointKind
from bridge.outstation.attributes import AttributeEntry, AttributeStore
from bridge.outstation.points import AnalogInput, EventClass, OctetString
from tests.outstation.harness import Harness, Later

AI = PointKind.ANALOG_INPUT
NAME, LOCATION, SERIAL = 247, 245, 248


def outstation() -> Harness:
    entries = {
        (0, NAME): AttributeEntry(Attribute(AttributeType.VSTR, "rtu"), is_writable=True),
        (0, SERIAL): AttributeEntry(Attribute(AttributeType.VSTR, "42")),
        (7, 1): AttributeEntry(Attribute(AttributeType.UINT, 5), is_writable=True),
        (300, 2): AttributeEntry(Attribute(AttributeType.INT, -5), is_writable=True),
    }
    o = Harness(attributes=AttributeStore(entries))
    for index in (0, 1, 300):
        o.add(index, AnalogInput(EventClass.CLASS_1))
    o.add(4, OctetString(), b"old")
    o.add(5, OctetString(), b"old")
    return o


CASES = {
    # name: request, IIN of the answer, calls of the application
    "nothing": ("02", "00 00", []),
    "absolute time": ("02 32 01 07 01 00 68 e5 cf 8b 01", "00 00", ["write_time 1700000000000"]),
    "absolute time, 16-bit count": (
        "02 32 01 08 01 00 00 68 e5 cf 8b 01",
        "00 00",
        ["write_time 1700000000000"],
    ),
    "two times": ("02 32 01 07 02 00 68 e5 cf 8b 01 00 68 e5 cf 8b 01", "00 04", []),
    "time cut short": ("02 32 01 07 01 00 68 e5 cf 8b", "00 04", []),
    "time with a wrong qualifier": ("02 32 01 17 01 00 00 68 e5 cf 8b 01", "00 04", []),
    "recorded time that was not recorded": ("02 32 03 07 01 00 68 e5 cf 8b 01", "00 04", []),
    "time and interval, which is for freezes": ("02 32 02 07 01 00 68 e5 cf 8b 01 00 00 00 00", "00 02", []),
    "deadband of 16 bits": ("02 22 01 17 01 01 0a 00", "00 00", ["write_deadband 1 10.0"]),
    "deadband of 32 bits": ("02 22 02 28 01 00 2c 01 00 00 01 00", "00 00", ["write_deadband 300 65536.0"]),
    "deadband as float": ("02 22 03 00 00 00 00 00 c0 3f", "00 00", ["write_deadband 0 1.5"]),
    "deadbands of a range": (
        "02 22 01 00 00 01 01 00 02 00",
        "00 00",
        ["write_deadband 0 1.0", "write_deadband 1 2.0"],
    ),
    "deadband of a point that is not there": (
        "02 22 01 17 02 02 0a 00 01 0b 00",
        "00 04",
        ["write_deadband 1 11.0"],
    ),
    "negative deadband": ("02 22 03 17 01 00 00 00 80 bf", "00 04", []),
    "deadband that is no number": ("02 22 03 17 01 00 00 00 c0 7f", "00 04", []),
    "any deadband": ("02 22 00 17 01 00 0a 00", "00 02", []),
    "attribute": ("02 00 f7 00 00 00 01 03 61 62 63", "00 00", ["write_attribute 0 247 abc"]),
    "attribute with an index": ("02 00 f7 17 01 00 01 03 61 62 63", "00 00", ["write_attribute 0 247 abc"]),
    "attribute of a private set": ("02 00 01 00 07 07 02 01 ff", "00 00", ["write_attribute 7 1 255"]),
    "attribute of a set over 255": (
        "02 00 02 01 2c 01 2c 01 03 02 00 80",
        "00 00",
        ["write_attribute 300 2 -32768"],
    ),
    "read-only attribute": ("02 00 f8 00 00 00 01 03 61 62 63", "00 04", []),
    "attribute that is not there": ("02 00 f5 00 00 00 01 03 61 62 63", "00 04", []),
    "attribute of another type": ("02 00 f7 00 00 00 02 01 05", "00 04", []),
    "attribute of a wrong length": ("02 00 01 00 07 07 02 00", "00 04", []),
    "attribute too long to be read again": ("02 00 f7 00 00 00 01 ff" + " 80" * 255, "00 04", []),
    "integer too long to be read again": ("02 00 01 00 07 07 02 09" + " ff" * 9, "00 04", []),
    "attribute cut short": ("02 00 f7 00 00 00 01 03 61 62", "00 04", []),
    "all attributes": ("02 00 fe 00 00 00 01 03 61 62 63", "00 02", []),
    "octet string": ("02 6e 03 17 01 04 61 62 63", "00 00", ["write_octet_string 4 616263"]),
    "octet strings of a range": (
        "02 6e 01 00 04 05 61 62",
        "00 00",
        ["write_octet_string 4 61", "write_octet_string 5 62"],
    ),
    "octet string that is not there": ("02 6e 03 17 01 09 61 62 63", "00 04", []),
    "schedule": (
        "02 32 04 17 01 03 00 68 e5 cf 8b 01 0a 00 00 00 04",
        "00 00",
        ["write_schedule 3 1700000000000 10 4"],
    ),
    "schedule without an index": ("02 32 04 07 01 00 68 e5 cf 8b 01 0a 00 00 00 04", "00 04", []),
    "binary input": ("02 01 02 00 00 00 81", "00 02", []),
    "class": ("02 3c 02 06", "00 02", []),
    "one that is wrong among others": ("02 50 01 00 07 07 00 01 02 00 00 00 81", "00 02", []),
}


@pytest.mark.parametrize("name", CASES)
def test_write(name: str) -> None:
    request, iin, calls = CASES[name]
    o = outstation()
    o.talk(f"""
        > c3 {request}
        < c3 81 {iin}
    """)
    assert o.user.calls == calls
    assert o.user.notes == []


REFUSABLE = ("absolute time", "deadband of 16 bits", "attribute", "octet string", "schedule")


@pytest.mark.parametrize("name", REFUSABLE)
def test_the_application_refuses(name: str) -> None:
    request, _, calls = CASES[name]
    o = outstation()
    o.user.answers[calls[0].split()[0]] = False
    o.talk(f"""
        > c3 {request}
        < c3 81 00 04
    """)
    assert o.user.calls == calls
    assert o.database.deadband(1) == 0
    assert o.attributes.get(NAME) == Attribute(AttributeType.VSTR, "rtu")
    assert o.ask("c4 01 32 04 06") == "c4810000"


@pytest.mark.parametrize("name", REFUSABLE)
def test_the_application_raises(name: str) -> None:
    request, _, calls = CASES[name]
    o = outstation()
    o.user.answers[calls[0].split()[0]] = OSError("no flash")
    o.talk(f"""
        > c3 {request}
        < c3 81 00 04
        > c4 18
        < c4 81 00 00
    """)
    assert o.user.notes == ["handler_failed no flash"]


@pytest.mark.parametrize("name", REFUSABLE)
def test_the_application_thinks(name: str) -> None:
    request, _, calls = CASES[name]
    for outcome, iin in ((True, "00 00"), (False, "00 04")):
        o = outstation()
        o.user.answers[calls[0].split()[0]] = Later()
        o.talk(f"> c3 {request}")
        o.resume(outcome)
        o.talk(f"< c3 81 {iin}")
    o = outstation()
    o.user.answers[calls[0].split()[0]] = Later()
    o.talk(f"> c3 {request}")
    o.resume(error=TimeoutError("too slow"))
    o.talk("< c3 81 00 04")
    assert o.user.notes == ["handler_failed too slow"]


def test_lan_time_synchronization() -> None:
    o = outstation()
    o.talk("""
        > c0 18
        < c0 81 00 00
        +2.5
        > c1 02 32 03 07 01 00 68 e5 cf 8b 01
        < c1 81 00 00
        > c2 02 32 03 07 01 00 68 e5 cf 8b 01    # used up
        < c2 81 00 04
    """)
    assert o.user.calls == ["write_time 1700000002500"]
    o.talk("> c3 18 \n < c3 81 00 00")
    o.stack.link_ended()
    o.link()
    o.talk("""
        > c4 02 32 03 07 01 00 68 e5 cf 8b 01    # another link
        < c4 81 00 04
    """)


def test_deadbands_are_used_and_read() -> None:
    o = outstation()
    o.talk("""
        > c0 02 22 03 17 01 01 00 00 20 41
        < c0 81 00 00
        > c1 01 22 00 00 00 01
        < c1 81 00 00  22 03 00 00 01 00 00 00 00 00 00 20 41
    """)
    o.update(AI, 1, 10)
    assert not o.database.events.counts().total
    o.update(AI, 1, 11)
    assert o.database.events.counts().total == 1


def test_written_attributes_are_read() -> None:
    o = outstation()
    o.talk("""
        > c0 02 00 f7 00 00 00 01 03 61 62 63
        < c0 81 00 00
        > c1 01 00 f7 00 00 00
        < c1 81 00 00  00 f7 00 00 00 01 03 61 62 63
    """)


def test_written_schedules_are_read() -> None:
    o = outstation()
    o.talk("""
        > c0 02 32 04 17 02 09 00 68 e5 cf 8b 01 0a 00 00 00 04 03 00 68 e5 cf 8b 01 01 00 00 00 05
        < c0 81 00 00
        > c1 01 32 04 06
        < c1 81 00 00  32 04 00 03 03 00 68 e5 cf 8b 01 01 00 00 00 05 \
            32 04 00 09 09 00 68 e5 cf 8b 01 0a 00 00 00 04
        > c2 01 32 04 00 03 03
        < c2 81 00 00  32 04 00 03 03 00 68 e5 cf 8b 01 01 00 00 00 05
        > c3 01 32 04 01 00 00 ff ff
        < c3 81 00 04  32 04 00 03 03 00 68 e5 cf 8b 01 01 00 00 00 05 \
            32 04 00 09 09 00 68 e5 cf 8b 01 0a 00 00 00 04
        > c4 01 32 04 17 02 09 08
        < c4 81 00 04  32 04 00 09 09 00 68 e5 cf 8b 01 0a 00 00 00 04
        > c5 01 32 04 07 01
        < c5 81 00 00  32 04 00 03 03 00 68 e5 cf 8b 01 01 00 00 00 05
    """)


def test_schedules_are_bounded() -> None:
    o = outstation()
    for index in range(256):
        o.talk(f"""
            > c{index % 16:x} 02 32 04 17 01 {index:02x} 00 68 e5 cf 8b 01 0a 00 00 00 04
            < c{index % 16:x} 81 00 00
        """)
    o.talk("""
        > c0 02 32 04 28 01 00 00 01 00 68 e5 cf 8b 01 0a 00 00 00 04
        < c0 81 00 04
        > c1 02 32 04 28 01 00 ff 00 00 68 e5 cf 8b 01 0b 00 00 00 04
        < c1 81 00 00
    """)


def test_what_was_written_before_the_fault_stays() -> None:
    o = outstation()
    o.talk("""
        > c0 02 22 01 17 01 01 05 00 6e 01 17 01 63 61 50 01 00 07 07 01
        < c0 81 00 04
    """)
    assert o.database.deadband(1) == 5
