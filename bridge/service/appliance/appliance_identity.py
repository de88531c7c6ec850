"""What the appliance's outstation says of itself, and what of its settings a master may change."""

from __future__ import annotations

from bridge.application.attribute import Attribute, AttributeType
from bridge.application.measurement import PointKind
from bridge.outstation.attributes import AttributeStore
from bridge.outstation.config import OutstationConfig
from bridge.outstation.handlers import FreezeType, OutstationApplication
from bridge.service.configuration.config import Configuration
from bridge.version import VERSION
from hw.vitals import identity

_LONGEST_TEXT_OCTETS = 255


def attributes(configuration: Configuration) -> AttributeStore:
    """Return the device attributes (g0): name, location, serial number, hardware, software.

    What neither the file nor the machine tells is left out.
    """
    machine, service, stack = identity(), configuration.service, OutstationConfig()
    store = AttributeStore()
    for number, text in {
        242: VERSION,
        243: machine.model,
        245: service.location,
        247: service.name or machine.hostname,
        248: machine.serial_number,
        250: "RTU Bridge appliance",
        252: "RTU Bridge",
    }.items():
        if text is not None:
            store.define(number, Attribute(AttributeType.VSTR, _fitting(text)))
    store.define(240, Attribute(AttributeType.UINT, stack.longest_response))
    store.define(241, Attribute(AttributeType.UINT, stack.longest_request))
    return store


def _fitting(text: str) -> str:
    return text.encode()[:_LONGEST_TEXT_OCTETS].decode(errors="ignore")


class ApplianceApplication(OutstationApplication):
    """Refuses restarts and the time, which the machine has from elsewhere, as the defaults do."""

    def freeze(self, kind: PointKind, start: int | None, stop: int | None, freeze_type: FreezeType) -> bool:
        """Clear nothing: the counters are those of the status, and several may watch them."""
        return freeze_type is FreezeType.IMMEDIATE
