"""The Debian package, without installing it: what is in it, whose it is, and that it is always the same."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from bridge.version import VERSION
from tests.deploy.conftest import DEPLOY, ROOT, build_package
from tests.support.waiting import PATIENCE_S

sys.path.insert(0, str(DEPLOY / "package"))
from elf import without_debug_sections  # a folder of scripts, not a package
from targets import PYTHONS

pytestmark = [pytest.mark.wire, pytest.mark.timeout(600)]

_ELF_MACHINES = {"amd64": 62, "arm64": 183}
_HERE = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine)
_PLACES = (
    "usr/bin/rtu-bridge",
    "usr/bin/rtu-bridge-update",
    "usr/lib/rtu-bridge/",
    *(f"usr/lib/systemd/system/{unit.name}" for unit in sorted((DEPLOY / "systemd").iterdir())),
    "usr/lib/sysusers.d/rtu-bridge.conf",
    "usr/lib/tmpfiles.d/rtu-bridge.conf",
    "usr/lib/udev/rules.d/70-rtu-bridge.rules",
    "usr/share/doc/rtu-bridge/",
    "usr/share/rtu-bridge/bridge.toml",
)


@pytest.fixture(scope="module")
def tree(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything in the package, with its control files in DEBIAN."""
    folder = tmp_path_factory.mktemp("tree")
    subprocess.run(["dpkg-deb", "-R", str(package), str(folder)], check=True, timeout=60)
    return folder


def _architecture(package: Path) -> str:
    return package.stem.rpartition("_")[2]


def _control(tree: Path) -> Mapping[str, str]:
    lines = (tree / "DEBIAN/control").read_text(encoding="utf-8").splitlines()
    return dict(line.split(": ", 1) for line in lines if not line.startswith(" "))


def _files(tree: Path) -> list[Path]:
    return [path for path in sorted(tree.rglob("*")) if path.is_file() and "DEBIAN" not in path.parts]


def _python(version: str) -> str | None:
    """Return a Python of this version that runs, whoever installed it."""
    folders = [Path("/usr/bin"), *Path.home().glob(f".pyenv/versions/{version}.*/bin")]
    names = [str(folder / f"python{version}") for folder in folders] + [sys.executable]
    for name in names:
        if Path(name).exists():
            code = "import sys; print('%d.%d' % sys.version_info[:2])"
            asked = subprocess.run([name, "-c", code], capture_output=True, text=True, timeout=60)
            if asked.stdout.strip() == version:
                return name
    return None


# Control


def test_its_name_says_what_it_is(package: Path, tree: Path) -> None:
    control = _control(tree)
    assert package.name == f"rtu-bridge_{VERSION}_{_architecture(package)}.deb"
    assert (control["Package"], control["Version"]) == ("rtu-bridge", VERSION)
    assert control["Architecture"] == _architecture(package)
    assert not re.search(r"@\w+@", (tree / "DEBIAN/control").read_text(encoding="utf-8"))


def test_it_depends_on_the_pythons_that_its_modules_are_for(tree: Path) -> None:
    minors = sorted(int(python.partition(".")[2]) for python in PYTHONS.values())
    depends = _control(tree)["Depends"].split(", ")
    assert f"python3 (>= 3.{minors[0]}~)" in depends
    assert f"python3 (<< 3.{minors[-1] + 1}~)" in depends
    between = set(range(minors[0], minors[-1] + 1)) - set(minors)
    assert between == {12}
    assert "python3 (<< 3.12~) | python3 (>= 3.13~)" in depends


def test_its_sums_are_right_and_complete(tree: Path) -> None:
    said = dict(reversed(line.split("  ", 1)) for line in (tree / "DEBIAN/md5sums").read_text().splitlines())
    real = {str(path.relative_to(tree)): hashlib.md5(path.read_bytes()).hexdigest() for path in _files(tree)}
    assert said == real


def test_dpkg_asks_nothing_about_the_configuration(tree: Path) -> None:
    assert not (tree / "DEBIAN/conffiles").exists()
    assert not (tree / "etc").exists()


@pytest.mark.parametrize("script", ["postinst", "prerm", "postrm"])
def test_its_scripts_are_shell(tree: Path, script: str) -> None:
    path = tree / "DEBIAN" / script
    assert path.stat().st_mode & 0o777 == 0o755
    assert path.read_text().startswith("#!/bin/sh\nset -e\n")
    subprocess.run(["sh", "-n", str(path)], check=True, timeout=10)


# Content


