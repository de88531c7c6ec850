"""Who opens and closes a watched path is told, in order."""

from __future__ import annotations

import os
import pty

import pytest

from bridge.bench.openings import Opening, Openings

pytestmark = pytest.mark.wire


def test_openings_and_closings_of_a_pty_are_told() -> None:
    ours, theirs = pty.openpty()
    path = os.ttyname(theirs)
    openings = Openings()
    try:
        watch = openings.watch(path)
        assert list(openings.read()) == []
        for flags in (os.O_RDWR, os.O_RDONLY):
            os.close(os.open(path, flags | os.O_NOCTTY))
            assert list(openings.read()) == [Opening(watch, True), Opening(watch, False)]
        with pytest.raises(OSError, match="cannot watch"):
            openings.watch("/nowhere")
    finally:
        openings.close()
        os.close(ours)
        os.close(theirs)
