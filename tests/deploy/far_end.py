"""What is connected to a serial port of the guest: a raw RTU, or a cable to one on a pty of this machine."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.link_frames import take_frame
from tests.support.ptys import Pty

_READ_WITHIN_S = 60.0


class FarEnd:
    """What is connected to a port of the guest: an RTU that does exactly what a test says."""

    def __init__(self, path: Path) -> None:
        """Connect; a USB adapter is plugged in by that."""
        self._socket = connect(path)
        self._octets = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect; a USB adapter is pulled out by that."""
        self._socket.close()

    def read_frame(self) -> bytes:
        """Return the next frame heard; nothing but frames may come."""
        while (frame := take_frame(self._octets)) is None:
            octets = self._socket.recv(65536)
            assert octets, "the guest ended instead of sending a frame"
            self._octets += octets
        return frame

    def write(self, octets: bytes) -> None:
        """Send octets as they are."""
        self._socket.sendall(octets)


class Cable:
    """A line of this machine: its RTU opens the pty `device`, the other end goes into a port of the guest."""

    def __init__(self) -> None:
        self._pty = Pty()
        self.device = self._pty.device

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pty.unplug()

    @contextmanager
    def plugged_into(self, path: Path) -> Iterator[None]:
        """Connect the two for a block. What the RTU said to nobody before is lost."""
        self._pty.read()
        with connect(path) as port:
            carrier = threading.Thread(target=self._carry, args=(port,), daemon=True)
            carrier.start()
            try:
                yield
            finally:
                with contextlib.suppress(OSError):  # the guest may have been switched off
                    port.shutdown(socket.SHUT_RDWR)
                carrier.join(_READ_WITHIN_S)

    def _carry(self, port: socket.socket) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                readable, _, _ = select.select([port, self._pty.far], [], [])
                if port in readable:
                    if not (octets := port.recv(65536)):
                        return
                    self._pty.write(octets)
                if self._pty.far in readable:
                    port.sendall(self._pty.read())


def connect(path: Path) -> socket.socket:
    """Return a socket that is connected to a port; a USB adapter is plugged in by that."""
    port = socket.socket(socket.AF_UNIX)
    port.settimeout(_READ_WITHIN_S)
    port.connect(str(path))
    return port
