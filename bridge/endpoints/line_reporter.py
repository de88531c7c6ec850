"""What is told of one line: counters and diagnosis of its outstations, the log, the recording, indicators.

`LineHub` carries the steps out and counts the frames that pass. Here is said what became of all the others,
and how exchanges ended.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from bridge.application.function import CONTROLS, Function
from bridge.endpoints.events import note, warn
from bridge.endpoints.serial_line import SerialLine
from bridge.recording.fault import Fault
from bridge.recording.tap import Tap
from bridge.routing.diagnosis import Diagnosis
from bridge.routing.drop import Drop
from bridge.routing.exchange import MISSED, Outcome
from bridge.routing.steps import Babble, Dropped, Finished, UnderWay
from bridge.routing.stimulus import function_of, starts_request

_NEVER_SENT = frozenset({Drop.EXPIRED, Drop.QUEUE_FULL, Drop.SUPERSEDED})


class OutstationObserver(Protocol):
    """Hears what an indicator shows of one outstation."""

    def request_sent(self) -> None:
        """A frame went out to the outstation."""

    def answer_received(self) -> None:
        """A frame of the outstation reached its master."""

    def answer_missed(self) -> None:
        """A request got no answer."""

    def noise_heard(self) -> None:
        """Octets came that are no frame."""


@dataclass(slots=True)
class OutstationCounters:
    """What one bridged outstation's traffic came to."""

    diagnosis: Diagnosis
    frames_from_master: int = 0
    frames_to_master: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    drops: Counter[Drop] = field(default_factory=Counter)
    last_response_s: float | None = None
    is_answering: bool | None = None
    """None before the first request that awaits an answer."""


@dataclass(slots=True)
class ReportedStation:
    """An outstation's name, its counters, and who else wants to hear of it."""

    name: str
    observer: OutstationObserver | None
    counters: OutstationCounters


