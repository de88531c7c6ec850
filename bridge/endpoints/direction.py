"""Who turns a half-duplex port from receiving to sending, and back.

automatic   The adapter's circuit. RS-485 settings that another program left in the driver are cleared,
            because they would drive RTS. Those that the device tree sets at boot are kept: there RTS is the
            driver's enable pin, and without them it would idle in the transmit state and jam the bus.
rs485       The driver (TIOCSRS485). What is in force is read back, since a driver changes what it is told
            without an error. The settings stay when the port closes, so that the bus stays free.
rts         The program (`bridge.endpoints.rts_direction`).
"""

from __future__ import annotations

import errno
import math
import os
from dataclasses import dataclass
from enum import StrEnum

from bridge.endpoints.ioctl_errors import UNSUPPORTED
from bridge.endpoints.rs485_mode import (
    Rs485Flag,
    Rs485Mode,
    clear_left_over,
    difference,
    in_a_word,
    is_set_at_boot,
    read_mode,
    set_mode,
)
from bridge.endpoints.tty_rts import TtyRts, set_hang_up


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
    found = read_mode(descriptor)
    if found is not None and found.is_enabled and is_set_at_boot(device):
        in_force = f"the driver, as the device tree says: {found.in_words()}"
        return DirectionReport(asked=Direction.AUTOMATIC, in_force=in_force)
    cleared, problem = clear_left_over(descriptor)
    return DirectionReport(
        asked=Direction.AUTOMATIC, in_force="the adapter", problem=problem, cleared=cleared
    )


def _arrange_rs485(descriptor: int, settings: DirectionSettings) -> DirectionReport:
    found = read_mode(descriptor)
    refusal = None
    asked = Rs485Mode()
    if found is not None:
        # A termination that the board's description switched on has nothing to do with the direction.
        asked = Rs485Mode(
            Rs485Flag.ENABLED
            | (Rs485Flag.RTS_ON_SEND if settings.rts_on_send else Rs485Flag.RTS_AFTER_SEND)
            | (found.flags & Rs485Flag.TERMINATE_BUS),
            _whole_ms(settings.pre_transmit_s),
            _whole_ms(settings.post_transmit_s),
        )
        refusal = set_mode(descriptor, asked)
    if found is None or refusal == errno.ENOTTY:
        remedy = 'if the adapter switches by itself write direction = "automatic", else "rts"'
        problem: str | None = f"the driver has no RS-485 mode; {remedy}"
        in_force = "nobody, unless the adapter does"
    else:
        read_back = read_mode(descriptor) or Rs485Mode()
        problem = difference(asked, read_back)
        if refusal is not None:
            problem = f"the driver refuses the settings: {os.strerror(refusal)}"
        in_force = f"the driver: {read_back.in_words()}"
    return DirectionReport(asked=Direction.RS485, in_force=in_force, problem=problem)


def _arrange_rts(descriptor: int, settings: DirectionSettings) -> DirectionReport:
    # A driver in its RS-485 mode ignores what it is told about RTS.
    cleared, problem = clear_left_over(descriptor)
    line = TtyRts(descriptor)
    try:
        line.set_rts(is_raised=settings.rts_at_rest)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        remedy = 'if the adapter switches by itself write direction = "automatic"'
        return DirectionReport(
            asked=Direction.RTS,
            in_force="nobody, unless the adapter does",
            problem=f"the port has no RTS line; {remedy}",
            cleared=cleared,
        )
    if problem is None and line.is_raised() is (not settings.rts_at_rest):
        problem = f"RTS does not follow: told to be {in_a_word(is_raised=settings.rts_at_rest)}, it is not"
    set_hang_up(descriptor, lowers_rts=settings.rts_on_send)
    return DirectionReport(
        asked=Direction.RTS,
        in_force=f"the bridge: RTS {in_a_word(is_raised=settings.rts_on_send)} while sending,"
        f" {settings.pre_transmit_s * 1000:g} ms before and {settings.post_transmit_s * 1000:g} ms after",
        problem=problem,
        cleared=cleared,
        needs_rts=True,
    )


def _whole_ms(seconds: float) -> int:
    return math.ceil(round(seconds * 1000, 6))
