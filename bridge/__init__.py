"""DNP3 (IEEE 1815) outstations, and a bridge from TCP masters to serial RTUs.

An outstation of your own, on TCP::

    async def main():
        outstation = Outstation(OutstationConfig(link_address=10, master_address=None))
        volts = AnalogInput(EventClass.CLASS_2, deadband=0.5, static_variation=5, event_variation=7)
        outstation.database.add(0, volts)
        outstation.database.add(0, BinaryInput(EventClass.CLASS_1))
        server = TcpServer(LinkErrorMode.DISCARD, "127.0.0.1:20000")
        server.add_outstation(outstation, None, AddressFilter.any())
        await server.bind()
        while True:
            with outstation.database.transaction() as transaction:
                transaction.update(PointKind.ANALOG_INPUT, 0, Measurement(read_volts()))
                transaction.update(PointKind.BINARY_INPUT, 0, Measurement(is_door_open()))
            await asyncio.sleep(1)

    asyncio.run(main())

`SerialOutstations` serves the same outstation on a serial port. Subclass `ControlHandler` to execute
commands, `OutstationApplication` to decide about time, restarts, freezes and settings, and
`OutstationInformation` to hear what happens; methods whose result decides an answer may be `async`. Use an
outstation and its database in the event loop that runs it: nothing is locked.

A bridge serves a `BridgedOutstation` on a `LineHub` in the same way; so can anything be that is a
`ServedOutstation`. Everything that is raised on purpose is an `RtuBridgeError`.
"""

from bridge.application.attribute import Attribute, AttributeType
from bridge.application.command import AnalogOutputCommand, CommandStatus, Crob, Operation, TripClose
from bridge.application.function import Function, Iin
from bridge.application.measurement import Flags, Measurement, PointKind
from bridge.endpoints.address_filter import AddressFilter
from bridge.endpoints.bridged_outstation import BridgedOutstation
from bridge.endpoints.connection_state import ConnectionState, ConnectionStateListener
from bridge.endpoints.hub import LineHub
from bridge.endpoints.local_outstation import Outstation
from bridge.endpoints.serial_outstation import PtyOutstations, SerialOutstations
from bridge.endpoints.serial_port import SerialSettings
from bridge.endpoints.session_groups import ServedOutstation
from bridge.endpoints.tcp_server import TcpServer
from bridge.endpoints.tcp_session import SessionLimits
from bridge.endpoints.when_down import WhenDown
from bridge.errors import (
    BindError,
    ConfigurationError,
    ConflictError,
    DuplicatePointError,
    EndpointError,
    FilterError,
    LineError,
    OutstationConfigError,
    PointConfigError,
    PointError,
    PointValueError,
    RtuBridgeError,
    UnknownPointError,
)
from bridge.link.framer import LinkErrorMode
from bridge.outstation.attributes import AttributeStore
from bridge.outstation.config import ClassDelay, OutstationConfig, UnsolicitedConfig
from bridge.outstation.database import Database
from bridge.outstation.events import EventBuffer, EventBufferSizes, EventMode
from bridge.outstation.handlers import (
    ControlHandler,
    FreezeType,
    OutstationApplication,
    OutstationInformation,
    RestartDelay,
)
from bridge.outstation.points import (
    AnalogInput,
    AnalogOutput,
    BinaryInput,
    BinaryOutput,
    Counter,
    DoubleBitInput,
    EventClass,
    FrozenAnalog,
    FrozenCounter,
    OctetString,
)
from bridge.outstation.values import EventDetection
from bridge.version import VERSION

__all__ = [
    "VERSION",
    "AddressFilter",
    "AnalogInput",
    "AnalogOutput",
    "AnalogOutputCommand",
    "Attribute",
    "AttributeStore",
    "AttributeType",
    "BinaryInput",
    "BinaryOutput",
    "BindError",
    "BridgedOutstation",
    "ClassDelay",
    "CommandStatus",
    "ConfigurationError",
    "ConflictError",
    "ConnectionState",
    "ConnectionStateListener",
    "ControlHandler",
    "Counter",
    "Crob",
    "Database",
    "DoubleBitInput",
    "DuplicatePointError",
    "EndpointError",
    "EventBuffer",
    "EventBufferSizes",
    "EventClass",
    "EventDetection",
    "EventMode",
    "FilterError",
    "Flags",
    "FreezeType",
    "FrozenAnalog",
    "FrozenCounter",
    "Function",
    "Iin",
    "LineError",
    "LineHub",
    "LinkErrorMode",
    "Measurement",
    "OctetString",
    "Operation",
    "Outstation",
    "OutstationApplication",
    "OutstationConfig",
    "OutstationConfigError",
    "OutstationInformation",
    "PointConfigError",
    "PointError",
    "PointKind",
    "PointValueError",
    "PtyOutstations",
    "RestartDelay",
    "RtuBridgeError",
    "SerialOutstations",
    "SerialSettings",
    "ServedOutstation",
    "SessionLimits",
    "TcpServer",
    "TripClose",
    "UnknownPointError",
    "UnsolicitedConfig",
    "WhenDown",
]
