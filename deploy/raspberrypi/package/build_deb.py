"""Build dist/rtu-bridge_VERSION_ARCHITECTURE.deb: `make deb [ARCH=arm64|amd64]`.

No root, and the same bits each time: times are those of SOURCE_DATE_EPOCH, by default of the last commit.
The program and what it needs beside Python go to /usr/lib/rtu-bridge; extension modules are there for the
Pythons of all Debian releases in `targets.PYTHONS`.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from targets import MACHINES
from wheels import fetch, unpack

PACKAGE = Path(__file__).parent
DEPLOY = PACKAGE.parent
ROOT = DEPLOY.parents[1]
_SOURCES = ("bridge", "hw")
_SOURCE_SUFFIXES = {".py", ".toml", ".md"}
_SCRIPTS = ("postinst", "prerm", "postrm")
# An epoch for a tree without commits; Debian's tools take 0 for "not given".
_NO_EPOCH = 1

_COPIES = {
    "package/rtu-bridge": "usr/bin/rtu-bridge",
    "appliance/rtu-bridge-update": "usr/bin/rtu-bridge-update",
    "appliance/sshd_config": "usr/lib/rtu-bridge/appliance/sshd_config",
    "udev/70-rtu-bridge.rules": "usr/lib/udev/rules.d/70-rtu-bridge.rules",
    "sysusers/rtu-bridge.conf": "usr/lib/sysusers.d/rtu-bridge.conf",
    "tmpfiles/rtu-bridge.conf": "usr/lib/tmpfiles.d/rtu-bridge.conf",
    # Also where images without documentation have it: what a first installation begins with.
    "examples/bridge.toml": "usr/share/rtu-bridge/bridge.toml",
    "monitoring/alerts.yml": "usr/share/doc/rtu-bridge/alerts.yml",
    "monitoring/dashboard.json": "usr/share/doc/rtu-bridge/dashboard.json",
    "package/debian/copyright": "usr/share/doc/rtu-bridge/copyright",
}


def main() -> int:
    """Build the package that the command line asks for and print its path."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("architecture", choices=MACHINES)
    parser.add_argument("--into", type=Path, default=ROOT / "dist", metavar="FOLDER")
    options = parser.parse_args()
    try:
        print(build(options.architecture, options.into))
    except subprocess.CalledProcessError as error:
        print(f"{error.cmd[0]} failed with status {error.returncode}", file=sys.stderr)
        return 1
    return 0


def build(architecture: str, into: Path) -> Path:
    """Return the path of the package built. Raises `subprocess.CalledProcessError` when a tool fails."""
    version = package_version()
    epoch_s = source_date_epoch()
    package = into / f"rtu-bridge_{version}_{architecture}.deb"
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="rtu-bridge-deb-") as folder:
        stage = Path(folder) / "stage"
        stage.mkdir()
        _fill(stage, architecture, version, epoch_s)
        _write_control(stage, architecture, version)
        _settle(stage, epoch_s)
        # One thread: xz divides its input among those that it has, which would show in the bits.
        command = ["dpkg-deb", "--root-owner-group", "-Zxz", "-z6", "--threads-max=1", "--build"]
        made = Path(folder) / package.name
        subprocess.run(
            [*command, str(stage), str(made)],
            check=True,
            env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch_s)},
            stdout=subprocess.DEVNULL,
        )
        # Beside the old one first: who reads that is not disturbed.
        partial = package.with_suffix(f".{os.getpid()}")
        shutil.copyfile(made, partial)
        partial.replace(package)
    return package


def package_version() -> str:
    """Return the version of the tree."""
    values: dict[str, object] = {}
    exec((ROOT / "bridge/version.py").read_text(encoding="utf-8"), values)
    return str(values["VERSION"])


