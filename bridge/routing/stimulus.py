"""What a frame does to the bus, read from its first octets: link function, transport and application header.

A relay does not reassemble fragments. It looks at a fragment's first segment and remembers, per speaker,
what that fragment is until its last segment has passed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum, auto
from functools import lru_cache

from bridge.application.function import CONTROLS, NO_RESPONSE, ApplicationControl, Function
from bridge.link.address import SELF_ADDRESS
from bridge.link.control import LinkFunction
from bridge.link.frame import HEADER_OCTETS, SHORTEST_LENGTH, Frame
from bridge.transport.segment import FIN, FIR

_APPLICATION_HEADER_OCTETS = 3
"""Transport octet, application control, function: what the first segment must have to be understood."""
_CONTROL_AT, _FUNCTION_AT = HEADER_OCTETS + 1, HEADER_OCTETS + 2
_KEPT_READINGS = 512


class Stimulus(IntEnum):
    """Everything a frame can mean to the exchange on the wire."""

    # From a master.
    LINK_SERVICE = auto()
    """A primary link frame that only the link layer answers."""
    REQUEST = auto()
    """The first segment of a request that is answered, with more segments to come."""
    WHOLE_REQUEST = auto()
    """A request that is answered, in one segment."""
    UNANSWERED = auto()
    """A broadcast, or a function without response."""
    CONFIRM = auto()
    """The application confirm of a response."""
    UNSOLICITED_CONFIRM = auto()
    """The application confirm of an unsolicited response."""
    SEGMENT = auto()
    """A later segment of a request, not the last."""
    LAST_SEGMENT = auto()
    """The last segment of a request of several."""
    LAST_SEGMENT_UNANSWERED = auto()
    """The last segment of a request without response."""
    LINK_REPLY = auto()
    """A master's link answer to an outstation's primary frame."""

    # From an outstation.
    LINK_ANSWER = auto()
    """A secondary link frame."""
    LINK_REQUEST = auto()
    """A primary link service: the outstation resets or tests the link of its own accord."""
    UNSOLICITED = auto()
    """Any segment of an unsolicited response."""
    PART = auto()
    """A segment of a response, not its fragment's last."""
    LAST_FRAGMENT = auto()
    """The end of a response that asks for no confirm."""
    LAST_FRAGMENT_CON = auto()
    """The end of a response that asks for a confirm."""
    FRAGMENT = auto()
    """The end of a fragment after which more follow unasked."""
    FRAGMENT_CON = auto()
    """The end of a fragment after which more follow when it is confirmed."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A frame's meaning; `sequence` is the application sequence, which only a first segment shows."""

    stimulus: Stimulus
    sequence: int | None = None
    starts_fragment: bool = False
    asks_link_answer: bool = False
    function: Function | int | None = None
    """Of the master's fragment that the frame is a segment of; None for link services."""
    is_last: bool = True
    """Whether no later segment of an outstation's fragment follows."""
    is_continuation: bool = False
    """Whether the fragment that starts here is not the first of its answer, by the application FIR."""

    @property
    def is_control(self) -> bool:
        """Whether it moves something in the field."""
        return self.function in CONTROLS


class Reader:
    """Reads the frames of one speaker (a master towards one outstation, or an outstation) in their order."""

    def __init__(self) -> None:
        # Of the fragment that is being said.
        self._control = 0
        self._function = int(Function.CONFIRM)
        self._is_in_fragment = False

    def read_master(self, frame: Frame) -> Reading:
        """Classify a frame from a master."""
        if not frame.control.is_primary:
            return _LINK_REPLY
        is_broadcast = frame.destination > SELF_ADDRESS
        transport = _transport_of(frame)
        if transport is None:
            return _BROADCAST_SERVICE if is_broadcast else _LINK_SERVICE
        if transport & FIR:
            self._open_fragment(frame.octets)
        if is_broadcast:
            return _of_broadcast(transport, self._control, self._function)
        return _of_master(transport, self._control, self._function, frame.control.function)

    def read_outstation(self, frame: Frame) -> Reading:
        """Classify a frame from an outstation."""
        if not frame.control.is_primary:
            return _LINK_ANSWER
        transport = _transport_of(frame)
        if transport is None:
            return _LINK_REQUEST
        if transport & FIR:
            self._open_fragment(frame.octets)
        elif not self._is_in_fragment:
            # Its first segment was lost: nobody knows what it is, and least of all what came before it.
            return _LAST_OF_NOTHING if transport & FIN else _PART_OF_NOTHING
        self._is_in_fragment = not transport & FIN
        return _of_outstation(transport, self._control, self._function)

    def _open_fragment(self, octets: bytes) -> None:
        self._control, self._function = octets[_CONTROL_AT], octets[_FUNCTION_AT]


