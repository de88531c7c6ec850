"""Where things are on the appliance. Tests give other places."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CONFIGURATION = "bridge.toml"
SETTINGS = "appliance.toml"
PRESEED = "rpi-preseed.toml"
ERRORS = "bridge.errors.txt"
NOTES = "bridge.notes.txt"
RESULT = "update.result.txt"
LINES = "rtu-bridge.txt"


@dataclass(frozen=True, slots=True)
class Places:
    """The folders and files that the programs read and write.

    `card` is the partition that a person edits, `data` the data partition, `kept` the folder on it for what
    was right last, and `run` the system's /run.
    """

    card: Path = Path("/boot/config")
    data: Path = Path("/data")
    kept: Path = Path("/data/rtu-bridge")
    run: Path = Path("/run")
    mounts: Path = Path("/proc/self/mountinfo")
    cmdline: Path = Path("/proc/cmdline")
    model: Path = Path("/proc/device-tree/model")
    bootloader: Path = Path("/proc/device-tree/chosen/bootloader")
    devices: Path = Path("/dev")
    vcio: Path = Path("/dev/vcio")
    tryboot: Path = Path("/sys/module/rtu_bridge_tryboot/parameters/answered")
    image: Path = Path("/etc/rtu-bridge-appliance/image.json")
    signers: Path = Path("/etc/rtu-bridge-appliance/update-signers")

    @property
    def own_run(self) -> Path:
        """The folder of what the first boot decided. It is not the bridge's, which goes when that ends."""
        return self.run / "rtu-bridge-appliance"

    @property
    def autoboot(self) -> Path:
        """The file that tells the firmware which slot to boot."""
        return self.card / "autoboot.txt"

    @property
    def trial(self) -> Path:
        """The note about an update that is under way."""
        return self.kept / "trial.json"
