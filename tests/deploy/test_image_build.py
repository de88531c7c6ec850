"""The image as files: the same bits twice, and what is published with it."""

from __future__ import annotations

import hashlib
import itertools
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from tests.deploy.card import Card
from tests.deploy.conftest import DEPLOY
from tests.deploy.tools import run_tool
from tests.support import peers

sys.path.insert(0, str(DEPLOY / "image"))
sys.path.insert(0, str(DEPLOY / "package"))
sys.path.insert(0, str(DEPLOY))
import assemble  # folders of scripts, not packages
import build_image
from appliance import signature
from appliance.bundle import Bundle, UpdateError
from appliance.firmware_lines import USUAL, file_of, statements
from appliance.places import LINES
from appliance.slots import Slot, autoboot_text, default_slot, running_slot
from block_map import BLOCK, block_map
from layout import PARTITIONS, SECTOR, SIZE, sfdisk_script
from sbom import bill_of_materials

EPOCH_S = 1_700_000_000
_STATUS = """\
Package: bash
Status: install ok installed
Architecture: arm64
Version: 5.2.37-2+b5
Description: shell
 of its own

Package: gone
Status: deinstall ok config-files
Architecture: arm64
Version: 1
"""


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What make-system.sh would make, with other content."""
    for tool in assemble.TOOLS:
        peers.require(tool)
    folder = tmp_path_factory.mktemp("system")
    (folder / "root.sqfs").write_bytes(b"hsqs" + b"root" * 5000)
    (folder / "kernel").write_bytes(b"kernel" * 1000)
    (folder / "initrd").write_bytes(b"initrd" * 1000)
    (folder / "firmware").mkdir()
    for name in ("bootcode.bin", "start4.elf", "fixup4.dat", "bcm2711-rpi-4-b.dtb"):
        (folder / "firmware" / name).write_bytes(name.encode() * 100)
    (folder / "overlays").mkdir()
    (folder / "overlays/uart3.dtbo").write_bytes(b"overlay")
    return folder


@pytest.fixture(scope="module")
def made(system: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an assembled disk."""
    folder = tmp_path_factory.mktemp("made")
    assemble.assemble(system, system / "overlays", folder, EPOCH_S)
    return folder


def test_twice_gives_the_same_bits(system: Path, made: Path, tmp_path: Path) -> None:
    assemble.assemble(system, system / "overlays", tmp_path, EPOCH_S)
    for name in ("disk.img", "boot-a.vfat", "boot-b.vfat"):
        assert _digest(tmp_path / name) == _digest(made / name), name


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_the_partitions_do_not_touch() -> None:
    places = sorted(
        (each.offset, each.offset + each.size) for number, each in PARTITIONS.items() if number != 4
    )
    for before, after in itertools.pairwise(places):
        assert before[1] <= after[0]
    assert places[-1][1] <= PARTITIONS[4].offset + PARTITIONS[4].size <= SIZE
    assert sfdisk_script().startswith("label: dos\nlabel-id: 0xb21d6e00\n")


def test_the_card_has_what_the_firmware_begins_with_and_a_person_needs(made: Path) -> None:
    card = Card(made / "disk.img")
    assert card.names() == {"autoboot.txt", "config.txt", "README.txt", "bridge.example.toml", "bootcode.bin"}
    autoboot = card.get("autoboot.txt")
    assert autoboot == autoboot_text(Slot.A)
    assert default_slot(autoboot) is Slot.A


@pytest.mark.parametrize(("slot", "boot", "root"), [(Slot.A, 2, 5), (Slot.B, 3, 6)])
def test_a_slot_boots_its_own_root(made: Path, slot: Slot, boot: int, root: int) -> None:
    card = Card(made / "disk.img")
    arguments = (card.get("cmdline.txt", partition=boot) or b"").decode()
    assert running_slot(arguments) is slot
    assert running_slot(re.sub(r"bridge\.slot=\w+", "", arguments)) is slot
    assert "serial" not in arguments
    assert "ttyA" not in arguments
    assert card.get("kernel8.img", partition=boot) == b"kernel" * 1000
    assert card.get("overlays/uart3.dtbo", partition=boot) == b"overlay"
    assert card.get("start4.elf", partition=boot) is not None
    with (made / "disk.img").open("rb") as file:
        file.seek(PARTITIONS[root].offset)
        assert file.read(4) == b"hsqs"


