"""What may reach whom: every frame that a master or an RTU of the soak run hears is judged here.

Rules:
  1. Torn: what is heard consists of whole frames with right CRCs, and of nothing else.
  2. Misrouted: a frame comes from, or goes to, an outstation of that master's session, on that line; what is
     for nobody (unknown, reserved, damaged) reaches nobody.
  3. Stale: an answer belongs to a request of the same connection that no newer answer of that RTU has closed.
     It is also stale if its RTU began to say it only after it had heard a newer request of that connection:
     then the bridge knew better. One of the same sequence number excuses it: nobody can tell them apart.
  4. Each frame once. No request is heard later than its time to live, or after its session ended.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from bridge.link.address import SELF_ADDRESS
from tests.soak.faults_tags import Tag, TagKind, tag_of
from tests.support import link_frames

REQUEST_TTL_S = 2.0
_SLACK_S = 3.0
"""What requests may wait besides: in TCP buffers, in ptys, and while this program is busy."""
_AFTERMATH_S = 1.5
"""How long after its session ended a request may still be heard: a frame under way, a busy machine."""
_REMEMBERED_S = 120.0
_PRUNE_EVERY = 5000


class Speaker(Protocol):
    """A master's connection, as the judge sees it."""

    @property
    def name(self) -> str:
        """How messages call it."""

    @property
    def owner(self) -> str:
        """Its master's name."""

    @property
    def link_address(self) -> int:
        """Its master's link address."""

    @property
    def outstations(self) -> dict[int, str]:
        """The link addresses of its session, and the line that each is on."""

    @property
    def ended_s(self) -> float | None:
        """When it was over."""


