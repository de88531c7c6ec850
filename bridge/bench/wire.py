"""A bench line: ptys that behave like a serial wire at a baud rate, between a bridge and RTUs.

The bridge opens `device`, each RTU simulator its `rtus[i].device`. What is modelled, and what not, is in
`bridge.bench.medium`. Everything here may be called from any thread.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from bridge.bench.loop import Bench
from bridge.bench.medium import Medium
from bridge.bench.noise import Noise, NoiseMaker
from bridge.bench.port import Port
from bridge.bench.values import BRIDGE, Direction, Duplex, MediumCounters, MediumSettings, Passage
from bridge.endpoints.pty_identity import is_left_over

_MOST_WAITING = 4096
"""Octets that a writer may be ahead of the wire: a tty's output queue. Then his writes wait."""


class RtuEnd:
    """Where one RTU is on the line, and what can go wrong with it."""

    def __init__(self, line: BenchLine, number: int) -> None:
        self._line = line
        self.number = number
        """1 and up; the bridge is 0."""

    @property
    def device(self) -> str:
        """The path where an RTU simulator opens the line, as pyserial takes it."""
        return self._line.port_of(self.number).path

    def babble(self, octets: bytes | None = None) -> None:
        """Talk without end: these octets again and again, or random ones. Raises ValueError for none."""
        if octets is not None and not octets:
            raise ValueError("an RTU cannot babble nothing")
        with self._line.changing() as (medium, now):
            medium.babble(self.number, octets, now)

    def hush(self) -> None:
        """Stop to babble."""
        with self._line.changing() as (medium, now):
            medium.hush(self.number, now)

    def die(self) -> None:
        """Say and hear nothing; what it was sending breaks off, what it has not read is lost."""
        with self._line.changing() as (medium, now):
            medium.die(self.number, now)
            self._line.port_of(self.number).flush()

    def revive(self) -> None:
        """Take part again. What its simulator wrote while it was dead is never heard."""
        with self._line.changing() as (medium, now):
            medium.revive(self.number, now)

    def delay(self, seconds: float) -> None:
        """Answer this much later from now on; 0 is at once."""
        with self._line.changing() as (medium, _):
            medium.delay(self.number, seconds)