def test_everything_is_at_its_place(tree: Path) -> None:
    names = [str(path.relative_to(tree)) for path in _files(tree)]
    assert [name for name in names if not name.startswith(_PLACES)] == []
    assert [place for place in _PLACES if not any(name.startswith(place) for name in names)] == []


def test_everything_is_roots_and_nobody_else_may_write(package: Path) -> None:
    listing = subprocess.run(
        ["dpkg-deb", "-c", str(package)], check=True, capture_output=True, text=True, timeout=60
    ).stdout.splitlines()
    assert len(listing) > 100
    for line in listing:
        mode, owner = line.split()[:2]
        assert owner == "root/root", line
        expected = "drwxr-xr-x" if mode.startswith("d") else "-rwxr-xr-x" if "/bin/" in line else "-rw-r--r--"
        assert mode == expected, line


def test_the_program_is_all_there(tree: Path) -> None:
    library = tree / "usr/lib/rtu-bridge"
    for package in ("bridge", "hw"):
        ours = {path.relative_to(ROOT) for path in (ROOT / package).rglob("*.py")}
        packed = {path.relative_to(library) for path in (library / package).rglob("*.py")}
        assert packed == ours
    appliance = {path.name for path in (DEPLOY / "appliance").glob("*.py")}
    assert {path.name for path in (library / "appliance").iterdir()} == appliance | {"sshd_config"}
    assert (library / "bridge/outstation/DEVICE_PROFILE.md").exists()
    assert (library / "bridge/service/simulation/sim_example.toml").exists()


def test_no_bytecode_no_sources_of_extensions_no_scripts(tree: Path) -> None:
    suffixes = {".pyc", ".pyo", ".pyx", ".pxd", ".c", ".h", ".a"}
    assert [path for path in _files(tree) if path.suffix in suffixes] == []
    assert {path.name for path in (tree / "usr/bin").iterdir()} == {"rtu-bridge", "rtu-bridge-update"}


def test_extension_modules_are_for_this_architecture_and_every_python(package: Path, tree: Path) -> None:
    modules = [path for path in _files(tree) if ".so" in path.suffixes]
    found: dict[str, set[str]] = {}
    for path in modules:
        octets = path.read_bytes()
        assert octets[:4] == b"\x7fELF"
        assert struct.unpack_from("<H", octets, 18) == (_ELF_MACHINES[_architecture(package)],)
        name, tag = path.name.split(".")[:2]
        found.setdefault(f"{path.parent.name}/{name}", set()).add(tag.split("-")[1])
    tags = {python.replace(".", "") for python in PYTHONS.values()}
    assert found == {"fastcrc/fastcrc": tags, "gpiod/_ext": tags, "uvloop/loop": tags}


def test_the_licence_of_everything_vendored_is_named(tree: Path) -> None:
    library = tree / "usr/lib/rtu-bridge"
    named = set(
        re.findall(r"usr/lib/rtu-bridge/(\w+)/\*", (tree / "usr/share/doc/rtu-bridge/copyright").read_text())
    )
    vendored = {path.name for path in library.iterdir() if not path.name.endswith(".dist-info")}
    assert vendored - {"bridge", "hw", "appliance"} == named


def test_the_start_configuration_is_the_example(tree: Path) -> None:
    start = (tree / "usr/share/rtu-bridge/bridge.toml").read_bytes()
    assert start == (tree / "usr/share/doc/rtu-bridge/examples/bridge.toml").read_bytes()


def test_a_fresh_installation_accepts_no_master(tree: Path) -> None:
    start = tomllib.loads((tree / "usr/share/rtu-bridge/bridge.toml").read_text(encoding="utf-8"))
    # RFC 5737: belongs to nobody.
    assert [outstation["masters"] for outstation in start["outstation"]] == [["192.0.2.1"]]


# Running it


@pytest.mark.parametrize("version", PYTHONS.values())
def test_the_examples_pass_check_in_the_unpacked_tree(package: Path, tree: Path, version: str) -> None:
    if _architecture(package) != _HERE:
        pytest.skip(f"this machine cannot run {_architecture(package)}")
    python = _python(version)
    if python is None:
        pytest.skip(f"there is no Python {version} here")
    examples = sorted((tree / "usr/share/doc/rtu-bridge/examples").glob("*.toml"))
    assert len(examples) >= 2
    for example in examples:
        # -I: nothing of this folder or user is imported.
        command = [python, "-I", str(tree / "usr/bin/rtu-bridge"), "check", str(example)]
        checked = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd="/")
        assert checked.returncode == 0, checked.stderr
        assert "no errors" in checked.stdout


