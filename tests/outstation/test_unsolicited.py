"""When the outstation speaks unasked, in octets and seconds."""

from __future__ import annotations

import pytest

from bridge.application.measurement import Measurement, PointKind
from bridge.outstation.config import ClassDelay, UnsolicitedConfig
from bridge.outstation.events import EventBufferSizes
from bridge.outstation.points import BinaryInput, EventClass
from tests.outstation.harness import EPOCH_MS, Harness

BI = PointKind.BINARY_INPUT
ON = "81 00 68 e5 cf 8b 01"
OFF = "01 00 68 e5 cf 8b 01"
ENABLE_ALL = "14 3c 02 06 3c 03 06 3c 04 06"


def outstation(**settings: object) -> Harness:
    """One that has not spoken yet; the points 0, 1, 2 are of class 1, 2, 3."""
    harness_settings = {
        name: settings.pop(name) for name in ("sizes", "longest_response") if name in settings
    }
    o = Harness(unsolicited=UnsolicitedConfig(**settings), is_linked=False, **harness_settings)  # type: ignore[arg-type]
    for index, event_class in enumerate((EventClass.CLASS_1, EventClass.CLASS_2, EventClass.CLASS_3)):
        o.add(index, BinaryInput(event_class))
    return o


def reporting(classes: str = ENABLE_ALL, **settings: object) -> Harness:
    """One whose master has confirmed the empty response, and enabled classes."""
    o = outstation(**settings)
    o.link()
    o.talk(f"""
        < f0 82 00 00
        > d0 00
        > c0 {classes}
        < c0 81 00 00
        ? -
    """)
    return o


def test_the_first_one_is_empty_and_nothing_else_comes_before_its_confirm() -> None:
    o = outstation()
    o.update(BI, 0, 1)
    o.link()
    o.talk(f"""
        < f0 82 02 00
        > c0 {ENABLE_ALL}
        < c0 81 02 00
        ? 5.0
    """)
    o.update(BI, 0, 0)
    o.talk(f"""
        > d0 00
        < f1 82 00 00  02 02 17 02 00 {ON} 00 {OFF}
        > d1 00
        ? -
    """)
    assert o.user.notes == [
        "unsolicited_enabled 1 2 3",
        "confirmed unsolicited 0",
        "confirmed unsolicited 2",
    ]


def test_the_empty_one_is_repeated_until_it_is_confirmed() -> None:
    o = outstation(retries=1, retry_delay_s=20.0)
    o.link()
    o.talk("""
        < f0 82 00 00
        +5
        < f0 82 00 00
        ? 10.0
        +5
        ? 30.0
        +20
        < f1 82 00 00                            # a new one: a new number
        > d0 00
        > d1 00
        ? -
    """)
    assert o.user.notes == [
        "timed_out unsolicited",
        "timed_out unsolicited",
        "unexpected unsolicited 0",
        "confirmed unsolicited 0",
    ]


def test_it_is_sent_again_after_a_reconnect_only_if_it_was_not_confirmed() -> None:
    o = outstation()
    o.link()
    o.talk("< f0 82 00 00")
    o.stack.link_ended()
    o.talk("? -")
    o.link()
    o.talk("< f1 82 00 00 \n > d1 00")
    o.stack.link_ended()
    o.link()
    o.talk("? -")


def test_only_enabled_classes_are_reported() -> None:
    o = reporting("14 3c 03 06")
    for index in range(3):
        o.update(BI, index, 1)
    o.talk(f"""
        < f1 82 02 00  02 02 17 01 01 {ON}       # class 2; the bit tells of class 1
        > d1 00
        ? -
        > c1 15 3c 03 06
        < c1 81 0a 00
    """)
    o.update(BI, 1, 0)
    o.talk(f"""
        ? -
        > c2 14 3c 04 06
        < c2 81 0e 00
        < f2 82 06 00  02 02 17 01 02 {ON}
        > d2 00
    """)


def test_class_0_cannot_be_enabled() -> None:
    o = reporting("14 3c 02 06")
    o.talk("""
        > c1 14 3c 01 06 3c 03 06
        < c1 81 00 02
        > c2 14 3c 02 07 01
        < c2 81 00 04
        > c3 14
        < c3 81 00 00
    """)
    assert o.user.notes[-1] == "unsolicited_enabled 1 2"


def test_nothing_is_reported_where_nothing_is_enabled() -> None:
    o = outstation()
    o.link()
    o.talk("< f0 82 00 00 \n > d0 00")
    o.update(BI, 0, 1)
    o.talk("? -")


