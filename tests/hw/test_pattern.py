from math import inf

import pytest

from hw.colour import Colour
from hw.pattern import Blips, Look, Pattern, steady, to_s, to_us

ON, OFF, RED = Colour.GREEN, Colour.OFF, Colour.RED


@pytest.mark.parametrize(
    "steps", [(), ((ON, 0.1),), ((ON, 0.1), (ON, 0.1)), ((ON, 0.1), (OFF, inf)), ((ON, inf), (OFF, inf))]
)
def test_a_pattern_alternates_and_ends(steps: tuple[tuple[Colour, float], ...]) -> None:
    with pytest.raises(ValueError, match="pattern"):
        Pattern(steps)


@pytest.mark.parametrize("duration_s", [0.0, -0.1])
def test_a_step_lasts(duration_s: float) -> None:
    with pytest.raises(ValueError, match="above 0 s"):
        Pattern(((ON, 0.1), (OFF, duration_s)))


def test_a_last_step_like_the_first_joins_two_equal_colours() -> None:
    with pytest.raises(ValueError, match="the first from the last"):
        Pattern(((ON, 0.1), (OFF, 0.1), (ON, 0.1)))


@pytest.mark.parametrize(
    ("elapsed_us", "expected"),
    [
        (0, (ON, 100_000)),
        (99_999, (ON, 1)),
        (100_000, (OFF, 1_900_000)),
        (1_999_999, (OFF, 1)),
        (2_000_000, (ON, 100_000)),
    ],
)
def test_position_in_a_pattern(elapsed_us: int, expected: tuple[Colour, int]) -> None:
    assert Pattern(((ON, 0.1), (OFF, 1.9))).at(elapsed_us) == expected


def test_a_steady_colour_never_changes() -> None:
    assert Pattern(((OFF, inf),)) == steady(OFF)
    assert steady(RED).at(10**15) == (RED, None)


def test_three_colours_in_turn() -> None:
    pattern = Pattern(((RED, 1.0), (ON, 1.0), (Colour.AMBER, 1.0)))
    assert [pattern.at(second * 1_000_000)[0] for second in range(4)] == [RED, ON, Colour.AMBER, RED]


@pytest.mark.parametrize("time_us", [0, 1, 99_999, 10**12 + 1, 2 * 10**15 + 3])
def test_microseconds_survive_a_round_trip(time_us: int) -> None:
    assert to_us(to_s(time_us)) == time_us


def blips_at(frames_ms: list[int], end_ms: int) -> list[tuple[int, int]]:
    """The dark spans (from, to) in ms that these frames cause."""
    blips = Blips()
    spans: list[tuple[int, int]] = []
    for now_ms in range(0, end_ms, 10):
        for _ in range(frames_ms.count(now_ms)):
            blips.add(now_ms * 1000, OFF)
        if blips.running(now_ms * 1000) is OFF:
            if spans and spans[-1][1] == now_ms:
                spans[-1] = (spans[-1][0], now_ms + 10)
            else:
                spans.append((now_ms, now_ms + 10))
    return spans


@pytest.mark.parametrize(
    ("frames_ms", "dark_ms"),
    [
        ([0], [(0, 100)]),
        ([0, 300], [(0, 100), (300, 400)]),  # both on time
        ([0, 50], [(0, 100), (300, 400)]),  # a request and a quick answer: two blips, apart
        ([0, 150], [(0, 100), (300, 400)]),
        ([0, 10, 20, 30], [(0, 100), (300, 400)]),  # a burst is two blips
        ([0, 50, 320], [(0, 100), (300, 400), (600, 700)]),
        (
            list(range(0, 1000, 10)),
            [(0, 100), (300, 400), (600, 700), (900, 1000), (1200, 1300)],
        ),  # full load
    ],
)
def test_frames_become_blips(frames_ms: list[int], dark_ms: list[tuple[int, int]]) -> None:
    assert blips_at(frames_ms, 2000) == dark_ms


def test_blip_edges() -> None:
    blips = Blips()
    assert blips.next_edge(0) is None
    blips.add(1_000_000, OFF)
    blips.add(1_050_000, OFF)
    seen = []
    now_us: int | None = 1_000_000
    while now_us is not None and (now_us := blips.next_edge(now_us)) is not None:
        seen.append(now_us)
    assert seen == [1_100_000, 1_300_000, 1_400_000]


def test_of_two_events_that_are_merged_the_lit_one_is_seen() -> None:
    for second, third in ((OFF, RED), (RED, OFF)):
        blips = Blips()
        blips.add(1_000_000, OFF)
        blips.add(1_010_000, second)
        blips.add(1_020_000, third)
        assert [blips.running(at_us) for at_us in (1_099_999, 1_100_000, 1_300_000, 1_399_999)] == [
            OFF,
            None,
            RED,
            RED,
        ]


def test_a_look_keeps_its_own_blips_and_what_has_begun() -> None:
    green, noisy = Look("a", steady(ON), frame_blip=OFF), Look("b", steady(ON), OFF, RED)
    blips = Blips()
    for at_us, colour in ((1_000_000, RED), (1_010_000, RED)):
        blips.add(at_us, colour)
    blips.keep(1_050_000, noisy)
    assert blips.running(1_300_000) is RED
    blips.keep(1_050_000, green)
    assert (blips.running(1_099_999), blips.running(1_300_000)) == (RED, None)
    assert (blips.end_of_begun(1_050_000), blips.end_of_begun(1_100_000)) == (1_100_000, None)
    assert blips.end_of_begun(1_000_000) is None, "it begins just now"
    blips.keep(1_000_000, green)
    assert blips.running(1_000_000) is None
