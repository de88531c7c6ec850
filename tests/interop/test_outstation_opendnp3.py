"""opendnp3's master over TCP at an outstation of ours: every object that it understands, every function.

What it must read of each point is worked out in `tests.support.plants`, which asks nothing of ours.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bridge.application.attribute import Attribute, AttributeType
from bridge.application.command import AnalogOutputCommand, Crob
from bridge.application.function import Function, Iin
from bridge.application.measurement import Measurement, PointKind
from bridge.outstation.attributes import AttributeStore
from bridge.outstation.config import OutstationConfig, UnsolicitedConfig
from bridge.outstation.database import Database
from bridge.outstation.events import EventBuffer, EventBufferSizes
from bridge.outstation.handlers import FreezeType
from bridge.outstation.points import AnalogInput, EventClass
from bridge.outstation.values import EventDetection
from tests.support import peers
from tests.support.capture import RecordingProxy
from tests.support.local_outstation import COLD_RESTART, LocalOutstation
from tests.support.opendnp3 import ALL_CLASSES, o
from tests.support.opendnp3_reader import Attribute as AttributeHeard
from tests.support.opendnp3_reader import ReadingMaster, ReadingOpendnp3
from tests.support.plants import (
    EPOCH_MS,
    EVENT_FORMS,
    POINTS,
    STATIC_FORMS,
    Reading,
    all_as_read,
    as_configured,
    as_read,
    config_of,
    event_class_of,
    measurement_of,
    measurements_of,
    plant,
)
from tests.support.recordings import Recordings
from tests.support.waiting import PATIENCE_S, until

pytestmark = [pytest.mark.wire, pytest.mark.peer]

OUTSTATION = 1024
CLASSES = (EventClass.CLASS_1, EventClass.CLASS_2, EventClass.CLASS_3)
STATIC = [(kind, group, v) for (kind, group), forms in STATIC_FORMS.items() for v in forms]
EVENTS = [(kind, group, v) for (kind, group), forms in EVENT_FORMS.items() for v in forms]
QUIET = UnsolicitedConfig(is_supported=True, confirm_timeout_s=PATIENCE_S)
LEAST_FRAMES = 1500
NO_RESPONSE_S = 2.0


class Bench(NamedTuple):
    """One master, one outstation."""

    out: LocalOutstation
    master: ReadingMaster
    proxy: RecordingProxy

    @property
    def iin(self) -> Iin:
        """The indications of the last response."""
        return Iin(int.from_bytes(bytes(self.master.indications[-1]), "little"))


@pytest.fixture(scope="module")
def recordings() -> Recordings:
    return Recordings()


@contextmanager
def serving(
    recordings: Recordings,
    name: str,
    database: Database | None = None,
    *,
    config: OutstationConfig | None = None,
    attributes: AttributeStore | None = None,
    needs_time: bool = False,
    is_master_right: bool = True,
    is_quiet: bool = True,
    **master_settings: Any,
) -> Iterator[Bench]:
    """Let a master begin with an outstation. Unless it is not to be quiet, events wait to be polled."""
    config = config or OutstationConfig(unsolicited=QUIET, confirm_timeout_s=PATIENCE_S)
    with ExitStack() as stack:
        out = stack.enter_context(LocalOutstation(database or plant(), config, attributes=attributes))
        out.device.needs_time = needs_time
        proxy = stack.enter_context(recordings.proxy(name, out.port, is_master_right=is_master_right))
        peer = stack.enter_context(ReadingOpendnp3())
        channel, states = peer.connect(proxy.port)
        master = peer.reader(channel, OUTSTATION, **master_settings)
        master.wait_until_started()
        if is_quiet:
            master.disable_unsolicited()
        master.take()
        yield Bench(out, master, proxy)
        assert (states.opens, states.closes, out.connects, out.device.timeouts) == (1, 0, 1, 0)


@pytest.fixture(scope="module")
def still(recordings: Recordings) -> Iterator[Bench]:
    """A plant in which nothing changes."""
    with serving(recordings, "static data") as bench:
        yield bench


@pytest.fixture(scope="module")
def eventful(recordings: Recordings) -> Iterator[Bench]:
    """A plant whose tests leave no event behind."""
    with serving(recordings, "events") as bench:
        yield bench


@pytest.fixture
def bench(recordings: Recordings, request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A plant of the test's own."""
    with serving(recordings, request.node.name) as bench:
        yield bench


