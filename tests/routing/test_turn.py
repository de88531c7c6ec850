"""The line's turns at literal times. `Bench` reads like a log: what goes in, what comes out."""

from __future__ import annotations

import random

import pytest

from bridge.link.control import LinkFunction
from bridge.link.frame import Frame
from bridge.routing.turn import Deliver, Dropped, Finished, Send, Step, Timing, Turn
from tests.support import frames as f
from tests.support.frames import OTHER_RTU, RTU

TIMING = Timing(octet_s=0.001, response_timeout_s=2.0, quiet_s=0.1, request_ttl_s=10.0, queue_frames=8)


class Session:
    """Opaque to the turn."""


ONE, TWO = Session(), Session()


class Bench:
    """A line with two outstations, both of session ONE."""

    def __init__(self) -> None:
        self.turn = Turn(TIMING)
        self.now = 0.0
        for address in (RTU, OTHER_RTU):
            self.turn.add_station(address)
            self.turn.attach(ONE, address)
        self.turn.line_up()

    def at(self, now: float) -> Bench:
        assert now >= self.now
        self.now = now
        return self

    def master(self, frame: Frame, *, session: Session = ONE, address: int | None = None) -> list[str]:
        steps = self.turn.submit(session, address or frame.destination, frame, self.now)
        return _in_words(steps)

    def rtu(self, frame: Frame) -> list[str]:
        return _in_words(self.turn.receive(frame, self.now))

    def deadline(self) -> list[str]:
        return _in_words(self.turn.on_deadline(self.now))


def _in_words(steps: list[Step]) -> list[str]:
    words = []
    for step in steps:
        match step:
            case Send(address, _):
                words.append(f"send {address}")
            case Deliver(session, address, _):
                words.append(f"deliver {address} to {'one' if session is ONE else 'two'}")
            case Dropped(address, reason):
                words.append(f"drop {address} {reason.value}")
            case Finished(address, outcome, _):
                words.append(f"{outcome.value} {address}")
    return words


@pytest.fixture
def bench() -> Bench:
    return Bench()


