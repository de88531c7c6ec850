"""The image's twin boots, bridges, and comes back: see tests/deploy/twin.py for what is emulated."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy import site
from tests.deploy.guest import FarEnd
from tests.deploy.twin import Card, Twin
from tests.support.frames import link_status, link_status_request
from tests.support.raw_peers import RawMaster
from tests.support.waiting import until

pytestmark = [pytest.mark.guest, pytest.mark.timeout(1800)]

POWER_CUTS = int(os.environ.get("RTU_BRIDGE_POWER_CUTS", "3"))
COMES_UP_WITHIN_S = 300.0
LED_WITHIN_S = 60.0
_DATA = 7


@pytest.fixture(scope="module")
def twin(twin_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twin]:
    """A running twin with a right configuration on its card."""
    card = Card.copy_of(twin_image, tmp_path_factory.mktemp("card"))
    card.put("bridge.toml", site.configuration("/dev/ttyS1"))
    with Twin(card) as twin:
        _wait_until_up(twin)
        yield twin


@pytest.fixture
def card(twin_image: Path, tmp_path: Path) -> Iterator[Card]:
    """A card that was flashed just now."""
    card = Card.copy_of(twin_image, tmp_path)
    yield card
    card.disk.unlink()


def _wait_until_up(twin: Twin) -> None:
    twin.until("systemctl show -p ActiveState rtu-bridge", "=active\n", within_s=COMES_UP_WITHIN_S)
    site.wait_for_line(twin, is_up=True)


def _poll(twin: Twin, rtu: FarEnd) -> None:
    with RawMaster("127.0.0.1", twin.port(site.PORT)) as master:
        _exchange(master, rtu)


def _exchange(master: RawMaster, rtu: FarEnd) -> None:
    master.send(link_status_request(10).octets)
    assert rtu.read_frame() == link_status_request(10).octets
    rtu.write(link_status(10).octets)
    assert master.read_frame() == link_status(10).octets


def _assert_nothing_failed(twin: Twin) -> None:
    twin.run("systemctl is-system-running --wait", status=None, within_s=COMES_UP_WITHIN_S)
    assert twin.run("systemctl --failed --no-legend --plain").out == ""


# A right card


def test_it_boots_and_nothing_failed(twin: Twin) -> None:
    _assert_nothing_failed(twin)


def test_it_writes_nothing_on_its_root(twin: Twin) -> None:
    assert twin.run("findmnt -no FSTYPE,OPTIONS /run/root-disk").out.startswith("squashfs ro,")
    assert twin.run("findmnt -no FSTYPE /").out.strip() == "overlay"
    assert twin.run("findmnt -no FSTYPE /run/root-memory").out.strip() == "tmpfs"
    assert " ro," in twin.run("findmnt -no FSTYPE,OPTIONS /boot/config").out
    assert twin.run("find /var/log/journal -type f").out == ""
    assert twin.run("find /run/log/journal -type f").out != ""


def test_nobody_can_log_in_and_ssh_is_off(twin: Twin) -> None:
    shadow = twin.read("/etc/shadow").decode().splitlines()
    assert [line for line in shadow if line.split(":")[1] not in {"*", "!", "!*"}] == []
    listening = twin.run("ss -Hltn 'sport = :22'").out
    assert listening == ""
    assert twin.run("systemctl list-units --no-legend --plain '*getty*.service' 'ssh*.service'").out == ""


def test_the_bridge_runs_what_is_on_the_card(twin: Twin) -> None:
    assert twin.run("readlink -f /etc/rtu-bridge/bridge.toml").out.strip() == (
        "/run/rtu-bridge-appliance/bridge.toml"
    )
    assert twin.read("/data/rtu-bridge/bridge.toml").decode() == site.configuration("/dev/ttyS1")


def test_the_firewall_admits_the_listener_only(twin: Twin) -> None:
    rules = twin.run("nft list ruleset").out
    assert "policy drop" in rules
    assert f"tcp dport {site.PORT} accept" in rules
    assert "tcp dport 22" not in rules


def test_the_service_is_exposed_as_little_as_elsewhere(twin: Twin) -> None:
    rated = twin.run("systemd-analyze security rtu-bridge.service --no-pager").out
    assert float(rated.split("exposure level for rtu-bridge.service: ")[1].split()[0]) < 2.0


def test_a_master_reaches_the_rtu_and_its_led_follows(twin: Twin) -> None:
    with twin.serial(1) as rtu:
        with RawMaster("127.0.0.1", twin.port(site.PORT)) as master:
            _exchange(master, rtu)
            until(
                lambda: site.watch(twin, site.LED_PIN, for_s=1.0).lit_share == 1,
                "on and steady while nothing is missing",
                within_s=LED_WITHIN_S,
            )
        until(
            lambda: 0 < site.watch(twin, site.LED_PIN, for_s=4.0).lit_share < 0.3,
            "a short wink now and then when the master is gone",
            within_s=LED_WITHIN_S,
        )


def test_a_killed_bridge_comes_back(twin: Twin) -> None:
    before = twin.run("systemctl show -p MainPID --value rtu-bridge").out.strip()
    twin.run(f"kill -KILL {before}")
    until(
        lambda: twin.run("systemctl show -p MainPID --value rtu-bridge").out.strip() not in {before, "0"},
        "another process",
        within_s=LED_WITHIN_S,
    )
    _wait_until_up(twin)
    with twin.serial(1) as rtu:
        _poll(twin, rtu)


# Power cuts. What the emulated card has taken is on it: caches that a real one loses are not emulated.


def test_it_comes_back_from_power_cuts_in_traffic(card: Card, tmp_path: Path) -> None:
    card.put("bridge.toml", site.configuration("/dev/ttyS1"))
    for _ in range(POWER_CUTS):
        with Twin(card) as twin:
            _wait_until_up(twin)
            _assert_nothing_failed(twin)
            assert twin.run("dmesg | grep -E 'EXT4-fs (error|warning)|FAT-fs.*error'", status=None).out == ""
            twin.run("(while :; do date >/data/rtu-bridge/written; sync; done) </dev/null >/dev/null 2>&1 &")
            with twin.serial(1) as rtu, RawMaster("127.0.0.1", twin.port(site.PORT)) as master:
                for _ in range(5):
                    _exchange(master, rtu)
                master.send(link_status_request(10).octets)  # and the power goes
        _assert_clean(card, tmp_path)
    with Twin(card) as twin:
        _wait_until_up(twin)
        with twin.serial(1) as rtu:
            _poll(twin, rtu)


def _assert_clean(card: Card, folder: Path) -> None:
    """The data partition needs no more than its journal and its free counts, which every mount sets right."""
    data = card.extract(_DATA, folder / "data.ext4")
    # It stops with 4 at anything that could lose something.
    checked = subprocess.run(
        ["e2fsck", "-f", "-p", str(data)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
    )
    assert checked.returncode in {0, 1}, checked.stdout + checked.stderr


def test_slot_b_boots(card: Card) -> None:
    card.put("bridge.toml", site.configuration("/dev/ttyS1"))
    with Twin(card, slot="b") as twin:
        _wait_until_up(twin)
        root = twin.run("findmnt -no SOURCE /run/root-disk").out.strip()
        assert root.endswith("6"), root
        _assert_nothing_failed(twin)
        with twin.serial(1) as rtu:
            _poll(twin, rtu)


# A card that is not as it should be


def test_a_wrong_configuration_is_told_on_the_card_and_the_last_right_one_runs(card: Card) -> None:
    card.put("bridge.toml", site.configuration("/dev/ttyS1"))
    with Twin(card) as twin:
        _wait_until_up(twin)
        twin.run("sync")
    assert "bridge.errors.txt" not in card.names()

    card.put("bridge.toml", "[server.main]\nlisten = 1\n")
    with Twin(card) as twin:
        _wait_until_up(twin)
        with twin.serial(1) as rtu:
            _poll(twin, rtu)
        assert " ro," in twin.run("findmnt -no FSTYPE,OPTIONS /boot/config").out
    told = (card.get("bridge.errors.txt") or b"").decode()
    assert "bridge.toml" in told
    assert "listen" in told

    card.put("bridge.toml", site.configuration("/dev/ttyS2"))
    with Twin(card) as twin:
        _wait_until_up(twin)
        with twin.serial(2) as rtu:
            _poll(twin, rtu)
    assert "bridge.errors.txt" not in card.names()


def test_without_its_fat_it_runs_what_was_right_last(card: Card) -> None:
    card.put("bridge.toml", site.configuration("/dev/ttyS1"))
    with Twin(card) as twin:
        _wait_until_up(twin)
        twin.run("sync")
    card.wipe(1)
    with Twin(card) as twin:
        _wait_until_up(twin)
        assert "cannot be mounted" in twin.run("journalctl -u rtu-bridge-firstboot -o cat --no-pager").out
        with twin.serial(1) as rtu:
            _poll(twin, rtu)


def test_with_a_full_data_partition_it_runs_what_is_on_the_card(card: Card) -> None:
    card.put("bridge.toml", site.configuration("/dev/ttyS1"))
    with Twin(card) as twin:
        _wait_until_up(twin)
        twin.run("dd if=/dev/zero of=/data/full bs=64k 2>/dev/null; sync", status=None)
        assert twin.run("echo x >/data/more && sync", status=None).status != 0
    card.put("bridge.toml", site.configuration("/dev/ttyS2"))
    with Twin(card) as twin:
        _wait_until_up(twin)
        with twin.serial(2) as rtu:
            _poll(twin, rtu)
