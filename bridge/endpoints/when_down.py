"""What happens to masters while the line to their outstations is down.

Rules:
  1. A group of outstations that share a session is unreachable when not one of them can be reached: a site
     where one of two lines is down keeps its session.
  2. Its session is ended when it becomes unreachable, unless one of its outstations says HOLD.
  3. New connections are refused while it is unreachable, if all of its outstations say REFUSE.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Protocol


class WhenDown(StrEnum):
    """What an outstation wants for its master while its line is down."""

    HOLD = "hold"
    """Sessions stay, and new ones are accepted."""
    CLOSE = "close"
    """Sessions are ended when the line goes down; new ones are accepted."""
    REFUSE = "refuse"
    """Sessions are ended, and new ones are ended at once until the line is back."""


class Reachable(Protocol):
    """What must be known of an outstation to decide."""

    @property
    def is_reachable(self) -> bool:
        """Whether a frame for it could get there now: its line is open, or it needs none."""

    @property
    def when_down(self) -> WhenDown:
        """What is to happen to its master while it is not reachable."""


def is_any_reachable(members: Iterable[Reachable]) -> bool:
    """Tell whether a session with these outstations is of any use now."""
    return any(member.is_reachable for member in members)


def ends_session(members: Iterable[Reachable]) -> bool:
    """Tell whether a session that had a line must end, now that things are as they are."""
    return all(not member.is_reachable and member.when_down is not WhenDown.HOLD for member in members)


def refuses_sessions(members: Iterable[Reachable]) -> bool:
    """Tell whether a new connection to these outstations must be ended at once."""
    return all(not member.is_reachable and member.when_down is WhenDown.REFUSE for member in members)
