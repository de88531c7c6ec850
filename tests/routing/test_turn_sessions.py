"""Sessions that end, the quarantine that keeps answers apart, and ports that vanish."""

from __future__ import annotations

import pytest

from bridge.link.control import LinkFunction
from bridge.routing.steps import UnderWay
from tests.routing.turn_bench import ONE, THREE, TWO, Bench
from tests.support import frames as f
from tests.support.frames import OTHER_RTU, RTU


class TestSessionsEnd:
    def test_what_waits_is_dropped(self, bench: Bench) -> None:
        bench.master(f.link_status_request())
        bench.master(f.link_status_request(to=OTHER_RTU))
        assert bench.hang_up() == ["drop 13 session_ended"]

    def test_segments_that_wait_for_more_are_dropped(self, bench: Bench) -> None:
        bench.master(f.request(1, transport=f.FIR))
        bench.master(f.request(transport=f.MIDDLE))
        assert bench.hang_up() == ["drop 12 session_ended"] * 2

    def test_frames_of_the_exchange_that_wait_for_silence_are_dropped(self, bench: Bench) -> None:
        bench.master(f.request(1))
        bench.rtu(f.response(1, application=f.A_FIR_FIN | f.A_CON))
        bench.at(0.1).noise(half_heard_until_s=0.2)
        bench.master(f.confirm(1))
        assert bench.hang_up() == ["drop 12 session_ended", "answered 12"]

    def test_answers_never_reach_the_next_session(self, bench: Bench) -> None:
        bench.master(f.request(1))
        bench.hang_up()
        bench.turn.attach(TWO, RTU)
        assert bench.master(f.request(1), session=TWO) == []
        assert bench.rtu(f.response(1)) == ["drop 12 session_ended", "answered 12", "send 12"]
        assert bench.rtu(f.response(1)) == ["deliver 12 to two", "answered 12"]

    def test_a_silent_outstation_holds_the_line_until_the_timeout(self, bench: Bench) -> None:
        bench.master(f.request(1))
        bench.hang_up()
        bench.turn.attach(TWO, RTU)
        bench.master(f.request(9), session=TWO)
        assert bench.at(2.1).deadline() == ["timed_out 12", "send 12"]

    def test_later_fragments_are_not_waited_for_without_a_confirm(self, bench: Bench) -> None:
        bench.master(f.request(1))
        bench.hang_up()
        answer = f.response(1, application=f.A_FIR | f.A_CON)
        assert bench.rtu(answer) == ["drop 12 session_ended", "answered 12"]

    @pytest.mark.parametrize("awaiting", ["confirm", "segments"])
    def test_nothing_is_awaited_of_a_master_that_is_gone(self, bench: Bench, awaiting: str) -> None:
        if awaiting == "confirm":
            bench.master(f.request(1))
            bench.rtu(f.response(1, application=f.A_FIR_FIN | f.A_CON))
        else:
            bench.master(f.request(1, transport=f.FIR, confirmed=True))
        bench.hang_up()
        assert not bench.turn.is_busy

    def test_others_go_on(self, bench: Bench) -> None:
        bench.turn.attach(TWO, OTHER_RTU)
        bench.master(f.request(1, transport=f.FIR, confirmed=True))
        bench.master(f.link_status_request(OTHER_RTU), session=TWO)
        assert bench.at(1.0).hang_up() == ["no_answer_due 12", "send 13"]

    def test_it_is_evidence(self, bench: Bench) -> None:
        bench.master(f.request(1))
        bench.hang_up()
        bench.at(3.0).deadline()
        assert bench.finished().evidence.is_abandoned

    def test_frames_of_a_session_that_has_no_outstation(self, bench: Bench) -> None:
        assert bench.master(f.request(1), session=TWO) == ["drop 12 session_ended"]

    def test_repeated(self, bench: Bench) -> None:
        bench.hang_up()
        assert bench.hang_up() == []

    def test_the_next_one_starts_afresh(self, bench: Bench) -> None:
        bench.master(f.request(1, transport=f.FIR))
        bench.hang_up()
        bench.turn.attach(TWO, RTU)
        assert bench.master(f.request(transport=f.FIN), session=TWO) == ["drop 12 orphan_segment"]


