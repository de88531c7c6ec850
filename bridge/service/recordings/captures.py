"""What `rtu-bridge decode` reads: hex text, pcap and pcapng files, as octets in the order they were sent.

Rules:
  1. A piece is what one side of a conversation sent. Of packets `conversations` makes them.
  2. A line that begins with '=' is what the capture itself says: an event, or why octets were dropped.
  3. Input that cannot be read is a `CaptureError` of one line, raised after the pieces before it.
"""

from __future__ import annotations

import io
import os
import re
import stat
import sys
import textwrap
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, TextIO

from bridge.errors import CaptureError
from bridge.service.recordings.conversations import Piece, conversations
from bridge.service.recordings.explain import StreamExplainer
from bridge.service.recordings.packets import is_capture, packets

_FINE, _DOUBTFUL, _UNUSABLE = range(3)
_EPOCH = datetime.fromtimestamp(0, UTC)

_MARKS = ("<", ">")
_SEPARATOR = re.compile(r"0[xX]|\\x|[:,-]")
_HEX = re.compile(r"[0-9a-fA-F]*")
_SHOWN = 60
_LONGEST_OCTETS = 1 << 30
_READ_OCTETS = 1 << 20


def decode(source: str, out: TextIO, *, port: int | None = None) -> int:
    """Explain a capture on `out`: the command `rtu-bridge decode`. For `source` and `port` see `read`.

    Returns the exit status: 0 all octets are in frames, 1 some are not or there is no frame, 2 the input is
    unusable, with the reason as one line on stderr.
    """
    explainers: dict[str, StreamExplainer] = {}
    has_gaps = is_unusable = False
    try:
        for piece in read(source, port=port):
            explainer = explainers.setdefault(piece.label, StreamExplainer())
            _show(piece.time_s, piece.label, _explain(piece, explainer), out)
            has_gaps |= piece.missing > 0
    except CaptureError as error:
        print(f"rtu-bridge decode: {error}", file=sys.stderr)
        is_unusable = True
    for label, explainer in explainers.items():
        _show(None, label, explainer.finish(), out)
    if is_unusable:
        return _UNUSABLE
    has_frames = any(explainer.frames for explainer in explainers.values())
    if not has_frames:
        print("! no frame found", file=out)
    has_discards = any(explainer.octets_discarded for explainer in explainers.values())
    return _FINE if has_frames and not has_gaps and not has_discards else _DOUBTFUL


def read(source: str, *, port: int | None = None) -> Iterator[Piece]:
    """Yield the pieces of `source`: '-' for stdin, the path of a file, or else octets in hex.

    A file is pcap, pcapng or hex text, told apart by its first octets. Of packets only those from or to
    `port`, TCP or UDP, are read, when it is given. Raises `CaptureError`.
    """
    if source == "-":
        yield from _named("standard input", _stream_pieces(sys.stdin.buffer, port))
    elif os.path.exists(source):
        yield from _named(source, _file_pieces(Path(source), port))
    else:
        yield from _named(f"no file {_shortened(source)!r}, read as hex", _text_pieces(source))


def _explain(piece: Piece, explainer: StreamExplainer) -> Iterator[str]:
    if piece.begins or piece.missing:
        yield from explainer.finish()
    if piece.missing:
        yield f"! gap: {piece.missing} octets are not in the capture"
    if piece.remark:
        yield f"= {piece.remark}"
    yield from explainer.receive(piece.octets)
    if piece.ends:
        yield from explainer.finish()


def _show(time_s: float | None, label: str, blocks: Iterable[str], out: TextIO) -> None:
    """Print the blocks below a heading, or plainly where there is neither time nor label."""
    heading = "  ".join(filter(None, (_clock(time_s), label)))
    for number, block in enumerate(blocks):
        if heading and number == 0:
            print(heading, file=out)
        print(textwrap.indent(block, "  ") if heading else block, file=out)


def _clock(time_s: float | None) -> str:
    if time_s is None:
        return ""
    try:
        return f"{_EPOCH + timedelta(seconds=time_s):%Y-%m-%d %H:%M:%S.%f}Z"
    except OverflowError:
        return f"{time_s:.6f} s"


def _named(name: str, pieces: Iterator[Piece]) -> Iterator[Piece]:
    try:
        yield from pieces
    except CaptureError as error:
        raise CaptureError(f"{name}: {error}") from error


def _file_pieces(path: Path, port: int | None) -> Iterator[Piece]:
    try:
        mode = path.stat().st_mode
        # Before it is opened: a device may not end, and to open one can do more than to read it.
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode) or stat.S_ISDIR(mode)):
            raise CaptureError("is no regular file and no pipe; name a file, or - for standard input")
        with path.open("rb") as file:
            content = _content(file)
    except OSError as error:
        raise CaptureError(error.strerror or str(error)) from error
    yield from _pieces(content, port)


def _stream_pieces(stream: BinaryIO, port: int | None) -> Iterator[Piece]:
    try:
        content = _content(stream)
    except OSError as error:
        raise CaptureError(error.strerror or str(error)) from error
    yield from _pieces(content, port)


def _content(file: BinaryIO) -> bytes:
    # In steps: a read of the longest that is allowed would take that much memory for a short file.
    content = io.BytesIO()
    while part := file.read(_READ_OCTETS):
        if content.tell() + len(part) > _LONGEST_OCTETS:
            raise CaptureError(f"is longer than {_LONGEST_OCTETS >> 20} MiB; cut it with editcap or split")
        content.write(part)
    return content.getvalue()


def _pieces(content: bytes, port: int | None) -> Iterator[Piece]:
    if is_capture(content):
        yield from conversations(packets(content), port)
        return
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CaptureError("neither pcap, pcapng nor hex text") from error
    yield from _text_pieces(text)


# Hex text


def _text_pieces(text: str) -> Iterator[Piece]:
    """Yield a piece for each line marked '<' or '>' and the unmarked lines that continue it."""
    label = ""
    run: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        content = line.partition("#")[0].strip()
        if content.startswith(_MARKS):
            if run:
                yield Piece(None, label, _octets_of(run))
            label, content, run = content[0], content[1:], []
        run.append((number, _digits(content, number)))
    if run:
        yield Piece(None, label, _octets_of(run))


def _digits(content: str, line: int) -> str:
    words = content.split()
    for word in words:
        if not _HEX.fullmatch(_SEPARATOR.sub("", word)):
            raise CaptureError(f"line {line}: {_shortened(word)!r} is not hex")
    return _SEPARATOR.sub("", "".join(words))


def _octets_of(run: list[tuple[int, str]]) -> bytes:
    # Text that was wrapped inside an octet is read all the same, so only their sum can be wrong.
    digits = "".join(digits for _, digits in run)
    if len(digits) % 2:
        line = next(number for number, digits in run if len(digits) % 2)
        raise CaptureError(f"line {line}: odd number of hex digits ({len(digits)})")
    return bytes.fromhex(digits)


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
