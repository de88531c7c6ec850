"""Build the image for the Raspberry Pi (`make image`), or its twin that tests boot (`make image-twin`).

Two layers are kept in the cache, each under the hash of what it was made from: the root file system (amd64: a
minute and a half; arm64: a quarter of an hour of emulation) and the system with the package installed. What
Debian has changed since is not part of the hash: delete the cached root to get it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

IMAGE = Path(__file__).parent
DEPLOY = IMAGE.parent
sys.path.insert(0, str(DEPLOY / "package"))

import assemble  # noqa: E402  # folders of scripts, not packages
from appliance import make_update, signature  # noqa: E402  # found by what assemble adds to the path
from appliance.bundle import UpdateError  # noqa: E402
from build_deb import build, package_version, source_date_epoch  # noqa: E402
from layers import cache_folder, forget_old, hash_of, note, run  # noqa: E402
from release import publish  # noqa: E402

NAMES = {"arm64": "raspberrypi-arm64", "amd64": "twin-amd64"}
"""The kinds of machine, as updates name them."""
TOOLS = {"mmdebstrap": "mmdebstrap", "depmod": "kmod", "sqfstar": "squashfs-tools", **assemble.TOOLS}
TRYBOOT = [DEPLOY / "tryboot" / name for name in ("build.sh", "Makefile", "rtu_bridge_tryboot.c")]
_ARM_TOOLS = {"dtc": "device-tree-compiler", "xz": "xz-utils", "arch-test": "arch-test qemu-user-static"}
_ROOT_WITHIN_S = 7200
_SYSTEM_WITHIN_S = 1800
_MODULE_WITHIN_S = 1800


def main() -> int:
    """Build what the command line asks for and print where it is."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("architecture", choices=NAMES)
    parser.add_argument("--into", type=Path, default=DEPLOY.parents[1] / "dist", metavar="FOLDER")
    parser.add_argument("--signers", type=Path, help="public keys of those whose updates are accepted")
    parser.add_argument("--key", type=Path, help="private key to sign an update with, which is made then")
    parser.add_argument("--url", default="", help="where the image will be, for Raspberry Pi Imager")
    options = parser.parse_args()
    if missing := missing_tools(options.architecture):
        print(f"not installed: apt-get install {' '.join(missing)}", file=sys.stderr)
        return 1
    try:
        if options.architecture == "amd64":
            print(twin())
        else:
            print(image(options.into, options.signers, options.url, options.key))
    except subprocess.CalledProcessError as error:
        print(f"{error.cmd[0]} failed with status {error.returncode}", file=sys.stderr)
        return 1
    except assemble.TooLargeError as error:
        print(error, file=sys.stderr)
        return 1
    except UpdateError as error:
        print(f"{options.signers}: {error}", file=sys.stderr)
        return 1
    return 0


def missing_tools(architecture: str) -> list[str]:
    """Return the packages to install before an image can be built."""
    tools = TOOLS | (_ARM_TOOLS if architecture == "arm64" else {})
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    return [package for tool, package in tools.items() if shutil.which(tool, path=path) is None]


def root_path(architecture: str) -> Path:
    """Return where the root file system is kept for the recipe as it is."""
    names = ("make-root.sh", "dpkg.conf", "overlay-in-memory", "packages.list", "modules.list")
    own = (f"packages.{architecture}.list", f"modules.{architecture}.list")
    key = hash_of([IMAGE / name for name in (*names, *own)], os.environ.get("DEBIAN_MIRROR", ""))
    return cache_folder() / "image" / f"root-{architecture}-{key}.tar"


def twin() -> Path:
    """Return the folder with the twin's disk.img, kernel, initrd and the slots' boot partitions."""
    folder = system("amd64", None)
    if not (folder / "boot-b.vfat").exists():
        note("assembling the disk")
        assemble.assemble(folder, None, folder, source_date_epoch())
    return folder


def image(into: Path, signers: Path | None, url: str, key: Path | None = None) -> Path:
    """Return the path of the compressed image; what belongs to it is beside it.

    With a `key` that is also the update to this image, signed by it.
    """
    folder = system("arm64", signers)
    with tempfile.TemporaryDirectory(prefix="rtu-bridge-image-") as temporary:
        note("assembling the disk")
        assemble.assemble(
            folder, overlays(Path(temporary) / "overlays"), Path(temporary), source_date_epoch()
        )
        name = f"rtu-bridge-{package_version()}-{NAMES['arm64']}"
        if key is not None:
            note("making the update")
            into.mkdir(parents=True, exist_ok=True)
            (into / f"{name}.update").write_bytes(update(folder, Path(temporary), key))
        note("compressing it")
        return publish(Path(temporary), folder / "status", into, name, source_date_epoch(), url)


