"""py1815's master at an outstation of ours: what it can, and what it does wrong on purpose."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.application.command import AnalogOutputCommand, Crob
from bridge.application.function import Function
from bridge.application.measurement import Measurement, PointKind
from bridge.outstation.config import OutstationConfig, UnsolicitedConfig
from bridge.outstation.database import Database
from bridge.outstation.handlers import FreezeType
from bridge.outstation.values import EventDetection
from tests.support import peers
from tests.support.capture import RecordingProxy
from tests.support.eventually import eventually
from tests.support.local_outstation import LocalOutstation
from tests.support.plants import (
    FORMS,
    GROUPS,
    POINTS,
    STATIC_FORMS,
    Reading,
    all_as_read,
    as_read,
    config_of,
    measurements_of,
    plant,
)
from tests.support.py1815_master import COMPLETE, LAYOUTS, FunctionCode, connected, outcome, readings
from tests.support.recordings import Recordings
from tests.support.waiting import PATIENCE_S

pytestmark = [pytest.mark.wire, pytest.mark.peer]

KINDS = (
    *(PointKind.BINARY_INPUT, PointKind.BINARY_OUTPUT, PointKind.COUNTER),
    *(PointKind.FROZEN_COUNTER, PointKind.ANALOG_INPUT, PointKind.ANALOG_OUTPUT),
)
"""What py1815 knows."""
KNOWN = [(group, variation) for group, variation in FORMS if (group, variation) in LAYOUTS]
IS_STATIC = {group for _, group in STATIC_FORMS}
HASTY_S = 0.4
RETRIES = 20
LEAST_FRAMES = 200
NULL_CONFIRMED = (True, 0)
"""An unsolicited response without events: the first one."""


@pytest.fixture(scope="module")
def recordings() -> Recordings:
    return Recordings()


def known_plant() -> Database:
    """A plant of the kinds that py1815 can take apart: it stops at the first object that it does not know."""
    database = plant()
    for kind in PointKind:
        if kind not in KINDS:
            for index in range(POINTS):
                database.remove(kind, index)
    return database


@contextmanager
def serving(
    recordings: Recordings,
    name: str,
    *,
    is_master_right: bool = True,
    unsolicited: UnsolicitedConfig | None = None,
) -> Iterator[tuple[LocalOutstation, RecordingProxy]]:
    config = OutstationConfig(
        confirm_timeout_s=PATIENCE_S,
        keep_alive_s=None,
        unsolicited=unsolicited or UnsolicitedConfig(confirm_timeout_s=PATIENCE_S),
    )
    with (
        LocalOutstation(known_plant(), config) as out,
        recordings.proxy(name, out.port, is_master_right=is_master_right) as proxy,
    ):
        yield out, proxy


def force(out: LocalOutstation, kind: PointKind, measurements: dict[int, Measurement]) -> None:
    def change(database: Database) -> None:
        for index, measurement in measurements.items():
            database.update(kind, index, measurement, detect=EventDetection.FORCE)

    out.update(change)


async def read(master: Any, body: bytes) -> list[Reading]:
    exchange = await master.request(FunctionCode.READ, body)
    assert outcome(exchange) == COMPLETE
    assert exchange.undecoded == ()
    return readings(exchange.objects)


async def test_an_integrity_poll_brings_every_point(recordings: Recordings) -> None:
    with serving(recordings, "integrity") as (out, proxy):
        async with connected(proxy.port, response_timeout_s=PATIENCE_S, has_tasks=True) as master:
            await master.idle()
            poll = await master.integrity_poll()
            assert (outcome(poll), poll.undecoded) == (COMPLETE, ())
            expected = [
                as_read(group, config_of(kind, index).static_variation, index, measurement)
                for kind, group in STATIC_FORMS
                if kind in KINDS
                for index, measurement in measurements_of(kind).items()
            ]
            assert sorted(readings(poll.objects), key=repr) == sorted(expected, key=repr)
            assert out.device.clears == 1


async def test_every_variation_is_read(recordings: Recordings) -> None:
    assert len(KNOWN) > 40
    with serving(recordings, "variations") as (out, proxy):
        async with connected(proxy.port, response_timeout_s=PATIENCE_S) as master:
            for group, variation in KNOWN:
                kind = GROUPS[group]
                measurements = measurements_of(kind, 0 if group in IS_STATIC else 3)
                if group not in IS_STATIC:
                    force(out, kind, measurements)
                heard = await read(master, bytes((group, variation, 6)))
                assert heard == all_as_read(group, variation, measurements)
                if group in IS_STATIC:
                    some = {index: measurements[index] for index in (4, 5, 6)}
                    heard = await read(master, bytes((group, variation, 0, 4, 6)))
                    assert heard == all_as_read(group, variation, some)
                else:
                    await eventually(
                        lambda: out.call(lambda: out.database.events.counts().total) == 0, "confirmed"
                    )
                    # The next kind's static data are as they were.
                    out.update(lambda database, kind=kind: restore(database, kind))  # type: ignore[misc]


def restore(database: Database, kind: PointKind) -> None:
    for index, measurement in measurements_of(kind).items():
        database.update(kind, index, measurement, detect=EventDetection.SUPPRESS)


CROBS = {
    0: (True, 0x03, True),
    1: (False, 0x04, False),
    2: ("pulse_on", 0x01, True),
    3: ("trip", 0x81, False),
    4: ("close", 0x41, True),
}
SETPOINTS = {0: (12_345, 1), 1: (3.5, 3)}


@pytest.mark.parametrize("mode", ["select", "direct", "direct_no_ack"])
async def test_controls_are_executed_and_fed_back(recordings: Recordings, mode: str) -> None:
    with serving(recordings, f"controls {mode}") as (out, proxy):
        async with connected(proxy.port, response_timeout_s=PATIENCE_S) as master:
            operated = await master.operate(
                binary_outputs={index: name for index, (name, _, _) in CROBS.items()},
                analog_outputs={index: value for index, (value, _) in SETPOINTS.items()},
                mode=mode,
            )
            if mode != "direct_no_ack":
                assert operated.accepted
                assert [status.status.name for status in operated.statuses] == ["SUCCESS"] * 7
            values = await read(master, bytes((10, 2, 0, 0, 4, 40, 4, 0, 0, 1)))
            assert [each.value for each in values] == [
                *(state for _, _, state in CROBS.values()),
                12_345,
                3.5,
            ]
            function = {
                "select": Function.OPERATE,
                "direct": Function.DIRECT_OPERATE,
                "direct_no_ack": Function.DIRECT_OPERATE_NR,
            }[mode]
            done = [(each.function, each.index) for each in out.device.operated]
            assert done == [(function, index) for index in (*CROBS, *SETPOINTS)]
            codes = [each.command.code for each in out.device.operated if isinstance(each.command, Crob)]
            assert codes == [code for _, code, _ in CROBS.values()]
            numbers = [
                each.command.variation
                for each in out.device.operated
                if isinstance(each.command, AnalogOutputCommand)
            ]
            assert len(numbers) == len(SETPOINTS)


@pytest.mark.parametrize("procedure", ["lan", "non_lan"])
async def test_the_time_is_set(recordings: Recordings, procedure: str) -> None:
    with serving(recordings, f"time {procedure}") as (out, proxy):
        async with connected(proxy.port, response_timeout_s=PATIENCE_S) as master:
            before_ms = time.time_ns() // 1_000_000
            synchronized = await master.synchronize_time(procedure)
            assert [outcome(each) for each in synchronized.exchanges] == [COMPLETE, COMPLETE]
            (time_ms,) = out.device.times_ms
            now_ms = time.time_ns() // 1_000_000
            # A measured delay may be wrong by what the measurement took.
            assert before_ms - 1 <= time_ms <= now_ms + (now_ms - before_ms) + 1


async def test_freezes_restarts_and_a_link_of_other_requests(recordings: Recordings) -> None:
    with serving(recordings, "freezes and restarts") as (out, proxy):
        async with connected(proxy.port, response_timeout_s=PATIENCE_S) as master:
            for is_clear, responds in ((False, True), (False, False), (True, True), (True, False)):
                exchange = await master.freeze(clear=is_clear, respond=responds)
                assert outcome(exchange) == (COMPLETE if responds else "sent")
            for kind in ("cold", "warm"):
                exchange = await master.restart(kind)
                assert outcome(exchange) == COMPLETE
            (delay,) = exchange.objects
            assert (delay.group, delay.variation, delay.raw) == (52, 1, struct.pack("<H", 3))
            immediate, clear = FreezeType.IMMEDIATE, FreezeType.CLEAR
            assert [each for _, each in out.device.frozen] == [immediate, immediate, clear, clear]
            assert out.device.restarts == ["cold", "warm"]
            counters = await read(master, bytes((20, 1, 6)))
            assert {each.value for each in counters} == {0}
            await read(master, bytes((60, 2, 6, 60, 3, 6, 60, 4, 6)))


@pytest.mark.parametrize("address", ["no_confirm", "shall_confirm", "optional_confirm"])
async def test_a_broadcast_is_obeyed_and_indicated_once(recordings: Recordings, address: str) -> None:
    with serving(recordings, f"broadcast {address}") as (out, proxy):
        async with connected(proxy.port, response_timeout_s=PATIENCE_S) as master:
            await master.broadcast(FunctionCode.IMMED_FREEZE, bytes((20, 0, 6)), address=address)
            first = await master.request(FunctionCode.READ, bytes((1, 2, 0, 0, 0)))
            second = await master.request(FunctionCode.READ, bytes((1, 2, 0, 1, 1)))
            assert out.device.broadcasts == [(Function.IMMED_FREEZE, True)]
            assert out.device.frozen == [(PointKind.COUNTER, FreezeType.IMMEDIATE)]
            heads = [each.fragments[0] for each in (first, second)]
            assert [head.iin.first & 1 for head in heads] == [1, 0]
            assert [outcome(each) for each in (first, second)] == [COMPLETE] * 2
            asks_confirm = [bool(head.control.con) for head in heads]
            assert asks_confirm == [address == "shall_confirm", False]


async def test_unsolicited_responses(recordings: Recordings) -> None:
    with serving(recordings, "unsolicited") as (out, proxy):
        async with connected(proxy.port, response_timeout_s=PATIENCE_S) as master:
            assert outcome(await master.enable_unsolicited(1, 2, 3)) == COMPLETE
            await eventually(lambda: any(each.null for each in master.unsolicited), "the first one is empty")
            measurements = measurements_of(PointKind.COUNTER, 3)
            force(out, PointKind.COUNTER, measurements)

            def heard() -> list[Reading]:
                return [each for response in master.unsolicited for each in readings(response.objects)]

            await eventually(lambda: len(heard()) >= POINTS, "the events come")
            assert heard() == all_as_read(22, 5, measurements)
            await eventually(lambda: out.call(lambda: out.database.events.counts().total) == 0, "confirmed")
            assert outcome(await master.disable_unsolicited(1, 2, 3)) == COMPLETE
            assert out.device.unsolicited_classes == set()


async def test_every_deliberate_fault_is_survived(recordings: Recordings) -> None:
    """One connection. After each fault a clean poll succeeds, and every event has come at least once."""
    with serving(recordings, "faults", is_master_right=False) as (out, proxy):
        async with connected(proxy.port, response_timeout_s=HASTY_S) as master:
            # Else a READ waits for the confirm that a silent master withholds.
            await eventually(
                lambda: NULL_CONFIRMED in out.device.confirmed, "the first response is confirmed"
            )
            names = master.deviations.names()
            assert len(names) == 14
            outcomes = {}
            for seed, name in enumerate(names):
                measurements = measurements_of(PointKind.COUNTER, seed)
                force(out, PointKind.COUNTER, measurements)
                master.deviations.set(name, True)
                master.association.read_retries = 0
                faulty = await master.integrity_poll()
                master.deviations.clear()
                # For a machine that is busier than the master has patience.
                master.association.read_retries = RETRIES
                clean = await master.integrity_poll()
                outcomes[name] = (outcome(faulty), outcome(clean))
                assert (name, outcome(clean), master.connected) == (name, COMPLETE, True)
                events = [
                    {each for each in readings(exchange.objects) if each.group == 22}
                    for exchange in (faulty, clean)
                ]
                assert events[0] | events[1] == set(all_as_read(22, 5, measurements)), name
                static = [each for each in readings(clean.objects) if each.group == 20]
                assert static == all_as_read(20, 1, measurements), name
                await eventually(
                    lambda: out.call(lambda: out.database.events.counts().total) == 0, f"confirmed: {name}"
                )
            assert outcomes == {name: (FAULTY_POLLS.get(name, "timeout"), COMPLETE) for name in names}
            assert (proxy.connections, out.connects) == (1, 1)


FAULTY_POLLS = dict.fromkeys(
    (
        *("repeat_request", "wrong_application_sequence", "withhold_confirmation", "late_confirmation"),
        *("wrong_confirmation_sequence", "withhold_unsolicited_confirmation"),
        # A first segment begins anew, whatever its sequence.
        "break_transport_sequence",
    ),
    COMPLETE,
)
"""Faults that do not cost the poll its answer."""


async def test_an_unsolicited_response_is_sent_until_it_is_confirmed(recordings: Recordings) -> None:
    hasty = UnsolicitedConfig(confirm_timeout_s=0.05, retry_delay_s=0.05, retries=2)
    with serving(recordings, "unconfirmed", unsolicited=hasty) as (out, proxy):
        async with connected(proxy.port, response_timeout_s=PATIENCE_S) as master:
            assert outcome(await master.enable_unsolicited(1, 2, 3)) == COMPLETE
            await eventually(
                lambda: NULL_CONFIRMED in out.device.confirmed, "the first response is confirmed"
            )
            master.deviations.set("withhold_unsolicited_confirmation", True)
            force(out, PointKind.COUNTER, {2: Measurement(77)})
            await eventually(lambda: out.device.timeouts >= 5, "it is sent again and again")
            assert out.call(lambda: out.database.events.counts().total) == 1
            master.deviations.clear()
            await eventually(lambda: out.call(lambda: out.database.events.counts().total) == 0, "confirmed")
            values = {each.value for one in master.unsolicited for each in readings(one.objects)}
            assert values == {77}
            assert master.connected


# The last test of this file, because it reads what the others recorded.


def test_every_frame_dissects(recordings: Recordings, tmp_path: Path) -> None:
    peers.require("tshark")
    if not recordings.conversations:
        pytest.skip("it dissects what the other tests of this file record")
    recordings.check(tmp_path, at_least=LEAST_FRAMES)
