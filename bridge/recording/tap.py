"""Where records come from: a tap on each line and session, all into one ring.

Whoever has no tap (None) records nothing and asks no more than that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from bridge.link.frame import FRAME_OCTETS
from bridge.link.framer import Discard
from bridge.recording.fault import Fault
from bridge.recording.record import LONGEST_STRETCH, Channel, Kind, Source
from bridge.recording.ring import FULL, Ring

_HEARD, _SENT, _DISCARDED, _DROPPED, _ = map(int, Kind)
_LONGEST_STRETCH_NS = 1_000_000_000
_CRC_ERRORS = frozenset({Discard.HEADER_CRC, Discard.BODY_CRC})
_NO_STRETCH = -1

Report = Callable[[Fault, int, int], None]
"""Hears of a fault: which, the interface, nanoseconds of the monotonic clock."""


class Tap:
    """Records what one line or one session sends, hears, discards and drops. `Recording` makes them.

    It is the `Witness` of the framer, which tells frames and discards in their order. Discards that follow
    each other become one record: within a second, and up to a length.
    """

    __slots__ = (
        *("_clock", "_heard", "_interface", "_length", "_newest", "_reasons", "_report", "_ring"),
        *("_sent", "_since_ns", "_stretch", "number"),
    )

    def __init__(
        self, ring: Ring, number: int, interface: int, clock: Callable[[], int], report: Report
    ) -> None:
        self.number = number
        self._ring = ring
        self._newest = ring.newest
        self._heard: Source = (number, _HEARD, "")
        self._sent: Source = (number, _SENT, "")
        self._interface = interface
        self._clock = clock
        self._report = report
        self._stretch = _NO_STRETCH
        """The record that the next discard continues."""
        self._since_ns = self._length = 0
        self._reasons: list[str] = []

    def heard(self, octets: bytes) -> None:
        """Record a whole frame that came."""
        self._stretch = _NO_STRETCH
        newest = self._newest
        newest.append(self._clock())
        newest.append(self._heard)
        newest.append(octets)
        if len(newest) == FULL:
            self._ring.end_chunk()

    def sent(self, octets: bytes) -> None:
        """Record a frame that went out, or several that went out in one write."""
        self._stretch = _NO_STRETCH
        if FRAME_OCTETS[octets[2]] != len(octets):
            for frame in _frames_in(octets):
                self._ring.add((self._clock(), self.number, _SENT, frame, ""))
            return
        newest = self._newest
        newest.append(self._clock())
        newest.append(self._sent)
        newest.append(octets)
        if len(newest) == FULL:
            self._ring.end_chunk()

    def dropped(self, octets: bytes, reason: str) -> None:
        """Record that a frame went nowhere; `reason` is the counter's word."""
        self._stretch = _NO_STRETCH
        self._ring.add((self._clock(), self.number, _DROPPED, octets, reason))

    def event(self, name: str, fault: Fault | None = None, **fields: object) -> None:
        """Record that something happened, told as in the log, and that it is a fault."""
        self._stretch = _NO_STRETCH
        now_ns = self._clock()
        self._ring.add_event(now_ns, self.number, _told(name, fields))
        if fault is not None:
            self._report(fault, self._interface, now_ns)

    def discarded(self, octets: bytes, reason: Discard) -> None:
        """Record octets in no frame."""
        now_ns = self._clock()
        for at in range(0, len(octets), LONGEST_STRETCH):
            part = octets[at : at + LONGEST_STRETCH]
            if not self._continues(part, reason, now_ns):
                self._stretch, self._since_ns, self._length = self._ring.next, now_ns, len(part)
                self._reasons = [reason.value]
                self._ring.add((now_ns, self.number, _DISCARDED, part, reason.value))
        if reason in _CRC_ERRORS:
            self._report(Fault.CRC_ERRORS, self._interface, now_ns)

    def _continues(self, octets: bytes, reason: Discard, now_ns: int) -> bool:
        """Add octets to the stretch before them, if they may be."""
        length = self._length + len(octets)
        is_over = now_ns - self._since_ns > _LONGEST_STRETCH_NS or length > LONGEST_STRETCH
        if self._stretch == _NO_STRETCH or is_over:
            return False
        reasons = self._reasons
        # The remains of a rejected candidate are no second event, here as in the counters.
        if reason is not Discard.NOISE and reason.value not in reasons:
            reasons = [*reasons, reason.value]
        if not self._ring.grow(self._stretch, octets, " ".join(reasons)):
            return False
        self._length, self._reasons = length, reasons
        return True


class Recording:
    """The ring with its taps. `clock` gives nanoseconds of the monotonic clock; `report` hears of faults."""

    def __init__(self, limit_octets: int, *, clock: Callable[[], int], report: Report) -> None:
        self.ring = Ring(limit_octets)
        self._clock = clock
        self._report = report

    def open(self, channel: Channel, name: str, **fields: object) -> Tap:
        """Return the tap of a line or of a new session, with its first event."""
        number = self.ring.open_channel(channel, self._clock(), _told(name, fields))
        return Tap(self.ring, number, channel.interface, self._clock, self._report)

    def close(self, tap: Tap) -> None:
        """Take back the tap of a session that is over."""
        self.ring.close_channel(tap.number)


class SessionTaps:
    """The taps of one server's sessions."""

    def __init__(self, recording: Recording, interface: int) -> None:
        self._recording = recording
        self._interface = interface

    def open(self, host: str, port: int, peer: str) -> Tap:
        """Return the tap of a connection that was just accepted; `peer` is its name in events."""
        return self._recording.open(Channel(self._interface, (host, port)), "connection accepted", peer=peer)

    def close(self, tap: Tap) -> None:
        """Take back the tap of a connection that is over."""
        self._recording.close(tap)


def _frames_in(octets: bytes) -> Iterator[bytes]:
    """Take apart what a local outstation sends: the frames of a fragment, in one piece."""
    at = 0
    while at < len(octets):
        size = FRAME_OCTETS[octets[at + 2]]
        yield octets[at : at + size]
        at += size


def _told(name: str, fields: Mapping[str, object]) -> str:
    return " ".join((name, *(f"{key}={_plain(str(value))}" for key, value in fields.items() if value != "")))


def _plain(text: str) -> str:
    return f'"{text}"' if " " in text else text
