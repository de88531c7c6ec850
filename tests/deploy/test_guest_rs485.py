"""RS-485 direction control of the packaged bridge on the kernel's PL011 driver, in an emulated arm64 machine.

RTS is read from the UART's control register from outside. Electrical times are not emulated.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.deploy import site
from tests.deploy.guest import Pl011Machine
from tests.support.frames import link_status, link_status_request
from tests.support.raw_peers import RawMaster
from tests.support.waiting import until

pytestmark = [pytest.mark.guest, pytest.mark.timeout(600)]

_FLAGS = """
import fcntl, os, struct
port = os.open("/dev/ttyAMA0", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
print(*struct.unpack_from("3I", fcntl.ioctl(port, 0x542E, bytes(32))))
"""
_SWITCH_ON = """
import fcntl, os, struct
port = os.open("/dev/ttyAMA0", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
fcntl.ioctl(port, 0x542F, struct.pack("8I", 3, 0, 0, 0, 0, 0, 0, 0))
"""
ENABLED, RTS_ON_SEND, RTS_AFTER_SEND = 1, 2, 4


@pytest.fixture(scope="module")
def machine(bare_image: object) -> Iterator[Pl011Machine]:
    with Pl011Machine(bare_image) as machine:  # type: ignore[arg-type]
        yield machine


@pytest.fixture
def bridge(machine: Pl011Machine, request: pytest.FixtureRequest) -> Iterator[Pl011Machine]:
    """The machine with a bridge that has the keys of the test's parameter on its line."""
    text = site.configuration("/dev/ttyAMA0", service='gpio = "none"')
    machine.write(site.CONFIGURATION, text.replace("baud =", f"{request.param}\nbaud ="))
    start = f"rtu-bridge run -c {site.CONFIGURATION} >/run/log 2>&1 & echo $!"
    process = machine.run(start).out.strip()
    try:
        machine.until("cat /run/log", "line up")
        machine.until("ls /run/rtu-bridge", "status.sock")
        yield machine
    finally:
        machine.run(f"kill {process}; while [ -e /proc/{process}/exe ]; do usleep 50000; done", status=None)
        print(machine.run("cat /run/log").out)


def _exchange(machine: Pl011Machine, *, poll: int = 3) -> None:
    with machine.far_end() as rtu, RawMaster("127.0.0.1", machine.port(site.PORT)) as master:
        for _ in range(poll):
            master.send(link_status_request(10).octets)
            assert rtu.read_frame() == link_status_request(10).octets
            rtu.write(link_status(10).octets)
            assert master.read_frame() == link_status(10).octets


def _flags(machine: Pl011Machine) -> tuple[int, int, int]:
    """Return the flags that the driver has in force, and its delays before and after sending in ms."""
    flags, before_ms, after_ms = machine.run(f"python3 -c '{_FLAGS}'").out.split()
    return int(flags), int(before_ms), int(after_ms)


def _direction(machine: Pl011Machine) -> dict[str, object]:
    direction: dict[str, object] = site.status(machine)["lines"][0]["direction"]
    return direction


def test_the_machine_is_what_it_is_meant_to_be(machine: Pl011Machine) -> None:
    assert machine.run("uname -m").out == "aarch64\n"
    (port,) = json.loads(machine.run("rtu-bridge hardware --json").out)["ports"]
    assert (port["device"], port["driver"], port["kind"]) == ("/dev/ttyAMA0", "uart-pl011", "PL011")
    assert port["rs485"]["is_supported"] is True


@pytest.mark.parametrize("bridge", ['direction = "rs485"'], indirect=True)
def test_the_driver_is_told_to_raise_rts_while_sending(bridge: Pl011Machine) -> None:
    flags, before_ms, after_ms = _flags(bridge)
    assert flags & (ENABLED | RTS_ON_SEND | RTS_AFTER_SEND) == ENABLED | RTS_ON_SEND
    assert (before_ms, after_ms) == (0, 0)
    assert _direction(bridge)["problem"] is None
    _exchange(bridge)
    until(lambda: not bridge.is_rts_pin_high(), "the bus is free after the exchange")


@pytest.mark.parametrize(
    "bridge", ['direction = "rs485"\npre_transmit = "3 ms"\npost_transmit = "5 ms"'], indirect=True
)
def test_the_driver_has_the_delays(bridge: Pl011Machine) -> None:
    assert _flags(bridge)[1:] == (3, 5)
    _exchange(bridge)


@pytest.mark.parametrize("bridge", ['direction = "rs485"\nrts_on_send = false'], indirect=True)
def test_the_other_polarity_rests_high_after_the_first_frame(bridge: Pl011Machine) -> None:
    flags, _, _ = _flags(bridge)
    assert flags & (ENABLED | RTS_ON_SEND | RTS_AFTER_SEND) == ENABLED | RTS_AFTER_SEND
    _exchange(bridge)
    until(bridge.is_rts_pin_high, "high while nothing is sent")


@pytest.mark.parametrize(
    "bridge",
    ['direction = "rs485"\npre_transmit = "100 ms"\npost_transmit = "100 ms"'],
    indirect=True,
)
def test_the_pin_is_high_while_sending(bridge: Pl011Machine) -> None:
    with bridge.far_end() as rtu, RawMaster("127.0.0.1", bridge.port(site.PORT)) as master:

        def is_raised() -> bool:
            master.send(link_status_request(10).octets)
            seen = [bridge.is_rts_pin_high() for _ in range(50)]
            rtu.read_frame()
            return True in seen

        until(is_raised, "high while sending")
    until(lambda: not bridge.is_rts_pin_high(), "low afterwards")


@pytest.mark.parametrize(
    "bridge", ['direction = "rts"', 'direction = "rts"\nrts_on_send = false'], indirect=True
)
def test_the_bridge_itself_switches_rts_back_after_sending(
    bridge: Pl011Machine, request: pytest.FixtureRequest
) -> None:
    assert not _flags(bridge)[0] & ENABLED
    is_asserted_to_send = "rts_on_send" not in request.node.callspec.params["bridge"]
    _exchange(bridge)
    # Asserted is a low pin on this UART.
    until(lambda: bridge.is_rts_pin_high() is is_asserted_to_send, "the other level than while sending")


@pytest.fixture
def left_on(machine: Pl011Machine) -> None:
    """RS-485 settings that another program left in the driver, where they outlive the closing of the port."""
    machine.run(f"python3 -c '{_SWITCH_ON}'")
    assert _flags(machine)[0] & ENABLED


@pytest.mark.parametrize("bridge", ['direction = "automatic"'], indirect=True)
def test_settings_of_another_program_are_cleared(left_on: None, bridge: Pl011Machine) -> None:
    assert not _flags(bridge)[0] & ENABLED
    _exchange(bridge)
