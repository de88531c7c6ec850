"""What is done about an update after a boot: pure decisions, as tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.raspberrypi.appliance.commit_command import Committer
from deploy.raspberrypi.appliance.health import Observation, Verdict, Watch, expected_of, lines_of
from deploy.raspberrypi.appliance.media import Media
from deploy.raspberrypi.appliance.places import Places
from deploy.raspberrypi.appliance.slots import (
    Slot,
    SlotError,
    autoboot_text,
    default_slot,
    running_slot,
)
from deploy.raspberrypi.appliance.trial import Expected, Note, Phase, Situation, situation, told
from tests.deploy.test_update import writable

LINES = frozenset({"bay1", "bay2"})
WELL = Observation(True, 0, True, LINES, LINES)
EXPECTED = Expected(lines_up=frozenset({"bay1"}))
NOTE_OF_B = Note("1.10.0", Slot.B, Phase.BEGUN, EXPECTED)


def test_both_texts_are_of_one_length() -> None:
    assert len(autoboot_text(Slot.A)) == len(autoboot_text(Slot.B))
    assert autoboot_text(Slot.A) == (b"[all]\ntryboot_a_b=1\nboot_partition=2\n[tryboot]\nboot_partition=3\n")


def test_the_default_slot_is_read_however_it_was_edited() -> None:
    assert default_slot(autoboot_text(Slot.B)) is Slot.B
    edited = b"# mine\r\n" + autoboot_text(Slot.A).replace(b"\n", b"\r\n") + b"\r\n"
    assert default_slot(edited) is Slot.A
    for wrong in (b"", b"\xff", autoboot_text(Slot.A).replace(b"=3", b"=2")):
        with pytest.raises(SlotError):
            default_slot(wrong)


@pytest.mark.parametrize(
    ("cmdline", "slot"),
    [
        ("console=tty0 root=/dev/mmcblk0p5 rootfstype=squashfs ro", Slot.A),
        ("root=/dev/mmcblk0p6 ro\n", Slot.B),
        ("root=/dev/vda6 ro", Slot.B),
        ("root=PARTUUID=b21d6e00-05", Slot.A),
        ("root=PARTUUID=b21d6e00-06", Slot.B),
        ("root=/dev/mmcblk0p5 bridge.slot=b", Slot.B),
        ("root=/dev/mmcblk0p15", None),
        ("root=/dev/mmcblk0p7", None),
        ("xroot=/dev/mmcblk0p5", None),
        ("", None),
    ],
)
def test_the_slot_that_runs(cmdline: str, slot: Slot | None) -> None:
    if slot is None:
        with pytest.raises(SlotError):
            running_slot(cmdline)
    else:
        assert running_slot(cmdline) is slot


@pytest.mark.parametrize(
    ("running", "default", "note", "is_tryboot", "expected"),
    [
        (Slot.A, Slot.A, None, False, Situation.SETTLED),
        (Slot.A, Slot.A, NOTE_OF_B, False, Situation.FELL_BACK),
        (Slot.B, Slot.A, NOTE_OF_B, True, Situation.TRIAL),
        (Slot.B, Slot.A, None, False, Situation.TRIAL),
        # The cut between the change of the default and the note's end.
        (Slot.B, Slot.B, NOTE_OF_B, False, Situation.SETTLED),
        # Nobody knows what would be booted: only the firmware's word makes a trial, or it would never end.
        (Slot.B, None, NOTE_OF_B, False, Situation.SETTLED),
        (Slot.B, None, NOTE_OF_B, True, Situation.TRIAL),
        (Slot.A, None, None, False, Situation.SETTLED),
    ],
)
def test_what_a_boot_is(
    running: Slot, default: Slot | None, note: Note | None, is_tryboot: bool, expected: Situation
) -> None:
    assert situation(running, default, note, is_tryboot=is_tryboot) is expected


@pytest.mark.parametrize("phase", list(Phase))
def test_a_note_is_read_as_it_was_written(phase: Phase) -> None:
    note = NOTE_OF_B.at(phase, "why")

    assert Note.load(note.dump()) == note
    assert "1.10.0" in told(note)


@pytest.mark.parametrize("octets", [None, b"", b"{}", b"[]", b"1", bytes(100), NOTE_OF_B.dump()[:-30]])
def test_what_is_no_note_counts_as_none(octets: bytes | None) -> None:
    assert Note.load(octets) is None


def test_all_must_be_well_for_a_time_without_a_break() -> None:
    watch = Watch(EXPECTED, 0.0, hold_s=60.0, limit_s=600.0)
    ill = Observation(True, 0, False, LINES, LINES)

    assert watch.judge(WELL, 0.0) is Verdict.WAIT
    assert watch.judge(WELL, 59.0) is Verdict.WAIT
    assert watch.judge(ill, 59.5) is Verdict.WAIT
    assert watch.judge(WELL, 60.0) is Verdict.WAIT
    assert watch.judge(WELL, 119.9) is Verdict.WAIT
    assert watch.judge(WELL, 120.0) is Verdict.COMMIT


@pytest.mark.parametrize(
    ("seen", "missing"),
    [
        (Observation(False, 0, True, None), "the bridge is not ready"),
        (Observation(True, 0, False, LINES, LINES), "the network is not up"),
        (Observation(True, 0, True, frozenset({"bay2"}), LINES), "not open: bay1"),
        (Observation(True, 0, True, None), "the bridge does not tell its status"),
    ],
)
def test_what_is_not_well_ends_a_trial_when_its_time_is_over(seen: Observation, missing: str) -> None:
    watch = Watch(EXPECTED, 0.0)

    assert watch.judge(seen, 599.0) is Verdict.WAIT
    assert watch.judge(seen, 600.0) is Verdict.REVERT
    assert missing in watch.missing


def test_a_bridge_that_is_restarted_begins_anew() -> None:
    watch = Watch(EXPECTED, 0.0, hold_s=60.0)
    watch.judge(WELL, 0.0)

    assert watch.judge(Observation(True, 1, True, LINES, LINES), 60.0) is Verdict.WAIT
    assert "was restarted" in watch.missing


def test_what_was_not_well_before_need_not_be_after() -> None:
    before = Observation(False, 0, False, None)
    watch = Watch(expected_of(before), 0.0, hold_s=60.0)

    watch.judge(before, 0.0)
    assert watch.judge(before, 60.0) is Verdict.COMMIT


def test_without_a_note_every_line_must_be_open() -> None:
    watch = Watch(None, 0.0)

    watch.judge(Observation(True, 0, True, frozenset({"bay1"}), LINES), 0.0)
    assert watch.missing == "not open: bay2"


def test_the_lines_of_a_status() -> None:
    assert lines_of({"lines": [{"name": "a", "is_up": True}, {"name": "b", "is_up": False}]}) == {
        "a": True,
        "b": False,
    }


def test_a_default_that_cannot_be_written_is_no_commit(tmp_path: Path) -> None:
    class Full(Media):
        def replace(self, path: Path, octets: bytes) -> None:
            raise OSError(30, "Read-only file system")

    places = Places(card=tmp_path, kept=tmp_path / "data", bootloader=tmp_path)
    places.autoboot.write_bytes(autoboot_text(Slot.A))

    assert Committer(places, Full(), writable).after_boot(Slot.B, lambda _note: (Verdict.COMMIT, "")) == 1
    assert default_slot(places.autoboot.read_bytes()) is Slot.A


def test_a_default_that_was_not_changed_is_no_commit(tmp_path: Path) -> None:
    class Lost(Media):
        def replace(self, path: Path, octets: bytes) -> None:
            pass

    places = Places(card=tmp_path, kept=tmp_path / "data", bootloader=tmp_path)
    places.autoboot.write_bytes(autoboot_text(Slot.A))

    assert Committer(places, Lost(), writable).after_boot(Slot.B, lambda _note: (Verdict.COMMIT, "")) == 1


def test_the_firmware_says_whether_it_is_a_trial(tmp_path: Path) -> None:
    places = Places(card=tmp_path / "no card", kept=tmp_path / "data", bootloader=tmp_path)
    committer = Committer(places, Media(), writable)
    (tmp_path / "tryboot").write_bytes(bytes(4))
    assert committer.after_boot(Slot.B, lambda _note: (Verdict.REVERT, "ill")) == 0

    (tmp_path / "tryboot").write_bytes(b"\0\0\0\1")
    assert committer.after_boot(Slot.B, lambda _note: (Verdict.REVERT, "ill")) == 1
