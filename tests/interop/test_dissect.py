"""Behind a noisy line the master's TCP connection carries only right DNP3, says Wireshark's dissector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import link_frames, peers, wire_crc
from tests.support.bridge_process import Site, running
from tests.support.capture import RecordingProxy, Segment, write_pcap
from tests.support.dissection import Dissection, dissect
from tests.support.opendnp3 import EVENT_CLASSES, SETTABLE_KINDS, Opendnp3, Point, o, values_of_every_kind
from tests.support.waiting import PATIENCE_S
from tests.support.wire import Direction, Noise, Wire

pytestmark = [pytest.mark.wire, pytest.mark.peer]

RTU = 10
PORT = 20_000
LEAST_FRAMES = 80
CONFIRM, READ, SELECT, OPERATE, DIRECT_OPERATE, RESPONSE = 0, 1, 3, 4, 5, 129

Segments = list[Segment]


@pytest.fixture(scope="module", autouse=True)
def _tshark() -> None:
    peers.require("tshark")


def record(directory: Path, *, points: int, polls: int, controls: int, noise: Noise | None) -> Segments:
    """Return what passed between a master and the bridge, while the line was as noisy towards the bridge."""
    site = Site(
        device=directory / "tty",
        addresses=(RTU,),
        line={"response_timeout_ms": 200, "frame_timeout_ms": 50} if noise else {"response_timeout_ms": 5000},
    )
    with (
        Wire(site.device) as wire,
        Opendnp3() as peer,
        running(directory, site) as bridge,
        RecordingProxy(bridge.port) as proxy,
    ):
        line, _ = peer.open_serial(wire.rtu)
        # Objects of a kind that the dissector knows: octet strings without octets it takes for malformed.
        rtu = peer.outstation(line, RTU, points=points, kinds=SETTABLE_KINDS)
        channel, connection = peer.connect(proxy.port)
        master = peer.master(channel, RTU, response_timeout_s=0.4 if noise else 5)
        master.wait_until_started()
        if noise is not None:
            wire.make_noise(Direction.TO_BRIDGE, noise)
        for seed in range(polls):
            rtu.set(values_of_every_kind(points, seed), makes_events=False)
            master.poll_until_answered(within_s=3 * PATIENCE_S)
            rtu.set({Point("Analog", seed % points): -1.0}, makes_events=True)
            master.poll_until_answered(EVENT_CLASSES, within_s=3 * PATIENCE_S)
        wire.make_clean()
        for index in range(controls):
            master.select_and_operate(o.ControlRelayOutputBlock(o.OperationType.LATCH_ON), index)
            master.direct_operate(o.AnalogOutputDouble64(2.25), index)
        status = bridge.line()
        assert (status["crc_errors"] > 0, status["octets_discarded"] > 0) == (noise is not None,) * 2
        assert (proxy.connections, connection.opens) == (1, 1)
    return proxy.segments


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Segments:
    """Answers of one segment each: of a longer fragment that lacks one, the dissector can make no sense."""
    noise = Noise(seed=1815, between=0.5, inside=0.15)
    return record(tmp_path_factory.mktemp("noisy"), points=4, polls=15, controls=4, noise=noise)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Segments:
    """Answers of several segments.

    Fewer than 64 from either side: the dissector takes a repeated transport sequence for a retransmission.
    """
    return record(tmp_path_factory.mktemp("clean"), points=30, polls=5, controls=9, noise=None)


@pytest.fixture(params=["noisy", "clean"])
def segments(request: pytest.FixtureRequest) -> Segments:
    recorded: Segments = request.getfixturevalue(request.param)
    return recorded


def dissection_of(segments: Segments, directory: Path) -> Dissection:
    pcap = directory / "capture.pcap"
    write_pcap(pcap, segments, port=PORT)
    return dissect(pcap, PORT)


def test_nothing_is_wrong_on_the_masters_side(segments: Segments, tmp_path: Path) -> None:
    dissection = dissection_of(segments, tmp_path)
    assert dissection.problems == {}
    assert dissection.packets == len(segments)
    sent = [frame for segment in segments for frame in link_frames.take_frames(segment.octets)]
    assert dissection.frames == dissection.intact_headers == len(sent) > LEAST_FRAMES
    assert dissection.functions.keys() >= {CONFIRM, READ, SELECT, OPERATE, DIRECT_OPERATE, RESPONSE}


def test_no_segment_cuts_a_frame(segments: Segments) -> None:
    answers = [segment for segment in segments if not segment.from_master]
    frames = [frame for segment in answers for frame in link_frames.take_frames(segment.octets)]
    assert len(frames) > LEAST_FRAMES / 3


def bad_data_crc(octets: bytes) -> bytes:
    return octets[:-1] + bytes([octets[-1] ^ 1])


def bad_header_crc(octets: bytes) -> bytes:
    return octets[:8] + bytes([octets[8] ^ 1]) + octets[9:]


def noise_in_front(octets: bytes) -> bytes:
    return b"\x00\xff\x05" + octets


def cut_object(octets: bytes) -> bytes:
    """A right frame whose last object is not whole."""
    data = link_frames.user_data(octets)
    header = (octets[3], link_frames.destination(octets), link_frames.source(octets))
    return wire_crc.frame(*header, data[:-3])


def is_answer_with_objects(segment: Segment) -> bool:
    """Whether it is one frame with a whole fragment, longer than an answer without objects."""
    frames = link_frames.take_frames(segment.octets)
    if segment.from_master or len(frames) != 1:
        return False
    data = link_frames.user_data(frames[0])
    return len(data) > 10 and data[0] & 0xC0 == 0xC0


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (bad_data_crc, "bad data CRC"),
        (bad_header_crc, "payload that is no DNP3"),
        (noise_in_front, "payload that is no DNP3"),
        (cut_object, "malformed"),
    ],
)
def test_the_dissector_would_have_noticed(
    clean: Segments, tmp_path: Path, damage: Callable[[bytes], bytes], problem: str
) -> None:
    victim = next(number for number, segment in enumerate(clean) if is_answer_with_objects(segment))
    damaged = list(clean)
    damaged[victim] = replace(clean[victim], octets=damage(clean[victim].octets))
    problems = dissection_of(damaged, tmp_path).problems
    assert problems.keys() == {victim + 1}
    assert problem in problems[victim + 1]
