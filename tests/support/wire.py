"""A serial line between two ptys that can be noisy, tapped, unplugged and plugged in again.

The bridge opens the symlink `device`, the RTU the pty `rtu`. What one writes, the other reads.
"""

from __future__ import annotations

import contextlib
import os
import pty
import random
import select
import termios
import threading
import time
import tty
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.link_frames import START, octets_of_frame

_READ_OCTETS = 4096


class Direction(Enum):
    """Which way octets travel."""

    TO_RTU = "to the RTU"
    TO_BRIDGE = "to the bridge"


@dataclass(frozen=True, slots=True)
class Passage:
    """Octets that the wire delivered, damage included; `time_s` is monotonic."""

    time_s: float
    direction: Direction
    octets: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """How bad one direction is. The same seed damages the same frames in the same way."""

    seed: int
    between: float = 0.0
    """The share of frames that stray octets precede."""
    inside: float = 0.0
    """The share of frames in which octets are flipped, inserted or lost."""


class NoiseMaker:
    """Damages a stream of frames as it passes, frame by frame, however it is cut."""

    def __init__(self, noise: Noise) -> None:
        self._noise = noise
        self._random = random.Random(noise.seed)
        self._held = bytearray()
        self.strays = 0
        """Frames that stray octets were put before."""
        self.hits = 0
        """Frames damaged inside."""

    def damage(self, octets: bytes) -> bytes:
        """Take what one end sent and return what the other hears of it: nothing of a frame not whole yet."""
        self._held += octets
        heard = bytearray()
        while self._held:
            if not START.startswith(self._held[:2]):
                # Not of a frame: as good as noise.
                heard.append(self._held.pop(0))
                continue
            if len(self._held) < 3 or len(self._held) < octets_of_frame(self._held):
                break
            length = octets_of_frame(self._held)
            heard += self._damaged(bytes(self._held[:length]))
            del self._held[:length]
        return bytes(heard)

    def _damaged(self, frame: bytes) -> bytes:
        # Both dice are thrown for every frame, so that one setting does not move the other's damage.
        has_stray, is_hit = (self._random.random() < p for p in (self._noise.between, self._noise.inside))
        stray = self._stray() if has_stray else b""
        self.strays += has_stray
        self.hits += is_hit
        return stray + (self._hit(frame) if is_hit else frame)

    def _stray(self) -> bytes:
        noise = self._random.randbytes(self._random.randrange(1, 25))
        return noise + self._random.choice((b"", b"", START[:1], START))

    def _hit(self, frame: bytes) -> bytes:
        octets = bytearray(frame)
        for _ in range(self._random.randrange(1, 4)):
            at = self._random.randrange(len(octets))
            match self._random.randrange(3):
                case 0:
                    octets[at] ^= self._random.randrange(1, 256)
                case 1:
                    octets.insert(at, self._random.randrange(256))
                case _:
                    del octets[at]
        return bytes(octets)


class Wire:
    """A line for the length of a `with` block, plugged in and clean at first."""

    def __init__(self, device: Path) -> None:
        """Make the wire; the symlink at `device` is where the bridge finds it."""
        self.device = device
        self.passages: list[Passage] = []
        self._noise: dict[Direction, NoiseMaker] = {}
        self._lock = threading.Lock()
        self._near: _Pty | None = None
        self._far = _Pty()
        self.rtu = Path(self._far.path)
        """Where the RTU opens the line."""
        self._wake_reader, self._wake_writer = os.pipe()
        self._is_over = False
        self.replug()
        self._thread = threading.Thread(target=self._carry, daemon=True, name="wire")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over = True
        self._wake()
        self._thread.join()
        self.unplug()
        self._far.close()
        os.close(self._wake_reader)
        os.close(self._wake_writer)

    def make_noise(self, direction: Direction, noise: Noise) -> NoiseMaker:
        """Damage this direction from now on."""
        maker = NoiseMaker(noise)
        with self._lock:
            self._noise[direction] = maker
        return maker

    def make_clean(self) -> None:
        """Damage nothing any more."""
        with self._lock:
            self._noise.clear()

    def octets(self, direction: Direction) -> bytes:
        """Return everything that was delivered in one direction."""
        return b"".join(passage.octets for passage in self.passages if passage.direction is direction)

    def unplug(self) -> None:
        """Pull the adapter out: the bridge's port hangs up, and its device file is gone."""
        with self._lock:
            if self._near is None:
                return
            self.device.unlink()
            self._near.close()
            self._near = None
        self._wake()

    def replug(self) -> None:
        """Put an adapter in: another pty, at the same device file."""
        with self._lock:
            assert self._near is None, "plugged in already"
            while self._far.read():
                pass  # said before anybody could hear it
            self._near = _Pty()
            self.device.symlink_to(self._near.path)
        self._wake()

    def forget_unread(self) -> None:
        """Throw away what the RTU has not read, as when its UART loses power."""
        self._far.flush()

    def _carry(self) -> None:
        while not self._is_over:
            near = self._near
            ends = [end.master for end in (near, self._far) if end is not None]
            try:
                ready = select.select([*ends, self._wake_reader], [], [])[0]
            except OSError:
                # Unplugged between these two lines.
                continue
            if self._wake_reader in ready:
                os.read(self._wake_reader, _READ_OCTETS)
            with self._lock:
                # It may have been unplugged meanwhile, and its number may be another file's.
                if near is not None and near is self._near and near.master in ready:
                    self._pass(near, self._far, Direction.TO_RTU)
                if self._far.master in ready:
                    self._pass(self._far, self._near, Direction.TO_BRIDGE)

    def _pass(self, speaker: _Pty, listener: _Pty | None, direction: Direction) -> None:
        octets = speaker.read()
        maker = self._noise.get(direction)
        if maker is not None:
            octets = maker.damage(octets)
        if listener is None or not octets:
            return
        self.passages.append(Passage(time.monotonic(), direction, octets))
        listener.write(octets)

    def _wake(self) -> None:
        os.write(self._wake_writer, b"!")


class _Pty:
    """A pty whose other side stays open here, so that nobody's opening or closing is a hang-up."""

    def __init__(self) -> None:
        self.master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self.master, False)
        self.path = os.ttyname(self._slave)

    def read(self) -> bytes:
        with contextlib.suppress(BlockingIOError):
            return os.read(self.master, _READ_OCTETS)
        return b""

    def write(self, octets: bytes) -> None:
        # What nobody reads is lost, as on a wire.
        with contextlib.suppress(BlockingIOError):
            os.write(self.master, octets)

    def flush(self) -> None:
        termios.tcflush(self._slave, termios.TCIOFLUSH)

    def close(self) -> None:
        os.close(self._slave)
        os.close(self.master)
