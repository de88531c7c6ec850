"""The rules on top of the session and "Rules that implementations get wrong", in octets."""

from __future__ import annotations

import pytest

from bridge.application.command import CommandStatus
from bridge.application.function import Iin
from bridge.application.measurement import PointKind
from bridge.outstation.config import OutstationConfig, UnsolicitedConfig
from bridge.outstation.events import EventBufferSizes, EventMode
from bridge.outstation.points import BinaryInput, BinaryOutput, Counter, EventClass, FrozenCounter
from tests.outstation.harness import Harness, Later

BI, CT = PointKind.BINARY_INPUT, PointKind.COUNTER
C1, C2, C3 = EventClass.CLASS_1, EventClass.CLASS_2, EventClass.CLASS_3

ON = "81 00 68 e5 cf 8b 01"
OFF = "01 00 68 e5 cf 8b 01"
CROB = "0c 01 17 01 05 03 01 64 00 00 00 64 00 00 00"


def outstation(**settings: object) -> Harness:
    o = Harness(**settings)  # type: ignore[arg-type]
    for index, event_class in enumerate((C1, C2, C3)):
        o.add(index, BinaryInput(event_class))
    return o


# A response that carries events asks for a confirm; exactly that confirm removes them.


def test_the_matching_confirm_removes_the_events() -> None:
    o = outstation()
    o.update(BI, 0, 1)
    o.update(BI, 1, 1)
    o.talk(f"""
        > c3 01 3c 02 06
        < e3 81 04 00  02 02 17 01 00 {ON}      # class 2 waits: IIN1.2
        ? 5.0
        > c3 00
        ? -
        > c4 01 3c 02 06  3c 03 06
        < e4 81 00 00  02 02 17 01 01 {ON}
        > c4 00
        > c5 01 3c 02 06  3c 03 06  3c 04 06
        < c5 81 00 00
    """)
    assert o.user.notes == ["confirmed solicited 1", "confirmed solicited 1"]


@pytest.mark.parametrize(
    "confirm",
    ["c4 00", "c2 00", "d3 00", "83 00", "43 00"],
    ids=["next", "before", "unsolicited", "no FIN", "no FIR"],
)
def test_no_other_confirm_removes_them(confirm: str) -> None:
    o = outstation()
    o.update(BI, 0, 1)
    o.talk(f"""
        > c3 01 3c 02 06
        < e3 81 00 00  02 02 17 01 00 {ON}
        > {confirm}
        > c4 01 3c 02 06
        < e4 81 00 00  02 02 17 01 00 {ON}
    """)


def test_a_confirm_of_another_master_removes_nothing() -> None:
    o = outstation(master_address=None)
    o.update(BI, 0, 1)
    o.talk(f"""
        7> c3 01 3c 02 06
        7< e3 81 00 00  02 02 17 01 00 {ON}
        8> c3 00
        7> c3 00
    """)
    assert o.user.notes == ["unexpected solicited 3", "confirmed solicited 1"]


def test_a_failed_confirm_puts_the_events_back_in_their_old_order() -> None:
    o = outstation()
    for value in (1, 0):
        o.update(BI, 0, value)
    o.talk(f"""
        > c3 01 3c 02 06
        < e3 81 00 00  02 02 17 02 00 {ON} 00 {OFF}
    """)
    o.update(BI, 0, 1)
    o.update(BI, 0, 0)
    o.talk(f"""
        +4.999
        ? 5.0
        +0.001
        ? -
        > c3 00                                  # too late
        > c4 01 3c 02 07 03
        < e4 81 02 00  02 02 17 03 00 {ON} 00 {OFF} 00 {ON}
        > c4 00
        > c5 01 3c 02 06
        < e5 81 00 00  02 02 17 01 00 {OFF}
    """)
    assert o.user.notes == ["timed_out solicited", "unexpected solicited 3", "confirmed solicited 3"]


