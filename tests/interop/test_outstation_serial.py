"""opendnp3's master on a serial line with an outstation of ours: no TCP, no bridge, one pty to another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from bridge.application.command import AnalogOutputCommand, Crob
from bridge.application.function import Function
from bridge.application.measurement import Measurement, PointKind
from bridge.outstation.config import OutstationConfig, UnsolicitedConfig
from bridge.outstation.database import Database
from bridge.outstation.points import CommandKind
from bridge.outstation.values import EventDetection
from tests.support import peers
from tests.support.local_outstation import LocalOutstation
from tests.support.opendnp3 import EVENT_CLASSES, o
from tests.support.opendnp3_reader import ReadingMaster, ReadingOpendnp3
from tests.support.plants import (
    EVENT_FORMS,
    POINTS,
    Reading,
    as_configured,
    as_read,
    config_of,
    measurement_of,
    plant,
)
from tests.support.raw_peers import RawRtu
from tests.support.recordings import Recordings
from tests.support.waiting import PATIENCE_S, until
from tests.support.wire import Wire

pytestmark = [pytest.mark.wire, pytest.mark.peer]

OUTSTATION = 10
HASTY_S = 0.4
"""How long a master waits that polls a line without an outstation."""
LEAST_FRAMES = 100


class Bench(NamedTuple):
    wire: Wire
    out: LocalOutstation
    master: ReadingMaster

    @property
    def is_open(self) -> bool:
        """Whether the outstation has its port."""
        assert self.out.serial is not None
        return self.out.serial.line.is_open


@pytest.fixture(scope="module")
def recordings() -> Recordings:
    return Recordings()


@contextmanager
def serving(
    recordings: Recordings, directory: Path, *, response_timeout_s: float = PATIENCE_S, is_quiet: bool = True
) -> Iterator[Bench]:
    """Let a master begin with an outstation on the other end of its line."""
    config = OutstationConfig(
        link_address=OUTSTATION,
        confirm_timeout_s=PATIENCE_S,
        unsolicited=UnsolicitedConfig(confirm_timeout_s=PATIENCE_S),
    )
    with (
        Wire(directory / "tty") as wire,
        # What the outstation says before the master has opened its port waits there for it.
        RawRtu(wire.rtu),
        LocalOutstation(plant(), config, device=str(wire.device)) as out,
        ReadingOpendnp3() as peer,
    ):
        assert out.serial is not None
        until(lambda: out.serial and out.serial.line.is_open, "the port is open")
        channel, _ = peer.open_serial(wire.rtu)
        master = peer.reader(channel, OUTSTATION, response_timeout_s=response_timeout_s)
        master.wait_until_started()
        if is_quiet:
            master.disable_unsolicited()
        master.take()
        yield Bench(wire, out, master)
    recordings.add_line(directory.name, wire.passages)
    assert out.serial.counters.octets_discarded == 0, out.serial.counters


@pytest.fixture
def bench(recordings: Recordings, tmp_path: Path) -> Iterator[Bench]:
    with serving(recordings, tmp_path) as bench:
        yield bench


def force_all(out: LocalOutstation, seed: int) -> list[Reading]:
    """Make one event of every point; return what a master must read of them."""
    expected = []
    changes = []
    for index in range(POINTS):
        for kind, group in EVENT_FORMS:
            measurement = measurement_of(kind, index, seed)
            changes.append((kind, index, measurement))
            expected.append(as_read(group, config_of(kind, index).event_variation, index, measurement))

    def change(database: Database) -> None:
        for kind, index, measurement in changes:
            database.update(kind, index, measurement, detect=EventDetection.FORCE)

    out.update(change)
    return expected


def test_an_integrity_poll_brings_every_point(bench: Bench) -> None:
    assert bench.master.poll() == "SUCCESS"
    assert sorted(bench.master.take_readings(), key=repr) == sorted(as_configured(), key=repr)


def test_events_come_once_and_in_order(bench: Bench) -> None:
    for seed in (1, 2):
        expected = force_all(bench.out, seed)
        assert bench.master.poll_events() == expected
        bench.out.wait_until_confirmed()
    assert bench.master.poll_events() == []


def test_events_come_unasked(recordings: Recordings, tmp_path: Path) -> None:
    with serving(recordings, tmp_path, is_quiet=False) as bench:
        until(lambda: bench.out.device.unsolicited_classes == {1, 2, 3}, "all classes are enabled")
        bench.master.take()
        expected = force_all(bench.out, 3)
        until(lambda: len(bench.master.soe.heard) >= len(expected), "all come")
        heard = bench.master.take()
        assert [each.reading for each in heard] == expected
        assert all(each.is_unsolicited for each in heard)
        bench.out.wait_until_confirmed()


def test_controls_are_selected_operated_and_fed_back(bench: Bench) -> None:
    crob = o.ControlRelayOutputBlock(o.OperationType.LATCH_OFF)
    assert bench.master.select_and_operate(crob, 4) == ["SUCCESS", "SUCCESS"]
    assert bench.master.select_and_operate(o.AnalogOutputDouble64(0.1), 5) == ["SUCCESS", "SUCCESS"]
    assert bench.master.direct_operate(o.AnalogOutputInt16(-5), 6) == ["SUCCESS", "SUCCESS"]
    done = [(each.function, each.index, each.command) for each in bench.out.device.operated]
    assert done == [
        (Function.OPERATE, 4, Crob(0x04, 1, 100, 100)),
        (Function.OPERATE, 5, AnalogOutputCommand(0.1, variation=4)),
        (Function.DIRECT_OPERATE, 6, AnalogOutputCommand(-5, variation=2)),
    ]
    assert bench.master.read([o.Header.Range8(10, 2, 4, 4), o.Header.Range8(40, 4, 5, 6)]) == "SUCCESS"
    assert bench.master.take_readings() == [
        Reading(10, 2, 4, False, 1),
        Reading(40, 4, 5, 0.1, 1),
        Reading(40, 4, 6, -5.0, 1),
    ]
    counts = bench.out.call(lambda: bench.out.database.events.counts().by_kind)
    assert (counts[CommandKind.BINARY_COMMAND], counts[CommandKind.ANALOG_COMMAND]) == (1, 2)


def test_an_adapter_is_pulled_out_and_put_back(recordings: Recordings, tmp_path: Path) -> None:
    """What happened meanwhile is told afterwards, and nothing of before is told twice."""
    with serving(recordings, tmp_path, response_timeout_s=HASTY_S) as bench:
        wire, out, master = bench.wire, bench.out, bench.master
        told = force_all(out, 1)
        master.poll_until_answered(EVENT_CLASSES, within_s=PATIENCE_S)
        out.wait_until_confirmed()
        assert master.take_readings() == told
        wire.unplug()
        until(lambda: not bench.is_open, "the outstation notices")
        missed = force_all(out, 2)
        assert master.poll(EVENT_CLASSES) != "SUCCESS"
        wire.replug()
        until(lambda: bench.is_open, "the port is open again")
        master.poll_until_answered(EVENT_CLASSES, within_s=PATIENCE_S)
        until(lambda: len(master.soe.heard) >= len(missed), "they come")
        assert master.take_readings() == missed
        out.wait_until_confirmed()
        crob = o.ControlRelayOutputBlock(o.OperationType.LATCH_ON)
        assert master.direct_operate(crob, 1) == ["SUCCESS", "SUCCESS"]
        out.update(lambda database: database.update(PointKind.COUNTER, 3, Measurement(99)))
        master.poll_until_answered(within_s=PATIENCE_S)
        assert Reading(20, 1, 3, 99, 1) in master.take_readings()


# The last test of this file, because it reads what the others recorded.


def test_every_frame_dissects(recordings: Recordings, tmp_path: Path) -> None:
    peers.require("tshark")
    if not recordings.conversations:
        pytest.skip("it dissects what the other tests of this file record")
    recordings.check(tmp_path, at_least=LEAST_FRAMES)
