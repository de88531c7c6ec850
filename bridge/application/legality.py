"""Which objects and qualifiers go with which function (IEEE 1815 clause 12, subset level 4 and attributes).

One table: what is not in it is answered with an internal indication (IEEE 1815 clause 4.2.2.6):
  function not here                   NO_FUNC_CODE_SUPPORT
  object not under its function       OBJECT_UNKNOWN
  qualifier not with the object       PARAMETER_ERROR
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import NamedTuple

from bridge.application.function import CONTROLS, Function
from bridge.application.measurement import PointKind
from bridge.application.objects import ALL_ATTRIBUTES
from bridge.application.qualifier import COUNTS, PREFIXES, RANGES, Qualifier
from bridge.application.variation import Role, Variation

_ALL = frozenset({Qualifier.ALL})
_INDEXED = RANGES | PREFIXES
_POINTS = _INDEXED | _ALL
_NUMBERED = frozenset(range(1, 256))
_ANY_VARIATION = frozenset({0})
_CLASS_0 = frozenset({1})
_EVENT_CLASSES = frozenset({2, 3, 4})


class Use(NamedTuple):
    """Objects of a role that a function takes, with these qualifiers; None stands for all."""

    role: Role
    qualifiers: frozenset[Qualifier]
    variations: frozenset[int] | None = None
    kinds: frozenset[PointKind] | None = None

    def covers(self, row: Variation) -> bool:
        """Tell whether the row is among these objects."""
        return (
            row.group_role is self.role
            and (self.variations is None or row.variation in self.variations)
            and (self.kinds is None or row.kind in self.kinds)
        )


_READ = (
    Use(Role.STATIC, _POINTS | COUNTS),
    Use(Role.DEADBAND, _POINTS | COUNTS),
    Use(Role.EVENT, _ALL | COUNTS),
    Use(Role.COMMAND_EVENT, _ALL | COUNTS),
    Use(Role.CLASS, _ALL, _CLASS_0),
    Use(Role.CLASS, _ALL | COUNTS, _EVENT_CLASSES),
    Use(Role.TIME, _ALL | COUNTS),
    Use(Role.SCHEDULE, _POINTS | COUNTS),
    Use(Role.INDICATIONS, RANGES | _ALL),
    # The index of an attribute is its set: 0 the standard's, others private.
    Use(Role.ATTRIBUTE, _POINTS),
)
_WRITE = (
    Use(Role.TIME, COUNTS),
    Use(Role.RECORDED_TIME, COUNTS),
    Use(Role.SCHEDULE, _INDEXED),
    Use(Role.INDICATIONS, RANGES),
    Use(Role.DEADBAND, _INDEXED, _NUMBERED),
    Use(Role.ATTRIBUTE, _INDEXED, frozenset(range(1, ALL_ATTRIBUTES))),
    Use(Role.STATIC, _INDEXED, _NUMBERED, frozenset({PointKind.OCTET_STRING})),
)
_OPERATE = (Use(Role.COMMAND, PREFIXES, _NUMBERED),)
_FREEZE = (Use(Role.STATIC, _POINTS, _ANY_VARIATION, frozenset({PointKind.COUNTER, PointKind.ANALOG_INPUT})),)
# An analog input has nothing to clear.
_FREEZE_CLEAR = (Use(Role.STATIC, _POINTS, _ANY_VARIATION, frozenset({PointKind.COUNTER})),)
_FREEZE_AT_TIME = (Use(Role.FREEZE_TIME, COUNTS), *_FREEZE)
_ASSIGN_CLASS = (
    Use(Role.CLASS, _ALL),
    Use(Role.STATIC, _POINTS, _ANY_VARIATION),
    # The class of the command events (g13, g43) is assigned through the commands.
    Use(Role.COMMAND, _POINTS, _ANY_VARIATION),
)
_UNSOLICITED = (Use(Role.CLASS, _ALL, _EVENT_CLASSES),)

USES: Mapping[Function, tuple[Use, ...]] = MappingProxyType(
    {
        Function.CONFIRM: (),
        Function.READ: _READ,
        Function.WRITE: _WRITE,
        Function.SELECT: _OPERATE,
        Function.OPERATE: _OPERATE,
        Function.DIRECT_OPERATE: _OPERATE,
        Function.DIRECT_OPERATE_NR: _OPERATE,
        Function.IMMED_FREEZE: _FREEZE,
        Function.IMMED_FREEZE_NR: _FREEZE,
        Function.FREEZE_CLEAR: _FREEZE_CLEAR,
        Function.FREEZE_CLEAR_NR: _FREEZE_CLEAR,
        Function.FREEZE_AT_TIME: _FREEZE_AT_TIME,
        Function.FREEZE_AT_TIME_NR: _FREEZE_AT_TIME,
        Function.COLD_RESTART: (),
        Function.WARM_RESTART: (),
        Function.ENABLE_UNSOLICITED: _UNSOLICITED,
        Function.DISABLE_UNSOLICITED: _UNSOLICITED,
        Function.ASSIGN_CLASS: _ASSIGN_CLASS,
        Function.DELAY_MEASURE: (),
        Function.RECORD_CURRENT_TIME: (),
    }
)
"""Every function that an outstation executes, with its objects; none where it takes none."""

INDEPENDENT_HEADERS = frozenset(
    {
        Function.READ,
        Function.IMMED_FREEZE,
        Function.IMMED_FREEZE_NR,
        Function.FREEZE_CLEAR,
        Function.FREEZE_CLEAR_NR,
        Function.ENABLE_UNSOLICITED,
        Function.DISABLE_UNSOLICITED,
    }
)
"""Functions whose headers stand alone and have no objects: a wrong one does not spoil the others."""

_WITH_OBJECTS = CONTROLS | {Function.WRITE}
_AT_TIME = frozenset({Function.FREEZE_AT_TIME, Function.FREEZE_AT_TIME_NR})


@cache
def qualifiers_for(function: Function, row: Variation) -> frozenset[Qualifier]:
    """Return the qualifiers with which the function takes this object: none if it does not take it."""
    uses = (use.qualifiers for use in USES.get(function, ()) if use.covers(row))
    return frozenset[Qualifier]().union(*uses)


def carries_objects(function: Function, row: Variation | None) -> bool:
    """Tell whether the header of this object is followed by objects in a request of this function."""
    # FREEZE_AT_TIME: first when, with its object, then which counters, without.
    is_freeze_time = row is not None and row.role is Role.FREEZE_TIME
    return function in _WITH_OBJECTS or (function in _AT_TIME and is_freeze_time)
