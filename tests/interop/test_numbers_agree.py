"""All of the program at once, on two lines in trouble: its numbers are the same whoever asks for them.

`rtu-bridge status --json`, the metrics, the appliance's points as a DNP3 master reads them, the recording.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bridge.endpoints.endpoint import Endpoint
from bridge.link.frame import Frame
from bridge.service.appliance.point_map import blocks_of
from bridge.service.appliance.points_text import as_csv
from bridge.service.configuration.config import load
from tests.support import frames as f
from tests.support import toml
from tests.support.bridge_process import HOST, BridgeProcess, running
from tests.support.opendnp3_reader import ReadingOpendnp3
from tests.support.program import run_to_the_end
from tests.support.raw_peers import RawMaster, RawRtu
from tests.support.recorded import Shown, shown
from tests.support.scada import Scada
from tests.support.scrapes import OPENMETRICS, Samples, samples_of, scrape
from tests.support.waiting import until
from tests.support.wire import Wire

pytestmark = [pytest.mark.wire, pytest.mark.peer]

NORTH, SOUTH, BOX = 10, 11, 50
OTHER_HOST, STRANGER = "127.0.0.2", "127.0.0.3"
NOISE = b"\x00" * 20


def _site(folder: Path) -> str:
    return (
        toml.service(status_socket=f"{folder}/s", log_format="json")
        + toml.table("[metrics]", listen="127.0.0.1:0")
        + toml.table("[recorder]", folder=f"{folder}/captures")
        + toml.server()
        + toml.line("north", folder / "north", response_timeout_ms=200)
        + toml.line("south", folder / "south", baud=9600)
        + toml.outstation("rtu-n", NORTH, "north", OTHER_HOST, led="led1")
        + toml.outstation("rtu-s", SOUTH, "south", OTHER_HOST, led="led2")
        + toml.appliance("box", BOX)
        + toml.table("[led.led1]", pin=16)
        + toml.table("[led.led2]", red=20, green=21)
    )


class Place(NamedTuple):
    """Where a counter stands: a key, which the status and the metrics share, and the reasons that count."""

    key: str
    reasons: frozenset[str] | None = None


# Where points have other words than the status. Written by hand, not taken from the tables that are tested.
PLACES = {
    "sessions": Place("sessions_started"),
    "answers of others": Place("wrong_address_answers"),
    "frames dropped": Place("drops"),
    "expired requests": Place("drops", frozenset({"expired"})),
    "refused connections": Place("session_ends", frozenset({"not_wanted", "line_down"})),
}
MOVING = {"outstation box: frames from master", "outstation box: frames to master"}
"""Asking for them changes them."""


def place_of(words: str) -> Place:
    return PLACES.get(words, Place(words.lower().replace(" ", "_").replace("-", "_")))


def counted(counts: Mapping[str, float], reasons: frozenset[str] | None) -> float:
    return sum(value for reason, value in counts.items() if reasons is None or reason in reasons)


def in_status(status: Mapping[str, Any], point: str) -> float:
    """Return what the status says of a counter of the appliance, by the point's name."""
    subject, _, words = point.partition(": ")
    place = place_of(words)
    kind, _, name = subject.partition(" ")
    things = status["servers" if kind == "appliance" else f"{kind}s"]
    values = [
        {**(thing.get("diagnosis") or {}), **thing}[place.key]
        for thing in things
        if kind == "appliance" or thing["name"] == name
    ]
    return sum(counted(value, place.reasons) if isinstance(value, Mapping) else value for value in values)


def in_metrics(samples: Samples, point: str) -> float:
    """Return what the metrics say of it."""
    subject, _, words = point.partition(": ")
    place = place_of(words)
    kind, _, name = subject.partition(" ")
    label = "server" if kind == "appliance" else kind
    found = [
        (dict(labels), value)
        for (sample, labels), value in samples.items()
        if sample == f"rtu_bridge_{label}_{place.key}_total"
    ]
    assert found, f"no metric of {point}"
    return sum(
        value
        for labels, value in found
        if (kind == "appliance" or labels[kind] == name)
        and (place.reasons is None or labels["reason"] in place.reasons)
    )


class Bench(NamedTuple):
    bridge: BridgeProcess
    north: RawRtu
    south: RawRtu
    scada: Scada
    folder: Path

    def status(self) -> dict[str, Any]:
        """Return what `rtu-bridge status --json` prints."""
        ended, out, err = run_to_the_end("status", "--json", "--socket", str(self.folder / "s"))
        assert (ended, err) == (0, "")
        document: dict[str, Any] = json.loads(out)
        return document

    def samples(self) -> Samples:
        """Scrape."""
        (told,) = self.bridge.wait_for_events("metrics", expected=["metrics"])
        endpoint = Endpoint.parse(told["url"].split("/")[2])
        return samples_of(asyncio.run(scrape(endpoint, accept=OPENMETRICS)))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(tmp_path / name)) for name in ("north", "south")]
        bridge = stack.enter_context(running(tmp_path, _site(tmp_path)))
        north, south = (stack.enter_context(RawRtu(wire.rtu)) for wire in wires)
        peer = stack.enter_context(ReadingOpendnp3())
        channel, _ = peer.connect(bridge.port)
        master = peer.reader(channel, BOX)
        master.wait_until_started()
        scada = Scada(master, as_csv(blocks_of(load(tmp_path / "c.toml"))))
        yield Bench(bridge, north, south, scada, tmp_path)


