"""Every object vector in a fragment, as Wireshark's dissector reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.application.function import ApplicationControl, Function, Iin
from bridge.application.header import count_header, prefixed_header, range_header
from bridge.application.response import response_fragment
from bridge.application.variation import Role, Variation
from bridge.link.control import Control, LinkFunction
from bridge.link.frame import Frame
from bridge.transport.segmenter import segments
from tests.application.test_objects import VECTORS, row_of
from tests.support.capture import Segment, write_pcap
from tests.support.dissection import dissect

PORT = 20000
RANGED = {Role.STATIC, Role.DEADBAND, Role.INDICATIONS, Role.ATTRIBUTE}
NOT_IN_WIRESHARK = {
    # Wireshark 4.0 has no layout for these; a later one may.
    *("g0v198", "g0v199", "g0v200", "g0v244", "g0v255"),
    *(f"g31v{variation}" for variation in range(1, 7)),
    *(f"g33v{variation}" for variation in range(1, 5)),
    *(f"g43v{variation}" for variation in range(1, 9)),
    *("g50v4", "g51v2", "g52v1"),
}
COUNTED = {Role.TIME, Role.FREEZE_TIME, Role.RECORDED_TIME, Role.COMMON_TIME, Role.DELAY}


def objects_of(row: Variation, octets: bytes) -> bytes:
    """Return the vector under the header with which it is sent."""
    group, variation = row.group, row.variation
    if row.role in RANGED:
        return range_header(group, variation, 0, 0) + octets
    if row.role in COUNTED:
        return count_header(group, variation, 1) + octets
    before = count_header(51, 1, 1) + bytes(6) if row.is_relative_time else b""
    return before + prefixed_header(group, variation, 1, is_wide=False) + b"\x00" + octets


def frames_of(fragment: bytes) -> bytes:
    control = Control.build(LinkFunction.UNCONFIRMED_USER_DATA, from_master=False)
    return b"".join(Frame.build(control, 1, 1024, segment).octets for segment in segments(fragment, 0))


@pytest.mark.peer
def test_every_vector_dissects(tmp_path: Path) -> None:
    control = ApplicationControl(fir=True, fin=True, con=False, uns=False, sequence=0)
    names = [name for name in VECTORS if "=" in name and name.split()[0] not in NOT_IN_WIRESHARK]
    incoming = []
    for name in names:
        objects = objects_of(row_of(name.split()[0]), VECTORS[name])
        fragment = response_fragment(control, Function.RESPONSE, Iin(0), objects)
        incoming.append(Segment(0.0, False, frames_of(fragment)))
    write_pcap(tmp_path / "objects.pcap", incoming, port=PORT)
    dissection = dissect(tmp_path / "objects.pcap", PORT)
    assert {names[number - 1]: found for number, found in dissection.problems.items()} == {}
    assert dissection.packets == len(names)
    # The two fragments of two frames each are shown with their function in both.
    assert dissection.functions == {Function.RESPONSE: dissection.frames}
