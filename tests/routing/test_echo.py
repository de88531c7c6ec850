"""Our own voice, taken out of what is heard."""

from __future__ import annotations

import random

import pytest

from bridge.routing.echo import EchoFilter
from tests.support import frames as f

REQUEST, ANSWER = f.request(1).octets, f.response(1).octets


@pytest.fixture
def echo() -> EchoFilter:
    return EchoFilter(hold_s=0.1)


def test_nothing_is_taken_out_of_a_line_without_echo(echo: EchoFilter) -> None:
    echo.sent(REQUEST)
    assert echo.receive(ANSWER, 0.0) == ANSWER
    assert echo.receive(REQUEST, 0.0) == REQUEST
    assert (echo.octets, echo.spoiled) == (0, 0)


def test_nothing_is_taken_out_when_nothing_was_sent(echo: EchoFilter) -> None:
    assert echo.receive(REQUEST, 0.0) == REQUEST


def test_an_echo_is_taken_out(echo: EchoFilter) -> None:
    echo.sent(REQUEST)
    assert echo.receive(REQUEST, 0.0) == b""
    assert echo.receive(ANSWER, 0.1) == ANSWER
    assert (echo.octets, echo.spoiled) == (len(REQUEST), 0)


def test_an_echo_with_the_answer_behind_it(echo: EchoFilter) -> None:
    echo.sent(REQUEST)
    assert echo.receive(REQUEST + ANSWER, 0.0) == ANSWER


def test_frames_back_to_back(echo: EchoFilter) -> None:
    echo.sent(REQUEST)
    echo.sent(REQUEST)
    assert echo.receive(REQUEST + REQUEST + ANSWER, 0.0) == ANSWER
    assert echo.octets == 2 * len(REQUEST)


@pytest.mark.parametrize("seed", range(20))
def test_however_it_is_cut(echo: EchoFilter, seed: int) -> None:
    rng = random.Random(seed)
    echo.sent(REQUEST)
    heard, left = b"", REQUEST + ANSWER
    while left:
        cut = rng.randint(1, 5)
        heard += echo.receive(left[:cut], 0.0)
        left = left[cut:]
    assert heard == ANSWER
    assert (echo.octets, echo.spoiled) == (len(REQUEST), 0)


def test_an_answer_that_comes_octet_by_octet(echo: EchoFilter) -> None:
    """Its first three octets can be those of the echo: they are held until the fourth tells."""
    echo.sent(ANSWER[:2] + REQUEST[2:])
    heard = [echo.receive(ANSWER[at : at + 1], 0.0) for at in range(len(ANSWER))]
    assert b"".join(heard) == ANSWER
    assert heard[0] == b""


def test_what_is_held_is_given_back_in_the_end(echo: EchoFilter) -> None:
    echo.sent(REQUEST)
    assert echo.next_deadline() is None
    assert echo.receive(REQUEST[:2], 1.0) == b""
    assert echo.next_deadline() == pytest.approx(1.1)
    assert echo.on_deadline(1.05) == b""
    assert echo.on_deadline(1.1) == REQUEST[:2]
    assert echo.next_deadline() is None
    assert echo.on_deadline(9.0) == b""
    assert echo.receive(REQUEST, 9.0) == REQUEST


def test_an_echo_that_is_sure_is_not_held(echo: EchoFilter) -> None:
    echo.sent(REQUEST)
    assert echo.receive(REQUEST[:6], 1.0) == b""
    assert echo.next_deadline() is None
    assert echo.receive(REQUEST[6:] + b"\x05", 2.0) == b"\x05"


def test_an_echo_that_was_talked_over(echo: EchoFilter) -> None:
    echo.sent(REQUEST)
    spoiled = REQUEST[:8] + bytes((REQUEST[8] ^ 1,)) + REQUEST[9:]
    assert echo.receive(spoiled, 0.0) == spoiled
    assert (echo.octets, echo.spoiled) == (0, 1)
    assert echo.receive(REQUEST, 1.0) == REQUEST


def test_an_echo_that_breaks_off(echo: EchoFilter) -> None:
    echo.sent(REQUEST)
    echo.receive(REQUEST[:8], 0.0)
    assert echo.receive(ANSWER, 1.0) == ANSWER
    assert (echo.octets, echo.spoiled) == (8, 1)


def test_reset(echo: EchoFilter) -> None:
    echo.sent(REQUEST)
    echo.receive(REQUEST[:2], 0.0)
    echo.reset()
    assert echo.next_deadline() is None
    assert echo.receive(REQUEST, 0.0) == REQUEST


def test_what_is_expected_is_bounded(echo: EchoFilter) -> None:
    for _ in range(2000):
        echo.sent(REQUEST)
    echo.receive(REQUEST * 2000, 0.0)
    assert 8192 <= echo.octets < 8192 + len(REQUEST)
