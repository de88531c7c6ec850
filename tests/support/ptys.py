"""The device side of serial lines: ptys that answer, keep silent, are pulled out and put back elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import time
import tty
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from bridge.link.frame import Frame
from bridge.link.framer import LinkErrorMode, LinkFramer

_READ_OCTETS = 65536
_FRAME_TIMEOUT_S = 60.0
_SURELY_FULL = 20


class Pty:
    """A pty pair: a line opens `device`, the test holds the far end. Plain descriptors, nothing waits.

    The near end stays open here too, so that a line that closes its own is no hang-up for the device.
    """

    def __init__(self) -> None:
        self.far, self._near = pty.openpty()
        tty.setraw(self._near)
        os.set_blocking(self.far, False)
        self.device = os.ttyname(self._near)
        self.is_plugged_in = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unplug()

    def write(self, octets: bytes) -> None:
        """Let the device say something."""
        assert os.write(self.far, octets) == len(octets), "the pty is full"

    def read(self) -> bytes:
        """Return what the line wrote until now."""
        octets = b""
        with contextlib.suppress(BlockingIOError):
            while part := os.read(self.far, _READ_OCTETS):
                octets += part
        return octets

    def fill(self) -> None:
        """Let the device take nothing more until it reads: what the line writes has no place."""
        os.set_blocking(self._near, False)
        refused = 0
        while refused < _SURELY_FULL:
            try:
                os.write(self._near, b"\0")
                refused = 0
            except BlockingIOError:
                # The kernel may still be moving octets on, which makes room.
                refused += 1
                time.sleep(0.001)

    def unplug(self) -> None:
        """Hang up: whoever has the device open reads its end. Harmless when repeated."""
        if self.is_plugged_in:
            self.is_plugged_in = False
            os.close(self.far)
            os.close(self._near)


class Jack:
    """Where adapters are plugged in: a symlink to the pty of the moment, as udev makes one."""

    def __init__(self, path: Path) -> None:
        self.device = str(path)
        self._path = path

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._path.unlink(missing_ok=True)

    def plug_in(self, adapter: Pty) -> None:
        """Let the symlink lead to this pty."""
        new = self._path.with_suffix(".new")
        new.symlink_to(adapter.device)
        new.replace(self._path)

    def plug_out(self) -> None:
        """Take the symlink away."""
        self._path.unlink()


Answer = Callable[[Frame], bytes | None]


class Device:
    """Keeps the frames that a line sends to a pty, and answers each with `answer(frame)`, at once."""

    def __init__(self, adapter: Pty, answer: Answer = lambda frame: None) -> None:
        self.frames: list[Frame] = []
        self.answer = answer
        self.framer = LinkFramer(LinkErrorMode.DISCARD, frame_timeout_s=_FRAME_TIMEOUT_S)
        self._pty = adapter
        self._loop = asyncio.get_running_loop()
        self._is_reading = False
        self.listen()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ignore()

    def listen(self) -> None:
        """Read what comes, from now on."""
        self._loop.add_reader(self._pty.far, self._read)
        self._is_reading = True

    def ignore(self) -> None:
        """Read nothing any more: what the line writes stays in the pty, until that is full."""
        if self._is_reading:
            self._is_reading = False
            self._loop.remove_reader(self._pty.far)

    def _read(self) -> None:
        for frame in self.framer.receive(self._pty.read(), self._loop.time()):
            self.frames.append(frame)
            octets = self.answer(frame)
            if octets is not None:
                self._pty.write(octets)