def request(sequence: int, address: int) -> Frame:
    return f.request(sequence, to=address, rest=b"\x3c\x02\x06")


def exchange(master: RawMaster, rtu: RawRtu, address: int, sequence: int) -> None:
    master.send(request(sequence, address).octets)
    rtu.read_frame()
    rtu.write(f.response(sequence, source=address).octets)
    assert master.read_frame() == f.response(sequence, source=address).octets


def wait_for_diagnosis(bench: Bench, key: str, number: int) -> None:
    until(lambda: bench.bridge.outstation(NORTH)["diagnosis"][key] == number, f"{number} {key}")


def make_trouble(bench: Bench) -> None:
    """Let most things happen that a counter counts, another number of times on each line."""
    port, status = bench.bridge.port, bench.bridge.status
    with RawMaster(HOST, port, source=OTHER_HOST) as master:
        for sequence in range(5):
            exchange(master, bench.north, NORTH, sequence)
        for sequence in range(3):
            exchange(master, bench.south, SOUTH, sequence)
        for number, sequence in enumerate((5, 6), start=1):
            master.send(request(sequence, NORTH).octets)
            bench.north.read_frame()
            wait_for_diagnosis(bench, "timeouts", number)
        bench.north.write(f.response(6, source=NORTH).octets)
        wait_for_diagnosis(bench, "late_answers", 1)
        bench.south.write(NOISE + f.response(3, source=SOUTH).octets[:-1] + b"\xff" + b"\x00" * 7)
        until(lambda: status()["lines"][1]["crc_errors"] == 1, "a CRC error")
        with RawMaster(HOST, port, source=OTHER_HOST):
            master.read_to_the_end()
    with RawMaster(HOST, port, source=STRANGER) as stranger:
        stranger.read_to_the_end()
    until(lambda: not any(rtu["master"] for rtu in status()["outstations"][:2]), "they are gone")


def test_points_status_and_metrics_agree(bench: Bench) -> None:
    make_trouble(bench)
    names = {name for kind, name in bench.scada.indices if kind == "counter"} - MOVING
    told: dict[str, tuple[object, float, float]] = {}

    def agree() -> bool:
        points, status, samples = bench.scada.values(), bench.status(), bench.samples()
        told.clear()
        told.update(
            {
                name: (points["counter", name][0], in_status(status, name), in_metrics(samples, name))
                for name in names
            }
        )
        return not differing()

    def differing() -> dict[str, tuple[object, float, float]]:
        return {name: each for name, each in told.items() if len(set(each)) > 1}

    # The points are looked at once a second.
    try:
        until(agree, "points, status and metrics agree", pause_s=0.1)
    except AssertionError as error:
        raise AssertionError(f"point, status, metric: {differing()}") from error
    expected = {
        "outstation rtu-n: answers": 5,
        "outstation rtu-s: answers": 3,
        "outstation rtu-n: timeouts": 2,
        "outstation rtu-n: late answers": 1,
        "outstation rtu-n: sessions": 2,
        "outstation rtu-s: pre-emptions": 1,
        "line south: CRC errors": 1,
        "line north: frames sent": 7,
        "line south: frames heard": 3,
        "appliance: sessions": 3,
        "appliance: refused connections": 1,
    }
    assert {name: told[name][0] for name in expected} == expected


def test_the_recording_has_what_the_status_counts(bench: Bench) -> None:
    make_trouble(bench)
    path = bench.folder / "now.pcapng"
    ended, _, _ = run_to_the_end("capture", "-o", str(path), "--socket", str(bench.folder / "s"))
    assert ended == 0
    packets = shown(path)
    lines = {line["name"]: line for line in bench.status()["lines"]}
    frames = Counter(packet.interface for packet in packets if packet.protocol == "DNP 3.0")
    for name, line in lines.items():
        assert frames[name] == line["frames_sent"] + line["frames_heard"]
        assert octets_of_noise(packets, name) == line["octets_discarded"]


def test_status_and_metrics_have_the_files_that_are_there(bench: Bench) -> None:
    make_trouble(bench)
    ended, written, _ = run_to_the_end("capture", "--write", "--socket", str(bench.folder / "s"))
    assert ended == 0
    none: frozenset[tuple[str, str]] = frozenset()

    def agree() -> bool:
        # A fault of before may be written meanwhile.
        files = list((bench.folder / "captures").glob("*.pcapng"))
        there = (len(files), sum(file.stat().st_size for file in files))
        recorder, samples = bench.status()["recorder"], bench.samples()
        in_metrics = [
            samples[f"rtu_bridge_recorder_{key}", none] for key in ("files_written_total", "disk_octets")
        ]
        return there == (recorder["files_written"], recorder["disk_octets"]) == tuple(in_metrics)

    until(agree, "folder, status and metrics agree")
    assert Path(written.strip()).parent == bench.folder / "captures"


def octets_of_noise(packets: Iterable[Shown], interface: str) -> int:
    return sum(len(packet.noise) for packet in packets if packet.interface == interface)
