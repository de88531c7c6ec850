"""One exchange on the line, what does not belong to it, and what outstations say of their own accord."""

from __future__ import annotations

import pytest

from bridge.link.control import LinkFunction
from bridge.routing.steps import Deliver, Dropped, Send
from tests.routing.turn_bench import TWO, Bench
from tests.support import frames as f
from tests.support.frames import OTHER_RTU, RTU


class TestOneExchange:
    def test_link_service(self, bench: Bench) -> None:
        assert bench.master(f.link_status_request()) == ["send 12"]
        assert bench.rtu(f.link_status()) == ["deliver 12 to one", "answered 12"]
        assert bench.turn.next_deadline() is None

    def test_frames_are_relayed_verbatim(self, bench: Bench) -> None:
        request = f.request(rest=b"\x3c\x02\x06")
        bench.master(request)
        assert [step.frame for step in bench.steps if isinstance(step, Send)] == [request]
        answer = f.response()
        bench.rtu(answer)
        assert [step.frame for step in bench.steps if isinstance(step, Deliver)] == [answer]

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

    def test_what_has_no_answer_frees_the_line(self, bench: Bench) -> None:
        assert bench.master(f.request(1, f.DIRECT_OPERATE_NR)) == ["send 12", "no_answer_due 12"]
        assert bench.master(f.request(1, to=0xFFFF), address=RTU) == []
        assert bench.at(1.0).deadline() == ["send 12", "no_answer_due 12"]

    def test_self_address(self, bench: Bench) -> None:
        assert bench.master(f.request(1, to=0xFFFC), address=RTU) == ["send 12"]
        assert bench.rtu(f.response(1)) == ["deliver 12 to one", "answered 12"]

    def test_its_times_and_evidence(self, bench: Bench) -> None:
        bench.master(f.request(1))
        bench.at(0.3).rtu(f.response(1, transport=f.FIR))
        bench.at(0.5).noise(4)
        bench.turn.damaged(2)
        bench.at(0.7).rtu(f.response(transport=f.FIN))
        finished = bench.finished()
        assert finished.elapsed_s == pytest.approx(0.7)
        # 15 octets at 1 ms leave first.
        assert finished.evidence.response_s == pytest.approx(0.285)
        assert finished.evidence.answer_frames == 2
        assert finished.evidence.stray_octets == 4
        assert finished.evidence.crc_errors == 2

    def test_what_is_heard_between_exchanges_is_no_evidence(self, bench: Bench) -> None:
        bench.noise(4)
        bench.turn.damaged(1)
        bench.rtu(f.response(1, source=99))
        bench.at(1.0).master(f.link_status_request())
        bench.at(9.0).deadline()
        evidence = bench.finished().evidence
        assert (evidence.stray_octets, evidence.crc_errors, evidence.other_answers) == (0, 0, 0)

    def test_a_frame_whose_beginning_was_heard_before_the_exchange_is_no_negative_evidence(
        self, bench: Bench
    ) -> None:
        bench.noise(10, half_heard_until_s=0.1)
        assert bench.at(0.2).master(f.request(1)) == ["send 12"]
        # The program was late: the rest of the frame arrives after its time limit and is whole all the same.
        bench.noise(7)
        assert bench.turn.receive(f.unsolicited(), bench.now)
        bench.at(9.0).deadline()
        assert bench.finished().evidence.stray_octets == 0


