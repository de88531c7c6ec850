"""Who is next, how long everybody waits, and when the line is free."""

from __future__ import annotations

import pytest

from bridge.link.control import LinkFunction
from bridge.link.frame import Frame
from bridge.routing.drop import Drop
from bridge.routing.steps import Dropped
from tests.routing.turn_bench import ONE, TWO, Bench
from tests.support import frames as f
from tests.support.frames import OTHER_RTU, RTU


class TestQueue:
    def test_one_at_a_time_in_order(self, bench: Bench) -> None:
        assert bench.master(f.link_status_request()) == ["send 12"]
        assert bench.master(f.link_status_request(to=OTHER_RTU)) == []
        assert bench.master(f.link_status_request()) == []
        assert bench.turn.waiting_frames == 2
        assert bench.rtu(f.link_status()) == ["deliver 12 to one", "answered 12", "send 13"]
        assert bench.rtu(f.link_status(OTHER_RTU)) == ["deliver 13 to one", "answered 13", "send 12"]

    def test_what_waits_is_counted_by_session(self, bench: Bench) -> None:
        bench.turn.attach(TWO, OTHER_RTU)
        assert bench.turn.waiting_of(TWO) == 0
        bench.master(f.link_status_request())
        bench.master(f.link_status_request())
        bench.master(f.request(1, to=OTHER_RTU, transport=f.FIR), session=TWO)
        assert bench.turn.waiting_of(TWO) == 0
        bench.master(f.request(to=OTHER_RTU, transport=f.FIN), session=TWO)
        assert bench.turn.waiting_frames == 3
        assert (bench.turn.waiting_of(TWO), bench.turn.waiting_of(object())) == (2, 0)

    def test_sessions_take_turns(self, bench: Bench) -> None:
        bench.turn.attach(TWO, OTHER_RTU)
        for _ in range(5):
            bench.master(f.link_status_request())
        for _ in range(2):
            bench.master(f.link_status_request(to=OTHER_RTU), session=TWO)
        served = []
        for _ in range(6):
            bench.at(bench.now + 3)
            served += [step for step in bench.deadline() if step.startswith("send")]
        # After 10 s what still waits is not sent any more.
        assert served == ["send 12", "send 13", "send 12"]

    def test_controls_go_first(self, bench: Bench) -> None:
        bench.turn.attach(TWO, OTHER_RTU)
        bench.master(f.link_status_request())
        bench.master(f.link_status_request())
        bench.master(f.request(1, f.OPERATE, to=OTHER_RTU), session=TWO)
        assert bench.rtu(f.link_status())[-1] == "send 13"

    def test_asking_anew_takes_the_place_on_the_wire(self, bench: Bench) -> None:
        bench.master(f.request(1))
        assert bench.at(1.0).master(f.request(2)) == ["superseded 12", "send 12"]
        assert bench.rtu(f.response(1)) == ["drop 12 late"]
        assert bench.rtu(f.response(2)) == ["deliver 12 to one", "answered 12"]

    def test_asking_anew_takes_the_place_in_the_queue(self, bench: Bench) -> None:
        bench.master(f.request(1, to=OTHER_RTU))
        bench.master(f.request(1))
        assert bench.master(f.request(2)) == ["drop 12 superseded"]
        assert bench.turn.waiting_frames == 1

    def test_asking_anew_in_the_queue_is_no_new_wait(self, bench: Bench) -> None:
        """Who has waited for a response timeout is not passed by any more."""
        bench.turn.attach(TWO, OTHER_RTU)
        bench.master(f.link_status_request(OTHER_RTU), session=TWO)
        bench.rtu(f.link_status(OTHER_RTU))
        bench.at(0.1).master(f.link_status_request())
        bench.at(0.2).master(f.request(1, to=OTHER_RTU), session=TWO)
        bench.at(1.5).master(f.request(2, to=OTHER_RTU), session=TWO)
        bench.at(1.9).master(f.request(1, f.DIRECT_OPERATE_NR))
        assert bench.at(2.25).deadline() == ["timed_out 12", "send 13"]

    def test_asking_anew_without_a_confirm_leaves_no_missing_answer(self, bench: Bench) -> None:
        bench.master(f.request(1))
        bench.rtu(f.response(1, application=f.A_FIR_FIN | f.A_CON))
        assert bench.at(1.0).master(f.request(2)) == ["answered 12", "send 12"]

    def test_asking_anew_waits_for_the_confirm_that_waits_for_silence(self, bench: Bench) -> None:
        bench.master(f.request(1))
        bench.rtu(f.response(1, application=f.A_FIR_FIN | f.A_CON))
        bench.at(1.0).noise(half_heard_until_s=1.1)
        assert bench.master(f.confirm(1)) == []
        assert bench.master(f.request(2)) == []
        assert bench.at(1.1).deadline() == ["send 12", "answered 12"]
        assert bench.at(2.0).deadline() == ["send 12"]

    def test_asking_another_outstation_supersedes_nothing(self, bench: Bench) -> None:
        bench.master(f.request(1))
        assert bench.master(f.request(2, to=OTHER_RTU)) == []
        assert bench.rtu(f.response(1))[:2] == ["deliver 12 to one", "answered 12"]

    def test_too_old_to_send(self, bench: Bench) -> None:
        bench.master(f.link_status_request())
        frame = f.request(1, to=OTHER_RTU)
        bench.at(0.5).master(frame)
        assert bench.at(10.5).deadline() == ["timed_out 12", "drop 13 expired"]
        assert bench.steps[-1] == Dropped(OTHER_RTU, Drop.EXPIRED, None, 10.0, is_control=False, frame=frame)

    def test_a_control_is_too_old_sooner(self) -> None:
        bench = Bench(response_timeout_s=6.0)
        bench.master(f.link_status_request())
        frame = f.request(1, f.SELECT, to=OTHER_RTU)
        bench.master(frame)
        assert bench.turn.next_deadline() == pytest.approx(5.0)
        assert bench.at(5.0).deadline() == ["drop 13 expired"]
        assert bench.steps == [Dropped(OTHER_RTU, Drop.EXPIRED, None, 5.0, is_control=True, frame=frame)]

    def test_full(self, bench: Bench) -> None:
        for _ in range(9):
            bench.master(f.link_status_request())
        assert bench.master(f.link_status_request()) == ["drop 12 queue_full"]

    def test_full_for_one_session_only(self, bench: Bench) -> None:
        bench.turn.attach(TWO, OTHER_RTU)
        for _ in range(9):
            bench.master(f.link_status_request())
        assert bench.master(f.link_status_request(OTHER_RTU), session=TWO) == []


