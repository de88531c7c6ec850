from __future__ import annotations

from bridge.link.framer import Discard, LinkErrorMode, LinkFramer
from bridge.recording.fault import Fault
from bridge.recording.record import LONGEST_STRETCH, Channel, Kind
from bridge.recording.tap import Recording, SessionTaps, Tap
from tests.support import wire_crc
from tests.support.frames import link_status, request

FRAME, OTHER = link_status().octets, request(1).octets
SECOND_NS = 1_000_000_000


class Bench:
    """A recording with a line's tap, a clock that stands, and the faults that were reported."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.faults: list[tuple[Fault, int, int]] = []
        self.recording = Recording(0, clock=lambda: self.now_ns, report=self._report)
        self.tap = self.recording.open(Channel(3), "recording begins", line="bay1")

    def _report(self, fault: Fault, interface: int, now_ns: int) -> None:
        self.faults.append((fault, interface, now_ns))

    def told(self, since: int = 1) -> list[tuple[Kind, bytes, str]]:
        """Everything after the first event."""
        records = [each for batch in self.recording.ring.view(0).batches() for each in batch]
        return [(Kind(kind), octets, detail) for _, _, kind, octets, detail in records[since:]]


def test_a_tap_begins_with_an_event() -> None:
    assert Bench().told(0) == [(Kind.EVENT, b"", "recording begins line=bay1")]


def test_frames_and_drops_keep_their_octets() -> None:
    bench = Bench()
    bench.tap.heard(FRAME)
    bench.tap.sent(OTHER)
    bench.tap.dropped(FRAME, "late")
    assert bench.told() == [(Kind.HEARD, FRAME, ""), (Kind.SENT, OTHER, ""), (Kind.DROPPED, FRAME, "late")]
    _, records = bench.recording.ring.after(1)
    assert records[0][3] is FRAME
    assert records[2][3] is FRAME


def test_frames_sent_in_one_write_are_records_of_their_own() -> None:
    bench = Bench()
    long = wire_crc.frame(0x44, 1, 12, bytes(250))
    bench.tap.sent(FRAME + long + OTHER)
    bench.tap.sent(FRAME + FRAME)
    assert bench.told() == [(Kind.SENT, octets, "") for octets in (FRAME, long, OTHER, FRAME, FRAME)]


def test_an_event_is_told_as_in_the_log() -> None:
    bench = Bench()
    bench.now_ns = 7
    bench.tap.event("line down", Fault.LINE_DOWN, line="bay1", reason="no such device")
    assert bench.told() == [(Kind.EVENT, b"", 'line down line=bay1 reason="no such device"')]
    assert bench.faults == [(Fault.LINE_DOWN, 3, 7)]


def test_an_event_is_not_longer_than_400_characters() -> None:
    bench = Bench()
    bench.tap.event("x" * 1000)
    assert bench.told() == [(Kind.EVENT, b"", "x" * 400)]


class TestDiscards:
    def test_what_is_contiguous_is_one_record(self) -> None:
        bench = Bench()
        for octet in b"noise":
            bench.tap.discarded(bytes([octet]), Discard.NOISE)
        assert bench.told() == [(Kind.DISCARDED, b"noise", "noise")]

    def test_with_the_reasons_that_the_counters_count(self) -> None:
        bench = Bench()
        framer = LinkFramer(LinkErrorMode.DISCARD, frame_timeout_s=1.0)
        framer.witness = bench.tap
        broken = FRAME[:-1] + b"\xff"
        for octet in b"\xff" + broken + broken + FRAME + b"\x00" + FRAME:
            framer.receive(bytes([octet]), 0.0)
        assert bench.told() == [
            (Kind.DISCARDED, b"\xff" + broken + broken, "noise header_crc"),
            (Kind.HEARD, FRAME, ""),
            (Kind.DISCARDED, b"\x00", "noise"),
            (Kind.HEARD, FRAME, ""),
        ]
        assert framer.counters.discards == {Discard.NOISE: 2, Discard.HEADER_CRC: 2}
        assert [fault for fault, _, _ in bench.faults] == [Fault.CRC_ERRORS] * 2

    def test_anything_between_ends_it(self) -> None:
        for between in (
            lambda tap: tap.sent(OTHER),
            lambda tap: tap.heard(FRAME),
            lambda tap: tap.dropped(FRAME, "late"),
            lambda tap: tap.event("line up"),
        ):
            bench = Bench()
            bench.tap.discarded(b"a", Discard.NOISE)
            between(bench.tap)
            bench.tap.discarded(b"b", Discard.NOISE)
            first, _, last = bench.told()
            assert (first, last) == ((Kind.DISCARDED, b"a", "noise"), (Kind.DISCARDED, b"b", "noise"))

    def test_another_channel_between_does_not(self) -> None:
        bench = Bench()
        other = bench.recording.open(Channel(4), "recording begins")
        bench.tap.discarded(b"a", Discard.NOISE)
        other.sent(FRAME)
        bench.tap.discarded(b"b", Discard.NOISE)
        assert bench.told(2) == [(Kind.DISCARDED, b"ab", "noise"), (Kind.SENT, FRAME, "")]

    def test_it_has_the_time_of_its_first_octet_and_lasts_a_second(self) -> None:
        bench = Bench()
        for bench.now_ns in (5, SECOND_NS + 5, SECOND_NS + 6):
            bench.tap.discarded(b"a", Discard.NOISE)
        _, records = bench.recording.ring.after(1)
        assert [(each[0], each[3]) for each in records] == [(5, b"aa"), (SECOND_NS + 6, b"a")]

    def test_babble_becomes_records_of_bounded_length(self) -> None:
        bench = Bench()
        sent = bytes(range(256)) * 16
        bench.tap.discarded(sent, Discard.NOISE)
        for octet in sent:
            bench.tap.discarded(bytes([octet]), Discard.NOISE)
        stretches = [octets for _, octets, _ in bench.told()]
        assert b"".join(stretches) == sent * 2
        assert max(map(len, stretches)) <= LONGEST_STRETCH
        assert len(stretches) < 2 * len(sent) // LONGEST_STRETCH + 4

    def test_what_was_read_does_not_change_any_more(self) -> None:
        bench = Bench()
        bench.tap.discarded(b"a", Discard.NOISE)
        number, records = bench.recording.ring.after(1)
        bench.tap.discarded(b"b", Discard.NOISE)
        assert [each[3] for each in records] == [b"a"]
        assert [each[3] for each in bench.recording.ring.after(number + 1)[1]] == [b"b"]


def test_sessions_have_channels_of_their_own() -> None:
    bench = Bench()
    taps = SessionTaps(bench.recording, 1)
    tap: Tap = taps.open("10.1.1.5", 4021, "10.1.1.5:4021")
    tap.sent(FRAME)
    taps.close(tap)
    ring = bench.recording.ring
    assert ring.channels[tap.number] == Channel(1, ("10.1.1.5", 4021))
    assert [each[1] for each in ring.after(1)[1]] == [tap.number] * 2