def test_a_new_request_instead_of_the_confirm_puts_them_back_too() -> None:
    o = outstation()
    o.update(BI, 0, 1)
    o.talk(f"""
        > c3 01 3c 02 06
        < e3 81 00 00  02 02 17 01 00 {ON}
        > c4 17
        < c4 81 02 00  34 02 07 01 00 00
        > c3 00
        > c5 01 3c 02 06
        < e5 81 00 00  02 02 17 01 00 {ON}
    """)


def test_overflow_drops_the_oldest_and_is_told_until_there_is_room() -> None:
    o = outstation(sizes=EventBufferSizes.all(2))
    for value in (1, 0):
        o.update(BI, 0, value)
    o.talk("""
        > c0 18
        < c0 81 02 00
    """)
    o.update(BI, 1, 1)
    o.talk(f"""
        > c1 18
        < c1 81 06 08
        > c2 01 3c 02 06
        < e2 81 04 08  02 02 17 01 00 {OFF}      # still full until the confirm
        > c2 00
        > c3 18
        < c3 81 04 00
    """)


def test_events_that_overflow_while_they_wait_for_their_confirm() -> None:
    o = outstation(sizes=EventBufferSizes.all(2))
    o.update(BI, 0, 1)
    o.update(BI, 0, 0)
    o.talk(f"""
        > c0 01 3c 02 06
        < e0 81 00 00  02 02 17 02 00 {ON} 00 {OFF}
    """)
    for value in (1, 0, 1):
        o.update(BI, 0, value)
    o.talk(f"""
        > c0 00                                  # removes nothing that was not in that response
        > c1 01 3c 02 06
        < e1 81 00 08  02 02 17 02 00 {OFF} 00 {ON}
        > c1 00
        > c2 18
        < c2 81 00 00
    """)
    assert o.user.notes == ["confirmed solicited 0", "confirmed solicited 2"]


def test_most_recent_reports_one_event_a_point() -> None:
    o = outstation(modes={BI: EventMode.MOST_RECENT})
    for value in (1, 0, 1, 0):
        o.update(BI, 0, value)
    o.talk(f"""
        > c0 01 3c 02 06
        < e0 81 00 00  02 02 17 01 00 {OFF}
    """)


# A request that comes again is not executed again.


def test_a_repeated_request_gets_the_same_answer_and_is_not_executed_again() -> None:
    o = outstation()
    o.add(5, BinaryOutput())
    o.talk(f"""
        > c5 05 {CROB} 00
        < c5 81 00 00 {CROB} 00
    """)
    o.update(BI, 0, 1)
    o.talk(f"""
        > c5 05 {CROB} 00
        < c5 81 00 00 {CROB} 00                  # the same answer: not even the class bits are new
        > c6 05 {CROB} 00
        < c6 81 02 00 {CROB} 00
        > c5 05 {CROB} 00                        # not the one before: a new request
        < c5 81 02 00 {CROB} 00
    """)
    assert len(o.user.calls) == 3


def test_a_repeat_differs_in_no_octet() -> None:
    o = outstation()
    o.talk(f"""
        > c5 05 {CROB} 00
        < c5 81 00 00 {CROB} 00
        > c5 05 {CROB} 01
        < c5 81 00 00 {CROB} 00
        > e5 05 {CROB} 01                        # CON in a request
        < c5 81 00 00 {CROB} 00
    """)
    assert len(o.user.calls) == 3


def test_a_repeat_of_another_master_is_none() -> None:
    o = outstation(master_address=None)
    o.talk(f"""
        7> c5 05 {CROB} 00
        7< c5 81 00 00 {CROB} 00
        8> c5 05 {CROB} 00
        8< c5 81 00 00 {CROB} 00
    """)
    assert len(o.user.calls) == 2


def test_a_repeated_request_without_answer_is_not_executed_again() -> None:
    o = outstation()
    o.talk(f"""
        > c5 06 {CROB} 00
        > c5 06 {CROB} 00
    """)
    assert len(o.user.calls) == 1