class TestRequestsOfSeveralSegments:
    def test_go_out_back_to_back(self, bench: Bench) -> None:
        assert bench.master(f.request(2, f.SELECT, transport=f.FIR)) == []
        assert bench.master(f.request(transport=f.MIDDLE)) == []
        assert bench.master(f.request(transport=f.FIN)) == ["send 12", "send 12", "send 12"]
        assert bench.rtu(f.response(2)) == ["deliver 12 to one", "answered 12"]

    def test_the_line_is_free_while_they_are_gathered(self, bench: Bench) -> None:
        bench.master(f.request(2, transport=f.FIR))
        assert bench.master(f.link_status_request(OTHER_RTU)) == ["send 13"]
        assert bench.master(f.request(transport=f.FIN)) == []
        assert bench.rtu(f.link_status(OTHER_RTU)) == [
            "deliver 13 to one",
            "answered 13",
            "send 12",
            "send 12",
        ]

    def test_without_answer(self, bench: Bench) -> None:
        bench.master(f.request(1, f.DIRECT_OPERATE_NR, transport=f.FIR))
        assert bench.master(f.request(transport=f.FIN)) == ["send 12", "send 12", "no_answer_due 12"]

    def test_a_broadcast(self, bench: Bench) -> None:
        bench.master(f.request(1, to=0xFFFD, transport=f.FIR), address=RTU)
        last = f.request(to=0xFFFD, transport=f.FIN)
        assert bench.master(last, address=RTU) == ["send 12", "send 12", "no_answer_due 12"]

    def test_later_segments_alone(self, bench: Bench) -> None:
        assert bench.master(f.request(transport=f.MIDDLE)) == ["drop 12 orphan_segment"]
        assert bench.master(f.request(transport=f.FIN)) == ["drop 12 orphan_segment"]

    def test_given_up_for_another_request(self, bench: Bench) -> None:
        bench.master(f.request(1, transport=f.FIR))
        assert bench.master(f.request(2)) == ["drop 12 superseded", "send 12"]

    def test_too_old_when_they_are_whole(self, bench: Bench) -> None:
        bench.master(f.request(1, f.OPERATE, transport=f.FIR))
        assert bench.at(5.0).master(f.request(transport=f.FIN)) == ["drop 12 expired"] * 2

    def test_link_confirmed_segments_go_one_by_one(self, bench: Bench) -> None:
        """Their master sends the next one only after the ack."""
        assert bench.master(f.request(6, transport=f.FIR, confirmed=True)) == ["send 12"]
        assert bench.rtu(f.from_rtu(LinkFunction.ACK)) == ["deliver 12 to one"]
        assert bench.master(f.request(transport=f.FIN, confirmed=True)) == ["send 12"]
        assert bench.rtu(f.from_rtu(LinkFunction.ACK)) == ["deliver 12 to one"]
        assert bench.rtu(f.response(6)) == ["deliver 12 to one", "answered 12"]

    def test_link_confirmed_segments_without_answer(self, bench: Bench) -> None:
        bench.master(f.request(6, f.DIRECT_OPERATE_NR, transport=f.FIR, confirmed=True))
        assert bench.master(f.request(transport=f.FIN, confirmed=True)) == ["send 12"]
        assert bench.rtu(f.from_rtu(LinkFunction.ACK)) == ["deliver 12 to one", "answered 12"]

    def test_the_rest_never_comes(self, bench: Bench) -> None:
        bench.master(f.request(1, transport=f.FIR, confirmed=True))
        assert bench.at(7.0).deadline() == ["timed_out 12"]

    def test_the_exchanges_own_frames_are_bounded(self, bench: Bench) -> None:
        bench.master(f.request(1, transport=f.FIR, confirmed=True))
        middle = f.request(transport=f.MIDDLE, rest=bytes(249), confirmed=True)
        results = [bench.master(middle) for _ in range(30)]
        assert results[0] == ["send 12"]
        assert results[-1] == ["drop 12 queue_full"]
        assert 0 < results.count(["send 12"]) <= 17

    def test_frames_that_wait_for_silence_are_bounded(self, bench: Bench) -> None:
        bench.master(f.request(1))
        bench.at(0.1).noise(half_heard_until_s=0.3)
        results = [bench.master(f.from_master(LinkFunction.ACK)) for _ in range(17)]
        assert results == [[]] * 16 + [["drop 12 queue_full"]]
        assert bench.at(0.3).deadline() == ["send 12"] * 16


class TestLinkConfirmed:
    def test_request(self, bench: Bench) -> None:
        bench.master(f.request(6, confirmed=True))
        assert bench.rtu(f.from_rtu(LinkFunction.ACK)) == ["deliver 12 to one"]
        assert bench.rtu(f.response(6)) == ["deliver 12 to one", "answered 12"]

    def test_confirm_waits_for_its_ack(self, bench: Bench) -> None:
        bench.master(f.request(6))
        bench.rtu(f.response(6, application=f.A_FIR_FIN | f.A_CON))
        assert bench.master(f.confirm(6, confirmed=True)) == ["send 12"]
        assert bench.rtu(f.from_rtu(LinkFunction.ACK)) == ["deliver 12 to one", "answered 12"]

    def test_request_without_answer_waits_for_its_ack(self, bench: Bench) -> None:
        assert bench.master(f.request(6, f.DIRECT_OPERATE_NR, confirmed=True)) == ["send 12"]
        assert bench.rtu(f.from_rtu(LinkFunction.ACK)) == ["deliver 12 to one", "answered 12"]

    def test_masters_ack_of_a_confirmed_response_goes_at_once(self, bench: Bench) -> None:
        bench.master(f.request(6))
        assert bench.master(f.from_master(LinkFunction.ACK)) == ["send 12"]
        assert bench.rtu(f.response(6)) == ["deliver 12 to one", "answered 12"]


