from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest

from bridge.application.measurement import Flags, Measurement, PointKind
from bridge.errors import (
    DuplicatePointError,
    PointConfigError,
    PointError,
    PointValueError,
    UnknownPointError,
)
from bridge.outstation.database import Database
from bridge.outstation.event import Event
from bridge.outstation.events import EventBuffer, EventBufferSizes
from bridge.outstation.points import (
    STATIC_OBJECTS,
    AnalogInput,
    AnalogOutput,
    BinaryInput,
    BinaryOutput,
    CommandKind,
    Counter,
    DoubleBitInput,
    EventClass,
    FrozenAnalog,
    FrozenCounter,
    OctetString,
    PointConfig,
)
from bridge.outstation.table import Run
from bridge.outstation.values import EventDetection

K = PointKind
NONE, C1, C2, C3 = EventClass
DETECT, FORCE, SUPPRESS = EventDetection


def analog(config: PointConfig | None = None, value: float = 0.0) -> Database:
    database = Database()
    database.add(3, config or AnalogInput(C1), Measurement(value))
    return database


def events(database: Database) -> list[Event]:
    database.events.release()
    database.events.select()
    return list(database.events.selection())


def event_values(database: Database) -> list[object]:
    return [event.measurement.value for event in events(database)]


def shape(runs: tuple[Run, ...]) -> list[tuple[int, int, int, int]]:
    return [(run.group, run.variation, run.start, run.stop) for run in runs]


# Points.


@pytest.mark.parametrize(
    "config",
    [
        BinaryInput(),
        DoubleBitInput(),
        BinaryOutput(),
        Counter(),
        FrozenCounter(),
        AnalogInput(),
        FrozenAnalog(),
        AnalogOutput(),
        OctetString(),
    ],
)
def test_add_get_remove(config: PointConfig) -> None:
    database = Database()
    database.add(65535, config)
    assert database.has(config.kind, 65535)
    assert database.get(config.kind, 65535).flags == Flags.RESTART
    assert database.config(config.kind, 65535) == config
    assert database.select(config.kind)[0].group == STATIC_OBJECTS[config.kind].group
    database.remove(config.kind, 65535)
    assert not database.has(config.kind, 65535)
    assert database.select(config.kind) == ()
    assert database.class_0() == ()


def test_misuse_is_named_and_changes_nothing() -> None:
    database = analog()
    version = database.version
    with pytest.raises(DuplicatePointError, match="analog_input 3 exists already"):
        database.add(3, AnalogInput())
    with pytest.raises(PointConfigError, match="counter 65536: use an index of 0 to 65535"):
        database.add(65536, Counter())
    with pytest.raises(PointConfigError):
        database.add(-1, Counter())
    with pytest.raises(PointValueError):
        database.add(4, AnalogInput(), Measurement(b"x"))
    with pytest.raises(PointValueError):
        database.update(K.ANALOG_INPUT, 3, Measurement(True))
    with pytest.raises(PointValueError):
        database.set_flags(K.ANALOG_INPUT, 3, 0x100)
    for change in (database.remove, database.get, database.config):
        with pytest.raises(UnknownPointError, match="there is no analog_input 4"):
            change(K.ANALOG_INPUT, 4)
    with pytest.raises(UnknownPointError):
        database.update(K.BINARY_INPUT, 3, Measurement(True))
    with pytest.raises(UnknownPointError):
        database.set_flags(K.ANALOG_INPUT, 4, 1)
    assert database.version == version
    assert database.get(K.ANALOG_INPUT, 3) == Measurement(0.0)


def test_indices_have_gaps_and_belong_to_a_kind() -> None:
    database = Database()
    for index in (9, 2, 3, 65535):
        database.add(index, BinaryInput())
    database.add(5, Counter())
    assert database.indices(K.BINARY_INPUT) == (2, 3, 9, 65535)
    assert database.indices(K.BINARY_INPUT, 3, 9) == (3, 9)
    assert database.indices(K.BINARY_INPUT, 4, 8) == ()
    assert database.indices(K.COUNTER) == (5,)


# Updates and their events.


def test_an_update_is_visible_with_its_event() -> None:
    database = analog()
    measurement = Measurement(4.5, Flags.ONLINE | Flags.OVER_RANGE, 123)
    assert database.update(K.ANALOG_INPUT, 3, measurement)
    assert database.get(K.ANALOG_INPUT, 3) == measurement
    assert events(database) == [Event(K.ANALOG_INPUT, 3, C1, measurement, variation=3, sequence=1)]