def starts_request(frame: Frame) -> bool:
    """Tell whether a master's frame is the first, or the only one, of what it asks."""
    transport = _transport_of(frame)
    return transport is None or bool(transport & FIR)


def function_of(frame: Frame) -> Function | int | None:
    """Return the function code that stands in a frame: in the first segment of a fragment, else None."""
    transport = _transport_of(frame)
    return Function.of(frame.octets[_FUNCTION_AT]) if transport is not None and transport & FIR else None


def _transport_of(frame: Frame) -> int | None:
    """Return FIR and FIN of the transport octet, or None for a frame that no fragment can be read from."""
    octets = frame.octets
    if not frame.control.carries_user_data or len(octets) == HEADER_OCTETS:
        return None
    transport = octets[HEADER_OCTETS] & (FIR | FIN)
    has_application_header = octets[2] >= SHORTEST_LENGTH + _APPLICATION_HEADER_OCTETS
    return transport if has_application_header or not transport & FIR else None


# The meaning of a segment follows from three octets, and few of their values are ever heard: the readings are
# kept, and made once.


@lru_cache(_KEPT_READINGS)
def _of_master(transport: int, control_octet: int, function_octet: int, link: LinkFunction | None) -> Reading:
    """Read a segment of the fragment whose first octets are the application control and the function."""
    is_first, is_last = bool(transport & FIR), bool(transport & FIN)
    control, function = ApplicationControl.of(control_octet), Function.of(function_octet)
    return Reading(
        _stimulus_of_master(control, function, is_first=is_first, is_last=is_last),
        sequence=control.sequence if is_first else None,
        starts_fragment=is_first,
        asks_link_answer=link is LinkFunction.CONFIRMED_USER_DATA,
        function=function,
    )


@lru_cache(_KEPT_READINGS)
def _of_broadcast(transport: int, control_octet: int, function_octet: int) -> Reading:
    """Read the same where nobody answers, whatever the function and the link service."""
    reading = _of_master(transport, control_octet, function_octet, None)
    return replace(reading, stimulus=_BROADCAST.get(reading.stimulus, reading.stimulus), sequence=None)


@lru_cache(_KEPT_READINGS)
def _of_outstation(transport: int, control_octet: int, function_octet: int) -> Reading:
    """Read a segment of an outstation's fragment."""
    is_first, is_last = bool(transport & FIR), bool(transport & FIN)
    control = ApplicationControl.of(control_octet)
    sequence = control.sequence if is_first else None
    if function_octet == Function.UNSOLICITED_RESPONSE:
        return Reading(Stimulus.UNSOLICITED, sequence, is_first, is_last=is_last)
    return Reading(
        _FRAGMENT_ENDS[control.fin, control.con] if is_last else Stimulus.PART,
        sequence,
        is_first,
        is_last=is_last,
        is_continuation=is_first and not control.fir,
    )


def _stimulus_of_master(
    control: ApplicationControl, function: Function | int, *, is_first: bool, is_last: bool
) -> Stimulus:
    if not is_first:
        if not is_last:
            return Stimulus.SEGMENT
        return Stimulus.LAST_SEGMENT_UNANSWERED if function in NO_RESPONSE else Stimulus.LAST_SEGMENT
    if function == Function.CONFIRM:
        return Stimulus.UNSOLICITED_CONFIRM if control.uns else Stimulus.CONFIRM
    if not is_last:
        return Stimulus.REQUEST
    return Stimulus.UNANSWERED if function in NO_RESPONSE else Stimulus.WHOLE_REQUEST


_LINK_REPLY = Reading(Stimulus.LINK_REPLY)
_LINK_SERVICE = Reading(Stimulus.LINK_SERVICE)
_BROADCAST_SERVICE = Reading(Stimulus.UNANSWERED)
_LINK_ANSWER = Reading(Stimulus.LINK_ANSWER)
_LINK_REQUEST = Reading(Stimulus.LINK_REQUEST)
_PART_OF_NOTHING = Reading(Stimulus.PART, is_last=False)
_LAST_OF_NOTHING = Reading(Stimulus.PART)
_BROADCAST = {
    Stimulus.WHOLE_REQUEST: Stimulus.UNANSWERED,
    Stimulus.CONFIRM: Stimulus.UNANSWERED,
    Stimulus.UNSOLICITED_CONFIRM: Stimulus.UNANSWERED,
    Stimulus.LAST_SEGMENT: Stimulus.LAST_SEGMENT_UNANSWERED,
}
_FRAGMENT_ENDS = {
    (True, False): Stimulus.LAST_FRAGMENT,
    (True, True): Stimulus.LAST_FRAGMENT_CON,
    (False, False): Stimulus.FRAGMENT,
    (False, True): Stimulus.FRAGMENT_CON,
}