class TestOneExchange:
    def test_link_service(self, bench: Bench) -> None:
        assert bench.master(f.link_status_request()) == ["send 12"]
        assert bench.rtu(f.link_status()) == ["deliver 12 to one", "answered 12"]
        assert bench.turn.next_deadline() is None

    def test_frames_are_relayed_verbatim(self, bench: Bench) -> None:
        request = f.request(rest=b"\x3c\x02\x06")
        steps = bench.turn.submit(ONE, RTU, request, 0.0)
        assert [step.frame for step in steps if isinstance(step, Send)] == [request]
        answer = f.response()
        steps = bench.turn.receive(answer, 0.1)
        assert [step.frame for step in steps if isinstance(step, Deliver)] == [answer]

    def test_request_and_response(self, bench: Bench) -> None:
        assert bench.master(f.request(3)) == ["send 12"]
        assert bench.turn.is_busy
        assert bench.rtu(f.response(3)) == ["deliver 12 to one", "answered 12"]
        assert not bench.turn.is_busy

    def test_response_of_several_segments(self, bench: Bench) -> None:
        bench.master(f.request(3))
        assert bench.rtu(f.response(3, transport=f.FIR)) == ["deliver 12 to one"]
        assert bench.rtu(f.response(transport=f.MIDDLE)) == ["deliver 12 to one"]
        assert bench.rtu(f.response(transport=f.FIN)) == ["deliver 12 to one", "answered 12"]

    def test_fragments_with_confirms(self, bench: Bench) -> None:
        bench.master(f.request(15))
        assert bench.rtu(f.response(15, application=f.A_FIR | f.A_CON)) == ["deliver 12 to one"]
        assert bench.master(f.confirm(15)) == ["send 12"]
        assert bench.rtu(f.response(0, application=f.A_FIN | f.A_CON)) == ["deliver 12 to one"]
        assert bench.master(f.confirm(0)) == ["send 12", "answered 12"]

    def test_fragments_without_confirms(self, bench: Bench) -> None:
        bench.master(f.request(4))
        assert bench.rtu(f.response(4, application=f.A_FIR)) == ["deliver 12 to one"]
        assert bench.rtu(f.response(5, application=f.A_FIN)) == ["deliver 12 to one", "answered 12"]

    def test_request_of_several_segments_goes_out_back_to_back(self, bench: Bench) -> None:
        assert bench.master(f.request(2, f.SELECT, transport=f.FIR)) == ["send 12"]
        assert bench.master(f.request(transport=f.MIDDLE)) == ["send 12"]
        assert bench.master(f.request(transport=f.FIN)) == ["send 12"]
        assert bench.rtu(f.response(2)) == ["deliver 12 to one", "answered 12"]

    def test_what_has_no_answer_frees_the_line(self, bench: Bench) -> None:
        assert bench.master(f.request(1, f.DIRECT_OPERATE_NR)) == ["send 12", "no_answer_due 12"]
        assert bench.master(f.request(1, to=0xFFFF), address=RTU) == []
        assert bench.at(1.0).deadline() == ["send 12", "no_answer_due 12"]

    def test_unanswered_request_of_several_segments(self, bench: Bench) -> None:
        bench.master(f.request(1, f.DIRECT_OPERATE_NR, transport=f.FIR))
        assert bench.master(f.request(transport=f.FIN)) == ["send 12", "no_answer_due 12"]

    def test_link_confirmed_request(self, bench: Bench) -> None:
        bench.master(f.request(6, confirmed=True))
        assert bench.rtu(f.from_rtu(LinkFunction.ACK)) == ["deliver 12 to one"]
        assert bench.rtu(f.response(6)) == ["deliver 12 to one", "answered 12"]

    def test_link_confirmed_confirm_waits_for_its_ack(self, bench: Bench) -> None:
        bench.master(f.request(6))
        bench.rtu(f.response(6, application=f.A_FIR_FIN | f.A_CON))
        assert bench.master(f.confirm(6, confirmed=True)) == ["send 12"]
        assert bench.rtu(f.from_rtu(LinkFunction.ACK)) == ["deliver 12 to one", "answered 12"]

    def test_masters_ack_of_a_confirmed_response_goes_at_once(self, bench: Bench) -> None:
        bench.master(f.request(6))
        assert bench.master(f.from_master(LinkFunction.ACK)) == ["send 12"]
        assert bench.rtu(f.response(6)) == ["deliver 12 to one", "answered 12"]

    def test_self_address(self, bench: Bench) -> None:
        assert bench.master(f.request(1, to=0xFFFC), address=RTU) == ["send 12"]
        assert bench.rtu(f.response(1)) == ["deliver 12 to one", "answered 12"]


class TestNotAwaited:
    def test_nobody_asked(self, bench: Bench) -> None:
        assert bench.rtu(f.response(1)) == ["drop 12 not_awaited"]
        assert bench.rtu(f.link_status()) == ["drop 12 not_awaited"]

    def test_another_sequence(self, bench: Bench) -> None:
        bench.master(f.request(5))
        assert bench.rtu(f.response(4)) == ["drop 12 not_awaited"]
        assert bench.rtu(f.response(5)) == ["deliver 12 to one", "answered 12"]

    def test_another_outstation(self, bench: Bench) -> None:
        bench.master(f.request(5))
        assert bench.rtu(f.response(5, source=OTHER_RTU)) == ["drop 13 not_awaited"]

    def test_another_master(self, bench: Bench) -> None:
        bench.master(f.request(5))
        assert bench.rtu(f.response(5, to=2)) == ["drop 12 not_awaited"]

    def test_own_echo(self, bench: Bench) -> None:
        request = f.request(5)
        bench.master(request)
        assert bench.rtu(request) == ["drop None wrong_direction"]
        assert bench.rtu(f.response(5)) == ["deliver 12 to one", "answered 12"]

    def test_unknown_device(self, bench: Bench) -> None:
        assert bench.rtu(f.response(5, source=99)) == ["drop None unknown_source"]

    def test_late_answer(self, bench: Bench) -> None:
        bench.master(f.request(5))
        bench.at(3.0).deadline()
        assert bench.rtu(f.response(5)) == ["drop 12 not_awaited"]


