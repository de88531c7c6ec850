"""An update under way, and what is done about it after a boot. Pure.

    ===========================  ===================  =======================  ===============================
    what was done                default / running    what a power cut leaves  next boot
    ===========================  ===================  =======================  ===============================
    note "writing"               a / a                a, whole                 a; note removed
    boot slot b made no FAT      a / a                a, whole                 a
    root b written, read back    a / a                a, whole                 a
    boot slot b written, back    a / a                a, whole                 a
    its first sector written     a / a                a and b, whole           a
    note "armed", reboot         a / -                a and b, whole           b once; after a cut a
    note "begun"                 a / b                a and b, whole           a: fell back
    healthy: autoboot.txt        b / b                a and b, whole           b
    note removed                 b / b                a and b, whole           b
    not healthy: note "failed"   a / b                a and b, whole           a: fell back
    ===========================  ===================  =======================  ===============================

Only autoboot.txt says what is booted, and it changes in one write of one sector. The note says what to tell
people; nothing is booted because of it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from enum import Enum
from typing import Final

from .slots import Slot

HOLD_S: Final = 60.0
"""So long must all be well without a break."""
LIMIT_S: Final = 600.0
"""After that the old slot gets its place back."""


class Phase(Enum):
    """How far an update came."""

    WRITING = "writing"
    WRITTEN = "written"
    ARMED = "armed"
    BEGUN = "begun"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Expected:
    """What was well before the update, and must be after it."""

    is_bridge_ready: bool = True
    is_network_up: bool = True
    lines_up: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Note:
    """What an update leaves for the boots that follow."""

    version: str
    slot: Slot
    phase: Phase
    expected: Expected
    reason: str = ""

    def dump(self) -> bytes:
        """Return the note as a file."""
        document = {
            "version": self.version,
            "slot": self.slot.value,
            "phase": self.phase.value,
            "expected": {**asdict(self.expected), "lines_up": sorted(self.expected.lines_up)},
            "reason": self.reason,
        }
        return json.dumps(document, indent=1).encode() + b"\n"

    @classmethod
    def load(cls, octets: bytes | None) -> Note | None:
        """Read a note; None if there is none that can be read."""
        try:
            document = json.loads(octets or b"")
            expected = document["expected"]
            return cls(
                str(document["version"]),
                Slot(document["slot"]),
                Phase(document["phase"]),
                Expected(
                    bool(expected["is_bridge_ready"]),
                    bool(expected["is_network_up"]),
                    frozenset(map(str, expected["lines_up"])),
                ),
                str(document["reason"]),
            )
        except (ValueError, KeyError, TypeError, RecursionError):
            return None

    def at(self, phase: Phase, reason: str = "") -> Note:
        """Return the note of a later phase."""
        return replace(self, phase=phase, reason=reason)


class Situation(Enum):
    """What a boot turns out to be."""

    SETTLED = "settled"
    TRIAL = "trial"
    FELL_BACK = "fell back"


def situation(running: Slot, default: Slot | None, note: Note | None, *, is_tryboot: bool) -> Situation:
    """Return what this boot is; `default` is None if autoboot.txt cannot be read.

    Without it, only the firmware's word makes a trial: to fall back from a default slot would boot it again,
    and so for ever.
    """
    if default is not None and default is not running:
        return Situation.TRIAL
    if default is None and is_tryboot:
        return Situation.TRIAL
    if note is not None and note.slot is not running:
        return Situation.FELL_BACK
    return Situation.SETTLED


def told(note: Note) -> str:
    """Return a sentence for people about an update that did not come to stay."""
    why = {
        Phase.WRITING: "it was interrupted while it was written; install it again",
        Phase.WRITTEN: "it was written, and not tried, as was asked for",
        Phase.ARMED: "the new system did not start, or the firmware of this board tries none",
        Phase.BEGUN: "the new system was cut off before it was known to be well; install it again",
        Phase.FAILED: f"the new system was not well: {note.reason}",
    }
    return f"update to {note.version}: {why[note.phase]}; the old system runs"
