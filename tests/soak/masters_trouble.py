"""What goes wrong in a phase: noise, pulled adapters, late answers, second connections of a host."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import time
from dataclasses import dataclass, field

from tests.soak.masters_rtus import Rtu
from tests.soak.masters_scada import Master
from tests.soak.masters_wire import Wire
from tests.soak.site import HOST, MASTER, RESPONSE_TIMEOUT_S, Clock, decode
from tests.support import link_frames, wire_crc

_BETWEEN, _INSIDE = 0.1, 0.05
_IN_S, _OUT_S = (1.5, 4.0), (0.2, 1.0)
_PROMPT_S, _SLOW_S = (0.2, 1.0), (1.0, 4.0)
_INTRUSION_PAUSE_S = (0.4, 1.5)
_INTRUSION_S = (0.05, 2.0)
_SHUT_AT_ONCE = struct.pack("ii", 1, 0)
_READ_TICK = bytes((30, 1, 0, 0, 0))
"""Read g30v1, analog input 0."""
_RESPONSE = 129
_FROM_MASTER = 0xC4
_SHORTEST_ANSWER = 1 + 4 + 5 + 5
"""Transport octet, response header, object header, and a 32-bit value with flags."""


def noise(wire: Wire, seed: int) -> None:
    """Damage frames from now on, both ways."""
    wire.make_noise(seed, between=_BETWEEN, inside=_INSIDE)


def pull_now_and_then(wire: Wire, random_: random.Random, until_s: float) -> None:
    """Pull the adapter out every few seconds and put it back; in the end it is in."""
    while True:
        if not _pause(random_, _IN_S, until_s):
            return
        wire.pull()
        _pause(random_, _OUT_S, until_s)
        wire.line.replug()


def delay_now_and_then(wire: Wire, random_: random.Random, until_s: float) -> None:
    """Let one RTU after the other answer late for a while; in the end all are prompt.

    Some answers come after the bridge has given them up, and none after its quarantine: without such
    answers nothing could be stale.
    """
    while _pause(random_, _PROMPT_S, until_s):
        rtu = random_.choice(wire.line.rtus)
        rtu.delay(random_.uniform(0.5, 1.7) * RESPONSE_TIMEOUT_S)
        _pause(random_, _SLOW_S, until_s)
        rtu.delay(0.0)


def _pause(random_: random.Random, range_s: tuple[float, float], until_s: float) -> bool:
    """Sleep for a while of this range; tell whether there is time left after it."""
    end_s = time.monotonic() + random_.uniform(*range_s)
    time.sleep(max(0.0, min(end_s, until_s) - time.monotonic()))
    return end_s < until_s


@dataclass(slots=True)
class Intrusions:
    """Second connections, which take over from a master until that takes over in turn."""

    connections: int = 0
    asked: int = 0
    answered: int = 0
    problems: list[str] = field(default_factory=list)

    def go_on(
        self, masters: list[Master], port: int, clock: Clock, random_: random.Random, until_s: float
    ) -> None:
        """Connect now and then from a random master's address, silent or with a request, until then."""
        while _pause(random_, _INTRUSION_PAUSE_S, until_s):
            master = random_.choice(masters)
            host = master.rtu.party.host
            with socket.create_connection((HOST, port), source_address=(host, 0)) as connection:
                self.connections += 1
                # A master that stays connects again within milliseconds: too soon for an answer.
                leaves = random_.random() < 0.5
                if leaves:
                    master.leave()
                try:
                    self._intrude(connection, master.rtu, clock, random_)
                finally:
                    if leaves:
                        master.come_back()

    def _intrude(self, connection: socket.socket, rtu: Rtu, clock: Clock, random_: random.Random) -> None:
        floor = rtu.applied
        sequence = random_.choice((None, random_.randrange(16)))
        with contextlib.suppress(ConnectionError):
            if sequence is not None:
                self.asked += 1
                request = bytes((0xC0, 0xC0 | sequence, 1)) + _READ_TICK
                connection.sendall(wire_crc.frame(_FROM_MASTER, rtu.party.address, MASTER, request))
            heard = _read(connection, time.monotonic() + random_.uniform(*_INTRUSION_S))
            self._judge(heard, rtu, sequence, range(floor, clock.tick + 1))
        if random_.random() < 0.5:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _SHUT_AT_ONCE)

    def _judge(self, heard: bytes, rtu: Rtu, sequence: int | None, fresh: range) -> None:
        """A connection hears the answer to what it asked, or nothing."""
        if not heard:
            return
        try:
            (frame,) = link_frames.take_frames(heard)
            data = link_frames.user_data(frame)
            assert sequence is not None, "it did not ask"
            assert link_frames.source(frame) == rtu.party.address, "another RTU's"
            assert link_frames.destination(frame) == MASTER, "another master's"
            assert data[1:3] == bytes((0xC0 | sequence, _RESPONSE)), "to another request"
            assert len(data) == _SHORTEST_ANSWER, "to another question"
            mark = decode(int.from_bytes(data[-4:], "little"))
            assert mark.address == rtu.party.address, f"of {mark.address}"
            assert mark.count in fresh, f"of {mark.count}, not in {fresh}"
            self.answered += 1
        except (AssertionError, ValueError) as error:
            text = f"a second connection to {rtu.party.address} heard {heard.hex(' ')}: {error}"
            self.problems.append(text)


def _read(connection: socket.socket, until_s: float) -> bytes:
    """Return what comes until then, or until the bridge hangs up."""
    heard = b""
    while (left_s := until_s - time.monotonic()) > 0:
        connection.settimeout(left_s)
        try:
            octets = connection.recv(4096)
        except TimeoutError:
            break
        except ConnectionError:
            break
        if not octets:
            break
        heard += octets
    return heard