class TestUnsolicited:
    def test_goes_to_the_session_at_any_time(self, bench: Bench) -> None:
        bench.master(f.request(5, to=OTHER_RTU))
        assert bench.rtu(f.unsolicited(1)) == ["deliver 12 to one"]
        assert bench.rtu(f.response(5, source=OTHER_RTU)) == ["deliver 13 to one", "answered 13"]

    def test_its_confirm_goes_at_once_where_the_same_outstation_is_asked(self, bench: Bench) -> None:
        """An outstation defers the answer until its unsolicited response is confirmed."""
        bench.master(f.request(5))
        bench.rtu(f.unsolicited(1))
        assert bench.master(f.confirm(1, uns=True)) == ["send 12"]
        assert bench.rtu(f.response(5)) == ["deliver 12 to one", "answered 12"]

    def test_its_confirm_goes_before_waiting_requests(self, bench: Bench) -> None:
        bench.master(f.request(5, to=OTHER_RTU))
        bench.master(f.link_status_request())
        bench.rtu(f.unsolicited(1))
        assert bench.master(f.confirm(1, uns=True)) == []
        bench.at(0.5)
        assert bench.rtu(f.response(5, source=OTHER_RTU)) == [
            "deliver 13 to one",
            "answered 13",
            "send 12",
            "no_answer_due 12",
        ]
        assert bench.at(0.6).deadline() == ["send 12"]

    def test_nobody_connected(self, bench: Bench) -> None:
        bench.turn.detach(ONE, 0.0)
        assert bench.rtu(f.unsolicited()) == ["drop 12 no_session"]

    def test_a_master_address_that_the_session_does_not_use(self, bench: Bench) -> None:
        assert bench.rtu(f.unsolicited(to=7)) == ["deliver 12 to one"]
        bench.master(f.link_status_request())
        assert bench.rtu(f.unsolicited(to=7)) == ["drop 12 unknown_master"]
        assert bench.rtu(f.unsolicited()) == ["deliver 12 to one"]

    def test_a_new_session_gets_no_half_fragment(self, bench: Bench) -> None:
        bench.rtu(f.unsolicited(transport=f.FIR))
        bench.turn.detach(ONE, 0.0)
        bench.turn.attach(TWO, RTU)
        assert bench.rtu(f.unsolicited(transport=f.FIN)) == ["drop 12 orphan_segment"]
        assert bench.rtu(f.unsolicited(transport=f.FIR)) == ["deliver 12 to two"]
        assert bench.rtu(f.unsolicited(transport=f.FIN)) == ["deliver 12 to two"]

    def test_link_service_of_the_outstation(self, bench: Bench) -> None:
        assert bench.rtu(f.from_rtu(LinkFunction.RESET_LINK_STATES)) == ["deliver 12 to one"]
        assert bench.master(f.from_master(LinkFunction.ACK)) == ["send 12", "no_answer_due 12"]


