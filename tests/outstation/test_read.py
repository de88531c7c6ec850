"""READ: what is selected, in which order, in how many fragments, in octets."""

from __future__ import annotations

import random
from time import process_time

import pytest

from bridge.application.attribute import Attribute, AttributeType
from bridge.application.function import Iin
from bridge.application.measurement import Measurement, PointKind
from bridge.application.request import Request, parse_request
from bridge.outstation.attributes import AttributeEntry, AttributeStore
from bridge.outstation.events import EventBufferSizes
from bridge.outstation.points import (
    AnalogInput,
    AnalogOutput,
    BinaryInput,
    BinaryOutput,
    Counter,
    DoubleBitInput,
    EventClass,
    OctetString,
)
from bridge.outstation.values import EventDetection
from tests.outstation.harness import EPOCH_MS, Harness

BI, AI, CT, OS = (
    PointKind.BINARY_INPUT,
    PointKind.ANALOG_INPUT,
    PointKind.COUNTER,
    PointKind.OCTET_STRING,
)
C1, C2, C3 = EventClass.CLASS_1, EventClass.CLASS_2, EventClass.CLASS_3
T = "00 68 e5 cf 8b 01"

STRING = AttributeType.VSTR


def outstation(**settings: object) -> Harness:
    """Binary inputs 0 to 2 and 5 (flags of 5: COMM_LOST), counters 0 and 300, analogs 1 and 2, a string 8."""
    entries = {
        (0, 252): AttributeEntry(Attribute(STRING, "me")),
        (0, 247): AttributeEntry(Attribute(STRING, "rtu"), is_writable=True),
        (9, 1): AttributeEntry(Attribute(STRING, "own")),
    }
    o = Harness(attributes=AttributeStore(entries), **settings)  # type: ignore[arg-type]
    for index in range(3):
        o.add(index, BinaryInput((C1, C2, C3)[index]), index == 1)
    o.add(5, BinaryInput(C1), flags=0x04)
    o.add(0, Counter(C3), 7)
    o.add(300, Counter(C3), 8)
    o.add(1, AnalogInput(C2, deadband=2.5), -1)
    o.add(2, AnalogInput(C2, static_variation=2, deadband_variation=1), 2)
    o.add(8, OctetString(C3), b"abc")
    return o


G1 = "01 02 00 00 02 01 81 01  01 02 00 05 05 04"
G20 = "14 01 00 00 00 01 07 00 00 00  14 01 01 2c 01 2c 01 01 08 00 00 00"
G30 = "1e 01 00 01 01 01 ff ff ff ff  1e 02 00 02 02 01 02 00"

