"""Octets to text that a SCADA engineer reads (IEEE 1815 words), for `rtu-bridge decode` and debug logs.

Rules:
  1. One block of lines a frame: link, transport, application, object headers. Deeper is indented.
  2. A line that begins with '!' names octets that are in no frame, in their place between the frames.
  3. What cannot be read without the table of objects is shown as hex, never guessed.
  4. No octets make anything here raise.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from bridge.application.function import ApplicationControl, Function, Iin
from bridge.link.address import (
    BROADCAST_CONFIRM,
    BROADCAST_NO_CONFIRM,
    BROADCAST_OPTIONAL,
    SELF_ADDRESS,
    AddressKind,
    kind_of,
)
from bridge.link.control import Control
from bridge.link.frame import LONGEST_FRAME, Frame
from bridge.link.framer import Discard, LinkErrorMode, LinkFramer
from bridge.transport.segment import SegmentHeader

_OCTETS_A_LINE = 32
_DISCARDED_SHOWN = 16

_LINK_FLAGS = {
    (True, False, False): "",
    (True, False, True): "FCV FCB=0",
    (True, True, False): "FCB=1 without FCV",
    (True, True, True): "FCV FCB=1",
    (False, False, False): "",
    (False, False, True): "DFC",
    (False, True, False): "reserved bit set",
    (False, True, True): "DFC, reserved bit set",
}
"""What to say of a control octet's bits (PRM, FCB, FCV or DFC); nothing where they are as always."""

_SPECIAL_ADDRESSES = {
    SELF_ADDRESS: "self-address 0xFFFC",
    BROADCAST_NO_CONFIRM: "broadcast 0xFFFD (no confirm)",
    BROADCAST_CONFIRM: "broadcast 0xFFFE (confirm required)",
    BROADCAST_OPTIONAL: "broadcast 0xFFFF (confirm optional)",
}

_REASONS = {Discard.FRAME_TIMEOUT: "incomplete frame"}
"""Discards whose counter's name says the wrong thing where no time passes."""

_HEADERS_ONLY = frozenset(
    {
        Function.READ,
        Function.IMMED_FREEZE,
        Function.IMMED_FREEZE_NR,
        Function.FREEZE_CLEAR,
        Function.FREEZE_CLEAR_NR,
        Function.INITIALIZE_DATA,
        Function.ENABLE_UNSOLICITED,
        Function.DISABLE_UNSOLICITED,
        Function.ASSIGN_CLASS,
    }
)
"""Requests whose object headers name points and carry no objects."""


class _Range(NamedTuple):
    """A range specifier: its fields on the wire, and words for their values."""

    fields: int
    width: int
    words: str


_ALL = 0x6
_RANGES = {
    0x0: _Range(2, 1, "index {} to {}"),
    0x1: _Range(2, 2, "index {} to {}"),
    0x2: _Range(2, 4, "index {} to {}"),
    0x3: _Range(2, 1, "virtual address {} to {}"),
    0x4: _Range(2, 2, "virtual address {} to {}"),
    0x5: _Range(2, 4, "virtual address {} to {}"),
    _ALL: _Range(0, 0, "all"),
    0x7: _Range(1, 1, "count {}"),
    0x8: _Range(1, 2, "count {}"),
    0x9: _Range(1, 4, "count {}"),
    0xB: _Range(1, 1, "count {}"),
}
"""Range specifier codes, the low nibble of a qualifier (IEEE 1815 clause 4.2)."""


class _Prefix(NamedTuple):
    """An object prefix: its octets, whether it gives the object's size (or else its index), and words."""

    width: int
    is_size: bool
    words: str


_PREFIXES = {
    0: _Prefix(0, False, ""),
    1: _Prefix(1, False, ", 8-bit index before each"),
    2: _Prefix(2, False, ", 16-bit index before each"),
    3: _Prefix(4, False, ", 32-bit index before each"),
    4: _Prefix(1, True, ", 8-bit size before each"),
    5: _Prefix(2, True, ", 16-bit size before each"),
    6: _Prefix(4, True, ", 32-bit size before each"),
}
"""Object prefix codes, the high nibble of a qualifier (IEEE 1815 clause 4.2)."""