class TestQueue:
    def test_one_at_a_time_in_order(self, bench: Bench) -> None:
        assert bench.master(f.link_status_request()) == ["send 12"]
        assert bench.master(f.link_status_request(to=OTHER_RTU)) == []
        assert bench.master(f.link_status_request()) == []
        assert bench.turn.waiting_frames == bench.turn.waiting_of(ONE) == 2
        assert bench.rtu(f.link_status()) == ["deliver 12 to one", "answered 12", "send 13"]
        assert bench.rtu(f.link_status(OTHER_RTU)) == ["deliver 13 to one", "answered 13", "send 12"]

    def test_sessions_take_turns(self, bench: Bench) -> None:
        bench.turn.attach(TWO, OTHER_RTU)
        bench.master(f.link_status_request())
        for _ in range(4):
            bench.master(f.link_status_request())
        for _ in range(2):
            bench.master(f.link_status_request(to=OTHER_RTU), session=TWO)
        served = []
        for _ in range(6):
            bench.at(bench.now + 3)
            served += [step for step in bench.deadline() if step.startswith("send")]
        # After 10 s what still waits is not sent any more.
        assert served == ["send 13", "send 12", "send 13"]

    def test_timeout_hands_the_line_on(self, bench: Bench) -> None:
        bench.master(f.link_status_request())
        bench.master(f.link_status_request(to=OTHER_RTU))
        # 10 octets at 1 ms, then the response timeout.
        assert bench.turn.next_deadline() == pytest.approx(2.01)
        assert bench.at(2.0).deadline() == []
        assert bench.at(2.02).deadline() == ["timed_out 12", "send 13"]

    def test_octets_postpone_the_timeout_once_its_length(self, bench: Bench) -> None:
        bench.master(f.link_status_request())
        bench.turn.heard(2.0)
        assert bench.turn.next_deadline() == pytest.approx(2.1)
        bench.turn.heard(99.0)
        assert bench.turn.next_deadline() == pytest.approx(4.01)

    def test_every_frame_of_the_answer_renews_the_timeout(self, bench: Bench) -> None:
        bench.master(f.request(1))
        bench.at(1.5).rtu(f.response(1, transport=f.FIR))
        assert bench.turn.next_deadline() == pytest.approx(3.5)

    def test_a_lost_confirm_is_no_missing_answer(self, bench: Bench) -> None:
        bench.master(f.request(1))
        bench.rtu(f.response(1, application=f.A_FIR_FIN | f.A_CON))
        assert bench.at(9.0).deadline() == ["answered 12"]

    def test_the_rest_of_a_request_that_never_comes(self, bench: Bench) -> None:
        bench.master(f.request(1, transport=f.FIR))
        assert bench.at(9.0).deadline() == ["timed_out 12"]

    def test_asking_anew_takes_the_place_on_the_wire(self, bench: Bench) -> None:
        bench.master(f.request(1))
        assert bench.at(1.0).master(f.request(2)) == ["superseded 12", "send 12"]
        assert bench.rtu(f.response(1)) == ["drop 12 not_awaited"]
        assert bench.rtu(f.response(2)) == ["deliver 12 to one", "answered 12"]

    def test_asking_anew_takes_the_place_in_the_queue(self, bench: Bench) -> None:
        bench.master(f.request(1, to=OTHER_RTU))
        bench.master(f.request(1))
        assert bench.master(f.request(2)) == ["drop 12 superseded"]
        assert bench.turn.waiting_frames == 1

    def test_too_old_to_send(self, bench: Bench) -> None:
        bench.master(f.link_status_request())
        bench.master(f.request(1, to=OTHER_RTU))
        assert bench.at(10.0).deadline() == ["timed_out 12", "drop 13 expired"]

    def test_full(self, bench: Bench) -> None:
        for _ in range(9):
            bench.master(f.link_status_request())
        assert bench.master(f.link_status_request()) == ["drop 12 queue_full"]

    def test_the_ports_buffer_is_bounded(self, bench: Bench) -> None:
        bench.master(f.request(1, transport=f.FIR))
        results = [bench.master(f.request(transport=f.MIDDLE, rest=bytes(249))) for _ in range(30)]
        assert results[0] == ["send 12"]
        assert results[-1] == ["drop 12 queue_full"]
        assert sum(result == ["send 12"] for result in results) <= TIMING.port_frames + 1

    def test_frames_without_answer_leave_at_the_lines_pace(self, bench: Bench) -> None:
        for _ in range(3):
            bench.master(f.request(1, f.DIRECT_OPERATE_NR))
        assert bench.turn.waiting_frames == 2
        deadline = bench.turn.next_deadline()
        assert deadline == pytest.approx(0.015)
        assert bench.at(0.02).deadline() == ["send 12", "no_answer_due 12"]
        assert bench.turn.waiting_frames == 1


