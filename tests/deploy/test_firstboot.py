"""The first boot on a real file system: what it reads, writes and survives."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.raspberrypi.appliance import files, firstboot, host_key, mounts
from deploy.raspberrypi.appliance import plan as planning
from deploy.raspberrypi.appliance.apply import apply
from deploy.raspberrypi.appliance.places import Places
from tests.deploy.test_firstboot_plan import BRIDGE, OTHER_BRIDGE


@contextmanager
def writable(_folder: Path) -> Iterator[None]:
    yield


@pytest.fixture
def places(tmp_path: Path) -> Places:
    made = Places(
        card=tmp_path / "card",
        data=tmp_path / "data",
        kept=tmp_path / "data/kept",
        run=tmp_path / "run",
        mounts=tmp_path / "mountinfo",
    )
    made.card.mkdir()
    made.run.mkdir()
    made.mounts.write_text(
        f"36 25 179:1 / {made.card} ro,noatime - vfat /dev/mmcblk0p1 ro\n"
        f"37 25 179:7 / {made.data} rw,noatime - ext4 /dev/mmcblk0p7 rw\n"
    )
    return made


@pytest.fixture(autouse=True)
def named(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The host names that were set; and no mount that is a real one."""
    names: list[str] = []

    def carry_out(plan: planning.Plan, places: Places, failed: list[str]) -> list[str]:
        return apply(plan, places, failed, name_host=names.append, writable=writable)

    monkeypatch.setattr("deploy.raspberrypi.appliance.apply.apply", carry_out)
    return names


def errors(places: Places) -> str:
    return (places.card / "bridge.errors.txt").read_text()


def running(places: Places) -> str:
    return (places.own_run / "bridge.toml").read_text()


def test_the_configuration_of_the_card_takes_effect(places: Places, named: list[str]) -> None:
    (places.card / "bridge.toml").write_text(BRIDGE)
    (places.card / "appliance.toml").write_text('hostname = "pole-7"')

    assert firstboot.run(places) == 0

    assert running(places) == BRIDGE
    assert (places.kept / "bridge.toml").read_text() == BRIDGE
    assert named == ["pole-7"]
    assert "192.0.2.10" in (places.own_run / "firewall.nft").read_text()
    assert not (places.card / "bridge.errors.txt").exists()
    assert not (places.own_run / "configuration-error").exists()


def test_errors_are_beside_the_file_until_it_is_right(places: Places) -> None:
    (places.card / "bridge.toml").write_text(BRIDGE)
    firstboot.run(places)
    (places.card / "bridge.toml").write_text(OTHER_BRIDGE.replace("9600", "9601"))

    assert firstboot.run(places) == 0
    assert running(places) == BRIDGE
    assert "line.bay1.baud" in errors(places)
    assert (places.own_run / "configuration-error").read_text() == errors(places).replace("\r\n", "\n")

    (places.card / "bridge.toml").write_text(OTHER_BRIDGE)
    assert firstboot.run(places) == 0
    assert running(places) == OTHER_BRIDGE
    assert not (places.card / "bridge.errors.txt").exists()
    assert not (places.own_run / "configuration-error").exists()


def _a_folder(card: Path) -> None:
    (card / "bridge.toml").mkdir()


def _a_pipe(card: Path) -> None:
    os.mkfifo(card / "bridge.toml")


def _a_long_one(card: Path) -> None:
    with (card / "bridge.toml").open("wb") as file:
        file.truncate(1 << 40)


def _a_link_to_nothing(card: Path) -> None:
    (card / "bridge.toml").symlink_to("nowhere")


def _no_card(card: Path) -> None:
    shutil.rmtree(card)


@pytest.mark.parametrize("spoil", [_a_folder, _a_pipe, _a_long_one, _a_link_to_nothing, _no_card])
def test_whatever_is_there_instead_the_last_good_one_runs(places: Places, spoil: object) -> None:
    places.kept.mkdir(parents=True)
    (places.kept / "bridge.toml").write_text(BRIDGE)
    spoil(places.card)  # type: ignore[operator]

    assert firstboot.run(places) == 0

    assert running(places) == BRIDGE
    assert (places.own_run / "configuration-error").read_text()


def test_a_card_that_is_not_mounted_is_not_taken_for_an_empty_one(places: Places) -> None:
    places.mounts.write_text("25 1 0:22 / / rw - overlay overlay rw\n")
    places.kept.mkdir(parents=True)
    (places.kept / "appliance.toml").write_text('hostname = "pole-7"')

    assert firstboot.run(places) == 0

    assert (places.kept / "appliance.toml").exists()
    assert "cannot be mounted" in (places.own_run / "configuration-error").read_text()


def test_with_nothing_to_run_it_says_so(places: Places) -> None:
    assert firstboot.run(places) == 0

    assert not (places.own_run / "bridge.toml").exists()
    assert "nothing listens" in errors(places)


def test_what_was_before_goes_when_it_is_run_again(places: Places) -> None:
    (places.own_run).mkdir(parents=True)
    (places.own_run / "authorized_keys").write_text("an old one")

    firstboot.run(places)

    assert not (places.own_run / "authorized_keys").exists()


def test_a_data_partition_that_is_not_there_is_told(places: Places) -> None:
    places.mounts.write_text(places.mounts.read_text().splitlines()[0] + "\n")
    (places.card / "bridge.toml").write_text(BRIDGE)

    assert firstboot.run(places) == 0

    assert "nothing is kept; replace the card" in (places.card / "bridge.notes.txt").read_text()
    assert running(places) == BRIDGE