def test_small_steps_add_up_to_an_event() -> None:
    database = analog(AnalogInput(C1, deadband=2))
    for value in (1, 2, 3, 4, 5, 5.1, 3.2, 3):
        database.update(K.ANALOG_INPUT, 3, Measurement(value))
    assert event_values(database) == [3, 5.1, 3]


def test_detection_can_be_overridden() -> None:
    database = analog()
    assert not database.update(K.ANALOG_INPUT, 3, Measurement(0.0))
    assert database.update(K.ANALOG_INPUT, 3, Measurement(0.0), detect=FORCE)
    assert not database.update(K.ANALOG_INPUT, 3, Measurement(7.0), detect=SUPPRESS)
    assert database.get(K.ANALOG_INPUT, 3).value == 7.0
    assert not database.update(K.ANALOG_INPUT, 3, Measurement(7.0))
    assert database.update(K.ANALOG_INPUT, 3, Measurement(0.0))
    assert event_values(database) == [0.0, 0.0]


def test_events_of_the_past_leave_the_current_value() -> None:
    database = analog()
    version = database.version
    assert database.update(K.ANALOG_INPUT, 3, Measurement(7.0, time_ms=5), static=False)
    assert database.get(K.ANALOG_INPUT, 3).value == 0.0
    assert database.version == version
    assert event_values(database) == [7.0]


def test_points_without_a_class_have_no_events() -> None:
    database = analog(AnalogInput())
    assert not database.update(K.ANALOG_INPUT, 3, Measurement(7.0), detect=FORCE)
    assert events(database) == []


def test_nan_is_one_event_not_many() -> None:
    database = analog(AnalogInput(C1, deadband=100))
    for value in (math.nan, math.nan, 1.0):
        database.update(K.ANALOG_INPUT, 3, Measurement(value))
    assert len(events(database)) == 2


def test_flags_keep_the_value_and_are_an_event() -> None:
    database = analog(value=4.0)
    assert database.set_flags(K.ANALOG_INPUT, 3, Flags.COMM_LOST, time_ms=9)
    assert database.get(K.ANALOG_INPUT, 3) == Measurement(4.0, Flags.COMM_LOST, 9)
    assert not database.set_flags(K.ANALOG_INPUT, 3, Flags.COMM_LOST)
    assert not database.set_flags(K.ANALOG_INPUT, 3, Flags.ONLINE, detect=SUPPRESS)
    assert len(events(database)) == 1


def test_octet_string_events_have_the_length_as_variation() -> None:
    database = Database()
    database.add(0, OctetString(C1))
    for value in (b"abc", b"abc", b"abcd"):
        database.update(K.OCTET_STRING, 0, Measurement(value))
    assert [event.variation for event in events(database)] == [3, 4]


def test_an_event_without_room_is_not_reported_as_added() -> None:
    database = Database(EventBuffer(EventBufferSizes.all(0)))
    database.add(3, AnalogInput(C1))
    assert not database.update(K.ANALOG_INPUT, 3, Measurement(1))


def test_events_outlive_their_point() -> None:
    database = analog()
    database.update(K.ANALOG_INPUT, 3, Measurement(1))
    database.remove(K.ANALOG_INPUT, 3)
    assert event_values(database) == [1]


def test_listeners_hear_of_events_only() -> None:
    database = analog()
    heard: list[int] = []
    listener = lambda: heard.append(database.events.waiting(C1))  # noqa: E731
    database.add_listener(listener)
    database.update(K.ANALOG_INPUT, 3, Measurement(0.0, time_ms=8))
    database.update(K.ANALOG_INPUT, 3, Measurement(1.0), detect=SUPPRESS)
    assert heard == []
    database.update(K.ANALOG_INPUT, 3, Measurement(2.0))
    assert heard == [1]
    database.remove_listener(listener)
    database.update(K.ANALOG_INPUT, 3, Measurement(3.0))
    assert heard == [1]


# Reads.