def test_a_repeat_after_a_malformed_request() -> None:
    o = outstation()
    o.talk("""
        > c5 02 01 02 06
        < c5 81 00 02
        > c5 02 01 02 06
        < c5 81 00 02
    """)


def test_a_new_link_knows_no_repeat() -> None:
    o = outstation()
    o.talk(f"""
        > c5 05 {CROB} 00
        < c5 81 00 00 {CROB} 00
    """)
    o.stack.link_ended()
    o.link()
    o.talk(f"""
        > c5 05 {CROB} 00
        < c5 81 00 00 {CROB} 00
    """)
    assert len(o.user.calls) == 2


def test_a_repeated_read_gets_the_fragment_again_while_its_confirm_is_awaited() -> None:
    o = outstation()
    o.update(BI, 0, 1)
    o.talk(f"""
        > c3 01 3c 02 06
        < e3 81 00 00  02 02 17 01 00 {ON}
        +3
    """)
    o.update(BI, 0, 0)
    o.talk(f"""
        > c3 01 3c 02 06
        < e3 81 00 00  02 02 17 01 00 {ON}
        ? 8.0                                    # the wait begins anew
        > c3 00
        > c3 01 3c 02 06                         # confirmed, so this is no repeat any more
        < e3 81 00 00  02 02 17 01 00 {OFF}
    """)


# Select before operate.


def test_select_operate() -> None:
    o = outstation()
    o.talk(f"""
        > c5 03 {CROB} 00
        < c5 81 00 00 {CROB} 00
        +9.9
        > c6 04 {CROB} 00
        < c6 81 00 00 {CROB} 00
        > c7 04 {CROB} 00                        # used up
        < c7 81 00 00 {CROB} 02
    """)
    assert o.user.calls == ["select crob 03 1x 100/100 5", "operate crob 03 1x 100/100 5 OPERATE"]


def test_the_sequence_of_select_and_operate_wraps() -> None:
    o = outstation()
    o.talk(f"""
        > cf 03 {CROB} 00
        < cf 81 00 00 {CROB} 00
        > c0 04 {CROB} 00
        < c0 81 00 00 {CROB} 00
    """)


def test_repeats_of_select_and_operate() -> None:
    o = outstation()
    o.talk(f"""
        > c5 03 {CROB} 00
        < c5 81 00 00 {CROB} 00
        +6
        > c5 03 {CROB} 00
        < c5 81 00 00 {CROB} 00
        +3.9                                     # the first one counts for the time
        > c6 04 {CROB} 00
        < c6 81 00 00 {CROB} 00
        > c6 04 {CROB} 00
        < c6 81 00 00 {CROB} 00
    """)
    assert [call.split()[0] for call in o.user.calls] == ["select", "operate"]


def test_a_select_that_is_too_old() -> None:
    o = outstation()
    o.talk(f"""
        > c5 03 {CROB} 00
        < c5 81 00 00 {CROB} 00
        +6
        > c5 03 {CROB} 00
        < c5 81 00 00 {CROB} 00
        +4.1
        > c6 04 {CROB} 00
        < c6 81 00 00 {CROB} 01                  # TIMEOUT
    """)
    assert [call.split()[0] for call in o.user.calls] == ["select"]