class StreamExplainer:
    """Explains one direction of one conversation, however its octets were cut."""

    def __init__(self) -> None:
        self._framer = _framer()
        self._unexplained = bytearray()

    @property
    def frames(self) -> int:
        """How many frames were found so far."""
        return self._framer.counters.frames

    @property
    def octets_discarded(self) -> int:
        """How many octets were in no frame so far."""
        return self._framer.counters.octets_discarded

    def receive(self, octets: bytes) -> Iterator[str]:
        """Take octets; yield a block for each frame that became whole, behind a line for what lay before."""
        self._unexplained += octets
        for frame in self._framer.receive(octets, 0.0):
            yield from self._explain(frame)

    def finish(self) -> Iterator[str]:
        """Yield what is left when the octets end or have a gap; `receive` then begins anew."""
        for frame in self._framer.on_deadline(math.inf):
            yield from self._explain(frame)
        if self._unexplained:
            yield _discarded(bytes(self._unexplained), _discards(bytes(self._unexplained)))
            self._unexplained.clear()

    def _explain(self, frame: Frame) -> Iterator[str]:
        # The framer tries every octet in turn, so the first place where these octets stand is the frame's.
        at = self._unexplained.find(frame.octets)
        if at:
            # Two looks at the same octets, with and without the discarded ones, differ in their reasons.
            # What stands more than a frame behind them decided nothing.
            window = bytes(self._unexplained[: at + LONGEST_FRAME])
            reasons = _discards(window) - _discards(window[at + len(frame.octets) :])
            yield _discarded(window[:at], reasons)
        del self._unexplained[: at + len(frame.octets)]
        yield explain_frame(frame)


def explain_frame(frame: Frame) -> str:
    """Return the frame as a block of lines without a trailing newline."""
    return "\n".join(_lines(frame))


def _framer() -> LinkFramer:
    # Octets at rest have no clock: only their end gives a partial frame up.
    return LinkFramer(LinkErrorMode.DISCARD, frame_timeout_s=math.inf)


def _discards(octets: bytes) -> Counter[Discard]:
    framer = _framer()
    framer.receive(octets, 0.0)
    framer.on_deadline(math.inf)
    return framer.counters.discards


def _discarded(octets: bytes, reasons: Counter[Discard]) -> str:
    names = (
        _REASONS.get(reason, reason.value) + (f" x{times}" if times > 1 else "")
        for reason, times in reasons.items()
    )
    more = " ..." if len(octets) > _DISCARDED_SHOWN else ""
    return f"! {_count(len(octets))}: {', '.join(names)}  {octets[:_DISCARDED_SHOWN].hex(' ')}{more}"


def _count(octets: int) -> str:
    return f"{octets} octet{'' if octets == 1 else 's'}"


def _lines(frame: Frame) -> Iterator[str]:
    yield _link_words(frame)
    segment = _segment_of(frame)
    if segment is None:
        yield from _hex_lines("  user data  ", frame.user_data)
    elif not segment:
        yield "  no user data"
    else:
        yield from _segment_lines(SegmentHeader.of(segment[0]), segment[1:])


def _segment_of(frame: Frame) -> bytes | None:
    """Return the frame's transport segment, or None where its function carries none."""
    return frame.user_data if frame.control.carries_user_data else None


def _link_words(frame: Frame) -> str:
    control = frame.control
    roles = ("master", "outstation") if control.from_master else ("outstation", "master")
    source, destination = map(_address_words, roles, (frame.source, frame.destination))
    words = f"{source} -> {destination}  {_link_function(control)}  {_count(len(frame.octets))}"
    flags = _LINK_FLAGS[control.is_primary, control.fcb, control.fcv]
    return f"{words}  {flags}" if flags else words


def _link_function(control: Control) -> str:
    if control.function is not None:
        return control.function.name
    return f"undefined {'primary' if control.is_primary else 'secondary'} function {control.octet & 0x0F}"


def _address_words(role: str, address: int) -> str:
    if kind_of(address) is AddressKind.INDIVIDUAL:
        return f"{role} {address}"
    return _SPECIAL_ADDRESSES.get(address, f"reserved address 0x{address:04X}")


def _segment_lines(header: SegmentHeader, octets: bytes) -> Iterator[str]:
    yield f"  transport  {_transport_words(header)}"
    if not header.fir:
        yield from _hex_lines("  continuation  ", octets)
        return
    fragment = _fragment_of(octets)
    if fragment is None:
        yield from _hex_lines("  application header incomplete  ", octets)
        return
    yield f"  application  {fragment.words()}"
    yield from _object_lines(fragment.function, fragment.objects)