def test_version_grows_with_what_a_read_could_tell() -> None:
    database = Database()
    seen = [database.version]

    def grew() -> bool:
        seen.append(database.version)
        return seen[-1] > seen[-2]

    database.add(0, AnalogInput(), Measurement(1.0))
    assert grew()
    database.update(K.ANALOG_INPUT, 0, Measurement(1.0, time_ms=77))
    assert not grew()
    database.update(K.ANALOG_INPUT, 0, Measurement(2.0))
    assert grew()
    database.set_flags(K.ANALOG_INPUT, 0, 3)
    assert grew()
    database.set_deadband(0, 4)
    assert grew()
    database.assign_class(K.ANALOG_INPUT, [0], C3)
    assert not grew()
    database.add(0, FrozenAnalog())
    assert grew()
    database.freeze(K.ANALOG_INPUT, time_ms=1)
    assert grew()
    database.freeze(K.ANALOG_INPUT, time_ms=1)
    assert not grew()
    database.freeze(K.ANALOG_INPUT, time_ms=2)
    assert grew()
    database.remove(K.ANALOG_INPUT, 0)
    assert grew()


def test_runs_end_at_gaps_and_where_the_variation_changes() -> None:
    database = Database()
    for index, variation in ((0, 1), (1, 1), (2, 5), (4, 5), (5, 1)):
        database.add(index, AnalogInput(static_variation=variation), Measurement(index))
    runs = database.select(K.ANALOG_INPUT)
    assert shape(runs) == [(30, 1, 0, 1), (30, 5, 2, 2), (30, 5, 4, 4), (30, 1, 5, 5)]
    assert [m.value for run in runs for m in run.measurements] == [0, 1, 2, 4, 5]
    assert shape(database.select(K.ANALOG_INPUT, variation=2)) == [(30, 2, 0, 2), (30, 2, 4, 5)]


def test_ranges_are_cut_out() -> None:
    database = Database()
    for index in (2, 3, 4, 8, 9):
        database.add(index, Counter(), Measurement(index))
    assert shape(database.select(K.COUNTER, 4)) == [(20, 1, 4, 4), (20, 1, 8, 9)]
    assert shape(database.select(K.COUNTER, 3, 8)) == [(20, 1, 3, 4), (20, 1, 8, 8)]
    assert database.select(K.COUNTER, 3, 3) == (Run(20, 1, 3, (Measurement(3),)),)
    assert shape(database.select(K.COUNTER, 4, 65535, variation=5)) == [(20, 5, 4, 4), (20, 5, 8, 9)]
    for start, stop in ((0, 1), (5, 7), (10, 20)):
        assert database.select(K.COUNTER, start, stop) == ()
    assert Database().select(K.COUNTER, 5, 9) == ()


def test_packed_binaries_say_abnormal_flags() -> None:
    database = Database()
    for index, flags in enumerate((Flags.ONLINE, Flags.ONLINE, Flags.ONLINE | Flags.COMM_LOST, Flags.ONLINE)):
        database.add(index, BinaryInput(static_variation=1), Measurement(False, flags))
        database.add(index, DoubleBitInput(static_variation=1), Measurement(0, flags))
        database.add(index, BinaryOutput(), Measurement(False, flags))
    expected = [(1, 0, 1), (2, 2, 2), (1, 3, 3)]
    for kind, runs in (
        (K.BINARY_INPUT, database.select(K.BINARY_INPUT)),
        (K.DOUBLE_BIT_INPUT, database.select(K.DOUBLE_BIT_INPUT)),
        (K.BINARY_OUTPUT, database.select(K.BINARY_OUTPUT, variation=1)),
    ):
        assert shape(runs) == [(STATIC_OBJECTS[kind].group, *rest) for rest in expected]
    assert shape(database.select(K.BINARY_INPUT, 1, 2)) == [(1, 1, 1, 1), (1, 2, 2, 2)]
    database.set_flags(K.BINARY_INPUT, 2, Flags.ONLINE)
    assert shape(database.select(K.BINARY_INPUT)) == [(1, 1, 0, 3)]


def test_runs_of_octet_strings_have_one_length() -> None:
    database = Database()
    for index, value in enumerate((b"ab", b"cd", b"e")):
        database.add(index, OctetString(), Measurement(value))
    assert shape(database.select(K.OCTET_STRING)) == [(110, 2, 0, 1), (110, 1, 2, 2)]
    database.update(K.OCTET_STRING, 2, Measurement(b"ef"))
    assert shape(database.select(K.OCTET_STRING)) == [(110, 2, 0, 2)]


