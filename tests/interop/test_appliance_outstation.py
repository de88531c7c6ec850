"""The appliance as an outstation: opendnp3 polls it through the real program while others use the bridge.

Faults are injected beside it. Each becomes the right events, with times, class and order; counters agree with
`status --json`; controls do what they say.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bridge.service.appliance.point_map import blocks_of
from bridge.service.appliance.points_text import as_csv
from bridge.service.configuration.config import load
from tests.support import wire_crc
from tests.support.bridge_process import HOST, BridgeProcess, running
from tests.support.opendnp3 import ALL_CLASSES, o
from tests.support.opendnp3_reader import Heard, ReadingOpendnp3
from tests.support.program import run_to_the_end
from tests.support.raw_peers import RawMaster, RawRtu
from tests.support.scada import Scada, Told
from tests.support.waiting import until
from tests.support.wire import Wire

pytestmark = pytest.mark.wire

RTU, APPLIANCE, MASTER = 10, 50, 1
OTHER_HOST = "127.0.0.2"
TIMEOUT_MS = 200
ONLINE, RESTART, COMM_LOST = 0x01, 0x02, 0x04
INPUT_EVENT, OUTPUT_EVENT, COUNTER_EVENT, FROZEN_EVENT = 2, 11, 22, 23

SITE = """
[service]
status_socket = "{folder}/s"
log_level = "info"
log_format = "json"
gpio = "mock"
name = "mill-lane"
location = "cabinet 3"
[server.main]
listen = "127.0.0.1:0"
[line.bay]
device = "{folder}/tty"
baud = 115200
response_timeout_ms = {timeout_ms}
{line_keys}
[relay.horn]
pin = 27
[[outstation]]
name = "rtu"
server = "main"
masters = ["{rtu_masters}"]
line = "bay"
link_address = {rtu}
[[outstation]]
name = "box"
server = "main"
masters = ["127.0.0.1"]
local = "appliance"
link_address = {appliance}
{keys}
"""


def request(sequence: int) -> bytes:
    octets = bytes([0xC0, 0xC0 | sequence, 1]) + bytes.fromhex("3c 01 06")
    return wire_crc.frame(0xC4, RTU, MASTER, octets)


def answer(frame: bytes) -> bytes:
    sequence = frame[11] & 0x0F
    return wire_crc.frame(0x44, MASTER, RTU, bytes([0xC0, 0xC0 | sequence, 129, 0, 0]))


class Bench(NamedTuple):
    bridge: BridgeProcess
    wire: Wire
    rtu: RawRtu
    scada: Scada
    folder: Path

    def status(self) -> dict[str, Any]:
        """Return what `rtu-bridge status --json` prints."""
        status, out, err = run_to_the_end("status", "--json", "--socket", str(self.folder / "s"))
        assert (status, err) == (0, "")
        document: dict[str, Any] = json.loads(out)
        return document

    def exchange(self, master: RawMaster, sequence: int) -> None:
        """Let another master ask the RTU, which answers."""
        master.send(request(sequence))
        assert self.rtu.read_frame() == request(sequence)
        self.rtu.write(answer(request(sequence)))
        assert master.read_frame() == answer(request(sequence))


Start = Callable[..., Bench]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a bridge, its RTU and its SCADA."""
    with ExitStack() as stack:

        def started(keys: str = "", line_keys: str = "", rtu_masters: str = OTHER_HOST, **more: Any) -> Bench:
            text = SITE.format(
                folder=tmp_path,
                timeout_ms=TIMEOUT_MS,
                line_keys=line_keys,
                rtu_masters=rtu_masters,
                rtu=RTU,
                appliance=APPLIANCE,
                keys=keys,
            )
            wire = stack.enter_context(Wire(tmp_path / "tty"))
            bridge = stack.enter_context(running(tmp_path, text))
            rtu = stack.enter_context(RawRtu(wire.rtu))
            peer = stack.enter_context(ReadingOpendnp3())
            channel, _ = peer.connect(bridge.port)
            master = peer.reader(channel, APPLIANCE, **more)
            master.wait_until_started()
            points = as_csv(blocks_of(load(tmp_path / "c.toml")))
            return Bench(bridge, wire, rtu, Scada(master, points), tmp_path)

        yield started


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def test_each_fault_becomes_its_events_with_time_class_and_order(start: Start) -> None:
    bench = start()
    scada = bench.scada
    scada.events(1)
    since_ms = now_ms()
    heard: list[Heard] = []

    def hear(number: int, *names: str) -> list[Told]:
        events = scada.wait_for(number, list(names))
        heard.extend(events)
        return scada.told(events)

    connected, answering = "outstation rtu: master connected", "outstation rtu: RTU answering"
    with RawMaster(HOST, bench.bridge.port, source=OTHER_HOST) as master:
        assert hear(1, connected) == [(connected, True, ONLINE)]

        bench.exchange(master, 0)
        assert hear(1, answering) == [(answering, True, ONLINE)]

        # The RTU is silent.
        master.send(request(1))
        assert bench.rtu.read_frame() == request(1)
        timeouts = "outstation rtu: timeouts"
        assert hear(1, answering) == [(answering, False, ONLINE)]
        assert hear(2, timeouts) == [(timeouts, 1, ONLINE)]
        bench.exchange(master, 2)
        assert hear(1, answering) == [(answering, True, ONLINE)]

        # Noise.
        bench.rtu.write(answer(request(0))[:-1] + b"\xff" + b"\x00" * 7)
        crc_errors, degraded = "line bay: CRC errors", "outstation rtu: degraded"
        assert hear(2, crc_errors) == [(crc_errors, 1, ONLINE)]
        until(lambda: scada.values()["binary input", degraded] == (True, ONLINE), "degraded", pause_s=0.05)

        # The adapter is pulled out and put back.
        up, all_up, losses = "line bay: up", "appliance: all lines up", "line bay: losses"
        bench.wire.unplug()
        assert hear(1, up, answering, all_up) == [
            (up, False, ONLINE),
            (answering, True, COMM_LOST),
            (all_up, False, ONLINE),
        ]
        assert hear(2, losses) == [(losses, 1, ONLINE)]
        bench.wire.replug()
        assert hear(1, up, answering, all_up) == [
            (up, True, ONLINE),
            (answering, True, ONLINE),
            (all_up, True, ONLINE),
        ]

        # Another master takes over.
        pre_emptions = "outstation rtu: pre-emptions"
        with RawMaster(HOST, bench.bridge.port, source=OTHER_HOST):
            assert master.read_to_the_end() == b""
            assert hear(2, pre_emptions) == [(pre_emptions, 1, ONLINE)]
        assert hear(1, connected) == [(connected, False, ONLINE)]
    times = [each.reading.time_ms for each in heard]
    assert all(each is not None for each in times)
    in_order = [each for each in times if each is not None]
    assert in_order == sorted(in_order)
    assert since_ms <= in_order[0]
    assert in_order[-1] <= now_ms()


