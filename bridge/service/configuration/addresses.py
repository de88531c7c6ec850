"""IP addresses and endpoints in the configuration file."""

from __future__ import annotations

from bridge.endpoints.endpoint import Endpoint
from bridge.service.configuration.schema import RefusedError, shown

_LONGEST_ADDRESS = 80
"""No endpoint and no network is longer, whatever its form."""


def endpoint(value: str) -> Endpoint:
    """Convert "<address>:<port>". Raises `RefusedError` or `EndpointError`."""
    refuse_long(value, "<address>:<port>, such as '0.0.0.0:20000' or '[::]:20000'")
    return Endpoint.parse(value)


def refuse_long(text: str, right: str) -> None:
    """Raise `RefusedError` for what is too long to be an address; `right` says what to write."""
    if len(text) > _LONGEST_ADDRESS:
        raise RefusedError(f"{shown(text)} is too long to be an address; write {right}")
