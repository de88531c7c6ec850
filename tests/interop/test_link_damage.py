"""Damage on the TCP side: in DISCARD mode no intact frame is lost to it, in CLOSE mode it ends the session.

Each request has a source address of its own, so an answer tells which request it is for.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.link.frame import Frame
from bridge.link.secondary import SecondaryStation
from tests.support import wire_crc
from tests.support.bridge_process import HOST, BridgeProcess, Site, running
from tests.support.raw_peers import RawMaster, RawRtu
from tests.support.waiting import until
from tests.support.wire import Wire

pytestmark = pytest.mark.wire

RTU = 10
FRAMES = 100
SEED = 1815
LONG = wire_crc.frame(0xC4, RTU, 1, bytes(range(250)))
FRAME_TIMEOUT_S = 0.05
PATIENT_FRAME_TIMEOUT_S = 2.0
"""For frames that the test itself cuts: on a busy machine the halves may leave it some time apart."""

Damage = Callable[[random.Random], bytes]


def truncated(rng: random.Random) -> bytes:
    return LONG[: rng.randrange(1, len(LONG))]


def flipped(rng: random.Random) -> bytes:
    octets = bytearray(wire_crc.frame(0xC4, RTU, 1, rng.randbytes(rng.randrange(1, 60))))
    octets[rng.randrange(len(octets))] ^= 1 << rng.randrange(8)
    return bytes(octets)


DAMAGE: dict[str, Damage] = {
    "noise": lambda rng: rng.randbytes(rng.randrange(1, 65)),
    "start octet": lambda rng: b"\x05",
    "start": lambda rng: b"\x05\x64",
    "truncated": truncated,
    "header alone": lambda rng: LONG[:10],
    "flipped": flipped,
}


def link_status_request(master: int) -> bytes:
    return wire_crc.frame(0xC9, RTU, master)


def link_status(master: int) -> bytes:
    return wire_crc.frame(0x0B, master, RTU)


@contextmanager
def serving(
    directory: Path, mode: str, *, frame_timeout_s: float = FRAME_TIMEOUT_S
) -> Iterator[tuple[BridgeProcess, list[bytes]]]:
    """Run a bridge with an RTU that answers link services; yields also the frames that the RTU heard."""
    station = SecondaryStation(RTU)

    def answer(octets: bytes) -> bytes | None:
        _, reply = station.receive(Frame.of_octets(octets))
        return None if reply is None else reply.octets

    site = Site(
        device=directory / "tty",
        addresses=(RTU,),
        link_error_mode=mode,
        server={"frame_timeout_ms": round(frame_timeout_s * 1000)},
        line={"response_timeout_ms": 5000, "request_ttl_ms": 60_000},
    )
    with (
        Wire(site.device) as wire,
        RawRtu(wire.rtu) as rtu,
        rtu.answering(answer) as heard,
        running(directory, site) as bridge,
    ):
        yield bridge, heard


def cut(octets: bytes, rng: random.Random) -> Iterator[bytes]:
    at = 0
    while at < len(octets):
        length = rng.randrange(1, 200)
        yield octets[at : at + length]
        at += length


def session_of(bridge: BridgeProcess) -> dict[str, Any]:
    (session,) = bridge.server()["sessions"]
    return session


@pytest.mark.parametrize("own_segment", [False, True], ids=["same segment", "own segment"])
@pytest.mark.parametrize("kind", DAMAGE)
def test_discard_answers_every_intact_frame(tmp_path: Path, kind: str, own_segment: bool) -> None:
    rng = random.Random(SEED)
    octets_of_damage = 0
    with serving(tmp_path, "discard") as (bridge, heard), RawMaster(HOST, bridge.port) as master:
        for number in range(1, FRAMES + 1):
            damage, request = DAMAGE[kind](rng), link_status_request(number)
            octets_of_damage += len(damage)
            if own_segment:
                master.send(damage)
                master.send(request)
            else:
                master.send(damage + request)
            assert master.read_frame() == link_status(number)
        assert heard == [link_status_request(number) for number in range(1, FRAMES + 1)]
        assert session_of(bridge)["frames_received"] == FRAMES
        assert session_of(bridge)["octets_discarded"] == octets_of_damage
        assert bridge.server()["session_ends"] == {}


def test_discard_answers_every_intact_frame_when_nobody_waits_for_answers(tmp_path: Path) -> None:
    """Requests and damage of all kinds follow each other without a pause, cut anywhere."""
    rng = random.Random(SEED)
    kinds = list(DAMAGE.values())
    stream = b"".join(rng.choice(kinds)(rng) + link_status_request(number) for number in range(1, FRAMES + 1))
    patient = serving(tmp_path, "discard", frame_timeout_s=PATIENT_FRAME_TIMEOUT_S)
    with patient as (bridge, heard), RawMaster(HOST, bridge.port) as master:
        for piece in cut(stream, rng):
            master.send(piece)
        answers = [master.read_frame() for _ in range(FRAMES)]
        assert answers == [link_status(number) for number in range(1, FRAMES + 1)]
        assert len(heard) == FRAMES
        intact = sum(len(request) for request in heard)
        assert session_of(bridge)["octets_discarded"] == len(stream) - intact


def test_discard_gives_up_a_stalled_frame_by_itself(tmp_path: Path) -> None:
    """An intact frame inside the body that a header claims is found without a further octet."""
    with serving(tmp_path, "discard") as (bridge, _), RawMaster(HOST, bridge.port) as master:
        started_s = time.monotonic()
        master.send(LONG[:10] + link_status_request(7))
        assert master.read_frame() == link_status(7)
        assert time.monotonic() - started_s >= FRAME_TIMEOUT_S
        assert session_of(bridge)["discards"] == {"frame_timeout": 1}


@pytest.mark.parametrize("kind", DAMAGE)
def test_close_ends_the_session_at_the_first_damage(tmp_path: Path, kind: str) -> None:
    rng = random.Random(SEED)
    with serving(tmp_path, "close") as (bridge, heard):
        for number in range(1, 4):
            with RawMaster(HOST, bridge.port) as master:
                master.send(link_status_request(number))
                assert master.read_frame() == link_status(number)
                # What a header claims must arrive before it is found not to be its body.
                master.send(DAMAGE[kind](rng) + link_status_request(1000) * 30)
                assert master.read_to_the_end() == b""
            until(lambda: bridge.server()["session_ends"] == {"link_error": number}, "it is counted")  # noqa: B023
        assert heard == [link_status_request(number) for number in range(1, 4)]
        ends = bridge.wait_for_events("master disconnected", expected=["master disconnected"] * 3)
        assert {event["reason"] for event in ends} == {"link_error"}
