"""What `rtu-bridge decode` reads: hex text, pcap and pcapng files, as octets in the order they were sent.

Rules:
  1. A piece is what one side of a conversation sent. TCP is put in order; what came twice is left out.
  2. Octets of a TCP stream that the capture lacks are named. They are lacking when the other side acknowledged
     them, or when the capture ends, and they did not come.
  3. Input that cannot be read is a `CaptureError` of one line, after the pieces that could be read.
"""

from __future__ import annotations

import heapq
import math
import os
import re
import struct
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import NamedTuple, TextIO

from bridge.errors import RtuBridgeError
from bridge.service.explain import StreamExplainer

_FINE, _DOUBTFUL, _UNUSABLE = 0, 1, 2
_EPOCH = datetime.fromtimestamp(0, UTC)


class CaptureError(RtuBridgeError, ValueError):
    """A capture or hex text cannot be read; the message is one line that says where and why."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Octets that one side sent, in order.

    `time_s` is seconds since 1970 UTC, None where the input has no times. `label` names the direction,
    the same for all pieces that continue one another. `missing` octets before these are not in the capture.
    `begins` says that nothing before belongs to these: a new TCP connection, or a datagram.
    """

    time_s: float | None
    label: str
    octets: bytes
    missing: int = 0
    begins: bool = False


def decode(source: str, out: TextIO, *, port: int | None = None) -> int:
    """Explain a capture on `out`: the command `rtu-bridge decode`.

    `source` is as for `read`. Returns the exit status: 0 all octets are in frames, 1 some are not or there is
    no frame, 2 the input is unusable, with the reason as one line on stderr.
    """
    explainers: dict[str, StreamExplainer] = {}
    status = _FINE
    try:
        for piece in read(source, port=port):
            explainer = explainers.setdefault(piece.label, StreamExplainer())
            if _show(_heading(piece.time_s, piece.label), _explained(piece, explainer), out):
                status = _DOUBTFUL
    except CaptureError as error:
        print(f"rtu-bridge decode: {error}", file=sys.stderr)
        status = _UNUSABLE
    for label, explainer in explainers.items():
        _show(_heading(None, label), explainer.finish(), out)
    if status == _UNUSABLE:
        return status
    if not any(explainer.frames for explainer in explainers.values()):
        print("! no frame found", file=out)
        return _DOUBTFUL
    return _DOUBTFUL if any(explainer.octets_discarded for explainer in explainers.values()) else status


def read(source: str, *, port: int | None = None) -> Iterator[Piece]:
    """Yield the pieces of `source`: a file's path, '-' for stdin, or else hex octets.

    A file is pcap, pcapng or hex text, told apart by its first octets. `port` picks the packets from or to
    one TCP or UDP port. Raises `CaptureError`.
    """
    if source == "-":
        yield from _content(sys.stdin.buffer.read(), port)
    elif os.path.exists(source):
        try:
            octets = Path(source).read_bytes()
        except OSError as error:
            raise CaptureError(f"{source}: {error.strerror}") from error
        try:
            yield from _content(octets, port)
        except CaptureError as error:
            raise CaptureError(f"{source}: {error}") from error
    else:
        try:
            yield from _text_pieces(source)
        except CaptureError as error:
            shown = textwrap.shorten(source, 60, placeholder=" ...")
            raise CaptureError(f"no file {shown!r}, and no hex octets: {error}") from error


def _explained(piece: Piece, explainer: StreamExplainer) -> Iterator[str]:
    if piece.begins or piece.missing:
        yield from explainer.finish()
    if piece.missing:
        yield f"! gap: {piece.missing} octets are not in the capture"
    yield from explainer.receive(piece.octets)
