"""What a frame does to the bus, read from its first octets: link function, transport and application header.

A relay does not reassemble fragments. It looks at a fragment's first segment and remembers, per speaker,
what that fragment is until its last segment has passed.
"""

from __future__ import annotations

from enum import IntEnum, auto
from typing import NamedTuple

from bridge.application.function import NO_RESPONSE, ApplicationControl, Function
from bridge.link.address import SELF_ADDRESS
from bridge.link.control import LinkFunction
from bridge.link.frame import HEADER_OCTETS, Frame
from bridge.transport.segment import SegmentHeader

_APPLICATION_HEADER_OCTETS = 3
"""Transport octet, application control, function: what the first segment must have to be understood."""


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


class Reading(NamedTuple):
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


class Reader:
    """Reads the frames of one speaker (a master towards one outstation, or an outstation) in their order."""

    def __init__(self) -> None:
        self._control = ApplicationControl.of(0)
        self._function: Function | int = Function.CONFIRM
        self._is_in_fragment = False

    def read_master(self, frame: Frame) -> Reading:
        """Classify a frame from a master."""
        if not frame.control.is_primary:
            return Reading(Stimulus.LINK_REPLY)
        is_broadcast = frame.destination > SELF_ADDRESS
        header = _segment_header(frame)
        if header is None:
            return Reading(Stimulus.UNANSWERED if is_broadcast else Stimulus.LINK_SERVICE)
        if header.fir:
            self._open_fragment(frame)
            stimulus = self._first_segment(is_last=header.fin)
        else:
            stimulus = self._later_segment(is_last=header.fin)
        if is_broadcast:
            # Nobody answers, whatever the function and the link service.
            return Reading(_BROADCAST.get(stimulus, stimulus), None, header.fir, function=self._function)
        sequence = self._control.sequence if header.fir else None
        asks_link_answer = frame.control.function is LinkFunction.CONFIRMED_USER_DATA
        # By position: a named tuple takes twice as long by name.
        return Reading(stimulus, sequence, header.fir, asks_link_answer, self._function)

    def read_outstation(self, frame: Frame) -> Reading:
        """Classify a frame from an outstation."""
        if not frame.control.is_primary:
            return Reading(Stimulus.LINK_ANSWER)
        header = _segment_header(frame)
        if header is None:
            return Reading(Stimulus.LINK_REQUEST)
        if header.fir:
            self._open_fragment(frame)
        elif not self._is_in_fragment:
            # Its first segment was lost: nobody knows what it is, and least of all what came before it.
            return Reading(Stimulus.PART, is_last=header.fin)
        self._is_in_fragment = not header.fin
        sequence = self._control.sequence if header.fir else None
        if self._function == Function.UNSOLICITED_RESPONSE:
            return Reading(Stimulus.UNSOLICITED, sequence, header.fir, is_last=header.fin)
        is_continuation = header.fir and not self._control.fir
        if not header.fin:
            return Reading(Stimulus.PART, sequence, header.fir, False, None, False, is_continuation)
        stimulus = _FRAGMENT_ENDS[self._control.fin, self._control.con]
        return Reading(stimulus, sequence, header.fir, False, None, True, is_continuation)

    def _first_segment(self, *, is_last: bool) -> Stimulus:
        if self._function == Function.CONFIRM:
            return Stimulus.UNSOLICITED_CONFIRM if self._control.uns else Stimulus.CONFIRM
        if not is_last:
            return Stimulus.REQUEST
        return Stimulus.UNANSWERED if self._function in NO_RESPONSE else Stimulus.WHOLE_REQUEST

    def _later_segment(self, *, is_last: bool) -> Stimulus:
        if not is_last:
            return Stimulus.SEGMENT
        if self._function in NO_RESPONSE:
            return Stimulus.LAST_SEGMENT_UNANSWERED
        return Stimulus.LAST_SEGMENT

    def _open_fragment(self, frame: Frame) -> None:
        octets = frame.octets
        self._control = ApplicationControl.of(octets[HEADER_OCTETS + 1])
        self._function = Function.of(octets[HEADER_OCTETS + 2])


def starts_request(frame: Frame) -> bool:
    """Tell whether a master's frame is the first, or the only one, of what it asks."""
    header = _segment_header(frame)
    return header is None or header.fir


def function_of(frame: Frame) -> Function | int | None:
    """Return the function code that stands in a frame: in the first segment of a fragment, else None."""
    header = _segment_header(frame)
    return None if header is None or not header.fir else Function.of(frame.octets[HEADER_OCTETS + 2])


def _segment_header(frame: Frame) -> SegmentHeader | None:
    """Return the transport header, or None for a frame that no fragment can be read from."""
    if not frame.control.carries_user_data or len(frame.octets) == HEADER_OCTETS:
        return None
    header = SegmentHeader.of(frame.octets[HEADER_OCTETS])
    has_application_header = frame.octets[2] >= 5 + _APPLICATION_HEADER_OCTETS
    return header if has_application_header or not header.fir else None


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
