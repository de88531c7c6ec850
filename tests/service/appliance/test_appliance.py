"""The appliance's outstation in a bridge that runs: changes become events, at their time and in order."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bridge.application.attribute import AttributeType
from bridge.application.command import CommandStatus, Crob
from bridge.application.function import Function
from bridge.application.measurement import Flags, Measurement, PointKind, Value
from bridge.endpoints.local_outstation import system_utc_ms
from bridge.link.frame import Frame
from bridge.outstation.database import Database
from bridge.outstation.handlers import FreezeType
from bridge.outstation.points import EventClass
from bridge.service.appliance import appliance
from bridge.service.appliance.appliance_identity import ApplianceApplication, attributes
from bridge.service.appliance.point_map import blocks_of
from bridge.service.build import Bridge
from bridge.version import VERSION
from tests.support import toml
from tests.support.eventually import eventually, turns_of_the_loop
from tests.support.frames import request, response
from tests.support.masters import Master
from tests.support.ptys import Device, Pty
from tests.support.sites import configuration_of, running

pytestmark = pytest.mark.wire


def without_appliance(device: str, **keys: object) -> str:
    return (
        toml.service(name="mill-lane", location="cabinet 3")
        + toml.server()
        + toml.line("bay1", device, response_timeout_ms=100, **keys)
        + toml.table("[input.door]", pin=24, debounce_ms=50)
        + toml.table("[relay.horn]", pin=27)
        + toml.outstation("pole-12", 12)
    )


def site(device: str, **keys: object) -> str:
    return (
        without_appliance(device, **keys)
        + toml.appliance("box", 1, led="led1")
        + toml.appliance("other-box", 1, "127.0.0.2")
        + toml.appliance("spare-box", 1, "127.0.0.3", enabled=False)
    )


CONFIGURATION = configuration_of(site("/dev/none").replace("@socket@", "/tmp/s"))
INPUT, OUTPUT = PointKind.BINARY_INPUT, PointKind.BINARY_OUTPUT
COUNTER, ANALOG = PointKind.COUNTER, PointKind.ANALOG_INPUT
LINE_UP, ALL_UP, DOOR, CONNECTED, ANSWERING, DEGRADED = 100, 0, 20, 1000, 1001, 1002
BOX_CONNECTED, OTHER_CONNECTED = 1020, 1040
PRE_EMPTIONS, TIMEOUTS, LOSSES = 1011, 1004, 106
ONLINE, COMM_LOST = int(Flags.ONLINE), int(Flags.COMM_LOST)

Told = tuple[int, Value, int]
"""An event of a point: its index, value and flags."""


@pytest.fixture
def only_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be looked at that nobody said had changed."""
    monkeypatch.setattr(appliance, "_PERIOD_S", 1e6)


@pytest.fixture
async def bridge(adapter: Pty, only_changes: None) -> AsyncIterator[Bridge]:
    async with running(site(adapter.device)) as bridge:
        yield bridge


def database_of(bridge: Bridge, name: str = "box") -> Database:
    return bridge.local_outstations[name].database


def events(database: Database, kind: PointKind, *indices: int) -> list[Told]:
    """Return what happened so far to these points of a kind, oldest first."""
    return [
        (event.index, event.measurement.value, int(event.measurement.flags))
        for event in _all_events(database)
        if event.kind is kind and (not indices or event.index in indices)
    ]


def _all_events(database: Database) -> list[Any]:
    buffer = database.events
    buffer.select()
    found = list(buffer.selection())
    buffer.release()
    return found


def points(database: Database, kind: PointKind) -> dict[int, tuple[Value, int]]:
    held = {index: database.get(kind, index) for index in database.indices(kind)}
    return {index: (each.value, int(each.flags)) for index, each in held.items()}


def answering(frame: Frame) -> bytes:
    return response(frame.octets[11] & 0x0F, source=frame.destination, to=frame.source).octets


async def ask(bridge: Bridge, master: Master, sequence: int) -> None:
    """Ask the RTU, and wait until that came to an end."""
    outcomes = bridge.outstations["pole-12"].counters.outcomes
    before = outcomes.total()
    await master.send(request(sequence, to=12).octets)
    await eventually(lambda: outcomes.total() > before, "the exchange ends")
    await turns_of_the_loop()


