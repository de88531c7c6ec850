"""The bridge in the guest: its configuration, its status and its LEDs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.deploy.guest import Guest
from tests.support.waiting import until

CONFIGURATION = "/etc/rtu-bridge/bridge.toml"
MASTER = "10.0.2.2"
"""Who a connection from the host is in the guest."""
PORT = 20000
LED_PIN, SYSTEM_PIN = 16, 26
_STATUS = """
import socket
with socket.socket(socket.AF_UNIX) as s:
    s.connect("/run/rtu-bridge/status.sock")
    while part := s.recv(65536):
        print(part.decode(), end="")
"""
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


def configuration(device: str, *, link_address: int = 10, service: str = "") -> str:
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
