"""Every state of the LEDs, reached by real traffic through the real program, as its status shows it.

Two RTUs on one line: one with a single LED, one with a bi-colour LED. That the mock pins have the same levels
is tested in tests/service/front/test_leds.py, and the exact timelines in tests/hw.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import toml, wire_crc
from tests.support.bridge_process import HOST, BridgeProcess, running
from tests.support.program import run_to_the_end
from tests.support.raw_peers import RawMaster, RawRtu
from tests.support.waiting import until
from tests.support.wire import Wire

pytestmark = pytest.mark.wire

MASTER, SINGLE, TWO = 1, 10, 11
READ, RESPONSE = 1, 129


def _site(folder: Path, device: object) -> str:
    return (
        toml.service(status_socket=f"{folder}/s", log_level="debug", log_format="json")
        + toml.server()
        + toml.line("bay", device, response_timeout_ms=200)
        + toml.outstation("rtu-10", SINGLE, "bay", led="led1")
        + toml.outstation("rtu-11", TWO, "bay", led="two")
        + toml.table("[led.two]", red=20, green=21)
    )


def request(sequence: int, rtu: int) -> bytes:
    return wire_crc.frame(0xC4, rtu, MASTER, bytes([0xC0, 0xC0 | sequence, READ]) + bytes.fromhex("3c 01 06"))


def answer(sequence: int, rtu: int) -> bytes:
    return wire_crc.frame(0x44, MASTER, rtu, bytes([0xC0, 0xC0 | sequence, RESPONSE, 0, 0]))


@pytest.fixture
def bridge(tmp_path: Path, wire: Wire) -> Iterator[BridgeProcess]:
    with running(tmp_path, _site(tmp_path, wire.device)) as bridge:
        yield bridge


def led(bridge: BridgeProcess, rtu: int) -> dict[str, Any]:
    return dict(bridge.outstation(rtu)["led"])


def wait_for(bridge: BridgeProcess, rtu: int, state: str, pattern: str) -> None:
    """Wait until an LED says this, and looks like it."""
    until(
        lambda: (shown := led(bridge, rtu))["state"] == state and shown["pattern"] == pattern,
        f"rtu-{rtu} is {state}, {pattern}",
    )


def wait_for_colours(bridge: BridgeProcess, rtu: int, *colours: str) -> None:
    """Wait for one colour after the other, at any time between them."""
    for colour in colours:
        until(lambda: led(bridge, rtu)["colour"] == colour, f"rtu-{rtu} is {colour}")  # noqa: B023


def wait_for_levels(bridge: BridgeProcess, rtu: int, *levels: bool) -> None:
    for level in levels:
        until(lambda: led(bridge, rtu)["lit"] is level, f"rtu-{rtu} is lit: {level}")  # noqa: B023


def exchange(master: RawMaster, line: RawRtu, rtu: int, number: int, *, answered: bool = True) -> None:
    master.send(request(number % 16, rtu))
    assert line.read_frame() == request(number % 16, rtu)
    if answered:
        line.write(answer(number % 16, rtu))
        assert master.read_frame() == answer(number % 16, rtu)


def miss(bridge: BridgeProcess, master: RawMaster, line: RawRtu, rtu: int, number: int) -> None:
    exchange(master, line, rtu, number, answered=False)
    until(
        lambda: bridge.outstation(rtu)["exchanges"].get("timed_out") == number, f"miss {number} of rtu-{rtu}"
    )


def test_off_then_idle_then_answering_with_a_blink_a_frame(bridge: BridgeProcess, line: RawRtu) -> None:
    for rtu in (SINGLE, TWO):
        shown = led(bridge, rtu)
        assert (shown["state"], shown["pattern"], shown["lit"]) == ("off", "off", False)
    with RawMaster(HOST, bridge.port) as master:
        wait_for(bridge, SINGLE, "idle", "on")
        wait_for(bridge, TWO, "idle", "green")
        for rtu in (SINGLE, TWO):
            exchange(master, line, rtu, 0)
            wait_for_levels(bridge, rtu, False, True)
        wait_for(bridge, SINGLE, "answering", "on")
        wait_for(bridge, TWO, "answering", "green")


def test_a_silent_rtu_is_missing_then_silent_and_comes_back(bridge: BridgeProcess, line: RawRtu) -> None:
    with RawMaster(HOST, bridge.port) as master:
        for rtu, missing, silent, answering in (
            (SINGLE, "2 Hz", "5 Hz", "on"),
            (TWO, "amber", "red", "green"),
        ):
            miss(bridge, master, line, rtu, 1)
            wait_for(bridge, rtu, "missing", missing)
            for number in (2, 3):
                miss(bridge, master, line, rtu, number)
            wait_for(bridge, rtu, "silent", silent)
            if rtu == SINGLE:
                wait_for_levels(bridge, rtu, False, True, False, True)
            else:
                assert led(bridge, rtu)["colour"] == "red"
            exchange(master, line, rtu, 4)
            wait_for(bridge, rtu, "missing", missing)
            number = 5

            def is_calm(rtu: int = rtu) -> bool:
                nonlocal number
                exchange(master, line, rtu, number)
                number += 1
                return bool(led(bridge, rtu)["state"] == "answering")

            until(is_calm, "three answers and two seconds later it answers", pause_s=0.15)
            wait_for(bridge, rtu, "answering", answering)


def test_noise_is_a_double_flash_or_red_blips(bridge: BridgeProcess, line: RawRtu) -> None:
    with RawMaster(HOST, bridge.port) as master:
        for rtu in (SINGLE, TWO):
            exchange(master, line, rtu, 0)
        damaged = answer(0, TWO)
        line.write(damaged[:-1] + bytes([damaged[-1] ^ 0xFF]))
        wait_for(bridge, SINGLE, "noise", "double flash")
        wait_for(bridge, TWO, "noise", "green, red blips")
        line.write(b"\x00\xff\x55")
        wait_for_colours(bridge, TWO, "red", "green")
        wait_for(bridge, TWO, "answering", "green")  # 5 s after the last


def test_an_unplugged_port_is_silent_on_all_its_leds_and_on_the_system_led(
    bridge: BridgeProcess, line: RawRtu, wire: Wire
) -> None:
    with RawMaster(HOST, bridge.port) as master:
        for rtu in (SINGLE, TWO):
            exchange(master, line, rtu, 0)
        assert bridge.status()["system_led"]["state"] == "beating"
        wire.unplug()
        wait_for(bridge, SINGLE, "silent", "5 Hz")
        wait_for(bridge, TWO, "silent", "red")
        system = bridge.status()["system_led"]
        assert (system["state"], system["pattern"]) == ("line_down", "5 Hz")
        wire.replug()
        wait_for(bridge, TWO, "answering", "green")
        assert bridge.status()["system_led"]["pattern"] == "beat"


def test_a_master_that_is_pre_empted_is_not_lost_and_the_last_one_is(
    bridge: BridgeProcess, line: RawRtu
) -> None:
    old = RawMaster(HOST, bridge.port)
    exchange(old, line, TWO, 0)
    wait_for(bridge, TWO, "answering", "green")
    with RawMaster(HOST, bridge.port):
        assert old.read_to_the_end() == b""
        wait_for(bridge, TWO, "idle", "green")  # the newer one has asked nothing yet
        assert bridge.server()["session_ends"] == {"pre_empted": 1}
    old.close()
    wait_for(bridge, TWO, "lost", "red wink")
    wait_for(bridge, SINGLE, "lost", "wink")
    wait_for_colours(bridge, TWO, "off", "red", "off")
    wait_for_levels(bridge, SINGLE, False, True, False)


def test_people_ask_for_a_lamp_test_and_for_one_led(bridge: BridgeProcess, tmp_path: Path) -> None:
    where = ("--socket", str(tmp_path / "s"))

    def overlays() -> dict[str, str | None]:
        status, out, err = run_to_the_end("status", "--json", *where)
        assert (status, err) == (0, "")
        document = json.loads(out)
        found = {each["name"]: each["led"]["overlay"] for each in document["outstations"]}
        return found | {"system": document["system_led"]["overlay"]}

    done = (0, "all LEDs are tested for 60 s\n", "")
    assert run_to_the_end("leds", "test", "--seconds", "60", "-c", str(tmp_path / "c.toml")) == done
    assert overlays() == dict.fromkeys(("rtu-10", "rtu-11", "system"), "lamp_test")
    wait_for_colours(bridge, TWO, "red", "green", "amber")
    assert run_to_the_end("leds", "stop", *where) == (0, "all LEDs show again what happens\n", "")
    assert set(overlays().values()) == {None}
    assert run_to_the_end("leds", "locate", "rtu-11", *where)[0] == 0
    assert overlays() == {"rtu-10": None, "rtu-11": "locate", "system": None}
    wait_for_colours(bridge, TWO, "amber", "off", "amber")
    assert run_to_the_end("leds", "locate", *where)[1] == "all LEDs flash for 60 s\n"
    assert set(overlays().values()) == {"locate"}
    status, out, err = run_to_the_end("leds", "locate", "rtu-12", *where)
    assert (status, out) == (1, "")
    assert err.endswith("there is no outstation 'rtu-12'; did you mean rtu-11?\n")
    assert run_to_the_end("leds", "test", "--seconds", "0", *where)[0] == 2
    status, out, err = run_to_the_end("leds", "test", "--socket", str(tmp_path / "other"))
    assert (status, out, err.count("\n")) == (1, "", 1)
