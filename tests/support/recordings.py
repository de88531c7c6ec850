"""Everything that was said in a test module, as Wireshark's dissector reads it.

The dissector tells repeated transport sequences from retransmissions by their number alone. So the frames are
dealt out to short TCP connections, a packet each, cut where no fragment is under way; and all in one file.

`GAPS` is what Wireshark 4.0 cannot dissect, and why that is not our fault. It excuses a complaint only about
a fragment that begins with objects of this very kind, and only in these words.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import dropwhile
from pathlib import Path
from typing import NamedTuple

from tests.support import link_frames, peers
from tests.support.capture import RecordingProxy, Segment, write_pcap
from tests.support.dissection import Dissection, dissect
from tests.support.wire import Direction, Passage

_PORT = 20_000
_FIRST_MASTER_PORT = 40_000
_MOST_FRAMES = 60
"""Of a connection and direction; 64 transport sequences there are."""
_PCAP_HEADER_OCTETS = 24
_TIMEOUT_S = 60
_FIR, _FIN = 0x40, 0x80

_UNKNOWN = "Unknown Object\\Variation"
_UNKNOWN_ATTRIBUTE = "Unknown Group 0 Variation"
_LOST_THE_THREAD = frozenset(
    {
        *("malformed", "Malformed Packet (Exception occurred)", "Negative number of items"),
        *(_UNKNOWN, _UNKNOWN_ATTRIBUTE),
    }
)
"""What follows from a wrong length: the rest of the object is taken for a header of anything."""


class Gap(NamedTuple):
    """What the dissector says of an object that it cannot take apart, and why it is the one to blame."""

    complaints: frozenset[str]
    reason: str


def _unknown(reason: str) -> Gap:
    # With one object of an unknown length it gets away, with more it does not.
    return Gap(_LOST_THE_THREAD - {_UNKNOWN_ATTRIBUTE}, f"no layout in packet-dnp.c; {reason}")


def _unnamed(reason: str) -> Gap:
    name = "not among the attribute names of packet-dnp.c, its value is shown right;"
    return Gap(frozenset({_UNKNOWN_ATTRIBUTE}), f"{name} {reason}")


_READ_BY_OPENDNP3 = "opendnp3's master reads value, flags and time of the same octets right"
_UNADVANCED = Gap(
    _LOST_THE_THREAD,
    "packet-dnp.c shows the 32-bit value of g43v1 and g43v3 and does not step over its four octets, as it "
    f"does for the other variations; {_READ_BY_OPENDNP3}",
)
_ATTRIBUTE_TYPE = Gap(
    _LOST_THE_THREAD,
    "packet-dnp.c knows this type of attribute by name, and steps over the type octet alone; "
    f"{_READ_BY_OPENDNP3}",
)

GAPS: dict[str, Gap] = {
    "g4v3": Gap(
        _LOST_THE_THREAD - {_UNKNOWN_ATTRIBUTE},
        "packet-dnp.c knows its name and not its layout, and gets away with a single object; "
        "it says the same of opendnp3's outstation",
    ),
    "g31v0": _unknown("it is asked for by opendnp3's master"),
    **{f"g31v{variation}": _unknown(_READ_BY_OPENDNP3) for variation in range(1, 7)},
    **{f"g33v{variation}": _unknown(_READ_BY_OPENDNP3) for variation in range(1, 5)},
    "g43v1": _UNADVANCED,
    "g43v3": _UNADVANCED,
    "g50v4": _unknown("it says the same of opendnp3's outstation"),
    "g51v2": _unknown("it says the same of opendnp3's outstation"),
    "g52v1": _unknown("py1815's master reads the same octets right"),
    # Of type TIME, OSTR and the list.
    "g0v198": _ATTRIBUTE_TYPE,
    "g0v199": _ATTRIBUTE_TYPE,
    "g0v200": _ATTRIBUTE_TYPE,
    "g0v255": _ATTRIBUTE_TYPE._replace(
        reason="as above, for type 254; nobody else here reads it: opendnp3's master refuses any g0v255"
    ),
    "g0v244": _unnamed("though of the standard"),
    "g0v1": _unnamed("being of a private set, which names its attributes as it likes"),
}


_WITH_COMMON_TIME = frozenset({"g51v1", "g2v3"})


class Spoken(NamedTuple):
    """One frame, and who said it where."""

    name: str
    segment: Segment


@dataclass(eq=False)
class Recordings:
    """What was recorded, conversation by conversation."""

    conversations: list[tuple[str, Callable[[], Iterable[Segment]]]] = field(default_factory=list)
    """By name, what was said until now; some may not be over."""

    @contextmanager
    def proxy(self, name: str, port: int, *, is_master_right: bool = True) -> Iterator[RecordingProxy]:
        """Record what passes between a master and `port`; what a wrong master says is left out."""
        with RecordingProxy(port) as proxy:

            def segments() -> list[Segment]:
                return [each for each in tuple(proxy.segments) if is_master_right or not each.from_master]

            # At once: who keeps one open for many tests wants to see it checked before it is closed.
            self.conversations.append((name, segments))
            yield proxy

    def add_line(self, name: str, passages: Iterable[Passage]) -> None:
        """Take what a wire delivered, on which the outstation is where the bridge would be."""
        segments = [
            Segment(each.time_s, each.direction is Direction.TO_BRIDGE, each.octets) for each in passages
        ]
        self.conversations.append((name, lambda: segments))

    def check(self, directory: Path, *, at_least: int) -> Dissection:
        """Let the dissector read all of it; fails on anything wrong that `GAPS` does not excuse."""
        frames, connections = self._dealt_out()
        assert len(frames) >= at_least, f"only {len(frames)} frames"
        pcap = directory / "all.pcap"
        _write(pcap, connections, directory)
        dissection = dissect(pcap, _PORT)
        objects = _objects_of(pcap) if dissection.problems else {}
        left = {
            f"{frames[number - 1].name}, {frames[number - 1].segment.octets.hex(' ')}": problems
            for number, problems in dissection.problems.items()
            if not _is_excused(problems, objects.get(number, []))
        }
        assert left == {}, f"{len(left)} frames: {left}"[:4000]
        assert dissection.packets == dissection.frames == dissection.intact_headers == len(frames)
        return dissection

    def _dealt_out(self) -> tuple[list[Spoken], list[list[Segment]]]:
        """Return all frames in order, and the same as short connections."""
        frames: list[Spoken] = []
        connections: list[list[Segment]] = []
        for name, segments in self.conversations:
            counts = {True: 0, False: 0}
            is_open = {True: False, False: False}
            connections.append([])
            for frame in _frames(segments()):
                speaker = frame.from_master
                if max(counts.values()) >= _MOST_FRAMES * 3 // 4 and not any(is_open.values()):
                    counts = {True: 0, False: 0}
                    connections.append([])
                data = link_frames.user_data(frame.octets)
                if data:
                    counts[speaker] += 1
                    is_open[speaker] = not data[0] & _FIN
                assert counts[speaker] <= _MOST_FRAMES
                connections[-1].append(frame)
                frames.append(Spoken(name, frame))
        return frames, connections


def complaints_about(answers: Iterable[bytes], directory: Path) -> dict[int, list[str]]:
    """Return what the dissector says of these frames of an outstation, by their number from 0."""
    pcap = directory / "answers.pcap"
    write_pcap(pcap, [Segment(0.0, False, octets) for octets in answers], port=_PORT)
    return {number - 1: problems for number, problems in dissect(pcap, _PORT).problems.items()}


def _frames(segments: Iterable[Segment]) -> Iterator[Segment]:
    """Yield whole frames, when their last octet came. Anything else fails."""
    unread = {True: bytearray(), False: bytearray()}
    for segment in segments:
        octets = unread[segment.from_master]
        octets += segment.octets
        while (frame := link_frames.take_frame(octets)) is not None:
            yield Segment(segment.time_s, segment.from_master, frame)
    assert not any(unread.values()), unread


def _write(pcap: Path, connections: list[list[Segment]], directory: Path) -> None:
    part = directory / "part.pcap"
    with pcap.open("wb") as whole:
        for number, segments in enumerate(connections):
            write_pcap(part, segments, port=_PORT, master_port=_FIRST_MASTER_PORT + number)
            whole.write(part.read_bytes()[_PCAP_HEADER_OCTETS if number else 0 :])


def _objects_of(pcap: Path) -> dict[int, list[str]]:
    """Return the objects of each packet, such as g30v1, in the order in which the dissector met them."""
    command = [peers.require("tshark"), "-2", "-r", str(pcap), "-d", f"tcp.port=={_PORT},dnp3"]
    command += ["-Y", "dnp3.al.obj", "-T", "fields", "-E", "separator=/t", "-E", "occurrence=a"]
    command += ["-E", "aggregator=;", "-e", "frame.number", "-e", "dnp3.al.obj"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True)
    objects = {}
    for line in result.stdout.splitlines():
        number, _, numbers = line.partition("\t")
        pairs = (divmod(int(each, 0), 0x100) for each in numbers.split(";"))
        objects[int(number)] = [f"g{group}v{variation}" for group, variation in pairs]
    return objects


def _is_excused(problems: Iterable[str], objects: list[str]) -> bool:
    # A synchronized common time stands before relative times, an unsynchronized one may follow them.
    gaps = [GAPS.get(each) for each in dropwhile(_WITH_COMMON_TIME.__contains__, objects)]
    excused = frozenset[str]()
    if gaps and gaps[0] is not None:
        excused = gaps[0].complaints
    if any(gap is not None and gap.complaints == {_UNKNOWN_ATTRIBUTE} for gap in gaps):
        # The dissector does not lose the thread: what follows is dissected.
        excused |= {_UNKNOWN_ATTRIBUTE}
    return excused.issuperset(problems)