@dataclass(slots=True, eq=False)
class Request:
    """One request that a master sent."""

    number: int
    connection: Speaker
    to: int
    sequence: int
    frames: tuple[bytes, ...]
    is_forwarded: bool
    """Whether it may be heard on a line at all."""
    is_answered_to: bool
    sent_s: float
    heard_s: float | None = None
    is_closed: bool = False
    """A newer one of this connection to this RTU was answered."""
    is_answered: bool = False
    said_s: dict[int, float] = field(default_factory=dict)
    got: set[int] = field(default_factory=set)
    heard: set[tuple[int, int]] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must never be. `fault` is the number of the fault that was on."""

    fault: int
    what: str
    detail: str

    def __str__(self) -> str:
        return f"fault {self.fault}: {self.what}: {self.detail}"


class Judge:
    """Knows every request that is open, and collects what must not be."""

    def __init__(self) -> None:
        self.fault = 0
        self.violations: list[Violation] = []
        self.seen: Counter[str] = Counter()
        """What was judged and found right, by kind."""
        self._requests: dict[int, Request] = {}
        self._unsolicited: dict[int, tuple[int, int, float]] = {}
        self._spoke_s: dict[tuple[Speaker, int], float] = {}
        """When an RTU first heard a connection: from then on the bridge knows that master's address."""
        self._last = 0
        self._pauses: list[tuple[float, float]] = []

    def accuse(self, what: str, detail: str, *, fault: int | None = None) -> None:
        """Take note of a violation, of the fault that is on unless it is said to be another's."""
        self.violations.append(Violation(self.fault if fault is None else fault, what, detail))

    def new_number(self) -> int:
        """Return a number that was never used."""
        self._last += 1
        if self._last % _PRUNE_EVERY == 0:
            horizon_s = time.monotonic() - _REMEMBERED_S
            self._requests = {n: r for n, r in self._requests.items() if r.sent_s > horizon_s}
            self._unsolicited = {n: said for n, said in self._unsolicited.items() if said[2] > horizon_s}
            self._spoke_s = {
                (speaker, rtu): at_s
                for (speaker, rtu), at_s in self._spoke_s.items()
                if speaker.ended_s is None or speaker.ended_s > horizon_s
            }
        return self._last

    def paused(self, begun_s: float, ended_s: float) -> None:
        """Take note that the bridge was stopped for a while: time does not count."""
        self._pauses.append((begun_s, ended_s))

    def paused_since_s(self, begun_s: float) -> float:
        """Return how long the bridge was stopped since then."""
        return sum(max(0.0, end - max(begin, begun_s)) for begin, end in self._pauses[-20:])

    def sent(self, request: Request) -> None:
        """Take note of a request before it is sent."""
        self._requests[request.number] = request

    def said(self, number: int, index: int) -> None:
        """Take note that an RTU begins to say a frame of an answer."""
        request = self._requests.get(number)
        if request is not None:
            request.said_s[index] = time.monotonic()

    def said_unsolicited(self, number: int, rtu: int, master: int) -> None:
        """Take note of an unsolicited response."""
        self._unsolicited[number] = rtu, master, time.monotonic()

    # What RTUs hear

    def heard(self, line: str, rtu: int, frame: bytes) -> Request | None:
        """Judge a frame heard by an RTU; return the request that it is part of."""
        tag = tag_of(frame)
        to, source = link_frames.destination(frame), link_frames.source(frame)
        where = f"RTU {rtu} on {line} heard {frame[:24].hex(' ')}"
        if not frame[3] & 0x80:
            self.accuse("misrouted", f"{where}: not from a master")
        elif tag is None:
            self.seen["confirms and link services heard"] += 1
        elif tag.kind is not TagKind.REQUEST or tag.number not in self._requests:
            self.accuse("torn", f"{where}: no request that anybody sent")
        else:
            return self._heard_request(self._requests[tag.number], tag, line, rtu, frame)
        if (to >= 0xFFF0 and to < SELF_ADDRESS) or source >= 0xFFF0:
            self.accuse("misrouted", f"{where}: a reserved address")
        return None

    def _heard_request(self, request: Request, tag: Tag, line: str, rtu: int, frame: bytes) -> Request | None:
        now = time.monotonic()
        connection = request.connection
        where = f"RTU {rtu} on {line} heard {request.number} of {connection.name} to {request.to}"
        if not request.is_forwarded:
            self.accuse("misrouted", f"{where}: it was for nobody")
        if tag.index >= len(request.frames) or frame != request.frames[tag.index]:
            self.accuse("torn", f"{where}: not octet for octet as it was sent")
        if line not in connection.outstations.values():
            self.accuse("misrouted", f"{where}: another master's line")
        if (rtu, tag.index) in request.heard:
            self.accuse("stale", f"{where}: for the second time")
        request.heard.add((rtu, tag.index))
        late_s = now - request.sent_s - self.paused_since_s(request.sent_s)
        if late_s > REQUEST_TTL_S + _SLACK_S:
            self.accuse("stale", f"{where}: {late_s:.1f} s after it was sent")
        ended_s = connection.ended_s
        if ended_s is not None and now - ended_s - self.paused_since_s(ended_s) > _AFTERMATH_S:
            self.accuse("stale", f"{where}: {now - ended_s:.1f} s after its session ended")
        if request.heard_s is None:
            request.heard_s = now
            self._spoke_s.setdefault((connection, rtu), now)
        self.seen["request frames heard"] += 1
        return request

    # What masters hear

    def delivered(self, connection: Speaker, frame: bytes) -> Tag | None:
        """Judge a frame that came by a master's connection; return its tag if it is right."""
        tag = tag_of(frame)
        to, source = link_frames.destination(frame), link_frames.source(frame)
        where = f"{connection.name} got {frame[:24].hex(' ')}"
        if frame[3] & 0x80:
            self.accuse("misrouted", f"{where}: from a master")
        elif source not in connection.outstations:
            self.accuse("misrouted", f"{where}: from an outstation that is not its own")
        elif to != connection.link_address and not self._is_excused(connection, tag):
            self.accuse("misrouted", f"{where}: for another master")
        elif tag is None:
            self.seen["link answers delivered"] += 1
        elif tag.rtu != source or tag.master != to:
            self.accuse("torn", f"{where}: the tag says {tag}")
        elif tag.kind is TagKind.UNSOLICITED:
            return self._delivered_unsolicited(tag, where)
        elif tag.kind is TagKind.ANSWER:
            return self._delivered_answer(connection, tag, frame, where)
        else:
            self.accuse("misrouted", f"{where}: a request")
        return None

    def _is_excused(self, connection: Speaker, tag: Tag | None) -> bool:
        """Tell whether the bridge could not know yet that this is not the master's link address."""
        if tag is None or tag.kind is not TagKind.UNSOLICITED:
            return False
        _, _, said_s = self._unsolicited.get(tag.number, (0, 0, math.inf))
        return self._spoke_s.get((connection, tag.rtu), math.inf) > said_s

    def _delivered_unsolicited(self, tag: Tag, where: str) -> Tag | None:
        rtu, master, _ = self._unsolicited.pop(tag.number, (0, 0, 0.0))
        if (rtu, master) != (tag.rtu, tag.master):
            self.accuse("stale", f"{where}: unsolicited {tag.number} never said, or a second time")
            return None
        self.seen["unsolicited responses delivered"] += 1
        return tag

    def _delivered_answer(self, connection: Speaker, tag: Tag, frame: bytes, where: str) -> Tag | None:
        request = self._requests.get(tag.number)
        where = f"{where}, answer {tag.number}/{tag.index}"
        if request is None:
            self.accuse("stale", f"{where}: to nothing, or to what was asked long ago")
        elif request.connection.owner != connection.owner:
            self.accuse("misrouted", f"{where}: to {request.connection.name}")
        elif request.connection is not connection:
            earlier = f"{request.connection.name}, {self._times(request, tag.index)}"
            self.accuse("stale", f"{where}: to an earlier connection, {earlier}")
        elif request.to not in (tag.rtu, SELF_ADDRESS) or not request.is_answered_to:
            self.accuse("misrouted", f"{where}: asked was {request.to}")
        elif request.is_closed:
            self.accuse("stale", f"{where}: a newer request was answered before")
        elif not self._is_sequence_right(request, tag.index, frame):
            self.accuse("stale", f"{where}: with another sequence number than {request.sequence}")
        elif tag.index in request.got:
            self.accuse("stale", f"{where}: for the second time")
        elif self._came_too_late(request, tag.index):
            self.accuse("stale", f"{where}: said after a newer request had been heard")
        else:
            self._got(request, tag.index)
            return tag
        return None

    def _came_too_late(self, request: Request, index: int) -> bool:
        said_s = request.said_s.get(index)
        newer = list(self._newer(request))
        if said_s is None or any(other.sequence == request.sequence for other in newer):
            return False
        return any(other.heard_s is not None and other.heard_s < said_s for other in newer)

    @staticmethod
    def _times(request: Request, index: int) -> str:
        now = time.monotonic()
        heard_s = "never" if request.heard_s is None else f"{now - request.heard_s:.3f} s ago"
        said_s = request.said_s.get(index)
        said = "never" if said_s is None else f"{now - said_s:.3f} s ago"
        return f"asked {now - request.sent_s:.3f} s ago, heard {heard_s}, said {said}"

    def _is_sequence_right(self, request: Request, index: int, frame: bytes) -> bool:
        user_data = link_frames.user_data(frame)
        if not user_data[0] & 0x40:
            return True
        # A first segment with an index is that of the second fragment.
        expected = (request.sequence + (index > 0)) % 16
        found = user_data[1] & 0x0F
        return found == expected or any(other.sequence == found for other in self._newer(request))

    def _newer(self, request: Request) -> Iterable[Request]:
        for number in range(request.number + 1, self._last + 1):
            other = self._requests.get(number)
            if other is None or not other.is_answered_to:
                continue
            if other.connection is request.connection and other.to == request.to:
                yield other

    def _got(self, request: Request, index: int) -> None:
        request.got.add(index)
        self.seen["answer frames delivered"] += 1
        if request.is_answered:
            return
        request.is_answered = True
        for number in range(request.number - 1, max(0, request.number - 2000), -1):
            other = self._requests.get(number)
            if other is None or other.connection is not request.connection or other.to != request.to:
                continue
            if other.is_closed:
                break
            other.is_closed = True