@pytest.mark.parametrize(
    ("between", "operate"),
    [
        ("> c6 01 3c 01 06 \n < c6 81 00 00 01 02 00 00 02 01 01 01", f"c6 04 {CROB} 00"),
        ("> c9 01 3c 01 06 \n < c9 81 00 00 01 02 00 00 02 01 01 01", f"c6 04 {CROB} 00"),
        ("> c6 18 \n < c6 81 00 00", f"c6 04 {CROB} 00"),
        ("> c6 70 \n < c6 81 00 01", f"c6 04 {CROB} 00"),
        ("> c6 02 \n < c6 81 00 00", f"c6 04 {CROB} 00"),
        ("> c6 04 0c 01 06 \n < c6 81 00 04", f"c7 04 {CROB} 00"),
        (">fffd c6 18", f"c6 04 {CROB} 00"),
        (">fffd c6 01 3c 01 06", f"c6 04 {CROB} 00"),
        ("", f"c5 04 {CROB} 00"),
        ("", f"c7 04 {CROB} 00"),
        ("", f"c6 04 {CROB} 01"),
        ("", "c6 04 0c 01 28 01 00 05 00 03 01 64 00 00 00 64 00 00 00 00"),
        ("", "c6 04 0c 01 17 01 06 03 01 64 00 00 00 64 00 00 00 00"),
    ],
    ids=[
        "read",
        "read of another sequence",
        "request",
        "unknown function",
        "empty write",
        "malformed operate",
        "broadcast",
        "broadcast that is ignored",
        "same sequence",
        "sequence after next",
        "changed status",
        "changed qualifier",
        "changed index",
    ],
)
def test_what_cancels_a_select(between: str, operate: str) -> None:
    o = outstation()
    o.talk(f"""
        > c5 03 {CROB} 00
        < c5 81 00 00 {CROB} 00
    """)
    if between:
        o.talk(between)
    o.send(bytes.fromhex(operate))
    ((_, answer),) = o.heard
    assert answer[-1] == CommandStatus.NO_SELECT
    assert [call.split()[0] for call in o.user.calls] == ["select"]


def test_a_deferred_read_cancels_a_select() -> None:
    o = outstation(unsolicited=UnsolicitedConfig())
    o.talk(f"""
        < f0 82 00 00
        > c5 03 {CROB} 00
        < c5 81 00 00 {CROB} 00
        > c6 01 3c 01 06
        > c6 04 {CROB} 00
        < c6 81 00 00 {CROB} 02
    """)


def test_confirms_do_not_cancel_a_select() -> None:
    o = outstation(unsolicited=UnsolicitedConfig())
    o.talk(f"""
        < f0 82 00 00
        > c5 03 {CROB} 00
        < c5 81 00 00 {CROB} 00
        > d0 00
        > c9 00
        > c6 04 {CROB} 00
        < c6 81 00 00 {CROB} 00
    """)


def test_a_new_link_cancels_a_select() -> None:
    o = outstation()
    o.talk(f"""
        > c5 03 {CROB} 00
        < c5 81 00 00 {CROB} 00
    """)
    o.stack.link_ended()
    o.link()
    o.talk(f"""
        > c6 04 {CROB} 00
        < c6 81 00 00 {CROB} 02
    """)


# The restart indication.


def test_only_writing_index_7_to_0_clears_the_restart() -> None:
    o = outstation(is_restarted=True)
    o.talk("""
        > c0 02 50 01 00 07 07 01                # to 1
        < c0 81 80 04
        > c1 02 50 01 00 04 04 00                # another index
        < c1 81 80 04
        > c2 02 50 01 00 06 07 00
        < c2 81 80 04
        > c3 02 50 01 07 01 00                   # a count has no index
        < c3 81 80 04
        > c4 18
        < c4 81 80 00
    """)
    o.stack.link_ended()
    o.link()
    o.talk("""
        > c5 18
        < c5 81 80 00
        > c6 02 50 01 00 07 07 00
        < c6 81 00 00
        > c7 02 50 01 01 07 00 07 00 00
        < c7 81 00 00
        > c8 18
        < c8 81 00 00
    """)
    assert o.user.notes == ["restart_cleared"]


# Broadcast.


