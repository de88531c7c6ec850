"""The image's twin boots, bridges, and comes back: see tests/deploy/box.py for what is emulated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy import site, stacks
from tests.deploy.box import Box
from tests.deploy.card import Card
from tests.deploy.far_end import Cable
from tests.deploy.test_system_files import MOST_EXPOSURE, UNITS
from tests.support.opendnp3 import Opendnp3, analog_values, o, values_of_every_kind
from tests.support.raw_peers import RawMaster
from tests.support.waiting import until

pytestmark = [pytest.mark.guest, pytest.mark.timeout(1800)]

LED_WITHIN_S = 60.0


@pytest.fixture(scope="module")
def twin(twin_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A running twin with a right configuration on its card."""
    card = Card.flashed(twin_image / "disk.img", tmp_path_factory.mktemp("card"))
    card.put("bridge.toml", site.configuration("/dev/ttyS1"))
    with Box(card) as twin:
        site.wait_until_up(twin)
        yield twin


@pytest.mark.smoke
def test_it_boots_and_nothing_failed(twin: Box) -> None:
    site.assert_nothing_failed(twin)


@pytest.mark.smoke
def test_it_writes_nothing_on_its_root(twin: Box) -> None:
    assert twin.run("findmnt -no FSTYPE,OPTIONS /run/root-disk").out.startswith("squashfs ro,")
    assert twin.run("findmnt -no FSTYPE /").out.strip() == "overlay"
    assert twin.run("findmnt -no FSTYPE /run/root-memory").out.strip() == "tmpfs"
    assert " ro," in twin.run("findmnt -no FSTYPE,OPTIONS /boot/config").out
    assert twin.run("find /var/log/journal -type f").out == ""
    assert twin.run("find /run/log/journal -type f").out != ""


@pytest.mark.smoke
def test_nobody_can_log_in_and_ssh_is_off(twin: Box) -> None:
    shadow = twin.read("/etc/shadow").decode().splitlines()
    assert [line for line in shadow if line.split(":")[1] not in {"*", "!", "!*"}] == []
    listening = twin.run("ss -Hltn 'sport = :22'").out
    assert listening == ""
    assert twin.run("systemctl list-units --no-legend --plain '*getty*.service' 'ssh*.service'").out == ""


@pytest.mark.smoke
def test_the_bridge_runs_what_is_on_the_card(twin: Box) -> None:
    assert twin.run("readlink -f /etc/rtu-bridge/bridge.toml").out.strip() == (
        "/run/rtu-bridge-appliance/bridge.toml"
    )
    assert twin.read("/data/rtu-bridge/bridge.toml").decode() == site.configuration("/dev/ttyS1")


@pytest.mark.smoke
def test_the_firewall_admits_the_listener_only(twin: Box) -> None:
    rules = twin.run("nft list ruleset").out
    assert "policy drop" in rules
    assert f"tcp dport {site.PORT} accept" in rules
    assert "tcp dport 22" not in rules


@pytest.mark.smoke
def test_systemd_and_udev_find_nothing_wrong_with_our_files(twin: Box) -> None:
    verified = twin.run(f"systemd-analyze verify {' '.join(unit.name for unit in UNITS)}")
    assert "rtu-bridge" not in verified.err
    twin.run("udevadm verify /usr/lib/udev/rules.d/70-rtu-bridge.rules")


@pytest.mark.smoke
def test_the_service_is_exposed_as_little_as_elsewhere(twin: Box) -> None:
    exposure = site.exposure(twin)
    print(f"exposure level for rtu-bridge.service: {exposure}")
    assert 0 < exposure < MOST_EXPOSURE


@pytest.mark.smoke
def test_a_master_reaches_the_rtu_and_its_led_follows(twin: Box) -> None:
    with twin.far_end("ttyS1") as rtu:
        with RawMaster("127.0.0.1", twin.port(site.PORT)) as master:
            site.exchange(master, rtu)
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


@pytest.fixture
def peers() -> Iterator[Opendnp3]:
    with Opendnp3() as peers:
        yield peers


@pytest.mark.smoke
def test_a_third_partys_master_polls_a_third_partys_rtu(twin: Box, peers: Opendnp3) -> None:
    with Cable() as cable, cable.plugged_into(twin.port_path("ttyS1")):
        rtu = stacks.outstation(peers, cable)
        rtu.set(values := values_of_every_kind(stacks.POINTS, seed=1), makes_events=False)
        master = stacks.master(peers, twin)
        master.poll_until_answered(within_s=site.COMES_UP_WITHIN_S)
        assert {point: master.soe.values[point] for point in values} == values
        command = o.ControlRelayOutputBlock(o.OperationType.LATCH_ON)
        assert master.select_and_operate(command, 3) == ["SUCCESS", "SUCCESS"]
        assert [control.index for control in rtu.controls] == [3, 3]


@pytest.fixture
def adapter_twin(twin: Box) -> Iterator[Box]:
    """The twin with its line on a USB adapter that is not plugged in."""
    site.configure(twin, site.configuration(site.ADAPTER))
    yield twin
    site.configure(twin, site.configuration("/dev/ttyS1"))


@pytest.mark.smoke
def test_an_ftdi_adapter_is_pulled_out_and_plugged_in_in_traffic(adapter_twin: Box, peers: Opendnp3) -> None:
    twin, adapter = adapter_twin, adapter_twin.port_path("usb1")
    with Cable() as cable:
        rtu, master = stacks.outstation(peers, cable), stacks.master(peers, twin)
        for seed in range(3):
            rtu.set(values := analog_values(stacks.POINTS, seed), makes_events=False)
            with cable.plugged_into(adapter):
                master.poll_until_answered(within_s=site.COMES_UP_WITHIN_S)
                assert {point: master.soe.values[point] for point in values} == values
                master.begin_poll()  # and out it comes
            site.wait_for_line(twin, is_up=False)
            master.end_poll(within_s=site.COMES_UP_WITHIN_S)
    driver = "/sys/bus/usb-serial/drivers/ftdi_sio"
    twin.run(f"test -d {driver}")
    assert twin.run("systemctl show -p NRestarts --value rtu-bridge").out.strip() == "0"


@pytest.mark.smoke
def test_a_killed_bridge_comes_back(twin: Box) -> None:
    before = twin.run("systemctl show -p MainPID --value rtu-bridge").out.strip()
    twin.run(f"kill -KILL {before}")
    until(
        lambda: twin.run("systemctl show -p MainPID --value rtu-bridge").out.strip() not in {before, "0"},
        "another process",
        within_s=LED_WITHIN_S,
    )
    site.wait_until_up(twin)
    site.poll_through(twin, "ttyS1")


@pytest.mark.smoke
def test_it_comes_back_from_a_power_cut_in_traffic(twin: Box, peers: Opendnp3) -> None:
    with Cable() as cable:
        rtu = stacks.outstation(peers, cable)
        with cable.plugged_into(twin.port_path("ttyS1")):
            master = stacks.master(peers, twin)
            master.poll_until_answered(within_s=site.COMES_UP_WITHIN_S)
            master.begin_poll()
            twin.power_off()
        twin.power_on()
        site.wait_until_up(twin)
        site.assert_nothing_failed(twin)
        with cable.plugged_into(twin.port_path("ttyS1")):
            rtu.set(values := analog_values(stacks.POINTS, seed=7), makes_events=False)
            master = stacks.master(peers, twin)
            master.poll_until_answered(within_s=site.COMES_UP_WITHIN_S)
            assert {point: master.soe.values[point] for point in values} == values
