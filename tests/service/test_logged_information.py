"""What the log tells of an outstation inside this program."""

from __future__ import annotations

import logging

import pytest

from bridge.service.logged_information import LoggedInformation


def test_it_tells_what_a_master_wants_and_what_failed(caplog: pytest.LogCaptureFixture) -> None:
    information = LoggedInformation("box")
    with caplog.at_level(logging.INFO, "bridge"):
        information.unsolicited_enabled(frozenset({3, 1}))
        information.unsolicited_enabled(frozenset())
        information.handler_failed(ValueError("no"))
    assert [(record.getMessage(), record.levelname, record.fields) for record in caplog.records] == [  # type: ignore[attr-defined]
        ("unsolicited", "INFO", {"outstation": "box", "classes": "1,3"}),
        ("unsolicited", "INFO", {"outstation": "box", "classes": ""}),
        ("handler failed", "WARNING", {"outstation": "box", "error": "ValueError('no')"}),
    ]