@pytest.mark.parametrize("boot", [2, 3])
def test_config_txt_includes_the_lines_that_the_box_writes(made: Path, boot: int) -> None:
    card = Card(made / "disk.img")
    config_txt = (card.get("config.txt", partition=boot) or b"").decode()
    octets = card.get(LINES, partition=boot) or b""
    assert statements(config_txt)[-1] == f"include {LINES}"
    # Each overlay is named in one place, and what the box would write is there already.
    assert "dtoverlay" not in config_txt
    assert octets == file_of(USUAL)
    assert len(octets) == SECTOR


def test_an_image_trusts_the_keys_that_it_is_given(tmp_path: Path) -> None:
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed")
    for name in ("release", "other"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)]
        subprocess.run(command, check=True, timeout=60)
    build_image._write_appliance(tmp_path / "appliance", "arm64", tmp_path / "release.pub")
    signers = tmp_path / "appliance/update-signers"

    signature.verify(b"manifest", signature.sign(b"manifest", tmp_path / "release"), signers)
    with pytest.raises(UpdateError, match="is not signed with a key of this image"):
        signature.verify(b"manifest", signature.sign(b"manifest", tmp_path / "other"), signers)


def test_without_keys_it_trusts_nobody_and_a_private_one_is_refused(tmp_path: Path) -> None:
    build_image._write_appliance(tmp_path / "none", "arm64", None)
    assert [path.name for path in (tmp_path / "none").iterdir()] == ["image.json"]

    (tmp_path / "release").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nx\n")
    with pytest.raises(UpdateError, match="no public key"):
        build_image._write_appliance(tmp_path / "private", "arm64", tmp_path / "release")


def test_the_update_to_an_image_is_what_an_image_accepts(system: Path, made: Path, tmp_path: Path) -> None:
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed")
    key = tmp_path / "release"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True, timeout=60)
    (tmp_path / "update").write_bytes(build_image.update(system, made, key))
    signers = tmp_path / "signers"
    signers.write_text(signature.signers_of(key.with_suffix(".pub").read_text()))

    with Bundle(tmp_path / "update", lambda text, sign: signature.verify(text, sign, signers)) as bundle:
        bundle.check()
        assert bundle.manifest.image == "raspberrypi-arm64"
        boot = bundle.manifest.parts["boot"]
        for slot in Slot:
            content = b"".join(bundle.content(boot, slot))
            assert content == (made / f"boot-{slot.value}.vfat").read_bytes()


def test_what_does_not_fit_is_refused(system: Path, tmp_path: Path) -> None:
    for name in ("kernel", "initrd"):
        (tmp_path / name).write_bytes(b"x")
    with (tmp_path / "root.sqfs").open("wb") as file:
        file.truncate(PARTITIONS[5].size + 1)
    with pytest.raises(assemble.TooLargeError, match=r"root\.sqfs"):
        assemble.assemble(tmp_path, None, tmp_path, EPOCH_S)


def test_the_block_map_writes_what_matters(made: Path, tmp_path: Path) -> None:
    """On a card full of something else, what is written by the map alone reads as the image does."""
    disk = made / "disk.img"
    text = block_map(disk)
    document = ElementTree.fromstring(text)
    checksum = document.findtext("BmapFileChecksum", "").strip()
    assert checksum == hashlib.sha256(text.replace(checksum, "0" * 64).encode()).hexdigest()
    used = tmp_path / "card.img"
    mapped = 0
    with disk.open("rb") as source, used.open("wb") as card:
        for _ in range(SIZE // (1024 * 1024)):
            card.write(b"\xa5" * 1024 * 1024)
        for each in document.iter("Range"):
            first, last = (int(number) for number in (each.text or "").strip().split("-"))
            source.seek(first * BLOCK)
            octets = source.read((last - first + 1) * BLOCK)
            assert hashlib.sha256(octets).hexdigest() == each.get("chksum")
            card.seek(first * BLOCK)
            card.write(octets)
            mapped += last - first + 1
    assert int(document.findtext("MappedBlocksCount", "0")) == mapped < SIZE // BLOCK // 4
    for number in (1, 2, 3):
        fat = Card(used).extract(number, tmp_path / "fat")
        run_tool("fsck.vfat", "-n", fat)
    with used.open("rb") as card:
        card.seek(PARTITIONS[7].offset)
        assert not any(card.read(1024 * 1024)), "the data partition would not count as new"


def test_the_bill_of_materials_names_packages_and_what_is_vendored() -> None:
    bill = bill_of_materials(_STATUS, "image", EPOCH_S)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    purls = {component.get("purl") for component in bill["components"]}
    assert "pkg:deb/debian/bash@5.2.37-2%2Bb5?arch=arm64" in purls
    names = {component["name"] for component in bill["components"]}
    assert {"rtu-bridge", "bash", "gpiozero", "uvloop"} <= names
    assert "gone" not in names
