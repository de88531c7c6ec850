"""The thread that carries octets between ptys, for all bench lines that share it.

It wakes when somebody writes, or when the next portion is due, at most once a millisecond; every wake carries
all that is due. So times are right to about a millisecond, and a fast line wakes it no more than a slow one.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from types import TracebackType
from typing import Protocol, Self

from bridge.bench.openings import Openings
from bridge.bench.port import Port

_WAKE_S = 0.001


class LoopUser(Protocol):
    """A line, as the loop sees it. Its methods are called with the loop's lock held."""

    def heard(self, port: Port, now: float) -> None:
        """A port has something to read."""

    def carry(self, now: float) -> float | None:
        """Deliver what is due and return the next deadline."""


class Bench:
    """Runs any number of bench lines in one thread, from the first `add` to `close`. Thread-safe."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        """Held by the thread while it works; whoever changes a line holds it."""
        self._poll = select.epoll()
        self._openings = Openings()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        for descriptor in (self._wake, self._openings.descriptor):
            self._poll.register(descriptor, select.EPOLLIN)
        self._ports: dict[int, tuple[Port, LoopUser]] = {}
        self._watches: dict[int, Port] = {}
        self._deadlines: dict[LoopUser, float | None] = {}
        self._thread: threading.Thread | None = None
        self._is_over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the thread. Lines that still stand carry nothing any more. A second call does nothing."""
        with self.lock:
            if self._is_over:
                return
            self._is_over = True
            os.eventfd_write(self._wake, 1)
        if self._thread is not None:
            self._thread.join()
        self._poll.close()
        self._openings.close()
        os.close(self._wake)

    def add(self, user: LoopUser) -> None:
        """Let a line take part."""
        with self.lock:
            if self._is_over:
                raise RuntimeError("the bench is closed")
            self._deadlines[user] = None
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True, name="bench")
                self._thread.start()

    def remove(self, user: LoopUser) -> None:
        """Forget a line, whose ports were removed before."""
        with self.lock:
            self._deadlines.pop(user, None)

    def add_port(self, user: LoopUser, port: Port) -> None:
        """Listen to a port and to who opens it."""
        with self.lock:
            self._watches[self._openings.watch(port.path)] = port
            self._ports[port.descriptor] = (port, user)
            self._poll.register(port.descriptor, select.EPOLLIN)

    def remove_port(self, port: Port) -> None:
        """Forget a port; the caller closes it, before anybody else gets the lock."""
        with self.lock:
            if not self._is_over:
                self._poll.unregister(port.descriptor)
            del self._ports[port.descriptor]
            self._watches = {watch: each for watch, each in self._watches.items() if each is not port}

    def listen(self, port: Port, *, is_listening: bool) -> None:
        """Go on or stop reading a port: who writes more than the line takes has to wait."""
        self._poll.modify(port.descriptor, select.EPOLLIN if is_listening else 0)

    def changed(self, user: LoopUser) -> None:
        """Say that a line has something to do at once; the caller has changed it."""
        with self.lock:
            if user in self._deadlines and not self._is_over:
                self._deadlines[user] = 0.0
                os.eventfd_write(self._wake, 1)

    def _note_openings(self) -> None:
        for opening in self._openings.read():
            port = self._watches.get(opening.watch)
            if port is not None:
                port.note_opening(is_open=opening.is_open)

    def _run(self) -> None:
        timeout_s: float | None = None
        while not self._is_over:
            events = self._poll.poll(timeout_s)
            with self.lock:
                if self._is_over:
                    return
                self._turn(events)
                timeout_s = self._timeout_s()

    def _turn(self, events: list[tuple[int, int]]) -> None:
        now = time.monotonic()
        written = [self._ports[descriptor] for descriptor, _ in events if descriptor in self._ports]
        for port, user in written:
            user.heard(port, now)
            self._deadlines[user] = 0.0
        # After reading and before delivering: who opened a port before that was written hears it.
        self._note_openings()
        for user, deadline in self._deadlines.items():
            if deadline is not None and deadline <= now:
                self._deadlines[user] = user.carry(now)
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._wake)

    def _timeout_s(self) -> float | None:
        """Return how long to wait; epoll rounds it up to whole milliseconds, which is what batches octets."""
        deadline = min((each for each in self._deadlines.values() if each is not None), default=None)
        return None if deadline is None else max(_WAKE_S, deadline - time.monotonic())