class TestSessionsEnd:
    def test_what_waits_is_dropped(self, bench: Bench) -> None:
        bench.master(f.link_status_request())
        bench.master(f.link_status_request(to=OTHER_RTU))
        assert _in_words(bench.turn.detach(ONE, 0.1)) == ["drop 13 session_ended"]

    def test_answers_never_reach_the_next_session(self, bench: Bench) -> None:
        bench.master(f.request(1))
        bench.turn.detach(ONE, 0.1)
        bench.turn.attach(TWO, RTU)
        assert bench.master(f.request(1), session=TWO) == []
        assert bench.rtu(f.response(1)) == ["drop 12 session_ended", "answered 12", "send 12"]
        assert bench.rtu(f.response(1)) == ["deliver 12 to two", "answered 12"]

    def test_a_silent_outstation_quarantines_until_the_timeout(self, bench: Bench) -> None:
        bench.master(f.request(1))
        bench.turn.detach(ONE, 0.1)
        bench.turn.attach(TWO, RTU)
        bench.master(f.request(9), session=TWO)
        assert bench.at(2.1).deadline() == ["timed_out 12", "send 12"]

    def test_later_fragments_are_not_waited_for_without_a_confirm(self, bench: Bench) -> None:
        bench.master(f.request(1))
        bench.turn.detach(ONE, 0.1)
        assert bench.rtu(f.response(1, application=f.A_FIR | f.A_CON)) == [
            "drop 12 session_ended",
            "answered 12",
        ]

    @pytest.mark.parametrize("awaiting", ["confirm", "segments"])
    def test_nothing_is_awaited_of_a_master_that_is_gone(self, bench: Bench, awaiting: str) -> None:
        if awaiting == "confirm":
            bench.master(f.request(1))
            bench.rtu(f.response(1, application=f.A_FIR_FIN | f.A_CON))
        else:
            bench.master(f.request(1, transport=f.FIR))
        bench.turn.detach(ONE, 0.1)
        assert not bench.turn.is_busy

    def test_frames_of_a_session_that_has_no_outstation(self, bench: Bench) -> None:
        assert bench.master(f.request(1), session=TWO) == ["drop 12 session_ended"]

    def test_repeated(self, bench: Bench) -> None:
        bench.turn.detach(ONE, 0.0)
        assert bench.turn.detach(ONE, 0.0) == []


class TestLineDown:
    def test_everything_under_way_fails(self, bench: Bench) -> None:
        bench.master(f.link_status_request())
        bench.master(f.link_status_request(to=OTHER_RTU))
        assert _in_words(bench.turn.line_down(0.1)) == ["line_down 12", "drop 13 line_down"]
        assert bench.master(f.link_status_request()) == ["drop 12 line_down"]

    def test_and_works_again(self, bench: Bench) -> None:
        bench.master(f.request(1, transport=f.FIR, rest=bytes(200)))
        bench.turn.line_down(0.1)
        bench.turn.line_up()
        assert bench.at(0.1).master(f.link_status_request()) == ["send 12"]


def test_the_books_balance() -> None:
    """Random traffic by seed: every frame of a master is sent, waits, or is dropped by name."""
    for seed in range(40):
        rng = random.Random(seed)
        bench = Bench()
        submitted = sent = dropped = finished = 0
        for _ in range(300):
            bench.at(bench.now + rng.choice((0.0, 0.01, 0.3, 2.5)))
            steps = bench.turn.on_deadline(bench.now)
            was_heard = rng.random() < 0.5
            rtu = rng.choice((RTU, OTHER_RTU))
            if was_heard:
                answer = rng.choice(
                    (
                        f.response(rng.randrange(3), source=rtu),
                        f.response(rng.randrange(3), source=rtu, application=rng.choice((0x80, 0xA0, 0xE0))),
                        f.response(rng.randrange(3), source=rtu, transport=rng.choice((0x40, 0x80))),
                        f.link_status(rtu),
                    )
                )
                heard = bench.turn.receive(answer, bench.now)
                assert isinstance(heard[0], Deliver | Dropped)
                steps += heard[1:]
            else:
                frame = rng.choice(
                    (
                        f.request(rng.randrange(3), to=rtu),
                        f.request(rng.randrange(3), f.DIRECT_OPERATE_NR, to=rtu),
                        f.request(rng.randrange(3), to=rtu, transport=rng.choice((0x40, 0x80, 0x00))),
                        f.confirm(rng.randrange(3), uns=rng.random() < 0.5, to=rtu),
                        f.link_status_request(rtu),
                    )
                )
                submitted += 1
                steps += bench.turn.submit(ONE, rtu, frame, bench.now)
            if rng.random() < 0.02:
                steps += bench.turn.detach(ONE, bench.now)
                for address in (RTU, OTHER_RTU):
                    bench.turn.attach(ONE, address)
            if rng.random() < 0.02:
                steps += bench.turn.line_down(bench.now)
                bench.turn.line_up()
            sent += sum(isinstance(step, Send) for step in steps)
            dropped += sum(isinstance(step, Dropped) for step in steps)
            finished += sum(isinstance(step, Finished) for step in steps)
            assert submitted == sent + dropped + bench.turn.waiting_frames
            assert finished + bench.turn.is_busy <= sent
