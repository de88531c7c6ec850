"""Who turns a half-duplex port from receiving to sending, and back.

automatic   The adapter's circuit. RS-485 settings that another program left in the driver are cleared,
            because they would drive RTS. Those that the device tree sets at boot are kept: there RTS is the
            driver's enable pin, and without them it would idle in the transmit state and jam the bus.
rs485       The driver (TIOCSRS485). What is in force is read back, since a driver changes what it is told
            without an error. The settings stay when the port closes, so that the bus stays free.
rts         `RtsDirection`, from the event loop, to about a millisecond:

  state      a frame is written                     its deadline passes
  receiving  RTS to send, wait: leading             (none)
  leading    joins those that wait                  all that wait go out: sending
  sending    goes out, the hold is extended         unsent octets: look again in 1 ms; none: trailing
  trailing   goes out: sending again                RTS to receive: receiving

  `sending` lasts for the time of the octets. A driver that then goes on counting unsent octets without
  sending any is not waited for: a bus that is never released is worse than a frame cut short.
"""

from __future__ import annotations

import errno
import math
import os
import struct
import sys
import termios
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, IntFlag, StrEnum, auto
from fcntl import ioctl
from pathlib import Path
from typing import Protocol

_TIOCGRS485 = 0x542E
_TIOCSRS485 = 0x542F
_SERIAL_RS485 = struct.Struct("3I20x")
"""`struct serial_rs485` of linux/serial.h: flags, delay before and after sending in ms, padding."""
_INT = struct.Struct("i")
_RTS = _INT.pack(termios.TIOCM_RTS)

_UNSUPPORTED = frozenset({errno.ENOTTY, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS})
_GONE = frozenset({errno.EIO, errno.ENXIO, errno.ENODEV, errno.EBADF})

_TTYS = Path("/sys/class/tty")
_BOOT_PROPERTY = "linux,rs485-enabled-at-boot-time"

_RECHECK_S = 0.001
_STUCK_S = 0.1
_STUCK_OCTETS = 128
"""More than a transmitter's FIFO, which no driver counts, and a baud rate's error over a long frame."""


class Direction(StrEnum):
    """Who switches the direction of a line."""

    AUTOMATIC = "automatic"
    RS485 = "rs485"
    RTS = "rts"


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectionSettings:
    """How the direction is switched. All but `direction` means nothing where the adapter does it."""

    direction: Direction = Direction.AUTOMATIC
    pre_transmit_s: float = 0.0
    """From RTS to the first octet. The driver takes whole milliseconds: it is told the next longer one."""
    post_transmit_s: float = 0.0
    """From the end of the last octet to RTS."""
    rts_on_send: bool = True
    """Whether RTS is raised while sending, the ordinary wiring, and not while receiving."""

    @property
    def rts_at_rest(self) -> bool:
        """Whether RTS is raised while nothing is sent. Some adapters that switch by themselves live on it."""
        return self.direction is Direction.AUTOMATIC or not self.rts_on_send


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectionReport:
    """What became of a direction's settings when the port was opened."""

    asked: Direction
    in_force: str
    """Who switches, and how, as read back from the driver where that can be read."""
    problem: str | None = None
    """In what the port does not do what was asked."""
    cleared: str | None = None
    """The RS-485 settings that another program had left, and that are gone."""
    needs_rts: bool = False
    """Whether frames have to go through `RtsDirection`."""


def arrange(descriptor: int, device: str, settings: DirectionSettings) -> DirectionReport:
    """Prepare an open port. What it refuses is a `problem`.

    Blocks. Raises `OSError` or `termios.error` if the port is gone.
    """
    match settings.direction:
        case Direction.AUTOMATIC:
            return _arrange_automatic(descriptor, device)
        case Direction.RS485:
            return _arrange_rs485(descriptor, settings)
        case Direction.RTS:
            return _arrange_rts(descriptor, settings)