def test_class_0_has_its_members() -> None:
    database = Database()
    for index in range(4):
        database.add(index, BinaryInput(in_class_0=index != 2))
    database.add(0, OctetString())
    database.add(1, OctetString(in_class_0=True), Measurement(b"abc"))
    database.add(0, AnalogOutput(C1))
    expected = [(1, 2, 0, 1), (1, 2, 3, 3), (40, 1, 0, 0), (110, 3, 1, 1)]
    assert shape(database.class_0()) == expected
    assert shape(database.select(K.BINARY_INPUT)) == [(1, 2, 0, 3)]


def test_an_unchanged_read_is_the_same_object() -> None:
    database = analog()
    assert database.select(K.ANALOG_INPUT) is database.select(K.ANALOG_INPUT)
    assert database.class_0() is database.class_0()
    runs = database.select(K.ANALOG_INPUT)
    database.update(K.ANALOG_INPUT, 3, Measurement(1))
    assert runs[0].measurements == (Measurement(0.0),)
    assert database.select(K.ANALOG_INPUT)[0].measurements == (Measurement(1),)
    assert database.class_0()[0].measurements == (Measurement(1),)


@pytest.mark.parametrize("seed", range(20))
def test_reads_are_what_the_points_hold(seed: int) -> None:
    dice = random.Random(seed)
    database, model = Database(), dict[int, tuple[int, Measurement]]()
    for value in range(300):
        index = dice.randrange(20)
        if index not in model:
            variation = dice.choice((1, 2, 5))
            database.add(index, Counter(static_variation=variation), Measurement(value))
            model[index] = (variation, Measurement(value))
        elif dice.random() < 0.3:
            database.remove(K.COUNTER, index)
            del model[index]
        else:
            database.update(K.COUNTER, index, Measurement(value))
            model[index] = (model[index][0], Measurement(value))
        start, stop = dice.choice(((0, 65535), (index, dice.randrange(index, 25))))
        asked = dice.choice((None, 6))
        runs = database.select(K.COUNTER, start, stop, variation=asked)
        found = {run.start + at: (run.variation, m) for run in runs for at, m in enumerate(run.measurements)}
        expected = {at: (asked or v, m) for at, (v, m) in sorted(model.items()) if start <= at <= stop}
        assert list(found.items()) == list(expected.items())
        for one, next_one in pairwise(runs):
            assert one.stop + 1 < next_one.start or one.variation != next_one.variation


# What a master sets.


def test_deadbands_are_read_and_written() -> None:
    database = Database()
    database.add(1, AnalogInput(C1, deadband=2.5))
    database.add(2, AnalogInput(C1, deadband_variation=1))
    assert database.deadbands() == (
        Run(34, 3, 1, (Measurement(2.5),)),
        Run(34, 1, 2, (Measurement(0.0),)),
    )
    database.set_deadband(2, 10)
    assert database.deadband(2) == 10
    assert database.deadbands(2, 9, variation=2) == (Run(34, 2, 2, (Measurement(10),)),)
    database.update(K.ANALOG_INPUT, 2, Measurement(10.0), detect=SUPPRESS)
    assert not database.update(K.ANALOG_INPUT, 2, Measurement(20.0))
    assert database.update(K.ANALOG_INPUT, 2, Measurement(20.5))
    for wrong in (-1, math.nan):
        with pytest.raises(PointConfigError):
            database.set_deadband(2, wrong)
    with pytest.raises(UnknownPointError):
        database.set_deadband(3, 1)
    with pytest.raises(UnknownPointError):
        database.deadband(3)
    assert database.deadband(2) == 10


def test_classes_are_assigned_to_all_or_none() -> None:
    database = Database()
    for index in range(3):
        database.add(index, BinaryInput(C1), Measurement(False))
    database.update(K.BINARY_INPUT, 0, Measurement(True))
    database.assign_class(K.BINARY_INPUT, [0, 1], C3)
    database.assign_class(K.BINARY_INPUT, range(2, 3), NONE)
    with pytest.raises(UnknownPointError):
        database.assign_class(K.BINARY_INPUT, [0, 7], C2)
    with pytest.raises(PointConfigError):
        database.assign_class(K.BINARY_INPUT, [0], 4)  # type: ignore[arg-type]
    for index in range(3):
        database.update(K.BINARY_INPUT, index, Measurement(index > 0))
    assert [(event.index, event.event_class) for event in events(database)] == [(0, C1), (0, C3), (1, C3)]
    assert shape(database.class_0()) == [(1, 2, 0, 2)]


