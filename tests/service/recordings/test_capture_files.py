from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.service.recordings import capture_files
from bridge.service.recordings.capture_files import CaptureFolder

NOON = 1_700_000_000.0
PART = b"x" * 1000


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture_files, "_PAUSE_S", 0.0)


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def octets(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.iterdir())


def test_a_file_is_named_by_time_and_reason(tmp_path: Path) -> None:
    folder = CaptureFolder(str(tmp_path / "var" / "captures"), 10_000)
    path = folder.write("line_down", NOON, [b"one", b"two"])
    assert path == tmp_path / "var" / "captures" / "rtu-bridge-20231114T221320Z-line_down.pcapng"
    assert path.read_bytes() == b"onetwo"
    assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0


def test_two_within_a_second(tmp_path: Path) -> None:
    folder = CaptureFolder(str(tmp_path), 10_000)
    paths = [folder.write("on_demand", NOON, [PART]) for _ in range(3)]
    assert [path.name for path in paths] == [
        "rtu-bridge-20231114T221320Z-on_demand.pcapng",
        "rtu-bridge-20231114T221320Z-on_demand-2.pcapng",
        "rtu-bridge-20231114T221320Z-on_demand-3.pcapng",
    ]


def test_the_folder_never_holds_more_than_its_limit(tmp_path: Path) -> None:
    folder = CaptureFolder(str(tmp_path), 10_000)

    def parts(count: int) -> Iterator[bytes]:
        for _ in range(count):
            assert octets(tmp_path) <= 10_000
            yield PART

    for number in range(20):
        folder.write("babble", NOON + number, parts(3))
        os.utime(tmp_path / names(tmp_path)[-1], ns=(number, number))
        assert octets(tmp_path) <= 10_000
    assert names(tmp_path) == [f"rtu-bridge-20231114T2213{37 + number}Z-babble.pcapng" for number in range(3)]


def test_other_files_are_nobodys_to_remove(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_bytes(PART * 50)
    folder = CaptureFolder(str(tmp_path), 2500)
    for number in range(5):
        folder.write("babble", NOON + number, [PART])
    assert "notes.txt" in names(tmp_path)


def test_one_that_is_too_large_is_no_file(tmp_path: Path) -> None:
    folder = CaptureFolder(str(tmp_path), 2500)
    folder.write("babble", NOON, [PART])
    with pytest.raises(OSError, match="larger than disk_mib"):
        folder.write("timeouts", NOON, [PART] * 3)
    assert names(tmp_path) == []


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = CaptureFolder(str(tmp_path), 100_000)
    folder.write("babble", NOON, [PART])

    def full() -> Iterator[bytes]:
        yield PART
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match="No space left"):
        folder.write("timeouts", NOON, full())
    assert names(tmp_path) == ["rtu-bridge-20231114T221320Z-babble.pcapng"]


def test_what_a_power_cut_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "rtu-bridge-20231114T221300Z-babble.part").write_bytes(PART)
    CaptureFolder(str(tmp_path), 10_000).write("babble", NOON, [PART])
    assert names(tmp_path) == ["rtu-bridge-20231114T221320Z-babble.pcapng"]


def test_it_has_its_name_when_it_is_whole(tmp_path: Path) -> None:
    seen: list[list[str]] = []

    def parts() -> Iterator[bytes]:
        yield PART
        seen.append(names(tmp_path))

    CaptureFolder(str(tmp_path), 10_000).write("babble", NOON, parts())
    assert seen == [["rtu-bridge-20231114T221320Z-babble.part"]]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="Not a directory"):
        CaptureFolder(str(tmp_path / "file" / "captures"), 10_000).write("babble", NOON, [PART])


def test_how_a_folder_is(tmp_path: Path) -> None:
    folder = CaptureFolder(str(tmp_path / "new" / "captures"), 1000)
    before = folder.look()
    assert (before.is_there, before.octets, before.problem) == (False, 0, None)
    assert before.free_octets is not None
    folder.write("on_demand", 0.0, [bytes(300)])
    after = folder.look()
    assert (after.is_there, after.octets, after.problem) == (True, 300, None)
    assert CaptureFolder("/proc/self/captures", 1000).look().problem is not None
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        assert CaptureFolder(str(path), 1000).look().problem == "Not a directory"


def test_more_than_a_hundred_within_a_second(tmp_path: Path) -> None:
    folder = CaptureFolder(str(tmp_path), 1000)
    for _ in range(101):
        folder.write("on_demand", 0.0, [b"x"])
    assert len(list(tmp_path.glob("*.pcapng"))) == 101
