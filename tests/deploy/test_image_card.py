"""Cards whose power is cut and that are not as they should be, in the image's twin: see tests/deploy/box.py.

What the emulated card has taken is on it: caches that a real one loses are not emulated.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy import site
from tests.deploy.box import Box
from tests.deploy.card import BOOT_A, BOOT_B, DATA, MIB, PARTITIONS, Card
from tests.deploy.tools import run_tool
from tests.support.frames import link_status_request
from tests.support.raw_peers import RawMaster

pytestmark = [pytest.mark.guest, pytest.mark.timeout(1800)]

POWER_CUTS = int(os.environ.get("RTU_BRIDGE_POWER_CUTS", "3"))


@pytest.fixture
def card(twin_image: Path, tmp_path: Path) -> Iterator[Card]:
    """A card that was flashed just now."""
    card = Card.flashed(twin_image / "disk.img", tmp_path)
    yield card
    card.disk.unlink()


# Power cuts. What the emulated card has taken is on it: caches that a real one loses are not emulated.


def test_it_comes_back_from_power_cuts_in_traffic(card: Card, tmp_path: Path) -> None:
    card.put("bridge.toml", site.configuration("/dev/ttyS1"))
    for _ in range(POWER_CUTS):
        with Box(card) as twin:
            site.wait_until_up(twin)
            site.assert_nothing_failed(twin)
            assert twin.run("dmesg | grep -E 'EXT4-fs (error|warning)|FAT-fs.*error'", status=None).out == ""
            twin.run("(while :; do date >/data/rtu-bridge/written; sync; done) </dev/null >/dev/null 2>&1 &")
            with twin.far_end("ttyS1") as rtu, RawMaster("127.0.0.1", twin.port(site.PORT)) as master:
                for _ in range(5):
                    site.exchange(master, rtu)
                master.send(link_status_request(10).octets)  # and the power goes
        _assert_clean(card, tmp_path)
    with Box(card) as twin:
        site.wait_until_up(twin)
        site.poll_through(twin, "ttyS1")


def _assert_clean(card: Card, folder: Path) -> None:
    """The data partition needs no more than its journal and its free counts, which every mount sets right."""
    # It stops with 4 at anything that could lose something.
    run_tool("e2fsck", "-f", "-p", card.extract(DATA, folder / "data.ext4"), statuses=(0, 1))


def test_what_the_recorder_wrote_outlives_the_power(card: Card) -> None:
    card.put("bridge.toml", site.configuration("/dev/ttyS1"))
    with Box(card) as twin:
        site.wait_until_up(twin)
        site.poll_through(twin, "ttyS1")
        written = twin.run("rtu-bridge capture --write").out.strip()
        assert written.startswith("/var/lib/rtu-bridge/captures/"), written
    with Box(card) as twin:
        site.wait_until_up(twin)
        site.assert_nothing_failed(twin)
        assert twin.run(f"stat -c '%U %a' {written}").out == "rtu-bridge 600\n"
        assert "REQUEST_LINK_STATUS" in twin.run(f"rtu-bridge decode {written}").out


def test_slot_b_boots(card: Card) -> None:
    card.put("bridge.toml", site.configuration("/dev/ttyS1"))
    with Box(card, slot="b") as twin:
        site.wait_until_up(twin)
        root = twin.run("findmnt -no SOURCE /run/root-disk").out.strip()
        assert root.endswith("6"), root
        site.assert_nothing_failed(twin)
        site.poll_through(twin, "ttyS1")


# A card that is not as it should be


def test_a_wrong_configuration_is_told_on_the_card_and_the_last_right_one_runs(card: Card) -> None:
    card.put("bridge.toml", site.configuration("/dev/ttyS1"))
    with Box(card) as twin:
        site.wait_until_up(twin)
        twin.run("sync")
    assert "bridge.errors.txt" not in card.names()

    card.put("bridge.toml", "[server.main]\nlisten = 1\n")
    with Box(card) as twin:
        site.wait_until_up(twin)
        site.poll_through(twin, "ttyS1")
        assert " ro," in twin.run("findmnt -no FSTYPE,OPTIONS /boot/config").out
    told = (card.get("bridge.errors.txt") or b"").decode()
    assert "bridge.toml" in told
    assert "listen" in told

    card.put("bridge.toml", site.configuration("/dev/ttyS2"))
    with Box(card) as twin:
        site.wait_until_up(twin)
        site.poll_through(twin, "ttyS2")
    assert "bridge.errors.txt" not in card.names()


def test_without_its_fat_it_runs_what_was_right_last(card: Card) -> None:
    card.put("bridge.toml", site.configuration("/dev/ttyS1"))
    with Box(card) as twin:
        site.wait_until_up(twin)
        twin.run("sync")
    card.wipe(1)
    with Box(card) as twin:
        site.wait_until_up(twin)
        assert "cannot be mounted" in twin.run("journalctl -u rtu-bridge-firstboot -o cat --no-pager").out
        site.poll_through(twin, "ttyS1")


def test_with_a_full_data_partition_it_runs_what_is_on_the_card(card: Card) -> None:
    card.put("bridge.toml", site.configuration("/dev/ttyS1"))
    with Box(card) as twin:
        site.wait_until_up(twin)
        # What ext4 had set aside for the metadata of large writes is free again after the sync.
        fill = "dd if=/dev/zero of=/data/full bs=$size oflag=append conv=notrunc 2>/dev/null; sync"
        twin.run(f"for size in 64k 4k 1k; do {fill}; done", status=None)
        more = "dd if=/dev/zero of=/data/more bs=64k count=1 conv=fsync"
        assert twin.run(more, status=None).status != 0
    card.put("bridge.toml", site.configuration("/dev/ttyS2"))
    with Box(card) as twin:
        site.wait_until_up(twin)
        site.poll_through(twin, "ttyS2")


def test_with_a_damaged_data_partition_it_is_made_anew(card: Card) -> None:
    card.put("bridge.toml", site.configuration("/dev/ttyS1"))
    with Box(card) as twin:
        site.wait_until_up(twin)
        twin.run("sync")
    # As a card that dies: what looks like a file system and is none.
    with card.disk.open("r+b") as file:
        file.seek(PARTITIONS[DATA].offset + 2048)
        file.write(b"\xa5" * 4 * MIB)
    with Box(card) as twin:
        site.wait_until_up(twin)
        assert "/data" in twin.run("findmnt -no TARGET /data").out
        assert twin.read("/data/rtu-bridge/bridge.toml").decode() == site.configuration("/dev/ttyS1")
        said = twin.run("journalctl -u rtu-bridge-repair -o cat --no-pager").out
        assert "repair: the data partition was" in said


def test_without_a_configuration_it_shows_that_it_is_alive_and_says_why(card: Card) -> None:
    with Box(card) as twin:
        twin.until(
            "journalctl -u rtu-bridge-unconfigured -o cat --no-pager",
            "system_led=GPIO26",
            within_s=site.COMES_UP_WITHIN_S,
        )
        light = site.watch(twin, site.SYSTEM_PIN, for_s=8.0)
        # A second on, a second off.
        assert 0.3 < light.lit_share < 0.7, light
        said = twin.run("rtu-bridge status 2>&1", status=None).out
        assert "bridge.toml: is not there; put it on the card" in said
        assert twin.run("systemctl show -p ActiveState rtu-bridge").out == "ActiveState=inactive\n"
        site.assert_nothing_failed(twin)


def test_the_boot_partition_is_read_and_written_in_place(card: Card) -> None:
    """Elsewhere than on a Pi the first boot has nothing to tell a firmware; how it would is the same."""
    card.put("bridge.toml", site.configuration("/dev/ttyS1"))
    with Box(card) as twin:
        site.wait_until_up(twin)
        assert twin.run(f"python3 -I -c '{_REWRITE}'").out.split() == ["512", "True"]
        assert twin.run("findmnt /run/rtu-bridge-appliance/boot", status=None).status != 0
    lines = (card.get("rtu-bridge.txt", partition=BOOT_A) or b"").decode()
    assert "dtoverlay=uart3-rs485" in lines.splitlines()
    assert card.get("rtu-bridge.txt", partition=BOOT_B) != lines.encode()


_REWRITE = """
import sys
sys.path.insert(0, "/usr/lib/rtu-bridge")
from pathlib import Path
from appliance.boot_slot import BootSlots
from appliance.firmware_lines import file_of
from appliance.media import Media
from appliance.mounts import mounted_from, partition
from appliance.places import Places
places = Places()
card = mounted_from(places.mounts.read_text(), places.card)
device = Path(partition(card, 2))
slots = BootSlots(Media())
before = slots.read(device)
slots.write(device, file_of(["dtoverlay=uart3-rs485"]))
print(len(before.lines_file), "include rtu-bridge.txt" in before.config_txt)
"""
