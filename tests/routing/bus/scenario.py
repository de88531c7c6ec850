"""What one seed stands for: the line's times, who is there, and how badly everybody behaves."""

from __future__ import annotations

import random
from dataclasses import dataclass

from bridge.routing.timing import Timing

_OCTETS_OF_STALL = 40


@dataclass(frozen=True, slots=True)
class Manners:
    """How likely a master does what, per request; the rest are plain reads."""

    think_s: float
    control: float = 0.15
    select: float = 0.1
    no_response: float = 0.05
    link_status: float = 0.1
    broadcast: float = 0.03
    write: float = 0.1
    confirmed: float = 0.05
    confirmed_write: float = 0.03
    # Misbehaviour.
    impatient: float = 0.05
    flood: float = 0.02
    unfinished: float = 0.02
    orphan: float = 0.02
    forgets_confirm: float = 0.1
    late_confirm: float = 0.1
    retries: float = 0.5
    hangs_up_every: float | None = None
    """In response timeouts, for a master that comes back at once; None for what the faults say."""


@dataclass(frozen=True, slots=True)
class Traits:
    """How likely an outstation does what, per request."""

    slowest: float
    """The longest delay before an answer, in response timeouts: at most 2, which the quarantine covers."""
    silent: float = 0.05
    segments: int = 3
    fragments: int = 3
    asks_confirm: float = 0.3
    unasked_fragments: float = 0.02
    wrong_sequence: float = 0.02
    wrong_source: float = 0.02
    wrong_master: float = 0.02
    repeats: float = 0.02
    endless: float = 0.005
    forgets: float = 0.5
    """Whether a new request makes it forget an answer that it has not begun."""
    listens: float = 0.9
    unsolicited_every: float = 20.0
    """In response timeouts."""


@dataclass(frozen=True, slots=True)
class Faults:
    """How often things break; the first three per frame, the others in response timeouts between them."""

    damaged: float
    cut_short: float
    noise_after: float
    session_ends_every: float
    line_fails_every: float
    babble_every: float


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything that a run is made from."""

    seed: int
    timing: Timing
    sessions: int
    outstations: int
    shares_master_address: bool
    manners: tuple[Manners, ...]
    traits: tuple[Traits, ...]
    faults: Faults
    lasts_s: float
    latest_wake_s: float


def scenario_of(seed: int) -> Scenario:
    """Draw everything from the seed."""
    rng = random.Random(seed)
    outstations = rng.randint(1, 6)
    sessions = min(outstations, rng.randint(1, 4))
    timing = _timing(rng)
    is_calm = rng.random() < 0.3
    is_busy = rng.random() < 0.4
    manners = tuple(_manners(rng, timing, is_busy=is_busy) for _ in range(sessions))
    slowest = rng.choice((0.1, 0.5, 1.2, 1.9))
    traits = tuple(
        Traits(
            slowest=slowest if rng.random() < 0.7 else 1.9,
            silent=rng.choice((0.0, 0.05, 0.5)),
            segments=rng.choice((1, 2, 4)),
            fragments=rng.choice((1, 1, 3)),
            unsolicited_every=rng.choice((5.0, 20.0, 1000.0)),
        )
        for _ in range(outstations)
    )
    return Scenario(
        seed=seed,
        timing=timing,
        sessions=sessions,
        outstations=outstations,
        shares_master_address=rng.random() < 0.7,
        manners=manners,
        traits=traits,
        faults=Faults(0.0, 0.0, 0.0, 50.0, 1e9, 1e9) if is_calm else _faults(rng),
        lasts_s=(30.0 if is_busy else 80.0) * timing.response_timeout_s,
        latest_wake_s=rng.choice((0.0, 0.005)),
    )


def _timing(rng: random.Random) -> Timing:
    octet_s = rng.choice((10 / 19200, 10 / 9600, 10 / 2400))
    response_timeout_s = rng.uniform(0.4, 1.5)
    request_ttl_s = rng.uniform(1.0, 8.0) * response_timeout_s
    return Timing(
        octet_s=octet_s,
        response_timeout_s=response_timeout_s,
        quiet_s=0.05 + _OCTETS_OF_STALL * octet_s,
        request_ttl_s=request_ttl_s,
        control_ttl_s=rng.uniform(0.5, 1.0) * request_ttl_s,
        exchange_limit_s=rng.uniform(4.0, 12.0) * response_timeout_s,
        babble_s=rng.uniform(2.0, 5.0) * response_timeout_s,
        turnaround_s=rng.choice((0.0, 2 * octet_s, 0.02, 0.1)),
        pre_transmit_s=rng.choice((0.0, 0.0, 0.005, 0.05)),
        post_transmit_s=rng.choice((0.0, 0.0, 0.005, 0.05)),
        broadcast_dead_time_s=rng.choice((0.0, 0.1, 0.5)),
        queue_frames=rng.choice((4, 16, 256)),
    )


def _manners(rng: random.Random, timing: Timing, *, is_busy: bool) -> Manners:
    style = rng.randrange(5)
    think_s = rng.choice((0.0, 0.01)) if is_busy else rng.uniform(0.0, 1.0) * timing.response_timeout_s
    if style == 0:
        # Polls, and misbehaves never.
        return Manners(
            think_s, impatient=0, flood=0, unfinished=0, orphan=0, forgets_confirm=0, late_confirm=0
        )
    if style == 1:
        return Manners(think_s, control=0.95, select=0.0, broadcast=0.0, retries=0.0)
    if style == 2:
        return Manners(think_s, select=0.4, broadcast=0.3)
    if style == 3:
        return Manners(0.0, hangs_up_every=rng.choice((0.1, 0.3)))
    return Manners(think_s, impatient=0.2, flood=0.1, unfinished=0.1, orphan=0.1, forgets_confirm=0.5)


def _faults(rng: random.Random) -> Faults:
    return Faults(
        damaged=rng.choice((0.0, 0.05, 0.2)),
        cut_short=rng.choice((0.0, 0.02, 0.1)),
        noise_after=rng.choice((0.0, 0.1)),
        session_ends_every=rng.choice((3.0, 10.0, 40.0)),
        line_fails_every=rng.choice((15.0, 100.0, 1e9)),
        babble_every=rng.choice((20.0, 1e9)),
    )
