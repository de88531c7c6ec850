"""One session an outstation: a newer master takes over, and nothing meant for the older one reaches it.

Scripted octet by octet, with sockets and a pty, so that the moment of the takeover is exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import link_frames, wire_crc
from tests.support.bridge_process import HOST, BridgeProcess, Site, running
from tests.support.raw_peers import RawMaster, RawRtu
from tests.support.waiting import until
from tests.support.wire import Wire

pytestmark = pytest.mark.wire

RTU, MASTER = 10, 1
FROM_MASTER, FROM_RTU = 0xC4, 0x44
READ, RESPONSE = 1, 129
CLASS_0 = bytes.fromhex("3c 01 06")
STALE, FRESH = b"stale", b"fresh"
SHORT_QUARANTINE = {"response_timeout_ms": 1000}
LONG_QUARANTINE = {"response_timeout_ms": 60_000, "request_ttl_ms": 60_000}


def request(sequence: int) -> bytes:
    return wire_crc.frame(FROM_MASTER, RTU, MASTER, bytes([0xC0, 0xC0 | sequence, READ]) + CLASS_0)


def response(sequence: int, mark: bytes) -> bytes:
    """Return an answer in one fragment; what follows its header is not the bridge's concern."""
    return wire_crc.frame(FROM_RTU, MASTER, RTU, bytes([0xC0, 0xC0 | sequence, RESPONSE, 0, 0]) + mark)


@pytest.fixture
def rtu(wire: Wire) -> Iterator[RawRtu]:
    with RawRtu(wire.rtu) as rtu:
        yield rtu