@pytest.fixture(autouse=True)
def _nothing_heard(request: pytest.FixtureRequest) -> None:
    for name in ("still", "eventful"):
        if name in request.fixturenames:
            request.getfixturevalue(name).master.take()


def force(out: LocalOutstation, kind: PointKind, measurements: dict[int, Measurement]) -> None:
    """Make events, all at once."""

    def change(database: Database) -> None:
        with database.transaction() as transaction:
            for index, measurement in measurements.items():
                transaction.update(kind, index, measurement, detect=EventDetection.FORCE)

    out.update(change)


def wait_for_confirm(out: LocalOutstation) -> None:
    """Wait until the master's confirm has removed the events that it read."""
    out.wait_until_confirmed()


# Static data


def test_an_integrity_poll_brings_every_point_of_class_0(still: Bench) -> None:
    assert still.master.poll() == "SUCCESS"
    heard = still.master.take()
    assert sorted((each.reading for each in heard), key=repr) == sorted(as_configured(), key=repr)
    assert not any(each.is_event or each.is_unsolicited for each in heard)


@pytest.mark.parametrize(("kind", "group", "variation"), STATIC, ids=lambda each: str(each))
def test_every_static_variation_is_read(still: Bench, kind: PointKind, group: int, variation: int) -> None:
    master, measurements = still.master, measurements_of(kind)
    assert master.read_all(group, variation) == "SUCCESS"
    assert master.take_readings() == all_as_read(group, variation, measurements)
    assert master.read_range(group, variation, 3, 7) == "SUCCESS"
    inside = {index: measurements[index] for index in range(3, 8)}
    assert master.take_readings() == all_as_read(group, variation, inside)
    assert master.read([o.Header.Range8(group, variation, 9, 9), o.Header.Range16(group, variation, 0, 1)])
    ends = {index: measurements[index] for index in (9, 0, 1)}
    assert master.take_readings() == all_as_read(group, variation, ends)
    assert still.iin == Iin(0)


@pytest.mark.parametrize(("kind", "group"), STATIC_FORMS, ids=lambda each: str(each))
def test_the_configured_static_variation_is_read(still: Bench, kind: PointKind, group: int) -> None:
    assert still.master.read_all(group, 0) == "SUCCESS"
    expected = [
        as_read(group, config_of(kind, index).static_variation, index, measurement)
        for index, measurement in measurements_of(kind).items()
    ]
    assert still.master.take_readings() == expected


def test_limited_counts_of_static_data(still: Bench) -> None:
    assert still.master.read([o.Header.Count8(30, 6, 3), o.Header.Count16(20, 1, 2)]) == "SUCCESS"
    analogs, counters = (measurements_of(kind) for kind in (PointKind.ANALOG_INPUT, PointKind.COUNTER))
    assert still.master.take_readings() == [
        *(as_read(30, 6, index, analogs[index]) for index in range(3)),
        *(as_read(20, 1, index, counters[index]) for index in range(2)),
    ]


def test_octet_strings(still: Bench) -> None:
    expected = [
        Reading(110, 0, index, measurement.value, None)
        for index, measurement in measurements_of(PointKind.OCTET_STRING).items()
    ]
    assert still.master.read_all(110, 0) == "SUCCESS"
    assert still.master.take_readings() == expected
    assert still.master.read_range(110, 0, 2, 4) == "SUCCESS"
    assert still.master.take_readings() == expected[2:5]


def test_what_does_not_exist_is_indicated_and_the_rest_sent(still: Bench) -> None:
    assert still.master.read_range(30, 1, POINTS - 2, POINTS + 5) == "SUCCESS"
    assert len(still.master.take_readings()) == 2
    assert still.iin == Iin.PARAMETER_ERROR


def test_what_nobody_knows_is_indicated_and_the_rest_sent(recordings: Recordings) -> None:
    # What the master asks for is not in the dissector either.
    with serving(recordings, "unknown object", is_master_right=False) as bench:
        assert bench.master.read([o.Header.AllObjects(200, 1), o.Header.Range8(1, 2, 0, 0)]) == "SUCCESS"
        assert len(bench.master.take_readings()) == 1
        assert bench.iin == Iin.OBJECT_UNKNOWN