class TestAskingAnewWhereOthersWait:
    """The answer to the request given up may be on its way: nobody speaks into it."""

    @pytest.fixture
    def bench(self) -> Bench:
        bench = Bench()
        bench.turn.attach(TWO, OTHER_RTU)
        bench.master(f.request(1))
        return bench

    def test_everybody_waits_for_the_late_answer(self, bench: Bench) -> None:
        bench.master(f.link_status_request(OTHER_RTU), session=TWO)
        assert bench.at(1.0).master(f.request(2)) == ["superseded 12"]
        assert bench.turn.next_deadline() == pytest.approx(2.015)
        assert bench.at(1.5).rtu(f.response(1)) == ["drop 12 late", "send 13"]
        assert bench.rtu(f.link_status(OTHER_RTU)) == ["deliver 13 to two", "answered 13", "send 12"]

    def test_and_no_longer_than_for_the_request_given_up(self, bench: Bench) -> None:
        bench.master(f.link_status_request(OTHER_RTU), session=TWO)
        bench.at(1.0).master(f.request(2))
        assert bench.at(2.01).deadline() == []
        assert bench.at(2.015).deadline() == ["send 13"]

    def test_asking_anew_again_and_again_prolongs_nothing(self, bench: Bench) -> None:
        bench.master(f.link_status_request(OTHER_RTU), session=TWO)
        bench.at(0.5).master(f.request(2))
        assert bench.at(1.0).master(f.request(3)) == ["drop 12 superseded"]
        assert bench.at(1.5).master(f.request(4)) == ["drop 12 superseded"]
        assert bench.turn.next_deadline() == pytest.approx(2.015)
        assert bench.at(2.015).deadline() == ["send 13"]

    def test_until_the_late_answer_is_whole(self, bench: Bench) -> None:
        bench.master(f.link_status_request(OTHER_RTU), session=TWO)
        bench.at(1.0).master(f.request(2))
        assert bench.at(1.5).rtu(f.response(1, transport=f.FIR)) == ["drop 12 late"]
        assert bench.at(1.6).rtu(f.response(transport=f.FIN)) == ["drop 12 late", "send 13"]

    def test_whoever_comes_later_waits_too(self, bench: Bench) -> None:
        assert bench.at(0.5).master(f.request(2)) == ["superseded 12", "send 12"]
        assert bench.at(0.6).master(f.link_status_request(OTHER_RTU), session=TWO) == []
        assert bench.at(0.7).rtu(f.response(2)) == ["deliver 12 to one", "answered 12"]
        assert bench.turn.next_deadline() == pytest.approx(2.015)
        assert bench.at(1.5).rtu(f.response(1)) == ["drop 12 late", "send 13"]

    def test_so_do_its_own_requests_to_others(self, bench: Bench) -> None:
        bench.at(0.5).master(f.request(2))
        bench.turn.attach(ONE, OTHER_RTU)
        assert bench.at(0.6).master(f.link_status_request(OTHER_RTU)) == []
        assert bench.at(0.7).rtu(f.response(2)) == ["deliver 12 to one", "answered 12"]
        assert bench.at(1.5).rtu(f.response(1)) == ["drop 12 late", "send 13"]

    def test_and_broadcasts(self, bench: Bench) -> None:
        bench.at(0.5).master(f.request(2))
        bench.at(0.7).rtu(f.response(2))
        assert bench.master(f.request(1, to=0xFFFF), session=TWO, address=OTHER_RTU) == []
        assert bench.at(2.015).deadline() == ["send 13", "no_answer_due 13"]

    def test_until_every_late_answer_is_heard(self, bench: Bench) -> None:
        bench.at(0.5).master(f.request(2))
        bench.at(1.0).master(f.request(3))
        bench.at(1.1).master(f.link_status_request(OTHER_RTU), session=TWO)
        bench.at(1.2).rtu(f.response(3))
        assert bench.at(1.3).rtu(f.response(1)) == ["drop 12 late"]
        assert bench.at(1.4).rtu(f.response(2)) == ["drop 12 late", "send 13"]

    def test_a_request_whose_first_segment_was_acked_has_no_answer_either(self) -> None:
        bench = Bench()
        bench.master(f.request(1, transport=f.FIR, confirmed=True))
        assert bench.at(0.5).rtu(f.from_rtu(LinkFunction.ACK)) == ["deliver 12 to one"]
        assert bench.at(1.0).master(f.request(2))[0] == "superseded 12"

    def test_an_answer_of_somebody_else_is_not_the_late_one(self, bench: Bench) -> None:
        bench.master(f.link_status_request(OTHER_RTU), session=TWO)
        bench.at(1.0).master(f.request(2))
        assert bench.at(1.5).rtu(f.response(1, source=OTHER_RTU)) == ["drop 13 not_awaited"]
        assert bench.rtu(f.response(7)) == ["drop 12 not_awaited"]
        assert bench.turn.next_deadline() == pytest.approx(2.015)

    def test_a_request_that_is_not_whole_has_no_answer(self) -> None:
        bench = Bench()
        bench.turn.attach(TWO, OTHER_RTU)
        bench.master(f.request(1, transport=f.FIR, confirmed=True))
        bench.master(f.link_status_request(OTHER_RTU), session=TWO)
        assert bench.at(1.0).master(f.request(2)) == ["superseded 12", "send 13"]

    def test_a_port_opened_anew_has_nothing_on_its_way(self, bench: Bench) -> None:
        bench.at(0.5).master(f.request(2))
        bench.line_down()
        bench.turn.line_up()
        assert bench.master(f.link_status_request(OTHER_RTU), session=TWO) == ["send 13"]