def _arrange_automatic(descriptor: int, device: str) -> DirectionReport:
    found = _read_rs485(descriptor)
    if found is not None and found.is_enabled and _is_set_at_boot(device):
        in_force = f"the driver, as the device tree says: {found.in_words()}"
        return DirectionReport(asked=Direction.AUTOMATIC, in_force=in_force)
    cleared, problem = _clear_left_over(descriptor)
    return DirectionReport(
        asked=Direction.AUTOMATIC, in_force="the adapter", problem=problem, cleared=cleared
    )


# The driver's RS-485 mode


class _Flag(IntFlag):
    ENABLED = 1 << 0
    RTS_ON_SEND = 1 << 1
    RTS_AFTER_SEND = 1 << 2
    RX_DURING_TX = 1 << 4
    TERMINATE_BUS = 1 << 5


@dataclass(frozen=True, slots=True)
class _Rs485:
    flags: int = 0
    before_ms: int = 0
    after_ms: int = 0

    @property
    def is_enabled(self) -> bool:
        return bool(self.flags & _Flag.ENABLED)

    def in_words(self) -> str:
        if not self.is_enabled:
            return "off"
        return f"RTS {self.level} while sending, {self.before_ms} ms before and {self.after_ms} ms after"

    @property
    def level(self) -> str:
        return _level(is_raised=bool(self.flags & _Flag.RTS_ON_SEND))


def _arrange_rs485(descriptor: int, settings: DirectionSettings) -> DirectionReport:
    found = _read_rs485(descriptor)
    refusal = None
    asked = _Rs485()
    if found is not None:
        # A termination that the board's description switched on has nothing to do with the direction.
        asked = _Rs485(
            _Flag.ENABLED
            | (_Flag.RTS_ON_SEND if settings.rts_on_send else _Flag.RTS_AFTER_SEND)
            | (found.flags & _Flag.TERMINATE_BUS),
            _whole_ms(settings.pre_transmit_s),
            _whole_ms(settings.post_transmit_s),
        )
        refusal = _set_rs485(descriptor, asked)
    if found is None or refusal == errno.ENOTTY:
        remedy = 'if the adapter switches by itself write direction = "automatic", else "rts"'
        problem: str | None = f"the driver has no RS-485 mode; {remedy}"
        in_force = "nobody, unless the adapter does"
    else:
        read_back = _read_rs485(descriptor) or _Rs485()
        problem = _difference(asked, read_back)
        if refusal is not None:
            problem = f"the driver refuses the settings: {os.strerror(refusal)}"
        in_force = f"the driver: {read_back.in_words()}"
    return DirectionReport(asked=Direction.RS485, in_force=in_force, problem=problem)


def _difference(asked: _Rs485, read_back: _Rs485) -> str | None:
    """Say in what the driver does something else than asked; None if in nothing."""
    if not read_back.is_enabled:
        return "the driver took the settings but leaves its RS-485 mode off"
    found = []
    if read_back.level != asked.level:
        found.append(f"RTS while sending: {asked.level} asked, {read_back.level} in force")
    for name, wanted_ms, real_ms in (
        ("before", asked.before_ms, read_back.before_ms),
        ("after", asked.after_ms, read_back.after_ms),
    ):
        if real_ms != wanted_ms:
            found.append(f"delay {name} sending: {wanted_ms} ms asked, {real_ms} ms in force")
    if read_back.flags & _Flag.RX_DURING_TX:
        found.append("it receives what it sends")
    return "; ".join(found) or None


def _read_rs485(descriptor: int) -> _Rs485 | None:
    """Return the driver's RS-485 settings, None where it has none. Raises `OSError` if the port is gone."""
    try:
        octets = ioctl(descriptor, _TIOCGRS485, bytes(_SERIAL_RS485.size))
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return None
        raise
    flags, before_ms, after_ms = _SERIAL_RS485.unpack(octets)
    return _Rs485(flags, before_ms, after_ms)


def _set_rs485(descriptor: int, settings: _Rs485) -> int | None:
    """Give the driver its settings; return the code of its refusal. Raises `OSError` if the port is gone."""
    octets = _SERIAL_RS485.pack(settings.flags, settings.before_ms, settings.after_ms)
    try:
        ioctl(descriptor, _TIOCSRS485, octets)
    except OSError as error:
        if error.errno in _GONE:
            raise
        return error.errno
    return None


