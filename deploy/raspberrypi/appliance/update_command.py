"""`rtu-bridge-update FILE`: install a signed image into the other slot, and reboot into it to try it."""

from __future__ import annotations

import argparse
import fcntl
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from . import files, health, mounts, signature
from .bundle import Bundle, UpdateError
from .media import Media
from .places import Places
from .slots import SlotError, running_slot
from .update import Devices, Image, Installer, check_fits, slot_to_write

TRYBOOT: Final = "0 tryboot"
"""The argument of a reboot that has the firmware take the slot under [tryboot], once."""
NETIF_STATE: Final = Path("/run/systemd/netif/state")


def main(arguments: Sequence[str]) -> int:
    """Install what the command line names; 1 when it was not installed, with the reason."""
    parser = argparse.ArgumentParser(prog="rtu-bridge-update", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--allow-older", action="store_true", help="install an older version, or the same")
    parser.add_argument("--no-reboot", action="store_true", help="write the slot, and leave it untried")
    options = parser.parse_args(arguments)
    places = Places()
    try:
        with _alone(places):
            _install(places, options.file, allow_older=options.allow_older, tries=not options.no_reboot)
    except UpdateError as error:
        print(f"{options.file}: {error}", file=sys.stderr)
    except (OSError, ValueError, subprocess.SubprocessError, SlotError) as error:
        print(f"rtu-bridge-update: {error}", file=sys.stderr)
    else:
        return 0
    return 1


@contextmanager
def _alone(places: Places) -> Iterator[None]:
    """Let one update at a time write. Raises `UpdateError`, OSError."""
    places.own_run.mkdir(mode=0o755, parents=True, exist_ok=True)
    with (places.own_run / "update.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UpdateError("not installed: another update is being written; wait for it") from None
        yield


def _install(places: Places, path: Path, *, allow_older: bool, tries: bool) -> None:
    if tries and not can_try(places):
        raise UpdateError("not installed: this kernel cannot have the firmware try a slot; see --no-reboot")
    running = running_slot(places.cmdline.read_text(encoding="ascii", errors="replace"))
    slot = slot_to_write(files.read(places.card, places.autoboot.name).octets, running)
    with Bundle(path, lambda manifest, sign: signature.verify(manifest, sign, places.signers)) as bundle:
        check_fits(bundle, installed(places), allow_older=allow_older)
        seen = health.observe(places.own_run / "bridge.toml", NETIF_STATE)
        installer = Installer(Media(), devices(places), places, print)
        note = installer.install(bundle, slot, health.expected_of(seen))
    # Here: what judges an update imports this module, and must not need the bridge.
    from .boot_slot import BootSlots
    from .firmware import Firmware

    Firmware(places, BootSlots(Media())).prepare(devices(places)(slot.boot_partition))
    if not tries:
        installer.leave(note)
        print(f"{note.version} is in slot {slot.value}, untried")
        return
    installer.arm(note)
    print(f"{note.version} is in slot {slot.value}; rebooting to try it")
    subprocess.run(["systemctl", f"--reboot-argument={TRYBOOT}", "reboot"], check=True, timeout=60)


def can_try(places: Places) -> bool:
    """Return whether a reboot's argument reaches a firmware that knows of tryboot.

    Raspberry Pi's own kernels hand it over, and are known by their device; Debian's do with the module of
    `deploy/raspberrypi/tryboot`, which has asked the firmware. Without, the old slot would boot again.
    """
    try:
        return places.vcio.exists() or places.tryboot.read_text(encoding="ascii").strip() == "Y"
    except (OSError, ValueError):
        return False


def devices(places: Places) -> Devices:
    """Return the partitions of the card that this system runs from. Raises `UpdateError`."""
    mounted = mounts.mounted_from(places.mounts.read_text(encoding="utf-8"), places.card)
    if mounted is None:
        raise UpdateError(f"cannot be installed: the card's first partition is not mounted at {places.card}")
    try:
        mounts.partition(mounted, 1)
    except ValueError as error:
        raise UpdateError(f"cannot be installed: {error}") from None
    return lambda number: Path(mounts.partition(mounted, number))


def installed(places: Places) -> Image:
    """Return what runs. Raises `UpdateError`."""
    try:
        document = json.loads(places.image.read_bytes())
        return Image(str(document["image"]), str(document["version"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UpdateError(f"cannot be installed: {places.image} does not say what runs ({error})") from None
