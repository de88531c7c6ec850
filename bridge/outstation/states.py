"""What a session does about a fragment: one row for each state and each kind of fragment.

The rules behind the rows stand in `bridge.outstation.session`.
"""

from __future__ import annotations

from enum import Enum, auto
from itertools import product

from bridge.outstation.stimulus import Stimulus


class State(Enum):
    """What the session waits for."""

    # Members are looked up with every frame; Enum's own hash is a Python function.
    __hash__ = object.__hash__

    IDLE = auto()
    SOLICITED = auto()
    """The confirm of a response."""
    UNSOLICITED = auto()
    """The confirm of an unsolicited response."""
    EXECUTING = auto()
    """A handler of the application."""
    EXECUTING_UNSOLICITED = auto()
    """A handler, and the confirm of an unsolicited response."""


class Action(Enum):
    """What is done about a fragment."""

    # Members are looked up with every frame; Enum's own hash is a Python function.
    __hash__ = object.__hash__

    PROCESS = auto()
    ABANDON_AND_PROCESS = auto()
    """Take back what the unconfirmed response carried, then process the new request."""
    DEFER = auto()
    FORGET_DEFERRED_AND_PROCESS = auto()
    ANSWER_AGAIN = auto()
    CONTINUE = auto()
    """The confirm came: remove its events, send the next fragment if there is one."""
    FINISH_UNSOLICITED = auto()
    NOTE_UNEXPECTED = auto()
    OBEY_BROADCAST = auto()
    ABANDON_AND_OBEY_BROADCAST = auto()
    HOLD = auto()
    IGNORE = auto()


St, S, A = State, Stimulus, Action

TABLE: dict[tuple[State, Stimulus], Action] = {
    (St.IDLE, S.READ): A.PROCESS,
    (St.IDLE, S.READ_AGAIN): A.PROCESS,
    (St.IDLE, S.REQUEST): A.PROCESS,
    (St.IDLE, S.REQUEST_AGAIN): A.ANSWER_AGAIN,
    (St.IDLE, S.BROADCAST): A.OBEY_BROADCAST,
    (St.SOLICITED, S.READ): A.ABANDON_AND_PROCESS,
    (St.SOLICITED, S.READ_AGAIN): A.ANSWER_AGAIN,
    (St.SOLICITED, S.REQUEST): A.ABANDON_AND_PROCESS,
    (St.SOLICITED, S.REQUEST_AGAIN): A.ANSWER_AGAIN,
    (St.SOLICITED, S.CONFIRM): A.CONTINUE,
    (St.SOLICITED, S.BROADCAST): A.ABANDON_AND_OBEY_BROADCAST,
    (St.UNSOLICITED, S.READ): A.DEFER,
    (St.UNSOLICITED, S.READ_AGAIN): A.DEFER,
    (St.UNSOLICITED, S.REQUEST): A.FORGET_DEFERRED_AND_PROCESS,
    (St.UNSOLICITED, S.REQUEST_AGAIN): A.ANSWER_AGAIN,
    (St.UNSOLICITED, S.UNSOLICITED_CONFIRM): A.FINISH_UNSOLICITED,
    (St.UNSOLICITED, S.BROADCAST): A.OBEY_BROADCAST,
    (St.EXECUTING_UNSOLICITED, S.UNSOLICITED_CONFIRM): A.FINISH_UNSOLICITED,
    **dict.fromkeys(
        product((St.EXECUTING, St.EXECUTING_UNSOLICITED), (S.READ, S.READ_AGAIN, S.REQUEST, S.BROADCAST)),
        A.HOLD,
    ),
    # No answer to send while this very request is executed; there is one while a broadcast is.
    (St.EXECUTING, S.REQUEST_AGAIN): A.ANSWER_AGAIN,
    (St.EXECUTING_UNSOLICITED, S.REQUEST_AGAIN): A.ANSWER_AGAIN,
    **{(state, S.UNEXPECTED_CONFIRM): A.NOTE_UNEXPECTED for state in St},
    **{(state, S.IGNORED): A.IGNORE for state in St},
    # The classification gives a confirm these names only while it is awaited.
    **{(state, S.CONFIRM): A.NOTE_UNEXPECTED for state in St if state is not St.SOLICITED},
    **{(state, S.UNSOLICITED_CONFIRM): A.NOTE_UNEXPECTED for state in (St.IDLE, St.SOLICITED, St.EXECUTING)},
}