def _clear_left_over(descriptor: int) -> tuple[str | None, str | None]:
    """Switch the driver's RS-485 mode off. Return what it was, if it was on, or why it still is."""
    found = _read_rs485(descriptor)
    if found is None or not found.is_enabled:
        return None, None
    _set_rs485(descriptor, _Rs485())
    left = _read_rs485(descriptor)
    if left is not None and left.is_enabled:
        return None, f"the driver keeps RS-485 settings that another program left: {left.in_words()}"
    return found.in_words(), None


def _is_set_at_boot(device: str) -> bool:
    """Whether the device tree, and not a program, has switched the port's RS-485 mode on."""
    port = (_TTYS / Path(os.path.realpath(device)).name / "device").resolve()
    # Newer kernels put a controller and a port between a tty and the UART that the device tree describes.
    return any((place / "of_node" / _BOOT_PROPERTY).exists() for place in (port, *port.parents[:2]))


def _whole_ms(seconds: float) -> int:
    return math.ceil(round(seconds * 1000, 6))


def _level(*, is_raised: bool) -> str:
    return "raised" if is_raised else "lowered"


# RTS


def _arrange_rts(descriptor: int, settings: DirectionSettings) -> DirectionReport:
    # A driver in its RS-485 mode ignores what it is told about RTS.
    cleared, problem = _clear_left_over(descriptor)
    line = TtyRts(descriptor)
    try:
        line.set_rts(is_raised=settings.rts_at_rest)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        remedy = 'if the adapter switches by itself write direction = "automatic"'
        return DirectionReport(
            asked=Direction.RTS,
            in_force="nobody, unless the adapter does",
            problem=f"the port has no RTS line; {remedy}",
            cleared=cleared,
        )
    if problem is None and line.is_raised() is (not settings.rts_at_rest):
        problem = f"RTS does not follow: told to be {_level(is_raised=settings.rts_at_rest)}, it is not"
    _set_hang_up(descriptor, lowers_rts=settings.rts_on_send)
    return DirectionReport(
        asked=Direction.RTS,
        in_force=f"the bridge: RTS {_level(is_raised=settings.rts_on_send)} while sending,"
        f" {settings.pre_transmit_s * 1000:g} ms before and {settings.post_transmit_s * 1000:g} ms after",
        problem=problem,
        cleared=cleared,
        needs_rts=True,
    )


def _set_hang_up(descriptor: int, *, lowers_rts: bool) -> None:
    """Let the closing of the port lower RTS, or leave it: a closed port must not drive the bus."""
    attributes = termios.tcgetattr(descriptor)
    attributes[2] &= ~termios.HUPCL
    if lowers_rts:
        attributes[2] |= termios.HUPCL
    termios.tcsetattr(descriptor, termios.TCSANOW, attributes)


