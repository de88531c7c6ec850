"""Why an outstation does not answer: every reason has a scenario, played as the hub plays it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bridge.routing.diagnosis import Diagnosis, Miss
from bridge.routing.drop import Drop
from bridge.routing.exchange import MISSED, Evidence, Outcome
from bridge.routing.steps import Dropped, Finished
from tests.routing.turn_bench import TIMING, TWO, Bench
from tests.support import frames as f
from tests.support.frames import OTHER_RTU, RTU


class Clinic:
    """A bench whose steps about RTU 12 reach its diagnosis."""

    def __init__(self, **changes: float) -> None:
        self.bench = Bench(**changes)
        self.diagnosis = Diagnosis(
            response_timeout_s=TIMING.response_timeout_s,
            request_ttl_s=TIMING.request_ttl_s,
            control_ttl_s=TIMING.control_ttl_s,
        )

    def take(self) -> None:
        """Tell the diagnosis of the last stimulus, as the hub does."""
        now, diagnosis = self.bench.now, self.diagnosis
        for step in self.bench.steps:
            match step:
                case Finished(address, outcome, elapsed_s, evidence) if address == RTU:
                    diagnosis.finished(outcome, elapsed_s, evidence, now)
                    if outcome is Outcome.LINE_DOWN:
                        diagnosis.line_failed("unplugged", now)
                case Dropped(address, reason, response_s, waited_s, is_control) if address == RTU:
                    if response_s is not None:
                        diagnosis.answered_late(response_s, now)
                    elif reason is Drop.LINE_DOWN:
                        diagnosis.line_failed("unplugged", now)
                    else:
                        diagnosis.never_sent(
                            reason,
                            is_babbling=self.bench.turn.is_babbling,
                            now=now,
                            waited_s=waited_s,
                            is_control=is_control,
                        )

    def timed_out(self) -> None:
        self.bench.at(7.0).deadline()
        self.take()


def _line_down(clinic: Clinic) -> None:
    clinic.bench.line_down()
    clinic.bench.master(f.request(1))
    clinic.take()


def _master_gone(clinic: Clinic) -> None:
    clinic.bench.master(f.request(1))
    clinic.bench.at(0.5).hang_up()
    clinic.timed_out()


def _superseded(clinic: Clinic) -> None:
    clinic.bench.master(f.request(1))
    clinic.bench.at(0.5).master(f.request(2))
    clinic.take()


def _overrun(clinic: Clinic) -> None:
    clinic.bench.master(f.request(1))
    clinic.bench.at(0.5).rtu(f.response(1, transport=f.FIR))
    for second in range(1, 8):
        clinic.bench.at(second).rtu(f.response(transport=f.MIDDLE))
    clinic.bench.at(8.0).deadline()
    clinic.take()


def _broken_off(clinic: Clinic) -> None:
    clinic.bench.master(f.request(1))
    clinic.bench.at(0.5).rtu(f.response(1, transport=f.FIR))
    clinic.bench.at(0.6).rtu(f.response(transport=f.MIDDLE))
    clinic.timed_out()


def _mismatched(clinic: Clinic) -> None:
    clinic.bench.master(f.request(1))
    clinic.bench.at(0.5).rtu(f.response(2))
    clinic.timed_out()


def _other_outstation(clinic: Clinic) -> None:
    clinic.bench.master(f.request(1))
    clinic.bench.at(0.5).rtu(f.response(1, source=OTHER_RTU))
    clinic.timed_out()


def _bad_crc(clinic: Clinic) -> None:
    clinic.bench.master(f.request(1))
    clinic.bench.at(0.5).noise(17)
    clinic.bench.turn.damaged(1)
    clinic.timed_out()


def _noise_only(clinic: Clinic) -> None:
    clinic.bench.master(f.request(1))
    clinic.bench.at(0.5).noise(3)
    clinic.timed_out()


def _nothing_heard(clinic: Clinic) -> None:
    clinic.bench.master(f.request(1))
    clinic.bench.at(2.015).deadline()
    clinic.take()


def _late(clinic: Clinic) -> None:
    clinic.bench.master(f.request(1))
    clinic.timed_out()
    clinic.bench.at(7.515).rtu(f.response(1))
    clinic.take()


def _expired(clinic: Clinic) -> None:
    clinic.bench.turn.attach(TWO, OTHER_RTU)
    clinic.bench.master(f.request(1, to=OTHER_RTU), session=TWO)
    clinic.bench.at(0.5).master(f.request(1))
    clinic.bench.noise(half_heard_until_s=20.0)
    clinic.bench.at(10.5).deadline()
    clinic.take()


def _babble(clinic: Clinic) -> None:
    clinic.bench.master(f.request(1, to=OTHER_RTU))
    clinic.bench.at(0.5).master(f.request(1, f.SELECT))
    for step in range(8, 112):
        clinic.bench.at(step / 16).noise(half_heard_until_s=20.0)
        clinic.bench.deadline()
        clinic.take()


def _queue_full(clinic: Clinic) -> None:
    for _ in range(10):
        clinic.bench.master(f.link_status_request())
    clinic.take()


SCENARIOS: dict[Miss, tuple[Callable[[Clinic], None], str]] = {
    Miss.LINE_DOWN: (_line_down, "the line was down: unplugged"),
    Miss.MASTER_GONE: (_master_gone, "its master hung up before an answer came; nothing was heard"),
    Miss.SUPERSEDED: (
        _superseded,
        "its master asked again after 500 ms, before the response timeout of 2000 ms; "
        "until then nothing was heard",
    ),
    Miss.OVERRUN: (_overrun, "the exchange did not end and was cut off after 8000 ms"),
    Miss.BROKEN_OFF: (_broken_off, "the answer broke off: 2 frames came, the rest did not"),
    Miss.MISMATCHED: (
        _mismatched,
        "it answered something else: another sequence number or master address, 1 time",
    ),
    Miss.OTHER_OUTSTATION: (_other_outstation, "another RTU answered instead: address 13"),
    Miss.BAD_CRC: (_bad_crc, "the answer was damaged: 1 wrong CRC, 17 octets in no whole frame"),
    Miss.NOISE_ONLY: (_noise_only, "only noise was heard: 3 octets in no frame"),
    Miss.NOTHING_HEARD: (_nothing_heard, "nothing was heard within the response timeout of 2000 ms"),
    Miss.LATE: (_late, "it answered 5500 ms too late: the response timeout is 2000 ms"),
    Miss.EXPIRED: (
        _expired,
        "the request waited 10000 ms and was not sent (request_ttl_ms is 10000): the line was busy",
    ),
    Miss.BABBLE: (
        _babble,
        "the control waited 5000 ms and was not sent (control_ttl_ms is 5000): a device talked without end",
    ),
    Miss.QUEUE_FULL: (_queue_full, "the request was not sent: too many were waiting"),
}


def test_every_reason_has_a_scenario() -> None:
    assert set(SCENARIOS) == set(Miss)


@pytest.mark.parametrize("miss", Miss)
def test_scenario(miss: Miss) -> None:
    play, sentence = SCENARIOS[miss]
    clinic = Clinic()
    play(clinic)
    last = clinic.diagnosis.last_miss
    assert last is not None
    assert (last.miss, last.sentence) == (miss, sentence)
    assert last.at_s <= clinic.bench.now
    # One that comes late was given up before, for another reason.
    given_up = {Miss.NOTHING_HEARD: 1} if miss is Miss.LATE else {}
    assert clinic.diagnosis.misses == {miss: 1} | given_up


def test_a_miss_is_counted_also_when_an_earlier_answer_tells_more() -> None:
    diagnosis = Diagnosis(response_timeout_s=2.0)
    diagnosis.finished(Outcome.TIMED_OUT, 2.0, Evidence(), 2.0)
    diagnosis.answered_late(2.5, 2.5)
    diagnosis.finished(Outcome.TIMED_OUT, 2.0, Evidence(), 4.0)
    assert diagnosis.last_miss is not None
    assert diagnosis.last_miss.miss is Miss.LATE
    assert diagnosis.misses == {Miss.NOTHING_HEARD: 2, Miss.LATE: 1}


def test_no_reason_before_the_first_miss() -> None:
    clinic = Clinic()
    clinic.bench.master(f.request(1))
    clinic.bench.rtu(f.response(1))
    clinic.take()
    assert clinic.diagnosis.last_miss is None
    assert clinic.diagnosis.answers == 1


def test_the_most_telling_reason_goes_first() -> None:
    """Signs in the order of the enum: taking the first away leaves the next."""
    evidence = Evidence(
        answer_frames=1,
        is_abandoned=True,
        mismatched_answers=1,
        other_answers=1,
        other_address=13,
        crc_errors=1,
        stray_octets=1,
    )
    reasons = []
    for sign in (
        "answer_frames",
        "is_abandoned",
        "mismatched_answers",
        "other_answers",
        "crc_errors",
        "stray_octets",
        "other_address",
    ):
        diagnosis = Diagnosis(response_timeout_s=2.0)
        diagnosis.finished(Outcome.TIMED_OUT, 2.0, evidence, 0.0)
        assert diagnosis.last_miss is not None
        reasons.append(diagnosis.last_miss.miss)
        setattr(evidence, sign, 0)
    assert reasons == [
        Miss.BROKEN_OFF,
        Miss.MASTER_GONE,
        Miss.MISMATCHED,
        Miss.OTHER_OUTSTATION,
        Miss.BAD_CRC,
        Miss.NOISE_ONLY,
        Miss.NOTHING_HEARD,
    ]


@pytest.mark.parametrize("outcome", Outcome)
def test_counters_of_every_outcome(outcome: Outcome) -> None:
    diagnosis = Diagnosis(response_timeout_s=2.0)
    diagnosis.finished(outcome, 1.0, Evidence(crc_errors=2, other_answers=3, response_s=0.5), 9.0)
    is_request = outcome is not Outcome.UNANSWERED
    assert diagnosis.requests == is_request
    assert diagnosis.answers == (outcome is Outcome.ANSWERED)
    assert diagnosis.timeouts == (outcome is Outcome.TIMED_OUT)
    assert diagnosis.crc_errors == 2 * is_request
    assert diagnosis.wrong_address_answers == 3 * is_request
    assert (diagnosis.response_times() is not None) == is_request
    # Why a line is down the line knows: `line_failed` says it.
    is_told = outcome in MISSED and outcome is not Outcome.LINE_DOWN
    assert diagnosis.misses.total() == is_told
    assert (diagnosis.last_miss is not None) == is_told


def test_drops_that_are_no_miss() -> None:
    diagnosis = Diagnosis(response_timeout_s=2.0)
    for reason in set(Drop) - {Drop.EXPIRED, Drop.SUPERSEDED, Drop.QUEUE_FULL}:
        diagnosis.never_sent(reason, is_babbling=True, now=0.0)
    assert diagnosis.last_miss is None


@pytest.mark.parametrize(
    ("elapsed_s", "before"),
    [(1.9, ", before the response timeout of 2000 ms"), (2.0, ""), (3.704, "")],
)
def test_asked_again_before_the_timeout_or_after_it(elapsed_s: float, before: str) -> None:
    """Octets that are still coming keep an exchange going beyond the timeout."""
    diagnosis = Diagnosis(response_timeout_s=2.0)
    diagnosis.finished(Outcome.SUPERSEDED, elapsed_s, Evidence(stray_octets=3), 9.0)
    assert diagnosis.last_miss is not None
    assert diagnosis.last_miss.sentence == (
        f"its master asked again after {elapsed_s * 1000:.0f} ms{before}; "
        "until then only noise was heard: 3 octets in no frame"
    )


def test_the_timeout_is_said_as_it_is_set() -> None:
    """An exchange is longer than that by the time of the request itself."""
    diagnosis = Diagnosis(response_timeout_s=2.304)
    diagnosis.finished(Outcome.TIMED_OUT, 2.324, Evidence(), 9.0)
    assert diagnosis.last_miss is not None
    assert diagnosis.last_miss.sentence == "nothing was heard within the response timeout of 2304 ms"


@pytest.mark.parametrize(
    ("is_babbling", "why"), [(False, "the line was busy"), (True, "a device talked without end")]
)
def test_asked_again_before_it_was_sent(is_babbling: bool, why: str) -> None:
    diagnosis = Diagnosis(response_timeout_s=2.0)
    diagnosis.never_sent(Drop.SUPERSEDED, is_babbling=is_babbling, now=7.0)
    sentence = f"its master asked again before it could be sent: {why}"
    assert diagnosis.last_miss == (Miss.SUPERSEDED, sentence, 7.0)


@pytest.mark.parametrize(("is_control", "what", "ttl"), [(False, "request", 10000), (True, "control", 5000)])
@pytest.mark.parametrize(
    ("is_babbling", "miss", "why"),
    [(False, Miss.EXPIRED, "the line was busy"), (True, Miss.BABBLE, "a device talked without end")],
)
def test_how_long_an_expired_request_waited(
    is_control: bool, what: str, ttl: int, is_babbling: bool, miss: Miss, why: str
) -> None:
    diagnosis = Diagnosis(response_timeout_s=2.0, request_ttl_s=10.0, control_ttl_s=5.0)
    diagnosis.never_sent(
        Drop.EXPIRED, is_babbling=is_babbling, now=7.0, waited_s=10.02, is_control=is_control
    )
    sentence = f"the {what} waited 10020 ms and was not sent ({what}_ttl_ms is {ttl}): {why}"
    assert diagnosis.last_miss == (miss, sentence, 7.0)


@pytest.mark.parametrize("ttl_s", [None, 10.0])
@pytest.mark.parametrize("waited_s", [None, 10.0])
def test_an_expired_request_of_which_less_is_known(ttl_s: float | None, waited_s: float | None) -> None:
    diagnosis = Diagnosis(response_timeout_s=2.0, request_ttl_s=ttl_s)
    diagnosis.never_sent(Drop.EXPIRED, is_babbling=False, now=0.0, waited_s=waited_s)
    assert diagnosis.last_miss is not None
    is_known = ttl_s is not None and waited_s is not None
    assert ("in time" in diagnosis.last_miss.sentence) == (not is_known)


def test_late_answers() -> None:
    diagnosis = Diagnosis(response_timeout_s=2.0)
    diagnosis.answered_late(3.0, 0.0)
    diagnosis.answered_late(2.5, 0.0)
    assert diagnosis.late_answers == 2
    assert (diagnosis.last_late_by_s, diagnosis.most_late_by_s) == (0.5, 1.0)


def test_an_answer_within_the_timeout_to_a_request_given_up() -> None:
    diagnosis = Diagnosis(response_timeout_s=2.0)
    diagnosis.answered_late(1.5, 0.0)
    assert diagnosis.late_answers == 1
    assert (diagnosis.last_late_by_s, diagnosis.most_late_by_s) == (None, None)
    assert diagnosis.last_miss is not None
    assert diagnosis.last_miss.sentence == "it answered after 1500 ms, but its master did not wait that long"


def test_response_times() -> None:
    diagnosis = Diagnosis(response_timeout_s=2.0)
    assert diagnosis.response_times() is None
    for hundredth in range(100, 0, -1):
        diagnosis.finished(Outcome.ANSWERED, 1.0, Evidence(response_s=hundredth / 100), 0.0)
    assert diagnosis.response_times() == (100, 0.5, 0.95, 0.99, 1.0)


def test_old_response_times_are_forgotten() -> None:
    diagnosis = Diagnosis(response_timeout_s=2.0)
    diagnosis.answered_late(9.0, 0.0)
    for _ in range(512):
        diagnosis.finished(Outcome.ANSWERED, 1.0, Evidence(response_s=0.1), 0.0)
    assert diagnosis.response_times() == (512, 0.1, 0.1, 0.1, 0.1)


def test_recommended_timeout() -> None:
    diagnosis = Diagnosis(response_timeout_s=2.0)
    for _ in range(7):
        diagnosis.finished(Outcome.ANSWERED, 1.0, Evidence(response_s=0.2), 0.0)
    assert diagnosis.recommended_timeout_s() is None
    diagnosis.answered_late(3.0, 0.0)
    # Half as much again and 100 ms, in steps of 50 ms.
    assert diagnosis.recommended_timeout_s() == pytest.approx(4.6)
