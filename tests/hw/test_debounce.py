import random

import pytest

from hw.debounce import Change, Debouncer


def contact(debounce_s: float = 0.02, *, is_active: bool = False) -> Debouncer:
    return Debouncer(is_active=is_active, debounce_s=debounce_s)


def test_a_level_that_stays_is_a_change_dated_to_its_beginning() -> None:
    debouncer = contact()
    assert debouncer.heard(True, 1.0) is None
    assert (debouncer.is_active, debouncer.next_deadline()) == (False, 1.02)
    assert debouncer.on_deadline(1.0199) is None, "early"
    assert debouncer.on_deadline(1.02) == Change(True, 1.0)
    assert (debouncer.is_active, debouncer.next_deadline()) == (True, None)
    assert debouncer.on_deadline(9.0) is None


def test_a_pulse_that_is_too_short_changes_nothing() -> None:
    debouncer = contact()
    debouncer.heard(True, 1.0)
    assert debouncer.heard(False, 1.019) is None
    assert debouncer.next_deadline() is None
    assert debouncer.on_deadline(2.0) is None


def test_each_bounce_begins_anew() -> None:
    debouncer = contact()
    for bounce in range(10):
        assert debouncer.heard(bounce % 2 == 0, 1.0 + bounce * 0.01) is None
    assert debouncer.heard(True, 1.1) is None
    assert debouncer.heard(True, 1.11) is None, "the same level again is no news"
    assert debouncer.on_deadline(1.12) == Change(True, 1.1)


def test_what_was_due_comes_with_the_next_level() -> None:
    debouncer = contact()
    debouncer.heard(True, 1.0)
    assert debouncer.heard(False, 3.0) == Change(True, 1.0)
    assert debouncer.on_deadline(3.02) == Change(False, 3.0)


@pytest.mark.parametrize("is_active", [False, True])
def test_without_debouncing_every_edge_is_a_change(is_active: bool) -> None:
    debouncer = contact(0.0, is_active=is_active)
    assert debouncer.heard(is_active, 1.0) is None
    assert debouncer.heard(not is_active, 1.0) == Change(not is_active, 1.0)
    assert debouncer.heard(is_active, 1.0) == Change(is_active, 1.0)


def test_time_that_goes_backwards_stands_still() -> None:
    debouncer = contact()
    debouncer.heard(True, 5.0)
    assert debouncer.heard(False, 4.0) is None
    assert debouncer.heard(True, 4.5) is None
    assert debouncer.next_deadline() == 5.02


def test_any_signal_settles_to_its_last_level_and_changes_alternate() -> None:
    rng = random.Random(1815)
    for _ in range(200):
        debouncer, changes, now, level = contact(), [], 0.0, False
        for _ in range(rng.randint(1, 30)):
            now += rng.choice([0.001, 0.015, 0.02, 0.3])
            level = rng.random() < 0.5
            if rng.random() < 0.5:
                changes.append(debouncer.on_deadline(now))
            changes.append(debouncer.heard(level, now))
        changes.append(debouncer.on_deadline(now + 0.02))
        told = [change for change in changes if change is not None]
        assert debouncer.is_active == level
        assert [change.is_active for change in told] == [number % 2 == 0 for number in range(len(told))]
        assert [change.at for change in told] == sorted(change.at for change in told)
