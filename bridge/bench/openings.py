"""Who has opened a pty, told by Linux' inotify: a pty itself does not say.

A serial port that nobody has opened buffers nothing, and one that was closed forgets. A pty keeps 4 KiB of
what it was told for whoever opens it an hour later. So its owner has to know.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass

_IN_CLOSE = 0x08 | 0x10
_IN_OPEN = 0x20
_EVENT = struct.Struct("iIII")
_READ_OCTETS = 65536


@dataclass(frozen=True, slots=True)
class Opening:
    """A watched path was opened or closed once more."""

    watch: int
    is_open: bool


class Openings:
    """Watches paths. `descriptor` is readable when `read` has something to say. Raises OSError when made."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.descriptor: int = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.descriptor < 0:
            raise OSError(ctypes.get_errno(), "cannot watch who opens a pty (inotify_init1)")

    def watch(self, path: str) -> int:
        """Watch a path and return its number. What was opened before is not told."""
        number: int = self._libc.inotify_add_watch(
            self.descriptor, os.fsencode(path), ctypes.c_uint32(_IN_OPEN | _IN_CLOSE)
        )
        if number < 0:
            raise OSError(ctypes.get_errno(), "cannot watch who opens a pty (inotify_add_watch)", path)
        return number

    def read(self) -> Iterator[Opening]:
        """Yield what happened since the last call, in order."""
        with contextlib.suppress(BlockingIOError):
            while True:
                events = os.read(self.descriptor, _READ_OCTETS)
                at = 0
                while at < len(events):
                    watch, mask, _, name_octets = _EVENT.unpack_from(events, at)
                    at += _EVENT.size + name_octets
                    if mask & (_IN_OPEN | _IN_CLOSE):
                        yield Opening(watch, bool(mask & _IN_OPEN))

    def close(self) -> None:
        """Watch nothing any more."""
        os.close(self.descriptor)
