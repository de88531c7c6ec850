import pytest

from hw.polling import Polling

S = 1_000_000


def after(*requests_s: float) -> Polling:
    polling = Polling()
    for request_s in requests_s:
        polling.request(round(request_s * S))
    return polling


@pytest.mark.parametrize(
    ("requests_s", "expected_s"),
    [
        ((), 20),  # assumed
        ((5,), 20),
        ((5, 15), 10),
        ((5, 65), 60),
        ((5, 5.1), 1),  # never less than a second
        ((0, 10, 14), 10 - 6 / 16),  # shorter ones are believed by a sixteenth
        ((0, 10, 25), 15),  # longer ones at once
        ((0, 10, 3610), 30),  # up to three times as long
        ((0, 10, 3610, 3620), 30 - 20 / 16),  # so that an outage is soon forgotten
    ],
)
def test_expected_interval(requests_s: tuple[float, ...], expected_s: float) -> None:
    assert after(*requests_s).expected_us == expected_s * S


@pytest.mark.parametrize(
    ("requests_s", "idle_at_s"), [((), 0), ((5,), 65), ((5, 15), 45), ((5, 15, 25), 55), ((5, 5.5), 8.5)]
)
def test_idle_after_three_of_them(requests_s: tuple[float, ...], idle_at_s: float) -> None:
    assert after(*requests_s).idle_at_us == idle_at_s * S


def idle_times(polling: Polling, requests_s: list[float]) -> int:
    """How many of these requests come when the master was called idle."""
    found = 0
    for request_s in requests_s:
        found += request_s * S >= polling.idle_at_us
        polling.request(round(request_s * S))
    return found


def test_bursts_with_pauses_are_not_idle() -> None:
    burst = [0.0, 0.1, 0.2, 0.3, 0.4]
    polls = [start + each for start in range(100, 1100, 10) for each in burst]
    assert idle_times(after(0, 10), polls) <= 1, "only until the pauses are known"


def test_a_master_that_is_set_to_poll_slower_is_idle_hardly_ever() -> None:
    assert idle_times(after(*range(100)), [100.0 + 60 * poll for poll in range(100)]) <= 4


def test_an_outage_is_forgotten() -> None:
    polling = after(*range(10), *range(3600, 3700))
    assert polling.expected_us < 1.1 * S
