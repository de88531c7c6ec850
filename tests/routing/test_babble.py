"""Talk without end."""

from __future__ import annotations

import pytest

from bridge.routing.babble import BabbleGuard


@pytest.fixture
def guard() -> BabbleGuard:
    return BabbleGuard(babble_s=3.0, pause_s=0.25)


def talk(guard: BabbleGuard, start_s: float, end_s: float) -> list[float]:
    """Hear an octet eight times a second and return when babble began."""
    eighths = range(round(start_s * 8), round(end_s * 8))
    return [eighth / 8 for eighth in eighths if guard.heard(eighth / 8)]


def test_talk_without_a_pause(guard: BabbleGuard) -> None:
    assert talk(guard, 0, 10) == [3.0]
    assert guard.is_babbling


def test_short_talk(guard: BabbleGuard) -> None:
    assert talk(guard, 0, 3) == []
    assert not guard.is_babbling
    assert guard.next_deadline() is None


def test_a_pause_begins_anew(guard: BabbleGuard) -> None:
    assert talk(guard, 0, 2) + talk(guard, 2.5, 5) == []


def test_a_gap_of_the_pause_is_none(guard: BabbleGuard) -> None:
    assert [quarter for quarter in range(20) if guard.heard(quarter / 4)] == [12]


def test_an_awaited_answer_excuses(guard: BabbleGuard) -> None:
    talk(guard, 0, 2)
    guard.excuse(2.0)
    assert talk(guard, 2, 8) == [5.0]


def test_it_ends_when_it_is_calm(guard: BabbleGuard) -> None:
    talk(guard, 0, 4)
    assert guard.next_deadline() == 4.875
    assert not guard.on_deadline(4.8)
    assert guard.is_babbling
    assert guard.on_deadline(4.875)
    assert not guard.is_babbling
    assert guard.next_deadline() is None
    assert not guard.on_deadline(9.0)


def test_more_talk_postpones_its_end(guard: BabbleGuard) -> None:
    talk(guard, 0, 4)
    assert not guard.heard(4.5)
    assert guard.next_deadline() == 5.5


def test_calm_is_never_shorter_than_a_pause() -> None:
    guard = BabbleGuard(babble_s=3.0, pause_s=2.0)
    talk(guard, 0, 4)
    assert guard.next_deadline() == 5.875


def test_reset(guard: BabbleGuard) -> None:
    talk(guard, 0, 4)
    guard.reset()
    assert not guard.is_babbling
    assert talk(guard, 4, 7) == []