def update(system: Path, assembled: Path, key: Path) -> bytes:
    """Return the file of an update to a system, signed by a key. Raises `subprocess.CalledProcessError`."""
    boots = [(assembled / f"boot-{slot}.vfat").read_bytes() for slot in ("a", "b")]
    root = (system / "root.sqfs").read_bytes()
    return make_update.make(NAMES["arm64"], package_version(), (boots[0], boots[1]), root, key)


def overlays(into: Path) -> Path:
    """Compile our overlays into a folder and return it."""
    _run([DEPLOY / "overlays/build.sh", into], within_s=60)
    return into


def root(architecture: str) -> Path:
    """Return the root file system for the recipe as it is, built if need be."""
    path = root_path(architecture)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        note(f"building {path} ({'a quarter of an hour' if architecture == 'arm64' else 'two minutes'})")
        partial = path.with_suffix(f".{os.getpid()}.tar")
        make_root(architecture, partial)
        partial.replace(path)
    return path


def make_root(architecture: str, into: Path) -> None:
    """Build a root file system from Debian's archive. Raises `subprocess.CalledProcessError`."""
    _run([IMAGE / "make-root.sh", architecture, into], within_s=_ROOT_WITHIN_S)


def system(architecture: str, signers: Path | None) -> Path:
    """Return the folder of a system with the package of this tree, built if need be: see make-system.sh."""
    base = root(architecture)
    with parts(architecture, signers) as (package, appliance):
        names = ("make-system.sh", "trust_bytecode.py", "assemble.py", "layout.py", "config.txt")
        scripts = [IMAGE / name for name in names]
        scripts += TRYBOOT if architecture == "arm64" else ()
        files = [path for path in sorted((IMAGE / "files").rglob("*")) if path.is_file()]
        inputs = [*scripts, IMAGE / "README.txt", *files, *sorted(appliance.iterdir()), package]
        made = base.parent / f"system-{architecture}-{hash_of(inputs, base.name)}"
        if not made.exists():
            note(f"building {made}")
            partial = made.with_name(f"{made.name}.{os.getpid()}")
            make_system(architecture, base, package, appliance, partial)
            partial.replace(made)
    forget_old(made, f"system-{architecture}-*")
    return made


@contextmanager
def parts(architecture: str, signers: Path | None) -> Iterator[tuple[Path, Path]]:
    """Have the package of this tree and the folder that says which image this is, for a block."""
    with tempfile.TemporaryDirectory(prefix="rtu-bridge-image-") as temporary:
        package = build(architecture, Path(temporary))
        appliance = Path(temporary) / "appliance"
        _write_appliance(appliance, architecture, signers)
        yield package, appliance


def make_system(architecture: str, root: Path, package: Path, appliance: Path, into: Path) -> None:
    """Install a package into a root, into a folder. Raises `subprocess.CalledProcessError`."""
    command: list[Path | str] = [IMAGE / "make-system.sh", architecture, root, package, appliance, into]
    if architecture == "arm64":
        command.append(tryboot_module(root))
    _run(command, within_s=_SYSTEM_WITHIN_S)


def tryboot_module(root: Path) -> Path:
    """Return the module that hands tryboot to the firmware, for a root's kernel, built if need be."""
    with tarfile.open(root) as tar:
        kernel = next(name.split("/")[4] for name in tar.getnames() if name.endswith("/modules.dep"))
    folder = cache_folder() / "image" / f"tryboot-{hash_of(TRYBOOT, kernel)}"
    module = folder / "rtu_bridge_tryboot.ko"
    if not module.exists():
        note(f"building {module} for {kernel} (two minutes)")
        partial = folder.with_name(f"{folder.name}.{os.getpid()}")
        _run([DEPLOY / "tryboot/build.sh", kernel, partial], within_s=_MODULE_WITHIN_S)
        partial.replace(folder)
    return module


def _write_appliance(folder: Path, architecture: str, signers: Path | None) -> None:
    folder.mkdir()
    document = {"image": NAMES[architecture], "version": package_version()}
    (folder / "image.json").write_text(json.dumps(document) + "\n", encoding="utf-8")
    if signers is not None:
        trusted = signature.signers_of(signers.read_text(encoding="utf-8"))
        (folder / "update-signers").write_text(trusted, encoding="utf-8")


def _run(command: list[Path | str], *, within_s: float) -> None:
    run(command, within_s=within_s, environment={"SOURCE_DATE_EPOCH": str(source_date_epoch())})


if __name__ == "__main__":
    sys.exit(main())
