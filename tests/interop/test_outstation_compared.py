"""The same requests, in octets, to an outstation of opendnp3 and to one of ours with the same points.

Where the standard leaves a choice the answers are brought to one form first:
  - the order of groups within class 0, and of headers of events that happened at once;
  - the width of a count and of index prefixes (qualifiers 0x17 and 0x28).
`DIFFERENCES` has everything else in which they differ, and who does what IEEE 1815 says.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from bridge.application.measurement import Measurement, PointKind
from bridge.outstation.config import OutstationConfig, UnsolicitedConfig
from bridge.outstation.database import Database
from bridge.outstation.events import EventBuffer, EventBufferSizes
from bridge.outstation.points import (
    AnalogInput,
    AnalogOutput,
    BinaryInput,
    BinaryOutput,
    Counter,
    DoubleBitInput,
    EventClass,
    FrozenCounter,
    PointConfig,
)
from bridge.outstation.values import EventDetection
from tests.support import peers
from tests.support.local_outstation import LocalOutstation
from tests.support.opendnp3 import Outstation, o, values_of_every_kind
from tests.support.opendnp3_reader import ReadingOpendnp3
from tests.support.plants import EPOCH_MS, FORMS
from tests.support.raw_requests import Fragment, RawRequests
from tests.support.recordings import GAPS, complaints_about
from tests.support.waiting import until
from tests.support.wire_crc import frame

pytestmark = [pytest.mark.wire, pytest.mark.peer]

POINTS = 5
READ, WRITE, SELECT, OPERATE, DIRECT_OPERATE = 1, 2, 3, 4, 5
FREEZE, FREEZE_CLEAR, COLD_RESTART, WARM_RESTART = 7, 9, 13, 14
ENABLE_UNSOLICITED, DISABLE_UNSOLICITED, ASSIGN_CLASS = 20, 21, 22
DELAY_MEASURE, RECORD_CURRENT_TIME = 23, 24
CLASS_0, CLASS_1 = "3c 01 06", "3c 02 06"
INTEGRITY = "3c 02 06 3c 03 06 3c 04 06 3c 01 06"
FIRST_ANALOG = "1e 01 00 00 00"
CROB = "03 01 64 00 00 00 64 00 00 00 00"
TIME = "00 68 e5 cf 8b 01"

_KINDS = {
    "Binary": PointKind.BINARY_INPUT,
    "BinaryOutputStatus": PointKind.BINARY_OUTPUT,
    "DoubleBitBinary": PointKind.DOUBLE_BIT_INPUT,
    "Analog": PointKind.ANALOG_INPUT,
    "AnalogOutputStatus": PointKind.ANALOG_OUTPUT,
    "Counter": PointKind.COUNTER,
}
_PEER_KINDS = (
    *("binary_input", "double_binary", "analog_input", "counter", "frozen_counter"),
    *("binary_output_status", "analog_output_status"),
)
# opendnp3's own defaults: its binding cannot set them.
_CONFIGS: tuple[PointConfig, ...] = (
    BinaryInput(EventClass.CLASS_1, event_variation=1),
    DoubleBitInput(EventClass.CLASS_1, event_variation=1),
    BinaryOutput(EventClass.CLASS_1, event_variation=1),
    Counter(EventClass.CLASS_1),
    FrozenCounter(EventClass.CLASS_1),
    AnalogInput(EventClass.CLASS_1, event_variation=1),
    AnalogOutput(EventClass.CLASS_1, event_variation=1),
)


class Pair(NamedTuple):
    """A master of each outstation, and the outstations."""

    ours: RawRequests
    theirs: RawRequests
    out: LocalOutstation
    peer: Outstation

    def ask(self, function: int, body: str) -> tuple[list[Fragment], list[Fragment]]:
        """Ask both the same."""
        return self.ours.ask(function, body), self.theirs.ask(function, body)

    def set(self, seed: int, *, makes_events: bool) -> None:
        """Give the points of both the same new values."""
        values = values_of_every_kind(POINTS, seed)
        self.peer.set(values, makes_events=makes_events)
        detect = EventDetection.FORCE if makes_events else EventDetection.SUPPRESS

        def change(database: Database) -> None:
            for point, value in values.items():
                measurement = Measurement(getattr(value, "value", value))
                database.update(_KINDS[point.kind], point.index, measurement, detect=detect)

        self.out.update(change)


@contextmanager
def serving(kinds: tuple[str, ...] = _PEER_KINDS) -> Iterator[Pair]:
    database = Database(EventBuffer(EventBufferSizes.all(100)))
    for config in _CONFIGS:
        for index in range(POINTS):
            database.add(index, config)
    config = OutstationConfig(unsolicited=UnsolicitedConfig(is_supported=False), keep_alive_s=None)
    with LocalOutstation(database, config, has_feedback=False) as out, ReadingOpendnp3() as manager:
        channel, port = manager.listen()
        peer = manager.outstation(channel, 1024, points=POINTS, kinds=kinds)
        with RawRequests(out.port) as ours, RawRequests(until(lambda: port, "a port")) as theirs:
            pair = Pair(ours, theirs, out, peer)
            pair.set(3, makes_events=False)
            # Applied by opendnp3's own thread, before the answer to what comes now or soon after.
            until(lambda: theirs.ask(READ, FIRST_ANALOG)[0].objects[6:7] == b"\xb8", "the values are there")
            ours.sequence = theirs.sequence
            yield pair


@pytest.fixture
def pair() -> Iterator[Pair]:
    with serving() as pair:
        yield pair


class Objects(NamedTuple):
    """One object header with its objects, in one form."""

    group: int
    variation: int
    is_indexed: bool
    objects: tuple[bytes, ...]


def taken_apart(objects: bytes) -> list[Objects]:
    """Take the headers of a response apart; each point or event is its index and its octets."""
    found, at = [], 0
    while at < len(objects):
        group, variation, qualifier = objects[at : at + 3]
        at += 3
        width = {0x00: 1, 0x01: 2, 0x07: 1, 0x08: 2, 0x17: 1, 0x28: 2}[qualifier]
        if qualifier in (0x00, 0x01):
            start, stop = (
                int.from_bytes(objects[at + n * width : at + (n + 1) * width], "little") for n in (0, 1)
            )
            at, prefix, count = at + 2 * width, 0, stop - start + 1
        else:
            start, prefix = 0, width if qualifier in (0x17, 0x28) else 0
            count = int.from_bytes(objects[at : at + width], "little")
            at += width
        points = []
        size = size_of(group, variation)
        if not size:  # packed
            length = (count * (2 if group == 3 else 1) + 7) // 8
            points.append(objects[at : at + length])
            at += length
        else:
            for number in range(count):
                index = int.from_bytes(objects[at : at + prefix], "little") if prefix else start + number
                at += prefix
                points.append(index.to_bytes(2, "little") + objects[at : at + size])
                at += size
        found.append(Objects(group, variation, prefix > 0, tuple(points)))
    assert at == len(objects)
    return found


def size_of(group: int, variation: int) -> int:
    """The octets of one object by the standard; 0 for the packed ones."""
    others = {(12, 1): 11, (41, 1): 5, (41, 2): 3, (41, 3): 5, (41, 4): 9, (2, 3): 3, (4, 3): 3}
    if (group, variation) in others:
        return others[group, variation]
    form = FORMS[group, variation]
    if not form.number and not form.has_flags:
        return 0
    number = {"": 0, "H": 2, "h": 2, "I": 4, "i": 4, "f": 4, "d": 8}[form.number]
    return form.has_flags + number + 6 * form.has_time


def in_one_form(fragments: list[Fragment]) -> list[tuple[int, int, int, list[Objects]]]:
    """Bring an answer to the form in which both must agree."""
    return [(each.control, each.function, each.iin, sorted(taken_apart(each.objects))) for each in fragments]


# Octet for octet

SAME = {
    "class 1 without events": (READ, CLASS_1),
    "a function that nobody has": (70, ""),
    "INITIALIZE_DATA": (15, ""),
    "SAVE_CONFIG": (19, ""),
    "AUTHENTICATE_REQ": (32, ""),
    "ACTIVATE_CONFIG": (31, ""),
    "an unknown object": (READ, "c8 01 06"),
    "an unknown variation": (READ, "1e 09 06"),
    "out of range at the end": (READ, "1e 01 00 03 06"),
    "out of range": (READ, "1e 01 00 63 66"),
    "start after stop": (READ, "1e 01 00 05 02"),
    "a header cut short": (READ, "1e 01 00"),
    "an unknown qualifier": (READ, "1e 01 5c"),
    "g30v0": (READ, "1e 00 06"),
    "g30v1, 16-bit range": (READ, "1e 01 01 01 00 03 00"),
    "g30v2": (READ, "1e 02 06"),
    "g30v5": (READ, "1e 05 06"),
    "g1v0, range": (READ, "01 00 00 01 03"),
    "g1v1, packed": (READ, "01 01 06"),
    "g3v1, packed": (READ, "03 01 06"),
    "g10v0": (READ, "0a 00 06"),
    "g20v0": (READ, "14 00 06"),
    "g20v5": (READ, "14 05 06"),
    "g21v0": (READ, "15 00 06"),
    "g40v0": (READ, "28 00 06"),
    "two ranges": (READ, "1e 01 00 00 00 1e 02 00 04 04"),
    "nothing to read": (READ, ""),
    "a read of prefixed objects": (READ, "1e 01 17 02 01 03"),
    "the restart bit": (WRITE, "50 01 00 07 07 00"),
    "another indication": (WRITE, "50 01 00 04 04 00"),
    "the restart bit, set": (WRITE, "50 01 00 07 07 01"),
    "the time": (WRITE, "32 01 07 01" + TIME),
    "a recorded time that was not recorded": (WRITE, "32 03 07 01" + TIME),
    "DELAY_MEASURE": (DELAY_MEASURE, ""),
    "RECORD_CURRENT_TIME": (RECORD_CURRENT_TIME, ""),
    "DISABLE_UNSOLICITED, where there is none": (DISABLE_UNSOLICITED, "3c 02 06 3c 03 06 3c 04 06"),
    "ENABLE_UNSOLICITED, where there is none": (ENABLE_UNSOLICITED, "3c 02 06"),
    "OPERATE without SELECT": (OPERATE, "0c 01 17 01 00" + CROB),
    "SELECT": (SELECT, "0c 01 17 01 00" + CROB),
    "DIRECT_OPERATE": (DIRECT_OPERATE, "0c 01 17 01 01" + CROB),
    "DIRECT_OPERATE, 16-bit": (DIRECT_OPERATE, "0c 01 28 01 00 01 00" + CROB),
    "DIRECT_OPERATE of two kinds": (
        DIRECT_OPERATE,
        "0c 01 17 01 00" + CROB + "29 01 17 01 01 05 00 00 00 00",
    ),
    "DIRECT_OPERATE of a float": (DIRECT_OPERATE, "29 03 17 01 01 00 00 c0 3f 00"),
    "DIRECT_OPERATE of nothing": (DIRECT_OPERATE, "0c 01 17 00"),
    "DIRECT_OPERATE cut short": (DIRECT_OPERATE, "0c 01 17 01 00 03"),
    "freeze": (FREEZE, "14 00 06"),
    "freeze and clear": (FREEZE_CLEAR, "14 00 06"),
}


@pytest.mark.parametrize("name", SAME)
def test_the_answers_are_the_same_octet_for_octet(pair: Pair, name: str) -> None:
    ours, theirs = pair.ask(*SAME[name])
    assert [str(each) for each in ours] == [str(each) for each in theirs]


def test_select_and_operate_are_answered_with_the_same_octets(pair: Pair) -> None:
    for function in (SELECT, OPERATE, OPERATE):
        ours, theirs = pair.ask(function, "0c 01 17 01 02" + CROB)
        assert ours == theirs


def test_a_request_that_comes_again_is_answered_again(pair: Pair) -> None:
    for each in (pair.ours, pair.theirs):
        each.send_request(DIRECT_OPERATE, "0c 01 17 01 02" + CROB, 9)
        each.send_request(DIRECT_OPERATE, "0c 01 17 01 02" + CROB, 9)
    answers = [[each.answer(), each.answer()] for each in (pair.ours, pair.theirs)]
    assert answers[0] == answers[1]
    assert answers[0][0] == answers[0][1]
    assert len(pair.out.device.operated) == 1


# In one form

SAME_IN_ONE_FORM = {
    "class 0": (READ, CLASS_0),
    "integrity": (READ, INTEGRITY),
    "class 1": (READ, CLASS_1),
    "limited count of class 1": (READ, "3c 02 07 02"),
    "g32v3": (READ, "20 03 06"),
    "g2v0": (READ, "02 00 06"),
    "g22v5, limited": (READ, "16 05 08 03 00"),
    "g42v7": (READ, "2a 07 06"),
    "g11v2, then class 0": (READ, "0b 02 06" + CLASS_0),
    "all static groups": (READ, "01 02 06 03 02 06 0a 02 06 14 01 06 15 01 06 1e 01 06 28 01 06"),
}


@pytest.mark.parametrize("makes_events", [False, True], ids=["no events", "events"])
@pytest.mark.parametrize("name", SAME_IN_ONE_FORM)
def test_the_answers_are_the_same_in_one_form(pair: Pair, name: str, makes_events: bool) -> None:
    if makes_events:
        pair.set(4, makes_events=True)
        until(lambda: pair.theirs.ask(READ, FIRST_ANALOG)[0].iin & 2, "the events are there")
        pair.ours.sequence = pair.theirs.sequence
    ours, theirs = pair.ask(*SAME_IN_ONE_FORM[name])
    assert merged(in_one_form(ours)) == merged(in_one_form(theirs))
    # The confirm has removed the same events from both.
    ours, theirs = pair.ask(READ, CLASS_1)
    assert merged(in_one_form(ours)) == merged(in_one_form(theirs))


def merged(fragments: list[tuple[int, int, int, list[Objects]]]) -> list[object]:
    """Join the headers of one variation: who begins a new one, and when, is open."""
    joined = []
    for control, function, iin, headers in fragments:
        together: dict[tuple[int, int, bool], list[bytes]] = {}
        for header in headers:
            together.setdefault((header.group, header.variation, header.is_indexed), []).extend(
                header.objects
            )
        joined.append((control, function, iin, {key: sorted(each) for key, each in together.items()}))
    return joined


# Differences


class Difference(NamedTuple):
    """A request, what each answers with (indications and objects), and why."""

    function: int
    body: str
    ours: str
    theirs: str
    reason: str


_RESTARTED = "80 00"
DIFFERENCES = {
    "an unknown object before class 0": Difference(
        READ,
        "c8 01 06 1e 01 00 00 00",
        "80 02 1e 01 00 00 00 01 b8 0b 00 00",
        "80 02",
        "a READ is answered as far as it can be, with IIN2.1 for the rest; opendnp3 gives up the whole",
    ),
    "a count of static data": Difference(
        READ,
        "1e 01 07 02",
        "80 00 1e 01 00 00 01 01 b8 0b 00 00 01 b9 0b 00 00",
        "80 02",
        "a limited quantity of static data may be answered, no subset level asks for it",
    ),
    "indications": Difference(
        READ,
        "50 01 00 00 0f",
        "80 00 50 01 00 00 0f 80 00",
        "80 02",
        "g80v1 may be read; opendnp3 takes it in WRITE alone",
    ),
    "deadbands": Difference(
        READ,
        "22 02 00 00 00",
        "80 00 22 02 00 00 00 00 00 00 00",
        "80 02",
        "level 4 reads g34; opendnp3's outstation has no deadbands over the wire",
    ),
    "cold restart": Difference(
        COLD_RESTART,
        "",
        "80 00 34 02 07 01 d2 04",
        "80 01",
        "the application behind opendnp3's outstation refuses here",
    ),
    "freezing analog inputs": Difference(
        FREEZE, "1e 00 06", "80 00", "80 04", "opendnp3 has no frozen analogs, and says PARAMETER_ERROR"
    ),
    "freezing binary inputs": Difference(
        FREEZE,
        "01 00 06",
        "80 02",
        "80 04",
        "an object that the function cannot have is unknown to it: IIN2.1; opendnp3 says PARAMETER_ERROR",
    ),
    "assign class": Difference(
        ASSIGN_CLASS, "3c 02 06 1e 00 06", "80 00", "80 01", "opendnp3's application refuses here"
    ),
    "writing to an analog input": Difference(
        WRITE,
        "1e 01 17 01 00 01 00 00 00 00",
        "80 02",
        "80 04",
        "as with freezing: the object is unknown to WRITE",
    ),
    "reading a command": Difference(
        READ,
        "0c 01 06",
        "80 02",
        "80 01",
        "READ is supported, g12 not with it: IIN2.1; opendnp3 says that the function is not supported",
    ),
    "class 0 with a count": Difference(
        READ, "3c 01 07 05", "80 04", "80 02", "the object is known, its qualifier not: IIN2.2"
    ),
    "objects where there are none": Difference(
        RECORD_CURRENT_TIME, "3c 01 06", "80 02", "80 04", "no object goes with the function: IIN2.1"
    ),
    "a control of an output that is not there": Difference(
        DIRECT_OPERATE,
        "0c 01 17 01 63" + CROB,
        "80 00 0c 01 17 01 63 03 01 64 00 00 00 64 00 00 00 0c",
        "80 00 0c 01 17 01 63 03 01 64 00 00 00 64 00 00 00 00",
        "the test's device refuses what is out of range; the test's opendnp3 handler accepts all",
    ),
}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_differences_are_as_judged(pair: Pair, name: str) -> None:
    difference = DIFFERENCES[name]
    ours, theirs = pair.ask(difference.function, difference.body)
    for answer, expected in ((ours, difference.ours), (theirs, difference.theirs)):
        (fragment,) = answer
        assert str(fragment)[6:] == expected, difference.reason
    assert ours[0].control == theirs[0].control


# What the dissector cannot read of opendnp3 either


def frame_of(fragment: Fragment) -> bytes:
    """One frame with a short fragment."""
    octets = bytes((fragment.control, fragment.function)) + fragment.iin.to_bytes(2, "little")
    return frame(0x44, 1, 1024, b"\xc0" + octets + fragment.objects)


def test_the_dissector_cannot_read_opendnp3s_octets_either(tmp_path: Path) -> None:
    """Indexed times, double-bit events with relative times, the common time of a clock that was not set."""
    peers.require("tshark")
    with serving((*_PEER_KINDS, "time_and_interval")) as pair:
        (schedule,) = pair.theirs.ask(READ, "32 04 00 00 00")
        assert schedule.objects[:5] == bytes.fromhex("32 04 00 00 00")
        builder = o.UpdateBuilder()
        unsynchronized = o.DNPTime(EPOCH_MS, o.TimestampQuality.UNSYNCHRONIZED)
        builder.Update(o.Binary(True, o.Flags(1), unsynchronized), 1, o.EventMode.Force)
        for index in range(3):
            double_bit = o.DoubleBitBinary(o.DoubleBit.DETERMINED_ON)
            double_bit.flags = o.Flags(0x81)  # the binding leaves the state bits to its user
            double_bit.time = o.DNPTime(EPOCH_MS + index, o.TimestampQuality.SYNCHRONIZED)
            builder.Update(double_bit, index, o.EventMode.Force)
        pair.peer._stack.Apply(builder.Build())

        def change(database: Database) -> None:
            binary = Measurement(True, 1, EPOCH_MS, is_time_synchronized=False)
            database.update(PointKind.BINARY_INPUT, 1, binary, detect=EventDetection.FORCE)
            for index in range(3):
                double_bit = Measurement(2, 1, EPOCH_MS + index)
                database.update(PointKind.DOUBLE_BIT_INPUT, index, double_bit, detect=EventDetection.FORCE)

        pair.out.update(change)
        until(lambda: pair.theirs.ask(READ, FIRST_ANALOG)[0].iin & 2, "the events are there")
        answers = {"g50v4": [schedule]}
        for name, body in (("g51v2", "02 03 06"), ("g4v3", "04 03 06")):
            ours, theirs = pair.ask(READ, body)
            assert [each.objects[:10] for each in ours] == [each.objects[:10] for each in theirs]
            assert taken_apart(ours[0].objects[10:]) == taken_apart(theirs[0].objects[10:])
            answers[name] = [*ours, *theirs]
    for name, fragments in answers.items():
        found = complaints_about(map(frame_of, fragments), tmp_path)
        # The same of theirs as of ours; nothing, once the dissector has learned it.
        assert len({tuple(found.get(number, ())) for number in range(len(fragments))}) == 1
        assert GAPS[name].complaints.issuperset(found.get(0, ())), name