def test_an_outstation_without_unsolicited_responses() -> None:
    o = outstation(is_supported=False)
    o.link()
    o.update(BI, 0, 1)
    o.talk(f"""
        ? -
        > c0 {ENABLE_ALL}
        < c0 81 02 01
        > c1 15 3c 02 06
        < c1 81 02 01
        ? -
    """)


def test_retries_are_the_same_octets_then_there_is_a_pause() -> None:
    o = reporting(retries=2, confirm_timeout_s=3.0, retry_delay_s=10.0)
    o.update(BI, 0, 1)
    o.talk(f"< f1 82 00 00  02 02 17 01 00 {ON}")
    o.update(BI, 1, 1)
    o.talk(f"""
        +3
        < f1 82 00 00  02 02 17 01 00 {ON}
        +3
        < f1 82 00 00  02 02 17 01 00 {ON}
        +2.9
        ? 9.0
        +0.1
        > d1 00                                  # too late
        ? 19.0
        +10
        < f2 82 00 00  02 02 17 02 00 {ON} 01 {ON}
        > d2 00
        ? -
    """)


def test_no_retries() -> None:
    o = reporting(retries=0)
    o.update(BI, 0, 1)
    o.talk(f"""
        < f1 82 00 00  02 02 17 01 00 {ON}
        +5
        ? 10.0
        +5
        < f2 82 00 00  02 02 17 01 00 {ON}
    """)


def test_the_number_wraps() -> None:
    o = reporting()
    for count in range(1, 40):
        o.update(BI, 0, count % 2)
        event = ON if count % 2 else OFF
        o.talk(f"""
            < f{count % 16:x} 82 00 00  02 02 17 01 00 {event}
            > d{count % 16:x} 00
        """)


def test_a_class_waits_for_its_number_of_events_or_its_time() -> None:
    o = reporting(class_delays={1: ClassDelay(events=3, delay_s=10.0), 2: ClassDelay(events=2, delay_s=60.0)})
    o.update(BI, 0, 1)
    o.talk("? 10.0 \n +4")
    o.update(BI, 0, 0)
    o.talk("? 10.0 \n +2")
    o.update(BI, 0, 1)  # the third
    o.talk(f"""
        < f1 82 00 00  02 02 17 03 00 {ON} 00 {OFF} 00 {ON}
        > d1 00
        ? -
    """)
    o.update(BI, 0, 0)
    o.update(BI, 1, 1)
    o.talk(f"""
        ? 16.0                                   # 10 s after 6.0 s
        +10
        < f2 82 04 00  02 02 17 01 00 {OFF}      # class 1 alone is due
        > d2 00
        ? 66.0
    """)
    o.update(BI, 1, 0)
    o.talk(f"""
        < f3 82 00 00  02 02 17 02 01 {ON} 01 {OFF}
        > d3 00
    """)
    o.update(BI, 2, 1)  # class 3 has no delay of its own
    o.talk(f"< f4 82 00 00  02 02 17 01 02 {ON}")


def test_events_that_were_due_do_not_wait_again_after_the_pause() -> None:
    o = reporting(retries=0, retry_delay_s=2.0, class_delays={1: ClassDelay(events=9, delay_s=30.0)})
    o.update(BI, 0, 1)
    o.talk(f"""
        +30
        < f1 82 00 00  02 02 17 01 00 {ON}
        +5
        ? 37.0
        +2
        < f2 82 00 00  02 02 17 01 00 {ON}
    """)


def test_a_poll_that_takes_the_events_stops_the_clock() -> None:
    o = reporting(class_delays={1: ClassDelay(events=9, delay_s=30.0)})
    o.update(BI, 0, 1)
    o.talk(f"""
        ? 30.0
        +20
        > c1 01 3c 02 06
        < e1 81 00 00  02 02 17 01 00 {ON}
        ? 25.0                                   # the confirm
        > c1 00
        ? -
    """)
    o.update(BI, 0, 0)
    o.talk("? 50.0")


def test_nothing_is_sent_while_a_solicited_confirm_is_awaited() -> None:
    o = reporting("14 3c 02 06")
    o.update(BI, 1, 1)
    o.talk(f"""
        > c1 01 3c 03 06
        < e1 81 00 00  02 02 17 01 01 {ON}
    """)
    o.update(BI, 0, 1)
    o.talk(f"""
        ? 5.0
        > c1 00
        < f1 82 00 00  02 02 17 01 00 {ON}
        > d1 00
    """)


