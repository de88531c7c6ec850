"""A line with two outstations whose turns read like a log: what goes in, what comes out, in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.link.frame import Frame
from bridge.routing.steps import Babble, Deliver, Dropped, Finished, Send, Step
from bridge.routing.timing import Timing
from bridge.routing.turn import Turn
from tests.support.frames import OTHER_RTU, RTU

TIMING = Timing(
    octet_s=0.001,
    response_timeout_s=2.0,
    quiet_s=0.1,
    request_ttl_s=10.0,
    control_ttl_s=5.0,
    exchange_limit_s=8.0,
    babble_s=3.0,
    queue_frames=8,
)


class Session:
    """Opaque to the turn."""

    def __init__(self, name: str) -> None:
        self.name = name


ONE, TWO, THREE = Session("one"), Session("two"), Session("three")


class Bench:
    """Both outstations belong to session ONE; `changes` are to the line's times."""

    def __init__(self, **changes: float) -> None:
        self.turn = Turn(replace(TIMING, **changes))  # type: ignore[arg-type]
        self.now = 0.0
        self.steps: list[Step] = []
        """What the last stimulus led to, for tests that need more than words."""
        for address in (RTU, OTHER_RTU):
            self.turn.add_station(address)
            self.turn.attach(ONE, address)
        self.turn.line_up()

    def at(self, now: float) -> Bench:
        """Go on to a later time."""
        assert now >= self.now
        self.now = now
        return self

    def master(self, frame: Frame, *, session: Session = ONE, address: int | None = None) -> list[str]:
        """Submit a frame."""
        return self._said(self.turn.submit(session, address or frame.destination, frame, self.now))

    def rtu(self, frame: Frame) -> list[str]:
        """Hear a whole frame, as the hub reports it: its octets first."""
        steps = self.turn.heard(self.now, len(frame.octets), None)
        return self._said([*steps, *self.turn.receive(frame, self.now)])

    def noise(self, octets: int = 1, *, half_heard_until_s: float | None = None) -> list[str]:
        """Hear octets that are no whole frame."""
        return self._said(self.turn.heard(self.now, octets, half_heard_until_s))

    def deadline(self) -> list[str]:
        """Let the timer fire."""
        return self._said(self.turn.on_deadline(self.now))

    def hang_up(self, session: Session = ONE) -> list[str]:
        """End a session."""
        return self._said(self.turn.detach(session, self.now))

    def line_down(self) -> list[str]:
        """Take the port away."""
        return self._said(self.turn.line_down(self.now))

    def finished(self) -> Finished:
        """Return the one exchange that the last stimulus ended."""
        (step,) = [step for step in self.steps if isinstance(step, Finished)]
        return step

    def _said(self, steps: list[Step]) -> list[str]:
        self.steps = steps
        return [_in_words(step) for step in steps]


def _in_words(step: Step) -> str:
    match step:
        case Send(address, _):
            return f"send {address}"
        case Deliver(Session(name=name), address, _):
            return f"deliver {address} to {name}"
        case Dropped(address, reason):
            return f"drop {address} {reason.value}"
        case Finished(address, outcome):
            return f"{outcome.value} {address}"
        case Babble(is_on):
            return "babble begins" if is_on else "babble ends"
    raise AssertionError(step)


@pytest.fixture
def bench() -> Bench:
    return Bench()