class TestTimeouts:
    def test_hands_the_line_on(self, bench: Bench) -> None:
        bench.master(f.link_status_request())
        bench.master(f.link_status_request(to=OTHER_RTU))
        # 10 octets at 1 ms, then the response timeout.
        assert bench.turn.next_deadline() == pytest.approx(2.01)
        assert bench.at(2.0).deadline() == []
        assert bench.at(2.02).deadline() == ["timed_out 12", "send 13"]

    def test_octets_postpone_it_once_its_length(self, bench: Bench) -> None:
        bench.master(f.link_status_request())
        bench.at(2.0).noise()
        assert bench.turn.next_deadline() == pytest.approx(2.1)
        bench.at(4.0).noise()
        assert bench.turn.next_deadline() == pytest.approx(4.01)

    def test_every_frame_of_the_answer_renews_it(self, bench: Bench) -> None:
        bench.master(f.request(1))
        bench.at(1.5).rtu(f.response(1, transport=f.FIR))
        assert bench.turn.next_deadline() == pytest.approx(3.5)

    @pytest.mark.parametrize("beside", [f.from_master(LinkFunction.ACK), f.confirm(1, uns=True)])
    def test_what_a_master_sends_beside_it_does_not_prolong_it(self, bench: Bench, beside: Frame) -> None:
        bench.master(f.request(1))
        assert bench.at(1.0).master(beside) == ["send 12"]
        assert bench.turn.next_deadline() == pytest.approx(2.015)
        bench.at(1.5).rtu(f.response(1))
        assert bench.finished().evidence.response_s == pytest.approx(1.485)

    def test_link_answers_that_nobody_asked_for_do_not_prolong_it(self, bench: Bench) -> None:
        bench.master(f.request(1))
        assert bench.at(1.0).rtu(f.link_status()) == ["deliver 12 to one"]
        assert bench.turn.next_deadline() == pytest.approx(2.015)

    def test_the_link_answer_that_was_asked_for_does(self, bench: Bench) -> None:
        bench.master(f.request(1, confirmed=True))
        assert bench.at(1.0).rtu(f.from_rtu(LinkFunction.ACK)) == ["deliver 12 to one"]
        assert bench.turn.next_deadline() == pytest.approx(3.0)

    def test_a_confirm_of_its_own_renews_it(self, bench: Bench) -> None:
        bench.master(f.request(1))
        bench.at(1.0).rtu(f.response(1, application=f.A_FIR | f.A_CON))
        bench.at(2.5).master(f.confirm(1))
        assert bench.turn.next_deadline() == pytest.approx(4.515)

    def test_no_exchange_goes_on_for_ever(self, bench: Bench) -> None:
        bench.master(f.request(1))
        bench.at(1.0).rtu(f.response(1, transport=f.FIR))
        for second in range(2, 8):
            assert bench.at(second).rtu(f.response(transport=f.MIDDLE)) == ["deliver 12 to one"]
        assert bench.turn.next_deadline() == pytest.approx(8.0)
        assert bench.at(8.0).deadline() == ["overrun 12"]

    def test_a_lost_confirm_is_no_missing_answer(self, bench: Bench) -> None:
        bench.master(f.request(1))
        bench.rtu(f.response(1, application=f.A_FIR_FIN | f.A_CON))
        assert bench.at(7.0).deadline() == ["answered 12"]

    def test_a_confirm_that_could_not_be_sent_is_no_missing_answer(self, bench: Bench) -> None:
        bench.master(f.request(1))
        bench.at(1.0).rtu(f.response(1, application=f.A_FIR_FIN | f.A_CON))
        bench.at(2.9).noise(half_heard_until_s=9.0)
        assert bench.master(f.confirm(1)) == []
        assert bench.at(3.0).deadline() == ["drop 12 expired", "answered 12"]

    def test_an_overdue_confirm_brings_the_next_fragment(self, bench: Bench) -> None:
        bench.master(f.request(15))
        bench.rtu(f.response(15, application=f.A_FIR | f.A_CON))
        assert bench.at(3.0).deadline() == ["answered 12"]
        assert bench.master(f.confirm(15)) == ["send 12"]
        assert bench.at(3.1).rtu(f.response(0, application=f.A_FIN)) == ["deliver 12 to one", "answered 12"]

    def test_an_overdue_confirm_of_the_last_fragment_awaits_nothing(self, bench: Bench) -> None:
        bench.master(f.request(1))
        bench.rtu(f.response(1, application=f.A_FIR_FIN | f.A_CON))
        bench.at(3.0).deadline()
        assert bench.master(f.confirm(1)) == ["send 12", "no_answer_due 12"]