async def test_at_the_start_the_points_are_filled_and_nothing_has_happened(bridge: Bridge) -> None:
    database = database_of(bridge)
    assert _all_events(database) == []
    offline, restart = (False, 0), (False, int(Flags.RESTART))
    assert points(database, INPUT) == {
        ALL_UP: (True, ONLINE),
        DOOR: (False, ONLINE),
        LINE_UP: (True, ONLINE),
        101: (False, ONLINE),
        102: (False, ONLINE),
        CONNECTED: (False, ONLINE),
        ANSWERING: restart,
        DEGRADED: restart,
        BOX_CONNECTED: (False, ONLINE),
        OTHER_CONNECTED: (False, ONLINE),
        1060: offline,
    }
    counters = points(database, COUNTER)
    assert {index: value for index, value in counters.items() if value != (0, ONLINE)} == {
        index: (0, 0) for index in counters if 1060 <= index < 1080
    }
    assert set(points(database, PointKind.FROZEN_COUNTER)) == set(counters)
    assert points(database, ANALOG)[1000] == (0.0, int(Flags.RESTART))


async def test_every_point_of_the_map_is_there(bridge: Bridge) -> None:
    database = database_of(bridge)
    mapped = {point.point for block in blocks_of(CONFIGURATION) for point in block.points}
    kinds = (INPUT, OUTPUT, COUNTER, ANALOG)
    assert {(kind, index) for kind in kinds for index in database.indices(kind)} == mapped


async def test_a_master_that_comes_and_goes(bridge: Bridge) -> None:
    database = database_of(bridge)
    before_ms = system_utc_ms()
    with await Master.connect(bridge.servers["main"].endpoint):
        await eventually(lambda: events(database, INPUT), "the events")
        assert events(database, INPUT) == [(CONNECTED, True, ONLINE), (BOX_CONNECTED, True, ONLINE)]
    await eventually(lambda: len(events(database, INPUT, CONNECTED)) == 2, "the master has gone")
    told = [event for event in _all_events(database) if event.kind is INPUT]
    assert {event.event_class for event in told} == {EventClass.CLASS_1}
    times = [event.measurement.time_ms for event in told]
    assert times == sorted(times)
    assert before_ms <= times[0]
    assert times[-1] <= system_utc_ms()


async def test_a_pre_emption_is_a_count_and_not_a_master_that_was_away(bridge: Bridge) -> None:
    database = database_of(bridge)
    with await Master.connect(bridge.servers["main"].endpoint):
        await eventually(lambda: events(database, INPUT, CONNECTED), "the first master")
        with await Master.connect(bridge.servers["main"].endpoint):
            await eventually(lambda: events(database, COUNTER, PRE_EMPTIONS), "the second one")
            assert events(database, COUNTER, PRE_EMPTIONS) == [(PRE_EMPTIONS, 1, ONLINE)]
            assert events(database, INPUT, CONNECTED) == [(CONNECTED, True, ONLINE)]


async def test_an_rtu_that_answers_falls_silent_and_is_back(bridge: Bridge, adapter: Pty) -> None:
    database = database_of(bridge)
    with (
        Device(adapter, answering) as rtu,
        await Master.connect(bridge.servers["main"].endpoint) as master,
    ):
        await ask(bridge, master, 0)
        rtu.answer = lambda _: None
        for sequence in (1, 2, 3):
            await ask(bridge, master, sequence)
        rtu.answer = answering
        await ask(bridge, master, 4)
        assert events(database, INPUT, ANSWERING) == [
            (ANSWERING, True, ONLINE),
            (ANSWERING, False, ONLINE),
            (ANSWERING, True, ONLINE),
        ]
        assert events(database, COUNTER, TIMEOUTS) == [(TIMEOUTS, 3, ONLINE)], "only the last count matters"
        assert events(database, INPUT, DEGRADED) == [(DEGRADED, False, ONLINE), (DEGRADED, True, ONLINE)]


