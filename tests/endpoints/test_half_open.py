"""Masters that vanish without a FIN or RST: power cut, cable cut, a firewall that forgot them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import product
from typing import Any

import pytest

from tests.support.repository import ROOT
from tests.support.vanishing import HALF_OPEN_TIMEOUT_S, LOOPS, NOT_POSSIBLE, SLACK, WAYS

pytestmark = pytest.mark.wire

_LONGEST_S = 60

Observations = dict[tuple[str, str], subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def observations() -> Iterator[Observations]:
    """Let masters vanish in each way in each event loop, all at once: it is seconds of waiting."""
    with ExitStack() as stack:
        children = {
            (loop, way): stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "tests.support.vanishing", loop, way],
                    cwd=ROOT,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            for loop, way in product(LOOPS, WAYS)
        }
        stack.callback(lambda: [child.kill() for child in children.values() if child.poll() is None])
        done: Observations = {}
        for key, child in children.items():
            out, err = child.communicate(timeout=_LONGEST_S)
            done[key] = subprocess.CompletedProcess(child.args, child.returncode, out, err)
        yield done


def _observation(observations: Observations, loop: str, way: str) -> dict[str, Any]:
    child = observations[loop, way]
    if child.returncode == NOT_POSSIBLE:
        if os.environ.get("RTU_BRIDGE_REQUIRE_PEERS") == "1":
            pytest.fail(f"RTU_BRIDGE_REQUIRE_PEERS is set, and {child.stderr.strip()}")
        pytest.skip(child.stderr.strip())
    assert child.returncode == 0, child.stderr
    observed: dict[str, Any] = json.loads(child.stdout)
    return observed


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("session", ["idle", "busy"])
def test_a_session_whose_master_vanished_is_gone_in_time(
    observations: Observations, loop: str, way: str, session: str
) -> None:
    observed = _observation(observations, loop, way)
    assert observed["open_at_first"] == 2, "nobody told the server"
    assert observed["ended_s"][session] < SLACK * HALF_OPEN_TIMEOUT_S
    assert observed["reasons"] == {"peer_vanished": 2}
    assert observed["listener"] == ["connected", "disconnected"]