def test_on_a_full_card_the_old_errors_make_room_for_the_new_ones(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    (places.card / "bridge.errors.txt").write_text("an old one")
    (places.card / "bridge.toml").write_text("[")
    write = files.write

    def full(path: Path, octets: bytes, mode: int = 0o644) -> None:
        if path.parent == places.card and path.exists():
            raise OSError(28, "No space left on device")
        write(path, octets, mode)

    monkeypatch.setattr(files, "write", full)

    assert firstboot.run(places) == 0
    assert "bridge.toml:1" in errors(places)


def test_a_data_partition_that_is_full_keeps_nothing_and_stops_nothing(
    places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    places.kept.parent.mkdir(parents=True)
    places.kept.write_text("no folder")
    (places.card / "bridge.toml").write_text(BRIDGE)

    assert firstboot.run(places) == 0

    assert running(places) == BRIDGE
    assert "firstboot: " in capsys.readouterr().err
    assert "kept" in (places.card / "bridge.notes.txt").read_text()


def test_a_failure_of_the_program_leaves_what_was_right_last(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object, **_named: object) -> None:
        raise ZeroDivisionError

    places.kept.mkdir(parents=True)
    (places.kept / "bridge.toml").write_text(BRIDGE)
    monkeypatch.setattr(planning, "make", fail)

    assert firstboot.run(places) == 1

    assert running(places) == BRIDGE
    assert "ZeroDivisionError" in (places.own_run / "configuration-error").read_text()
    assert "DHCP=yes" in (places.run / "systemd/network/10-rtu-bridge-wired.network").read_text()


def test_what_takes_too_long_is_given_up(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_arguments: object, **_named: object) -> None:
        while True:
            pass

    places.kept.mkdir(parents=True)
    (places.kept / "bridge.toml").write_text(BRIDGE)
    monkeypatch.setattr(firstboot, "TIME_LIMIT_S", 1)
    monkeypatch.setattr(planning, "make", hang)

    assert firstboot.run(places) == 1

    assert running(places) == BRIDGE
    assert "TooLongError" in (places.own_run / "configuration-error").read_text()


def test_a_file_that_is_the_same_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "file"
    files.write(path, b"same")
    before = path.stat().st_ino

    files.write(path, b"same")
    assert path.stat().st_ino == before
    files.write(path, b"else")
    assert path.stat().st_ino != before
    assert os.listdir(tmp_path) == ["file"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(OSError, match="No space"):
        files.write(path, b"new")

    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_what_is_mounted_where() -> None:
    text = (
        "36 25 179:1 / /boot/config ro - vfat /dev/mmcblk0p1 ro\n"
        "37 25 8:1 / /mnt/a\\040b rw shared:1 - ext4 /dev/sda1 rw\n"
        "nonsense\n"
    )

    assert mounts.mounted_from(text, Path("/boot/config")) == "/dev/mmcblk0p1"
    assert mounts.mounted_from(text, Path("/mnt/a b")) == "/dev/sda1"
    assert mounts.mounted_from(text, Path("/boot")) is None


@pytest.mark.parametrize(
    ("device", "other"),
    [
        ("/dev/mmcblk0p1", "/dev/mmcblk0p6"),
        ("/dev/nvme0n1p1", "/dev/nvme0n1p6"),
        ("/dev/sda1", "/dev/sda6"),
        ("/dev/vda1", "/dev/vda6"),
    ],
)
def test_other_partitions_of_the_same_disk(device: str, other: str) -> None:
    assert mounts.partition(device, 6) == other


@pytest.mark.parametrize("device", ["/dev/mmcblk0", "/dev/loop0p1", "overlay", "/dev/sda1/x", ""])
def test_what_is_no_partition_is_refused(device: str) -> None:
    with pytest.raises(ValueError, match="is no partition"):
        mounts.partition(device, 6)


_REMOUNTS = """
import sys
from pathlib import Path
from deploy.raspberrypi.appliance.mounts import writable

card = Path(sys.argv[1])
with writable(card):
    (card / "written").touch()
try:
    (card / "not").touch()
except OSError:
    sys.exit(0 if (card / "written").exists() else "it was not writable")
sys.exit("it stayed writable")
"""


@pytest.mark.wire
def test_the_card_is_writable_only_while_something_is_written(tmp_path: Path) -> None:
    script = f"""mount -t tmpfs card {tmp_path} && mount -o remount,ro {tmp_path} || exit 77
    exec {sys.executable} -c '{_REMOUNTS}' {tmp_path}"""
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script]
    if shutil.which(command[0]) is None:
        pytest.skip("unshare is not installed")

    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=Path(__file__).parents[2])

    if done.returncode == 77 or done.stderr.startswith("unshare:"):
        pytest.skip("this machine lets nobody mount")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.wire
def test_the_key_of_the_machine_stays_the_same_and_a_damaged_one_is_replaced(places: Places) -> None:
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed")
    used, kept = places.own_run / host_key.NAME, places.kept / host_key.NAME
    host_key.provide(places)
    first = kept.read_bytes()
    used.unlink()

    host_key.provide(places)
    assert used.read_bytes() == first
    assert used.stat().st_mode & 0o077 == 0

    kept.write_bytes(first[:100])
    host_key.provide(places)
    assert kept.read_bytes() == used.read_bytes() != first
