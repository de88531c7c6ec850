"""The configuration of each kind of point, in the order of the kinds."""

from __future__ import annotations

from bridge.application.measurement import PointKind
from bridge.outstation.points import (
    AnalogInput,
    AnalogOutput,
    BinaryInput,
    BinaryOutput,
    Counter,
    DoubleBitInput,
    FrozenAnalog,
    FrozenCounter,
    OctetString,
    PointConfig,
)

CONFIGS: dict[PointKind, type[PointConfig]] = {
    each.kind: each
    for each in (
        BinaryInput,
        DoubleBitInput,
        BinaryOutput,
        Counter,
        FrozenCounter,
        AnalogInput,
        FrozenAnalog,
        AnalogOutput,
        OctetString,
    )
}