class TestNotAwaited:
    def test_nobody_asked(self, bench: Bench) -> None:
        assert bench.rtu(f.response(1)) == ["drop 12 not_awaited"]
        assert bench.rtu(f.link_status()) == ["drop 12 not_awaited"]

    def test_another_sequence(self, bench: Bench) -> None:
        bench.master(f.request(5))
        assert bench.rtu(f.response(4)) == ["drop 12 not_awaited"]
        assert bench.rtu(f.response(5)) == ["deliver 12 to one", "answered 12"]
        assert bench.finished().evidence.mismatched_answers == 1

    def test_the_rest_of_a_fragment_that_was_refused(self, bench: Bench) -> None:
        """Only a first segment shows its sequence: the later ones belong where it did."""
        bench.master(f.request(5))
        assert bench.rtu(f.response(4, transport=f.FIR)) == ["drop 12 not_awaited"]
        assert bench.rtu(f.response(transport=f.MIDDLE)) == ["drop 12 not_awaited"]
        assert bench.rtu(f.response(transport=f.FIN)) == ["drop 12 not_awaited"]
        assert bench.rtu(f.response(5)) == ["deliver 12 to one", "answered 12"]

    def test_the_rest_of_an_answer_that_was_superseded(self, bench: Bench) -> None:
        bench.master(f.request(5))
        bench.rtu(f.response(5, transport=f.FIR))
        assert bench.master(f.request(6)) == ["superseded 12"], "the outstation is still speaking"
        assert bench.rtu(f.response(transport=f.FIN)) == ["drop 12 late", "send 12"]
        assert bench.rtu(f.response(6)) == ["deliver 12 to one", "answered 12"]

    def test_another_outstation(self, bench: Bench) -> None:
        bench.master(f.request(5))
        assert bench.rtu(f.response(5, source=OTHER_RTU)) == ["drop 13 other_outstation"]
        bench.at(9.0).deadline()
        evidence = bench.finished().evidence
        assert (evidence.other_answers, evidence.other_address) == (1, OTHER_RTU)

    def test_an_unknown_outstation(self, bench: Bench) -> None:
        bench.master(f.request(5))
        assert bench.rtu(f.response(5, source=99)) == ["drop None unknown_source"]
        bench.at(9.0).deadline()
        assert bench.finished().evidence.other_address == 99

    def test_another_master(self, bench: Bench) -> None:
        bench.master(f.request(5))
        assert bench.rtu(f.response(5, to=2)) == ["drop 12 not_awaited"]

    def test_own_echo(self, bench: Bench) -> None:
        request = f.request(5)
        bench.master(request)
        assert bench.rtu(request) == ["drop None wrong_direction"]
        assert bench.rtu(f.response(5)) == ["deliver 12 to one", "answered 12"]


