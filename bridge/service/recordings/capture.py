"""`rtu-bridge capture`: the running bridge's recording to a file, a pipe, or into the bridge's folder."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, BinaryIO, Final

from bridge.endpoints.capture_socket import capture_path
from bridge.service import streams

DONE, FAILED, WRONG = 0, 1, 2
_READ_OCTETS: Final = 64 * 1024
_SHORTEST_BLOCK: Final = 12
_ANSWER_TIMEOUT_S: Final = 5.0
_WRITING_TIMEOUT_S: Final = 600.0
"""A card that is slow, with a large memory_mib."""


def capture(status_socket: str, *, output: str | None, is_following: bool) -> int:
    """Write what the bridge at `status_socket` recorded to a file, or to standard output for None.

    With `is_following` also what it records from now on, until it ends. Returns the exit status. Raises
    `OSError` when standard output takes nothing more.
    """
    if output is None and sys.stdout.isatty():
        streams.complain(
            "rtu-bridge capture: standard output is a terminal; "
            "write 'rtu-bridge capture --follow | wireshark -k -i -', or -o FILE"
        )
        return WRONG
    try:
        connection = _ask(status_socket, {"follow": is_following})
        opening = _opening(connection)
    except (OSError, ValueError) as error:
        return _unheard(status_socket, error)
    with connection:
        if output is None:
            _copy(opening, connection, sys.stdout.buffer)
            return DONE
        try:
            with open(output, "wb") as file:
                _copy(opening, connection, file)
        except OSError as error:
            return _failed(output, error)
    return DONE


def write(status_socket: str) -> int:
    """Let the bridge write a file into its folder, and print its path. Returns the exit status."""
    try:
        with _ask(status_socket, {"write": True}) as connection:
            connection.settimeout(_WRITING_TIMEOUT_S)
            answer = b"".join(_chunks(connection))
        path = _answer(answer, "done")
    except (OSError, ValueError) as error:
        return _unheard(status_socket, error)
    print(path)
    return DONE


def _ask(status_socket: str, request: Mapping[str, Any]) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(_ANSWER_TIMEOUT_S)
        connection.connect(capture_path(status_socket))
        connection.sendall(json.dumps(request).encode() + b"\n")
    except BaseException:
        connection.close()
        raise
    return connection


def _opening(connection: socket.socket) -> bytes:
    """Return the first octets of a capture. Raises ValueError with what the bridge says instead."""
    try:
        opening = connection.recv(_READ_OCTETS)
        if not opening or opening.startswith(b"{"):
            raise ValueError(_answer(opening, "error"))
    except BaseException:
        connection.close()
        raise
    # From here on it may be silent for days.
    connection.settimeout(None)
    return opening


def _answer(octets: bytes, key: str) -> str:
    """Return what stands under `key` in an answer. Raises ValueError for an error, or for no answer."""
    answer = json.loads(octets) if octets else None
    if not isinstance(answer, dict) or not {key, "error"} & answer.keys():
        raise ValueError("no answer came")
    if key not in answer:
        raise ValueError(str(answer["error"]))
    return str(answer[key])


def _chunks(connection: socket.socket) -> Iterator[bytes]:
    try:
        while chunk := connection.recv(_READ_OCTETS):
            yield chunk
    except ConnectionError:
        # The bridge was killed: what came is what there is.
        pass


def _copy(opening: bytes, connection: socket.socket, file: BinaryIO) -> None:
    """Copy whole blocks only: wherever it is stopped, the file is right."""
    held = b""
    for chunk in chain((opening,), _chunks(connection)):
        held += chunk
        end = _end_of_blocks(held)
        file.write(held[:end])
        file.flush()
        held = held[end:]


def _end_of_blocks(octets: bytes) -> int:
    end = 0
    while len(octets) - end >= _SHORTEST_BLOCK:
        size = int.from_bytes(octets[end + 4 : end + 8], "little")
        if size < _SHORTEST_BLOCK or len(octets) - end < size:
            break
        end += size
    return end


def _unheard(status_socket: str, error: Exception) -> int:
    """Say why nobody answers, or what the bridge answers instead."""
    is_nobody_there = isinstance(error, FileNotFoundError | ConnectionRefusedError)
    hint = "; is the bridge running, and its recorder enabled?" if is_nobody_there else ""
    return _failed(capture_path(status_socket), error, hint)


def _failed(where: str, error: Exception, hint: str = "") -> int:
    reason = getattr(error, "strerror", None) or str(error)
    streams.complain(f"rtu-bridge capture: {where}: {reason}{hint}")
    return FAILED