class TtyRts:
    """RTS and the transmitter of an open port. All of it raises `OSError`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._tells_transmitter = True

    def set_rts(self, *, is_raised: bool) -> None:
        """Raise or lower RTS. On a USB adapter this takes a transfer, about a millisecond."""
        ioctl(self._descriptor, termios.TIOCMBIS if is_raised else termios.TIOCMBIC, _RTS)

    def is_raised(self) -> bool | None:
        """Whether RTS is raised, None where the driver does not tell."""
        try:
            bits = _INT.unpack(ioctl(self._descriptor, termios.TIOCMGET, bytes(_INT.size)))[0]
        except OSError as error:
            if error.errno in _UNSUPPORTED:
                return None
            raise
        return bool(bits & termios.TIOCM_RTS)

    def unsent(self) -> int:
        """Return how many octets the driver has; 1 also for what its transmitter still shifts out."""
        queued: int = _INT.unpack(ioctl(self._descriptor, termios.TIOCOUTQ, bytes(_INT.size)))[0]
        if queued or not self._tells_transmitter:
            return queued
        try:
            status = _INT.unpack(ioctl(self._descriptor, termios.TIOCSERGETLSR, bytes(_INT.size)))[0]
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            self._tells_transmitter = False
            return 0
        return 0 if status & termios.TIOCSER_TEMT else 1


class RtsPort(Protocol):
    """What `RtsDirection` switches."""

    def set_rts(self, *, is_raised: bool) -> None:
        """Raise or lower RTS."""

    def put(self, octets: bytes) -> None:
        """Send octets, at once."""

    def unsent(self) -> int:
        """Return how many octets have not left yet, as far as that is known."""


class _State(Enum):
    RECEIVING = auto()
    LEADING = auto()
    SENDING = auto()
    TRAILING = auto()


class RtsDirection:
    """Switches RTS around frames; the rules are on top of this file.

    `clock` gives monotonic seconds. It is no argument `now`, because setting RTS takes time. `on_stuck` is
    told when RTS is released although octets are still unsent, as the driver counts. What the port raises
    passes through, and leaves the direction to `release`.
    """

    def __init__(
        self,
        port: RtsPort,
        settings: DirectionSettings,
        *,
        octet_s: float,
        clock: Callable[[], float],
        on_stuck: Callable[[], None],
    ) -> None:
        self._port = port
        self._settings = settings
        self._octet_s = octet_s
        self._clock = clock
        self._on_stuck = on_stuck
        self._state = _State.RECEIVING
        self._deadline: float | None = None
        self._waiting: list[bytes] = []
        self._sent_s = -math.inf
        self._least_unsent = sys.maxsize
        self._shrunk_s = -math.inf

    @property
    def is_leading(self) -> bool:
        """Whether frames wait for the end of the pre-transmit time."""
        return self._state is _State.LEADING

    def next_deadline(self) -> float | None:
        """When to call `on_deadline`, None while nothing is sent."""
        return self._deadline

    def write(self, octets: bytes) -> None:
        """Send a frame, now or when the pre-transmit time is over."""
        match self._state:
            case _State.RECEIVING:
                self._port.set_rts(is_raised=self._settings.rts_on_send)
                self._state = _State.LEADING
                self._deadline = self._clock() + self._settings.pre_transmit_s
                self._waiting.append(octets)
                if self._settings.pre_transmit_s <= 0:
                    self._send_waiting()
            case _State.LEADING:
                self._waiting.append(octets)
            case _State.SENDING | _State.TRAILING:
                self._send(octets)

    def on_deadline(self) -> None:
        """Go on if the deadline has passed."""
        if self._deadline is None or self._clock() < self._deadline:
            return
        match self._state:
            case _State.LEADING:
                self._send_waiting()
            case _State.SENDING:
                self._look_whether_sent()
            case _State.TRAILING:
                self.release()

    def release(self) -> None:
        """Put RTS to receive, whatever is being sent, and forget what waits."""
        self._state = _State.RECEIVING
        self._deadline = None
        self._waiting.clear()
        self._port.set_rts(is_raised=not self._settings.rts_on_send)

    def _send_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for octets in waiting:
            self._send(octets)

    def _send(self, octets: bytes) -> None:
        self._state = _State.SENDING
        self._port.put(octets)
        self._sent_s = max(self._sent_s, self._clock()) + len(octets) * self._octet_s
        self._deadline = self._sent_s
        self._least_unsent = sys.maxsize

    def _look_whether_sent(self) -> None:
        unsent = self._port.unsent()
        now = self._clock()
        if unsent and not self._is_stuck(unsent, now):
            self._deadline = now + _RECHECK_S
            return
        if unsent:
            self._on_stuck()
        self._state = _State.TRAILING
        self._deadline = now + self._settings.post_transmit_s
        if self._settings.post_transmit_s <= 0:
            self.release()

    def _is_stuck(self, unsent: int, now: float) -> bool:
        if unsent < self._least_unsent:
            self._least_unsent = unsent
            self._shrunk_s = now
        return now >= self._shrunk_s + _STUCK_S + _STUCK_OCTETS * self._octet_s
