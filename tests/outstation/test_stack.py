"""An outstation from frames to frames: addresses, link services, segments, keep-alive, counters."""

from __future__ import annotations

import pytest

from bridge.errors import OutstationConfigError
from bridge.link.control import Control, LinkFunction
from bridge.link.frame import Frame
from bridge.outstation.config import OutstationConfig, UnsolicitedConfig
from bridge.outstation.points import BinaryInput, Counter, EventClass
from bridge.outstation.stack import StackDrop
from bridge.transport.reassembler import SegmentDiscard
from tests.outstation.harness import MASTER, OUTSTATION, Harness
from tests.vectors import LINK_FRAMES

MEASURE, MEASURED = "c1 17", "c1 81 00 00 34 02 07 01 00 00"


def frame(
    octets: str = "",
    *,
    control: int = 0xC4,
    destination: int = OUTSTATION,
    source: int = MASTER,
) -> Frame:
    return Frame.build(Control.of(control), destination, source, bytes.fromhex(octets))


def heard(o: Harness) -> list[str]:
    """Return what came since, link frames by their control octet and destination."""
    links = [f"{each.control.octet:02x} to {each.destination}" for each in o.link_heard]
    fragments = [octets.hex() for _, octets in o.heard]
    o.link_heard.clear()
    o.heard.clear()
    return links + fragments


# Addresses.


def test_a_request_and_its_answer_frame_by_frame() -> None:
    """Octets of an opendnp3 master, and of our answer to it."""
    o = Harness(is_restarted=True)
    request = Frame.of_octets(LINK_FRAMES["disable-unsolicited-m-1"])
    (step,) = o.stack.receive(request, 0.0)
    answer = LINK_FRAMES["response-o-1"]
    # Unlike opendnp3's, this outstation has no unsolicited responses, and it is its first segment.
    assert step.octets[:10] == answer[:10]  # type: ignore[union-attr]
    assert step.octets[10:].hex()[:10] == "c0c0818001"  # type: ignore[union-attr]


def test_the_self_address() -> None:
    o = Harness()
    o.talk(f"""
        >fffc {MEASURE}
        < {MEASURED}
    """)
    assert o.stack.drops == {}
    o = Harness(answers_self_address=False)
    o.talk(f">fffc {MEASURE}")
    assert o.stack.drops == {StackDrop.NOT_FOR_US: 1}


@pytest.mark.parametrize("destination", [0, 1023, 1025, 0xFFF0, 0xFFFB])
def test_frames_for_others(destination: int) -> None:
    o = Harness()
    o.frame(frame("c0 c1 17", destination=destination))
    assert heard(o) == []
    assert o.stack.drops == {StackDrop.NOT_FOR_US: 1}
    assert o.stack.frames_received == 0


def test_frames_of_outstations() -> None:
    o = Harness()
    for control in (0x44, 0x49, 0x0B, 0x00):
        o.frame(frame("c0 c1 17" if control == 0x44 else "", control=control))
    assert heard(o) == []
    assert o.stack.drops == {StackDrop.WRONG_DIRECTION: 4}


def test_frames_of_other_masters() -> None:
    o = Harness()
    o.talk(f"2> {MEASURE}")
    o.talk(f"2>ffff {MEASURE}")
    o.frame(frame(control=0xC9, source=2))
    assert heard(o) == []
    assert o.stack.drops == {StackDrop.WRONG_MASTER: 3}


@pytest.mark.parametrize("source", [0xFFF0, 0xFFFC, 0xFFFD, 0xFFFF])
def test_no_master_has_a_reserved_address(source: int) -> None:
    o = Harness(master_address=None)
    o.frame(frame("c0 c1 17", source=source))
    o.frame(frame(control=0xC9, source=source))
    assert heard(o) == []
    assert o.stack.drops == {StackDrop.WRONG_MASTER: 2}


def test_every_drop_is_tried() -> None:
    tried = {
        StackDrop.NOT_FOR_US,
        StackDrop.WRONG_DIRECTION,
        StackDrop.WRONG_MASTER,
        StackDrop.BROADCAST_SERVICE,
    }
    assert tried == set(StackDrop)


# Link services.