def test_the_time_is_read(still: Bench) -> None:
    still.master.soe.times_ms.clear()
    before_ms = time.time_ns() // 1_000_000
    assert still.master.read_all(50, 1) == "SUCCESS"
    (time_ms,) = still.master.soe.times_ms
    assert before_ms <= time_ms <= time.time_ns() // 1_000_000 + 1


def test_the_link_status_is_answered(still: Bench) -> None:
    assert still.master.check_link() == "True"


# Device attributes

ATTRIBUTES = {
    (0, 252): Attribute(AttributeType.VSTR, "maker"),
    (0, 247): Attribute(AttributeType.VSTR, "name"),
    (0, 244): Attribute(AttributeType.VSTR, "owner"),
    (0, 239): Attribute(AttributeType.UINT, 300),
    (0, 198): Attribute(AttributeType.TIME, EPOCH_MS),
    (0, 199): Attribute(AttributeType.TIME, EPOCH_MS + 1),
    (0, 200): Attribute(AttributeType.OSTR, b"\x0a\xff"),
    (3, 1): Attribute(AttributeType.UINT, 7),
}


def test_device_attributes(recordings: Recordings) -> None:
    attributes = AttributeStore()
    for (which, variation), attribute in ATTRIBUTES.items():
        attributes.define(variation, attribute, attribute_set=which, writable=variation == 247)
    with serving(recordings, "attributes", attributes=attributes) as bench:
        heard = bench.master.soe.attributes
        for (which, variation), attribute in ATTRIBUTES.items():
            heard.clear()
            assert bench.master.read_range(0, variation, which, which) == "SUCCESS"
            assert heard == [AttributeHeard(which, variation, attribute.value)]
        # opendnp3 refuses g0v255, the list of attributes, with any qualifier.
        assert bench.master.read_range(0, 255, 0, 0) == "FAILURE_BAD_RESPONSE"
        heard.clear()
        assert bench.master.read_range(0, 254, 0, 0) == "SUCCESS"
        assert {(each.attribute_set, each.variation): each.value for each in heard} == {
            key: attribute.value for key, attribute in ATTRIBUTES.items() if key[0] == 0
        }
        text = Attribute(AttributeType.VSTR, "new name").encode()
        header = bytes((0, 247, 0, 0, 0)) + text
        assert bench.master.perform("WRITE", [o.Header.Raw(header)]) == "SUCCESS"
        assert attributes.get(247) == Attribute(AttributeType.VSTR, "new name")
        assert bench.iin == Iin(0)


# Events


@pytest.mark.parametrize(("kind", "group", "variation"), EVENTS, ids=lambda each: str(each))
def test_every_event_variation_is_read(eventful: Bench, kind: PointKind, group: int, variation: int) -> None:
    out, master = eventful.out, eventful.master
    for seed in (1, 2):
        measurements = measurements_of(kind, seed)
        force(out, kind, measurements)
        if seed == 1:
            assert master.read_all(group, variation) == "SUCCESS"
        else:
            # In two parts: some, and the rest.
            assert master.read([o.Header.Count8(group, variation, 4)]) == "SUCCESS"
            assert master.read([o.Header.Count16(group, variation, 100)]) == "SUCCESS"
        heard = master.take()
        assert [each.reading for each in heard] == all_as_read(group, variation, measurements)
        assert all(each.is_event and not each.is_unsolicited for each in heard)
        wait_for_confirm(out)


@pytest.mark.parametrize(("group", "kind"), [(2, PointKind.BINARY_INPUT), (4, PointKind.DOUBLE_BIT_INPUT)])
def test_relative_times_have_their_common_time(eventful: Bench, group: int, kind: PointKind) -> None:
    """Further apart than 16 bits of ms, earlier than the one before, synchronized and not."""
    offsets_ms = (0, 65_535, 65_536, 10, 200_000, 200_001, 200_002, 5)
    measurements = {
        index: Measurement(
            measurement_of(kind, index).value, 1, EPOCH_MS + offset_ms, is_time_synchronized=index < 5
        )
        for index, offset_ms in enumerate(offsets_ms)
    }
    force(eventful.out, kind, measurements)
    assert eventful.master.read_all(group, 3) == "SUCCESS"
    heard = eventful.master.take()
    assert [each.reading for each in heard] == all_as_read(group, 3, measurements)
    assert [each.time_quality for each in heard] == ["SYNCHRONIZED"] * 5 + ["UNSYNCHRONIZED"] * 3
    wait_for_confirm(eventful.out)


