"""Two masters that know nothing of each other, whose RTUs hang on one line: each hears only its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import wire_crc
from tests.support.bridge_process import HOST, BridgeProcess, Site, running
from tests.support.raw_peers import RawMaster, RawRtu
from tests.support.waiting import until
from tests.support.wire import Wire

pytestmark = pytest.mark.wire

FROM_MASTER, FROM_RTU = 0xC4, 0x44
CONFIRM, READ, RESPONSE, UNSOLICITED = 0, 1, 129, 130
UNS_CON = 0x30
PATIENT, HASTY = {"response_timeout_ms": 60_000, "request_ttl_ms": 60_000}, {"response_timeout_ms": 1000}


@dataclass(frozen=True)
class Party:
    """A master, its RTU, and what they say to each other."""

    host: str
    master: int
    rtu: int

    def request(self, sequence: int) -> bytes:
        return self._from_master(0xC0 | sequence, READ, bytes.fromhex("3c 01 06"))

    def confirm(self, sequence: int) -> bytes:
        return self._from_master(0xD0 | sequence, CONFIRM)

    def response(self, sequence: int, mark: bytes = b"") -> bytes:
        return self._from_rtu(0xC0 | sequence, RESPONSE, mark)

    def unsolicited(self, sequence: int, mark: bytes) -> bytes:
        return self._from_rtu(0xC0 | UNS_CON | sequence, UNSOLICITED, mark)

    def _from_master(self, control: int, function: int, rest: bytes = b"") -> bytes:
        return wire_crc.frame(FROM_MASTER, self.rtu, self.master, bytes([0xC0, control, function]) + rest)

    def _from_rtu(self, control: int, function: int, mark: bytes) -> bytes:
        data = bytes([0xC0, control, function, 0, 0]) + mark
        return wire_crc.frame(FROM_RTU, self.master, self.rtu, data)


NORTH, SOUTH = Party("127.0.0.1", 1, 10), Party("127.0.0.2", 2, 11)


@pytest.fixture(params=[PATIENT], ids=["patient"])
def bridge(request: pytest.FixtureRequest, tmp_path: Path, wire: Wire) -> Iterator[BridgeProcess]:
    parties = (NORTH, SOUTH)
    site = Site(
        device=wire.device,
        addresses=tuple(party.rtu for party in parties),
        masters={party.rtu: party.host for party in parties},
        line=request.param,
    )
    with running(tmp_path, site) as bridge:
        yield bridge


@pytest.fixture
def north(bridge: BridgeProcess) -> Iterator[RawMaster]:
    with RawMaster(HOST, bridge.port, source=NORTH.host) as master:
        yield master


@pytest.fixture
def south(bridge: BridgeProcess) -> Iterator[RawMaster]:
    with RawMaster(HOST, bridge.port, source=SOUTH.host) as master:
        yield master


def test_answers_that_nobody_asked_for_go_nowhere(
    bridge: BridgeProcess, line: RawRtu, north: RawMaster, south: RawMaster
) -> None:
    north.send(NORTH.request(3))
    assert line.read_frame() == NORTH.request(3)
    south.send(SOUTH.request(3))
    until(lambda: bridge.line()["waiting_frames"] == 1, "the other request waits for its turn")
    assert not line.has_octets()
    line.write(SOUTH.response(3, b"not its turn"))
    line.write(Party(NORTH.host, SOUTH.master, NORTH.rtu).response(3, b"to the wrong master"))
    line.write(NORTH.response(2, b"to an earlier request"))
    line.write(Party(NORTH.host, NORTH.master, 99).response(3, b"from nobody here"))
    line.write(NORTH.response(3))
    assert north.read_frame() == NORTH.response(3)
    assert line.read_frame() == SOUTH.request(3)
    line.write(SOUTH.response(3))
    assert south.read_frame() == SOUTH.response(3)
    assert bridge.outstation(NORTH.rtu)["drops"] == {"not_awaited": 2}
    assert bridge.outstation(SOUTH.rtu)["drops"] == {"other_outstation": 1}
    assert bridge.outstation(NORTH.rtu)["diagnosis"]["wrong_address_answers"] == 2
    assert bridge.line()["drops"] == {"unknown_source": 1}


def test_unsolicited_values_pass_during_the_others_exchange(
    bridge: BridgeProcess, line: RawRtu, north: RawMaster, south: RawMaster
) -> None:
    for master, party in ((north, NORTH), (south, SOUTH)):
        # The bridge learns who the masters are from what they ask.
        master.send(party.request(0))
        assert line.read_frame() == party.request(0)
        line.write(party.response(0))
        assert master.read_frame() == party.response(0)
    north.send(NORTH.request(1))
    assert line.read_frame() == NORTH.request(1)
    line.write(SOUTH.unsolicited(5, b"an event"))
    assert south.read_frame() == SOUTH.unsolicited(5, b"an event")
    south.send(SOUTH.confirm(5))
    until(lambda: bridge.line()["waiting_frames"] == 1, "the confirm waits for its turn")
    line.write(NORTH.response(1))
    assert north.read_frame() == NORTH.response(1)
    assert line.read_frame() == SOUTH.confirm(5)
    for party in (NORTH, SOUTH):
        assert bridge.outstation(party.rtu)["drops"] == {}


def test_an_address_of_the_others_is_no_address(
    bridge: BridgeProcess, line: RawRtu, north: RawMaster, south: RawMaster
) -> None:
    stranger = Party(NORTH.host, NORTH.master, SOUTH.rtu)
    north.send(stranger.request(0) + NORTH.request(1))
    assert line.read_frame() == NORTH.request(1)
    line.write(NORTH.response(1))
    assert north.read_frame() == NORTH.response(1)
    assert bridge.server()["drops"] == {"unknown_destination": 1}


@pytest.mark.parametrize("bridge", [HASTY], ids=["hasty"], indirect=True)
def test_a_silent_rtu_delays_the_others_by_its_timeout_only(
    bridge: BridgeProcess, line: RawRtu, north: RawMaster, south: RawMaster
) -> None:
    north.send(NORTH.request(0))
    assert line.read_frame() == NORTH.request(0)
    south.send(SOUTH.request(0))
    assert line.read_frame() == SOUTH.request(0)
    line.write(SOUTH.response(0))
    assert south.read_frame() == SOUTH.response(0)
    assert bridge.outstation(NORTH.rtu)["exchanges"] == {"timed_out": 1}
    assert bridge.outstation(SOUTH.rtu)["exchanges"] == {"answered": 1}
    line.write(NORTH.response(0, b"late"))
    until(lambda: bridge.outstation(NORTH.rtu)["drops"] == {"late": 1}, "the late answer is dropped")


def test_the_ends_of_sessions_are_their_own(
    bridge: BridgeProcess, line: RawRtu, north: RawMaster, south: RawMaster
) -> None:
    south.send(SOUTH.request(0))
    assert line.read_frame() == SOUTH.request(0)
    north.send(NORTH.request(0))
    until(lambda: bridge.line()["waiting_frames"] == 1, "the other request waits for its turn")
    north.close()
    until(lambda: bridge.server()["session_ends"] == {"peer_closed": 1}, "that session is over")
    assert bridge.line()["waiting_frames"] == 0
    line.write(SOUTH.response(0))
    assert south.read_frame() == SOUTH.response(0)
    assert bridge.outstation(NORTH.rtu)["drops"] == {"session_ended": 1}
    assert bridge.outstation(NORTH.rtu)["led"]["state"] == "lost"
    assert bridge.outstation(SOUTH.rtu)["led"]["state"] == "answering"
