"""An update of the image's twin, from the signed file to the slot that stays: the test is the firmware.

That is, it boots the slot that the firmware would choose by autoboot.txt, and once the other one after a
reboot that asks for it. The kernel of a Raspberry Pi, which would hand that over, is played too, by its
device.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deploy import site
from tests.deploy.box import Box
from tests.deploy.card import BOOT_A, BOOT_B, Card
from tests.deploy.conftest import DEPLOY

sys.path.insert(0, str(DEPLOY / "image"))
sys.path.insert(0, str(DEPLOY))
import build_image  # folders of scripts, not packages
from appliance import make_update, signature
from appliance.slots import Slot, default_slot
from layout import PARTITIONS, ROOT_A, ROOT_B

pytestmark = [pytest.mark.guest, pytest.mark.timeout(2400)]

VERSION = "99.0"
WRITTEN_WITHIN_S = 600.0
SETTLED_WITHIN_S = 600.0
_FILE = "/tmp/rtu-bridge.update"
_SIGNERS = "/etc/rtu-bridge-appliance/update-signers"
_BOOT = {Slot.A: BOOT_A, Slot.B: BOOT_B}
_ROOT = {Slot.A: ROOT_A, Slot.B: ROOT_B}


@dataclass(frozen=True, slots=True)
class Release:
    """An update's file, the root file system in it, and who signed it as an image knows them."""

    file: Path
    root: Path
    signers: str


@pytest.fixture(scope="module")
def release(twin_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Release:
    """The twin's own system as a newer version, signed by a key that was made for it."""
    folder = tmp_path_factory.mktemp("release")
    key, file = folder / "key", folder / "file.update"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True, timeout=60)
    boots = ((twin_image / "boot-a.vfat").read_bytes(), (twin_image / "boot-b.vfat").read_bytes())
    root = twin_image / "root.sqfs"
    file.write_bytes(make_update.make(build_image.NAMES["amd64"], VERSION, boots, root.read_bytes(), key))
    return Release(file, root, signature.signers_of(key.with_suffix(".pub").read_text()))


@pytest.fixture
def card(twin_image: Path, tmp_path: Path) -> Iterator[Card]:
    """A card whose slot b is empty."""
    card = Card.flashed(twin_image / "disk.img", tmp_path)
    card.put("bridge.toml", site.configuration("/dev/ttyS1"))
    for partition in (_BOOT[Slot.B], _ROOT[Slot.B]):
        card.wipe(partition)
    yield card
    card.disk.unlink()


def test_an_update_is_tried_and_stays_and_one_that_is_cut_short_does_not(
    card: Card, release: Release
) -> None:
    _install(card, release, running=Slot.A)
    assert _is_written(card, Slot.B, release)
    assert _default(card) is Slot.A

    with Box(card, slot="b") as trial:
        _assert_bridges(trial, Slot.B)
        _wait_for_result(trial, "update: slot b is well and is booted from now on")
    assert _default(card) is Slot.B

    for partition in (_BOOT[Slot.A], _ROOT[Slot.A]):
        card.wipe(partition)
    _install(card, release, running=Slot.B)
    assert _is_written(card, Slot.A, release)
    with Box(card, slot="a") as trial:
        _assert_bridges(trial, Slot.A)
        trial.until("cat /data/rtu-bridge/trial.json", '"begun"', within_s=site.COMES_UP_WITHIN_S)
        # Not a minute of it, and the power goes.
    assert _default(card) is Slot.B

    with Box(card, slot="b") as back:
        _assert_bridges(back, Slot.B)
        _wait_for_result(
            back, f"update to {VERSION}: the new system was cut off before it was known to be well"
        )
        back.run("test ! -e /data/rtu-bridge/trial.json")


def test_what_is_not_signed_by_a_key_of_the_image_is_not_written(card: Card, release: Release) -> None:
    with Box(card, stick=release.file) as box:
        site.wait_until_up(box)
        _bring(box, release)
        command = f"rtu-bridge-update --no-reboot {_FILE}"
        refused = box.run(command, status=1).err
        assert "cannot be checked: this image has no key of a signer" in refused
        box.write(_SIGNERS, release.signers)
        # A root file system that somebody changed in one octet.
        box.run(
            f"printf X | dd of={_FILE} bs=1 seek=$(($(stat -c %s {_FILE}) - 5000)) conv=notrunc 2>/dev/null"
        )
        refused = box.run(command, status=1, within_s=WRITTEN_WITHIN_S).err
        assert refused.startswith(f"{_FILE}: "), refused
        site.poll_through(box, "ttyS1")
    assert card.get("cmdline.txt", partition=BOOT_B) is None


def _install(card: Card, release: Release, *, running: Slot) -> None:
    """Bring the update to a box and let it install it, until it starts again to try it."""
    with Box(card, slot=running.value, stick=release.file) as box:
        site.wait_until_up(box)
        box.write(_SIGNERS, release.signers)
        box.write("/dev/vcio", "")
        _bring(box, release)
        box.run(f"rtu-bridge-update {_FILE} </dev/null >/dev/console 2>&1 &")
        box.wait_until_down(within_s=WRITTEN_WITHIN_S)
        assert f"{VERSION} is in slot {running.other.value}; rebooting to try it" in box.console


def _bring(box: Box, release: Release) -> None:
    size = release.file.stat().st_size
    box.run(f"head -c {size} /dev/vdb >{_FILE}", within_s=WRITTEN_WITHIN_S)


def _assert_bridges(box: Box, slot: Slot) -> None:
    site.wait_until_up(box)
    assert box.run("findmnt -no SOURCE /run/root-disk").out.strip().endswith(str(_ROOT[slot]))
    site.poll_through(box, "ttyS1")


def _wait_for_result(box: Box, sentence: str) -> None:
    box.until("cat /boot/config/update.result.txt", sentence, within_s=SETTLED_WITHIN_S)


def _is_written(card: Card, slot: Slot, release: Release) -> bool:
    root = release.root.read_bytes()
    with card.disk.open("rb") as disk:
        disk.seek(PARTITIONS[_ROOT[slot]].offset)
        return disk.read(len(root)) == root


def _default(card: Card) -> Slot:
    return default_slot(card.get("autoboot.txt") or b"")