def test_events_of_octet_strings(eventful: Bench) -> None:
    measurements = measurements_of(PointKind.OCTET_STRING, 3)
    force(eventful.out, PointKind.OCTET_STRING, measurements)
    assert eventful.master.read_all(111, 0) == "SUCCESS"
    expected = [Reading(111, 0, index, each.value, None) for index, each in measurements.items()]
    assert eventful.master.take_readings() == expected
    wait_for_confirm(eventful.out)


def test_each_class_has_its_events_in_the_order_in_which_they_happened(eventful: Bench) -> None:
    out, master = eventful.out, eventful.master
    expected: dict[EventClass, list[Reading]] = {each: [] for each in CLASSES}
    for index in range(POINTS):
        for kind, group in EVENT_FORMS:
            measurement = measurement_of(kind, index, 4)
            force(out, kind, {index: measurement})
            variation = config_of(kind, index).event_variation
            expected[event_class_of(index)].append(as_read(group, variation, index, measurement))
    for event_class in reversed(CLASSES):
        assert out.call(lambda each=event_class: out.database.events.waiting(each))  # type: ignore[misc]
        flags = [each is event_class for each in CLASSES]
        assert master.poll(o.ClassField(False, *flags)) == "SUCCESS"
        assert master.take_readings() == expected[event_class]
    wait_for_confirm(out)
    assert master.poll_events() == []
    assert eventful.iin == Iin(0)


def test_an_update_makes_an_event_only_where_it_says_something_new(bench: Bench) -> None:
    out, kind = bench.out, PointKind.ANALOG_INPUT

    def change(database: Database) -> None:
        database.set_deadband(0, 5.0)
        for value in (1.0, 5.0, 5.1, 10.0, 10.2):
            database.update(kind, 0, Measurement(value, time_ms=EPOCH_MS))
        database.set_flags(kind, 0, 0x05, time_ms=EPOCH_MS + 1)

    out.update(change)
    events = bench.master.poll_events()
    assert [(each.value, each.flags, each.time_ms) for each in events] == [
        (5.1, 1, EPOCH_MS),
        (10.2, 1, EPOCH_MS),
        (10.2, 5, EPOCH_MS + 1),
    ]


def test_an_overflow_is_indicated_until_there_is_room(recordings: Recordings) -> None:
    database = plant(EventBufferSizes.all(5))
    with serving(recordings, "overflow", database) as bench:
        force(bench.out, PointKind.COUNTER, measurements_of(PointKind.COUNTER, 1))
        # The master answers the overflow with an integrity poll of its own. Once, on a busy machine, that
        # brought them a second time, as it must wherever a READ comes before the confirm.
        events = [each.index for each in bench.master.poll_events() if each.group == 22]
        assert list(dict.fromkeys(events)) == [5, 6, 7, 8, 9]
        assert any(
            Iin(int.from_bytes(bytes(each), "little")) & Iin.EVENT_BUFFER_OVERFLOW
            for each in bench.master.indications
        )
        wait_for_confirm(bench.out)
        assert bench.master.poll() == "SUCCESS"
        assert bench.iin == Iin(0)


# Unsolicited


def test_unsolicited_responses_of_all_classes(recordings: Recordings) -> None:
    with serving(recordings, "unsolicited", is_quiet=False, keeps_unsolicited=True) as bench:
        out, master = bench.out, bench.master
        until(lambda: out.device.unsolicited_classes == {1, 2, 3}, "all classes are enabled")
        master.take()
        expected = []
        for index in range(POINTS):
            for kind, group in EVENT_FORMS:
                measurement = measurement_of(kind, index, 5)
                force(out, kind, {index: measurement})
                variation = config_of(kind, index).event_variation
                expected.append(as_read(group, variation, index, measurement))
        until(lambda: len(master.soe.heard) >= len(expected), "all events come unasked")
        heard = master.take()
        assert [each.reading for each in heard] == expected
        assert all(each.is_unsolicited for each in heard)
        wait_for_confirm(out)
        assert sum(events for is_unsolicited, events in out.device.confirmed if is_unsolicited) == len(
            expected
        )


