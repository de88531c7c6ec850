"""A master on a socket and an RTU on a serial port that do exactly what a test says, octet by octet."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import termios
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.link_frames import take_frame
from tests.support.waiting import PATIENCE_S, until

_READ_OCTETS = 65536


class _FrameReader:
    """Reads whole frames from a descriptor, and fails on anything else."""

    def __init__(self, receive: Callable[[], bytes]) -> None:
        self._receive = receive
        self._octets = bytearray()

    def read_frame(self, what: str = "a frame") -> bytes:
        """Return the next frame; `what` it is goes into the message when none comes."""
        while (frame := take_frame(self._octets)) is None:
            octets = self._receive()
            assert octets, f"the end instead of {what}"
            self._octets += octets
        return frame

    @property
    def unread(self) -> bytes:
        """Octets received and not returned as a frame."""
        return bytes(self._octets)


class RawMaster:
    """A TCP master without a protocol stack."""

    def __init__(self, host: str, port: int, *, source: str = "127.0.0.1") -> None:
        """Connect from `source`. What is sent leaves at once, a segment for each `send`."""
        self._socket = socket.create_connection((host, port), PATIENCE_S, (source, 0))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = _FrameReader(lambda: self._socket.recv(_READ_OCTETS))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def name(self) -> str:
        """Its own "address:port", as the bridge logs it."""
        host, port = self._socket.getsockname()
        return f"{host}:{port}"

    def send(self, octets: bytes) -> None:
        """Send octets as they are."""
        self._socket.sendall(octets)

    def read_frame(self) -> bytes:
        """Return the next frame that the bridge sends; nothing but frames may come."""
        return self._reader.read_frame(f"a frame for {self.name}")

    def read_to_the_end(self) -> bytes:
        """Wait until the bridge ends the connection and return what came before that."""
        rest = bytearray(self._reader.unread)
        with contextlib.suppress(ConnectionResetError):
            while octets := self._socket.recv(_READ_OCTETS):
                rest += octets
        return bytes(rest)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def reset(self) -> None:
        """Be gone as a program that crashed: with RST."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()


class RawRtu:
    """A serial device without a protocol stack."""

    def __init__(self, path: str | Path) -> None:
        """Open the port at `path`."""
        self._port = os.open(path, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self._port)
        termios.tcflush(self._port, termios.TCIOFLUSH)
        self._reader = _FrameReader(self._receive)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._port)

    def read_frame(self) -> bytes:
        """Return the next frame heard on the line; nothing but frames may come."""
        return self._reader.read_frame("a frame for the RTU")

    def has_octets(self) -> bool:
        """Whether octets wait to be read."""
        return bool(select.select([self._port], [], [], 0)[0])

    def write(self, octets: bytes) -> None:
        """Send octets as they are."""
        while octets:
            octets = octets[os.write(self._port, octets) :]

    @contextmanager
    def answering(self, answer: Callable[[bytes], bytes | None]) -> Iterator[list[bytes]]:
        """Answer each frame with `answer(frame)` in a thread; yields the frames heard, as they come."""
        heard: list[bytes] = []
        failures: list[BaseException] = []
        is_over = threading.Event()

        def serve() -> None:
            try:
                while not is_over.is_set():
                    if not select.select([self._port], [], [], 0.05)[0]:
                        continue
                    frame = self.read_frame()
                    heard.append(frame)
                    if (octets := answer(frame)) is not None:
                        self.write(octets)
            except BaseException as failure:
                failures.append(failure)

        thread = threading.Thread(target=serve, daemon=True, name="raw RTU")
        thread.start()
        try:
            yield heard
        finally:
            is_over.set()
            thread.join(PATIENCE_S)
        assert not failures, failures

    def _receive(self) -> bytes:
        until(self.has_octets, "octets for the RTU")
        return os.read(self._port, _READ_OCTETS)