def source_date_epoch() -> int:
    """Return SOURCE_DATE_EPOCH, or the time of the last commit."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return int(given)
    command = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
    try:
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    except (OSError, subprocess.CalledProcessError, ValueError):
        return _NO_EPOCH


def _fill(stage: Path, architecture: str, version: str, epoch_s: int) -> None:
    library = stage / "usr/lib/rtu-bridge"
    library.mkdir(parents=True)
    unpack(fetch(architecture), library)
    for path in _sources():
        _copy(path, library / path.relative_to(ROOT))
    # Only the image switches the appliance's own units on: they ask for its /etc/rtu-bridge-appliance.
    for path in sorted((DEPLOY / "appliance").glob("*.py")):
        _copy(path, library / "appliance" / path.name)
    for unit in sorted((DEPLOY / "systemd").iterdir()):
        _copy(unit, stage / "usr/lib/systemd/system" / unit.name)
    for source, target in _COPIES.items():
        _copy(DEPLOY / source, stage / target)
    documents = stage / "usr/share/doc/rtu-bridge"
    for example in sorted((DEPLOY / "examples").glob("*.toml")):
        _copy(example, documents / "examples" / example.name)
    for licence in sorted(library.glob("*.dist-info/**/*")):
        if licence.is_file() and licence.name.upper().startswith(("LICEN", "COPYING", "AUTHORS", "NOTICE")):
            name = licence.relative_to(library).parts[0].removesuffix(".dist-info")
            _copy(licence, documents / "licenses" / name / licence.name)
            licence.unlink()
    for name in ("README.md", "CHANGELOG.md"):
        _compress((ROOT / name).read_bytes(), documents / f"{name}.gz")
    _compress(_debian_changelog(version, epoch_s), documents / "changelog.gz")


def _sources() -> Iterator[Path]:
    for package in _SOURCES:
        for path in sorted((ROOT / package).rglob("*")):
            is_source = path.suffix in _SOURCE_SUFFIXES or path.name == "py.typed"
            if is_source and path.is_file() and "__pycache__" not in path.parts:
                yield path


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _compress(octets: bytes, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(gzip.compress(octets, 9, mtime=0))


def _debian_changelog(version: str, epoch_s: int) -> bytes:
    """Return what Debian's tools want to read. What changed is in CHANGELOG.md."""
    day = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(epoch_s))
    text = f"""\
rtu-bridge ({version}) unstable; urgency=medium

  * See CHANGELOG.md.

 -- The RTU Bridge developers <rtu-bridge@example.invalid>  {day}
"""
    return text.encode()


def _write_control(stage: Path, architecture: str, version: str) -> None:
    files = [path for path in sorted(stage.rglob("*")) if path.is_file()]
    control = stage / "DEBIAN"
    control.mkdir()
    # As Policy 5.6.20 has it: a kibibyte for what is no file, and files in whole ones.
    kib = sum(-(-path.stat().st_size // 1024) for path in files) + sum(
        1 for path in stage.rglob("*") if path.is_dir()
    )
    text = (PACKAGE / "debian/control").read_text(encoding="utf-8")
    for name, value in {"VERSION": version, "ARCHITECTURE": architecture, "INSTALLED_KIB": str(kib)}.items():
        text = text.replace(f"@{name}@", value)
    (control / "control").write_text(text, encoding="utf-8")
    for script in _SCRIPTS:
        _copy(PACKAGE / "debian" / script, control / script)
    sums = (f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(stage)}\n" for path in files)
    (control / "md5sums").write_text("".join(sums), encoding="utf-8")


def _settle(stage: Path, epoch_s: int) -> None:
    """Give everything the modes and times that do not depend on who builds."""
    programs = {*(stage / "usr/bin").iterdir(), *(stage / "DEBIAN" / script for script in _SCRIPTS)}
    for path in [*stage.rglob("*"), stage]:
        path.chmod(0o755 if path.is_dir() or path in programs else 0o644)
        os.utime(path, (epoch_s, epoch_s))


if __name__ == "__main__":
    sys.exit(main())
