"""The secondary station: what a link answers to the frames of a primary (IEEE 1815 clause 9.2.6).

Rules:
  1. A frame is for us when its destination is our address; the caller sees to that.
  2. The answer goes to the frame's source; DIR is ours, PRM is 0.
  3. Confirmed services need RESET_LINK_STATES first; without it they are refused with NACK.
  4. FCB must alternate. A repeat of the last FCB is acknowledged again and not delivered again.
  5. FCV must be what the function demands, else the frame is ignored. Secondary frames are ignored.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple

from bridge.link.control import Control, LinkFunction
from bridge.link.frame import Frame

F = LinkFunction


class Stimulus(Enum):
    """What a received frame is to the secondary station."""

    # Members are looked up with every frame; Enum's own hash is a Python function.
    __hash__ = object.__hash__

    RESET = auto()
    TEST_NEW = auto()
    TEST_REPEATED = auto()
    CONFIRMED_NEW = auto()
    CONFIRMED_REPEATED = auto()
    UNCONFIRMED = auto()
    REQUEST_STATUS = auto()
    UNKNOWN_FUNCTION = auto()
    IGNORED = auto()


class State(Enum):
    """Whether the primary has reset this link since it came up."""

    # Members are looked up with every frame; Enum's own hash is a Python function.
    __hash__ = object.__hash__

    NOT_RESET = auto()
    RESET = auto()


class Reaction(NamedTuple):
    """One row's outcome: state afterwards, answer, whether FCB advances, whether data is delivered."""

    state: State
    reply: LinkFunction | None
    advances_fcb: bool = False
    delivers: bool = False


REACTIONS: dict[tuple[State, Stimulus], Reaction] = {
    (State.NOT_RESET, Stimulus.RESET): Reaction(State.RESET, F.ACK),
    (State.NOT_RESET, Stimulus.TEST_NEW): Reaction(State.NOT_RESET, F.NACK),
    (State.NOT_RESET, Stimulus.TEST_REPEATED): Reaction(State.NOT_RESET, F.NACK),
    (State.NOT_RESET, Stimulus.CONFIRMED_NEW): Reaction(State.NOT_RESET, F.NACK),
    (State.NOT_RESET, Stimulus.CONFIRMED_REPEATED): Reaction(State.NOT_RESET, F.NACK),
    (State.NOT_RESET, Stimulus.UNCONFIRMED): Reaction(State.NOT_RESET, None, delivers=True),
    (State.NOT_RESET, Stimulus.REQUEST_STATUS): Reaction(State.NOT_RESET, F.LINK_STATUS),
    (State.NOT_RESET, Stimulus.UNKNOWN_FUNCTION): Reaction(State.NOT_RESET, F.NOT_SUPPORTED),
    (State.NOT_RESET, Stimulus.IGNORED): Reaction(State.NOT_RESET, None),
    (State.RESET, Stimulus.RESET): Reaction(State.RESET, F.ACK),
    (State.RESET, Stimulus.TEST_NEW): Reaction(State.RESET, F.ACK, advances_fcb=True),
    (State.RESET, Stimulus.TEST_REPEATED): Reaction(State.RESET, F.ACK),
    (State.RESET, Stimulus.CONFIRMED_NEW): Reaction(State.RESET, F.ACK, advances_fcb=True, delivers=True),
    (State.RESET, Stimulus.CONFIRMED_REPEATED): Reaction(State.RESET, F.ACK),
    (State.RESET, Stimulus.UNCONFIRMED): Reaction(State.RESET, None, delivers=True),
    (State.RESET, Stimulus.REQUEST_STATUS): Reaction(State.RESET, F.LINK_STATUS),
    (State.RESET, Stimulus.UNKNOWN_FUNCTION): Reaction(State.RESET, F.NOT_SUPPORTED),
    (State.RESET, Stimulus.IGNORED): Reaction(State.RESET, None),
}

_NEEDS_FCV = {
    F.RESET_LINK_STATES: False,
    F.TEST_LINK_STATES: True,
    F.CONFIRMED_USER_DATA: True,
    F.UNCONFIRMED_USER_DATA: False,
    F.REQUEST_LINK_STATUS: False,
}
_WITHOUT_FCB = {
    F.RESET_LINK_STATES: Stimulus.RESET,
    F.UNCONFIRMED_USER_DATA: Stimulus.UNCONFIRMED,
    F.REQUEST_LINK_STATUS: Stimulus.REQUEST_STATUS,
}
_WITH_FCB = {
    (F.TEST_LINK_STATES, True): Stimulus.TEST_NEW,
    (F.TEST_LINK_STATES, False): Stimulus.TEST_REPEATED,
    (F.CONFIRMED_USER_DATA, True): Stimulus.CONFIRMED_NEW,
    (F.CONFIRMED_USER_DATA, False): Stimulus.CONFIRMED_REPEATED,
}


class SecondaryStation:
    """Answers one primary's link frames."""

    def __init__(self, address: int, *, is_master: bool = False) -> None:
        self._address = address
        self._is_master = is_master
        self._state = State.NOT_RESET
        self._expected_fcb = True

    def receive(self, frame: Frame) -> tuple[bool, Frame | None]:
        """Return whether the frame's user data goes up to the transport function, and the link answer."""
        stimulus = self._classify(frame.control)
        reaction = REACTIONS[self._state, stimulus]
        self._state = reaction.state
        if stimulus is Stimulus.RESET:
            self._expected_fcb = True
        elif reaction.advances_fcb:
            self._expected_fcb = not self._expected_fcb
        if reaction.reply is None:
            return reaction.delivers, None
        control = Control.build(reaction.reply, from_master=self._is_master)
        return reaction.delivers, Frame.build(control, frame.source, self._address)

    def _classify(self, control: Control) -> Stimulus:
        function = control.function
        if not control.is_primary:
            return Stimulus.IGNORED
        if function is None:
            return Stimulus.UNKNOWN_FUNCTION
        if control.fcv != _NEEDS_FCV[function]:
            return Stimulus.IGNORED
        if function in _WITHOUT_FCB:
            return _WITHOUT_FCB[function]
        return _WITH_FCB[function, control.fcb == self._expected_fcb]
