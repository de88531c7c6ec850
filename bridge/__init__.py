"""A TCP outstation server for DNP3 (IEEE 1815) that bridges masters to serial RTUs.

The library in five names::

    server = TcpServer(LinkErrorMode.DISCARD, "0.0.0.0:20000")
    server.add_outstation(outstation, listener, AddressFilter.parse(["10.1.1.5", "10.8.0.0/16"]))
    await server.bind()

where `outstation` is a `BridgedOutstation` on a `LineHub`, or anything else that is a `ServedOutstation`, and
`listener` is a `ConnectionStateListener`.
"""

from bridge.endpoints.address_filter import AddressFilter
from bridge.endpoints.bridged_outstation import BridgedOutstation
from bridge.endpoints.hub import LineHub
from bridge.endpoints.tcp_server import (
    ConnectionState,
    ConnectionStateListener,
    ServedOutstation,
    TcpServer,
)
from bridge.endpoints.tcp_session import SessionLimits
from bridge.errors import (
    BindError,
    ConfigurationError,
    ConflictError,
    EndpointError,
    FilterError,
    RtuBridgeError,
)
from bridge.link.framer import LinkErrorMode
from bridge.version import VERSION

__all__ = [
    "VERSION",
    "AddressFilter",
    "BindError",
    "BridgedOutstation",
    "ConfigurationError",
    "ConflictError",
    "ConnectionState",
    "ConnectionStateListener",
    "EndpointError",
    "FilterError",
    "LineHub",
    "LinkErrorMode",
    "RtuBridgeError",
    "ServedOutstation",
    "SessionLimits",
    "TcpServer",
]
