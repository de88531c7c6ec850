"""Where the live view gets the status from, while bridges come, go, hang and lie."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.service.top.site import Site
from bridge.service.top.sources import Asking, History, Inside
from bridge.service.top.state import Part
from bridge.service.top.view import Answer
from tests.support.statuses import outstation, status
from tests.support.waiting import until

pytestmark = pytest.mark.wire


def document(frames: int, uptime_s: float) -> dict[str, Any]:
    return status(uptime_s=uptime_s, outstations=[outstation(frames_from_master=frames)])


def rate(site: Site) -> object:
    listing = site.lists[Part.OUTSTATIONS]
    return listing.items[0].cells[[column.heading for column in listing.columns].index("to/s")]


@contextmanager
def answering(path: Path, *answers: bytes) -> Iterator[list[bytes]]:
    """Give these answers at a status socket, the last one again and again. Gives what was answered so far."""
    served: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()

        def serve() -> None:
            left = list(answers)
            try:
                while True:
                    connection, _ = listening.accept()
                    with connection:
                        answer = left.pop(0) if len(left) > 1 else left[0]
                        connection.sendall(answer)
                        served.append(answer)
            except OSError:
                return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield served
        finally:
            path.unlink()
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def until_answer(source: Asking, condition: str) -> Answer:
    """Wait for a status ("site"), or for a problem with these words."""

    def answer() -> Answer | None:
        now = source.answer(time.monotonic())
        is_met = now.problem is None and now.site if condition == "site" else condition in (now.problem or "")
        return now if is_met else None

    found = until(answer, condition)
    assert found is not None
    return found


# History


def test_rates_are_means_of_the_last_seconds() -> None:
    history = History()
    assert rate(history.read(document(0, 100.0))) == "-"
    sites = [history.read(document(10 * at, 100.0 + at)) for at in range(1, 10)]
    assert [rate(site) for site in sites] == ["10"] * 9
    assert rate(history.read(document(90, 110.0))) == "8.3", "over 6 s: the oldest within, and one before"
    for at in range(1, 7):
        site = history.read(document(90, 110.0 + at))
    assert rate(site) == "0"


def test_after_a_restart_it_begins_anew() -> None:
    history = History()
    history.read(document(1000, 5000.0))
    assert rate(history.read(document(3, 1.0))) == "-"
    assert rate(history.read(document(5, 2.0))) == "2.0"


def test_what_is_no_status_is_not_kept() -> None:
    history = History()
    history.read(document(0, 100.0))
    with pytest.raises(ValueError, match="no status of this program"):
        history.read({"lines": None})
    assert rate(history.read(document(5, 101.0))) == "5.0"


# Asking


def test_it_finds_a_bridge_whenever_it_comes(tmp_path: Path) -> None:
    path = tmp_path / "s"
    whole = json.dumps(status()).encode()
    with Asking(str(path), 0.02).running() as source:
        missing = until_answer(source, "not running")
        assert (missing.problem, missing.where) == ("not running: No such file or directory", str(path))
        with answering(path, whole):
            first = until_answer(source, "site").site
            until(lambda: source.answer(time.monotonic()).site is not first, "it asks again")
        gone = until_answer(source, "not running")
        assert gone.site is not None, "what it said last"
        with answering(path, b"nonsense", b'{"lines": 3}', b"[" * 5000, whole):
            until_answer(source, "site")


def test_what_is_no_status_is_said(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with answering(path, b'{"lines": 3}'), Asking(str(path), 0.02).running() as source:
        until_answer(source, "no status: what it answers is no status of this program")


def test_a_bridge_that_hangs_holds_nobody_up_and_is_said_to_hang(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        with Asking(str(tmp_path / "s"), 0.02).running() as source:
            connection, _ = listening.accept()
            with connection:
                now = time.monotonic()
                assert source.answer(now) == Answer(where=str(tmp_path / "s"))
                assert source.answer(now + 100).problem is not None
                assert "has not answered for" in str(source.answer(now + 100).problem)


def test_it_stops_asking(tmp_path: Path) -> None:
    with Asking(str(tmp_path / "s"), 0.01).running():
        assert any(thread.name == "status" for thread in threading.enumerate())
    until(lambda: all(thread.name != "status" for thread in threading.enumerate()), "the thread ends")


# Inside


def test_the_bridge_of_this_process_is_asked_once_a_period() -> None:
    asked: list[float] = []

    def snapshot() -> dict[str, Any]:
        asked.append(0.0)
        return document(len(asked), float(len(asked)))

    source = Inside(snapshot, 0.5, ("a note",))
    first = source.answer(10.0)
    assert first.notes == ("a note",)
    assert source.answer(10.4) == first
    assert source.answer(10.5).site is not first.site
    assert len(asked) == 2
