"""The thread that carries: it wakes for octets, for deadlines and for changes, and holds writers back."""

from __future__ import annotations

import os
import threading

import pytest

from bridge.bench.loop import Bench
from bridge.bench.port import Port
from tests.support.waiting import until

pytestmark = pytest.mark.wire


class User:
    """Remembers what the loop asked of it."""

    def __init__(self, deadlines: list[float | None]) -> None:
        self.deadlines = deadlines
        self.octets = b""
        self.carried = 0
        self.threads: set[str] = set()

    def heard(self, port: Port, now: float) -> None:
        self.octets += port.read()

    def carry(self, now: float) -> float | None:
        self.carried += 1
        self.threads.add(threading.current_thread().name)
        return self.deadlines.pop(0) if self.deadlines else None


def test_it_wakes_for_octets_and_keeps_deadlines() -> None:
    with Bench() as bench:
        user, port = User([0.0, 0.0]), Port()
        bench.add(user)
        bench.add_port(user, port)
        other = os.open(port.path, os.O_RDWR | os.O_NOCTTY)
        until(lambda: user.carried == 0 and port.users == 1, "the opening is seen")
        os.write(other, b"hello")
        until(lambda: user.carried == 3, "it carries until there is no deadline")
        assert user.octets == b"hello"
        bench.changed(user)
        until(lambda: user.carried == 4, "it looks again")
        assert user.threads == {"bench"}
        with bench.lock:
            bench.listen(port, is_listening=False)
        os.write(other, b" again")
        bench.changed(user)
        until(lambda: user.carried == 5, "it looks again")
        assert user.octets == b"hello"
        with bench.lock:
            bench.listen(port, is_listening=True)
        until(lambda: user.octets == b"hello again", "it listens again")
        os.close(other)
        with bench.lock:
            bench.remove_port(port)
            port.close()
            bench.remove(user)
        bench.changed(user)
    assert not any(thread.name == "bench" for thread in threading.enumerate())
