"""A pty end counts who has it open, and delivers only to them."""

from __future__ import annotations

import os

import pytest

from bridge.bench.port import Port

pytestmark = pytest.mark.wire


def test_who_has_it_open_hears() -> None:
    port = Port()
    assert port.read() == b""
    assert port.write(b"lost") == 4
    user = os.open(port.path, os.O_RDWR | os.O_NOCTTY)
    port.note_opening(is_open=True)
    assert port.write(b"heard") == 0
    assert os.read(user, 100) == b"heard"
    os.write(user, b"said")
    assert port.read() == b"said"
    lost = sum(port.write(bytes(1000)) for _ in range(1000))
    assert 0 < lost < 1_000_000
    port.close()
    assert os.read(user, 1) == b""
    os.close(user)


def test_openings_told_as_one_are_healed_by_who_writes() -> None:
    port = Port()
    user = os.open(port.path, os.O_RDWR | os.O_NOCTTY)
    port.note_opening(is_open=False)
    assert port.users == 0
    os.write(user, b"here")
    assert (port.read(), port.users) == (b"here", 1)
    port.close()
    os.close(user)