async def test_a_line_that_goes_down_takes_what_hangs_on_it_out_of_touch(
    bridge: Bridge, adapter: Pty, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = database_of(bridge)
    with Device(adapter, answering), await Master.connect(bridge.servers["main"].endpoint) as master:
        await ask(bridge, master, 0)
    await eventually(lambda: not bridge.servers["main"].sessions, "the master has gone")
    await turns_of_the_loop()
    _forget(database)
    # A clock that goes on whenever it is looked at.
    monkeypatch.setattr(appliance, "system_utc_ms", itertools.count(system_utc_ms()).__next__)
    adapter.unplug()
    await eventually(lambda: not bridge.hubs["bay1"].line.is_open, "the line is down")
    await turns_of_the_loop()
    assert events(database, INPUT, LINE_UP, ANSWERING, ALL_UP) == [
        (LINE_UP, False, ONLINE),
        (ANSWERING, True, COMM_LOST),
        (ALL_UP, False, ONLINE),
    ]
    assert events(database, COUNTER, LOSSES) == [(LOSSES, 1, ONLINE)]
    times = {event.measurement.time_ms for event in _all_events(database) if event.kind is INPUT}
    assert len(times) == 1, "one cause, one time"


def _forget(database: Database) -> None:
    database.events.select()
    database.events.written(database.events.counts().total)
    database.events.confirm()


async def test_noise_is_told_at_once(bridge: Bridge, adapter: Pty) -> None:
    database = database_of(bridge)
    with await Master.connect(bridge.servers["main"].endpoint):
        await eventually(lambda: events(database, INPUT, CONNECTED), "the master")
        adapter.write(request(0).octets[:-1] + b"\x00")
        await eventually(lambda: events(database, INPUT, DEGRADED), "the noise")
        assert events(database, INPUT, DEGRADED) == [(DEGRADED, True, ONLINE)]


async def test_babble_begins_and_ends(adapter: Pty, only_changes: None) -> None:
    text = site(adapter.device, babble_ms=50)
    async with running(text) as bridge:
        database = database_of(bridge)

        def is_babbling() -> bool:
            adapter.write(b"\x00" * 8)
            return bridge.hubs["bay1"].is_babbling

        await eventually(is_babbling, "babble")
        await eventually(lambda: len(events(database, INPUT, 101)) == 2, "its end")
        assert events(database, INPUT, 101) == [(101, True, ONLINE), (101, False, ONLINE)]
        assert events(database, COUNTER, 107) == [(107, 1, ONLINE)]


async def test_a_contact_has_the_time_at_which_it_moved(bridge: Bridge) -> None:
    database = database_of(bridge)
    contact = bridge.front.panel.inputs["door"]
    before_ms = system_utc_ms()
    contact.drive(active=True)  # type: ignore[attr-defined]
    after_ms = system_utc_ms()
    await eventually(lambda: events(database, INPUT, DOOR), "the door")
    (event,) = (each for each in _all_events(database) if each.index == DOOR)
    assert event.measurement.value is True
    debounced_ms = system_utc_ms() - event.measurement.time_ms
    assert debounced_ms >= 50, "it was told when it had settled"
    # A mock pin keeps no edges: it is polled a hundred times a second.
    assert before_ms - 1 <= event.measurement.time_ms
    assert event.measurement.time_ms < after_ms + 1000


async def test_a_relay_is_switched_and_reports_it(bridge: Bridge, caplog: pytest.LogCaptureFixture) -> None:
    database = database_of(bridge)
    controls: Any = bridge.local_outstations["box"].controls
    with caplog.at_level(logging.INFO, "bridge"):
        assert controls.operate(Crob(0x03), 20, Function.OPERATE) is CommandStatus.SUCCESS
        await eventually(lambda: events(database, OUTPUT, 20), "the relay")
    assert [record.getMessage() for record in caplog.records] == ["control", "relay"]
    assert events(database, OUTPUT, 20) == [(20, True, ONLINE)]
    assert bridge.front.panel.relays["horn"].is_high  # type: ignore[attr-defined]
    assert bridge.snapshot()["relays"] == [{"name": "horn", "is_on": True}]


async def test_each_appliance_outstation_has_events_of_its_own(bridge: Bridge) -> None:
    with await Master.connect(bridge.servers["main"].endpoint, "127.0.0.2"):
        for name in ("box", "other-box"):
            database = database_of(bridge, name)
            await eventually(lambda: events(database, INPUT), "the event")  # noqa: B023
            assert events(database, INPUT) == [(OTHER_CONNECTED, True, ONLINE)]
        _forget(database_of(bridge, "box"))
        assert events(database_of(bridge, "other-box"), INPUT) == [(OTHER_CONNECTED, True, ONLINE)]


async def test_what_nobody_tells_of_is_looked_at_all_the_same(
    adapter: Pty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appliance, "_PERIOD_S", 0.01)
    async with running(site(adapter.device)) as bridge:
        database = database_of(bridge)
        with Device(adapter, answering), await Master.connect(bridge.servers["main"].endpoint) as master:
            for sequence in range(3):
                await ask(bridge, master, sequence)

            def agree() -> bool:
                status = bridge.snapshot()
                line, outstation = status["lines"][0], status["outstations"][0]
                times = outstation["diagnosis"]["response_times"]
                counters, analogs = points(database, COUNTER), points(database, ANALOG)
                return (counters[100], counters[103], counters[1003], analogs[1000]) == (
                    (3, ONLINE),
                    (line["octets_heard"], ONLINE),
                    (3, ONLINE),
                    (round(times["p50_s"] * 1000), ONLINE),
                )

            await eventually(agree, "points and status agree")


async def test_a_look_that_fails_is_not_the_last(adapter: Pty, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appliance, "_PERIOD_S", 0.01)
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: failures.append(context))
    async with running(site(adapter.device)) as bridge:
        looks = bridge.appliance._status_of
        monkeypatch.setattr(bridge.appliance, "_status_of", None)
        await eventually(lambda: failures, "a look that fails")
        monkeypatch.setattr(bridge.appliance, "_status_of", looks)
        bridge.hubs["bay1"].frames_sent = 77
        await eventually(lambda: points(database_of(bridge), COUNTER)[100] == (77, ONLINE), "a later look")


