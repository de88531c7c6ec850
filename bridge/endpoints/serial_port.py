"""A serial port while it is open; the one module that knows pyserial and pyserial-asyncio.

Rules:
  1. A frame goes to the driver in one write. What the driver does not take at once waits in the transport;
     a port that takes nothing for `write_stall_s` counts as lost, and what waited is thrown away.
  2. Who switches between sending and receiving is settled at each opening (`bridge.endpoints.direction`).
     Only where the program does it, frames go through `_RtsTransport`. A port that cannot do what is asked
     opens all the same, with a warning: from here nobody sees whether its adapter switches by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import termios
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import serial
import serial_asyncio

from bridge.endpoints.direction import DirectionReport, DirectionSettings, arrange
from bridge.endpoints.port_problems import errno_of, remedy
from bridge.endpoints.pty_identity import is_pty, why_not_meant
from bridge.endpoints.rts_direction import RtsDirection
from bridge.endpoints.timer import Timer
from bridge.endpoints.tty_rts import TtyRts
from bridge.errors import LineError
from bridge.routing.timing import octet_time_s

_READ_OCTETS = 4096
_DRAIN_PAUSE_S = 0.002

_PARITIES = {"none": serial.PARITY_NONE, "even": serial.PARITY_EVEN, "odd": serial.PARITY_ODD}


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialSettings(DirectionSettings):
    """How to open a port. DNP3 fixes 8 data bits."""

    device: str
    baud: int
    parity: Literal["none", "even", "odd"] = "none"
    stop_bits: int = 1

    @property
    def octet_s(self) -> float:
        """The seconds that one octet takes."""
        return octet_time_s(self.baud, parity_bits=int(self.parity != "none"), stop_bits=self.stop_bits)


class PortUser(Protocol):
    """What an open port tells its owner, from the event loop."""

    def octets_heard(self, octets: bytes) -> None:
        """Octets arrived."""

    def direction_failed(self, problem: str) -> None:
        """The direction cannot be switched as it was asked any more."""

    def port_lost(self, error: Exception | None) -> None:
        """The port failed, or was closed by us."""


class _Protocol(asyncio.Protocol):
    """Ties a transport to its owner."""

    def __init__(self, user: PortUser) -> None:
        self._user = user

    def data_received(self, data: bytes) -> None:
        self._user.octets_heard(data)

    def direction_failed(self, problem: str) -> None:
        self._user.direction_failed(problem)

    def connection_lost(self, exc: Exception | None) -> None:
        self._user.port_lost(exc)


class Transport(serial_asyncio.SerialTransport):  # type: ignore[misc]
    """pyserial-asyncio's transport without what it does slowly or blocking.

    Reads and writes go straight to the descriptor, a write at once instead of after a turn of the loop;
    errors end the transport and not in the loop's exception handler; closing is `release`, off the loop.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol: _Protocol,
        port: serial.Serial,
        write_stall_s: float,
    ) -> None:
        super().__init__(loop, protocol, port)
        self._fd: int = port.fileno()
        self._write_stall_s = write_stall_s
        self._stall_timer = Timer(loop, self._on_write_stall)
        self.lost = asyncio.Event()
        self.drain_s = 0.0

    def _read_ready(self) -> None:
        try:
            octets = os.read(self._fd, _READ_OCTETS)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._abort(error)
            return
        if octets:
            self._protocol.data_received(octets)
        else:
            self._abort(OSError(errno.EIO, "hung up"))

    def write(self, data: bytes) -> None:
        """Send octets, at once as far as the driver takes them."""
        if self._closing:
            return
        if not self._write_buffer:
            data = data[self._write_some(data) :]
            if not data or self._closing:
                return
            self._stall_timer.set(self._loop.time() + self._write_stall_s)
            self._ensure_writer()
        self._write_buffer.append(data)

    def _write_ready(self) -> None:
        octets = b"".join(self._write_buffer)
        written = self._write_some(octets)
        if self._closing:
            return
        self._write_buffer[:] = [octets[written:]] if written < len(octets) else []
        if not self._write_buffer:
            self._remove_writer()
            self._stall_timer.set(None)
        elif written:
            self._stall_timer.set(self._loop.time() + self._write_stall_s)

    def _write_some(self, octets: bytes) -> int:
        try:
            return os.write(self._fd, octets)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            self._abort(error)
            return 0

    def _on_write_stall(self) -> None:
        self._abort(OSError(errno.ETIMEDOUT, f"takes no octets for {self._write_stall_s:g} s"))

    def _abort(self, exc: Exception | None) -> None:
        if not self._closing:
            super()._abort(exc)

    def _call_connection_lost(self, exc: Exception | None) -> None:
        self._stall_timer.cancel()
        self._protocol.connection_lost(exc)
        self.lost.set()

    def release(self) -> None:
        """Close the port, after what it still sends where `drain_s` says so. Blocks: for a thread."""
        port: serial.Serial = self._serial
        with contextlib.suppress(OSError, serial.SerialException, termios.error):
            self._drain(time.monotonic() + self.drain_s)
        # What is still queued would make close() wait for up to 30 s. Without that there is nothing to reset,
        # and a pty would lose what it is passing on.
        with contextlib.suppress(OSError, serial.SerialException, termios.error):
            if self._write_buffer or port.out_waiting:
                port.reset_output_buffer()
        with contextlib.suppress(OSError):
            self._let_bus_go()
        with contextlib.suppress(OSError):
            fcntl.ioctl(self._fd, termios.TIOCNXCL)
        with contextlib.suppress(OSError, serial.SerialException, termios.error):
            port.close()

    def _drain(self, until_s: float) -> None:
        rest = b"".join(self._write_buffer)
        while rest and time.monotonic() < until_s:
            with contextlib.suppress(BlockingIOError):
                rest = rest[os.write(self._fd, rest) :]
            self._write_buffer[:] = [rest] if rest else []
            time.sleep(_DRAIN_PAUSE_S)
        while self._serial.out_waiting and time.monotonic() < until_s:
            time.sleep(_DRAIN_PAUSE_S)

    def _let_bus_go(self) -> None:
        """Stop driving the bus: for the adapter or the driver to do."""


