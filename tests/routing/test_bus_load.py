from __future__ import annotations

import pytest

from bridge.routing.bus_load import WINDOW_S, BusLoad

OCTET_S = 0.001


def test_before_the_first_sample_nothing_is_known() -> None:
    assert BusLoad(OCTET_S).share(5.0, 1000) == 0.0


def test_it_is_the_share_of_the_time_since_the_first_sample() -> None:
    load = BusLoad(OCTET_S)
    load.sample(100.0, 5000)
    assert load.share(100.0, 5000) == 0.0
    assert load.share(120.0, 5000 + 5000) == pytest.approx(0.25)
    assert load.share(150.0, 5000 + 5000) == pytest.approx(0.1)


def test_the_first_request_of_a_line_is_no_full_load() -> None:
    load = BusLoad(OCTET_S)
    load.sample(100.0, 0)
    assert load.share(100.001, 292) == pytest.approx(0.0292)


def test_it_never_says_more_than_all() -> None:
    load = BusLoad(OCTET_S)
    load.sample(0.0, 0)
    assert load.share(20.0, 40_000) == 1.0


def test_only_the_last_minute_counts() -> None:
    load = BusLoad(OCTET_S)
    for second in range(200):
        # Half of the time for a hundred seconds, then nothing.
        load.sample(float(second), 500 * min(second, 100))
    assert load.share(199.0, 50_000) == 0.0
    assert load.share(199.0, 50_000 + 6000) == pytest.approx(0.1)


def test_the_window_slides_through_a_burst() -> None:
    load = BusLoad(OCTET_S)
    shares = []
    for second in range(181):
        octets = 6000 * (second >= 60)
        load.sample(float(second), octets)
        shares.append(load.share(float(second), octets))
    assert shares[59] == 0.0
    assert shares[60] == pytest.approx(6.0 / WINDOW_S)
    assert shares[119] == pytest.approx(6.0 / WINDOW_S)
    assert shares[121] == 0.0


def test_it_keeps_no_more_than_the_window() -> None:
    load = BusLoad(OCTET_S)
    for second in range(10_000):
        load.sample(float(second), second)
    assert len(load._samples) <= WINDOW_S + 2
