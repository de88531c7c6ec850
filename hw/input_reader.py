"""Inputs on the event loop: edges that the kernel kept, or polls where it keeps none. No threads.

A contact that chatters, or a pin that nothing drives, can bring a hundred thousand edges a second. After an
edge the reader looks no sooner than `_SHORTEST_LOOK_S` later; edges carry the kernel's time, so nothing is
dated wrong by that.
"""

import asyncio
import logging
from collections.abc import Callable

from hw.debounce import Change, Debouncer
from hw.gesture import Gesture, PressGestures
from hw.inputs import Input
from hw.problems import reason

_log = logging.getLogger(__name__)

_SHORTEST_LOOK_S = 0.005
_POLL_S = 0.01
BUTTON_DEBOUNCE_S = 0.03


class InputReader:
    """Tells `changed` of each settled change of one input. Does not own the input: close it before.

    A listener that raises is logged and told of the next change. An input that cannot be read is logged once
    and given up: `is_active` is then None.
    """

    def __init__(self, source: Input, *, debounce_s: float, changed: Callable[[Change], None]) -> None:
        self._source = source
        self._debounce_s = debounce_s
        self._changed = changed
        self._debouncer: Debouncer | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._fileno: int | None = None
        self._is_watched = False

    @property
    def is_active(self) -> bool | None:
        """The settled level; None before `start`, after `close`, and when the input failed."""
        return None if self._debouncer is None else self._debouncer.is_active

    def start(self) -> None:
        """Read the level and follow it on the running loop. Raises RuntimeError without one."""
        self._loop = asyncio.get_running_loop()
        try:
            self._fileno = self._source.fileno()
            level = self._source.is_active
        except Exception as error:  # pin libraries raise classes of their own
            self._fail(error)
            return
        self._debouncer = Debouncer(is_active=level, debounce_s=self._debounce_s)
        self._look(self._loop.time())

    def close(self) -> None:
        """Stop. Raises nothing; closing again is harmless."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._watch(is_on=False)
        self._debouncer = None

    def _look(self, due: float) -> None:
        """Take up what happened since the last look. `due` is when this look was to be."""
        if self._debouncer is None or self._loop is None:
            return
        now = max(due, self._loop.time())  # a timer may be early by the clock's resolution
        try:
            edges = self._source.read_edges()
            level = self._source.is_active
        except Exception as error:
            self._fail(error)
            return
        heard = [self._debouncer.heard(edge.is_active, edge.at) for edge in edges]
        # The level itself comes last: of very many edges some are lost.
        heard += [self._debouncer.heard(level, now), self._debouncer.on_deadline(now)]
        self._arm(now, is_busy=bool(edges))
        for change in heard:
            if change is not None:
                self._tell(change)

    def _arm(self, now: float, *, is_busy: bool) -> None:
        assert self._loop is not None
        assert self._debouncer is not None
        deadlines = [self._debouncer.next_deadline()]
        if self._fileno is None:
            deadlines.append(now + _POLL_S)
        elif is_busy:
            deadlines.append(now + _SHORTEST_LOOK_S)
        self._watch(is_on=self._fileno is not None and not is_busy)
        if self._timer is not None:
            self._timer.cancel()
        due = min((deadline for deadline in deadlines if deadline is not None), default=None)
        self._timer = None if due is None else self._loop.call_at(due, self._look, due)

    def _watch(self, *, is_on: bool) -> None:
        if is_on == self._is_watched or self._loop is None or self._fileno is None:
            return
        self._is_watched = is_on
        if is_on:
            self._loop.add_reader(self._fileno, self._look, 0.0)
        else:
            self._loop.remove_reader(self._fileno)

    def _tell(self, change: Change) -> None:
        try:
            self._changed(change)
        except Exception:
            _log.exception("input %s: its listener failed", self._source.name)

    def _fail(self, error: Exception) -> None:
        _log.warning("input %s cannot be read any more: %s", self._source.name, reason(error))
        self.close()


class ButtonReader:
    """Tells `gestured` what is said with a push button. Does not own the input: close it before."""

    def __init__(self, source: Input, *, gestured: Callable[[Gesture], None]) -> None:
        self._gestures = PressGestures()
        self._gestured = gestured
        self._reader = InputReader(source, debounce_s=BUTTON_DEBOUNCE_S, changed=self._changed)
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Follow the button on the running loop. Raises RuntimeError without one."""
        self._reader.start()

    def close(self) -> None:
        """Stop. Raises nothing; closing again is harmless."""
        self._reader.close()
        self._cancel()

    def _changed(self, change: Change) -> None:
        self._cancel()
        if not change.is_active:
            self._tell(self._gestures.released(change.at))
            return
        self._gestures.pressed(change.at)
        deadline = self._gestures.next_deadline()
        assert deadline is not None, "a button that is down waits for a hold"
        self._timer = asyncio.get_running_loop().call_at(deadline, self._held, deadline)

    def _held(self, deadline: float) -> None:
        self._timer = None
        self._tell(self._gestures.on_deadline(deadline))

    def _tell(self, gesture: Gesture | None) -> None:
        if gesture is not None:
            self._gestured(gesture)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