class TestUnderWay:
    def test_nothing(self, bench: Bench) -> None:
        assert list(bench.turn.under_way()) == []

    def test_what_is_on_the_wire_and_what_waits(self, bench: Bench) -> None:
        bench.at(1.0).master(f.request(1))
        bench.at(1.5).master(f.request(2, f.SELECT, to=OTHER_RTU))
        assert list(bench.turn.under_way()) == [
            UnderWay(ONE, RTU, f.READ, 1.0, is_sent=True),
            UnderWay(ONE, OTHER_RTU, f.SELECT, 1.5, is_sent=False),
        ]

    def test_nobody_waits_for_what_a_session_left_behind(self, bench: Bench) -> None:
        bench.master(f.request(1))
        bench.hang_up()
        assert bench.turn.is_busy
        assert list(bench.turn.under_way()) == []

    def test_nothing_after_the_line_went_down(self, bench: Bench) -> None:
        bench.master(f.request(1))
        bench.master(f.request(2, to=OTHER_RTU))
        bench.line_down()
        assert list(bench.turn.under_way()) == []


class TestQuarantine:
    def given_up(self, bench: Bench, *, at_s: float) -> None:
        """Let session ONE's request 1 be answered by nobody, and TWO take over."""
        bench.master(f.request(1))
        bench.at(at_s).hang_up()
        bench.at(3.0).deadline()
        bench.turn.attach(TWO, RTU)

    def test_the_same_sequence_waits(self, bench: Bench) -> None:
        self.given_up(bench, at_s=1.0)
        assert bench.master(f.request(1), session=TWO) == []
        assert bench.turn.next_deadline() == pytest.approx(5.0)
        assert bench.at(4.0).rtu(f.response(1)) == ["drop 12 late", "send 12"]
        assert bench.at(4.1).rtu(f.response(1)) == ["deliver 12 to two", "answered 12"]

    def test_no_longer_than_a_response_timeout(self, bench: Bench) -> None:
        self.given_up(bench, at_s=1.0)
        bench.master(f.request(1), session=TWO)
        assert bench.at(5.0).deadline() == ["send 12"]

    def test_another_sequence_does_not_wait(self, bench: Bench) -> None:
        self.given_up(bench, at_s=1.0)
        assert bench.master(f.request(2), session=TWO) == ["send 12"]

    def test_another_masters_address_does_not_wait(self, bench: Bench) -> None:
        self.given_up(bench, at_s=1.0)
        assert bench.master(f.request(1, source=7), session=TWO) == ["send 12"]

    def test_the_same_session_does_not_wait(self, bench: Bench) -> None:
        """A master that repeats its request takes whichever answer comes."""
        bench.master(f.request(1))
        bench.at(3.0).deadline()
        assert bench.master(f.request(1)) == ["send 12"]
        assert bench.rtu(f.response(1)) == ["deliver 12 to one", "answered 12"]

    def test_others_go_on(self, bench: Bench) -> None:
        self.given_up(bench, at_s=1.0)
        bench.turn.attach(THREE, OTHER_RTU)
        bench.master(f.request(1), session=TWO)
        assert bench.master(f.request(1, to=OTHER_RTU), session=THREE) == ["send 13"]

    def test_a_request_given_up_early_is_owed_as_long(self, bench: Bench) -> None:
        """The outstation has two response timeouts from the request, whenever its master lost patience."""
        bench.master(f.request(1))
        bench.at(0.5).master(f.request(2))
        bench.at(0.6).rtu(f.response(2))
        bench.hang_up()
        bench.turn.attach(TWO, RTU)
        assert bench.master(f.request(1), session=TWO) == []
        assert bench.at(3.9).deadline() == []
        assert bench.at(3.95).rtu(f.response(1)) == ["drop 12 late", "send 12"]

    def test_the_next_fragment_owed_to_the_session_before(self, bench: Bench) -> None:
        """The new session's own fragments count up to what the old one is still owed."""
        bench.master(f.request(1))
        bench.rtu(f.response(1, application=f.A_FIR | f.A_CON))
        bench.master(f.confirm(1))
        bench.hang_up()
        assert bench.at(2.1).deadline() == ["timed_out 12"]
        bench.turn.attach(TWO, RTU)
        bench.master(f.request(1), session=TWO)
        bench.at(2.2).rtu(f.response(1, application=f.A_FIR | f.A_CON))
        bench.master(f.confirm(1), session=TWO)
        assert bench.at(2.3).rtu(f.response(2, application=f.A_FIN)) == ["drop 12 late"]
        assert bench.at(2.4).rtu(f.response(2, application=f.A_FIN)) == ["deliver 12 to two", "answered 12"]

    def test_an_answer_to_the_repeated_request_is_still_owed(self, bench: Bench) -> None:
        """One request was sent twice: the second answer is as dangerous as the first."""
        bench.master(f.request(1))
        bench.at(2.1).deadline()
        bench.master(f.request(1))
        bench.at(2.5).rtu(f.response(1))
        bench.hang_up()
        bench.turn.attach(TWO, RTU)
        assert bench.at(4.5).master(f.request(1), session=TWO) == []
        assert bench.at(5.9).rtu(f.response(1)) == ["drop 12 late", "send 12"]

    def test_two_requests_given_up_owe_two_answers(self, bench: Bench) -> None:
        bench.master(f.request(1))
        bench.at(2.1).deadline()
        bench.master(f.request(1))
        bench.at(4.2).deadline()
        bench.hang_up()
        bench.turn.attach(TWO, RTU)
        assert bench.master(f.request(1), session=TWO) == []
        assert bench.at(4.5).rtu(f.response(1)) == ["drop 12 late"]
        assert bench.at(4.6).rtu(f.response(1)) == ["drop 12 late", "send 12"]

    def test_a_late_ack_acknowledges_no_new_sessions_frame(self, bench: Bench) -> None:
        bench.master(f.request(1, confirmed=True))
        bench.hang_up()
        bench.at(2.1).deadline()
        bench.turn.attach(TWO, RTU)
        # It asks for an ack itself, so it waits; what asks for none does not, and gets none either.
        assert bench.master(f.request(2, f.DIRECT_OPERATE_NR, confirmed=True), session=TWO) == []
        assert bench.at(2.2).master(f.request(3), session=TWO) == ["send 12"]
        assert bench.at(2.3).rtu(f.from_rtu(LinkFunction.ACK)) == ["drop 12 late"]
        assert bench.at(2.4).rtu(f.response(3)) == ["deliver 12 to two", "answered 12", "send 12"]
        assert bench.at(2.5).rtu(f.from_rtu(LinkFunction.ACK)) == ["deliver 12 to two", "answered 12"]

    def test_a_late_link_status_is_no_new_sessions(self, bench: Bench) -> None:
        bench.master(f.link_status_request())
        bench.hang_up()
        bench.at(2.1).deadline()
        bench.turn.attach(TWO, RTU)
        assert bench.master(f.link_status_request(), session=TWO) == []
        assert bench.at(2.5).rtu(f.link_status()) == ["drop 12 late", "send 12"]

    def test_more_owed_than_is_remembered(self, bench: Bench) -> None:
        """What is forgotten could answer anybody: everybody waits, also its own session."""
        for source in range(33):
            assert bench.at(source / 50).master(f.request(1, source=source))[-1] == "send 12"
        assert bench.at(0.7).master(f.request(9, source=77)) == ["superseded 12"]
        assert bench.turn.next_deadline() == pytest.approx(4.015)
        assert bench.at(4.02).deadline() == ["send 12"]