@pytest.mark.parametrize("version", PYTHONS.values())
def test_all_that_is_vendored_can_be_imported(package: Path, tree: Path, version: str) -> None:
    if _architecture(package) != _HERE:
        pytest.skip(f"this machine cannot run {_architecture(package)}")
    python = _python(version)
    if python is None:
        pytest.skip(f"there is no Python {version} here")
    library = tree / "usr/lib/rtu-bridge"
    code = (
        f"import sys; sys.path.insert(0, {str(library)!r})\n"
        "import dpkt, fastcrc, gpiod, gpiozero.pins.mock, rich.live, serial_asyncio, uvloop\n"
        "assert fastcrc.crc16.dnp(b'123456789') == 0xEA82\n"
        "assert hasattr(gpiod, 'LineSettings')\n"
        "uvloop.new_event_loop().close()\n"
        f"assert all(m.__file__.startswith({str(library)!r}) for m in (dpkt, gpiod, gpiozero, uvloop))\n"
    )
    ran = subprocess.run(
        [python, "-I", "-B", "-c", code], capture_output=True, text=True, timeout=60, cwd="/"
    )
    assert ran.returncode == 0, ran.stderr


# The same each time


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not installed")
def test_twice_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    first = build_package("amd64", tmp_path / "a")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    old = os.umask(0o077)
    try:
        second = build_package("amd64", tmp_path / "b")
    finally:
        os.umask(old)
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not installed")
def test_another_time_is_another_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = []
    for epoch_s in ("1700000000", "1700000001"):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch_s)
        packages.append(build_package("amd64", tmp_path / epoch_s).read_bytes())
    assert packages[0] != packages[1]


# The lock file


def test_every_requirement_is_pinned_and_has_hashes() -> None:
    text = (DEPLOY / "requirements.lock").read_text(encoding="utf-8")
    entries = [line for line in text.replace("\\\n", "").splitlines() if line and not line.startswith("#")]
    for entry in entries:
        assert re.fullmatch(r"[a-z0-9-]+==[\w.]+(\s+--hash=sha256:[0-9a-f]{64})+\s*", entry), entry
    wanted = (DEPLOY / "requirements.in").read_text(encoding="utf-8").splitlines()
    pins = {line for line in wanted if line and not line.startswith("#")}
    assert {entry.split()[0] for entry in entries} == pins


def test_every_dependency_of_the_program_is_vendored() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {re.match(r"[\w-]+", requirement)[0].lower() for requirement in project["dependencies"]}  # type: ignore[index]
    pinned = set(re.findall(r"^([a-z0-9-]+)==", (DEPLOY / "requirements.lock").read_text(), re.MULTILINE))
    assert needed - pinned == set()


# Debug information


def test_what_is_behind_the_last_segment_of_a_shared_object_is_cut_off() -> None:
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 3, 62, 1, 0, 64, 5000, 0, 64, 56, 1, 64, 9, 8
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, 200, 300, 4096)
    octets = header + segment + bytes(200 - 64 - 56) + b"debug" * 1000
    cut = without_debug_sections(octets)
    assert len(cut) == 200
    assert struct.unpack_from("<Q", cut, 40) == (0,)
    assert struct.unpack_from("<HH", cut, 60) == (0, 0)
    assert cut[64:] == octets[64:200]


@pytest.mark.parametrize("octets", [b"", b"MZ", b"\x7fELF\x01\x01" + bytes(100)])
def test_what_is_no_64_bit_elf_file_is_refused(octets: bytes) -> None:
    with pytest.raises(ValueError, match="ELF"):
        without_debug_sections(octets)


_SLOW_TO_IMPORT = """
import time
print("begun", flush=True)
time.sleep(60)
"""


def test_an_interrupt_while_it_is_imported_is_no_traceback(tmp_path: Path) -> None:
    command, service = tmp_path / "bin" / "rtu-bridge", tmp_path / "lib/rtu-bridge/bridge/service"
    command.parent.mkdir()
    shutil.copy(DEPLOY / "package/rtu-bridge", command)
    service.mkdir(parents=True)
    (service / "cli.py").write_text(_SLOW_TO_IMPORT, encoding="utf-8")
    # What a shell runs in the background ignores SIGINT, and so would what it starts.
    words = ["env", "--default-signal=INT", sys.executable, "-I", str(command)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, err) == (-signal.SIGINT, "")
