"""Lines of the packaged bridge in the guest: a UART, and a USB adapter that comes and goes."""

from __future__ import annotations

import pytest

from tests.deploy import site
from tests.deploy.guest import Guest
from tests.support.raw_peers import RawMaster
from tests.support.waiting import until

pytestmark = [pytest.mark.guest, pytest.mark.timeout(900)]


def test_frames_pass_a_16550(guest: Guest) -> None:
    site.configure(guest, site.configuration("/dev/ttyS2"))
    site.wait_for_line(guest, is_up=True)
    with guest.far_end("ttyS2") as rtu, RawMaster("127.0.0.1", guest.port(site.PORT)) as master:
        for _ in range(20):
            site.exchange(master, rtu)
    (outstation,) = site.status(guest)["outstations"]
    assert (outstation["frames_from_master"], outstation["frames_to_master"]) == (20, 20)


def test_an_adapter_is_plugged_in_and_pulled_out(guest: Guest) -> None:
    site.configure(guest, site.configuration(site.ADAPTER))
    assert "not open: bay" in guest.run("systemctl show -p StatusText rtu-bridge").out
    with RawMaster("127.0.0.1", guest.port(site.PORT)) as master:
        for _ in range(2):
            with guest.far_end("usb1") as rtu:
                site.wait_for_line(guest, is_up=True)
                guest.until("systemctl show -p StatusText rtu-bridge", "all lines are open")
                site.exchange(master, rtu)
            site.wait_for_line(guest, is_up=False)
    assert guest.run("systemctl show -p NRestarts --value rtu-bridge").out.strip() == "0"


def test_an_adapter_answers_at_once_and_needs_no_alias_if_it_has_a_serial_number(guest: Guest) -> None:
    with guest.far_end("usb2"):
        guest.until("ls /dev/serial/by-id", "BBB2")
        device = guest.run("readlink -f /dev/serial/by-id/*BBB2*").out.strip()
        timer = f"/sys/bus/usb-serial/devices/{device.removeprefix('/dev/')}/latency_timer"
        assert guest.read(timer) == b"1\n"
        assert "rtu-usb" not in guest.run("ls /dev").out


def test_an_adapter_without_a_serial_number_of_its_own_is_known_by_its_socket(guest: Guest) -> None:
    with guest.far_end("cheap"):
        aliases = guest.until("ls /dev", "rtu-usb-")
        (alias,) = [name for name in aliases.split() if name.startswith("rtu-usb-")]
        target = guest.run(f"readlink -f /dev/{alias} /dev/serial/by-id/*_0001-*").out.split()
        assert target[0] == target[1]
        assert target[0].startswith("/dev/ttyUSB")
    until(
        lambda: "rtu-usb-" not in guest.run("ls /dev").out, "the alias goes with the adapter", within_s=60.0
    )


def test_the_system_led_flashes_fast_while_a_line_is_missing(guest: Guest) -> None:
    site.configure(guest, site.configuration(site.ADAPTER))
    until(
        lambda: site.watch(guest, site.SYSTEM_PIN, for_s=2.0).changes >= 8,
        "fast flashes",
        within_s=60.0,
    )
