from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.link.frame import octets_of_frame
from bridge.routing.timing import (
    LONGEST_FRAGMENT_OCTETS,
    LONGEST_FRAME,
    bits_s,
    default_babble_s,
    default_broadcast_dead_time_s,
    default_control_ttl_s,
    default_exchange_limit_s,
    default_frame_timeout_s,
    default_request_ttl_s,
    default_response_timeout_s,
    default_turnaround_s,
    frame_time_s,
    octet_time_s,
)
from tests.routing.turn_bench import TIMING


@pytest.mark.parametrize(
    ("parity_bits", "stop_bits", "bits"),
    [(0, 1, 10), (1, 1, 11), (0, 2, 11), (1, 2, 12)],
)
def test_bits_of_an_octet(parity_bits: int, stop_bits: int, bits: int) -> None:
    assert octet_time_s(1, parity_bits=parity_bits, stop_bits=stop_bits) == bits


@pytest.mark.parametrize(
    ("baud", "octet_s", "longest_s", "response_timeout_s", "frame_timeout_s"),
    [
        (300, 0.0333333, 9.733333, 11.733333, 1.433333),
        (1200, 0.00833333, 2.433333, 4.433333, 0.433333),
        (9600, 0.00104167, 0.304167, 2.304167, 0.141667),
        (19200, 0.000520833, 0.152083, 2.152083, 0.120833),
        (115200, 0.0000868056, 0.0253472, 2.0253472, 0.103472),
    ],
)
def test_times_with_8n1(
    baud: int, octet_s: float, longest_s: float, response_timeout_s: float, frame_timeout_s: float
) -> None:
    assert octet_time_s(baud, parity_bits=0, stop_bits=1) == pytest.approx(octet_s, rel=1e-5)
    assert frame_time_s(292, baud, parity_bits=0, stop_bits=1) == pytest.approx(longest_s, rel=1e-5)
    assert default_response_timeout_s(baud, parity_bits=0, stop_bits=1) == pytest.approx(response_timeout_s)
    assert default_frame_timeout_s(baud, parity_bits=0, stop_bits=1) == pytest.approx(
        frame_timeout_s, rel=1e-5
    )


def test_parity_lengthens_every_time() -> None:
    assert frame_time_s(292, 9600, parity_bits=1, stop_bits=1) == pytest.approx(292 * 11 / 9600)
    assert default_response_timeout_s(9600, parity_bits=1, stop_bits=1) == pytest.approx(2.334583)
    assert default_frame_timeout_s(9600, parity_bits=1, stop_bits=2) == pytest.approx(0.15)


def test_no_octets_take_no_time() -> None:
    assert frame_time_s(0, 9600, parity_bits=0, stop_bits=1) == 0


def test_longest_frame_is_that_of_the_largest_len_octet() -> None:
    assert octets_of_frame(255) == LONGEST_FRAME == 292


def test_longest_frame_of_a_line() -> None:
    assert replace(TIMING, octet_s=0.5).longest_frame_s == 146


def test_longest_fragment() -> None:
    # 2048 octets in segments of 249 after a transport octet each.
    assert LONGEST_FRAGMENT_OCTETS == -(-2048 // 249) * LONGEST_FRAME


def test_delays_in_bit_times() -> None:
    assert bits_s(96, 9600) == pytest.approx(0.01)


@pytest.mark.parametrize(("response_timeout_s", "request_ttl_s"), [(2.0, 10.0), (5.0, 10.0), (11.7, 23.4)])
def test_default_request_ttl(response_timeout_s: float, request_ttl_s: float) -> None:
    assert default_request_ttl_s(response_timeout_s) == pytest.approx(request_ttl_s)


@pytest.mark.parametrize(
    ("response_timeout_s", "request_ttl_s", "control_ttl_s"),
    [(2.0, 10.0, 5.0), (4.0, 10.0, 6.0), (2.0, 3.0, 3.0), (10.0, 12.0, 12.0)],
)
def test_default_control_ttl(response_timeout_s: float, request_ttl_s: float, control_ttl_s: float) -> None:
    assert default_control_ttl_s(response_timeout_s, request_ttl_s) == pytest.approx(control_ttl_s)


@pytest.mark.parametrize(("baud", "limit_s"), [(300, 1401.6), (9600, 60.0), (115200, 60.0)])
def test_default_exchange_limit(baud: int, limit_s: float) -> None:
    assert default_exchange_limit_s(baud, parity_bits=0, stop_bits=1) == pytest.approx(limit_s)


@pytest.mark.parametrize(("baud", "babble_s"), [(1200, 24.9), (9600, 5.7375), (115200, 3.228125)])
def test_default_babble(baud: int, babble_s: float) -> None:
    assert default_babble_s(baud, parity_bits=0, stop_bits=1) == pytest.approx(babble_s)


@pytest.mark.parametrize(("baud", "turnaround_s"), [(300, 0.066), (1200, 0.016), (9600, 0.002), (38400, 0.0)])
def test_default_turnaround(baud: int, turnaround_s: float) -> None:
    assert default_turnaround_s(baud, parity_bits=0, stop_bits=1) == pytest.approx(turnaround_s)


def test_default_dead_time() -> None:
    assert default_broadcast_dead_time_s() == 0.3