def test_after_a_solicited_timeout_too() -> None:
    o = reporting("14 3c 02 06")
    o.update(BI, 1, 1)
    o.talk(f"""
        > c1 01 3c 03 06
        < e1 81 00 00  02 02 17 01 01 {ON}
    """)
    o.update(BI, 0, 1)
    o.talk(f"""
        +5
        < f1 82 04 00  02 02 17 01 00 {ON}
    """)


def test_requests_are_answered_and_confirms_told_apart_by_the_uns_bit() -> None:
    o = reporting()
    o.update(BI, 0, 1)
    o.talk(f"""
        < f1 82 00 00  02 02 17 01 00 {ON}
        > c1 18
        < c1 81 00 00
        > c1 00                                  # a solicited confirm
        ? 5.0
        > d1 00
        ? -
    """)
    assert o.user.notes[-2:] == ["unexpected solicited 1", "confirmed unsolicited 1"]


def test_the_answer_to_a_deferred_read_has_what_came_meanwhile() -> None:
    o = reporting()
    o.update(BI, 0, 1)
    o.talk(f"""
        < f1 82 00 00  02 02 17 01 00 {ON}
        > c1 01 3c 02 06 3c 01 06
    """)
    o.update(BI, 0, 0)
    o.talk(f"""
        > d1 00
        < e1 81 00 00  02 02 17 01 00 {OFF}  01 02 00 00 02 01 01 01
        > c1 00
    """)


def test_a_class_that_is_disabled_while_its_confirm_is_awaited() -> None:
    o = reporting()
    o.update(BI, 0, 1)
    o.update(BI, 1, 1)
    o.talk(f"""
        < f1 82 00 00  02 02 17 01 00 {ON}
        > c1 15 3c 02 06
        < c1 81 04 00
        +5                                       # no repeat; class 2 is still enabled
        < f2 82 02 00  02 02 17 01 01 {ON}
        > d2 00
        ? -
        > c2 01 3c 02 06
        < e2 81 00 00  02 02 17 01 00 {ON}
    """)


def test_a_confirm_after_disabling_still_counts() -> None:
    o = reporting()
    o.update(BI, 0, 1)
    o.talk(f"""
        < f1 82 00 00  02 02 17 01 00 {ON}
        > c1 15 3c 02 06 3c 03 06 3c 04 06
        < c1 81 00 00
        > d1 00
        > c2 01 3c 02 06
        < c2 81 00 00
    """)


def test_disabling_does_not_stop_the_empty_one() -> None:
    o = outstation()
    o.link()
    o.talk("""
        < f0 82 00 00
        > c1 15 3c 02 06 3c 03 06 3c 04 06
        < c1 81 00 00
        +5
        < f0 82 00 00
    """)


def test_a_reconnect_sends_what_was_not_confirmed_with_a_new_number() -> None:
    o = reporting()
    o.update(BI, 0, 1)
    o.talk(f"< f1 82 00 00  02 02 17 01 00 {ON}")
    o.stack.link_ended()
    o.talk("? -")
    o.update(BI, 0, 0)
    o.talk("? -")
    o.link()
    o.talk(f"""
        < f2 82 00 00  02 02 17 02 00 {ON} 00 {OFF}
        > d2 00
        ? -
    """)


def test_a_reconnect_does_not_wait_for_the_pause() -> None:
    o = reporting(retries=0, retry_delay_s=100.0)
    o.update(BI, 0, 1)
    o.talk(f"""
        < f1 82 00 00  02 02 17 01 00 {ON}
        +5
        ? 105.0
    """)
    o.stack.link_ended()
    o.link()
    o.talk(f"< f2 82 00 00  02 02 17 01 00 {ON}")


@pytest.mark.parametrize("limit", [249, 2048])
def test_what_does_not_fit_comes_with_the_next(limit: int) -> None:
    o = reporting("14 3c 02 06", sizes=EventBufferSizes.all(1000), longest_response=limit)
    for count in range(1000):
        o.database.update(BI, 0, Measurement(count % 2 == 0, time_ms=EPOCH_MS))
    o.settle()
    received = b""
    fragments = 0
    while o.heard:
        ((_, octets),) = o.heard
        o.heard.clear()
        fragments += 1
        assert len(octets) <= limit
        assert octets[0] & 0xF0 == 0xF0
        at = 4
        while at < len(octets):
            count = octets[at + 3]
            assert octets[at : at + 3] == bytes((2, 2, 0x17))
            received += octets[at + 5 : at + 4 + 8 * count : 8]
            at += 4 + 8 * count
        o.send(bytes((0xD0 | octets[0] & 15, 0)))
    assert received == bytes((0x81, 0x01)) * 500
    assert fragments == -(-1000 // (30 if limit == 249 else 255))