def test_link_services() -> None:
    o = Harness()
    o.frame(frame(control=0xC9))
    assert heard(o) == ["0b to 1"]
    o.frame(frame("c0 c1 17", control=0xF3))
    assert heard(o) == ["01 to 1"], "confirmed data before a reset: NACK"
    o.frame(frame(control=0xC0))
    assert heard(o) == ["00 to 1"]
    o.frame(frame("c0 c1 17", control=0xF3))
    assert heard(o) == ["00 to 1", MEASURED.replace(" ", "")]
    o.frame(frame("c0 c1 17", control=0xF3))
    assert heard(o) == ["00 to 1"], "the same FCB: acknowledged, not delivered"
    o.frame(frame("c1 c1 17", control=0xD3))
    assert heard(o) == ["00 to 1", MEASURED.replace(" ", "")]
    o.frame(frame(control=0xF2))
    assert heard(o) == ["00 to 1"]
    o.frame(frame(control=0xCF))
    assert heard(o) == ["0f to 1"]
    o.frame(frame(control=0x8B))
    assert heard(o) == []
    assert o.stack.frames_received == 9
    assert o.stack.frames_sent == 10


def test_the_acknowledgement_comes_first() -> None:
    o = Harness()
    o.frame(frame(control=0xC0))
    steps = o.stack.receive(frame("c0 c1 17", control=0xF3), 0.0)
    assert [step.octets[3] for step in steps] == [0x00, 0x44]  # type: ignore[union-attr]


def test_a_captured_keep_alive() -> None:
    o = Harness()
    (step,) = o.stack.receive(Frame.of_octets(LINK_FRAMES["request-link-status-m-1"]), 0.0)
    assert step.octets == LINK_FRAMES["link-status-o-1"]  # type: ignore[union-attr]


def test_a_new_link_is_not_reset() -> None:
    o = Harness()
    o.frame(frame(control=0xC0))
    o.stack.link_ended()
    o.link()
    o.link_heard.clear()
    o.frame(frame("c0 c1 17", control=0xF3))
    assert heard(o) == ["01 to 1"]


@pytest.mark.parametrize("control", [0xC0, 0xF2, 0xF3, 0xC9, 0xCF, 0x80])
def test_only_unconfirmed_data_can_be_broadcast(control: int) -> None:
    o = Harness()
    o.frame(frame(control=0xC0))
    heard(o)
    o.frame(frame("c0 c1 18" if control == 0xF3 else "", control=control, destination=0xFFFF))
    assert heard(o) == []
    assert o.stack.drops == {StackDrop.BROADCAST_SERVICE: 1}
    # The FCB is where it was.
    o.frame(frame("c0 c1 18", control=0xF3))
    assert heard(o) == ["00 to 1", "c1810000"]


# Segments.


