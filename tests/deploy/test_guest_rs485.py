"""RS-485 direction control of the packaged bridge on the kernel's PL011 driver, in an emulated arm64 machine.

RTS is read from the UART's control register from outside. Electrical times are not emulated.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy import site
from tests.deploy.boards import Virt
from tests.deploy.guest import Guest
from tests.support.frames import link_status_request
from tests.support.raw_peers import RawMaster
from tests.support.waiting import until

pytestmark = [pytest.mark.guest, pytest.mark.timeout(600)]

_SWITCH_ON = """
import fcntl, os, struct
port = os.open("/dev/ttyAMA0", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
fcntl.ioctl(port, 0x542F, struct.pack("8I", 3, 0, 0, 0, 0, 0, 0, 0))
"""


@pytest.fixture(scope="module")
def machine(bare_image: Path) -> Iterator[Guest]:
    with Guest(bare_image, board=Virt()) as machine:
        yield machine


@pytest.fixture
def bridge(machine: Guest, request: pytest.FixtureRequest) -> Iterator[Guest]:
    """The machine with a bridge that has the keys of the test's parameter on its line."""
    text = site.configuration("/dev/ttyAMA0", service='gpio = "none"', line=request.param)
    machine.write(site.CONFIGURATION, text)
    start = f"rtu-bridge run -c {site.CONFIGURATION} >/run/log 2>&1 & echo $!"
    process = machine.run(start).out.strip()
    try:
        machine.until("cat /run/log", "line up")
        machine.until("ls /run/rtu-bridge", "status.sock")
        yield machine
    finally:
        machine.run(f"kill {process}; while [ -e /proc/{process}/exe ]; do usleep 50000; done", status=None)
        print(machine.run("cat /run/log").out)


def _exchange(machine: Guest, *, poll: int = 3) -> None:
    with machine.far_end("ttyAMA0") as rtu, RawMaster("127.0.0.1", machine.port(site.PORT)) as master:
        for _ in range(poll):
            site.exchange(master, rtu)


def _direction(machine: Guest) -> dict[str, object]:
    direction: dict[str, object] = site.status(machine)["lines"][0]["direction"]
    return direction


def test_the_machine_is_what_it_is_meant_to_be(machine: Guest) -> None:
    assert machine.run("uname -m").out == "aarch64\n"
    (port,) = json.loads(machine.run("rtu-bridge hardware --json").out)["ports"]
    assert (port["device"], port["driver"], port["kind"]) == ("/dev/ttyAMA0", "uart-pl011", "PL011")
    assert port["rs485"]["is_supported"] is True


@pytest.mark.parametrize("bridge", ['direction = "rs485"'], indirect=True)
def test_the_driver_is_told_to_raise_rts_while_sending(bridge: Guest) -> None:
    flags, before_ms, after_ms = site.rs485_flags(bridge)
    assert flags & site.MODE == site.ENABLED | site.RTS_ON_SEND
    assert (before_ms, after_ms) == (0, 0)
    assert _direction(bridge)["problem"] is None
    _exchange(bridge)
    until(lambda: not site.is_rts_pin_high(bridge), "the bus is free after the exchange")


@pytest.mark.parametrize(
    "bridge", ['direction = "rs485"\npre_transmit = "3 ms"\npost_transmit = "5 ms"'], indirect=True
)
def test_the_driver_has_the_delays(bridge: Guest) -> None:
    assert site.rs485_flags(bridge)[1:] == (3, 5)
    _exchange(bridge)


@pytest.mark.parametrize("bridge", ['direction = "rs485"\nrts_on_send = false'], indirect=True)
def test_the_other_polarity_rests_high_after_the_first_frame(bridge: Guest) -> None:
    flags, _, _ = site.rs485_flags(bridge)
    assert flags & site.MODE == site.ENABLED | site.RTS_AFTER_SEND
    _exchange(bridge)
    until(lambda: site.is_rts_pin_high(bridge), "high while nothing is sent")


@pytest.mark.parametrize(
    "bridge",
    ['direction = "rs485"\npre_transmit = "100 ms"\npost_transmit = "100 ms"'],
    indirect=True,
)
def test_the_pin_is_high_while_sending(bridge: Guest) -> None:
    with bridge.far_end("ttyAMA0") as rtu, RawMaster("127.0.0.1", bridge.port(site.PORT)) as master:

        def is_raised() -> bool:
            master.send(link_status_request(10).octets)
            seen = [site.is_rts_pin_high(bridge) for _ in range(50)]
            rtu.read_frame()
            return True in seen

        until(is_raised, "high while sending")
    until(lambda: not site.is_rts_pin_high(bridge), "low afterwards")


@pytest.mark.parametrize(
    "bridge", ['direction = "rts"', 'direction = "rts"\nrts_on_send = false'], indirect=True
)
def test_the_bridge_itself_switches_rts_back_after_sending(
    bridge: Guest, request: pytest.FixtureRequest
) -> None:
    assert not site.rs485_flags(bridge)[0] & site.ENABLED
    is_asserted_to_send = "rts_on_send" not in request.node.callspec.params["bridge"]
    _exchange(bridge)
    # Asserted is a low pin on this UART.
    until(lambda: site.is_rts_pin_high(bridge) is is_asserted_to_send, "the other level than while sending")


@pytest.fixture
def left_on(machine: Guest) -> None:
    """RS-485 settings that another program left in the driver, where they outlive the closing of the port."""
    machine.run(f"python3 -c '{_SWITCH_ON}'")
    assert site.rs485_flags(machine)[0] & site.ENABLED


@pytest.mark.parametrize("bridge", ['direction = "automatic"'], indirect=True)
def test_settings_of_another_program_are_cleared(left_on: None, bridge: Guest) -> None:
    assert not site.rs485_flags(bridge)[0] & site.ENABLED
    _exchange(bridge)
