"""Listening TCP sockets, with errors that say what could not be listened on."""

from __future__ import annotations

import os
import socket
from ipaddress import IPv6Address
from typing import Final

from bridge.endpoints.endpoint import Endpoint
from bridge.errors import BindError

BACKLOG: Final = 512
"""Who finds no place in it is not refused, but tries again a second later, as TCP does."""


def listening_socket(endpoint: Endpoint) -> socket.socket:
    """Return a socket that listens. Raises `BindError` with the operating system's reason."""
    family = socket.AF_INET6 if endpoint.host.version == 6 else socket.AF_INET
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise _bind_error(endpoint, error) from None
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # [::] takes IPv4 peers too, as IPv4-mapped addresses.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(_socket_address(endpoint))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise _bind_error(endpoint, error) from None
    sock.setblocking(False)
    return sock


def _socket_address(endpoint: Endpoint) -> tuple[str | int, ...]:
    host = endpoint.host
    if isinstance(host, IPv6Address) and host.scope_id is not None:
        # The scope of a link-local address is an interface of this machine.
        scope = host.scope_id
        interface = int(scope) if scope.isdecimal() else socket.if_nametoindex(scope)
        return str(host).partition("%")[0], endpoint.port, 0, interface
    return str(host), endpoint.port


def _bind_error(endpoint: Endpoint, error: OSError) -> BindError:
    # A scope that is no interface is an error of Python's own, without a code.
    reason = os.strerror(error.errno) if error.errno else str(error)
    return BindError(error.errno, f"cannot listen on {endpoint}: {reason}")
