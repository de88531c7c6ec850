from math import inf

import pytest

from hw.pattern import FrameBlips, Pattern, to_s, to_us


@pytest.mark.parametrize(
    "steps", [(), ((True, 0.1),), ((True, 0.1), (True, 0.1)), ((True, 0.1), (False, inf))]
)
def test_a_pattern_alternates_and_ends(steps: tuple[tuple[bool, float], ...]) -> None:
    with pytest.raises(ValueError, match="pattern"):
        Pattern(steps)


@pytest.mark.parametrize("duration_s", [0.0, -0.1])
def test_a_step_lasts(duration_s: float) -> None:
    with pytest.raises(ValueError, match="above 0 s"):
        Pattern(((True, 0.1), (False, duration_s)))


def test_odd_number_of_steps_joins_two_equal_levels() -> None:
    with pytest.raises(ValueError, match="the first after the last"):
        Pattern(((True, 0.1), (False, 0.1), (True, 0.1)))


@pytest.mark.parametrize(
    ("elapsed_us", "expected"),
    [
        (0, (True, 100_000)),
        (99_999, (True, 1)),
        (100_000, (False, 1_900_000)),
        (1_999_999, (False, 1)),
        (2_000_000, (True, 100_000)),
    ],
)
def test_position_in_a_pattern(elapsed_us: int, expected: tuple[bool, int]) -> None:
    assert Pattern(((True, 0.1), (False, 1.9))).at(elapsed_us) == expected


def test_a_steady_level_never_changes() -> None:
    assert Pattern(((False, inf),)).at(10**15) == (False, None)


@pytest.mark.parametrize("time_us", [0, 1, 99_999, 10**12 + 1, 2 * 10**15 + 3])
def test_microseconds_survive_a_round_trip(time_us: int) -> None:
    assert to_us(to_s(time_us)) == time_us


def blips_at(frames_ms: list[int], end_ms: int) -> list[tuple[int, int]]:
    """The dark spans (from, to) in ms that these frames cause."""
    blips = FrameBlips()
    spans: list[tuple[int, int]] = []
    for now_ms in range(0, end_ms, 10):
        for _ in range(frames_ms.count(now_ms)):
            blips.frame(now_ms * 1000)
        if blips.is_dark(now_ms * 1000):
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
    blips = FrameBlips()
    assert blips.next_edge(0) is None
    blips.frame(1_000_000)
    blips.frame(1_050_000)
    seen = []
    now_us: int | None = 1_000_000
    while now_us is not None and (now_us := blips.next_edge(now_us)) is not None:
        seen.append(now_us)
    assert seen == [1_100_000, 1_300_000, 1_400_000]
