"""A recorded fault opens in Wireshark: what went before and after it, what was dropped, and why."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.bench import BenchLine
from bridge.link.framer import Discard
from bridge.recording.packets import Encoder
from bridge.recording.record import Channel, Interface
from bridge.recording.tap import Recording
from tests.support import frames as f
from tests.support.bridge_process import HOST, BridgeProcess, Site, running
from tests.support.raw_peers import RawMaster, RawRtu
from tests.support.recorded import Shown, shown
from tests.support.waiting import until

pytestmark = [pytest.mark.wire, pytest.mark.peer]

DAMAGED = f.response(7).octets[:-1] + b"\xff"
PATIENT_MS = 20_000
NOISE = bytes.fromhex("ff 00 05 64 ff")
RECORDER = """
[recorder]
folder = "{folder}"
after_s = 0.5
least_interval_s = 0
"""


def poll(master: RawMaster, rtu: RawRtu, sequence: int, before: bytes = b"") -> None:
    master.send(f.request(sequence, rest=b"\x3c\x02\x06").octets)
    rtu.read_frame()
    rtu.write(before + f.response(sequence).octets)
    assert master.read_frame() == f.response(sequence).octets


def recorded(folder: Path, fault: str) -> list[Shown]:
    (path,) = until(lambda: list(folder.glob(f"*-{fault}.pcapng")), f"a recording of {fault}")
    return shown(path)


def events(packets: list[Shown]) -> list[str]:
    return [packet.info.partition(": ")[2] for packet in packets if packet.protocol == "Syslog"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "captures"


@pytest.fixture
def line() -> Iterator[BenchLine]:
    with BenchLine(baud=9600, rtus=1) as line:
        yield line


@pytest.fixture
def bridge(tmp_path: Path, folder: Path, line: BenchLine) -> Iterator[BridgeProcess]:
    site = Site(
        device=line.device, addresses=(f.RTU,), line={"baud": 9600, "response_timeout_ms": PATIENT_MS}
    )
    with running(tmp_path, site.toml(tmp_path / "s") + RECORDER.format(folder=folder)) as bridge:
        yield bridge


def test_noise_then_another_master_then_no_line(bridge: BridgeProcess, line: BenchLine, folder: Path) -> None:
    port = bridge.port
    with RawMaster(HOST, port) as first, RawRtu(line.rtus[0].device) as rtu:
        poll(first, rtu, 1)
        poll(first, rtu, 2, before=NOISE + DAMAGED)
        first.send(b"GET / HTTP/1.1\r\n\r\n")
        poll(first, rtu, 3)
        rtu.write(f.response(9).octets)
        until(lambda: bridge.outstation(f.RTU)["drops"].get("not_awaited"), "nobody awaits it")
        with RawMaster(HOST, port) as second:
            assert first.read_to_the_end() == b""
            poll(second, rtu, 4)
            pre_empted = recorded(folder, "pre_empted")
            line.unplug()
            lost = recorded(folder, "line_down")

    _expect_the_noise(pre_empted)
    _expect_exchanges(pre_empted, 3)
    _expect_exchanges(lost, 4)
    told = events(pre_empted)
    assert any(text.startswith("master disconnected") and "reason=pre_empted" in text for text in told), told
    assert events(lost)[-1].startswith("line down line=bay reason=")


def _expect_the_noise(packets: list[Shown]) -> None:
    # A machine that is held up for a second makes two stretches of it.
    stretches = [packet for packet in packets if packet.noise and packet.interface == "bay"]
    assert b"".join(packet.noise for packet in stretches) == NOISE + DAMAGED
    reasons = {word for packet in stretches for word in packet.comment.removeprefix("discarded: ").split()}
    assert reasons == {"noise", "header_crc", "body_crc"}
    (http,) = [packet for packet in packets if packet.noise.startswith(b"GET")]
    assert (http.interface, http.comment) == ("main", "discarded: noise")
    (late,) = [packet for packet in packets if packet.comment == "dropped: not_awaited"]
    assert (late.interface, late.protocol) == ("bay", "DNP 3.0")


def _expect_exchanges(packets: list[Shown], at_least: int) -> None:
    """Each request and each answer is there twice: on the line, and in its master's session."""
    frames = [packet for packet in packets if packet.protocol == "DNP 3.0" and not packet.comment]
    exchange = [
        ("main", "Read, Class 1"),
        ("bay", "Read, Class 1"),
        ("bay", "Response"),
        ("main", "Response"),
    ]
    told = [(packet.interface, packet.info) for packet in frames]
    assert told == (exchange * 4)[: len(told)]
    assert len(told) >= at_least * len(exchange)