STATIC = {
    # name: objects of the request, IIN2, objects of the answer
    "class 0": ("3c 01 06", "00", f"{G1} {G20} {G30}"),
    "class 0 twice": ("3c 01 06 3c 01 06", "00", f"{G1} {G20} {G30} {G1} {G20} {G30}"),
    "all of a kind": ("01 00 06", "00", G1),
    "all of a kind in a variation": ("01 02 06", "00", G1),
    "packed where flags are plain": ("01 01 06", "00", "01 01 00 00 02 02  01 02 00 05 05 04"),
    "other variations": (
        "1e 03 06 14 06 00 00 00",
        "00",
        "1e 03 00 01 02 ff ff ff ff 02 00 00 00  14 06 00 00 00 07 00",
    ),
    "analog as float": ("1e 05 00 01 01", "00", "1e 05 00 01 01 01 00 00 80 bf"),
    "range": ("01 02 00 01 02", "00", "01 02 00 01 02 81 01"),
    "range with a gap": ("01 02 00 02 05", "00", "01 02 00 02 02 01  01 02 00 05 05 04"),
    "wide range": ("14 00 01 2c 01 2c 01", "00", "14 01 01 2c 01 2c 01 01 08 00 00 00"),
    "range that begins outside": ("01 02 00 03 05", "04", "01 02 00 05 05 04"),
    "range that ends outside": ("01 02 00 05 06", "04", "01 02 00 05 05 04"),
    "range of nothing": ("01 02 00 03 04", "04", ""),
    "the widest range": ("14 00 01 00 00 ff ff", "04", G20),
    "kind without points": ("0a 00 06", "00", ""),
    "range of a kind without points": ("0a 00 00 00 00", "04", ""),
    "one-octet indices": ("01 02 17 02 05 01", "00", "01 02 00 05 05 04  01 02 00 01 01 81"),
    "two-octet indices": ("14 00 28 01 00 2c 01", "00", "14 01 01 2c 01 2c 01 01 08 00 00 00"),
    "index that is not there": ("01 02 17 02 03 01", "04", "01 02 00 01 01 81"),
    "no indices": ("01 02 17 00", "00", ""),
    "count": ("01 02 07 02", "00", "01 02 00 00 01 01 81"),
    "count over a gap": ("01 02 08 04 00", "00", G1),
    "more than there are": ("01 02 07 ff", "00", G1),
    "count of 0": ("01 02 07 00", "00", ""),
    "deadbands": ("22 00 06", "00", "22 03 00 01 01 00 00 20 40  22 01 00 02 02 00 00"),
    "deadbands in a variation": ("22 02 00 01 02", "00", "22 02 00 01 02 02 00 00 00 00 00 00 00"),
    "deadband that is not there": ("22 00 17 01 07", "04", ""),
    "octet strings": ("6e 00 06", "00", "6e 03 00 08 08 61 62 63"),
    "octet strings of another length": ("6e 07 00 08 08", "00", "6e 03 00 08 08 61 62 63"),
    "indications": ("50 01 00 00 0f", "00", "50 01 00 00 0f 00 00"),
    "all indications": ("50 01 06", "00", "50 01 00 00 0f 00 00"),
    "indication": ("50 01 01 07 00 07 00", "00", "50 01 00 07 07 00"),
    "indications that there are not": ("50 01 00 0f 10", "04", ""),
    "time": ("32 01 07 01", "00", f"32 01 07 01 {T}"),
    "all times": ("32 01 06", "00", f"32 01 07 01 {T}"),
    "an attribute": ("00 fc 00 00 00", "00", "00 fc 00 00 00 01 02 6d 65"),
    "attribute of a private set": ("00 01 00 09 09", "00", "00 01 00 09 09 01 03 6f 77 6e"),
    "attribute that is not there": ("00 fb 00 00 00", "02", ""),
    "attribute in all sets": ("00 01 06", "00", "00 01 00 09 09 01 03 6f 77 6e"),
    "attribute in a wide range of sets": ("00 01 01 00 00 ff ff", "00", "00 01 00 09 09 01 03 6f 77 6e"),
    "attribute by prefix": ("00 fc 17 01 00", "00", "00 fc 00 00 00 01 02 6d 65"),
    "all attributes": ("00 fe 00 00 00", "00", "00 f7 00 00 00 01 03 72 74 75  00 fc 00 00 00 01 02 6d 65"),
    "list of attributes": ("00 ff 00 00 00", "00", "00 ff 00 00 00 fe 04 f7 01 fc 00"),
    "lists of all sets": (
        "00 ff 06",
        "00",
        "00 ff 00 00 00 fe 04 f7 01 fc 00  00 ff 00 09 09 fe 02 01 00",
    ),
    "list of a set that is not there": ("00 ff 00 05 05", "02", ""),
    "attribute by count": ("00 fc 07 01", "04", ""),
    "schedules that there are not": ("32 04 06", "00", ""),
    "schedule that there is not": ("32 04 00 00 00", "04", ""),
    "order of the headers": (
        "1e 00 00 01 01 01 00 00 01 01",
        "00",
        "1e 01 00 01 01 01 ff ff ff ff 01 02 00 01 01 81",
    ),
    "what is wrong among others": ("46 01 06 01 00 00 01 01 01 09 06", "02", "01 02 00 01 01 81"),
    "no headers": ("", "00", ""),
    "no events": ("3c 02 06 3c 03 06 3c 04 06 02 00 06 20 03 07 05", "00", ""),
}


@pytest.mark.parametrize("name", STATIC)
def test_static(name: str) -> None:
    request, iin, answer = STATIC[name]
    o = outstation()
    o.talk(f"""
        > c3 01 {request}
        < c3 81 00 {iin} {answer}
        > c4 01 {request}                        # this one may be a kept one
        < c4 81 00 {iin} {answer}
    """)


# Events.

