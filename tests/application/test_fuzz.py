"""Whatever octets come: a value, never an exception, and what is called legal is whole."""

from __future__ import annotations

import random

from bridge.application.attribute import Attribute
from bridge.application.command import decode_command
from bridge.application.request import Malformed, Request, parse_request
from bridge.application.variation import Role
from tests.application.test_request import REQUESTS

SEED = 1815
ROUNDS = 200_000
LONGEST = 80


def mutated(chance: random.Random, seeds: list[bytes]) -> bytes:
    octets = bytearray(chance.choice(seeds))
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(octets) + 1)
        match chance.randrange(4):
            case 0:
                del octets[at:]
            case 1:
                octets[at:at] = chance.randbytes(chance.randint(1, 3))
            case 2:
                octets += chance.choice(seeds)[2:]
            case _ if at < len(octets):
                octets[at] = chance.randrange(256)
    return bytes(octets)


def walk(request: Request) -> None:
    """Look at everything that a session would."""
    assert (
        b"".join(header.octets for header in request.headers) == request.body
        or request.iin
        or not (request.headers)
    )
    for header in request.headers:
        row = header.row
        assert row is not None
        # A READ of 65536 points has no octets to look at.
        for _, octets in header.items() if header.objects else ():
            if row.role is Role.COMMAND:
                assert decode_command(row, octets).encode()[-1] == octets[-1]
            elif row.role is Role.ATTRIBUTE:
                Attribute.decode(octets)
            elif octets and row.size:
                assert len(octets) == row.size


def test_random_octets() -> None:
    chance = random.Random(SEED)
    for _ in range(ROUNDS // 2):
        outcome = parse_request(chance.randbytes(chance.randrange(LONGEST)))
        if isinstance(outcome, Request):
            walk(outcome)


def test_mutated_requests() -> None:
    chance = random.Random(SEED)
    seeds = list(REQUESTS.values())
    outcomes = {Request: 0, Malformed: 0}
    for _ in range(ROUNDS // 2):
        outcome = parse_request(mutated(chance, seeds))
        outcomes[type(outcome)] += 1
        if isinstance(outcome, Request):
            walk(outcome)
    assert min(outcomes.values()) > ROUNDS // 20
