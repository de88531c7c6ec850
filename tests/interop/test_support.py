"""What this folder stands on: the wire carries both ways, and no failure goes unnoticed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support import link_frames, peers, wire_crc
from tests.support.bridge_process import Site, running
from tests.support.raw_peers import RawRtu
from tests.support.waiting import until
from tests.support.wire import Direction, Wire

REQUEST = wire_crc.frame(0xC4, 10, 1, bytes(range(40)))
ANSWER = wire_crc.frame(0x44, 1, 10, bytes(range(250)))


def test_frames_that_are_not_right_are_refused() -> None:
    assert link_frames.take_frames(REQUEST + ANSWER) == [REQUEST, ANSWER]
    for octets in (REQUEST[:-1], REQUEST[:-1] + b"\0", b"\0" + REQUEST, REQUEST + b"\x05", REQUEST + b"x"):
        with pytest.raises(AssertionError):
            link_frames.take_frames(octets)


@pytest.mark.wire
def test_a_wire_carries_both_ways_and_remembers(tmp_path: Path) -> None:
    with Wire(tmp_path / "tty") as wire, RawRtu(wire.device) as bridge, RawRtu(wire.rtu) as rtu:
        bridge.write(REQUEST)
        assert rtu.read_frame() == REQUEST
        rtu.write(ANSWER)
        assert bridge.read_frame() == ANSWER
    assert wire.octets(Direction.TO_RTU) == REQUEST
    assert wire.octets(Direction.TO_BRIDGE) == ANSWER
    times = [passage.time_s for passage in wire.passages]
    assert times == sorted(times)


@pytest.mark.wire
def test_unplugging_is_a_hang_up_and_replugging_another_device(tmp_path: Path) -> None:
    with Wire(tmp_path / "tty") as wire, RawRtu(wire.rtu) as rtu:
        old = os.open(wire.device, os.O_RDWR | os.O_NOCTTY)
        wire.unplug()
        assert not os.path.exists(wire.device)
        until(lambda: is_hung_up(old), "the port hangs up")
        wire.replug()
        with RawRtu(wire.device) as bridge:
            rtu.write(REQUEST)
            assert bridge.read_frame() == REQUEST
        os.close(old)


def is_hung_up(port: int) -> bool:
    try:
        return os.read(port, 1) == b""
    except OSError:
        return True


@pytest.mark.wire
def test_a_bridge_that_does_not_end_in_peace_is_noticed(tmp_path: Path) -> None:
    with (
        Wire(tmp_path / "tty") as wire,
        pytest.raises(AssertionError, match="exit status -9"),
        running(tmp_path, Site(device=wire.device)) as bridge,
    ):
        bridge.kill()


@pytest.mark.wire
def test_a_configuration_that_is_refused_is_noticed(tmp_path: Path) -> None:
    site = Site(device=tmp_path / "tty", line={"baud": 1})
    with pytest.raises(AssertionError, match=r"(?s)ended with 2.*baud"), running(tmp_path, site):
        pass


@pytest.mark.parametrize(("value", "outcome"), [("1", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_a_missing_peer_fails_where_it_is_required(
    monkeypatch: pytest.MonkeyPatch, value: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv(peers.REQUIRE, value)
    with pytest.raises(outcome, match="no-such-program"):
        peers.require("no-such-program")
    with pytest.raises(outcome, match="no_such_module"):
        peers.require_module("no_such_module")
