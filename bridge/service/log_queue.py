"""Log lines that a thread writes, so that a standard error which nobody reads stops neither bridge nor exit.

Rules:
  1. Whoever logs never waits. The line is made at once and put into a bounded queue; the thread writes it.
  2. When the queue is full, lines are dropped and counted until half of it is free. The next line is their
     number.
  3. Of one event at most 50 lines in any second pass; the next line of that event says how many did not.
  4. At the end the thread has 0.3 s for the rest.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import select
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from logging.handlers import QueueHandler, QueueListener
from typing import Final

from bridge.service.logs import priority_of
from bridge.service.streams import is_journal

_QUEUE_LINES: Final = 2048
_ENOUGH_ROOM_LINES: Final = _QUEUE_LINES // 2
_END_S: Final = 0.3
_LINES_A_SECOND: Final = 50
_KNOWN_EVENTS: Final = 512
"""Events have few names; the texts of other libraries, which are told apart like events, may be many."""


@dataclass(slots=True)
class LogCounters:
    """Lines that were not written: for want of room, and for being too many of one event."""

    dropped: int = 0
    suppressed: int = 0


@dataclass(slots=True)
class _Rate:
    passed_s: deque[float] = field(default_factory=lambda: deque(maxlen=_LINES_A_SECOND))
    suppressed: int = 0


class RateLimit(logging.Filter):
    """Lets at most 50 lines of one event pass in any second, and adds `suppressed` to the next that does."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, *, counters: LogCounters | None = None
    ) -> None:
        super().__init__()
        self._clock = clock
        self._counters = counters or LogCounters()
        self._rates: dict[str, _Rate] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether the line passes."""
        now_s = self._clock()
        rate = self._rate_of(str(record.msg))
        if len(rate.passed_s) == _LINES_A_SECOND and now_s - rate.passed_s[0] < 1:
            rate.suppressed += 1
            self._counters.suppressed += 1
            return False
        rate.passed_s.append(now_s)
        if rate.suppressed:
            record.fields = {**getattr(record, "fields", {}), "suppressed": rate.suppressed}
            rate.suppressed = 0
        return True

    def _rate_of(self, event: str) -> _Rate:
        if event not in self._rates and len(self._rates) >= _KNOWN_EVENTS:
            self._rates.clear()
        return self._rates.setdefault(event, _Rate())


class _LineHandler(QueueHandler):
    """Makes the line at once and queues it: `prepare` of the base class makes it the record's `msg`."""

    def __init__(self, formatter: logging.Formatter | None) -> None:
        self.lines: queue.Queue[logging.LogRecord | None] = queue.Queue(_QUEUE_LINES)
        self.counters = LogCounters()
        self._lost = 0
        super().__init__(self.lines)
        self.setFormatter(formatter)
        self.addFilter(RateLimit(counters=self.counters))

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the line or count it as lost."""
        self.report_losses()
        # Without the wait for more room every second line would be a report, as long as the reader is slow.
        if self._lost:
            self._lose()
        else:
            super().emit(record)

    def enqueue(self, record: logging.LogRecord) -> None:
        """Queue the line if there is room."""
        try:
            self.lines.put_nowait(record)
        except queue.Full:
            self._lose()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Count a line that could not be made. The base class prints a traceback, and that can block."""
        self._lose()

    def report_losses(self) -> None:
        """Queue the number of lost lines if there is room for more than that."""
        with self._locked():
            if self._lost and self.lines.qsize() <= _ENOUGH_ROOM_LINES:
                self.lines.put_nowait(self._taken_losses())

    def close_queue(self, within_s: float) -> bool:
        """Queue the last report and the end; tell whether they found room in time."""
        deadline_s = time.monotonic() + within_s
        with self._locked():
            last = [self._taken_losses(), None] if self._lost else [None]
        try:
            for record in last:
                self.lines.put(record, timeout=max(0.0, deadline_s - time.monotonic()))
        except queue.Full:
            return False
        return True

    def _lose(self) -> None:
        self._lost += 1
        self.counters.dropped += 1

    def _taken_losses(self) -> logging.LogRecord:
        lost, self._lost = self._lost, 0
        report = {"levelno": logging.WARNING, "levelname": "WARNING", "fields": {"count": lost}}
        record: logging.LogRecord = self.prepare(
            logging.makeLogRecord({"name": "bridge", "msg": "log lines dropped", **report})
        )
        return record

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # Held for as long as a line takes to be made and queued, never while one is written.
        self.acquire()
        try:
            yield
        finally:
            self.release()


class _Writer(QueueListener):
    """The thread. It writes past `sys.stderr`, whose lock would be held at exit when a write is stuck."""

    def __init__(self, handler: _LineHandler, descriptor: int) -> None:
        super().__init__(handler.lines)
        self._handler = handler
        self._descriptor = descriptor
        self._is_given_up = False
        self._encoding = getattr(sys.stderr, "encoding", None) or "utf-8"

    def dequeue(self, block: bool) -> logging.LogRecord:
        """Take the next line, and report losses as soon as there is room."""
        if self._is_given_up:
            # To the base class: there is no more.
            raise queue.Empty
        record = super().dequeue(block)
        self._handler.report_losses()
        return record

    def handle(self, record: logging.LogRecord) -> None:
        """Write a line."""
        octets = f"{record.msg}\n".encode(self._encoding, "backslashreplace")
        # A full disk, a reader that is gone: there is nobody to tell.
        with contextlib.suppress(OSError):
            _write(self._descriptor, octets)

    def close(self) -> bool:
        """Let the rest be written, within 0.3 s; tell whether it was."""
        deadline_s = time.monotonic() + _END_S
        is_end_queued = self._handler.close_queue(_END_S)
        if is_end_queued and self._thread is not None:
            self._thread.join(max(0.0, deadline_s - time.monotonic()))
            if not self._thread.is_alive():
                return True
        self._is_given_up = True
        return False


@contextmanager
def in_background(descriptor: int = 2) -> Iterator[LogCounters]:
    """Inside the block, let a thread write what the root logger's handler would; count what it does not."""
    root = logging.getLogger()
    direct = root.handlers[:]
    handler = _LineHandler(direct[0].formatter)
    writer = _Writer(handler, descriptor)
    writer.start()
    root.handlers[:] = [handler]
    try:
        yield handler.counters
    finally:
        # What is logged at exit may be written directly only if that cannot get stuck.
        root.handlers[:] = direct if writer.close() else [logging.NullHandler()]


def say(text: str) -> None:
    """Print what went wrong to standard error, unless nobody takes it within 0.3 s."""
    text = f"<{priority_of(logging.ERROR)}>{text}" if is_journal() else text
    with contextlib.suppress(OSError):
        if _is_writable(2, _END_S):
            os.write(2, f"{text}\n".encode("utf-8", "backslashreplace"))


def _write(descriptor: int, octets: bytes) -> None:
    while octets:
        try:
            octets = octets[os.write(descriptor, octets) :]
        except BlockingIOError:
            # Somebody made it non-blocking, for all who share it.
            _is_writable(descriptor, None)


def _is_writable(descriptor: int, within_s: float | None) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(None if within_s is None else within_s * 1000))
