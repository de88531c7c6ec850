"""The rules of the bus, for every seed; and proof that each of them can be seen to fail.

`python -m tests.routing.properties --seeds 5000 --start 1000` runs more of them.
"""

from __future__ import annotations

from collections import Counter

import pytest

from bridge.routing.drop import Drop
from bridge.routing.exchange import Outcome
from tests.routing.bus.mutations import MUTATIONS, Mutation
from tests.routing.bus.referee import Rule, ViolationError
from tests.routing.bus.simulator import run

SEEDS = 300
_SEEDS_IN_ONE = 25
_MUTANT_SEEDS = 400

_OF_THE_ROUTER = {Drop.RESERVED_ADDRESS, Drop.UNKNOWN_DESTINATION, Drop.SELF_ADDRESS_SHARED}
_NOT_PLAYED = {Drop.BROADCAST_DENIED, Drop.WRONG_DIRECTION}
"""What the simulated bus never does; other tests do."""

drops: Counter[Drop] = Counter()
outcomes: Counter[Outcome] = Counter()


@pytest.mark.parametrize("start", range(0, SEEDS, _SEEDS_IN_ONE))
def test_every_rule_holds(start: int) -> None:
    for seed in range(start, start + _SEEDS_IN_ONE):
        try:
            books = run(seed)
        except ViolationError as violation:
            violation.add_note(f"seed {seed}")
            raise
        drops.update(books.drops)
        outcomes.update(books.outcomes)
        assert books.opened
        assert books.delivered


def test_everything_happened() -> None:
    """A bus on which nothing goes wrong proves nothing."""
    if not outcomes:
        pytest.skip("the seeds were not run")
    assert set(outcomes) == set(Outcome)
    assert set(drops) == set(Drop) - _OF_THE_ROUTER - _NOT_PLAYED


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_every_rule_can_be_broken(mutation: Mutation, monkeypatch: pytest.MonkeyPatch) -> None:
    mutation.apply(monkeypatch)
    broken: Counter[Rule] = Counter()
    for number in range(_MUTANT_SEEDS):
        try:
            run((mutation.first_seed + number) % _MUTANT_SEEDS)
        except ViolationError as violation:
            broken[violation.rule] += 1
            if violation.rule is mutation.rule:
                return
    pytest.fail(f"{mutation.name} went unseen: {broken}")


def test_every_rule_has_its_mutation() -> None:
    assert {mutation.rule for mutation in MUTATIONS} == set(Rule)
