"""The kernel module that hands "tryboot" to the firmware, compiled against a kernel that is a model."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.conftest import DEPLOY

pytestmark = [pytest.mark.wire]

FOLDER = DEPLOY / "tryboot"
SOURCE = FOLDER / "rtu_bridge_tryboot.c"
GET, SET = "tag 00030064", "tag 00038064"
RESTART, HALT, POWER_OFF = "1", "2", "3"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler here")
    folder = tmp_path_factory.mktemp("tryboot")
    for header in re.findall(r"^#include <(\S+)>", SOURCE.read_text(encoding="utf-8"), re.MULTILINE):
        (folder / header).parent.mkdir(parents=True, exist_ok=True)
        (folder / header).touch()
    made = folder / "program"
    model = Path(__file__).with_name("tryboot_kernel.c")
    # Before the system's own, which has a <linux/...> as well.
    command = [compiler, "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror", f"-I{folder}"]
    command += [f'-DMODULE="{SOURCE}"', "-o", str(made), str(model)]
    compiled = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert compiled.returncode == 0, compiled.stderr
    return made


def _reboot(program: Path, firmware: str, action: str, *text: str) -> list[str]:
    done = subprocess.run(
        [program, firmware, action, *text], capture_output=True, text=True, timeout=10, check=True
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("text", ["0 tryboot", "0 tryboot quiet", "0 quiet tryboot", "2 tryboots tryboot"])
def test_the_firmware_is_told(program: Path, text: str) -> None:
    said = _reboot(program, "new", RESTART, text)
    assert said[:2] == [GET, "loaded 0 answered Y"]
    assert said[2:4] == [SET, GET]
    assert "is to try the other slot" in said[4]
    assert "flags 1" in said


@pytest.mark.parametrize("text", ["", "0", "tryboot", "0 tryboots", "0 notryboot", "0 tryboot,", "0,tryboot"])
def test_another_reboot_is_none_of_its_business(program: Path, text: str) -> None:
    assert _reboot(program, "new", RESTART, text)[2:] == ["flags 0", "left 0 0 0"]


@pytest.mark.parametrize("action", [HALT, POWER_OFF])
def test_what_is_no_reboot_is_not_either(program: Path, action: str) -> None:
    assert _reboot(program, "new", action, "0 tryboot")[2:] == ["flags 0", "left 0 0 0"]


def test_a_reboot_without_a_text(program: Path) -> None:
    assert _reboot(program, "new", RESTART)[2:] == ["flags 0", "left 0 0 0"]


@pytest.mark.parametrize("firmware", ["old", "refusing"])
def test_a_firmware_that_does_not_know_it_is_found_out(program: Path, firmware: str) -> None:
    said = _reboot(program, firmware, RESTART, "0 tryboot")
    assert "loaded 0 answered N" in said
    assert any("does not know of tryboot" in line for line in said)
    assert any("the default slot boots again" in line for line in said)
    assert "flags 0" in said


def test_where_there_is_no_such_firmware_it_loads_and_does_nothing(program: Path) -> None:
    said = _reboot(program, "none", RESTART, "0 tryboot")
    assert said[1:] == ["loaded 0 answered N", "flags 0", "left 0 0 0"]


@pytest.mark.parametrize("firmware", ["new", "old", "refusing"])
def test_it_gives_back_what_it_took(program: Path, firmware: str) -> None:
    assert _reboot(program, firmware, RESTART, "0 tryboot")[-1] == "left 0 0 0"


def test_it_is_free_software_that_the_kernel_exports_its_functions_to() -> None:
    text = SOURCE.read_text(encoding="utf-8")
    assert text.startswith("// SPDX-License-Identifier: GPL-2.0-only")
    assert 'MODULE_LICENSE("GPL")' in text


def test_the_builder_says_how_it_is_called() -> None:
    done = subprocess.run([FOLDER / "build.sh"], capture_output=True, text=True, timeout=10)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: ")


@pytest.mark.guest
@pytest.mark.timeout(1800)
def test_it_compiles_against_debians_kernel(tmp_path: Path) -> None:
    kernel = os.environ.get("RTU_BRIDGE_KERNEL")
    if not kernel:
        pytest.skip("RTU_BRIDGE_KERNEL=7.3.4+deb13-arm64, or another, compiles it (two minutes)")
    subprocess.run([FOLDER / "build.sh", kernel, tmp_path], check=True, timeout=1200)
    octets = (tmp_path / "rtu_bridge_tryboot.ko").read_bytes()
    assert octets.startswith(b"\x7fELF")
    assert f"vermagic={kernel} ".encode() in octets
    assert b"rpi_firmware_property" in octets