class _RtsTransport(Transport):
    """A transport that switches RTS around what it writes, and the `RtsPort` of its own switch."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol: _Protocol,
        port: serial.Serial,
        write_stall_s: float,
        settings: SerialSettings,
    ) -> None:
        super().__init__(loop, protocol, port, write_stall_s)
        self._line = TtyRts(self._fd)
        # The loop's own time is that of its last turn, in uvloop in whole milliseconds: octets counted from
        # there would end too early. Its zero is the same.
        self._switch = RtsDirection(
            self, settings, octet_s=settings.octet_s, clock=time.monotonic, on_stuck=self._on_stuck
        )
        self._switch_timer = Timer(self._loop, self._on_switch_deadline)

    def write(self, data: bytes) -> None:
        if not self._closing:
            self._switched(lambda: self._switch.write(data))

    def set_rts(self, *, is_raised: bool) -> None:
        self._line.set_rts(is_raised=is_raised)

    def put(self, octets: bytes) -> None:
        if self._closing:
            self._write_buffer.append(octets)
        else:
            super().write(octets)

    def unsent(self) -> int:
        return sum(map(len, self._write_buffer)) + self._line.unsent()

    def _on_switch_deadline(self) -> None:
        if not self._closing:
            self._switched(self._switch.on_deadline)

    def _switched(self, step: Callable[[], None]) -> None:
        try:
            step()
        except OSError as error:
            self._abort(error)
        else:
            self._switch_timer.set(self._switch.next_deadline())

    def _on_stuck(self) -> None:
        if not self._closing:
            self._protocol.direction_failed("RTS was released while the driver still counted unsent octets")

    def _call_connection_lost(self, exc: Exception | None) -> None:
        self._switch_timer.cancel()
        super()._call_connection_lost(exc)

    def _drain(self, until_s: float) -> None:
        # The loop does not touch the switch any more: this thread brings it to its end.
        self._run_switch(lambda: self._switch.is_leading, until_s)
        super()._drain(until_s)
        self._run_switch(lambda: self._switch.next_deadline() is not None, until_s)

    def _run_switch(self, is_needed: Callable[[], bool], until_s: float) -> None:
        while is_needed() and time.monotonic() < until_s:
            self._switch.on_deadline()
            time.sleep(_DRAIN_PAUSE_S)

    def _let_bus_go(self) -> None:
        self._switch.release()


@dataclass(frozen=True, slots=True)
class Opened:
    """An open port, and what it said to what it was asked."""

    port: serial.Serial
    direction: DirectionReport
    latency_refusal: str | None


def open_directed(settings: SerialSettings) -> Opened:
    """Open a port and settle its direction. Blocks. Raises `LineError`."""
    port = open_port(settings)
    try:
        direction = arrange(port.fileno(), settings.device, settings)
    except (OSError, termios.error) as error:
        port.close()
        raise LineError(errno_of(error), f"{settings.device}: {in_words(error)}") from None
    return Opened(port, direction, _ask_for_low_latency(port))


def _ask_for_low_latency(port: serial.Serial) -> str | None:
    """Let the driver pass on octets at once, and return why it does not. An FTDI adapter else waits 16 ms."""
    try:
        port.set_low_latency_mode(True)
    except (ValueError, NotImplementedError) as error:
        return str(error)
    return None


def transport_for(
    loop: asyncio.AbstractEventLoop,
    user: PortUser,
    opened: Opened,
    settings: SerialSettings,
    write_stall_s: float,
) -> Transport:
    """Begin to read and write an open port. Raises `OSError` or `termios.error` if it is gone."""
    if opened.direction.needs_rts:
        return _RtsTransport(loop, _Protocol(user), opened.port, write_stall_s, settings)
    return Transport(loop, _Protocol(user), opened.port, write_stall_s)


def open_port(settings: SerialSettings) -> serial.Serial:
    """Open a port for nobody else's use. Blocks. Raises `LineError` saying what would help."""
    device = settings.device
    refusal = why_not_meant(device)
    if refusal is not None:
        raise LineError(None, f"{device}: {refusal}")
    try:
        port = serial.Serial(
            None,
            settings.baud,
            # Asked for parity on a pty, the C library calls that invalid: it carries octets and no bits.
            parity=_PARITIES["none" if is_pty(device) else settings.parity],
            stopbits=settings.stop_bits,
            exclusive=True,
            timeout=0,
            write_timeout=0,
        )
        port.port = device
        port.rts = settings.rts_at_rest
        port.open()
    except (OSError, ValueError, termios.error) as error:
        code = errno_of(error)
        raise LineError(code, f"{device}: {remedy(code, device) or in_words(error)}") from None
    with contextlib.suppress(OSError):
        # The lock of `exclusive` binds only programs that ask for it; this binds all but root's.
        fcntl.ioctl(port.fileno(), termios.TIOCEXCL)
    return port


def in_words(error: Exception | None) -> str:
    """Return why a port failed, as half a sentence for the operator."""
    if error is None:
        return "closed"
    code = errno_of(error)
    if code in (errno.EIO, errno.ENXIO, errno.ENODEV):
        return "unplugged or hung up"
    if code is not None and isinstance(error, serial.SerialException | termios.error):
        # Their own text is more than the system's reason, or less than a sentence.
        return os.strerror(code)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)
