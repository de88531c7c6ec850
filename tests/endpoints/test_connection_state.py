"""All listeners hear of one change before any hears of the next, whatever they do and raise."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bridge.endpoints.connection_state import Announcer, ConnectionState

CONNECTED, DISCONNECTED = ConnectionState.CONNECTED, ConnectionState.DISCONNECTED
Heard = list[tuple[str, ConnectionState, str]]


class Listener:
    def __init__(self, name: str, heard: Heard, then: Callable[[], None] = lambda: None) -> None:
        self._name, self._heard, self._then = name, heard, then

    def connection_state_changed(self, state: ConnectionState, peer: str) -> None:
        self._heard.append((self._name, state, peer))
        self._then()


def test_nothing_is_told_before_its_time() -> None:
    heard: Heard = []
    announcer = Announcer()
    announcer.add([("a", Listener("a", heard))], CONNECTED, "10.1.1.5:1")
    assert heard == []
    announcer.tell()
    announcer.tell()
    assert heard == [("a", CONNECTED, "10.1.1.5:1")]


def test_a_change_that_a_listener_brings_about_is_told_after_the_first() -> None:
    heard: Heard = []
    announcer = Announcer()
    listeners: list[tuple[str, Listener]] = []

    def end() -> None:
        if len(heard) == 1:
            announcer.add(listeners, DISCONNECTED, "10.1.1.5:1")
            announcer.tell()

    listeners += [("a", Listener("a", heard, end)), ("b", Listener("b", heard))]
    announcer.add(listeners, CONNECTED, "10.1.1.5:1")
    announcer.tell()
    assert [(name, state) for name, state, _ in heard] == [
        ("a", CONNECTED),
        ("b", CONNECTED),
        ("a", DISCONNECTED),
        ("b", DISCONNECTED),
    ]


def test_what_a_listener_raises_is_logged_counted_and_no_matter_of_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    heard: Heard = []

    def fail() -> None:
        raise ValueError("no")

    announcer = Announcer()
    announcer.add([("a", Listener("a", heard, fail)), ("b", Listener("b", heard))], CONNECTED, "10.1.1.5:1")
    announcer.tell()
    assert [name for name, _, _ in heard] == ["a", "b"]
    assert announcer.failures == 1
    (record,) = caplog.records
    assert record.getMessage() == "listener failed"
    assert record.fields == {"outstation": "a", "state": "connected", "error": "ValueError('no')"}  # type: ignore[attr-defined]
