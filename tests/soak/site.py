"""Four masters, four RTUs, one line: who is who, what a value says, and the bridge's configuration.

Every analog input says whose it is and when it was measured, so that a misrouted or stale one shows:
`address * 1,000,000 + tick`, with one clock of 10 ms ticks for all.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

HOST = "127.0.0.1"
MASTER = 1
"""Every master's link address: they know nothing of each other."""
BAUD = 9600
FRAME_TIMEOUT_S = 0.5
"""Longer than a busy machine keeps this program from running in the middle of a frame: 0.2 s was seen."""
RESPONSE_TIMEOUT_S = 1.2
REQUEST_TTL_S = 5.0
CONTROL_TTL_S = 3.0
MASTER_TIMEOUT_S = 8.0
"""Longer than a request may wait and be answered: what a master has given up is never sent or answered."""

TICKS = range(4)
"""Indices of the points that hold the tick; they change together."""
EVENT = 4
"""Index of the point that counts events, which are of class 1."""
_TICKS_A_SECOND = 100
_SHARE = 1_000_000


class Party(NamedTuple):
    """A master and its RTU."""

    host: str
    address: int
    is_opendnp3: bool
    """Whose outstation the RTU is: opendnp3's or ours."""

    @property
    def name(self) -> str:
        """The outstation's name in the bridge."""
        return f"rtu-{self.address}"


PARTIES = (
    Party("127.0.0.2", 10, True),
    Party("127.0.0.3", 11, False),
    Party("127.0.0.4", 12, True),
    Party("127.0.0.5", 13, False),
)


class Clock:
    """The ticks that all RTUs go by."""

    def __init__(self) -> None:
        self._start_s = time.monotonic()

    @property
    def tick(self) -> int:
        """The tick now; 0 and up."""
        return int((time.monotonic() - self._start_s) * _TICKS_A_SECOND)


def seconds(ticks: int) -> float:
    """Return the time that ticks take."""
    return ticks / _TICKS_A_SECOND


class Mark(NamedTuple):
    """What a value says."""

    address: int
    count: int
    """The tick of its measurement, or which event it is."""


def encode(mark: Mark) -> float:
    """Return the value of an analog input; a 32-bit integer holds it."""
    assert 0 <= mark.count < _SHARE, f"the soak runs too long: {mark.count}"
    return float(mark.address * _SHARE + mark.count)


def decode(value: float) -> Mark:
    """Return what an analog input's value says."""
    return Mark(*divmod(round(value), _SHARE))


def configuration(device: str | Path) -> str:
    """Return the bridge's configuration for a line at `device`."""
    text = f"""
[server.main]
listen = "{HOST}:0"

[line.bay]
device = "{device}"
baud = {BAUD}
frame_timeout_ms = {round(FRAME_TIMEOUT_S * 1000)}
response_timeout_ms = {round(RESPONSE_TIMEOUT_S * 1000)}
request_ttl_ms = {round(REQUEST_TTL_S * 1000)}
control_ttl_ms = {round(CONTROL_TTL_S * 1000)}
when_down = "hold"
"""
    for party in PARTIES:
        text += f"""
[[outstation]]
name = "{party.name}"
server = "main"
masters = ["{party.host}"]
line = "bay"
link_address = {party.address}
"""
    return text