def test_points_counters_and_status_agree(start: Start) -> None:
    bench = start()
    with RawMaster(HOST, bench.bridge.port, source=OTHER_HOST) as master:
        for sequence in range(5):
            bench.exchange(master, sequence)
        master.send(request(5))
        assert bench.rtu.read_frame() == request(5)
        until(
            lambda: bench.bridge.outstation(RTU)["exchanges"] == {"answered": 5, "timed_out": 1}, "a timeout"
        )
        bench.rtu.write(b"\x00" * 20)
        until(lambda: bench.bridge.line()["octets_discarded"] == 20, "the noise")
        disagreements: list[tuple[str, object, object]] = []

        def agree() -> bool:
            # Read twice: what moves meanwhile is the SCADA's own polls, which are not compared.
            values, status = bench.scada.values(), bench.bridge.status()
            disagreements[:] = [
                (name, said, values[kind, name][0])
                for (kind, name), said in expected_of(status).items()
                if values[kind, name] != (said, ONLINE)
            ]
            return not disagreements

        try:
            until(agree, "points are as the status says", pause_s=0.1)
        except AssertionError as error:
            raise AssertionError(f"name, status, point: {disagreements}") from error
        printed = bench.status()
        assert expected_of(printed) == expected_of(bench.bridge.status())
    values = expected_of(printed)
    assert values["counter", "outstation rtu: answers"] == 5
    assert values["counter", "outstation rtu: timeouts"] == 1
    assert values["counter", "line bay: octets discarded"] == 20
    assert values["counter", "line bay: octets sent"] == 6 * len(request(0))
    assert values["counter", "line bay: octets heard"] == 5 * len(answer(request(0))) + 20