@pytest.fixture(params=["discard", "close"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def start(directory: Path, wire: Wire, mode: str, line: dict[str, object]) -> Iterator[BridgeProcess]:
    with running(directory, Site(device=wire.device, link_error_mode=mode, line=line)) as bridge:
        yield bridge


@pytest.fixture
def bridge(tmp_path: Path, wire: Wire, mode: str) -> Iterator[BridgeProcess]:
    yield from start(tmp_path, wire, mode, LONG_QUARANTINE)


def assert_taken_over(bridge: BridgeProcess, old: RawMaster, new: RawMaster) -> None:
    """Check the log's order and that the status agrees."""
    names = ["master connected", "master disconnected", "master connected"]
    events = bridge.wait_for_events("master connected", "master disconnected", expected=names)
    assert [(event["peer"], event.get("reason")) for event in events] == [
        (old.name, None),
        (old.name, "pre_empted"),
        (new.name, None),
    ]
    status = bridge.outstation(RTU)
    assert status["master"] == new.name
    assert [session["peer"] for session in bridge.server()["sessions"]] == [new.name]
    assert bridge.server()["session_ends"] == {"pre_empted": 1}


def test_the_answer_to_the_old_master_reaches_nobody(bridge: BridgeProcess, rtu: RawRtu) -> None:
    with RawMaster(HOST, bridge.port) as old:
        old.send(request(3))
        assert rtu.read_frame() == request(3)
        with RawMaster(HOST, bridge.port) as new:
            assert old.read_to_the_end() == b""
            rtu.write(response(3, STALE))
            until(lambda: bridge.outstation(RTU)["drops"] == {"session_ended": 1}, "it is dropped")
            new.send(request(3))
            assert rtu.read_frame() == request(3)
            rtu.write(response(3, FRESH))
            assert new.read_frame() == response(3, FRESH)
            assert bridge.outstation(RTU)["led"]["state"] == "answering"
            assert_taken_over(bridge, old, new)


def test_the_new_masters_request_waits_until_the_old_answer_has_passed(
    bridge: BridgeProcess, rtu: RawRtu
) -> None:
    """Sent at once it would be worse than late: the old answer has the sequence number that it awaits."""
    with RawMaster(HOST, bridge.port) as old:
        old.send(request(3))
        assert rtu.read_frame() == request(3)
        with RawMaster(HOST, bridge.port) as new:
            assert old.read_to_the_end() == b""
            new.send(request(3))
            until(lambda: bridge.line()["waiting_frames"] == 1, "the new request waits")
            assert not rtu.has_octets()
            rtu.write(response(3, STALE))
            assert rtu.read_frame() == request(3)
            rtu.write(response(3, FRESH))
            assert new.read_frame() == response(3, FRESH)
            assert bridge.outstation(RTU)["drops"] == {"session_ended": 1}
            assert_taken_over(bridge, old, new)


def test_a_silent_rtu_is_in_quarantine_for_the_response_timeout(
    tmp_path: Path, wire: Wire, rtu: RawRtu, mode: str
) -> None:
    for bridge in start(tmp_path, wire, mode, SHORT_QUARANTINE):
        with RawMaster(HOST, bridge.port) as old:
            old.send(request(3))
            assert rtu.read_frame() == request(3)
            with RawMaster(HOST, bridge.port) as new:
                assert old.read_to_the_end() == b""
                new.send(request(4))
                assert rtu.read_frame() == request(4)
                rtu.write(response(3, STALE))
                rtu.write(response(4, FRESH))
                assert new.read_frame() == response(4, FRESH)
                assert bridge.outstation(RTU)["exchanges"] == {"timed_out": 1, "answered": 1}
                assert bridge.outstation(RTU)["drops"] == {"late": 1}
                assert_taken_over(bridge, old, new)


def test_requests_that_the_old_master_left_waiting_are_never_sent(bridge: BridgeProcess, rtu: RawRtu) -> None:
    link_status = wire_crc.frame(0xC9, RTU, MASTER)
    with RawMaster(HOST, bridge.port) as old:
        old.send(request(3) + link_status * 5)
        assert rtu.read_frame() == request(3)
        until(lambda: bridge.line()["waiting_frames"] == 5, "they wait")
        with RawMaster(HOST, bridge.port) as new:
            assert old.read_to_the_end() == b""
            new.send(request(7))
            rtu.write(response(3, STALE))
            assert rtu.read_frame() == request(7)
            rtu.write(response(7, FRESH))
            assert new.read_frame() == response(7, FRESH)
            assert bridge.outstation(RTU)["drops"] == {"session_ended": 6}
            assert not rtu.has_octets()


def test_half_an_answer_passed_before_the_takeover(bridge: BridgeProcess, rtu: RawRtu) -> None:
    """The rest of a fragment that began in the old session is no fragment for the new one."""
    first = wire_crc.frame(FROM_RTU, MASTER, RTU, bytes([0x40, 0xC3, RESPONSE, 0, 0]) + STALE)
    last = wire_crc.frame(FROM_RTU, MASTER, RTU, bytes([0x81]) + STALE)
    with RawMaster(HOST, bridge.port) as old:
        old.send(request(3))
        assert rtu.read_frame() == request(3)
        rtu.write(first)
        assert old.read_frame() == first
        with RawMaster(HOST, bridge.port) as new:
            assert old.read_to_the_end() == b""
            new.send(request(3))
            rtu.write(last)
            assert rtu.read_frame() == request(3)
            rtu.write(response(3, FRESH))
            assert new.read_frame() == response(3, FRESH)
            assert_taken_over(bridge, old, new)


def test_a_master_that_crashes_comes_back(bridge: BridgeProcess, rtu: RawRtu) -> None:
    for number in range(1, 4):
        crashing = RawMaster(HOST, bridge.port)
        crashing.send(request(number))
        assert rtu.read_frame() == request(number)
        crashing.reset()
        until(lambda: bridge.server()["session_ends"] == {"peer_reset": number}, "it is gone")  # noqa: B023
        assert bridge.outstation(RTU)["led"]["state"] == "lost"
        rtu.write(response(number, STALE))
    with RawMaster(HOST, bridge.port) as master:
        master.send(request(9))
        assert rtu.read_frame() == request(9)
        rtu.write(response(9, FRESH))
        assert master.read_frame() == response(9, FRESH)


def test_frames_arrive_octet_for_octet(bridge: BridgeProcess, rtu: RawRtu) -> None:
    """The longest frame there is, both ways."""
    long_request = wire_crc.frame(FROM_MASTER, RTU, MASTER, bytes([0xC0, 0xC5, READ]) + bytes(range(247)))
    long_response = response(5, bytes(range(245)))
    assert len(long_request) == len(long_response) == link_frames.octets_of_frame(b"\x05\x64\xff")
    with RawMaster(HOST, bridge.port) as master:
        master.send(long_request)
        assert rtu.read_frame() == long_request
        rtu.write(long_response)
        assert master.read_frame() == long_response
