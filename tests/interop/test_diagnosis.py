"""Why an RTU does not answer: what `rtu-bridge status` says of each fault, through the real program."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support import wire_crc
from tests.support.bridge_process import HOST, BridgeProcess, Site, running
from tests.support.program import run_to_the_end
from tests.support.raw_peers import RawMaster, RawRtu
from tests.support.waiting import until
from tests.support.wire import Wire

pytestmark = pytest.mark.wire

MASTER, RTU, OTHER_RTU, STRANGER = 1, 10, 11, 99
OTHER_HOST = "127.0.0.2"
READ, RESPONSE = 1, 129
FIR, FIR_FIN, MIDDLE = 0x40, 0xC0, 0x00
HASTY_MS, PATIENT_MS = 300, 60_000

HASTY = {"response_timeout_ms": HASTY_MS, "request_ttl_ms": PATIENT_MS}
PATIENT = {"response_timeout_ms": PATIENT_MS, "request_ttl_ms": PATIENT_MS}


def request(sequence: int, rtu: int = RTU) -> bytes:
    return wire_crc.frame(0xC4, rtu, MASTER, bytes([0xC0, 0xC0 | sequence, READ]) + bytes.fromhex("3c 01 06"))


def answer(sequence: int, rtu: int = RTU, *, transport: int = FIR_FIN, master: int = MASTER) -> bytes:
    return wire_crc.frame(0x44, master, rtu, bytes([transport, 0xC0 | sequence, RESPONSE, 0, 0]))


def damaged(frame: bytes) -> bytes:
    return frame[:-1] + bytes([frame[-1] ^ 0xFF])


@pytest.fixture
def start(tmp_path: Path, wire: Wire) -> Iterator[Callable[..., BridgeProcess]]:
    """Start a bridge with these RTUs and line keys."""
    with ExitStack() as stack:

        def started(keys: Mapping[str, object], *rtus: int, **more: Any) -> BridgeProcess:
            site = Site(device=wire.device, addresses=rtus or (RTU,), line=keys, **more)
            context: AbstractContextManager[BridgeProcess] = running(tmp_path, site)
            return stack.enter_context(context)

        yield started


Start = Callable[..., BridgeProcess]


def printed(tmp_path: Path) -> str:
    """Return what the command prints of the bridge that runs."""
    status, out, err = run_to_the_end("status", "--socket", str(tmp_path / "s"))
    assert (status, err) == (0, "")
    return out


def last_miss(bridge: BridgeProcess, rtu: int = RTU) -> dict[str, Any]:
    """Wait until a request to the RTU is known to have failed, and return how."""
    return until(lambda: bridge.outstation(rtu)["diagnosis"]["last_miss"], f"rtu-{rtu} missed")


def miss_by(bridge: BridgeProcess, reason: str, rtu: int = RTU) -> str:
    """Wait until the last failure has this reason, and return its sentence."""

    def is_it() -> str | None:
        miss = bridge.outstation(rtu)["diagnosis"]["last_miss"]
        return miss["sentence"] if miss is not None and miss["reason"] == reason else None

    sentence = until(is_it, f"rtu-{rtu} missed: {reason}")
    assert sentence is not None
    return sentence


def test_four_faults_on_one_bus_are_told_apart(start: Start, line: RawRtu, tmp_path: Path) -> None:
    silent, noisy, late, wrong, sound = 10, 11, 12, 13, 14
    bridge = start(HASTY, silent, noisy, late, wrong, sound)
    with RawMaster(HOST, bridge.port) as master:
        for rtu, said in ((silent, b""), (noisy, damaged(answer(0, noisy))), (wrong, answer(0, STRANGER))):
            master.send(request(0, rtu))
            assert line.read_frame() == request(0, rtu)
            line.write(said)
            last_miss(bridge, rtu)
        master.send(request(0, late))
        assert line.read_frame() == request(0, late)
        assert last_miss(bridge, late)["reason"] == "nothing_heard"
        line.write(answer(0, late))
        late_sentence = miss_by(bridge, "late", late)
        master.send(request(0, sound))
        assert line.read_frame() == request(0, sound)
        line.write(answer(0, sound))
        assert master.read_frame() == answer(0, sound)
        reasons = {o["name"]: o["diagnosis"]["last_miss"] for o in bridge.status()["outstations"]}
        out = printed(tmp_path)
    assert {name: miss and miss["reason"] for name, miss in reasons.items()} == {
        "rtu-10": "nothing_heard",
        "rtu-11": "bad_crc",
        "rtu-12": "late",
        "rtu-13": "other_outstation",
        "rtu-14": None,
    }
    heard = f"1 wrong CRC, {len(answer(0))} octets in no whole frame"
    assert reasons["rtu-11"]["sentence"] == f"the answer was damaged: {heard}"
    assert reasons["rtu-13"]["sentence"] == f"another RTU answered instead: address {STRANGER}"
    assert late_sentence.startswith("it answered ")
    assert late_sentence.endswith(f" ms too late: the response timeout is {HASTY_MS} ms")
    for name, miss in reasons.items():
        if miss is None:
            assert f"{name}, " not in out
            continue
        (said_line,) = (each for each in out.splitlines() if each.startswith(f"{name}, "))
        assert said_line.endswith(f" s ago: {miss['sentence']} (no answer since)")
    tables = {tuple(each.split()) for each in out.splitlines()}
    assert {
        ("rtu-10", "1", "0", "1", "1", "0", "0", "0"),
        ("rtu-11", "1", "0", "1", "1", "0", "1", "0"),
        ("rtu-12", "1", "0", "1", "1", "1", "0", "0"),
        ("rtu-13", "1", "0", "1", "1", "0", "0", "1"),
        ("rtu-14", "1", "1", "0", "0", "0", "0", "0"),
    } <= tables


def test_nothing_was_heard_and_then_it_answered(start: Start, line: RawRtu, tmp_path: Path) -> None:
    bridge = start(HASTY)
    with RawMaster(HOST, bridge.port) as master:
        master.send(request(0))
        assert line.read_frame() == request(0)
        miss = last_miss(bridge)
        assert (miss["reason"], miss["answered_since"]) == ("nothing_heard", False)
        assert miss["sentence"].startswith("nothing was heard within ")
        master.send(request(1))
        assert line.read_frame() == request(1)
        line.write(answer(1))
        assert master.read_frame() == answer(1)
        out = printed(tmp_path)
        diagnosis = bridge.outstation(RTU)["diagnosis"]
    assert diagnosis["last_miss"]["answered_since"] is True
    assert diagnosis["last_miss"]["ago_s"] >= miss["ago_s"]
    assert diagnosis["response_timeout_s"] == HASTY_MS / 1000
    assert f"{miss['sentence']} (has answered since)" in out


def test_only_the_late_answer_to_an_earlier_request_is_not_nothing(start: Start, line: RawRtu) -> None:
    bridge = start(HASTY)
    with RawMaster(HOST, bridge.port) as master:
        master.send(request(0))
        assert line.read_frame() == request(0)
        last_miss(bridge)
        master.send(request(1))
        assert line.read_frame() == request(1)
        line.write(answer(0))
        until(lambda: bridge.outstation(RTU)["exchanges"] == {"timed_out": 2}, "it is too late for both")
        diagnosis = bridge.outstation(RTU)["diagnosis"]
    assert (diagnosis["late_answers"], diagnosis["last_miss"]["reason"]) == (1, "late")


def test_its_master_hung_up(start: Start, line: RawRtu) -> None:
    bridge = start({"response_timeout_ms": 1000})
    with RawMaster(HOST, bridge.port) as master:
        master.send(request(0))
        assert line.read_frame() == request(0)
    assert miss_by(bridge, "master_gone") == "its master hung up before an answer came; nothing was heard"


def test_its_master_asked_again(start: Start, line: RawRtu) -> None:
    bridge = start(PATIENT)
    with RawMaster(HOST, bridge.port) as master:
        master.send(request(0))
        assert line.read_frame() == request(0)
        line.write(b"noise")
        until(lambda: bridge.line()["octets_heard"] == 5, "the noise is heard")
        master.send(request(1))
        assert line.read_frame() == request(1)
        sentence = miss_by(bridge, "superseded")
        line.write(answer(1))
        assert master.read_frame() == answer(1)
    assert sentence.startswith("its master asked again after ")
    assert sentence.endswith(
        f" ms, before the response timeout of {PATIENT_MS} ms; "
        "until then only noise was heard: 5 octets in no frame"
    )


def test_the_answer_broke_off(start: Start, line: RawRtu) -> None:
    bridge = start(HASTY)
    with RawMaster(HOST, bridge.port) as master:
        master.send(request(0))
        assert line.read_frame() == request(0)
        line.write(answer(0, transport=FIR))
        assert master.read_frame() == answer(0, transport=FIR)
        sentence = miss_by(bridge, "broken_off")
    assert sentence == "the answer broke off: 1 frame came, the rest did not"


def test_it_answered_something_else(start: Start, line: RawRtu) -> None:
    bridge = start(HASTY)
    with RawMaster(HOST, bridge.port) as master:
        master.send(request(5))
        assert line.read_frame() == request(5)
        line.write(answer(4) + answer(5, master=MASTER + 1))
        sentence = miss_by(bridge, "mismatched")
    assert sentence == "it answered something else: another sequence number or master address, 2 times"


def test_only_noise_was_heard(start: Start, line: RawRtu) -> None:
    bridge = start(HASTY)
    with RawMaster(HOST, bridge.port) as master:
        master.send(request(0))
        assert line.read_frame() == request(0)
        line.write(b"\x00\xff\x55")
        assert miss_by(bridge, "noise_only") == "only noise was heard: 3 octets in no frame"


def test_the_exchange_did_not_end(start: Start, line: RawRtu) -> None:
    # Long enough for a busy machine not to pause for a response timeout between two segments.
    bridge = start({"response_timeout_ms": 1500, "exchange_limit_ms": 1500})
    with RawMaster(HOST, bridge.port) as master:
        master.send(request(0))
        assert line.read_frame() == request(0)
        line.write(answer(0, transport=FIR))

        def is_cut_off() -> bool:
            line.write(answer(0, transport=MIDDLE))
            return bridge.outstation(RTU)["exchanges"] != {}

        until(is_cut_off, "the exchange is over", pause_s=0.05)
        assert bridge.outstation(RTU)["exchanges"] == {"overrun": 1}
        assert miss_by(bridge, "overrun").startswith("the exchange did not end and was cut off after ")


def test_it_expired_behind_another_rtu(start: Start, line: RawRtu) -> None:
    bridge = start({"response_timeout_ms": PATIENT_MS, "request_ttl_ms": 300}, RTU, OTHER_RTU)
    with RawMaster(HOST, bridge.port) as master:
        master.send(request(0, OTHER_RTU))
        assert line.read_frame() == request(0, OTHER_RTU)
        master.send(request(0))
        sentence = miss_by(bridge, "expired")
        assert re.fullmatch(
            r"the request waited \d+ ms and was not sent \(request_ttl_ms is 300\): the line was busy",
            sentence,
        )
        assert bridge.outstation(RTU)["diagnosis"]["requests"] == 0, "it was never on the wire"
        assert bridge.outstation(OTHER_RTU)["diagnosis"]["last_miss"] is None


def test_a_device_talks_without_end(start: Start, line: RawRtu, tmp_path: Path) -> None:
    # The pauses between the writes of a busy machine are to be none of the line's.
    pauses = {"turnaround": "1000 ms", "frame_timeout_ms": 1000}
    bridge = start({"response_timeout_ms": 1001, "request_ttl_ms": 300, "babble_ms": 50, **pauses})

    def has_talked_until(condition: Callable[[], object]) -> Callable[[], bool]:
        def is_true() -> bool:
            line.write(b"\x00" * 16)
            return bool(condition())

        return is_true

    with RawMaster(HOST, bridge.port) as master:
        until(has_talked_until(lambda: bridge.line()["is_babbling"]), "the line babbles")
        master.send(request(0))
        missed = has_talked_until(lambda: bridge.outstation(RTU)["diagnosis"]["last_miss"])
        until(missed, "the request is given up")
        sentence = miss_by(bridge, "babble")
        assert re.fullmatch(
            r"the request waited \d+ ms and was not sent \(request_ttl_ms is 300\): "
            r"a device talked without end",
            sentence,
        )
        assert not line.has_octets(), "nothing was sent into it"
        assert bridge.line()["babbles"] >= 1
        out = printed(tmp_path)
        assert sentence in out
        until(lambda: not bridge.line()["is_babbling"], "the device is quiet again")


def test_the_line_is_down(tmp_path: Path) -> None:
    site = Site(device=tmp_path / "nonesuch")
    with running(tmp_path, site, wait_for_lines=False) as bridge:
        reason = until(
            lambda: (said := bridge.line()["reason"]) != "not opened yet" and said, "it was tried once"
        )
        with RawMaster(HOST, bridge.port) as master:
            master.send(request(0))
            assert miss_by(bridge, "line_down") == f"the line was down: {reason}"
            assert f"the line was down: {reason} (no answer since)" in printed(tmp_path)
            status, out, _ = run_to_the_end("status", "--json", "--socket", str(tmp_path / "s"))
    assert status == 0
    (outstation,) = json.loads(out)["outstations"]
    assert outstation["diagnosis"]["last_miss"]["reason"] == "line_down"
