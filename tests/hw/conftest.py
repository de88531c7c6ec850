from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hw.machines import Machine, a_machine


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Machine]:
    with a_machine(monkeypatch, tmp_path) as machine:
        yield machine
