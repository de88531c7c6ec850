"""A serial port that comes and goes.

Rules:
  1. Opening and closing can block (a modem's handshake, an output queue that drains): that is for a thread.
  2. A port that cannot be opened, errors or vanishes is `down` and retried with back-off, for ever.
  3. A reset is a port that is lost on purpose. One that is down is tried at once.
"""

from __future__ import annotations

import asyncio
import logging
import termios
from dataclasses import replace
from typing import Protocol

from bridge.endpoints.direction import DirectionReport
from bridge.endpoints.events import note, warn
from bridge.endpoints.serial_port import (
    Opened,
    SerialSettings,
    Transport,
    in_words,
    open_directed,
    transport_for,
)
from bridge.endpoints.threads import in_thread
from bridge.endpoints.timer import Timer
from bridge.errors import LineError

_FIRST_RETRY_S = 0.1
_LONGEST_RETRY_S = 2.0
_SLOW_OPEN_S = 5.0
_RESET_DRAIN_S = 0.5
"""For the frame that is being sent: half a frame is worse than a line that is back a moment later."""


class LineUser(Protocol):
    """What a line tells its owner, from the event loop."""

    def line_opened(self) -> None:
        """The port is open and its buffers are clean."""

    def octets_heard(self, octets: bytes) -> None:
        """Octets arrived."""

    def line_lost(self, reason: str) -> None:
        """The port is gone; what was being sent is lost. Called once for each `line_opened`."""