def test_states_keep_their_history_and_numbers_their_last_value() -> None:
    database = appliance._database(blocks_of(CONFIGURATION))
    for count in range(1, 2000):
        database.update(COUNTER, TIMEOUTS, Measurement(count))
        database.update(ANALOG, 0, Measurement(count * 100))
    for number in range(100):
        database.update(INPUT, ANSWERING, Measurement(number % 2 == 0))
    assert events(database, COUNTER) == [(TIMEOUTS, 1999, ONLINE)]
    assert events(database, ANALOG) == [(0, 199_900, ONLINE)]
    assert len(events(database, INPUT)) == 100
    assert not database.events.has_overflowed


async def test_a_freeze_of_everything_does_not_overflow(bridge: Bridge) -> None:
    database = database_of(bridge)
    frozen = database.freeze(COUNTER)
    assert frozen == len(database.indices(COUNTER)) > 0
    assert not database.events.has_overflowed


def test_a_master_is_not_asked_whether_it_is_there() -> None:
    """One that shares its session with RTUs may know nothing of this address, and would lose the session."""
    config = appliance._stack_config(CONFIGURATION.outstations[1])
    assert config.keep_alive_s is None
    assert (config.master_address, config.unsolicited.is_supported) == (None, False)


async def test_a_bridge_without_an_appliance_outstation_looks_at_nothing(
    adapter: Pty, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = without_appliance(adapter.device)
    async with running(text) as bridge:
        monkeypatch.setattr(bridge.appliance, "_tell", None)
        with await Master.connect(bridge.servers["main"].endpoint):
            await eventually(lambda: bridge.servers["main"].sessions, "the master")
            await turns_of_the_loop()
        assert bridge.appliance._timer is None
        assert bridge.local_outstations == {}


async def test_its_status(bridge: Bridge) -> None:
    with await Master.connect(bridge.servers["main"].endpoint) as master:
        await eventually(lambda: bridge.servers["main"].sessions, "the master")
        status = next(each for each in bridge.snapshot()["outstations"] if each["name"] == "box")
        assert status == {
            "name": "box",
            "enabled": True,
            "server": "main",
            "line": None,
            "local": "appliance",
            "link_address": 1,
            "master": master.name,
            "led": status["led"],
            "is_reachable": True,
            "sessions_started": 1,
            "pre_emptions": 0,
            "frames_from_master": 0,
            "frames_to_master": 0,
            "drops": {},
            "events_waiting": status["events_waiting"],
            "events_overflowed": False,
        }
        assert (status["led"]["name"], status["led"]["state"]) == ("led1", "idle")


def test_its_attributes() -> None:
    store = attributes(CONFIGURATION)
    texts = {
        number: attribute.value
        for number in range(240, 254)
        if (attribute := store.get(number)) is not None and attribute.type is AttributeType.VSTR
    }
    assert texts.items() >= {242: VERSION, 245: "cabinet 3", 247: "mill-lane", 252: "RTU Bridge"}.items()
    assert 248 in texts, "this machine has a number"
    assert not any(store.is_writable(0, number) for number in range(1, 254))


def test_counters_may_be_frozen_and_not_cleared() -> None:
    application = ApplianceApplication()
    assert application.freeze(COUNTER, None, None, FreezeType.IMMEDIATE) is True
    assert application.freeze(COUNTER, None, None, FreezeType.CLEAR) is False


async def test_a_reset_by_its_control(bridge: Bridge) -> None:
    database = database_of(bridge)
    controls: Any = bridge.local_outstations["box"].controls
    assert controls.select(Crob(0x01), 100) is CommandStatus.SUCCESS
    assert controls.operate(Crob(0x01), 100, Function.DIRECT_OPERATE) is CommandStatus.SUCCESS
    await turns_of_the_loop(2)
    assert controls.select(Crob(0x01), 100) is CommandStatus.ALREADY_ACTIVE
    await eventually(lambda: len(events(database, OUTPUT, 100)) == 2, "the reset is over")
    assert events(database, OUTPUT, 100) == [(100, True, ONLINE), (100, False, ONLINE)]
    assert events(database, INPUT, LINE_UP) == [(LINE_UP, False, ONLINE), (LINE_UP, True, ONLINE)]
    assert controls.select(Crob(0x01), 100) is CommandStatus.SUCCESS


async def test_a_reset_of_a_line_that_is_down_shows_while_it_is_tried(bridge: Bridge, adapter: Pty) -> None:
    database = database_of(bridge)
    adapter.unplug()
    await eventually(lambda: not bridge.hubs["bay1"].line.is_open, "the line is down")
    await turns_of_the_loop()
    controls: Any = bridge.local_outstations["box"].controls
    controls.operate(Crob(0x01), 100, Function.DIRECT_OPERATE)
    await eventually(lambda: events(database, OUTPUT, 100), "the reset")
    assert events(database, OUTPUT, 100) == [(100, True, ONLINE)]


async def test_a_lamp_test_by_its_control(bridge: Bridge) -> None:
    database = database_of(bridge)
    controls: Any = bridge.local_outstations["box"].controls
    controls.operate(Crob(0x01, 1, 60_000), 0, Function.DIRECT_OPERATE)
    await eventually(lambda: events(database, OUTPUT, 0), "it shows")
    assert bridge.snapshot()["system_led"]["overlay"] == "lamp_test"
    controls.operate(Crob(0x04), 0, Function.DIRECT_OPERATE)
    await eventually(lambda: len(events(database, OUTPUT, 0)) == 2, "its end")
    assert events(database, OUTPUT, 0) == [(0, True, ONLINE), (0, False, ONLINE)]


async def test_dropping_sessions_by_its_control(bridge: Bridge, caplog: pytest.LogCaptureFixture) -> None:
    controls: Any = bridge.local_outstations["other-box"].controls

    def select(index: int) -> CommandStatus:
        status: CommandStatus = controls.select(Crob(0x01), index)
        return status

    assert select(1000) is CommandStatus.ALREADY_COMPLETE
    assert select(1060) is CommandStatus.NOT_SUPPORTED, "it is disabled"
    with await Master.connect(bridge.servers["main"].endpoint) as master:
        await eventually(lambda: bridge.servers["main"].sessions, "the master")
        assert select(1000) is CommandStatus.SUCCESS
        with caplog.at_level(logging.INFO, "bridge"):
            controls.operate(Crob(0x01), 1000, Function.DIRECT_OPERATE)
            assert await master.receive_to_the_end() == b""
        (record,) = (each for each in caplog.records if each.getMessage() == "session dropped")
        assert record.fields["peer"] == master.name  # type: ignore[attr-defined]