def expected_of(status: dict[str, Any]) -> dict[tuple[str, str], object]:
    """Return what some points must say, taken from the document by hand."""
    (line,), (server,) = status["lines"], status["servers"]
    rtu = next(each for each in status["outstations"] if each["name"] == "rtu")
    diagnosis = rtu["diagnosis"]
    of_line = {name: line[name.replace(" ", "_")] for name in ("frames sent", "frames heard", "octets sent")}
    of_line |= {name: line[name.replace(" ", "_")] for name in ("octets heard", "octets discarded", "losses")}
    of_line |= {"CRC errors": line["crc_errors"], "babbles": line["babbles"]}
    of_rtu = {name: diagnosis[name] for name in ("requests", "answers", "timeouts")}
    of_rtu |= {
        "late answers": diagnosis["late_answers"],
        "expired requests": rtu["drops"].get("expired", 0),
        "frames from master": rtu["frames_from_master"],
        "frames to master": rtu["frames_to_master"],
        "sessions": rtu["sessions_started"],
        "pre-emptions": rtu["pre_emptions"],
    }
    return {
        ("counter", "appliance: sessions"): server["sessions_started"],
        ("counter", "appliance: pre-emptions"): server["pre_emptions"],
        ("binary input", "line bay: up"): line["is_up"],
        ("binary input", "outstation rtu: master connected"): rtu["master"] is not None,
        ("analog input", "outstation rtu: response time p50"): round(
            diagnosis["response_times"]["p50_s"] * 1000
        ),
        **{("counter", f"line bay: {name}"): value for name, value in of_line.items()},
        **{("counter", f"outstation rtu: {name}"): value for name, value in of_rtu.items()},
    }


def test_a_control_resets_a_line(start: Start) -> None:
    bench = start()
    scada = bench.scada
    index = scada.indices["binary output", "line bay: reset"]
    scada.events(1)
    pulse = o.ControlRelayOutputBlock(o.OperationType.PULSE_ON)
    with RawMaster(HOST, bench.bridge.port, source=OTHER_HOST) as master:
        bench.exchange(master, 0)
        assert scada.master.select_and_operate(pulse, index) == ["SUCCESS", "SUCCESS"]
        up, reset = "line bay: up", "line bay: reset"
        assert scada.told(scada.wait_for(1, [up, up])) == [(up, False, ONLINE), (up, True, ONLINE)]
        assert scada.told(scada.wait_for(2, [reset, reset])) == [
            (reset, True, ONLINE),
            (reset, False, ONLINE),
        ]
        assert (bench.bridge.line()["openings"], bench.bridge.line()["losses"]) == (2, 1)
        bench.exchange(master, 1)
    (control,) = bench.bridge.wait_for_events("control", expected=["control"])
    assert (control["what"], control["status"], control["outstation"]) == (
        "line bay: reset",
        "SUCCESS",
        "box",
    )
    assert control["by"].startswith(f"{HOST}:")
    latch_off = o.ControlRelayOutputBlock(o.OperationType.LATCH_OFF)
    assert scada.master.direct_operate(latch_off, index) == ["SUCCESS", "NOT_SUPPORTED"]


def test_a_reset_follows_the_lines_policy_for_its_sessions(start: Start) -> None:
    bench = start(line_keys='when_down = "close"')
    index = bench.scada.indices["binary output", "line bay: reset"]
    pulse = o.ControlRelayOutputBlock(o.OperationType.PULSE_ON)
    with RawMaster(HOST, bench.bridge.port, source=OTHER_HOST) as master:
        until(lambda: bench.bridge.outstation(RTU)["master"] == master.name, "the master")
        assert bench.scada.master.direct_operate(pulse, index) == ["SUCCESS", "SUCCESS"]
        assert master.read_to_the_end() == b""
        assert bench.bridge.server()["session_ends"] == {"line_down": 1}
    assert bench.scada.values()["counter", "appliance: sessions"] == (2, ONLINE), "its own session stays"


def test_controls_of_sessions_relays_and_lamps(start: Start) -> None:
    bench = start()
    scada = bench.scada
    output = {name: index for (kind, name), index in scada.indices.items() if kind == "binary output"}
    pulse, latch = (
        o.ControlRelayOutputBlock(getattr(o.OperationType, each)) for each in ("PULSE_ON", "LATCH_ON")
    )
    drop = output["outstation rtu: drop session"]
    assert scada.master.select_and_operate(pulse, drop)[1] == "ALREADY_COMPLETE"
    with RawMaster(HOST, bench.bridge.port, source=OTHER_HOST) as master:
        until(lambda: bench.bridge.outstation(RTU)["master"] == master.name, "the master")
        assert scada.master.select_and_operate(pulse, drop) == ["SUCCESS", "SUCCESS"]
        assert master.read_to_the_end() == b""
        name = master.name
    (dropped,) = bench.bridge.wait_for_events("session dropped", expected=["session dropped"])
    assert dropped["peer"] == name
    assert dropped["by"].startswith(f"{HOST}:")
    assert bench.bridge.server()["session_ends"] == {"dropped": 1}
    assert scada.master.select_and_operate(latch, output["relay horn"]) == ["SUCCESS", "SUCCESS"]
    assert scada.told(scada.wait_for(2, ["relay horn"])) == [("relay horn", True, ONLINE)]
    assert bench.bridge.status()["relays"] == [{"name": "horn", "is_on": True}]
    assert scada.master.direct_operate(latch, output["appliance: lamp test"]) == ["SUCCESS", "SUCCESS"]
    assert bench.bridge.status()["system_led"]["overlay"] == "lamp_test"


