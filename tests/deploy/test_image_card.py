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
from tests.deploy.card import DATA, Card
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
        with twin.far_end("ttyS1") as rtu:
            site.poll(twin, rtu)


def _assert_clean(card: Card, folder: Path) -> None:
    """The data partition needs no more than its journal and its free counts, which every mount sets right."""
    # It stops with 4 at anything that could lose something.
    run_tool("e2fsck", "-f", "-p", card.extract(DATA, folder / "data.ext4"), statuses=(0, 1))


def test_slot_b_boots(card: Card) -> None:
    card.put("bridge.toml", site.configuration("/dev/ttyS1"))
    with Box(card, slot="b") as twin:
        site.wait_until_up(twin)
        root = twin.run("findmnt -no SOURCE /run/root-disk").out.strip()
        assert root.endswith("6"), root
        site.assert_nothing_failed(twin)
        with twin.far_end("ttyS1") as rtu:
            site.poll(twin, rtu)


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
        with twin.far_end("ttyS1") as rtu:
            site.poll(twin, rtu)
        assert " ro," in twin.run("findmnt -no FSTYPE,OPTIONS /boot/config").out
    told = (card.get("bridge.errors.txt") or b"").decode()
    assert "bridge.toml" in told
    assert "listen" in told

    card.put("bridge.toml", site.configuration("/dev/ttyS2"))
    with Box(card) as twin:
        site.wait_until_up(twin)
        with twin.far_end("ttyS2") as rtu:
            site.poll(twin, rtu)
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
        with twin.far_end("ttyS1") as rtu:
            site.poll(twin, rtu)


def test_with_a_full_data_partition_it_runs_what_is_on_the_card(card: Card) -> None:
    card.put("bridge.toml", site.configuration("/dev/ttyS1"))
    with Box(card) as twin:
        site.wait_until_up(twin)
        twin.run("dd if=/dev/zero of=/data/full bs=64k 2>/dev/null; sync", status=None)
        assert twin.run("echo x >/data/more && sync", status=None).status != 0
    card.put("bridge.toml", site.configuration("/dev/ttyS2"))
    with Box(card) as twin:
        site.wait_until_up(twin)
        with twin.far_end("ttyS2") as rtu:
            site.poll(twin, rtu)
