"""A line of two ptys, and everything on it but the bridge."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.raw_peers import RawRtu
from tests.support.wire import Wire


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    """The line; the bridge opens `tty` in the test's folder."""
    with Wire(tmp_path / "tty") as wire:
        yield wire


@pytest.fixture
def line(wire: Wire) -> Iterator[RawRtu]:
    """All RTUs at once: the far end of the line."""
    with RawRtu(wire.rtu) as rtu:
        yield rtu
