"""A million octets; `python -m tests.outstation.fuzz` for more."""

from __future__ import annotations

import pytest

from tests.outstation.fuzz import Fuzz

OCTETS = 1_000_000
EXECUTED = {*range(15), *range(20, 25)}
SEEDS = (1815, 2012, 20000, 3)
"""Lives of different settings: fragment sizes, one master or any, keep-alive or none."""


@pytest.mark.parametrize("seed", SEEDS)
def test_a_million_octets(seed: int) -> None:
    report = Fuzz(seed).run(OCTETS // len(SEEDS))
    assert report.octets >= OCTETS // len(SEEDS)
    assert report.probes > 10
    # It is no use unless much of it gets through.
    assert report.frames_in > 3000
    assert report.responses > 500
    assert report.unsolicited > 50
    assert report.drops > 100
    assert report.functions >= EXECUTED
    assert report.grown_kib < 32 * 1024
