from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from bridge.endpoints.timer import Timer
from tests.support.eventually import eventually


@dataclass(eq=False)
class Handle:
    """A loop's timer. Like uvloop's for a deadline that is now, it does not tell its time."""

    due_s: float
    callback: Callable[[], None]
    is_cancelled: bool = False

    def cancel(self) -> None:
        self.is_cancelled = True


@dataclass(eq=False)
class Loop:
    """A loop whose time stands still until a test moves it."""

    now: float = 100.0
    handles: list[Handle] = field(default_factory=list)

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> Handle:
        self.handles.append(Handle(when, callback))
        return self.handles[-1]

    @property
    def armed(self) -> list[Handle]:
        return [handle for handle in self.handles if not handle.is_cancelled]

    def advance(self, now: float) -> None:
        """Move on to `now` and call what is due by then, in order, at its time."""
        while due := sorted((h for h in self.armed if h.due_s <= now), key=lambda handle: handle.due_s):
            self.handles.remove(due[0])
            self.now = max(self.now, due[0].due_s)
            due[0].callback()
        self.now = now


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def calls() -> list[float]:
    return []


@pytest.fixture
def timer(loop: Loop, calls: list[float]) -> Timer:
    fake: Any = loop
    return Timer(fake, lambda: calls.append(loop.now))


def test_it_calls_once_at_its_deadline(loop: Loop, timer: Timer, calls: list[float]) -> None:
    timer.set(105.0)
    loop.advance(104.999)
    assert calls == []
    loop.advance(200.0)
    assert calls == [105.0]
    assert loop.armed == []


def test_a_later_deadline_costs_no_timer_of_the_loop(loop: Loop, timer: Timer, calls: list[float]) -> None:
    for number in range(1000):
        timer.set(105.0 + number)
    assert len(loop.handles) == 1
    loop.advance(1103.0)
    assert calls == []
    loop.advance(1104.0)
    assert calls == [1104.0]


def test_an_earlier_deadline_replaces_the_timer(loop: Loop, timer: Timer, calls: list[float]) -> None:
    timer.set(110.0)
    timer.set(105.0)
    assert [handle.due_s for handle in loop.armed] == [105.0]
    loop.advance(120.0)
    assert calls == [105.0]


def test_a_timer_that_the_loop_calls_early_is_set_again(loop: Loop, timer: Timer, calls: list[float]) -> None:
    timer.set(105.0)
    early = loop.handles.pop()
    loop.now = 104.9995
    early.callback()
    assert calls == []
    # A millisecond on, the least that uvloop waits.
    loop.advance(105.001)
    assert calls == [105.0005]


def test_hastening_brings_the_deadline_forward_but_never_puts_it_off(
    loop: Loop, timer: Timer, calls: list[float]
) -> None:
    timer.hasten(110.0)
    timer.hasten(105.0)
    timer.hasten(108.0)
    loop.advance(120.0)
    assert calls == [105.0]


def test_none_disarms(loop: Loop, timer: Timer, calls: list[float]) -> None:
    timer.set(105.0)
    timer.set(None)
    loop.advance(200.0)
    assert calls == []
    timer.set(205.0)
    loop.advance(205.0)
    assert calls == [205.0]


def test_none_and_then_an_earlier_deadline(loop: Loop, timer: Timer, calls: list[float]) -> None:
    timer.set(110.0)
    timer.set(None)
    timer.set(105.0)
    loop.advance(120.0)
    assert calls == [105.0]


def test_cancel_lets_go_of_the_loops_timer(loop: Loop, timer: Timer, calls: list[float]) -> None:
    timer.set(105.0)
    timer.cancel()
    assert loop.armed == []
    timer.cancel()
    loop.advance(200.0)
    assert calls == []
    timer.set(205.0)
    loop.advance(205.0)
    assert calls == [205.0]


def test_a_deadline_in_the_past_is_called_in_the_next_turn(
    loop: Loop, timer: Timer, calls: list[float]
) -> None:
    timer.set(99.0)
    assert calls == []
    loop.advance(100.0)
    assert calls == [100.0]


def test_it_can_be_set_from_its_callback(loop: Loop) -> None:
    calls: list[float] = []
    fake: Any = loop

    def again() -> None:
        calls.append(loop.now)
        if len(calls) < 3:
            timer.set(loop.now + 1)

    timer = Timer(fake, again)
    timer.set(101.0)
    loop.advance(200.0)
    assert calls == [101.0, 102.0, 103.0]


async def test_in_a_real_loop_it_is_never_early() -> None:
    loop = asyncio.get_running_loop()
    late_s: list[float] = []
    deadline_s = 0.0

    def called() -> None:
        late_s.append(loop.time() - deadline_s)

    timer = Timer(loop, called)
    for count in range(1, 21):
        # Also fractions of the millisecond in which uvloop counts.
        deadline_s = loop.time() + count * 0.00037
        timer.set(deadline_s)
        timer.set(deadline_s)
        await eventually(lambda n=count: len(late_s) == n, "the call")  # type: ignore[misc]
    assert min(late_s) >= 0
