"""The keys of [metrics], and what is to be said of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bridge.endpoints.endpoint import Endpoint
from bridge.service.configuration.addresses import endpoint
from bridge.service.configuration.schema import STRING, Key, Report, Row, under

METRICS_KEYS: Final[Mapping[str, Key]] = {
    "listen": Key(STRING, 'listen = "127.0.0.1:9815"', endpoint, default=Endpoint.parse("127.0.0.1:9815")),
}


def warn(row: Row, report: Report) -> None:
    """Say that everybody may look, where it is so."""
    listen = row.get("listen")
    if not listen.host.is_loopback:
        report.add(
            under(row.path, "listen"),
            f"'{listen}' shows the metrics to everybody who reaches this machine, without a password; "
            f"write '127.0.0.1:{listen.port}', or let only a network of your own reach it",
        )