@pytest.mark.parametrize("address", ["fffd", "fffe", "ffff"])
def test_a_broadcast_is_executed_and_not_answered(address: str) -> None:
    o = outstation()
    o.add(7, Counter(), 5)
    o.add(7, FrozenCounter(C1))
    o.talk(f">{address} c1 09 14 00 06")
    assert o.user.calls == ["freeze counter None None CLEAR"]
    assert o.user.notes == ["broadcast FREEZE_CLEAR True"]
    assert o.database.get(PointKind.FROZEN_COUNTER, 7).value == 5


def test_the_next_response_says_so_once() -> None:
    for address in ("fffd", "ffff"):
        o = outstation()
        o.talk(f"""
            >{address} c1 18
            > c2 18
            < c2 81 01 00
            > c3 18
            < c3 81 00 00
        """)


def test_a_broadcast_that_asks_for_a_confirm_is_told_until_it_is_confirmed() -> None:
    o = outstation()
    o.talk("""
        >fffe c1 18
        > c2 18
        < e2 81 01 00
        ? 5.0
        +5                                       # lost
        > c3 18
        < e3 81 01 00
        > c3 00
        > c4 18
        < c4 81 00 00
    """)


def test_a_broadcast_while_a_solicited_confirm_is_awaited() -> None:
    o = outstation()
    o.update(BI, 0, 1)
    o.talk(f"""
        > c1 01 3c 02 06
        < e1 81 00 00  02 02 17 01 00 {ON}
        >fffe c1 18
        > c1 00                                  # confirms nothing any more
        > c2 01 3c 02 06
        < e2 81 01 00  02 02 17 01 00 {ON}
        > c2 00
        > c3 18
        < c3 81 00 00
    """)


def test_a_broadcast_after_an_unsolicited_response_was_sent_is_not_confirmed_with_it() -> None:
    o = outstation(unsolicited=UnsolicitedConfig())
    o.talk("""
        < f0 82 00 00
        >fffe c1 18
        > c2 18
        < c2 81 01 00                            # no second wait beside the unsolicited one
        > d0 00
        > c3 18
        < e3 81 01 00
        > c3 00
        > c4 18
        < c4 81 00 00
    """)


def test_an_unsolicited_response_tells_of_a_broadcast_too() -> None:
    o = outstation(unsolicited=UnsolicitedConfig())
    o.talk("""
        < f0 82 00 00
        +5
        < f0 82 00 00
        +5
        < f0 82 00 00
        +5
        < f0 82 00 00
        +5                                       # given up
        ? 25.0
        >fffe c1 18
        +5
        < f1 82 01 00
        > d1 00
        > c3 18
        < c3 81 00 00
    """)


@pytest.mark.parametrize(
    "fragment", ["c1 01 3c 01 06", f"c1 03 {CROB} 00", f"c1 04 {CROB} 00", "c1 17", "c1 70", "c1 02 01"]
)
def test_what_no_broadcast_can_be_is_not_obeyed_but_told(fragment: str) -> None:
    o = outstation()
    o.talk(f"""
        >fffd {fragment}
        > c2 18
        < c2 81 01 00
    """)
    assert o.user.calls == []
    assert o.user.notes[0].endswith("False")


def test_a_confirm_by_broadcast_is_nothing() -> None:
    o = outstation()
    o.update(BI, 0, 1)
    o.talk(f"""
        > c1 01 3c 02 06
        < e1 81 00 00  02 02 17 01 00 {ON}
        >fffd c1 00
        > c1 01 3c 02 06
        < e1 81 00 00  02 02 17 01 00 {ON}
    """)


def test_a_broadcast_drops_a_deferred_read() -> None:
    o = outstation(unsolicited=UnsolicitedConfig())
    o.user.answers["write_time"] = Later()
    o.talk("""
        < f0 82 00 00
        > c1 01 3c 01 06
        >ffff c2 02 32 01 07 01 00 68 e5 cf 8b 01
        > d0 00
    """)
    o.resume(True)
    o.talk("""
        > c3 18
        < c3 81 01 00
    """)


# Deferral.


