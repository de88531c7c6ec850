"""Where the live view gets the status from: a bridge of another process, or the one in this process."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from bridge.endpoints.status import fetch
from bridge.service.top.rates import Document
from bridge.service.top.site import Site, read
from bridge.service.top.view import Answer
from bridge.service.views.no_status import NO_STATUS, problem_of

_WINDOW_S: Final = 5.0
"""Over so long rates are means: short enough to see what happens, long enough for slow polls."""
_OVERDUE_S: Final = 3.0
"""A bridge that has not answered for so long, and the period, is said to be silent."""


class Source(Protocol):
    """Who knows the status."""

    def answer(self, now: float) -> Answer:
        """Return the last status, or why there is none, at a monotonic time. Does not wait."""


class History:
    """Status documents of the last seconds, of one run of the bridge."""

    def __init__(self) -> None:
        self._documents: deque[Document] = deque()

    def read(self, document: Document) -> Site:
        """Return what a new document says, with the rates since an earlier one. ValueError: it is none."""
        site = read(document, self._documents[0] if self._documents else None)
        documents, now_s = self._documents, document["uptime_s"]
        if documents and now_s < documents[-1]["uptime_s"]:
            documents.clear()
        documents.append(document)
        while len(documents) > 1 and documents[1]["uptime_s"] <= now_s - _WINDOW_S:
            documents.popleft()
        return site


class Asking:
    """Asks the bridge at a status socket again and again, in a thread: one that hangs holds nobody up."""

    def __init__(self, path: str, period_s: float) -> None:
        self._path = path
        self._period_s = period_s
        self._history = History()
        self._is_over = threading.Event()
        # Each is replaced as a whole, so that the other thread never sees half of it.
        self._site: tuple[Site, float] | None = None
        self._problem: str | None = None
        self._answered_s = time.monotonic()

    @contextlib.contextmanager
    def running(self) -> Iterator[Asking]:
        """Ask for the block."""
        # A daemon, not waited for: it may be in the middle of a question that nobody answers.
        threading.Thread(target=self._ask, name="status", daemon=True).start()
        try:
            yield self
        finally:
            self._is_over.set()

    def answer(self, now: float) -> Answer:
        """Return the last status, or why there is none."""
        site, at_s = (None, now) if self._site is None else self._site
        problem, silent_s = self._problem, now - self._answered_s
        if silent_s > _OVERDUE_S + self._period_s:
            problem = f"the bridge has not answered for {silent_s:.0f} s"
        age_s = 0.0 if problem is None else float(int(now - at_s))
        return Answer(site, problem, self._path, age_s)

    def _ask(self) -> None:
        while not self._is_over.is_set():
            asked_s = time.monotonic()
            try:
                site = self._history.read(fetch(self._path))
            except NO_STATUS as error:
                self._problem = problem_of(error)
                # It did not even take the question, or took too long: that is not what it answered.
                if isinstance(error, TimeoutError):
                    continue
            else:
                self._site, self._problem = (site, time.monotonic()), None
            self._answered_s = time.monotonic()
            self._is_over.wait(max(0.0, asked_s + self._period_s - self._answered_s))


class Inside:
    """Takes the status of a bridge in this process."""

    def __init__(
        self, snapshot: Callable[[], Document], period_s: float, notes: tuple[str, ...] = ()
    ) -> None:
        self._snapshot = snapshot
        self._period_s = period_s
        self._notes = notes
        self._history = History()
        self._site: Site | None = None
        self._taken_s = 0.0

    def answer(self, now: float) -> Answer:
        """Return the status."""
        if self._site is None or now - self._taken_s >= self._period_s:
            self._site = self._history.read(self._snapshot())
            self._taken_s = now
        return Answer(self._site, notes=self._notes)