class TestLineDown:
    def test_everything_under_way_fails(self, bench: Bench) -> None:
        bench.master(f.link_status_request())
        bench.master(f.link_status_request(to=OTHER_RTU))
        assert bench.line_down() == ["line_down 12", "drop 13 line_down"]
        assert bench.master(f.link_status_request()) == ["drop 12 line_down"]

    def test_segments_that_wait_for_more_are_dropped(self, bench: Bench) -> None:
        bench.master(f.request(1, transport=f.FIR))
        assert bench.line_down() == ["drop 12 line_down"]

    def test_frames_of_the_exchange_that_wait_for_silence_are_dropped(self, bench: Bench) -> None:
        bench.master(f.request(1))
        bench.noise(half_heard_until_s=0.1)
        bench.master(f.from_master(0))  # type: ignore[arg-type]
        assert bench.line_down() == ["drop 12 line_down", "line_down 12"]

    def test_and_works_again(self, bench: Bench) -> None:
        bench.master(f.request(1, f.DIRECT_OPERATE_NR, rest=bytes(200)))
        bench.line_down()
        bench.turn.line_up()
        assert bench.at(0.1).master(f.link_status_request()) == ["send 12"]

    def test_a_late_answer_is_known_when_the_port_returns(self, bench: Bench) -> None:
        bench.master(f.request(1))
        bench.line_down()
        bench.turn.line_up()
        assert bench.at(1.0).rtu(f.response(1)) == ["drop 12 late"]

    def test_half_a_fragment_is_forgotten(self, bench: Bench) -> None:
        bench.rtu(f.unsolicited(transport=f.FIR))
        bench.line_down()
        bench.turn.line_up()
        assert bench.rtu(f.unsolicited(transport=f.FIN)) == ["drop 12 not_awaited"]

    def test_a_selection_is_forgotten(self, bench: Bench) -> None:
        bench.turn.attach(TWO, OTHER_RTU)
        bench.master(f.request(1, f.SELECT))
        bench.rtu(f.response(1))
        bench.line_down()
        bench.turn.line_up()
        sent = bench.master(f.request(1, to=0xFFFF), session=TWO, address=OTHER_RTU)
        assert sent == ["send 13", "no_answer_due 13"]