def test_a_read_is_deferred_and_only_the_last_one_kept() -> None:
    o = outstation(unsolicited=UnsolicitedConfig())
    o.talk("""
        < f0 82 00 00
        > c1 01 3c 01 06
        > c2 01 01 02 00 01 01
        > d0 00
        < c2 81 00 00  01 02 00 01 01 01
    """)


def test_any_other_request_drops_the_deferred_read() -> None:
    o = outstation(unsolicited=UnsolicitedConfig())
    o.talk("""
        < f0 82 00 00
        > c1 01 3c 01 06
        > c2 18
        < c2 81 00 00
        > d0 00
    """)


def test_a_deferred_read_is_answered_when_the_confirm_times_out() -> None:
    o = outstation(unsolicited=UnsolicitedConfig())
    o.talk("< f0 82 00 00 \n > d0 00 \n > c0 14 3c 02 06 \n < c0 81 00 00")
    o.update(BI, 0, 1)
    o.talk(f"""
        < f1 82 00 00  02 02 17 01 00 {ON}
        > c1 01 3c 02 06
        +5
        < e1 81 00 00  02 02 17 01 00 {ON}
        > d1 00                                  # too late for that one
        > c1 00
        ? -
    """)
    assert o.user.notes[-3:] == ["timed_out unsolicited", "unexpected unsolicited 1", "confirmed solicited 1"]


# While a handler is awaited.


def test_the_last_fragment_is_kept_while_a_handler_is_awaited() -> None:
    o = outstation()
    o.user.answers["operate"] = Later()
    o.talk(f"""
        > c1 05 {CROB} 00
        > c2 18
        > c3 01 01 02 00 00 00
        ? -
    """)
    o.resume(CommandStatus.SUCCESS)
    o.talk(f"""
        < c1 81 00 00 {CROB} 00
        < c3 81 00 00  01 02 00 00 00 01
    """)


def test_two_requests_that_both_await() -> None:
    o = outstation()
    o.user.answers["operate"] = Later()
    o.talk(f"""
        > c1 05 {CROB} 00
        > c2 05 {CROB} 00
    """)
    o.resume(CommandStatus.SUCCESS)
    o.talk(f"< c1 81 00 00 {CROB} 00")
    o.resume(CommandStatus.LOCAL)
    o.talk(f"< c2 81 00 00 {CROB} 07")


def test_times_count_from_the_arrival_of_what_was_held() -> None:
    o = outstation()
    o.user.answers["operate"] = Later()
    o.talk(f"""
        > c1 05 {CROB} 00
        +1
        > c2 17
        +0.25
    """)
    o.resume(CommandStatus.SUCCESS)
    o.talk(f"""
        < c1 81 00 00 {CROB} 00
        < c2 81 00 00  34 02 07 01 fa 00         # 250 ms between request and answer
    """)
    o.talk(f"""
        > c3 05 {CROB} 00
        +1
        > c4 18
        +2
    """)
    o.resume(CommandStatus.SUCCESS)
    o.talk(f"""
        < c3 81 00 00 {CROB} 00
        < c4 81 00 00
        +1
        > c5 02 32 03 07 01 00 68 e5 cf 8b 01
        < c5 81 00 00
    """)
    assert o.user.calls[-1] == "write_time 1700000003000"
    o.talk(f"""
        > c6 05 {CROB} 00
        > c7 02 32 01 07 01 00 68 e5 cf 8b 01
        +0.5
    """)
    o.resume(CommandStatus.SUCCESS)
    o.talk(f"""
        < c6 81 00 00 {CROB} 00
        < c7 81 00 00
    """)
    assert o.user.calls[-1] == "write_time 1700000000500"


def test_the_link_ends_while_a_handler_is_awaited() -> None:
    o = outstation()
    o.user.answers["operate"] = Later()
    o.talk(f"""
        > c1 05 {CROB} 00
        > c2 18
    """)
    o.stack.link_ended()
    o.resume(CommandStatus.SUCCESS)
    o.link()
    o.talk("""
        > c1 18
        < c1 81 00 00
    """)


