"""Damage on the TCP stream to an outstation of ours: it is dropped, nothing else is, the connection stays.

Every good request has an answer of its own, recognized by its sequence, so nothing can pass for another.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from bridge.application.function import Function
from bridge.endpoints.connection_state import ConnectionState
from bridge.outstation.config import OutstationConfig, UnsolicitedConfig
from tests.support import link_frames, peers, wire_crc
from tests.support.local_outstation import LocalOutstation
from tests.support.plants import plant
from tests.support.raw_peers import RawMaster
from tests.support.recordings import Recordings

pytestmark = pytest.mark.wire

OUTSTATION, MASTER = 1024, 1
FROM_MASTER, LINK_STATUS_REQUEST, LINK_STATUS = 0xC4, 0xC9, 0x0B
ROUNDS = 20
SEED = 1815
READ_ONE = bytes.fromhex("1e 02 00 03 03")
LEAST_FRAMES = 2 * ROUNDS


def request(sequence: int) -> bytes:
    """A READ of one analog, answered in a single frame."""
    fragment = bytes((0xC0 | sequence % 16, Function.READ)) + READ_ONE
    return wire_crc.frame(FROM_MASTER, OUTSTATION, MASTER, bytes((0xC0 | sequence % 64,)) + fragment)


HALVED = wire_crc.frame(FROM_MASTER, OUTSTATION, MASTER, b"\xc0\xc0" + bytes(range(1, 9)))
"""A frame whose loss of octets can be told. Another one may swallow the next frame's header in any framer: a
header is a right block of eight octets, and of more where only zeros are in front, as the CRC starts at 0.
"""
LONG = wire_crc.frame(FROM_MASTER, OUTSTATION, MASTER, bytes(250))
LINK_STATUS_OF_ANOTHER = wire_crc.frame(LINK_STATUS_REQUEST, OUTSTATION + 1, MASTER)


def header(length: int, destination: int = OUTSTATION) -> bytes:
    """A header block with a right CRC that claims any length."""
    octets = bytes((5, 0x64, length, FROM_MASTER))
    octets += destination.to_bytes(2, "little") + MASTER.to_bytes(2, "little")
    return octets + wire_crc.crc(octets)


def flipped(octets: bytes, at: int) -> bytes:
    return octets[:at] + bytes((octets[at] ^ 1,)) + octets[at + 1 :]


class Damage(NamedTuple):
    """What is sent before a good request. `segments` are sent each in a TCP segment of its own."""

    segments: Callable[[random.Random], list[bytes]]
    answers: int = 1
    """How many good requests follow at once: enough to fill the body that a header claimed."""


DAMAGE = {
    "nothing": Damage(lambda rng: []),
    "noise": Damage(lambda rng: [rng.randbytes(64)]),
    "noise in the same segment": Damage(lambda rng: [rng.randbytes(rng.randrange(1, 64))]),
    "start octet": Damage(lambda rng: [b"\x05"]),
    "start": Damage(lambda rng: [b"\x05\x64"]),
    "start inside noise": Damage(lambda rng: [rng.randbytes(9) + b"\x05\x64\xff\x00" + rng.randbytes(9)]),
    "bad header CRC": Damage(lambda rng: [flipped(request(0), 8)]),
    "bad body CRC": Damage(lambda rng: [flipped(request(0), -1 % len(request(0)))]),
    "length 4": Damage(lambda rng: [header(4)]),
    "half a frame": Damage(lambda rng: [HALVED[: rng.randrange(1, len(HALVED))]]),
    "header without its body": Damage(lambda rng: [header(255)], answers=15),
    "two halves": Damage(lambda rng: [LONG[:100], LONG[200:]]),
    "another destination": Damage(lambda rng: [LINK_STATUS_OF_ANOTHER]),
    "from another outstation": Damage(
        lambda rng: [wire_crc.frame(0x44, OUTSTATION, MASTER, b"\xc0\xc0\x81")]
    ),
    "much noise": Damage(lambda rng: [rng.randbytes(65_536)]),
}


@pytest.fixture(scope="module")
def recordings() -> Recordings:
    return Recordings()


@pytest.fixture
def out() -> Iterator[LocalOutstation]:
    config = OutstationConfig(unsolicited=UnsolicitedConfig(is_supported=False), keep_alive_s=None)
    with LocalOutstation(plant(), config) as out:
        yield out
        assert out.listener.states in ([ConnectionState.CONNECTED], [*ConnectionState])


def sequence_of(frame: bytes) -> int:
    """The application sequence of a response."""
    data = link_frames.user_data(frame)
    assert data[2] == Function.RESPONSE
    return data[1] & 0x0F


def pieces_of(octets: bytes, rng: random.Random) -> Iterator[bytes]:
    at = 0
    while at < len(octets):
        length = rng.randrange(1, 40)
        yield octets[at : at + length]
        at += length


MANNERS = ("own segment", "one segment", "octet by octet")
CASES = [(kind, each) for kind in DAMAGE for each in (MANNERS[:2] if kind == "much noise" else MANNERS)]


@pytest.mark.parametrize(("kind", "manner"), CASES)
def test_every_good_request_is_answered(
    out: LocalOutstation, recordings: Recordings, kind: str, manner: str
) -> None:
    rng = random.Random(SEED)
    damage = DAMAGE[kind]
    name = f"{kind}, {manner}"
    with (
        recordings.proxy(name, out.port, is_master_right=False) as proxy,
        RawMaster("127.0.0.1", proxy.port) as master,
    ):
        sequence = 0
        for _ in range(ROUNDS):
            segments = damage.segments(rng)
            expected = []
            for _ in range(damage.answers):
                sequence += 1
                expected.append(sequence % 16)
                segments.append(request(sequence))
            match manner:
                case "one segment":
                    segments = [b"".join(segments)]
                case "octet by octet":
                    segments = [bytes((octet,)) for octet in b"".join(segments)]
            for segment in segments:
                master.send(segment)
            assert [sequence_of(master.read_frame()) for _ in expected] == expected
        master.send(wire_crc.frame(LINK_STATUS_REQUEST, OUTSTATION, MASTER))
        assert master.read_frame() == wire_crc.frame(LINK_STATUS, MASTER, OUTSTATION)
        assert out.device.requests == [Function.READ] * sequence
        assert out.is_connected


def test_damage_of_all_kinds_in_one_stream(out: LocalOutstation, recordings: Recordings) -> None:
    """Without a pause, cut anywhere. A claimed body may swallow a request until it has come; none is lost."""
    rng = random.Random(SEED)
    kinds = [damage for name, damage in DAMAGE.items() if name != "much noise"]
    stream, count = bytearray(), 0
    for _ in range(300):
        stream += b"".join(rng.choice(kinds).segments(rng))
        count += 1
        stream += request(count)
    # What a header at the end claims must have come.
    for _ in range(20):
        count += 1
        stream += request(count)
    with (
        recordings.proxy("all kinds", out.port, is_master_right=False) as proxy,
        RawMaster("127.0.0.1", proxy.port) as master,
    ):
        for piece in pieces_of(bytes(stream), rng):
            master.send(piece)
        answers = [sequence_of(master.read_frame()) for _ in range(count)]
        assert answers == [number % 16 for number in range(1, count + 1)]
        assert out.device.requests == [Function.READ] * count


# The last test of this file, because it reads what the others recorded.


@pytest.mark.peer
def test_every_frame_dissects(recordings: Recordings, tmp_path: Path) -> None:
    """Of the outstation; the master's are damaged."""
    peers.require("tshark")
    if not recordings.conversations:
        pytest.skip("it dissects what the other tests of this file record")
    recordings.check(tmp_path, at_least=LEAST_FRAMES)