BI0, BI1, BI2 = f"00 81 {T}", f"01 01 {T}", f"02 81 {T}"
AI1 = f"01 01 64 00 00 00 {T}"


def with_events() -> Harness:
    """In this order: class 3, class 1, class 2 (analog), class 2, class 1."""
    o = outstation()
    o.update(BI, 2, 1)
    o.update(BI, 0, 1)
    o.update(AI, 1, 100)
    o.update(BI, 1, 0)
    o.update(BI, 0, 0)
    return o


BI0_AGAIN = f"00 01 {T}"
EVENTS = {
    # name: objects of the request, IIN1 and 2, objects of the answer
    "all classes": (
        "3c 02 06 3c 03 06 3c 04 06",
        "00 00",
        f"02 02 17 02 {BI2} {BI0} 20 03 17 01 {AI1} 02 02 17 02 {BI1} {BI0_AGAIN}",
    ),
    "all classes in another order": (
        "3c 04 06 3c 02 06 3c 03 06",
        "00 00",
        f"02 02 17 02 {BI2} {BI0} 20 03 17 01 {AI1} 02 02 17 02 {BI1} {BI0_AGAIN}",
    ),
    "a class twice": ("3c 02 06 3c 02 06", "0c 00", f"02 02 17 02 {BI0} {BI0_AGAIN}"),
    "class 1": ("3c 02 06", "0c 00", f"02 02 17 02 {BI0} {BI0_AGAIN}"),
    "class 2": ("3c 03 06", "0a 00", f"20 03 17 01 {AI1} 02 02 17 01 {BI1}"),
    "class 3": ("3c 04 06", "06 00", f"02 02 17 01 {BI2}"),
    "one of class 1": ("3c 02 07 01", "0e 00", f"02 02 17 01 {BI0}"),
    "one of class 1, wide count": ("3c 02 08 01 00", "0e 00", f"02 02 17 01 {BI0}"),
    "one each": ("3c 02 07 01 3c 03 07 01", "0e 00", f"02 02 17 01 {BI0} 20 03 17 01 {AI1}"),
    "more than there are": ("3c 02 07 09", "0c 00", f"02 02 17 02 {BI0} {BI0_AGAIN}"),
    "a kind": ("02 00 06", "04 00", f"02 02 17 04 {BI2} {BI0} {BI1} {BI0_AGAIN}"),
    "a kind without time": ("02 01 06", "04 00", "02 01 17 04 02 81 00 81 01 01 00 01"),
    "a kind with relative time": (
        "02 03 06",
        "04 00",
        f"33 01 07 01 {T} 02 03 17 04 02 81 00 00 00 81 00 00 01 01 00 00 00 01 00 00",
    ),
    "three of a kind": ("02 00 07 03", "06 00", f"02 02 17 03 {BI2} {BI0} {BI1}"),
    "some in one variation, the rest in another": (
        "02 01 07 01 02 02 07 01 02 00 06",
        "04 00",
        f"02 01 17 01 02 81 02 02 17 03 {BI0} {BI1} {BI0_AGAIN}",
    ),
    "another kind": ("20 05 06", "0e 00", "20 05 17 01 01 01 00 00 c8 42"),
    "events before static data": (
        "01 00 00 00 00 3c 04 06",
        "06 00",
        f"02 02 17 01 {BI2}  01 02 00 00 00 01",
    ),
    "with what is wrong": ("46 01 06 3c 04 06", "06 02", f"02 02 17 01 {BI2}"),
}


@pytest.mark.parametrize("name", EVENTS)
def test_events(name: str) -> None:
    request, iin, answer = EVENTS[name]
    o = with_events()
    o.talk(f"""
        > c3 01 {request}
        < e3 81 {iin} {answer}
        > c3 00
    """)


def test_reads_of_no_events_leave_them() -> None:
    o = with_events()
    o.talk("""
        > c3 01 3c 02 07 00
        < c3 81 0e 00
        > c4 01 16 00 06                         # counters have none
        < c4 81 0e 00
    """)


def test_integrity_poll() -> None:
    o = with_events()
    o.talk(f"""
        > c3 01 3c 02 06 3c 03 06 3c 04 06 3c 01 06
        < e3 81 00 00 \
            02 02 17 02 {BI2} {BI0} 20 03 17 01 {AI1} 02 02 17 02 {BI1} {BI0_AGAIN} \
            01 02 00 00 02 01 01 81  01 02 00 05 05 04 {G20} \
            1e 01 00 01 01 01 64 00 00 00  1e 02 00 02 02 01 02 00
    """)