def test_it_may_send_its_own_session_away_and_hears_the_answer_first(start: Start) -> None:
    bench = start()
    index = bench.scada.indices["binary output", "outstation box: drop session"]
    pulse = o.ControlRelayOutputBlock(o.OperationType.PULSE_ON)
    assert bench.scada.master.direct_operate(pulse, index) == ["SUCCESS", "SUCCESS"]
    until(lambda: bench.bridge.server()["session_ends"] == {"dropped": 1}, "it is dropped")
    assert bench.scada.master.poll_until_answered(ALL_CLASSES, within_s=10) >= 0


def test_controls_can_be_denied(start: Start) -> None:
    bench = start(keys='controls = "deny"')
    index = bench.scada.indices["binary output", "line bay: reset"]
    pulse = o.ControlRelayOutputBlock(o.OperationType.PULSE_ON)
    assert bench.scada.master.direct_operate(pulse, index) == ["SUCCESS", "NOT_AUTHORIZED"]
    assert bench.bridge.line()["openings"] == 1


def test_it_shares_a_session_with_rtus_and_reports_unasked(start: Start) -> None:
    bench = start(keys="unsolicited = true\nmaster_address = 1", rtu_masters=HOST, keeps_unsolicited=True)
    (session,) = bench.bridge.server()["sessions"]
    rtu, box = bench.bridge.outstation(RTU), bench.bridge.outstation(APPLIANCE)
    assert rtu["master"] == box["master"] == session["peer"]
    assert (rtu["sessions_started"], box["sessions_started"]) == (1, 1)
    bench.scada.master.take()
    bench.wire.unplug()

    def unasked() -> list[Told]:
        return bench.scada.told([each for each in bench.scada.master.soe.heard if each.is_unsolicited])

    until(lambda: Told("line bay: up", False, ONLINE) in unasked(), "it says so by itself")
    assert bench.bridge.server()["session_ends"] == {}


def test_counters_are_frozen_and_not_cleared(start: Start) -> None:
    bench = start()
    scada, name = bench.scada, "line bay: octets sent"
    with RawMaster(HOST, bench.bridge.port, source=OTHER_HOST) as master:
        bench.exchange(master, 0)
        sent = len(request(0))
        until(lambda: scada.values()["counter", name] == (sent, ONLINE), "the count", pause_s=0.05)
        index = scada.indices["counter", name]
        headers = [o.Header.Range16(20, 0, index, index)]
        assert scada.master.freeze("ImmediateFreeze", headers) == "SUCCESS"
        (event,) = scada.wait_for(3, [f"{name}, frozen"])
        assert (event.reading.group, event.reading.value) == (FROZEN_EVENT, sent)
        assert event.reading.time_ms is not None
        scada.master.freeze("FreezeAndClear", headers)
        assert scada.values()["counter", name] == (sent, ONLINE)


def test_what_it_says_of_itself(start: Start) -> None:
    bench = start()
    assert bench.scada.master.read_all(0, 254) == "SUCCESS"
    attributes = {each.variation: each.value for each in bench.scada.master.soe.attributes}
    assert attributes.items() >= {245: "cabinet 3", 247: "mill-lane", 252: "RTU Bridge"}.items()
    assert attributes[242] == bench.bridge.status()["version"]


def test_before_anything_happened(start: Start) -> None:
    values = start().scada.values()
    assert values["binary input", "outstation rtu: RTU answering"] == (False, RESTART)
    assert values["binary input", "outstation rtu: degraded"] == (False, RESTART)
    assert values["binary input", "outstation box: master connected"] == (True, ONLINE)
    assert values["analog input", "appliance: free memory"][1] == ONLINE
    assert {kind for kind, _ in values} == {"binary input", "binary output", "counter", "analog input"}
