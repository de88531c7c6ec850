"""Scraping metrics as Prometheus does."""

from __future__ import annotations

from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as plain_families

from bridge.endpoints.endpoint import Endpoint
from tests.support.masters import Master

OPENMETRICS = "application/openmetrics-text; version=1.0.0"

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def scrape(endpoint: Endpoint, *, accept: str = "*/*", path: str = "/metrics") -> str:
    """Return the text at `endpoint`, which must be there."""
    with await Master.connect(endpoint) as client:
        await client.send(f"GET {path} HTTP/1.1\r\nHost: here\r\nAccept: {accept}\r\n\r\n".encode())
        head, _, body = (await client.receive_to_the_end()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n"), head
    return body.decode()


def samples_of(text: str) -> Samples:
    """Return every sample of a text in either format, by its name and labels."""
    parse = text_string_to_metric_families if text.endswith("# EOF\n") else plain_families
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse(text)
        for sample in family.samples
    }