def test_unsolicited_responses_are_disabled_and_enabled_class_by_class(recordings: Recordings) -> None:
    with serving(recordings, "unsolicited by class", keeps_unsolicited=True) as bench:
        out, master = bench.out, bench.master
        assert out.device.unsolicited_classes == set()
        assert master.perform("ENABLE_UNSOLICITED", [o.Header.AllObjects(60, 3)]) == "SUCCESS"
        assert out.device.unsolicited_classes == {2}
        master.take()
        force(out, PointKind.COUNTER, measurements_of(PointKind.COUNTER, 1))
        until(lambda: len(master.soe.heard) >= 3, "those of class 2 come")
        assert [each.index for each in master.take_readings()] == [1, 4, 7]
        assert master.perform("DISABLE_UNSOLICITED", [o.Header.AllObjects(60, 3)]) == "SUCCESS"
        force(out, PointKind.COUNTER, {1: Measurement(17)})
        indices = [each.index for each in master.poll_events()]
        assert indices == [0, 2, 3, 5, 6, 8, 9, 1]


# Controls

CROBS: dict[str, tuple[Any, Crob, bool | None]] = {
    name: (
        o.ControlRelayOutputBlock(getattr(o.OperationType, operation), getattr(o.TripCloseCode, trip_close)),
        Crob(code, 1, 100, 100),
        state,
    )
    for name, operation, trip_close, code, state in (
        ("nul", "NUL", "NUL", 0x00, None),
        ("pulse on", "PULSE_ON", "NUL", 0x01, True),
        ("pulse off", "PULSE_OFF", "NUL", 0x02, False),
        ("latch on", "LATCH_ON", "NUL", 0x03, True),
        ("latch off", "LATCH_OFF", "NUL", 0x04, False),
        ("close", "PULSE_ON", "CLOSE", 0x41, True),
        ("trip", "PULSE_ON", "TRIP", 0x81, False),
    )
}
SETPOINTS: dict[str, tuple[Any, int | float, int]] = {
    "int32": (o.AnalogOutputInt32, -123_456, 1),
    "int16": (o.AnalogOutputInt16, -7, 2),
    "float": (o.AnalogOutputFloat32, 3.5, 3),
    "double": (o.AnalogOutputDouble64, 0.1, 4),
}
MODES = {"SBO": Function.OPERATE, "DIRECT": Function.DIRECT_OPERATE}


def operate(bench: Bench, mode: str, command: Any, index: int) -> None:
    """Carry a command out, and check that it succeeded."""
    act = bench.master.select_and_operate if mode == "SBO" else bench.master.direct_operate
    assert act(command, index) == ["SUCCESS", "SUCCESS"]


@pytest.mark.parametrize("mode", MODES)
def test_crobs_of_every_operation_are_executed_and_fed_back(bench: Bench, mode: str) -> None:
    device = bench.out.device
    for index, (command, crob, state) in enumerate(CROBS.values()):
        before = bench.out.call(lambda at=index: bench.out.database.get(PointKind.BINARY_OUTPUT, at).value)  # type: ignore[misc]
        operate(bench, mode, command, index)
        done = device.operated[-1]
        assert (done.function, done.index, done.command) == (MODES[mode], index, crob)
        assert device.selected == (list(range(index + 1)) if mode == "SBO" else [])
        events = [each for each in bench.master.poll_events() if each.group == 13]
        assert [(each.variation, each.index, each.value, each.flags) for each in events] == [
            (2, index, bool(state), 0)
        ]
        bench.master.take()
        assert bench.master.read_range(10, 2, index, index) == "SUCCESS"
        (fed_back,) = bench.master.take_readings()
        assert fed_back.value == (before if state is None else state)
    assert len(device.operated) == len(CROBS)


@pytest.mark.parametrize("mode", MODES)
def test_set_points_of_every_format_are_executed_and_fed_back(bench: Bench, mode: str) -> None:
    for index, (command_of, value, variation) in enumerate(SETPOINTS.values()):
        operate(bench, mode, command_of(value), index)
        done = bench.out.device.operated[-1]
        sent = struct.unpack("<f", struct.pack("<f", value))[0] if variation == 3 else value
        assert (done.function, done.index, done.command) == (
            MODES[mode],
            index,
            AnalogOutputCommand(sent, variation=variation),
        )
        groups = {each.group: each for each in bench.master.poll_events()}
        assert groups.keys() == {42, 43}
        assert (groups[43].variation, groups[43].index, groups[43].value, groups[43].flags) == (
            8,
            index,
            value,
            0,
        )
        assert (groups[42].index, groups[42].value, groups[42].flags) == (index, value, 1)
        assert bench.master.read_range(40, 4, index, index) == "SUCCESS"
        assert bench.master.take_readings()[-1] == Reading(40, 4, index, value, 1)


