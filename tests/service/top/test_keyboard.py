"""What terminals send for keys, however it arrives."""

from __future__ import annotations

import pytest

from bridge.service.top.keyboard import Keyboard

KEYS = [
    (b"\x1b[A", "up"),
    (b"\x1bOA", "up"),
    (b"\x1b[B", "down"),
    (b"\x1bOD", "left"),
    (b"\x1b[C", "right"),
    (b"\x1b[5~", "page up"),
    (b"\x1b[6~", "page down"),
    (b"\x1b[H", "home"),
    (b"\x1b[1~", "home"),
    (b"\x1bOF", "end"),
    (b"\x1b[4~", "end"),
    (b"\t", "tab"),
    (b"\x1b[Z", "back tab"),
    (b"\r", "enter"),
    (b"\n", "enter"),
    (b"\x7f", "backspace"),
    (b"\x08", "backspace"),
    (b"\x03", "interrupt"),
    (b"\x0c", "redraw"),
    (b"q", "q"),
    (b"/", "/"),
    ("ü".encode(), "ü"),
]


@pytest.mark.parametrize(("octets", "key"), KEYS, ids=repr)
def test_a_key(octets: bytes, key: str) -> None:
    assert Keyboard().keys(octets) == [key]


@pytest.mark.parametrize(("octets", "key"), KEYS, ids=repr)
def test_a_key_in_single_octets(octets: bytes, key: str) -> None:
    keyboard = Keyboard()
    found = [each for octet in octets for each in keyboard.keys(bytes([octet]))]
    assert found == [key]
    assert keyboard.pause() == []


def test_all_keys_at_once() -> None:
    assert Keyboard().keys(b"".join(octets for octets, _ in KEYS)) == [key for _, key in KEYS]


def test_escape_is_a_key_when_nothing_follows() -> None:
    keyboard = Keyboard()
    assert keyboard.keys(b"\x1b") == []
    assert keyboard.pause() == ["escape"]
    assert keyboard.pause() == []
    assert keyboard.keys(b"q") == ["q"]


def test_escape_and_then_another_key() -> None:
    assert Keyboard().keys(b"\x1bq") == ["escape", "q"]
    assert Keyboard().keys(b"\x1b\x1b[A") == ["escape", "up"]


@pytest.mark.parametrize(
    "octets", [b"\x1b[1;5A", b"\x1b[200~", b"\x1b[M", b"\x1bOP", b"\x1b[?1;2c", b"\x00", b"\xff"]
)
def test_what_is_no_key_is_nothing(octets: bytes) -> None:
    assert Keyboard().keys(octets + b"q") == ["q"]


def test_a_sequence_without_an_end_is_not_kept_for_ever() -> None:
    keyboard = Keyboard()
    for _ in range(100):
        keyboard.keys(b"\x1b[" + b"1;" * 100)
    assert keyboard.pause() in ([], ["escape"])
    assert keyboard.keys(b"q") == ["q"]
