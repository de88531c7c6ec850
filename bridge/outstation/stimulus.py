"""What a fragment from a master is to the outstation: classified first, acted upon afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from bridge.application.function import ApplicationControl, Function

_HEADER_OCTETS = 2
_FIRST_RESPONSE = 0x80


class Stimulus(Enum):
    """Everything a fragment can be."""

    # Members are looked up with every frame; Enum's own hash is a Python function.
    __hash__ = object.__hash__

    READ = auto()
    READ_AGAIN = auto()
    """The READ processed last, octet for octet."""
    REQUEST = auto()
    """Any other request."""
    REQUEST_AGAIN = auto()
    """The request processed last, octet for octet: its answer was lost, or is late."""
    CONFIRM = auto()
    """The confirm that the response sent last waits for."""
    UNSOLICITED_CONFIRM = auto()
    """The confirm that the unsolicited response sent last waits for."""
    UNEXPECTED_CONFIRM = auto()
    BROADCAST = auto()
    IGNORED = auto()
    """Nothing that a master may send: too short, not whole, or a response."""


class Awaited(NamedTuple):
    """The confirm that a response waits for: its sequence, and the master whom the response went to."""

    sequence: int
    source: int


@dataclass(frozen=True, slots=True)
class Fragment:
    """A whole fragment from a master. `broadcast` is the broadcast address it came to, or None."""

    octets: bytes
    source: int
    broadcast: int | None = None

    @property
    def control(self) -> ApplicationControl:
        """The application control octet."""
        return ApplicationControl.of(self.octets[0])

    @property
    def function(self) -> Function | int:
        """The function code, as a number where the standard defines none."""
        return Function.of(self.octets[1])


def classify(
    fragment: Fragment,
    *,
    last: Fragment | None,
    awaits_confirm: Awaited | None,
    awaits_unsolicited_confirm: Awaited | None,
) -> Stimulus:
    """Say what the fragment is, given the request processed last and the confirms that are awaited."""
    if len(fragment.octets) < _HEADER_OCTETS or fragment.octets[1] >= _FIRST_RESPONSE:
        return Stimulus.IGNORED
    control = fragment.control
    is_confirm = fragment.octets[1] == Function.CONFIRM
    if not (control.fir and control.fin) or (control.uns and not is_confirm):
        return Stimulus.IGNORED
    if fragment.broadcast is not None:
        return Stimulus.IGNORED if is_confirm else Stimulus.BROADCAST
    if is_confirm:
        awaited = awaits_unsolicited_confirm if control.uns else awaits_confirm
        if (control.sequence, fragment.source) != awaited:
            return Stimulus.UNEXPECTED_CONFIRM
        return Stimulus.UNSOLICITED_CONFIRM if control.uns else Stimulus.CONFIRM
    is_again = last is not None and fragment.octets == last.octets and fragment.source == last.source
    if fragment.octets[1] == Function.READ:
        return Stimulus.READ_AGAIN if is_again else Stimulus.READ
    return Stimulus.REQUEST_AGAIN if is_again else Stimulus.REQUEST