def test_live(bridge: BridgeProcess, line: BenchLine, tmp_path: Path) -> None:
    output = tmp_path / "live.pcapng"
    command = [sys.executable, "-m", "bridge", "capture", "--follow", "--socket", str(tmp_path / "s")]
    with output.open("wb") as file, subprocess.Popen(command, stdout=file) as capture:
        try:
            with RawMaster(HOST, bridge.port) as master, RawRtu(line.rtus[0].device) as rtu:
                poll(master, rtu, 1, before=NOISE)
                until(lambda: f.response(1).octets in output.read_bytes(), "it is shown")
        finally:
            capture.terminate()
    packets = shown(output)
    assert b"".join(packet.noise for packet in packets) == NOISE
    assert sum(packet.protocol == "DNP 3.0" for packet in packets) >= 3


class Lines:
    """A recording of a line and a session that say the same, as a file."""

    def __init__(self) -> None:
        self.recording = Recording(1 << 22, clock=lambda: 0, report=lambda *_: None)
        self.line = self.recording.open(Channel(0), "begins")
        self.session = self.recording.open(Channel(1, ("10.1.1.5", 40321)), "begins")

    def relay(self, octets: bytes) -> None:
        self.line.heard(octets)
        self.session.sent(octets)

    def shown(self, file: Path) -> list[Shown]:
        encoder = Encoder([Interface("bay", ""), Interface("main", "")], offset_ns=0)
        ring = self.recording.ring
        parts = [encoder.encode(records, ring.channels) for records in ring.view(0).batches()]
        file.write_bytes(encoder.opening("test", "segments") + b"".join(parts))
        return shown(file)


def test_any_noise_at_all(tmp_path: Path) -> None:
    """Whatever is on a line, the dissectors of a hundred protocols leave it alone."""
    rng = random.Random(20000)
    lines = Lines()
    taps = [lines.line, lines.recording.open(Channel(1, ("fe80::1", 50000)), "begins")]
    pieces = [f.response(1).octets, b"\x05\x64", b"GET / HTTP/1.1\r\n", bytes(40), b"\xff" * 40]
    pieces += [rng.randbytes(20) for _ in range(100)]
    for number in range(1500):
        octets = rng.choice(pieces)[: rng.randrange(1, 20)]
        taps[number % 2].discarded(octets, Discard.NOISE)
        taps[number % 2].sent(f.link_status_request().octets)
    packets = lines.shown(tmp_path / "noise.pcapng")
    assert sum(packet.comment == "discarded: noise" for packet in packets) == 1500


def test_segments_of_several_outstations_at_once(tmp_path: Path) -> None:
    """RTUs count their transport segments alike; none of theirs is taken for another's."""
    lines = Lines()
    halves = (f.FIR, bytes.fromhex("0000 0102000003 8181")), (f.FIN, bytes.fromhex("0101"))
    for number in range(64):
        for transport, rest in halves:
            sequence = transport | (2 * number + (transport == f.FIN)) % 64
            for source in (12, 13, 268):
                lines.relay(f.response(number % 16, source=source, transport=sequence, rest=rest).octets)
    infos = [packet.info for packet in lines.shown(tmp_path / "c.pcapng") if packet.protocol == "DNP 3.0"]
    assert infos.count("Response") == 64 * 3 * 2
    assert not [info for info in infos if "Unreassembled" in info]


@pytest.mark.parametrize("is_counted_on", [True, False])
def test_fragments_that_lack_segments(tmp_path: Path, is_counted_on: bool) -> None:
    """Noise takes a third of the segments; what is left of one fragment is not made whole with another's."""
    rng = random.Random(1815)
    lines = Lines()
    floats = b"\x01\x00\x00\x80\x3f" * 100
    fragment = bytes.fromhex("0000 1e05010000 6300") + floats
    sequence = 0
    for number in range(60):
        parts = [fragment[at : at + 240] for at in range(0, len(fragment), 240)]
        sequence = sequence if is_counted_on else 0
        for at, part in enumerate(parts):
            transport = f.FIR if at == 0 else f.FIN if at == len(parts) - 1 else f.MIDDLE
            if rng.random() > 1 / 3:
                lines.relay(f.response(number % 16, transport=transport | sequence % 64, rest=part).octets)
            sequence += 1
    packets = lines.shown(tmp_path / "c.pcapng")
    assert any("Unreassembled" in packet.info for packet in packets)
    assert any(packet.info == "Response" for packet in packets)