def test_answers_go_on_with_the_sequence_of_segments() -> None:
    o = Harness()
    for index in range(130):
        o.add(index, Counter())
    headers = []
    for sequence in range(30):
        for step in o.stack.receive(frame(f"c0 {0xC0 | sequence % 16:02x} 01 14 01 06"), 0.0):
            octets = step.octets  # type: ignore[union-attr]
            at = 0
            while at < len(octets):
                length = octets[at + 2]
                headers.append(octets[at + 10])
                at += 10 + length - 5 + 2 * -(-(length - 5) // 16)
    assert headers[:4] == [0x40, 0x01, 0x82, 0x43]
    assert [header & 0x3F for header in headers] == [count % 64 for count in range(90)]


def test_requests_in_segments() -> None:
    o = Harness(longest_request=300)
    o.add(0, Counter())
    read = "c1 01" + " 14 01 00 00 00" * 50
    octets = bytes.fromhex(read)
    assert len(octets) == 252
    o.frame(frame("45" + octets[:249].hex()))
    assert heard(o) == []
    o.frame(frame("86" + octets[249:].hex()))
    assert heard(o) == ["c1810000" + "14010000000100000000" * 50]
    assert o.stack.segments.counters.discards == {}


DISCARDS = {
    SegmentDiscard.EMPTY: ["c0"],
    SegmentDiscard.NO_BEGINNING: ["81 c1 17"],
    SegmentDiscard.RESTARTED: ["40 c1", "c5 c1 17"],
    SegmentDiscard.REPEATED: ["40 c1", "01 01", "01 01"],
    SegmentDiscard.WRONG_SEQUENCE: ["40 c1", "82 17"],
    SegmentDiscard.OVERSIZE: ["40" + "00" * 249, "01 00"],
}


@pytest.mark.parametrize("discard", DISCARDS)
def test_segments_that_are_discarded(discard: SegmentDiscard) -> None:
    o = Harness(longest_request=249)
    for octets in DISCARDS[discard]:
        o.frame(frame(octets))
    assert o.stack.segments.counters.discards == {discard: 1}
    assert o.stack.drops == {}
    heard(o)
    o.frame(frame("c9 c1 17"))
    assert MEASURED.replace(" ", "") in heard(o)


def test_segments_that_a_new_link_abandons() -> None:
    o = Harness()
    o.frame(frame("40 c1"))
    o.stack.link_ended()
    o.link()
    o.frame(frame("81 17"))
    assert o.stack.segments.counters.discards == {SegmentDiscard.ABANDONED: 1, SegmentDiscard.NO_BEGINNING: 1}


def test_every_discard_is_tried() -> None:
    assert set(DISCARDS) | {SegmentDiscard.ABANDONED} == set(SegmentDiscard)


def test_segments_of_two_masters_make_no_fragment() -> None:
    o = Harness(master_address=None)
    o.frame(frame("40 c1", source=3))
    o.frame(frame("81 17", source=4))
    assert heard(o) == []
    discards = o.stack.segments.counters.discards
    assert discards == {SegmentDiscard.ABANDONED: 1, SegmentDiscard.NO_BEGINNING: 1}
    o.frame(frame("c0 c1 17", source=4))
    assert heard(o) == [MEASURED.replace(" ", "")]


def test_segments_to_us_and_to_all_make_no_fragment() -> None:
    o = Harness()
    o.frame(frame("40 c1"))
    o.frame(frame("81 18", destination=0xFFFF))
    assert o.user.notes == []
    o.talk(f"> {MEASURE} \n < {MEASURED}")


# Keep-alive.


def test_a_silent_master_is_asked_for_its_link_status() -> None:
    o = Harness(keep_alive_s=60.0)
    o.talk("? 60.0 \n +60")
    assert heard(o) == ["49 to 1"]
    o.talk("? 120.0 \n +30")
    o.frame(frame(control=0x8B))
    o.talk("? 150.0 \n +59")
    o.talk(f"""
        > {MEASURE}
        < {MEASURED}
        ? 209.0
    """)
    assert o.deaths == 0


def test_a_link_that_stays_silent_is_dead() -> None:
    o = Harness(keep_alive_s=60.0)
    o.talk("+119.9")
    assert (heard(o), o.deaths) == (["49 to 1"], 0)
    o.talk("+0.1")
    assert (heard(o), o.deaths) == ([], 1)
    # On a serial line nothing ends: it is said again only after another silence.
    o.talk("? 180.0 \n +60 \n ? 240.0")
    assert (heard(o), o.deaths) == (["49 to 1"], 1)
    o.talk("+60")
    assert o.deaths == 2


def test_no_keep_alive() -> None:
    o = Harness()
    o.talk("? -")
    o = Harness(keep_alive_s=60.0)
    o.stack.link_ended()
    o.talk("? -")
    o = Harness(keep_alive_s=60.0, master_address=None)
    o.talk(f"""
        ? -                                      # nobody to ask
        7> {MEASURE}
        7< {MEASURED}
        ? 60.0
        +60
    """)
    assert heard(o) == ["49 to 7"]


def test_frames_that_are_dropped_keep_nothing_alive() -> None:
    o = Harness(keep_alive_s=60.0)
    o.talk("+59")
    o.frame(frame("c0 c1 17", destination=5))
    o.talk("? 60.0")


def test_the_earliest_deadline_counts() -> None:
    o = Harness(keep_alive_s=4.0, unsolicited=UnsolicitedConfig())
    o.talk("""
        < f0 82 00 00
        ? 4.0
        +4
        ? 5.0
        +1
        < f0 82 00 00
        ? 8.0
    """)


# Links.


def test_nothing_is_said_to_nobody() -> None:
    o = Harness(unsolicited=UnsolicitedConfig(), is_linked=False)
    o.add(0, BinaryInput(EventClass.CLASS_1))
    from bridge.application.measurement import PointKind

    o.update(PointKind.BINARY_INPUT, 0, 1)
    o.talk("? -")
    o.link()
    o.talk("< f0 82 02 00")


def test_resume_without_a_wait_is_nothing() -> None:
    assert Harness().stack.resume(0.0, True) == []


# Settings.


@pytest.mark.parametrize(
    "settings",
    [
        {"link_address": 0xFFF0},
        {"link_address": -1},
        {"master_address": 0xFFFC},
        {"longest_request": 248},
        {"longest_response": 65536},
        {"controls_per_request": 0},
    ],
)
def test_settings_that_cannot_be(settings: dict[str, int]) -> None:
    with pytest.raises(OutstationConfigError) as caught:
        OutstationConfig(**settings)  # type: ignore[arg-type]
    assert next(iter(settings)) in str(caught.value)


def test_link_functions_of_the_tests_are_what_they_say() -> None:
    assert Control.of(0xC4).function is LinkFunction.UNCONFIRMED_USER_DATA
    assert Control.of(0xF3).function is LinkFunction.CONFIRMED_USER_DATA