def test_an_unsolicited_response_is_given_up_while_a_handler_is_awaited() -> None:
    o = outstation(unsolicited=UnsolicitedConfig(retries=0))
    o.user.answers["operate"] = Later()
    o.talk("< f0 82 00 00 \n > d0 00 \n > c0 14 3c 02 06 \n < c0 81 00 00")
    o.update(BI, 0, 1)
    o.talk(f"""
        < f1 82 00 00  02 02 17 01 00 {ON}
        > c1 05 {CROB} 00
        +5
    """)
    o.resume(CommandStatus.SUCCESS)
    o.talk(f"""
        < c1 81 02 00 {CROB} 00                  # the event waits again
        > c2 01 3c 02 06
        < e2 81 00 00  02 02 17 01 00 {ON}
    """)


# Indications.


def test_the_application_has_its_own_indications() -> None:
    o = outstation()
    o.user.answers["indications"] = Iin(0xFFFF)
    o.talk("""
        > c0 18
        < c0 81 70 20
    """)
    o.user.answers["indications"] = ValueError("broken")
    o.talk("""
        > c1 18
        < c1 81 00 00
    """)
    assert o.user.notes == ["handler_failed broken"]
    o.user.answers["indications"] = None
    o.talk("""
        > c2 18
        < c2 81 00 00
    """)


def test_each_class_has_its_indication() -> None:
    o = outstation()
    for index, iin in enumerate(("02", "06", "0e")):
        o.update(BI, index, 1)
        o.talk(f"""
            > c{index} 18
            < c{index} 81 {iin} 00
        """)


def test_an_information_that_raises_stops_nothing() -> None:
    o = outstation(is_restarted=True, unsolicited=UnsolicitedConfig())
    names = [name for name in dir(type(o.user).__mro__[1]) if not name.startswith("_")]
    assert "confirm_received" in names
    o.user._given = lambda name: raise_it() if name not in o.user.answers else o.user.answers[name]  # type: ignore[method-assign]
    o.user.request_received = lambda function, sequence: raise_it()  # type: ignore[method-assign]
    o.talk("""
        < f0 82 80 00
        > d0 00
        > d5 00
        > c0 02 50 01 00 07 07 00
        < c0 81 00 00
        > c1 14 3c 02 06
        < c1 81 00 00
        >ffff c1 18
    """)
    o.update(BI, 0, 1)
    o.talk(f"""
        < f1 82 01 00  02 02 17 01 00 {ON}
        +5
        < f1 82 01 00  02 02 17 01 00 {ON}
    """)
    assert [note for note in o.user.notes if note.startswith("handler_failed")]


def raise_it() -> None:
    raise ValueError("the user's own fault")


# What is no request.


@pytest.mark.parametrize(
    "fragment",
    [
        "c0",
        "80 01 3c 01 06",
        "40 01 3c 01 06",
        "00 17",
        "d0 17",
        "c0 81 00 00",
        "c0 82 00 00",
        "c0 83",
        "c0 ff",
    ],
)
def test_what_is_no_request_is_ignored(fragment: str) -> None:
    o = outstation()
    o.talk(f"> {fragment}")
    assert o.user.calls == o.user.notes == []


def test_any_master_is_answered_where_none_is_configured() -> None:
    o = outstation(config=OutstationConfig(master_address=None, keep_alive_s=None))
    o.update(BI, 0, 1)
    o.talk("""
        ? -                                      # nobody to send the empty unsolicited response to
        65000> c0 18
        65000< c0 81 02 00
        65000< f0 82 02 00
        3> c0 18
        3< c0 81 02 00
        3> d0 00                                 # not the one whom it was sent to
        +5
        65000< f0 82 02 00
        65000> d0 00
    """)
