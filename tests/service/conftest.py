"""What the service's tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.ptys import Pty


@pytest.fixture
def adapter() -> Iterator[Pty]:
    """One serial adapter, plugged in."""
    with Pty() as adapter:
        yield adapter
