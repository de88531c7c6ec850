"""Units, udev rules and the user, as far as this machine's tools can check them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.conftest import DEPLOY

pytestmark = [pytest.mark.wire]

UNITS = sorted((DEPLOY / "systemd").iterdir())
RULES = sorted((DEPLOY / "udev").glob("*.rules"))
MOST_EXPOSURE = 2.0
_RULE_KEY = re.compile(r'[A-Z]+(\{[^}]+\})?(==|!=|\+=|:=|=)"[^"]*"$')
_MATCHES = ("==", "!=")


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_finds_nothing_wrong_with_the_unit(unit: Path) -> None:
    verified = _run("systemd-analyze", "verify", str(unit))
    # Programs of the image need not be on this machine.
    complaints = [
        line
        for line in verified.stderr.splitlines()
        if unit.name in line and not line.endswith("is not executable: No such file or directory")
    ]
    assert complaints == []


def test_the_service_is_exposed_little() -> None:
    unit = DEPLOY / "systemd/rtu-bridge.service"
    rated = _run("systemd-analyze", "security", "--offline=yes", str(unit))
    if "unrecognized option" in rated.stderr:
        pytest.skip("this systemd cannot rate a unit that is not loaded")
    (exposure,) = re.findall(r"exposure level for rtu-bridge.service: ([\d.]+)", rated.stdout)
    assert 0 < float(exposure) < MOST_EXPOSURE


def test_recordings_have_the_folder_that_the_readme_names() -> None:
    text = (DEPLOY / "systemd/rtu-bridge.service").read_text(encoding="utf-8")
    (state,) = re.findall(r"^StateDirectory=(\S+)$", text, re.MULTILINE)
    readme = (DEPLOY.parent.parent / "README.md").read_text(encoding="utf-8")
    assert f'folder = "/var/lib/{state}/captures"' in readme


def test_the_service_may_read_how_the_machine_is() -> None:
    text = (DEPLOY / "systemd/rtu-bridge.service").read_text(encoding="utf-8")
    assert not re.findall(r"^ProcSubset=", text, re.MULTILINE), "it hides what hw/vitals.py reads"


def test_the_watchdog_waits_longer_than_the_grace_time_and_the_start_too() -> None:
    from bridge.service.notify import GRACE_S

    text = (DEPLOY / "systemd/rtu-bridge.service").read_text(encoding="utf-8")
    times = {name: float(value) for name, value in re.findall(r"^(\w+Sec)=(\d+)$", text, re.MULTILINE)}
    assert times["WatchdogSec"] >= 2 * GRACE_S
    assert times["TimeoutStartSec"] >= 3 * GRACE_S


@pytest.mark.parametrize("rules", RULES, ids=lambda path: path.name)
def test_udev_rules_are_of_its_form(rules: Path) -> None:
    labels, jumps = [], []
    for line in _logical_lines(rules):
        parts = re.split(r",\s*", line)
        for part in parts:
            assert _RULE_KEY.fullmatch(part), f"{part!r} in {line!r}"
        jumps += re.findall(r'GOTO="(\w+)"', line)
        labels += re.findall(r'LABEL="(\w+)"', line)
        assert "LABEL" in line or any(match in line for match in _MATCHES), f"matches everything: {line}"
    assert sorted(set(jumps)) == sorted(labels)


@pytest.mark.parametrize("rules", RULES, ids=lambda path: path.name)
def test_udev_accepts_its_rules(rules: Path) -> None:
    verified = _run("udevadm", "verify", str(rules))
    if "Unknown operation" in verified.stderr or "verify" in verified.stderr.partition("\n")[0]:
        pytest.skip("this udevadm cannot verify rules")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_the_rules_come_after_those_that_find_out_the_serial_number() -> None:
    assert all(rules.name > "60-serial.rules" for rules in RULES)


def test_the_user_has_the_groups_that_devices_belong_to(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    made = _run("systemd-sysusers", f"--root={tmp_path}", str(DEPLOY / "sysusers/rtu-bridge.conf"))
    if made.returncode != 0 and "ermission" in made.stderr:
        pytest.skip("only root can make users, also below a folder")
    assert made.returncode == 0, made.stderr
    (user,) = [
        line for line in (tmp_path / "etc/passwd").read_text().splitlines() if line.startswith("rtu-bridge:")
    ]
    assert user.endswith(":/var/lib/rtu-bridge:/usr/sbin/nologin")
    groups = [line.split(":") for line in (tmp_path / "etc/group").read_text().splitlines()]
    assert {name for name, _, _, members in groups if "rtu-bridge" in members} == {"dialout", "gpio"}


def _logical_lines(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8").replace("\\\n", "")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