def test_event_headers_change_where_an_index_needs_two_octets() -> None:
    o = outstation()
    o.update(CT, 0, 1)
    o.update(CT, 300, 2)
    o.update(CT, 0, 3)
    o.talk("""
        > c0 01 3c 04 06
        < e0 81 00 00 16 01 17 01 00 01 01 00 00 00 16 01 28 02 00 2c 01 01 02 00 00 00 00 00 01 03 00 00 00
    """)


def test_relative_times_begin_anew_where_65535_ms_do_not_reach() -> None:
    o = Harness()
    o.add(0, BinaryInput(C1, event_variation=3))
    o.add(1, DoubleBitInput(C1, event_variation=3), 1)
    for offset, value in ((0, 1), (65535, 0), (65536, 1), (65000, 0)):
        o.update(BI, 0, value, time_ms=EPOCH_MS + offset)
    o.update(PointKind.DOUBLE_BIT_INPUT, 1, 2, time_ms=EPOCH_MS + 65001)
    o.talk("""
        > c0 01 3c 02 06
        < e0 81 00 00  33 01 07 01 00 68 e5 cf 8b 01 02 03 17 02 00 81 00 00 00 01 ff ff  \
            33 01 07 01 00 68 e6 cf 8b 01 02 03 17 01 00 81 00 00  \
            33 01 07 01 e8 65 e6 cf 8b 01 02 03 17 01 00 01 00 00  04 03 17 01 01 81 01 00
    """)


def test_relative_times_of_an_unsynchronized_clock() -> None:
    o = Harness()
    o.add(0, BinaryInput(C1, event_variation=3))
    for value, is_synchronized in ((True, True), (False, False)):
        o.database.update(BI, 0, Measurement(value, 1, EPOCH_MS, is_synchronized))
    o.settle()
    o.talk(f"""
        > c0 01 3c 02 06
        < e0 81 00 00  33 01 07 01 {T} 02 03 17 01 00 81 00 00  33 02 07 01 {T} 02 03 17 01 00 01 00 00
    """)


def test_octet_string_events() -> None:
    o = outstation()
    o.update(OS, 8, b"hello")
    o.update(OS, 8, b"hi")
    o.talk("""
        > c0 01 6f 09 06                         # whatever length is asked for
        < e0 81 00 00  6f 05 17 01 08 68 65 6c 6c 6f  6f 02 17 01 08 68 69
    """)


# Fragments.


def many(limit: int, **settings: object) -> Harness:
    """100 analogs with two events each, 2000 packed inputs, 60 counters."""
    o = Harness(longest_response=limit, sizes=EventBufferSizes.all(500), **settings)  # type: ignore[arg-type]
    for index in range(100):
        o.add(index, AnalogInput(C1), index)
    for index in range(2000):
        o.add(index, BinaryInput(static_variation=1), index % 3 == 0)
    for index in range(200, 260):
        o.add(index, Counter(), index)
    for value in (1000, 2000):
        for index in range(100):
            o.update(AI, index, value + index)
    return o


def poll(o: Harness, request: str, *, chance: random.Random | None = None) -> list[bytes]:
    """Read, confirm every fragment that asks for it, some only when it came again; return the fragments."""
    octets = bytes.fromhex(request)
    o.send(octets)
    fragments = []
    sequence = octets[0] & 15
    while True:
        ((_, fragment),) = o.heard
        o.heard.clear()
        if chance is not None and fragment[0] & 0x20 and chance.random() < 0.5:
            o.send(octets)
            assert [each for _, each in o.heard] == [fragment], "a lost fragment comes again"
            o.heard.clear()
        control = fragment[0]
        assert control & 15 == sequence
        assert bool(control & 0x80) == (not fragments)
        assert not control & 0x10
        fragments.append(fragment)
        if control & 0x20:
            o.send(bytes((0xC0 | sequence, 0)))
        else:
            assert not o.heard
        if control & 0x40:
            assert not o.heard
            return fragments
        assert control & 0x20, "every fragment but the last must ask for a confirm"
        sequence = (sequence + 1) % 16


