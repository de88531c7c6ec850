"""The wire with literal times: an octet of 8N1 at 1000 baud takes 10 ms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bridge.bench import medium as medium_module
from bridge.bench.medium import Medium
from bridge.bench.noise import Noise, NoiseMaker
from bridge.bench.values import BRIDGE, Direction, Duplex, Hearing, MediumSettings
from tests.support import wire_crc
from tests.test_architecture import IMPURE_MODULES, imports

ONE, TWO = 1, 2
OCTET_S = 0.010
FRAME = wire_crc.frame(0xC4, 10, 1, bytes(range(40)))


def wire(**settings: Any) -> Medium:
    """Return a wire with two RTUs whose ports deliver each octet at once."""
    return Medium(MediumSettings(**{"baud": 1000, "rtus": 2, "chunk_octets": 1, "latency_s": 0.0} | settings))


def run(medium: Medium, until_s: float) -> list[tuple[float, Hearing]]:
    """Let the time pass, deadline by deadline."""
    heard = []
    while (deadline := medium.next_deadline()) is not None and deadline <= until_s + 1e-9:
        heard += [(round(deadline, 6), hearing) for hearing in medium.on_deadline(deadline)]
    heard += [(until_s, hearing) for hearing in medium.on_deadline(until_s)]
    return heard


def heard_by(listener: int, heard: list[tuple[float, Hearing]]) -> bytes:
    return b"".join(hearing.octets for _, hearing in heard if hearing.listener == listener)


def times_of(listener: int, heard: list[tuple[float, Hearing]]) -> list[float]:
    return [time_s for time_s, hearing in heard if hearing.listener == listener]


def test_each_octet_is_heard_at_its_end_by_all_others() -> None:
    medium = wire()
    medium.say(BRIDGE, b"abc", 1.0)
    expected = [(t, Hearing(n, o)) for t, o in ((1.01, b"a"), (1.02, b"b"), (1.03, b"c")) for n in (ONE, TWO)]
    assert run(medium, 2.0) == expected
    assert medium.next_deadline() is None
    assert medium.counters.said == [3, 0, 0]


def test_what_is_said_meanwhile_follows_back_to_back() -> None:
    medium = wire()
    medium.say(BRIDGE, b"ab", 0.0)
    medium.say(BRIDGE, b"cd", 0.005)
    assert times_of(ONE, run(medium, 1.0)) == [
        0.01,
        0.02,
        0.03,
        0.04,
    ]
    medium.say(BRIDGE, b"e", 1.0)
    assert run(medium, 2.0)[0][0] == 1.01


def test_octets_that_wait_to_go_out_are_known() -> None:
    medium = wire()
    assert medium.waiting(ONE, 0.0) == 0
    medium.say(ONE, bytes(100), 0.0)
    assert medium.waiting(ONE, 0.0) == 100
    assert medium.waiting(ONE, 0.395) == 61
    assert medium.waiting(ONE, 5.0) == 0


def test_parity_and_a_second_stop_bit_take_their_time() -> None:
    medium = wire(parity_bits=1, stop_bits=2)
    medium.say(BRIDGE, b"a", 0.0)
    assert run(medium, 1.0)[0][0] == 0.012


def test_early_calls_are_harmless_and_late_ones_deliver_all() -> None:
    medium = wire()
    medium.say(BRIDGE, b"abc", 0.0)
    assert medium.on_deadline(0.004) == []
    assert medium.on_deadline(9.0) == [Hearing(ONE, b"abc"), Hearing(TWO, b"abc")]


def test_the_sum_of_many_octet_times_loses_none() -> None:
    medium = wire(baud=921_600, rtus=1)
    start_s = 10_000_000.0  # a machine that is up for four months
    sent = bytes(range(256)) * 40
    medium.say(BRIDGE, sent, start_s)
    assert heard_by(ONE, run(medium, start_s + 1)) == sent


def test_a_port_delivers_in_chunks_or_after_its_latency() -> None:
    medium = wire(chunk_octets=4, latency_s=0.025, rtus=1)
    medium.say(BRIDGE, b"abcdefghij", 0.0)
    # The first octet is whole after 10 ms; 25 ms later three have come. A fourth would take 5 ms more.
    assert run(medium, 1.0) == [
        (0.035, Hearing(ONE, b"abc")),
        (0.065, Hearing(ONE, b"def")),
        (0.095, Hearing(ONE, b"ghi")),
        (0.125, Hearing(ONE, b"j")),
    ]
    medium = wire(chunk_octets=4, latency_s=0.1, rtus=1)
    medium.say(BRIDGE, b"abcdef", 0.0)
    assert run(medium, 1.0) == [(0.04, Hearing(ONE, b"abcd")), (0.15, Hearing(ONE, b"ef"))]


def test_the_default_latency_is_four_octets() -> None:
    medium = wire(chunk_octets=100, latency_s=None, rtus=1)
    medium.say(BRIDGE, b"a", 0.0)
    assert run(medium, 1.0) == [(0.05, Hearing(ONE, b"a"))]


def test_who_echoes_hears_himself() -> None:
    medium = wire(is_echoing=True)
    medium.say(ONE, b"a", 0.0)
    assert run(medium, 1.0) == [(0.01, Hearing(listener, b"a")) for listener in (BRIDGE, ONE, TWO)]


def test_a_wire_without_a_baud_rate_takes_no_time() -> None:
    medium = wire(baud=None)
    medium.say(BRIDGE, FRAME, 1.0)
    assert medium.next_deadline() == 1.0
    medium.say(ONE, b"x", 1.0)
    assert medium.on_deadline(1.0) == [
        *(Hearing(BRIDGE, b"x"), Hearing(ONE, FRAME)),
        Hearing(TWO, FRAME + b"x"),
    ]
    assert medium.counters.collisions == 0
    assert medium.next_deadline() is None


# Collisions


def test_overlapping_octets_are_garbage_for_all() -> None:
    medium = wire()
    medium.say(BRIDGE, b"\0" * 10, 0.0)
    run(medium, 0.055)
    medium.say(ONE, b"A" * 10, 0.055)
    heard = run(medium, 1.0)
    # Of the bridge's octets 5 to 9 are hit, and swallow the RTU's 0 to 4, the last of which ends after them.
    assert medium.counters.collisions == 1
    assert medium.counters.octets_collided == 5 + 5
    assert heard_by(TWO, heard)[5:] == b"A" * 5
    assert len(heard_by(TWO, heard)) == 10
    assert heard_by(TWO, heard)[:5] != b"\0" * 5
    # Both speakers hear the garbage, too, and no more octets than the wire has time for.
    garbage = heard_by(TWO, heard)[:5]
    assert heard_by(ONE, heard) == garbage
    assert heard_by(BRIDGE, heard) == garbage + b"A" * 5


def test_who_begins_when_the_other_ends_does_not_collide() -> None:
    medium = wire()
    medium.say(BRIDGE, b"aaa", 0.0)
    medium.say(ONE, b"bbb", 3 * OCTET_S)
    assert heard_by(TWO, run(medium, 1.0)) == b"aaabbb"
    assert (medium.counters.collisions, medium.counters.octets_collided) == (0, 0)


def test_a_late_wake_up_changes_no_collision() -> None:
    outcomes = []
    for step_s in (0.001, 10.0):
        medium = wire()
        medium.say(BRIDGE, b"\0" * 10, 0.0)
        medium.say(ONE, b"A" * 10, 0.055)
        medium.say(TWO, b"B" * 3, 0.21)
        now, octets = 0.21, b""
        while now < 1.0:
            now += step_s
            octets += b"".join(each.octets for each in medium.on_deadline(now) if each.listener == TWO)
        counters = medium.counters
        outcomes.append((len(octets), octets[-5:], counters.collisions, counters.octets_collided))
    assert outcomes[0] == outcomes[1] == (15, b"A" * 5, 1, 10)


def test_the_seed_makes_the_garbage() -> None:
    def garbage(seed: int) -> bytes:
        medium = wire(seed=seed)
        medium.say(BRIDGE, bytes(20), 0.0)
        medium.say(ONE, bytes(20), 0.0)
        return heard_by(TWO, run(medium, 1.0))

    assert garbage(1) == garbage(1) != garbage(2)


def test_full_duplex_keeps_the_ways_apart() -> None:
    medium = wire(duplex=Duplex.FULL)
    medium.say(BRIDGE, b"abc", 0.0)
    medium.say(ONE, b"xyz", 0.0)
    heard = run(medium, 1.0)
    assert [heard_by(listener, heard) for listener in (BRIDGE, ONE, TWO)] == [b"xyz", b"abc", b"abc"]
    assert medium.counters.collisions == 0


def test_two_rtus_share_the_way_back_of_full_duplex() -> None:
    medium = wire(duplex=Duplex.FULL)
    medium.say(ONE, b"xyz", 0.0)
    medium.say(TWO, b"XYZ", 0.0)
    assert len(heard_by(BRIDGE, run(medium, 1.0))) == 3
    assert medium.counters.collisions == 1


# Faults


def test_noise_damages_the_frames_of_one_direction() -> None:
    medium = wire(is_echoing=True)
    maker = NoiseMaker(Noise(seed=1, inside=1.0))
    medium.make_noise(Direction.TO_BRIDGE, maker)
    medium.say(BRIDGE, FRAME, 0.0)
    assert heard_by(ONE, run(medium, 5.0)) == FRAME
    assert medium.counters.octets_damaged == 0
    medium.say(ONE, FRAME, 5.0)
    damaged = heard_by(BRIDGE, run(medium, 10.0))
    assert damaged == NoiseMaker(Noise(seed=1, inside=1.0)).damage(FRAME) != FRAME
    assert medium.counters.octets_damaged == maker.octets > 0
    medium.make_clean()
    medium.say(ONE, FRAME, 10.0)
    assert heard_by(BRIDGE, run(medium, 15.0)) == FRAME


def test_an_idle_wire_floats_without_end_and_a_speaker_silences_it() -> None:
    medium = wire()
    medium.float_idle(1.0, 0.0)
    assert len(heard_by(ONE, run(medium, 10.0))) == 1000
    medium.say(BRIDGE, b"A" * 50, 10.0)
    assert heard_by(ONE, run(medium, 10.5)) == b"A" * 50
    assert len(heard_by(ONE, run(medium, 11.0))) == 50
    assert medium.counters.octets_floated == 1050
    assert medium.passages[-1].speaker is None
    medium.make_clean()
    assert run(medium, 20.0) == []


def test_a_share_of_the_idle_time_floats() -> None:
    medium = wire()
    medium.float_idle(0.1, 0.0)
    assert 50 < len(heard_by(ONE, run(medium, 10.0))) < 150
    with pytest.raises(ValueError, match="0 to 1"):
        medium.float_idle(1.5, 10.0)


@pytest.mark.parametrize("baud", [1000, None])
def test_babble_has_no_end_until_it_is_hushed(baud: int | None) -> None:
    medium = wire(baud=baud)
    medium.babble(ONE, b"la", 0.0)
    medium.say(ONE, b"not heard", 1.0)
    octets = heard_by(TWO, run(medium, 10.0))
    assert octets == b"la" * (len(octets) // 2)
    # At 1000 baud, or at the 9600 of a wire that takes no time, in pairs.
    assert abs(len(octets) - (1000 if baud else 9600)) <= 2
    assert medium.counters.octets_babbled - len(octets) in (0, 1, 2)
    assert medium.counters.unsaid[ONE] == 9
    medium.hush(ONE, 10.0)
    run(medium, 11.0)
    assert medium.next_deadline() is None
    medium.say(ONE, b"heard", 11.0)
    assert heard_by(TWO, run(medium, 12.0)) == b"heard"


def test_babble_is_random_by_seed_and_collides_with_who_speaks() -> None:
    medium = wire()
    medium.babble(ONE, None, 0.0)
    octets = heard_by(TWO, run(medium, 1.0))
    assert len(set(octets)) > 30
    medium.say(BRIDGE, b"A" * 10, 1.0)
    assert b"A" * 3 not in heard_by(TWO, run(medium, 2.0))
    assert medium.counters.collisions == 1


def test_endless_talk_needs_no_endless_memory() -> None:
    medium = wire()
    medium.babble(ONE, None, 0.0)
    for second in range(1, 200):
        medium.on_deadline(float(second))
    assert sum(len(run.octets) for run in medium._runs) < 10_000


def test_the_dead_say_and_hear_nothing() -> None:
    medium = wire()
    medium.say(ONE, b"abcdef", 0.0)
    run(medium, 0.025)
    medium.die(ONE, 0.025)
    medium.say(ONE, b"unsaid", 0.1)
    medium.say(BRIDGE, b"to the dead", 1.0)
    heard = run(medium, 5.0)
    assert heard_by(ONE, heard) == b""
    assert heard_by(TWO, heard) == b"to the dead"
    assert heard_by(BRIDGE, heard) == b""
    assert medium.counters.unsaid == [0, 6, 0]
    medium.revive(ONE, 5.0)
    medium.say(ONE, b"here", 5.0)
    medium.say(BRIDGE, b"again", 6.0)
    heard = run(medium, 7.0)
    assert (heard_by(BRIDGE, heard), heard_by(ONE, heard)) == (b"here", b"again")


def test_late_answers() -> None:
    medium = wire()
    medium.delay(ONE, 0.5)
    medium.say(ONE, b"ab", 1.0)
    medium.say(ONE, b"c", 1.2)
    assert times_of(BRIDGE, run(medium, 9.0)) == [
        1.51,
        1.52,
        1.53,
    ]
    with pytest.raises(ValueError, match="0 seconds or more"):
        medium.delay(ONE, -1.0)


# What is told


def test_passages_say_what_passed_when_and_from_whom() -> None:
    medium = wire()
    medium.say(BRIDGE, b"ab", 0.0)
    medium.say(TWO, b"c", 1.0)
    run(medium, 2.0)
    told = [(round(p.time_s, 6), p.direction, p.octets, p.speaker) for p in medium.passages]
    assert told == [
        (0.02, Direction.TO_RTU, b"ab", BRIDGE),
        (1.01, Direction.TO_BRIDGE, b"c", TWO),
    ]


def test_what_nobody_hears_did_not_pass() -> None:
    medium = wire(rtus=1)
    medium.die(BRIDGE, 0.0)
    medium.say(ONE, b"abc", 0.0)
    run(medium, 1.0)
    assert list(medium.passages) == []


@pytest.mark.parametrize(
    "wrong",
    [
        *({"baud": 0}, {"parity_bits": 2}, {"stop_bits": 0}, {"rtus": 0}, {"chunk_octets": 0}),
        *({"latency_s": -1.0}, {"latency_s": float("nan")}),
    ],
    ids=str,
)
def test_settings_that_no_wire_has(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        wire(**wrong)


@pytest.mark.parametrize("name", ["medium", "noise", "values"])
def test_it_is_sans_io(name: str) -> None:
    path = Path(medium_module.__file__).with_name(f"{name}.py")
    assert not {dotted.partition(".")[0] for dotted in imports(path)} & IMPURE_MODULES