class TestListensBeforeTalk:
    def test_nobody_is_interrupted(self, bench: Bench) -> None:
        bench.noise(3, half_heard_until_s=0.1)
        assert bench.master(f.request(1)) == []
        assert bench.turn.next_deadline() == pytest.approx(0.1)
        assert bench.at(0.05).deadline() == []
        assert bench.at(0.1).deadline() == ["send 12"]

    def test_turnaround(self) -> None:
        bench = Bench(turnaround_s=0.02)
        bench.noise()
        assert bench.master(f.request(1)) == []
        assert bench.turn.next_deadline() == pytest.approx(0.02)
        assert bench.at(0.02).deadline() == ["send 12"]

    def test_the_frames_of_an_exchange_wait_for_silence_too(self) -> None:
        bench = Bench(turnaround_s=0.02)
        bench.master(f.request(1))
        bench.at(0.5).rtu(f.response(1, application=f.A_FIR_FIN | f.A_CON))
        assert bench.master(f.confirm(1)) == []
        assert bench.turn.next_deadline() == pytest.approx(0.52)
        assert bench.at(0.52).deadline() == ["send 12", "answered 12"]

    def test_frames_without_answer_leave_at_the_lines_pace(self, bench: Bench) -> None:
        for _ in range(3):
            bench.master(f.request(1, f.DIRECT_OPERATE_NR))
        assert bench.turn.waiting_frames == 2
        assert bench.turn.next_deadline() == pytest.approx(0.015)
        assert bench.at(0.02).deadline() == ["send 12", "no_answer_due 12"]
        assert bench.turn.waiting_frames == 1

    def test_pre_and_post_transmit_delay_the_next_exchange(self) -> None:
        bench = Bench(pre_transmit_s=0.1, post_transmit_s=0.2)
        bench.master(f.request(1, f.DIRECT_OPERATE_NR))
        bench.master(f.request(1))
        assert bench.turn.next_deadline() == pytest.approx(0.315)

    def test_early_calls_do_nothing(self, bench: Bench) -> None:
        bench.master(f.request(1))
        bench.master(f.request(1, to=OTHER_RTU))
        deadline = bench.turn.next_deadline()
        assert bench.at(1.0).deadline() == []
        assert bench.turn.next_deadline() == deadline