class LineReporter:
    """Tells of one line. Its methods for steps take them in the order in which they are carried out."""

    def __init__(
        self,
        line: SerialLine,
        clock: Callable[[], float],
        *,
        tap: Tap | None,
        line_changed: Callable[[str, bool], None] | None,
        state_changed: Callable[[str, str | None], None],
    ) -> None:
        """Begin without outstations; `LineHub` says what the callables hear, `clock` is the loop's."""
        self._line = line
        self._clock = clock
        self._tap = tap
        self._line_changed = line_changed
        self._state_changed = state_changed
        self._is_babbling = False
        self.stations: dict[int, ReportedStation] = {}
        """By link address."""
        self.drops: Counter[Drop] = Counter()
        """Frames heard that concern no outstation of this line."""

    # The port

    def line_opened(self) -> None:
        """The port is open."""
        if self._tap is not None:
            self._tap.event("line up", line=self._line.name, device=self._line.settings.device)
        if self._line_changed is not None:
            self._line_changed(self._line.name, True)

    def line_failed(self, reason: str) -> None:
        """The port is gone, and what was under way is about to fail for it."""
        if self._tap is not None:
            self._tap.event("line down", Fault.LINE_DOWN, line=self._line.name, reason=reason)

    def line_lost(self) -> None:
        """The port is gone, and what was under way has failed."""
        if self._line_changed is not None:
            self._line_changed(self._line.name, False)

    def noise_heard(self) -> None:
        """Octets came that are no frame."""
        for station in self.stations.values():
            if station.observer is not None:
                station.observer.noise_heard()

    # Steps

    def dropped(self, step: Dropped) -> None:
        """A frame went nowhere."""
        station = None if step.address is None else self.stations[step.address]
        drops = self.drops if station is None else station.counters.drops
        drops[step.reason] += 1
        if self._tap is not None and step.frame is not None:
            self._tap.dropped(step.frame.octets, step.reason.value)
        # A request of several frames is one request, and its first frame says what it is.
        if station is not None and (step.frame is None or starts_request(step.frame)):
            self._diagnose_drop(station, step)
            self._report_control(station, step)
        note(
            "frame dropped",
            level=logging.DEBUG,
            outstation="" if station is None else station.name,
            line=self._line.name,
            reason=step.reason.value,
        )

    def finished(self, step: Finished) -> None:
        """An exchange ended."""
        address, outcome, elapsed_s, evidence = step
        station = self.stations[address]
        counters = station.counters
        counters.outcomes[outcome] += 1
        now = self._clock()
        counters.diagnosis.finished(outcome, elapsed_s, evidence, now)
        if outcome is Outcome.ANSWERED:
            counters.last_response_s = elapsed_s
            if not counters.is_answering:
                self._answers(station)
        elif outcome is Outcome.LINE_DOWN:
            counters.diagnosis.line_failed(self._line.reason or "it was just lost", now)
        elif outcome in MISSED:
            self._missed(station, outcome)

    def babble(self, step: Babble) -> None:
        """Somebody began, or ceased, to talk without end."""
        self._is_babbling = step.is_on
        self._state_changed(self._line.name, None)
        if step.is_on:
            if self._tap is not None:
                self._tap.event("babble", Fault.BABBLE, line=self._line.name)
            remedy = "find the device that talks without end, or bias the line"
            warn("babble", line=self._line.name, remedy=remedy)
            self.noise_heard()
        else:
            if self._tap is not None:
                self._tap.event("babble ended", line=self._line.name)
            note("babble ended", line=self._line.name)

    def abandoned(self, requests: Iterable[UnderWay], reason: Drop) -> None:
        """Nobody will get an answer to these."""
        now = self._clock()
        for request in requests:
            # Nobody knows whether that moved something; one that waits is a `control dropped` as well.
            is_doubtful = request.is_sent and request.function in CONTROLS
            note(
                "request abandoned",
                level=logging.WARNING if is_doubtful else logging.INFO,
                outstation=self.stations[request.address].name,
                line=self._line.name,
                peer=str(request.session),
                function=_word(request.function),
                state="sent" if request.is_sent else "waiting",
                for_s=round(now - request.since_s, 3),
                reason=reason.value,
            )

    # What they mean

    def _diagnose_drop(self, station: ReportedStation, step: Dropped) -> None:
        now = self._clock()
        diagnosis = station.counters.diagnosis
        if step.response_s is not None:
            diagnosis.answered_late(step.response_s, now)
        elif step.reason is Drop.LINE_DOWN:
            diagnosis.line_failed(self._line.reason or "it was just lost", now)
        elif step.reason in _NEVER_SENT:
            diagnosis.never_sent(
                step.reason,
                is_babbling=self._is_babbling,
                now=now,
                waited_s=step.waited_s,
                is_control=step.is_control,
            )
            if station.observer is not None:
                station.observer.answer_missed()

    def _report_control(self, station: ReportedStation, step: Dropped) -> None:
        """Log a control that is not sent."""
        function = None if step.frame is None else function_of(step.frame)
        if function in CONTROLS:
            miss = station.counters.diagnosis.last_miss
            has_sentence = step.reason in _NEVER_SENT or step.reason is Drop.LINE_DOWN
            warn(
                "control dropped",
                outstation=station.name,
                line=self._line.name,
                function=_word(function),
                reason=step.reason.value,
                sentence=miss.sentence if miss is not None and has_sentence else "",
            )

    def _answers(self, station: ReportedStation) -> None:
        """Take note of the first answer, or the first one after a miss."""
        was_answering, station.counters.is_answering = station.counters.is_answering, True
        if was_answering is False:
            note("answers again", outstation=station.name, line=self._line.name)
            if self._tap is not None:
                self._tap.event("answers again", outstation=station.name)
        self._state_changed(self._line.name, station.name)

    def _missed(self, station: ReportedStation, outcome: Outcome) -> None:
        counters = station.counters
        was_answering, counters.is_answering = counters.is_answering, False
        miss = counters.diagnosis.last_miss
        if self._tap is not None:
            self._tap.event(
                "no answer",
                Fault.TIMEOUTS,
                outstation=station.name,
                outcome=outcome.value,
                reason="" if miss is None else miss.miss.value,
            )
        if was_answering is not False:
            self._state_changed(self._line.name, station.name)
            warn(
                "does not answer",
                outstation=station.name,
                line=self._line.name,
                outcome=outcome.value,
                reason="" if miss is None else miss.miss.value,
                sentence="" if miss is None else miss.sentence,
            )
        if station.observer is not None:
            station.observer.answer_missed()


def _word(function: Function | int | None) -> str:
    """Return a function code in words; a service of the link layer has none."""
    if isinstance(function, Function):
        return function.name.lower()
    return "link_service" if function is None else f"function_{function}"
