"""Numbered frames: every request, answer and unsolicited response says in its octets which one it is.

A tag stands behind the transport octet, and behind the application header where there is one: a kind, a
number that is used once, the index of the segment, and what fills the segment up, with `05 64` in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from bridge.link.control import LinkFunction
from tests.support import frames as f
from tests.support import link_frames

_LONGEST_FILLING = 200
_REQUEST_HEADER_OCTETS = 2
_RESPONSE_HEADER_OCTETS = 4


class TagKind(Enum):
    """What a tagged frame is."""

    REQUEST = b"Q"
    ANSWER = b"A"
    UNSOLICITED = b"U"


@dataclass(frozen=True, slots=True)
class Tag:
    """What a frame says about itself. `rtu` and `master` are link addresses; a request leaves them 0."""

    kind: TagKind
    number: int
    index: int = 0
    rtu: int = 0
    master: int = 0

    def encode(self, filling: int = 0) -> bytes:
        """Return the tag's octets and so many that fill up."""
        octets = self.kind.value + self.number.to_bytes(4, "little") + self.index.to_bytes(2, "little")
        octets += self.rtu.to_bytes(2, "little") + self.master.to_bytes(2, "little")
        pattern = bytes((0x05, 0x64, self.number & 0xFF, self.index & 0xFF))
        return octets + (pattern * (filling // 4 + 1))[: min(filling, _LONGEST_FILLING)]


_TAG_OCTETS = 11


def tag_of(frame: bytes) -> Tag | None:
    """Return the tag of a whole frame, or None for one without: link services, confirms."""
    user_data = link_frames.user_data(frame)
    if not user_data:
        return None
    is_from_master = bool(frame[3] & 0x80)
    is_first = bool(user_data[0] & f.FIR)
    header = (_REQUEST_HEADER_OCTETS if is_from_master else _RESPONSE_HEADER_OCTETS) if is_first else 0
    octets = user_data[1 + header :]
    if len(octets) < _TAG_OCTETS:
        return None
    try:
        kind = TagKind(octets[:1])
    except ValueError:
        return None
    number, index, rtu, master = (
        int.from_bytes(octets[at:end], "little") for at, end in ((1, 5), (5, 7), (7, 9), (9, 11))
    )
    return Tag(kind, number, index, rtu, master)


def request_frames(
    number: int,
    *,
    sequence: int,
    to: int,
    source: int,
    function: int = f.READ,
    segments: int = 1,
    filling: int = 0,
) -> tuple[bytes, ...]:
    """Return the frames of one request."""
    built = []
    for index in range(segments):
        transport = (f.FIR if index == 0 else 0) | (f.FIN if index == segments - 1 else 0) | index
        rest = Tag(TagKind.REQUEST, number, index).encode(filling)
        built.append(
            f.request(sequence, function, to=to, source=source, transport=transport, rest=rest).octets
        )
    return tuple(built)


def answer_frame(
    tag: Tag,
    *,
    sequence: int,
    transport: int = f.FIR_FIN,
    application: int = f.A_FIR_FIN,
    filling: int = 0,
    source: int | None = None,
    to: int | None = None,
) -> bytes:
    """Return one frame of an answer, from the RTU to the master of its tag unless `source` and `to` lie."""
    rest = (b"\x00\x00" if transport & f.FIR else b"") + tag.encode(filling)
    frame = f.response(
        sequence,
        application=application,
        function=f.UNSOLICITED if tag.kind is TagKind.UNSOLICITED else f.RESPONSE,
        source=tag.rtu if source is None else source,
        to=tag.master if to is None else to,
        transport=transport,
        rest=rest,
    )
    return frame.octets


def unsolicited_frame(number: int, *, rtu: int, master: int, filling: int = 0) -> bytes:
    """Return an unsolicited response that asks for no confirm."""
    tag = Tag(TagKind.UNSOLICITED, number, 0, rtu, master)
    return answer_frame(tag, sequence=number % 16, application=f.A_FIR_FIN | f.A_UNS, filling=filling)


def confirm_frame(sequence: int, *, to: int, source: int) -> bytes:
    """Return the confirm of a fragment."""
    user_data = bytes((f.FIR_FIN, f.A_FIR_FIN | sequence, 0))
    function = LinkFunction.UNCONFIRMED_USER_DATA
    return f.from_master(function, to=to, source=source, user_data=user_data).octets


def damaged(frame: bytes, at: int) -> bytes:
    """Return a frame with one octet changed: its CRC is wrong."""
    return frame[:at] + bytes((frame[at] ^ 0x55,)) + frame[at + 1 :]
