"""What was said on the wire before any noise, and whether that is how a shared bus ought to sound."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from bridge.bench import BenchLine, Direction, Noise
from bridge.bench.noise import NoiseMaker
from bridge.bench.values import BRIDGE
from tests.support import link_frames

_CONFIRM, _SELECT, _OPERATE = 0, 3, 4
_NO_HEADER = -1
_CON = 0x20
_FIR = 0x40
_CONTROL_AT, _FUNCTION_AT = 1, 2
_SILENT = 0.0


class Said(NamedTuple):
    """What one speaker said in one go. The bridge is speaker 0; no octets: its adapter was pulled out."""

    at_s: float
    speaker: int
    octets: bytes


class Heard(NamedTuple):
    """One whole frame."""

    at_s: float
    is_from_bridge: bool
    address: int
    """The RTU that it is to or from."""
    control: int
    function: int
    """Of the application; -1 for a frame that has no application header."""
    octets: bytes


class _Recorder(NoiseMaker):
    """Writes down what it is given to damage: the medium gives it everything that is said."""

    def __init__(self, noise: Noise, said: list[Said]) -> None:
        super().__init__(noise)
        self._said = said

    def damage(self, octets: bytes, speaker: int = 0) -> bytes:
        self._said.append(Said(time.monotonic(), speaker, octets))
        return super().damage(octets, speaker)


class Wire:
    """A bench line with a record of everything that is said on it."""

    def __init__(self, line: BenchLine) -> None:
        self.line = line
        self.said: list[Said] = []
        self.pulls = 0
        self._makers: list[_Recorder] = []
        self.make_noise(0, between=_SILENT, inside=_SILENT)

    def make_noise(self, seed: int, *, between: float, inside: float) -> None:
        """Damage these shares of the frames of both directions from now on."""
        for offset, direction in enumerate(Direction):
            noise = Noise(seed=2 * seed + offset, between=between, inside=inside)
            maker = _Recorder(noise, self.said)
            with self.line.changing() as (medium, _):
                medium.make_noise(direction, maker)
            self._makers.append(maker)

    def make_clean(self) -> None:
        """End the noise; an adapter that is out is put in."""
        self.make_noise(0, between=_SILENT, inside=_SILENT)
        self.line.replug()

    def pull(self) -> None:
        """Pull the bridge's adapter out."""
        with self.line.changing():
            self.line.unplug()
            self.said.append(Said(time.monotonic(), BRIDGE, b""))
            self.pulls += 1

    @property
    def damaged_frames(self) -> int:
        """Frames that were hit, or that stray octets were put before; one can be both."""
        return sum(maker.hits + maker.strays for maker in self._makers)


class Listener:
    """Takes the record apart by speaker: each must have said whole frames and nothing else."""

    def __init__(self) -> None:
        self.frames: list[Heard] = []
        self.problems: list[str] = []
        self.cut = 0
        """Frames that a pull of the adapter cut."""
        self._rests: dict[int, bytearray] = {}
        self._taken = 0

    def listen(self, record: Sequence[Said]) -> None:
        """Take what is new at the end of a record that grows."""
        for said in record[self._taken :]:
            self._taken += 1
            rest = self._rests.setdefault(said.speaker, bytearray())
            if said.octets:
                rest += said.octets
                self._take_frames(said, rest)
            else:
                self.cut += bool(rest)
                rest.clear()

    def halves(self) -> Iterator[str]:
        """Yield what is left over. To be asked when nobody speaks."""
        for speaker, rest in self._rests.items():
            if rest:
                yield f"half a frame on the wire, by speaker {speaker}: {rest.hex(' ')}"

    def _take_frames(self, said: Said, rest: bytearray) -> None:
        try:
            while (frame := link_frames.take_frame(rest)) is not None:
                self.frames.append(_heard(said, frame))
        except AssertionError as error:
            self.problems.append(f"torn on the wire, by speaker {said.speaker}: {error}")
            rest.clear()


def _heard(said: Said, frame: bytes) -> Heard:
    is_from_bridge = said.speaker == BRIDGE
    address = link_frames.destination(frame) if is_from_bridge else link_frames.source(frame)
    data = link_frames.user_data(frame)
    has_header = len(data) > _FUNCTION_AT and data[0] & _FIR
    control, function = data[_CONTROL_AT : _FUNCTION_AT + 1] if has_header else (0, _NO_HEADER)
    return Heard(said.at_s, is_from_bridge, address, control, function, frame)


def disorder(frames: Iterable[Heard]) -> Iterator[str]:
    """Yield where more than one exchange was on the wire: request, answer, and the confirm it asks for.

    For a time in which nothing was lost.
    """
    awaited: tuple[int, str] | None = None
    for frame in frames:
        if not frame.is_from_bridge:
            belongs = awaited == (frame.address, "answer")
            following = (frame.address, "confirm") if frame.control & _CON else None
        elif frame.function == _CONFIRM:
            belongs, following = awaited == (frame.address, "confirm"), None
        else:
            belongs, following = awaited is None, (frame.address, "answer")
        if not belongs:
            who = "to" if frame.is_from_bridge else "from"
            yield f"awaited {awaited}, and function {frame.function} {who} {frame.address} came"
        awaited = following


class Selects(NamedTuple):
    """The SELECTs that their OPERATE followed."""

    operated: int
    parted: int
    """Of these, those with a frame to or from another RTU in between."""


def selects(frames: Iterable[Heard]) -> Selects:
    """Count what spoke between SELECT and OPERATE."""
    between: dict[int, int] = {}
    counts: Counter[bool] = Counter()
    for frame in frames:
        for address in between:
            between[address] += frame.address != address
        if frame.is_from_bridge and frame.function == _SELECT:
            between[frame.address] = 0
        elif frame.is_from_bridge and frame.address in between:
            others = between.pop(frame.address)
            if frame.function == _OPERATE:
                counts[others > 0] += 1
    return Selects(counts.total(), counts[True])


def requests(frames: Iterable[Heard], address: int) -> int:
    """Count the bridge's frames to an RTU that begin an exchange."""
    return sum(
        frame.is_from_bridge and frame.address == address and frame.function != _CONFIRM for frame in frames
    )
