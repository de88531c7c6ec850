"""The packaged service in the guest, under the real systemd and dpkg."""

from __future__ import annotations

import re

import pytest

from tests.deploy import site
from tests.deploy.conftest import build_package
from tests.deploy.guest import Guest
from tests.deploy.test_system_files import MOST_EXPOSURE

pytestmark = [pytest.mark.guest, pytest.mark.timeout(900)]

INSTALL_WITHIN_S = 300.0
RESTART_WITHIN_S = 300.0
"""The watchdog's 20 s, its 10 s to write what it was doing, and a start."""
_PACKAGE = "/root/rtu-bridge.deb"


@pytest.fixture(scope="module")
def bridge(guest: Guest, tmp_path_factory: pytest.TempPathFactory) -> Guest:
    """The guest with a line on /dev/ttyS1, and with the package's file."""
    guest.write(_PACKAGE, build_package("amd64", tmp_path_factory.mktemp("dist")).read_bytes())
    site.configure(guest, site.configuration("/dev/ttyS1"))
    return guest


def _show(guest: Guest, name: str) -> str:
    return guest.run(f"systemctl show -p {name} --value rtu-bridge").out.strip()


def test_nothing_failed_while_booting(guest: Guest) -> None:
    assert guest.run("systemctl --failed --no-legend --plain").out == ""


def test_udev_and_systemd_accept_the_files(guest: Guest) -> None:
    guest.run("udevadm verify /usr/lib/udev/rules.d/70-rtu-bridge.rules")
    verified = guest.run("systemd-analyze verify rtu-bridge.service")
    assert "rtu-bridge" not in verified.err
    assert 0 < site.exposure(guest) < MOST_EXPOSURE


def test_it_runs_as_its_user_with_no_capability(bridge: Guest) -> None:
    process = _show(bridge, "MainPID")
    state = bridge.read(f"/proc/{process}/status").decode()
    user = bridge.run("id -u rtu-bridge").out.strip()
    assert re.search(rf"^Uid:\s+{user}\s+{user}\s+{user}\s+{user}$", state, re.MULTILINE)
    for kind in ("CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert re.search(rf"^{kind}:\s+0+$", state, re.MULTILINE), state
    assert re.search(r"^NoNewPrivs:\s+1$", state, re.MULTILINE)
    assert re.search(r"^Seccomp:\s+2$", state, re.MULTILINE)


def test_its_status_is_in_systemds(bridge: Guest) -> None:
    assert _show(bridge, "StatusText") == "all lines are open"
    assert _show(bridge, "ActiveState") == "active"


def test_a_bridge_that_hangs_is_ended_and_started_again(bridge: Guest) -> None:
    bridge.run("systemctl restart rtu-bridge")
    process = _show(bridge, "MainPID")
    bridge.run(f"kill -STOP {process}")
    bridge.until("systemctl show -p NRestarts --value rtu-bridge", "1", within_s=RESTART_WITHIN_S)
    bridge.until("systemctl is-active rtu-bridge", "active", within_s=RESTART_WITHIN_S)
    assert _show(bridge, "MainPID") != process
    assert "Watchdog timeout" in bridge.run("journalctl -u rtu-bridge -o cat --no-pager").out


def test_a_wrong_configuration_is_said_once_and_not_tried_for_ever(bridge: Guest) -> None:
    bridge.write(site.CONFIGURATION, "[server.main]\nlisten = 1\n")
    bridge.run("systemctl restart rtu-bridge", status=1)
    assert (_show(bridge, "ActiveState"), _show(bridge, "ExecMainStatus")) == ("failed", "2")
    assert "listen" in bridge.run("journalctl -u rtu-bridge -o cat --no-pager -n 20").out
    site.configure(bridge, site.configuration("/dev/ttyS1"))
    assert _show(bridge, "ActiveState") == "active"


# The package's scripts


def _dpkg(guest: Guest, command: str) -> str:
    outcome = guest.run(f"DEBIAN_FRONTEND=noninteractive dpkg {command} 2>&1", within_s=INSTALL_WITHIN_S)
    return outcome.out


def test_an_upgrade_restarts_it_and_keeps_the_configuration(bridge: Guest) -> None:
    process, configured = _show(bridge, "MainPID"), bridge.read(site.CONFIGURATION)
    _dpkg(bridge, f"-i {_PACKAGE}")
    assert _show(bridge, "ActiveState") == "active"
    assert _show(bridge, "MainPID") != process
    assert bridge.read(site.CONFIGURATION) == configured


def test_an_upgrade_leaves_a_bridge_running_whose_configuration_has_become_wrong(bridge: Guest) -> None:
    configured, process = bridge.read(site.CONFIGURATION), _show(bridge, "MainPID")
    bridge.write(site.CONFIGURATION, "[server.main]\nlisten = 1\n")
    printed = _dpkg(bridge, f"-i {_PACKAGE}")
    assert f"{site.CONFIGURATION}: server.main.listen" in printed
    assert (_show(bridge, "ActiveState"), _show(bridge, "MainPID")) == ("active", process)
    bridge.write(site.CONFIGURATION, configured)


def test_an_upgrade_leaves_it_switched_off_if_it_was(bridge: Guest) -> None:
    bridge.run("systemctl disable rtu-bridge")
    _dpkg(bridge, f"-i {_PACKAGE}")
    assert bridge.run("systemctl is-enabled rtu-bridge", status=None).out.strip() == "disabled"
    bridge.run("systemctl enable rtu-bridge")


def test_removal_keeps_the_configuration_and_a_purge_does_not(bridge: Guest) -> None:
    configured = bridge.read(site.CONFIGURATION)
    _dpkg(bridge, "-r rtu-bridge")
    assert bridge.read(site.CONFIGURATION) == configured
    assert bridge.run("ls -d /usr/lib/rtu-bridge", status=None).status != 0, "bytecode was left behind"
    assert bridge.run("systemctl is-active rtu-bridge", status=None).out.strip() == "inactive"

    _dpkg(bridge, f"-i {_PACKAGE}")
    assert bridge.read(site.CONFIGURATION) == configured
    assert _show(bridge, "ActiveState") == "active"

    _dpkg(bridge, "-P rtu-bridge")
    assert bridge.run("ls -d /etc/rtu-bridge /var/lib/rtu-bridge", status=None).out == ""


def test_a_first_installation_runs_with_an_example_that_accepts_nobody(bridge: Guest) -> None:
    _dpkg(bridge, f"-i {_PACKAGE}")
    assert _show(bridge, "ActiveState") == "active"
    assert bridge.run("systemctl is-enabled rtu-bridge").out.strip() == "enabled"
    assert bridge.read(site.CONFIGURATION) == bridge.read("/usr/share/rtu-bridge/bridge.toml")
    assert "not open: bay1" in _show(bridge, "StatusText")