class SerialLine:
    """Keeps one serial port open. `start`, then `write` while `is_open`, then `await close()`."""

    def __init__(self, name: str, settings: SerialSettings, user: LineUser, *, write_stall_s: float) -> None:
        self.name = name
        self.settings = settings
        self._user = user
        self._write_stall_s = write_stall_s
        self._loop = asyncio.get_running_loop()
        self._transport: Transport | None = None
        self._retry_timer = Timer(self._loop, self._open)
        self._slow_timer = Timer(self._loop, self._report_slow_open)
        self._retry_s = _FIRST_RETRY_S
        self._is_closed = False
        self._awaits_retry = False
        self._closing: list[asyncio.Future[None]] = []
        self.reason: str | None = "not opened yet"
        """Why the line is down; None while it is open."""
        self.attempted = asyncio.Event()
        """Set after the first attempt to open the port, however it went."""
        self.direction_report = _unopened(settings)
        """Who switches the direction, what was asked, and in what the port does something else."""
        self.openings = 0
        self.losses = 0
        self._down_since_s = self._loop.time()
        self.is_resetting = False
        """Whether a reset was asked for, and the port was not tried since."""

    @property
    def is_open(self) -> bool:
        """Whether octets can be written."""
        return self._transport is not None

    def start(self) -> None:
        """Begin to open the port; the user hears when it is."""
        self._open()

    def write(self, octets: bytes) -> None:
        """Send a frame. On a line that is down nothing happens: the user was told."""
        if self._transport is not None:
            self._transport.write(octets)

    def reset(self) -> None:
        """Close the port, after what it is sending, and open it again. Harmless when repeated."""
        if self._is_closed or self.is_resetting:
            return
        self.is_resetting = True
        self._retry_s = _FIRST_RETRY_S
        if self._transport is not None:
            self._transport.drain_s = _RESET_DRAIN_S
            self._transport.abort()
        elif self._awaits_retry:
            self._retry_timer.set(self._loop.time())

    async def close(self, *, drain_s: float) -> None:
        """Send what is being sent, for `drain_s` seconds at most, and let the port go."""
        self._is_closed = True
        self._retry_timer.cancel()
        self._slow_timer.cancel()
        if self._transport is not None:
            self._transport.drain_s = drain_s
            self._transport.abort()
            await self._transport.lost.wait()
        if self._closing:
            await asyncio.wait(self._closing, timeout=drain_s + 0.25)

    # Opening

    def _open(self) -> None:
        self._awaits_retry = False
        self._slow_timer.set(self._loop.time() + _SLOW_OPEN_S)
        future = in_thread(self._loop, lambda: open_directed(self.settings), "serial port")
        future.add_done_callback(self._on_open_result)

    def _on_open_result(self, future: asyncio.Future[Opened]) -> None:
        self._slow_timer.set(None)
        self.attempted.set()
        self.is_resetting = False
        error = future.exception()
        if error is None and self._is_closed:
            future.result().port.close()
        elif error is None:
            self._take(future.result())
        elif not self._is_closed:
            self._set_reason(str(error.strerror if isinstance(error, LineError) else error))
            self._retry()

    def _take(self, opened: Opened) -> None:
        try:
            self._transport = transport_for(self._loop, self, opened, self.settings, self._write_stall_s)
        except (OSError, termios.error) as error:
            # It was pulled out between the thread and here.
            opened.port.close()
            self._set_reason(in_words(error))
            self._retry()
            return
        self._retry_s = _FIRST_RETRY_S
        self.reason = None
        self.openings += 1
        self.direction_report = opened.direction
        note(
            "line up",
            line=self.name,
            device=self.settings.device,
            baud=self.settings.baud,
            direction=opened.direction.in_force,
            after_s=round(self._loop.time() - self._down_since_s, 3),
        )
        self._report_opening(opened)
        self._user.line_opened()

    def _report_opening(self, opened: Opened) -> None:
        if opened.direction.cleared is not None:
            note(
                "left-over RS-485 settings cleared",
                line=self.name,
                device=self.settings.device,
                settings=opened.direction.cleared,
                remedy='if the board needs them write direction = "rs485"',
            )
        if opened.direction.problem is not None:
            self._warn_of_direction(opened.direction.problem)
        if opened.latency_refusal is not None:
            note("no low latency", level=logging.DEBUG, line=self.name, reason=opened.latency_refusal)

    def _warn_of_direction(self, problem: str) -> None:
        warn(
            "direction not as asked",
            line=self.name,
            device=self.settings.device,
            asked=str(self.settings.direction),
            problem=problem,
        )

    def _retry(self) -> None:
        self._awaits_retry = True
        self._retry_timer.set(self._loop.time() + self._retry_s)
        self._retry_s = min(2 * self._retry_s, _LONGEST_RETRY_S)

    def _set_reason(self, reason: str) -> None:
        """Log a reason when it is another than before: a port that is missing all day is one line."""
        reason = reason.removeprefix(f"{self.settings.device}: ")
        if reason != self.reason:
            warn("line down", line=self.name, device=self.settings.device, reason=reason)
        self.reason = reason

    def _report_slow_open(self) -> None:
        self._set_reason(f"the driver has not opened it for {_SLOW_OPEN_S:g} s")

    # From the transport

    def octets_heard(self, octets: bytes) -> None:
        """Pass on what arrived."""
        self._user.octets_heard(octets)

    def direction_failed(self, problem: str) -> None:
        """The direction was switched otherwise than it should be. Warns once in an opening."""
        if problem != self.direction_report.problem:
            self.direction_report = replace(self.direction_report, problem=problem)
            self._warn_of_direction(problem)

    def port_lost(self, error: Exception | None) -> None:
        """The port failed, or was closed by us."""
        transport = self._transport
        if transport is None:
            return
        self._transport = None
        self.direction_report = _unopened(self.settings)
        self.losses += 1
        self._down_since_s = self._loop.time()
        closing = in_thread(self._loop, transport.release, "serial port")
        self._closing = [future for future in self._closing if not future.done()]
        self._closing.append(closing)
        if self._is_closed:
            self.reason = "closed"
        else:
            self._set_reason("it is being reset" if self.is_resetting and error is None else in_words(error))
            # The old descriptor goes first: the port is exclusive.
            closing.add_done_callback(lambda _: None if self._is_closed else self._retry())
        self._user.line_lost(self.reason or "")


def _unopened(settings: SerialSettings) -> DirectionReport:
    return DirectionReport(asked=settings.direction, in_force="the port is not open")