class TestLate:
    def test_answer(self, bench: Bench) -> None:
        bench.master(f.request(5))
        bench.at(3.0).deadline()
        assert bench.at(3.5).rtu(f.response(5)) == ["drop 12 late"]
        (step,) = bench.steps
        assert isinstance(step, Dropped)
        assert step.response_s == pytest.approx(3.485)

    def test_answer_is_late_once(self, bench: Bench) -> None:
        bench.master(f.request(5))
        bench.at(3.0).deadline()
        bench.rtu(f.response(5))
        assert bench.rtu(f.response(5)) == ["drop 12 not_awaited"]

    def test_answer_of_several_segments_during_the_next_exchange(self, bench: Bench) -> None:
        bench.master(f.request(5))
        bench.at(3.0).deadline()
        bench.master(f.request(6))
        assert bench.rtu(f.response(5, transport=f.FIR)) == ["drop 12 late"]
        assert bench.rtu(f.response(transport=f.MIDDLE)) == ["drop 12 late"]
        assert bench.rtu(f.response(transport=f.FIN)) == ["drop 12 late"]
        assert bench.rtu(f.response(6)) == ["deliver 12 to one", "answered 12"]
        assert bench.finished().evidence.mismatched_answers == 0

    def test_the_rest_of_an_answer_that_broke_off(self, bench: Bench) -> None:
        bench.master(f.request(5))
        bench.rtu(f.response(5, transport=f.FIR))
        assert bench.at(3.0).deadline() == ["timed_out 12"]
        bench.master(f.request(6))
        assert bench.rtu(f.response(transport=f.FIN)) == ["drop 12 late"]

    def test_the_next_fragment_of_an_answer_is_not_the_answer_to_the_next_request(self, bench: Bench) -> None:
        """Both have the same sequence: what tells them apart is FIR."""
        bench.master(f.request(5))
        bench.rtu(f.response(5, application=f.A_FIR))
        bench.at(0.5).master(f.request(6))
        assert bench.rtu(f.response(6, application=f.A_FIN)) == ["drop 12 late"]
        assert bench.rtu(f.response(6, application=f.A_FIR)) == ["deliver 12 to one"]
        assert bench.rtu(f.response(7, application=f.A_FIN)) == ["deliver 12 to one", "answered 12"]


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
        assert bench.at(0.5).rtu(f.response(5, source=OTHER_RTU)) == [
            "deliver 13 to one",
            "answered 13",
            "send 12",
            "no_answer_due 12",
        ]
        assert bench.at(0.6).deadline() == ["send 12"]

    def test_nobody_connected(self, bench: Bench) -> None:
        bench.hang_up()
        assert bench.rtu(f.unsolicited()) == ["drop 12 no_session"]

    def test_a_master_address_that_the_session_does_not_use(self, bench: Bench) -> None:
        assert bench.rtu(f.unsolicited(to=7)) == ["deliver 12 to one"]
        bench.master(f.link_status_request())
        assert bench.rtu(f.unsolicited(to=7)) == ["drop 12 unknown_master"]
        assert bench.rtu(f.unsolicited()) == ["deliver 12 to one"]

    def test_an_address_that_is_nobodys(self, bench: Bench) -> None:
        assert bench.rtu(f.unsolicited(to=0xFFFF)) == ["drop 12 reserved_address"]
        assert bench.rtu(f.from_rtu(LinkFunction.TEST_LINK_STATES, to=0xFFFC)) == ["drop 12 reserved_address"]

    def test_holds_the_line_until_its_last_segment(self, bench: Bench) -> None:
        bench.rtu(f.unsolicited(transport=f.FIR))
        assert bench.master(f.request(1)) == []
        assert bench.turn.next_deadline() == pytest.approx(0.1)
        assert bench.at(0.05).rtu(f.unsolicited(transport=f.MIDDLE)) == ["deliver 12 to one"]
        assert bench.turn.next_deadline() == pytest.approx(0.15)
        assert bench.at(0.1).rtu(f.unsolicited(transport=f.FIN)) == ["deliver 12 to one", "send 12"]

    def test_whose_rest_never_comes_holds_the_line_for_a_while(self, bench: Bench) -> None:
        bench.rtu(f.unsolicited(transport=f.FIR))
        bench.master(f.request(1))
        assert bench.at(0.1).deadline() == ["send 12"]

    def test_a_new_session_gets_no_half_fragment(self, bench: Bench) -> None:
        bench.rtu(f.unsolicited(transport=f.FIR))
        bench.hang_up()
        bench.turn.attach(TWO, RTU)
        assert bench.rtu(f.unsolicited(transport=f.FIN)) == ["drop 12 orphan_segment"]
        assert bench.rtu(f.unsolicited(transport=f.FIR)) == ["deliver 12 to two"]
        assert bench.rtu(f.unsolicited(transport=f.FIN)) == ["deliver 12 to two"]

    def test_link_service_of_the_outstation(self, bench: Bench) -> None:
        assert bench.rtu(f.from_rtu(LinkFunction.RESET_LINK_STATES)) == ["deliver 12 to one"]
        assert bench.master(f.from_master(LinkFunction.ACK)) == ["send 12", "no_answer_due 12"]