def points_in(fragments: list[bytes]) -> list[tuple[int, int, int | None]]:
    """Take group, index and value of everything apart."""
    found: list[tuple[int, int, int | None]] = []
    for fragment in fragments:
        at = 4
        while at < len(fragment):
            group, variation, qualifier = fragment[at : at + 3]
            at += 3
            if qualifier == 0x17:
                count = fragment[at]
                at += 1
                assert (group, variation) == (32, 3)
                for _ in range(count):
                    found.append((32, fragment[at], int.from_bytes(fragment[at + 2 : at + 6], "little")))
                    at += 12
                continue
            width = 1 if qualifier == 0 else 2
            assert qualifier in (0, 1)
            start = int.from_bytes(fragment[at : at + width], "little")
            stop = int.from_bytes(fragment[at + width : at + 2 * width], "little")
            at += 2 * width
            indices = range(start, stop + 1)
            if (group, variation) == (1, 1):
                packed = int.from_bytes(fragment[at : at + (len(indices) + 7) // 8], "little")
                found += [(1, index, packed >> index - start & 1) for index in indices]
                at += (len(indices) + 7) // 8
                continue
            assert variation == 1
            for index in indices:
                found.append((group, index, int.from_bytes(fragment[at + 1 : at + 5], "little")))
                at += 5
        assert at == len(fragment)
    return found


EVERYTHING = [
    *((32, index, 1000 + index) for index in range(100)),
    *((32, index, 2000 + index) for index in range(100)),
    *((1, index, index % 3 == 0) for index in range(2000)),
    *((20, index, index) for index in range(200, 260)),
    *((30, index, 2000 + index) for index in range(100)),
]
INTEGRITY = "cd 01 3c 02 06 3c 03 06 3c 04 06 3c 01 06"


@pytest.mark.parametrize("limit", [249, 250, 251, 292, 500, 2048, 65535])
def test_everything_arrives_in_fragments_of_any_size(limit: int) -> None:
    o = many(limit)
    fragments = poll(o, INTEGRITY)
    assert points_in(fragments) == EVERYTHING
    assert all(len(fragment) > limit - 20 for fragment in fragments[:-1]), "fragments are filled"
    # The same again without events: from now on it may be kept.
    for _ in range(3):
        fragments = poll(o, INTEGRITY)
        assert points_in(fragments) == EVERYTHING[200:]


@pytest.mark.parametrize("limit", [249, 2048])
def test_lost_fragments_come_again(limit: int) -> None:
    fragments = poll(many(limit), INTEGRITY, chance=random.Random(1815))
    assert points_in(fragments) == EVERYTHING


@pytest.mark.parametrize("limit", [249, 800])
def test_a_lost_confirm_in_the_middle_loses_nothing(limit: int) -> None:
    o = many(limit)
    o.send(bytes.fromhex(INTEGRITY))
    confirmed = []
    for sequence in (13, 14):
        ((_, fragment),) = o.heard
        o.heard.clear()
        confirmed.append(fragment)
        o.send(bytes((0xC0 | sequence, 0)))
    o.heard.clear()
    o.wait(5)
    assert o.user.notes[-1] == "timed_out solicited"
    # What was confirmed is gone, what was not comes again, in its order.
    rest = points_in(poll(o, INTEGRITY))
    assert points_in(confirmed)[:200] + [each for each in rest if each[0] == 32] == EVERYTHING[:200]
    assert [each for each in rest if each[0] != 32] == EVERYTHING[200:]


def test_a_fragment_boundary_in_octets() -> None:
    o = Harness(longest_response=249)
    for index in range(50):
        o.add(index, Counter(), index)
    first = " ".join(f"01 {index:02x} 00 00 00" for index in range(48))
    o.talk(f"""
        > c0 01 14 01 06
        < a0 81 00 00 14 01 00 00 2f {first}
        ? 5.0
        > c0 00
        < 41 81 00 00 14 01 00 30 31 01 30 00 00 00 01 31 00 00 00
        ? -
        > c1 00                                  # the last asked for none
    """)
    assert o.user.notes[-1] == "unexpected solicited 1"


def test_static_data_are_those_of_the_moment_of_the_request() -> None:
    for is_kept in (False, True):
        o = Harness(longest_response=249)
        for index in range(50):
            o.add(index, Counter(), 1)
        if is_kept:
            poll(o, "c3 01 14 01 06")
        o.send(bytes.fromhex("c4 01 14 01 06"))
        o.heard.clear()
        o.update(CT, 49, 99)
        o.talk("""
            > c4 00
            < 45 81 00 00 14 01 00 30 31 01 01 00 00 00 01 01 00 00 00
            > c6 01 14 01 00 31 31
            < c6 81 00 00 14 01 00 31 31 01 63 00 00 00
        """)


def test_events_that_come_between_fragments_wait_for_the_next_read() -> None:
    o = many(249)
    o.send(bytes.fromhex(INTEGRITY))
    o.update(AI, 7, 9999)
    ((_, fragment),) = o.heard
    o.heard.clear()
    fragments = [fragment]
    while fragment[0] & 0x20:
        o.send(bytes((0xC0 | fragment[0] & 15, 0)))
        if not o.heard:
            break
        ((_, fragment),) = o.heard
        o.heard.clear()
        fragments.append(fragment)
    assert points_in(fragments) == EVERYTHING
    assert (32, 7, 9999) in points_in(poll(o, INTEGRITY))


def test_an_event_too_long_for_any_fragment_does_not_stop_the_others() -> None:
    o = Harness(longest_response=249)
    o.add(0, OctetString(C1), b"x")
    o.add(1, BinaryInput(C1))
    o.update(OS, 0, b"y" * 255)
    o.update(BI, 1, 1)
    o.talk(f"""
        > c0 01 3c 02 06
        < e0 81 00 00 02 02 17 01 01 81 {T}
        > c0 00
    """)
    o.update(OS, 0, b"z" * 255)
    o.talk("""
        > c1 01 3c 02 06
        < e1 81 00 00
        > c1 00
        > c2 01 6e 00 06 01 02 06                # as a static object it cannot be sent either
        < c2 81 00 00 01 02 00 01 01 81
    """)


def test_the_longest_octet_string_fits_the_common_fragment() -> None:
    o = Harness()
    o.add(0, OctetString(C1), b"x")
    o.update(OS, 0, b"y" * 255)
    o.talk(f"""
        > c0 01 3c 02 06 6e 00 06
        < e0 81 00 00 6f ff 17 01 00 {"79" * 255} 6e ff 00 00 00 {"79" * 255}
    """)


# Answers that are kept.


def test_kept_answers_are_never_stale() -> None:
    """A random life of a database, polled by an outstation that keeps answers and one that never does."""
    chance = random.Random(1815)
    keeping, never = (Harness(longest_response=300) for _ in range(2))
    never_keeps(never)
    requests = [
        "3c 01 06",
        "1e 00 06",
        "1e 05 00 00 05",
        "14 00 17 02 00 03",
        "22 00 06",
        "22 01 06",
        "01 01 06",
        "6e 00 06",
        "3c 02 06 3c 01 06",
        "3c 03 07 02 1e 02 06",
        "00 fe 06",
        "50 01 00 00 0f",
        "32 01 07 01",
        "20 00 06",
        "28 00 06 0a 00 06",
    ]
    for round_ in range(3000):
        for o in (keeping, never):
            o.now = round_ / 10
        if chance.random() < 0.4:
            change = random_change(chance, keeping)
            for o in (keeping, never):
                change(o)
                o.settle()
        request = f"c{round_ % 16:x} 01 {chance.choice(requests)}"
        assert poll(keeping, request) == poll(never, request)
    assert keeping.session._reader._kept
    assert not never.session._reader._kept


def never_keeps(o: Harness) -> None:
    class Nothing(dict):  # type: ignore[type-arg]
        def __setitem__(self, key: object, value: object) -> None:
            pass

    o.session._reader._kept = Nothing()


def random_change(chance: random.Random, like: Harness) -> object:
    """Return something to do to both databases."""
    index, value = chance.randrange(6), chance.randrange(4)
    makers = {
        AI: lambda: AnalogInput(EventClass(value), static_variation=1 + index),
        CT: lambda: Counter(EventClass(value), in_class_0=index % 2 == 0),
        BI: lambda: BinaryInput(EventClass(value), static_variation=1 + value % 2),
        OS: lambda: OctetString(EventClass(value), in_class_0=True),
        PointKind.ANALOG_OUTPUT: lambda: AnalogOutput(EventClass(value)),
        PointKind.BINARY_OUTPUT: lambda: BinaryOutput(EventClass(value)),
    }
    kind = chance.choice(list(makers))
    if not like.database.has(kind, index):
        return lambda o: o.add(index, makers[kind](), b"new" if kind is OS else value)
    match chance.randrange(8):
        case 0:
            return lambda o: o.database.remove(kind, index)
        case 1 if kind is AI:
            return lambda o: o.database.set_deadband(index, value / 2)
        case 2:
            return lambda o: o.database.set_flags(kind, index, 1 + 4 * (value % 2))
        case 3:
            return lambda o: o.database.assign_class(kind, [index], EventClass(value))
        case 4:
            # An event, and no change of what a read of static data tells.
            same = like.database.get(kind, index)
            return lambda o: o.database.update(kind, index, same, detect=EventDetection.FORCE)
        case _:
            new = bytes((value,)) * (1 + index) if kind is OS else value
            return lambda o: o.update(kind, index, new)


def test_a_kept_answer_does_not_hide_an_event() -> None:
    o = outstation()
    o.add(5, BinaryOutput(command_class=C1))
    o.talk(f"""
        > c0 01 3c 02 06 22 02 00 01 01
        < c0 81 00 00 22 02 00 01 01 02 00 00 00
        > c1 05 0c 01 17 01 05 03 01 00 00 00 00 00 00 00 00 00
        < c1 81 02 00 0c 01 17 01 05 03 01 00 00 00 00 00 00 00 00 00
        > c2 01 3c 02 06 22 02 00 01 01
        < e2 81 00 00 0d 02 17 01 05 80 {T} 22 02 00 01 01 02 00 00 00
        +5                                       # no confirm: it waits again
        > c3 01 3c 02 06 22 02 00 01 01
        < e3 81 00 00 0d 02 17 01 05 80 {T} 22 02 00 01 01 02 00 00 00
        > c3 00
        > c4 01 3c 02 06 22 02 00 01 01
        < c4 81 00 00 22 02 00 01 01 02 00 00 00
    """)


def test_what_is_kept_is_bounded() -> None:
    o = many(2048)
    poll(o, INTEGRITY)
    # 16 answers at most, and none of more than 64 KiB: 150 times class 0 is more.
    long = "3c 01 06" * 150
    poll(o, f"c0 01 {long}")
    kept = o.session._reader._kept
    assert all(bytes.fromhex(long) != body for body, _ in kept)
    for index in range(100):
        poll(o, f"c0 01 14 00 06 01 00 00 00 {index:02x}")
    assert 0 < len(kept) <= 16


def test_an_answer_with_a_fault_is_told_every_time() -> None:
    o = outstation()
    for sequence in "012":
        o.talk(f"""
            > c{sequence} 01 01 00 00 01 09
            < c{sequence} 81 00 04 01 02 00 01 02 81 01 01 02 00 05 05 04
        """)


def test_what_nobody_can_read_anew_is_not_kept() -> None:
    o = outstation()
    o.talk(f"""
        > c0 01 32 01 07 01
        < c0 81 00 00 32 01 07 01 {T}
        +0.232
        > c1 01 32 01 07 01
        < c1 81 00 00 32 01 07 01 e8 68 e5 cf 8b 01
        > c2 01 50 01 00 00 07
        < c2 81 00 00 50 01 00 00 07 00
    """)
    o.user.answers["indications"] = Iin.NEED_TIME
    o.talk("""
        > c3 01 50 01 00 00 07
        < c3 81 10 00 50 01 00 00 07 10
    """)


def test_reading_much_at_once_takes_no_time() -> None:
    """The widest ranges, as often as a request holds them: work that grows with them would take minutes."""
    o = outstation(longest_response=249)
    started = process_time()
    for group, variation in ((50, 4), (0, 254), (0, 255), (1, 0), (34, 0), (110, 0)):
        body = bytes((group, variation, 1, 0, 0, 0xFF, 0xFF)) * 290
        request = parse_request(b"\xc0\x01" + body)
        assert isinstance(request, Request)
        parts, _ = o.session._reader.read(request, 245)
        next(parts, None)
    assert process_time() - started < 2