def _transport_words(header: SegmentHeader) -> str:
    return _flag_words({"FIR": header.fir, "FIN": header.fin}) + f"seq {header.sequence}"


def _flag_words(flags: dict[str, bool]) -> str:
    return "".join(f"{name} " for name, is_set in flags.items() if is_set)


class _Fragment(NamedTuple):
    """The first segment of a fragment, taken apart."""

    control: ApplicationControl
    function: Function | int
    iin: Iin | None
    objects: bytes

    def words(self) -> str:
        control, function = self.control, self.function
        name = function.name if isinstance(function, Function) else f"undefined function {function}"
        flags = {"FIR": control.fir, "FIN": control.fin, "CON": control.con, "UNS": control.uns}
        words = f"{name}  {_flag_words(flags)}seq {control.sequence}"
        return words if self.iin is None else f"{words}  {_iin_words(self.iin)}"


def _fragment_of(octets: bytes) -> _Fragment | None:
    if len(octets) < 2:
        return None
    control, function = ApplicationControl.of(octets[0]), Function.of(octets[1])
    if not (isinstance(function, Function) and function.is_response):
        return _Fragment(control, function, None, octets[2:])
    if len(octets) < 4:
        return None
    return _Fragment(control, function, Iin.from_bytes(octets[2:4], "little"), octets[4:])


def _iin_words(iin: Iin) -> str:
    names = (bit.name or "" for bit in iin)
    return " ".join(("IIN", iin.to_bytes(2, "little").hex(" "), *names))


class _ObjectHeader(NamedTuple):
    """An object header's words, its octets on the wire, how many objects (None: not given), their prefix."""

    words: str
    octets: int
    objects: int | None
    prefix: _Prefix


def _object_header(octets: bytes) -> _ObjectHeader | None:
    """Read the header that `octets` begin with; None where it is cut short or its qualifier is undefined."""
    if len(octets) < 3:
        return None
    group, variation, qualifier = octets[:3]
    prefix, range_ = _PREFIXES.get(qualifier >> 4), _RANGES.get(qualifier & 0x0F)
    if prefix is None or range_ is None:
        return None
    end = 3 + range_.fields * range_.width
    if len(octets) < end:
        return None
    values = [
        int.from_bytes(octets[at : at + range_.width], "little") for at in range(3, end, range_.width or 1)
    ]
    words = f"g{group}v{variation}  {range_.words.format(*values)}{prefix.words}  (qualifier {qualifier:02x})"
    objects = {0: 0, 1: values[0] if values else 0}.get(range_.fields)
    return _ObjectHeader(words, end, objects, prefix)


def _object_lines(function: Function | int, octets: bytes) -> Iterator[str]:
    at = 0
    while at < len(octets):
        header = _object_header(octets[at:])
        if header is None:
            yield from _hex_lines("    no readable object header  ", octets[at:])
            return
        at += header.octets
        body = _octets_of_objects(header, octets[at:], has_objects=function not in _HEADERS_ONLY)
        yield f"    {header.words}"
        if body is None:
            yield from _hex_lines("      ", octets[at:])
            return
        yield from _hex_lines("      ", octets[at : at + body])
        at += body


def _octets_of_objects(header: _ObjectHeader, octets: bytes, *, has_objects: bool) -> int | None:
    """Return how many of `octets` belong to the header, or None where only the table of objects tells."""
    prefix, objects = header.prefix, header.objects
    if objects == 0:
        return 0
    if prefix.is_size and objects is not None:
        return _octets_of_sized(objects, prefix.width, octets)
    if has_objects:
        return None
    return (objects or 0) * prefix.width


def _octets_of_sized(objects: int, width: int, octets: bytes) -> int:
    at = 0
    while objects and at < len(octets):
        at += width + int.from_bytes(octets[at : at + width], "little")
        objects -= 1
    return at


def _hex_lines(label: str, octets: bytes) -> Iterator[str]:
    """Yield octets as hex behind a label, aligned over the lines they need; nothing for no octets."""
    for at in range(0, len(octets), _OCTETS_A_LINE):
        yield (label if at == 0 else " " * len(label)) + octets[at : at + _OCTETS_A_LINE].hex(" ")