def test_commands_without_response_are_executed_and_fed_back(recordings: Recordings) -> None:
    """opendnp3 waits for an answer all the same: it must not get one."""
    commands: list[Crob | AnalogOutputCommand] = [crob for _, crob, _ in CROBS.values()]
    commands += [AnalogOutputCommand(value, variation=each) for _, value, each in SETPOINTS.values()]
    headers = []
    for index, command in enumerate(commands):
        at = index if isinstance(command, Crob) else index - len(CROBS)
        group, variation = (12, 1) if isinstance(command, Crob) else (41, command.variation)
        head = struct.pack("<BBBHH", group, variation, 0x28, 1, at)
        headers.append(o.Header.Raw(head + command.encode()))
    with serving(recordings, "no response", response_timeout_s=NO_RESPONSE_S) as bench:
        operated = bench.out.device.operated
        assert bench.master.perform("DIRECT_OPERATE_NR", headers) == "FAILURE_RESPONSE_TIMEOUT"
        assert [each.command for each in operated] == commands
        assert {each.function for each in operated} == {Function.DIRECT_OPERATE_NR}
        assert bench.master.read([o.Header.Range8(10, 2, 0, 6), o.Header.Range8(40, 4, 0, 3)]) == "SUCCESS"
        values = [each.value for each in bench.master.take_readings()]
        states = [state for _, _, state in CROBS.values()]
        assert values[1:] == [*states[1:], *(value for _, value, _ in SETPOINTS.values())]


@pytest.mark.parametrize("variation", range(1, 9))
def test_every_variation_of_command_events(eventful: Bench, variation: int) -> None:
    out, master = eventful.out, eventful.master
    has_time, value = variation in (3, 4, 7, 8), -7.0

    def command(database: Database) -> None:
        for index in range(POINTS):
            database.record_command(PointKind.ANALOG_OUTPUT, index, value, index, time_ms=EPOCH_MS + index)
            database.record_command(PointKind.BINARY_OUTPUT, index, index % 2 == 1, index, time_ms=EPOCH_MS)

    out.update(command)
    assert master.read_all(43, variation) == "SUCCESS"
    assert master.take_readings() == [
        Reading(43, variation, index, value, index, EPOCH_MS + index if has_time else None)
        for index in range(POINTS)
    ]
    binary = 1 + has_time
    assert master.read_all(13, binary) == "SUCCESS"
    assert master.take_readings() == [
        Reading(13, binary, index, index % 2 == 1, index, EPOCH_MS if has_time else None)
        for index in range(POINTS)
    ]
    wait_for_confirm(out)


def test_a_control_that_is_refused_says_why(bench: Bench) -> None:
    crob = o.ControlRelayOutputBlock(o.OperationType.LATCH_ON)
    assert bench.master.select_and_operate(crob, POINTS) == ["SUCCESS", "OUT_OF_RANGE"]
    assert bench.master.direct_operate(crob, POINTS) == ["SUCCESS", "OUT_OF_RANGE"]
    assert bench.out.device.operated == []


# Freezes

NUMBERS = {index: Measurement(1000 + index, 1) for index in range(POINTS)}