class BenchLine:
    """A wire for the length of a `with` block, plugged in, clean and silent at first."""

    def __init__(
        self,
        *,
        baud: int | None = 9600,
        parity: Literal["none", "even", "odd"] = "none",
        stop_bits: int = 1,
        rtus: int = 1,
        device: Path | str | None = None,
        echo: bool = False,
        duplex: Duplex = Duplex.HALF,
        chunk_octets: int = 8,
        latency_s: float | None = None,
        seed: int = 1,
        bench: Bench | None = None,
    ) -> None:
        """Describe a line; `start` makes it. ValueError for what no wire is; see `MediumSettings`.

        `device` is where the bridge will find it, by default in a fresh temporary folder. Lines with one
        `bench` share its thread; without one a line has a thread of its own.
        """
        settings = MediumSettings(
            baud=baud,
            parity_bits=0 if parity == "none" else 1,
            stop_bits=stop_bits,
            rtus=rtus,
            duplex=duplex,
            is_echoing=echo,
            chunk_octets=chunk_octets,
            latency_s=latency_s,
            seed=seed,
        )
        self._medium = Medium(settings)
        self._own_bench = bench is None
        self._bench = Bench() if bench is None else bench
        self._asked_device = None if device is None else Path(device)
        self._folder: Path | None = None
        self._device: Path | None = None
        self._ports: dict[int, Port] = {}
        self._held_back: set[int] = set()
        self.rtus: Sequence[RtuEnd] = tuple(RtuEnd(self, 1 + index) for index in range(rtus))
        self.unread = 0
        """Octets that were lost at a port that nobody had open, or whose reader left its buffer full."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Make the ptys and begin to carry. FileExistsError if `device` is there and no left-over link."""
        if self._device is not None:
            raise RuntimeError("this bench line was started before")
        try:
            with self._bench.lock:
                self._make()
        except BaseException:
            # Not with the lock: its thread has to end.
            self.close()
            raise

    def close(self) -> None:
        """Take everything away. A second call does nothing."""
        with self._bench.lock:
            if self._device is not None:
                self.unplug()
                for number in list(self._ports):
                    self._remove_port(number)
                self._bench.remove(self)
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder = None
        if self._own_bench:
            self._bench.close()

    @property
    def device(self) -> str:
        """The path where the bridge opens the line, each time it is plugged in: a symlink."""
        return str(self._link)

    @property
    def _link(self) -> Path:
        if self._device is None:
            raise RuntimeError("this bench line was not started")
        return self._device

    # What can go wrong

    def unplug(self) -> None:
        """Pull the bridge's adapter out: its port hangs up, its device is gone. Out already: nothing."""
        with self.changing() as (medium, now):
            if BRIDGE in self._ports:
                medium.die(BRIDGE, now)
                self._link.unlink(missing_ok=True)
                self._remove_port(BRIDGE)

    def replug(self) -> None:
        """Put an adapter in: another pty, at the same device. In already: nothing."""
        with self.changing() as (medium, now):
            if BRIDGE not in self._ports:
                # What was written until now was said before anybody could hear it.
                for rtu in self.rtus:
                    while octets := self._ports[rtu.number].read():
                        medium.say(rtu.number, octets, now)
                medium.on_deadline(now)
                self._plug_in()
                medium.revive(BRIDGE, time.monotonic())

    def make_noise(self, direction: Direction, noise: Noise) -> NoiseMaker:
        """Damage the frames of one direction from now on; what is returned counts."""
        maker = NoiseMaker(noise)
        with self.changing() as (medium, _):
            medium.make_noise(direction, maker)
        return maker

    def float_idle(self, share: float = 1.0) -> None:
        """Let the idle wire float: in this share of idle octet times everybody hears a random octet."""
        with self.changing() as (medium, now):
            medium.float_idle(share, now)

    def make_clean(self) -> None:
        """End all noise. RTUs that babble, are dead or late stay so."""
        with self.changing() as (medium, _):
            medium.make_clean()

    # What happened

    @property
    def passages(self) -> list[Passage]:
        """What passed and was heard by somebody, oldest first; of very much, the newest 65536 pieces."""
        with self._bench.lock:
            return list(self._medium.passages)

    def octets(self, direction: Direction) -> bytes:
        """Return everything of `passages` that went in one direction."""
        return b"".join(passage.octets for passage in self.passages if passage.direction is direction)

    @property
    def counters(self) -> MediumCounters:
        """What happened on the wire; it counts on while you look."""
        return self._medium.counters

    # For RtuEnd and the loop

    def port_of(self, number: int) -> Port:
        """Return a station's pty. RuntimeError if there is none: before `start`, after `close`, unplugged."""
        port = self._ports.get(number)
        if port is None:
            raise RuntimeError("this bench line is not running")
        return port

    @contextlib.contextmanager
    def changing(self) -> Iterator[tuple[Medium, float]]:
        """Hold the loop for the block, which gets the medium and the time; then let it look again."""
        with self._bench.lock:
            yield self._medium, time.monotonic()
            self._bench.changed(self)

    def heard(self, port: Port, now: float) -> None:
        """Take what a station wrote."""
        number = next(number for number, each in self._ports.items() if each is port)
        octets = port.read()
        if octets:
            self._medium.say(number, octets, now)
            if self._medium.waiting(number, now) >= _MOST_WAITING and number not in self._held_back:
                self._held_back.add(number)
                self._bench.listen(port, is_listening=False)

    def carry(self, now: float) -> float | None:
        """Deliver what is due and return the next deadline."""
        for hearing in self._medium.on_deadline(now):
            port = self._ports.get(hearing.listener)
            if port is not None:
                self.unread += port.write(hearing.octets)
        for number in list(self._held_back):
            if self._medium.waiting(number, now) < _MOST_WAITING // 2:
                self._held_back.discard(number)
                self._bench.listen(self._ports[number], is_listening=True)
        return self._medium.next_deadline()

    def _make(self) -> None:
        if self._asked_device is None:
            self._folder = Path(tempfile.mkdtemp(prefix="rtu-bridge-wire-"))
        self._device = self._asked_device or Path(str(self._folder)) / "bridge"
        if is_left_over(self._device):
            # The link of a line whose program was killed.
            self._device.unlink()
        self._bench.add(self)
        for rtu in self.rtus:
            self._add_port(rtu.number)
        self._plug_in()

    def _plug_in(self) -> None:
        port = self._add_port(BRIDGE)
        try:
            self._link.symlink_to(port.path)
        except OSError:
            self._remove_port(BRIDGE)
            raise

    def _add_port(self, number: int) -> Port:
        port = self._ports[number] = Port()
        self._bench.add_port(self, port)
        return port

    def _remove_port(self, number: int) -> None:
        port = self._ports.pop(number)
        self._held_back.discard(number)
        self._bench.remove_port(port)
        port.close()