class TestBabble:
    def test_begins_and_ends(self, bench: Bench) -> None:
        heard = [bench.at(step / 16).noise() for step in range(60)]
        assert heard.count(["babble begins"]) == 1
        assert bench.turn.is_babbling
        assert bench.turn.next_deadline() == pytest.approx(59 / 16 + 1)
        assert bench.at(4.7).deadline() == ["babble ends"]
        assert not bench.turn.is_babbling

    def test_an_awaited_answer_is_none(self, bench: Bench) -> None:
        bench.master(f.request(1))
        bench.rtu(f.response(1, transport=f.FIR))
        for tenth in range(1, 60):
            assert bench.at(tenth / 10).rtu(f.response(transport=f.MIDDLE)) == ["deliver 12 to one"]

    def test_gaps_of_a_turnaround_are_no_pauses(self) -> None:
        """In them nobody gets a chance."""
        bench = Bench(turnaround_s=0.5)
        heard = [bench.at(tenth / 10).noise() for tenth in range(0, 40, 4)]
        assert heard.count(["babble begins"]) == 1

    def test_longer_gaps_are_pauses(self) -> None:
        bench = Bench(turnaround_s=0.5)
        heard = [bench.at(tenth / 10).noise() for tenth in range(0, 60, 6)]
        assert heard == [[]] * 10

    def test_ends_with_the_port(self, bench: Bench) -> None:
        for step in range(60):
            bench.at(step / 16).noise()
        assert bench.line_down() == ["babble ends"]
        assert not bench.turn.is_babbling
        bench.turn.line_up()
        assert bench.noise() == []


def test_only_known_outstations_have_a_place(bench: Bench) -> None:
    with pytest.raises(KeyError):
        bench.master(f.request(1, to=RTU + 9))