@pytest.mark.parametrize("is_answered", [True, False], ids=["answered", "no response"])
@pytest.mark.parametrize("is_clear", [False, True], ids=["immediate", "clear"])
def test_counters_are_frozen(bench: Bench, is_clear: bool, is_answered: bool) -> None:
    out, master = bench.out, bench.master
    force(out, PointKind.COUNTER, NUMBERS)
    master.poll_events()
    wait_for_confirm(out)
    name = ("FreezeAndClear" if is_clear else "ImmediateFreeze") + ("" if is_answered else "NR")
    before_ms = time.time_ns() // 1_000_000
    assert master.freeze(name, [o.Header.Range8(20, 0, 2, 4)]) == "SUCCESS"
    frozen = {index: NUMBERS[index] for index in (2, 3, 4)}
    events = master.poll_events()
    assert [(each.group, each.index, each.value, each.flags) for each in events] == [
        (23, index, each.value, 1) for index, each in frozen.items()
    ]
    assert all(before_ms <= (each.time_ms or 0) <= time.time_ns() // 1_000_000 for each in events)
    assert out.device.frozen == [(PointKind.COUNTER, FreezeType.CLEAR if is_clear else FreezeType.IMMEDIATE)]
    master.take()
    assert master.read_range(21, 1, 2, 4) == "SUCCESS"
    assert master.take_readings() == all_as_read(21, 1, frozen)
    assert master.read_all(20, 1) == "SUCCESS"
    left = {
        index: Measurement(0, 1) if is_clear and index in frozen else NUMBERS[index]
        for index in range(POINTS)
    }
    assert master.take_readings() == all_as_read(20, 1, left)


def test_analog_inputs_are_frozen(bench: Bench) -> None:
    out, master = bench.out, bench.master
    assert master.freeze("ImmediateFreeze", [o.Header.AllObjects(30, 0)]) == "SUCCESS"
    assert master.read_all(33, 5) == "SUCCESS"
    running = measurements_of(PointKind.ANALOG_INPUT)
    assert master.take_readings() == all_as_read(33, 5, running)
    wait_for_confirm(out)
    assert master.read_all(31, 7) == "SUCCESS"
    assert master.take_readings() == all_as_read(31, 7, running)


def test_a_freeze_is_ordered_for_a_time(bench: Bench) -> None:
    when = struct.pack("<Q", 0)[:6] + struct.pack("<I", 0)
    headers = [o.Header.Raw(bytes((50, 2, 7, 1)) + when), o.Header.AllObjects(20, 0)]
    assert bench.master.perform("FREEZE_AT_TIME", headers) == "SUCCESS"
    assert [each.group for each in bench.master.poll_events()] == [23] * POINTS


# What a master sets


def test_deadbands_are_written_read_and_heeded(bench: Bench) -> None:
    out, master = bench.out, bench.master
    assert master.write_deadbands({1: 2.5, 7: 1_000_000.0}) == "SUCCESS"
    for variation, read in ((1, [0, 2, 0xFFFF]), (2, [0, 2, 1_000_000]), (3, [0.0, 2.5, 1_000_000.0])):
        assert master.read([o.Header.Range8(34, variation, at, at) for at in (0, 1, 7)]) == "SUCCESS"
        assert [each.value for each in master.take_readings()] == read
    assert master.read_all(34, 0) == "SUCCESS"
    assert [each.variation for each in master.take_readings()] == [3] * POINTS
    for variation, value, octets in ((1, 9, "<H"), (2, 70_000, "<I"), (3, 1.5, "<f")):
        raw = bytes((34, variation, 0x28)) + struct.pack("<HH", 1, 2) + struct.pack(octets, value)
        assert master.perform("WRITE", [o.Header.Raw(raw)]) == "SUCCESS"
        assert out.call(lambda: out.database.deadband(2)) == value
    out.update(lambda database: database.update(PointKind.ANALOG_INPUT, 1, Measurement(1.4)))
    assert master.poll_events()[0].value == 1.4  # its flags changed too
    wait_for_confirm(out)
    out.update(lambda database: database.update(PointKind.ANALOG_INPUT, 1, Measurement(3.8)))
    assert master.poll_events() == []
    out.update(lambda database: database.update(PointKind.ANALOG_INPUT, 1, Measurement(4.0)))
    assert [each.value for each in master.poll_events()] == [4.0]


def test_classes_are_assigned(bench: Bench) -> None:
    out, master = bench.out, bench.master
    headers = [
        *(o.Header.AllObjects(60, 4), o.Header.AllObjects(30, 0), o.Header.Range8(1, 0, 0, 4)),
        *(o.Header.AllObjects(60, 1), o.Header.AllObjects(20, 0)),
    ]
    assert master.perform("ASSIGN_CLASS", headers) == "SUCCESS"
    for kind in (PointKind.ANALOG_INPUT, PointKind.BINARY_INPUT, PointKind.COUNTER):
        force(out, kind, measurements_of(kind, 1))
    assert master.poll(o.ClassField(False, False, False, True)) == "SUCCESS"
    heard = [(each.group, each.index) for each in master.take_readings()]
    rest = [index for index in range(5, POINTS) if event_class_of(index) is EventClass.CLASS_3]
    assert heard == [
        *((32, index) for index in range(POINTS)),
        *((2, index) for index in range(5)),
        *((2, index) for index in rest),
    ]
    master.poll_events()
    wait_for_confirm(out)


def test_octet_strings_are_written(bench: Bench) -> None:
    raw = bytes((110, 5, 0x17, 1, 3)) + b"hello"
    assert bench.master.perform("WRITE", [o.Header.Raw(raw)]) == "SUCCESS"
    assert bench.master.read_range(110, 0, 3, 3) == "SUCCESS"
    assert bench.master.take_readings() == [Reading(110, 0, 3, b"hello", None)]


def test_indexed_times_with_intervals_are_written_and_read(bench: Bench) -> None:
    assert bench.master.write_schedule(2, EPOCH_MS, 60) == "SUCCESS"
    assert bench.master.read_all(50, 4) == "SUCCESS"
    assert bench.master.take_readings() == [Reading(50, 4, 2, 60, None, EPOCH_MS)]
    assert bench.iin == Iin(0)


@pytest.mark.parametrize("procedure", ["LAN", "NonLAN"])
def test_the_time_is_set(recordings: Recordings, procedure: str) -> None:
    before_ms = time.time_ns() // 1_000_000
    with serving(recordings, procedure, needs_time=True, time_sync=procedure) as bench:
        until(lambda: bench.out.device.times_ms, "the time is written")
        (time_ms,) = bench.out.device.times_ms
        now_ms = time.time_ns() // 1_000_000
        # A measured delay may be wrong by what the measurement took.
        assert before_ms - 1 <= time_ms <= now_ms + (now_ms - before_ms) + 1
        functions = {"LAN": Function.RECORD_CURRENT_TIME, "NonLAN": Function.DELAY_MEASURE}
        assert functions[procedure] in bench.out.device.requests
        assert bench.master.poll(ALL_CLASSES) == "SUCCESS"
        assert not bench.iin & Iin.NEED_TIME


def test_restarts_are_answered_with_how_long_they_take(bench: Bench) -> None:
    assert bench.master.restart("COLD") == ("SUCCESS", COLD_RESTART.ms)
    # opendnp3 says 3 of three seconds (g52v1) as of three milliseconds; py1815 reads the octets right.
    assert bench.master.restart("WARM") == ("SUCCESS", 3)
    assert bench.out.device.restarts == ["cold", "warm"]


def test_the_restart_indication_is_cleared_by_the_master(bench: Bench) -> None:
    assert bench.out.device.clears == 1
    indications = [Iin(int.from_bytes(bytes(each), "little")) for each in bench.master.indications]
    assert indications[0] & Iin.DEVICE_RESTART
    assert not indications[-1] & Iin.DEVICE_RESTART


# A large database

ANALOGS = 1000


@pytest.mark.parametrize("longest", [249, 2048])
def test_a_thousand_analogs_take_as_many_fragments_as_they_need(recordings: Recordings, longest: int) -> None:
    database = Database(EventBuffer(EventBufferSizes.all(ANALOGS)))
    measurements = {index: Measurement(index * 1.5, 1, EPOCH_MS + index) for index in range(ANALOGS)}
    for index, measurement in measurements.items():
        config = AnalogInput(EventClass.CLASS_2, static_variation=6, event_variation=8)
        database.add(index, config, measurement)
    config = OutstationConfig(
        longest_response=longest, unsolicited=QUIET, confirm_timeout_s=PATIENCE_S, keep_alive_s=None
    )
    with serving(recordings, f"large {longest}", database, config=config) as bench:
        bench.master.take()
        before = bench.master.soe.fragments
        assert bench.master.poll() == "SUCCESS"
        assert bench.master.take_readings() == all_as_read(30, 6, measurements)
        fragments = bench.master.soe.fragments - before
        # Of nine octets each, with little else.
        assert ANALOGS * 9 / longest < fragments < ANALOGS * 9 / longest * 1.1 + 1
        force(bench.out, PointKind.ANALOG_INPUT, measurements)
        assert bench.master.poll() == "SUCCESS"
        heard = bench.master.take()
        events = [each.reading for each in heard if each.is_event]
        assert events == all_as_read(32, 8, measurements)
        assert [each.reading for each in heard if not each.is_event] == all_as_read(30, 6, measurements)
        wait_for_confirm(bench.out)


# The dissector; the last test of this file, because it reads what the others recorded.


def test_every_frame_dissects(recordings: Recordings, tmp_path: Path) -> None:
    peers.require("tshark")
    if not recordings.conversations:
        pytest.skip("it dissects what the other tests of this file record")
    recordings.check(tmp_path, at_least=LEAST_FRAMES)
