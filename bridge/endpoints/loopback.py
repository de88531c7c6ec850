"""A port's self-test: octets out of one port and back, into itself by a jumper or into a second port.

Blocks, and is for a command of its own. Each rate sends bursts that are hard on a line: alternating bits,
all zeros, all ones, every octet, chance. What comes back is compared with what was sent.
"""

from __future__ import annotations

import os
import random
import select
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from bridge.endpoints.direction import Direction, DirectionReport
from bridge.endpoints.serial_port import SerialSettings, open_directed
from bridge.endpoints.tty_rts import TtyRts
from bridge.routing.timing import frame_time_s, octet_time_s

_READ_OCTETS = 4096
_SEED = 1815
_BURST_OCTETS = 64
_PATIENCE_S = 0.25
"""What is not there so long after its time does not come: USB adapters deliver after 16 ms."""
_ECHO_S = 0.05
"""An echo that is there comes within this after the far end has heard everything."""
_GAPS_S = (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05)

RATES = (9600, 19200, 38400, 57600, 115200)


def patterns() -> dict[str, bytes]:
    """Return the bursts by name."""
    chance = random.Random(_SEED)
    return {
        "alternating": b"\x55\xaa" * (_BURST_OCTETS // 2),
        "zeros": bytes(_BURST_OCTETS),
        "ones": b"\xff" * _BURST_OCTETS,
        "every octet": bytes(range(256)),
        "chance": chance.randbytes(4 * _BURST_OCTETS),
    }


@dataclass(frozen=True, slots=True)
class Passage:
    """One burst on its way. `came` is what was heard at the far end, `echo` what the sender heard itself."""

    pattern: str
    sent: bytes
    came: bytes
    echo: bytes
    first_s: float | None
    """From the write to the first octet heard."""

    @property
    def intact(self) -> int:
        """How many of the octets sent came, in their order."""
        if self.came == self.sent:
            return len(self.sent)
        return sum(block.size for block in _matcher(self.sent, self.came).get_matching_blocks())


@dataclass(frozen=True, slots=True)
class Trial:
    """All bursts at one rate in one direction."""

    baud: int
    sender: str
    listener: str
    passages: tuple[Passage, ...]

    @property
    def sent(self) -> int:
        """Octets sent."""
        return sum(len(passage.sent) for passage in self.passages)

    @property
    def came(self) -> int:
        """Octets heard at the far end."""
        return sum(len(passage.came) for passage in self.passages)

    @property
    def intact(self) -> int:
        """Octets heard as they were sent."""
        return sum(passage.intact for passage in self.passages)

    @property
    def echo(self) -> int:
        """Octets that the sender heard of itself; 0 by a jumper, where that is the way back."""
        return sum(len(passage.sent) for passage in self.passages if passage.sent in passage.echo)

    @property
    def stray(self) -> int:
        """Octets heard at the far end that nobody sent."""
        return self.came - self.intact

    @property
    def is_clean(self) -> bool:
        """Whether exactly what was sent came."""
        return self.intact == self.sent == self.came

    @property
    def latency_s(self) -> float | None:
        """The median time to the first octet beyond its own time on the line; None if none came."""
        firsts = sorted(passage.first_s for passage in self.passages if passage.first_s is not None)
        if not firsts:
            return None
        octet_s = octet_time_s(self.baud, parity_bits=0, stop_bits=1)
        return max(0.0, firsts[len(firsts) // 2] - octet_s)


@dataclass(frozen=True, slots=True)
class End:
    """A port of the test and who switches its direction."""

    device: str
    report: DirectionReport


@dataclass(frozen=True, slots=True)
class Findings:
    """What a test found."""

    ends: tuple[End, ...]
    trials: tuple[Trial, ...]
    turnaround: Turnaround | None
    """None where it was not tried: with a jumper, or where not every octet came."""
    rts: RtsFinding | None
    """None where octets came, or RTS cannot be switched."""


@dataclass(frozen=True, slots=True)
class Turnaround:
    """How soon the second port may answer."""

    shortest_s: float | None
    """The shortest pause after which its answer comes whole; None where it never did."""


@dataclass(frozen=True, slots=True)
class RtsFinding:
    """What came of one burst with RTS held at each level, tried where nothing came."""

    intact_when_raised: int
    intact_when_lowered: int


def run_loopback(settings: SerialSettings, other: SerialSettings | None, rates: tuple[int, ...]) -> Findings:
    """Test a port with a jumper, or against another. Raises `LineError` if a port cannot be opened."""
    trials: list[Trial] = []
    ends: tuple[End, ...] = ()
    turnaround, rts = None, None
    for baud in rates:
        with _opened(settings, other, baud) as ports:
            ends = tuple(End(port.device, port.report) for port in ports)
            trials.append(_trial(ports[0], ports[-1], baud))
            if len(ports) == 2:
                trials.append(_trial(ports[1], ports[0], baud))
            if baud != rates[-1]:
                continue
            if not any(trial.intact for trial in trials):
                rts = _rts_finding(ports[0], ports[-1], baud)
            elif len(ports) == 2 and all(trial.is_clean for trial in trials[-2:]):
                turnaround = Turnaround(_turnaround_s(ports[0], ports[1], baud))
    return Findings(ends, tuple(trials), turnaround, rts)


@dataclass(frozen=True, slots=True)
class _Port:
    device: str
    descriptor: int
    report: DirectionReport

    def write(self, octets: bytes) -> None:
        while octets:
            select.select([], [self.descriptor], [], 1.0)
            octets = octets[os.write(self.descriptor, octets) :]

    def read(self) -> bytes:
        try:
            return os.read(self.descriptor, _READ_OCTETS)
        except BlockingIOError:
            return b""

    def flush(self) -> None:
        while select.select([self.descriptor], [], [], 0.0)[0] and self.read():
            pass


@contextmanager
def _opened(settings: SerialSettings, other: SerialSettings | None, baud: int) -> Iterator[list[_Port]]:
    with ExitStack() as stack:
        ports = []
        for asked in (settings, other):
            if asked is not None:
                opened = open_directed(replace(asked, baud=baud))
                stack.callback(opened.port.close)
                ports.append(_Port(asked.device, opened.port.fileno(), opened.direction))
        yield ports


def _trial(sender: _Port, listener: _Port, baud: int) -> Trial:
    passages = tuple(_pass(sender, listener, baud, name, octets) for name, octets in patterns().items())
    return Trial(baud, sender.device, listener.device, passages)


def _pass(sender: _Port, listener: _Port, baud: int, name: str, octets: bytes) -> Passage:
    sender.flush()
    listener.flush()
    began_s = time.monotonic()
    sender.write(octets)
    came, echo, first_s = b"", b"", None
    deadline_s = began_s + frame_time_s(len(octets), baud, parity_bits=0, stop_bits=1) + _PATIENCE_S
    is_looped = sender is listener
    is_all_there = False
    while (left_s := deadline_s - time.monotonic()) > 0:
        ready = select.select({sender.descriptor, listener.descriptor}, [], [], left_s)[0]
        if listener.descriptor in ready:
            came += listener.read()
            first_s = time.monotonic() - began_s if first_s is None and came else first_s
        if not is_looped and sender.descriptor in ready:
            echo += sender.read()
        if len(came) >= len(octets) and (is_looped or len(echo) >= len(octets)):
            break
        if len(came) >= len(octets) and not is_all_there:
            is_all_there = True
            deadline_s = min(deadline_s, time.monotonic() + _ECHO_S)
    return Passage(name, octets, came, echo, first_s)


def _turnaround_s(asking: _Port, answering: _Port, baud: int) -> float | None:
    """Return the shortest pause after which the answer comes whole: the driver has let go by then."""
    octets = patterns()["chance"][:_BURST_OCTETS]
    for gap_s in _GAPS_S:
        passage = _pass(asking, answering, baud, "question", octets)
        if passage.came != octets:
            return None
        if gap_s:
            time.sleep(gap_s)
        answer = _pass_without_flush(answering, asking, baud, octets, own=octets)
        if answer == octets:
            return gap_s
    return None


def _pass_without_flush(sender: _Port, listener: _Port, baud: int, octets: bytes, *, own: bytes) -> bytes:
    """Send and return what the listener hears but for the rest of its own echo."""
    sender.write(octets)
    heard = b""
    deadline_s = time.monotonic() + frame_time_s(len(octets), baud, parity_bits=0, stop_bits=1) + _PATIENCE_S
    while (left_s := deadline_s - time.monotonic()) > 0 and not heard.endswith(octets):
        if select.select([listener.descriptor], [], [], left_s)[0]:
            heard += listener.read()
    return octets if heard.endswith(octets) else heard.removeprefix(own)


def _rts_finding(sender: _Port, listener: _Port, baud: int) -> RtsFinding | None:
    """Hold RTS at either level and try a burst: an enable pin that is wired to it gives itself away."""
    octets = patterns()["chance"]
    intact = []
    for is_raised in (True, False):
        try:
            TtyRts(sender.descriptor).set_rts(is_raised=is_raised)
        except OSError:
            return None
        intact.append(_pass(sender, listener, baud, "chance", octets).intact)
    return RtsFinding(*intact)


def _matcher(one: bytes, other: bytes) -> SequenceMatcher[int]:
    return SequenceMatcher(None, one, other, autojunk=False)


def settings_for(device: str, direction: Direction) -> SerialSettings:
    """Return how the test opens a port; the rate is set by each trial."""
    return SerialSettings(device=device, baud=RATES[0], direction=direction)
