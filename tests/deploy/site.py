"""The bridge in the guest: its configuration, its status and its LEDs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.deploy.far_end import FarEnd
from tests.deploy.guest import Guest
from tests.support.frames import link_status, link_status_request
from tests.support.raw_peers import RawMaster
from tests.support.waiting import until

CONFIGURATION = "/etc/rtu-bridge/bridge.toml"
MASTER = "10.0.2.2"
"""Who a connection from the host is in the guest."""
PORT = 20000
LED_PIN, SYSTEM_PIN = 16, 26
COMES_UP_WITHIN_S = 300.0
ENABLED, RTS_ON_SEND, RTS_AFTER_SEND = 1, 2, 4
"""Flags of the kernel's RS-485 mode."""
MODE = ENABLED | RTS_ON_SEND | RTS_AFTER_SEND
ADAPTER = "/dev/serial/by-id/usb-QEMU_QEMU_USB_SERIAL_AAA1-if00-port0"
"""The FTDI adapter "usb1" of `boards.ADAPTERS`."""
_STATUS = """
import socket
with socket.socket(socket.AF_UNIX) as s:
    s.connect("/run/rtu-bridge/status.sock")
    while part := s.recv(65536):
        print(part.decode(), end="")
"""
_FLAGS = """
import fcntl, os, struct
port = os.open("/dev/ttyAMA0", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
print(*struct.unpack_from("3I", fcntl.ioctl(port, 0x542E, bytes(32))))
"""
_PL011, _UARTCR, _UARTCR_RTS = 0x09000000, 0x30, 0x800
_BCM2711_GPLEV0 = 0xFE200034
_SAMPLE = """
import sys, time
pin, seconds = sys.argv[1], float(sys.argv[2])
end = time.monotonic() + seconds
with open(f"/run/guest/pins/sim_gpio{pin}/value") as file:
    while (now := time.monotonic()) < end:
        file.seek(0)
        print(f"{now:.3f}", file.read().strip())
        time.sleep(0.005)
"""


def configuration(device: str, *, link_address: int = 10, service: str = "", line: str = "") -> str:
    """Return a configuration with one line, one RTU and its LED."""
    return f"""
[service]
{service}
[server.main]
listen = "0.0.0.0:{PORT}"
[line.bay]
device = "{device}"
baud = 115200
response_timeout_ms = 1000
{line}
[[outstation]]
name = "rtu"
server = "main"
masters = ["{MASTER}"]
line = "bay"
link_address = {link_address}
led = "led1"
"""


def configure(guest: Guest, text: str) -> None:
    """Let the service run with this configuration and wait until systemd calls it ready."""
    guest.write(CONFIGURATION, text)
    guest.run("systemctl restart rtu-bridge", within_s=300.0)


def status(guest: Guest) -> Mapping[str, Any]:
    """Return what the status socket says."""
    document: dict[str, Any] = json.loads(guest.run(f"python3 -c '{_STATUS}'").out)
    return document


def wait_for_line(guest: Guest, *, is_up: bool) -> None:
    """Wait until the one line is open, or is not."""
    until(
        lambda: status(guest)["lines"][0]["is_up"] is is_up,
        f"the line is {'up' if is_up else 'down'}",
        within_s=120.0,
    )


def wait_until_up(guest: Guest) -> None:
    """Wait until the service runs and its one line is open."""
    guest.until("systemctl show -p ActiveState rtu-bridge", "=active\n", within_s=COMES_UP_WITHIN_S)
    wait_for_line(guest, is_up=True)


def poll(guest: Guest, rtu: FarEnd) -> None:
    """Connect, ask the RTU and have its answer."""
    with RawMaster("127.0.0.1", guest.port(PORT)) as master:
        exchange(master, rtu)


def poll_through(guest: Guest, port: str) -> None:
    """Connect an RTU to a port and ask it."""
    with guest.far_end(port) as rtu:
        poll(guest, rtu)


def exchange(master: RawMaster, rtu: FarEnd) -> None:
    """Ask the RTU and have its answer, octet by octet."""
    master.send(link_status_request(10).octets)
    assert rtu.read_frame() == link_status_request(10).octets
    rtu.write(link_status(10).octets)
    assert master.read_frame() == link_status(10).octets


def assert_nothing_failed(guest: Guest) -> None:
    """Wait until the machine is up, and have no unit that failed on the way."""
    guest.run("systemctl is-system-running --wait", status=None, within_s=COMES_UP_WITHIN_S)
    assert guest.run("systemctl --failed --no-legend --plain").out == ""


def exposure(guest: Guest) -> float:
    """Return how `systemd-analyze security` rates the service: 0 is best, 10 worst."""
    rated = guest.run("systemd-analyze security rtu-bridge.service --no-pager").out
    return float(rated.split("exposure level for rtu-bridge.service: ")[1].split()[0])


def is_rts_pin_high(guest: Guest) -> bool:
    """Return the level of the RTS pin of `Virt`'s UART, from its control register, read from outside.

    A port that asserts RTS has a low pin: a transceiver's DE on it must be high to send.
    """
    printed = guest.qmp.monitor(f"xp /1wx {_PL011 + _UARTCR:#x}")
    return not int(printed.split(":")[1], 16) & _UARTCR_RTS


def is_pi4_pin_high(guest: Guest, number: int) -> bool:
    """Return the level of a pin of `Pi4`, below 32, from its register, read from outside."""
    printed = guest.qmp.monitor(f"xp /1wx {_BCM2711_GPLEV0:#x}")
    return bool(int(printed.split(":")[1], 16) >> number & 1)


def rs485_flags(guest: Guest) -> tuple[int, int, int]:
    """Return the flags that the driver of /dev/ttyAMA0 has in force, and its delays around sending in ms."""
    flags, before_ms, after_ms = guest.run(f"python3 -c '{_FLAGS}'").out.split()
    return int(flags), int(before_ms), int(after_ms)


def pin(guest: Guest, number: int) -> int:
    """Return the level of a simulated pin."""
    return int(guest.read(f"/run/guest/pins/sim_gpio{number}/value"))


@dataclass(frozen=True, slots=True)
class Light:
    """What an LED showed for some time."""

    levels: Sequence[tuple[float, int]]

    @property
    def lit_share(self) -> float:
        """How much of the samples were lit, 0 to 1."""
        return sum(level for _, level in self.levels) / len(self.levels)

    @property
    def changes(self) -> int:
        """How many times it went on or off."""
        return sum(one[1] != other[1] for one, other in zip(self.levels, self.levels[1:], strict=False))


def watch(guest: Guest, number: int, *, for_s: float) -> Light:
    """Look at a pin for some time."""
    guest.write("/run/guest/sample.py", _SAMPLE)
    lines = guest.run(
        f"python3 /run/guest/sample.py {number} {for_s}", within_s=60.0 + for_s
    ).out.splitlines()
    return Light([(float(time), int(level)) for time, level in (line.split() for line in lines)])
