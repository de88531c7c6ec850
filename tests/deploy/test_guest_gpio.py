"""LEDs of the packaged bridge in the guest, read back from the simulated pins."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.deploy import site
from tests.deploy.far_end import FarEnd
from tests.deploy.guest import Guest
from tests.support.frames import link_status_request
from tests.support.raw_peers import RawMaster
from tests.support.waiting import until

pytestmark = [pytest.mark.guest, pytest.mark.timeout(900)]

LED_WITHIN_S = 60.0


@pytest.fixture(scope="module")
def bridge(guest: Guest) -> Guest:
    """The guest with a line on /dev/ttyS1."""
    site.configure(guest, site.configuration("/dev/ttyS1"))
    site.wait_for_line(guest, is_up=True)
    return guest


@pytest.fixture
def rtu(bridge: Guest) -> Iterator[FarEnd]:
    """The RTU at the other end of the line."""
    with bridge.far_end("ttyS1") as rtu:
        yield rtu


def test_the_pins_are_the_services_alone(bridge: Guest) -> None:
    consumers = bridge.run("cat /sys/kernel/debug/gpio").out
    used = {line.split()[0] for line in consumers.splitlines() if "rtu-bridge" in line}
    # The kernel counts pins of all chips: the last digits are the line's.
    assert len(used) == 2, consumers
    log = bridge.run("journalctl -u rtu-bridge -o cat --no-pager").out
    assert "no LED" not in log


def test_the_led_follows_the_master(bridge: Guest, rtu: FarEnd) -> None:
    bridge.run("systemctl restart rtu-bridge")
    site.wait_for_line(bridge, is_up=True)
    never = site.watch(bridge, site.LED_PIN, for_s=3.0)
    assert never.lit_share == 0, "nobody was there since the start"

    with RawMaster("127.0.0.1", bridge.port(site.PORT)) as master:
        site.exchange(master, rtu)
        until(
            lambda: site.watch(bridge, site.LED_PIN, for_s=1.0).lit_share == 1,
            "on and steady while nothing is missing",
            within_s=LED_WITHIN_S,
        )
    until(
        lambda: 0 < site.watch(bridge, site.LED_PIN, for_s=4.0).lit_share < 0.3,
        "a short wink now and then when the master is gone",
        within_s=LED_WITHIN_S,
    )
    with RawMaster("127.0.0.1", bridge.port(site.PORT)) as master:
        site.exchange(master, rtu)
        until(
            lambda: site.watch(bridge, site.LED_PIN, for_s=1.0).lit_share == 1,
            "on again when he is back",
            within_s=LED_WITHIN_S,
        )


def test_the_led_flickers_while_the_rtu_is_silent(bridge: Guest, rtu: FarEnd) -> None:
    with RawMaster("127.0.0.1", bridge.port(site.PORT)) as master:

        def is_flickering() -> bool:
            master.send(link_status_request(10).octets)
            rtu.read_frame()
            return site.watch(bridge, site.LED_PIN, for_s=2.0).changes >= 12  # 5 Hz: 20

        until(is_flickering, "5 Hz", within_s=LED_WITHIN_S)


def test_the_system_led_beats(bridge: Guest) -> None:
    light = site.watch(bridge, site.SYSTEM_PIN, for_s=5.0)
    assert 4 <= light.changes <= 14, light  # once a second: 10


def test_the_pins_are_dark_when_the_service_has_ended(bridge: Guest, rtu: FarEnd) -> None:
    with RawMaster("127.0.0.1", bridge.port(site.PORT)) as master:
        site.exchange(master, rtu)
        bridge.run("systemctl stop rtu-bridge")
    assert [site.pin(bridge, number) for number in (site.LED_PIN, site.SYSTEM_PIN)] == [0, 0]
    bridge.run("systemctl start rtu-bridge")