class TestBroadcasts:
    def test_denied(self, bench: Bench) -> None:
        bench.turn.deny_broadcasts()
        assert bench.master(f.request(1, to=0xFFFF), address=RTU) == ["drop 12 broadcast_denied"]
        assert bench.master(f.request(1, to=0xFFFC), address=RTU) == ["send 12"]

    def test_dead_time(self) -> None:
        bench = Bench(broadcast_dead_time_s=0.5)
        assert bench.master(f.request(1, to=0xFFFF), address=RTU) == ["send 12", "no_answer_due 12"]
        assert bench.at(0.1).master(f.link_status_request()) == []
        assert bench.turn.next_deadline() == pytest.approx(0.515)
        assert bench.at(0.52).deadline() == ["send 12"]

    def test_nobody_elses_between_select_and_operate(self, bench: Bench) -> None:
        bench.turn.attach(TWO, OTHER_RTU)
        bench.master(f.request(1, f.SELECT))
        assert bench.master(f.request(1, to=0xFFFF), session=TWO, address=OTHER_RTU) == []
        assert bench.at(1.0).rtu(f.response(1)) == ["deliver 12 to one", "answered 12"]
        assert bench.at(1.1).deadline() == []
        # Everything else of everybody may go on.
        assert bench.master(f.link_status_request(OTHER_RTU), session=TWO) == ["send 13"]
        bench.rtu(f.link_status(OTHER_RTU))
        assert bench.master(f.request(2, f.OPERATE)) == ["send 12"]
        assert bench.at(1.3).rtu(f.response(2))[1:] == ["answered 12", "send 13", "no_answer_due 13"]

    def test_a_selection_ends_after_the_response_timeout(self, bench: Bench) -> None:
        bench.turn.attach(TWO, OTHER_RTU)
        bench.master(f.request(1, f.SELECT))
        bench.at(1.0).rtu(f.response(1))
        assert bench.master(f.request(1, to=0xFFFF), session=TWO, address=OTHER_RTU) == []
        assert bench.turn.next_deadline() == pytest.approx(3.0)
        assert bench.at(3.0).deadline() == ["send 13", "no_answer_due 13"]

    def test_selecting_again_and_again_keeps_nobody_waiting_for_ever(self, bench: Bench) -> None:
        bench.turn.attach(TWO, OTHER_RTU)
        bench.master(f.request(1, f.SELECT))
        bench.at(1.0).rtu(f.response(1))
        assert bench.at(1.5).master(f.request(1, to=0xFFFF), session=TWO, address=OTHER_RTU) == []
        assert bench.at(2.5).master(f.request(2, f.SELECT)) == ["send 12"]
        assert bench.at(2.6).rtu(f.response(2)) == ["deliver 12 to one", "answered 12"]
        assert bench.turn.next_deadline() == pytest.approx(3.5)
        assert bench.at(3.5).deadline() == ["send 13", "no_answer_due 13"]

    def test_a_selection_ends_with_its_session(self, bench: Bench) -> None:
        bench.turn.attach(TWO, OTHER_RTU)
        bench.master(f.request(1, f.SELECT))
        bench.at(1.0).rtu(f.response(1))
        bench.master(f.request(1, to=0xFFFF), session=TWO, address=OTHER_RTU)
        assert bench.hang_up() == ["send 13", "no_answer_due 13"]

    def test_a_masters_own_broadcast_is_its_own_affair(self, bench: Bench) -> None:
        bench.master(f.request(1, f.SELECT))
        bench.at(1.0).rtu(f.response(1))
        assert bench.master(f.request(1, to=0xFFFF), address=RTU) == ["send 12", "no_answer_due 12"]

    def test_every_selection_counts(self, bench: Bench) -> None:
        """Two sessions have each selected something: neither may broadcast before the other operated."""
        bench.turn.attach(TWO, OTHER_RTU)
        bench.master(f.request(1, f.SELECT))
        bench.at(1.0).rtu(f.response(1))
        bench.master(f.request(1, f.SELECT, to=OTHER_RTU), session=TWO)
        bench.at(1.2).rtu(f.response(1, source=OTHER_RTU))
        assert bench.master(f.request(3, to=0xFFFF), session=TWO, address=OTHER_RTU) == []
        assert bench.master(f.request(3, to=0xFFFF), address=RTU) == []
        bench.master(f.request(2, f.OPERATE))
        assert bench.at(1.4).rtu(f.response(2))[1:] == ["answered 12", "send 13", "no_answer_due 13"]
