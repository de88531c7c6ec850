"""The image itself, as it is flashed: on QEMU's own board, whose PL011 is a line, and on a Raspberry Pi 4.

See tests/deploy/box.py for what is not emulated. GPIO is read from the registers, from outside.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy import site, stacks
from tests.deploy.boards import WATCHDOG_LOG, Pi4, Virt
from tests.deploy.box import Box
from tests.deploy.card import BOOT_A, Card
from tests.deploy.far_end import Cable
from tests.deploy.test_system_files import MOST_EXPOSURE
from tests.support.opendnp3 import Opendnp3, values_of_every_kind
from tests.support.raw_peers import RawMaster
from tests.support.waiting import until

pytestmark = [pytest.mark.guest, pytest.mark.timeout(7200)]

COMMAND_WITHIN_S = 300.0
LED_WITHIN_S = 300.0
WATCHDOG_WITHIN_S = 300.0
"""Fed every 7 s."""


@pytest.fixture(scope="module")
def flashed(arm64_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A card's content, flashed once."""
    return Card.flashed(arm64_image, tmp_path_factory.mktemp("flashed")).disk


@pytest.fixture
def peers() -> Iterator[Opendnp3]:
    with Opendnp3() as peers:
        yield peers


def _poll_all(peers: Opendnp3, box: Box, port: str) -> None:
    """A third party's master reads a third party's RTU behind a port."""
    with Cable() as cable, cable.plugged_into(box.port_path(port)):
        rtu = stacks.outstation(peers, cable)
        rtu.set(values := values_of_every_kind(stacks.POINTS, seed=1), makes_events=False)
        master = stacks.master(peers, box)
        master.poll_until_answered(within_s=site.COMES_UP_WITHIN_S)
        assert {point: master.soe.values[point] for point in values} == values


# QEMU's own board: the kernel's RS-485 mode on a PL011


@pytest.fixture(scope="class")
def virt(flashed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    card = Card.flashed(flashed, tmp_path_factory.mktemp("card"))
    card.put("bridge.toml", site.configuration("/dev/ttyAMA0", line='direction = "rs485"'))
    with Box(card, board=Virt()) as box:
        print(f"agent after {box.booted_in_s:.0f} s")
        site.wait_until_up(box)
        yield box


class TestVirt:
    """Switched off before the next machine is switched on."""

    def test_virt_boots_and_nothing_failed(self, virt: Box) -> None:
        assert virt.run("uname -m").out == "aarch64\n"
        site.assert_nothing_failed(virt)
        assert 0 < site.exposure(virt) < MOST_EXPOSURE

    def test_virt_has_the_kernels_rs485_mode_in_force(self, virt: Box) -> None:
        flags, before_ms, after_ms = site.rs485_flags(virt)
        assert (flags & site.MODE, before_ms, after_ms) == (site.ENABLED | site.RTS_ON_SEND, 0, 0)
        assert site.status(virt)["lines"][0]["direction"]["problem"] is None

    def test_virt_carries_a_poll(self, virt: Box, peers: Opendnp3) -> None:
        _poll_all(peers, virt, "ttyAMA0")
        until(lambda: not site.is_rts_pin_high(virt), "the bus is free after the poll")


# A Raspberry Pi 4


@pytest.fixture(scope="class")
def pi(flashed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    card = Card.flashed(flashed, tmp_path_factory.mktemp("card"))
    card.put("bridge.toml", site.configuration(site.ADAPTER))
    with Box(card, board=Pi4()) as box:
        print(f"agent after {box.booted_in_s:.0f} s")
        site.wait_until_up(box)
        yield box


class TestPi4:
    """Switched off before the next machine is switched on."""

    def test_pi_boots_and_nothing_failed(self, pi: Box) -> None:
        assert "Raspberry Pi 4" in pi.run("tr -d '\\0' </proc/device-tree/model").out
        site.assert_nothing_failed(pi)

    def test_pi_carries_a_poll_over_an_ftdi_adapter(self, pi: Box, peers: Opendnp3) -> None:
        _poll_all(peers, pi, "usb1")
        port = pi.run(f"readlink -f {site.ADAPTER}").out.strip().removeprefix("/dev/")
        driver = pi.run(f"readlink -f /sys/bus/usb-serial/devices/{port}/driver").out.strip()
        assert driver.endswith("/ftdi_sio")

    def test_pi_lights_the_led_of_an_rtu_that_answers(self, pi: Box) -> None:
        chip = pi.run("rtu-bridge hardware --json").out
        assert "pinctrl-bcm2711" in chip
        with pi.far_end("usb1") as rtu, RawMaster("127.0.0.1", pi.port(site.PORT)) as master:
            site.exchange(master, rtu)
            until(
                lambda: all(site.is_pi4_pin_high(pi, site.LED_PIN) for _ in range(20)),
                "on and steady",
                within_s=LED_WITHIN_S,
            )
        until(
            lambda: not site.is_pi4_pin_high(pi, site.LED_PIN),
            "dark between the winks",
            within_s=LED_WITHIN_S,
        )

    def test_pi_has_its_watchdog_in_the_hands_of_systemd(self, pi: Box) -> None:
        assert pi.read("/sys/class/watchdog/watchdog0/identity") == b"Broadcom BCM2835 Watchdog timer\n"
        assert pi.read("/sys/class/watchdog/watchdog0/state") == b"active\n"
        assert "/dev/watchdog" in pi.run("ls -l /proc/1/fd").out
        assert pi.run("systemctl show -p RuntimeWatchdogUSec --value").out == "14s\n"
        fed = _writes_of_watchdog(pi)
        until(lambda: _writes_of_watchdog(pi) >= fed + 2, "it is fed", within_s=WATCHDOG_WITHIN_S)


def test_pi_tells_the_firmware_of_a_line_on_the_header_and_starts_again_once(
    flashed: Path, tmp_path: Path
) -> None:
    card = Card.flashed(flashed, tmp_path)
    card.put("bridge.toml", site.configuration("/dev/rtu-uart3", line='direction = "rs485"'))
    # It comes before anything else does, and is as far as this QEMU goes.
    Box(card, board=Pi4()).watch_boot("reboot: Restarting system")
    lines = (card.get("rtu-bridge.txt", partition=BOOT_A) or b"").decode().splitlines()
    assert "dtoverlay=uart3-rs485" in lines
    assert "the box starts again once" in (card.get("bridge.notes.txt") or b"").decode()

    with Box(card, board=Pi4()) as pi:
        assert "dtoverlay=uart3-rs485" in pi.read("/run/rtu-bridge-appliance/config.txt").decode()
        assert pi.run("ls /data/rtu-bridge").out.split() == ["bridge.toml"]
        # QEMU's firmware does not know of tryboot, and an update is refused before anything is written.
        assert pi.read("/sys/module/rtu_bridge_tryboot/parameters/answered") == b"N\n"
        refused = pi.run("rtu-bridge-update /none", status=1, within_s=COMMAND_WITHIN_S).err
        assert "cannot have the firmware try a slot" in refused
    assert "starts again" not in (card.get("bridge.notes.txt") or b"").decode()


def _writes_of_watchdog(pi: Box) -> int:
    """Return how often its counter was set so far."""
    log = (pi.folder / WATCHDOG_LOG).read_text(encoding="utf-8")
    return len(re.findall(r"^bcm2835-dbus: unimplemented device write .*offset 0x0*24,", log, re.MULTILINE))