def counters() -> Database:
    database = Database()
    for index in range(4):
        database.add(index, Counter(C1), Measurement(10 + index))
        if index != 1:
            database.add(index, FrozenCounter(C2), Measurement(0))
    return database


def test_a_freeze_copies_values_flags_and_its_time() -> None:
    database = counters()
    database.set_flags(K.COUNTER, 0, Flags.COMM_LOST, detect=SUPPRESS)
    assert database.freeze(K.COUNTER, 0, 2, time_ms=99, is_time_synchronized=False) == 2
    taken = Measurement(10, Flags.COMM_LOST, 99, is_time_synchronized=False)
    assert database.get(K.FROZEN_COUNTER, 0) == taken
    assert database.get(K.FROZEN_COUNTER, 3).value == 0
    assert database.get(K.COUNTER, 2).value == 12
    assert [(event.kind, event.index) for event in events(database)] == [
        (K.FROZEN_COUNTER, 0),
        (K.FROZEN_COUNTER, 2),
    ]


def test_every_freeze_is_an_event_and_one_notice() -> None:
    database = counters()
    heard: list[None] = []
    database.add_listener(lambda: heard.append(None))
    assert database.freeze(K.COUNTER) == 3
    assert database.freeze(K.COUNTER) == 3
    database.assign_class(K.FROZEN_COUNTER, [3], NONE)
    assert database.freeze(K.COUNTER) == 3
    assert len(events(database)) == 8
    assert len(heard) == 3


def test_freeze_and_clear_starts_counters_again_without_an_event_of_theirs() -> None:
    database = counters()
    assert database.freeze(K.COUNTER, clear=True, time_ms=5) == 3
    assert [database.get(K.COUNTER, index).value for index in range(4)] == [0, 11, 0, 0]
    assert [database.get(K.FROZEN_COUNTER, index).value for index in (0, 2, 3)] == [10, 12, 13]
    assert {event.kind for event in events(database)} == {K.FROZEN_COUNTER}
    assert not database.update(K.COUNTER, 0, Measurement(0))
    assert database.update(K.COUNTER, 0, Measurement(1))


def test_analogs_freeze_and_do_not_clear() -> None:
    database = analog(value=2.5)
    database.add(3, FrozenAnalog(C3))
    assert database.freeze(K.ANALOG_INPUT, time_ms=1) == 1
    assert database.get(K.FROZEN_ANALOG, 3) == Measurement(2.5, time_ms=1)
    with pytest.raises(PointError, match="analog_input cannot be frozen and cleared"):
        database.freeze(K.ANALOG_INPUT, clear=True)
    with pytest.raises(PointError, match="binary_input cannot be frozen"):
        database.freeze(K.BINARY_INPUT)
    with pytest.raises(PointValueError):
        database.freeze(K.ANALOG_INPUT, time_ms=-1)


def test_commands_report_in_their_own_class_and_type() -> None:
    database = Database()
    database.add(1, BinaryOutput(C1, command_class=C2, command_variation=1))
    database.add(1, AnalogOutput(command_class=C3))
    database.add(2, AnalogOutput(C1))
    assert database.record_command(K.BINARY_OUTPUT, 1, True, 4, time_ms=8)
    assert database.record_command(K.ANALOG_OUTPUT, 1, 2.5, 0)
    assert not database.record_command(K.ANALOG_OUTPUT, 2, 2.5, 0)
    assert events(database) == [
        Event(CommandKind.BINARY_COMMAND, 1, C2, Measurement(True, 4, 8), 1, 1),
        Event(CommandKind.ANALOG_COMMAND, 1, C3, Measurement(2.5, 0), 3, 2),
    ]
    for kind, index, value, status, error in (
        (K.BINARY_OUTPUT, 2, True, 0, UnknownPointError),
        (K.BINARY_OUTPUT, 1, 1, 0, PointValueError),
        (K.BINARY_OUTPUT, 1, True, 128, PointValueError),
        (K.BINARY_INPUT, 1, True, 0, PointError),
    ):
        with pytest.raises(error):
            database.record_command(kind, index, value, status)
