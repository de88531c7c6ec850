"""What the tests of the deployment share: the package, built once, and the guest, booted once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.deploy.boards import Pc, Virt
from tests.deploy.guest import Guest

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy/raspberrypi"
WANTED = "RTU_BRIDGE_GUEST"
_BUILD_WITHIN_S = 7200.0
_TOOLS = {Pc().program: "qemu-system-x86", "mmdebstrap": "mmdebstrap", "sqfstar": "squashfs-tools"}
_BARE_TOOLS = {Virt().program: "qemu-system-arm", "mmdebstrap": "mmdebstrap", "cpio": "cpio"}
_ARM64_TOOLS = {Virt().program: "qemu-system-arm", "cpio": "cpio", "dtc": "device-tree-compiler"}
_TWIN_TOOLS = {**_TOOLS, "cpio": "cpio", "mcopy": "mtools"}


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known where it is used."""
    config.addinivalue_line("markers", f"guest: boots an emulated machine; {WANTED}=1 builds it if need be")
    config.addinivalue_line("markers", "smoke: in `make image-smoke`, for every change")


def build_package(architecture: str, into: Path) -> Path:
    """Run the builder as `make deb` does and return the package."""
    command = [sys.executable, str(DEPLOY / "package/build_deb.py"), architecture, "--into", str(into)]
    built = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert built.returncode == 0, built.stderr
    return Path(built.stdout.strip())


@pytest.fixture(scope="session", params=["amd64", "arm64"])
def package(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, for each architecture."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("dpkg-deb is not installed")
    return build_package(request.param, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def guest_image() -> Path:
    """The folder of the guest with this tree's package, or a skip that says what is missing."""
    return _built_guest(_TOOLS)


@pytest.fixture(scope="session")
def bare_image() -> Path:
    """The folder of the arm64 machine with a PL011, or a skip that says what is missing."""
    return _built_guest(_BARE_TOOLS, "--bare")


@pytest.fixture(scope="session")
def twin_image() -> Path:
    """The folder of the image's twin with this tree's package, or a skip that says what is missing."""
    return _built(_TWIN_TOOLS, DEPLOY / "image/build_image.py", "amd64")


@pytest.fixture(scope="session")
def arm64_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image itself, as it is flashed, or a skip that says what is missing.

    With RTU_BRIDGE_IMAGE it is that file, else it is built from this tree.
    """
    if path := os.environ.get("RTU_BRIDGE_IMAGE"):
        return Path(path)
    into = tmp_path_factory.mktemp("dist")
    return _built(_ARM64_TOOLS, DEPLOY / "image/build_image.py", "arm64", "--into", str(into))


def _built_guest(tools: Mapping[str, str], *arguments: str) -> Path:
    return _built(tools, DEPLOY / "guest/build_guest.py", *arguments)


def _built(tools: Mapping[str, str], script: Path, *arguments: str) -> Path:
    if os.environ.get(WANTED) != "1":
        # Minutes of building and booting: too long for every run, whatever lies in the cache.
        pytest.skip(f"boots an emulated machine, which takes minutes: {WANTED}=1, or make image-test")
    missing = [package for tool, package in tools.items() if shutil.which(tool) is None]
    if missing:
        pytest.fail(f"there is no machine to boot: apt-get install {' '.join(missing)}", pytrace=False)
    built = subprocess.run(
        [sys.executable, str(script), *arguments], capture_output=True, text=True, timeout=_BUILD_WITHIN_S
    )
    assert built.returncode == 0, built.stderr
    return Path(built.stdout.strip())


@pytest.fixture(scope="session")
def guest(guest_image: Path) -> Iterator[Guest]:
    """A running guest, shared by all tests: leave the bridge as you found it or configure it anew."""
    with Guest(guest_image) as guest:
        yield guest
