"""A data partition that cannot be mounted, with the real tools on a file."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from deploy.raspberrypi.appliance.repair import bring_back, device_of
from tests.deploy.conftest import DEPLOY

pytestmark = [pytest.mark.wire]

SIZE = 8 * 1024 * 1024
ENVIRONMENT = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}


class Machine:
    """Runs the tools for real; what e2fsck finds nothing wrong with can be mounted."""

    def __init__(self, device: Path, *, is_dying: bool = False) -> None:
        self.device = device
        self.is_dying = is_dying

    def __call__(self, command: Sequence[str]) -> bool:
        if self.is_dying:
            return False
        tool = ["e2fsck", "-f", "-n", str(self.device)] if command[0] == "mount" else command
        return subprocess.run(tool, env=ENVIRONMENT, capture_output=True, timeout=60).returncode == 0


@pytest.fixture
def device(tmp_path: Path) -> Path:
    if any(shutil.which(tool, path=ENVIRONMENT["PATH"]) is None for tool in ("mkfs.ext4", "e2fsck")):
        pytest.skip("e2fsprogs is not installed")
    path = tmp_path / "data"
    with path.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run(["mkfs.ext4", "-q", path], env=ENVIRONMENT, check=True, timeout=60)
    return path


def _overwrite(path: Path, offset: int, octets: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(octets)


def test_what_can_be_repaired_is(device: Path) -> None:
    # The bitmaps and the table of inodes.
    _overwrite(device, 64 * 1024, b"\xa5" * 4096)
    assert not Machine(device)(["mount"])

    assert bring_back(device, Path("/data"), Machine(device)) == "repaired"


@pytest.mark.parametrize("octets", [b"\xa5", b"\0"])
def test_what_is_beyond_that_is_made_anew(device: Path, octets: bytes) -> None:
    _overwrite(device, 0, octets * SIZE)

    done = bring_back(device, Path("/data"), Machine(device))

    assert done is not None
    assert done.startswith("damaged and made anew")
    assert Machine(device)(["mount"])


def test_a_card_that_is_dying_is_given_up(device: Path) -> None:
    assert bring_back(device, Path("/data"), Machine(device, is_dying=True)) is None


def test_the_device_is_that_of_the_images_own_table() -> None:
    fstab = (DEPLOY / "image/files/etc/fstab").read_text(encoding="utf-8")

    assert device_of(fstab, Path("/data")) == Path("/dev/disk/by-partuuid/b21d6e00-07")
    assert device_of(fstab, Path("/dat")) is None
    assert device_of("", Path("/data")) is None
