"""Which of the machine's GPIO chips has the 40-pin header. Chip numbers vary with the kernel, labels not."""

import re
from collections.abc import Callable
from glob import glob

from hw.problems import GpioError, reason

_CHIP_PATH = "/dev/gpiochip"

HEADER_LABELS = ("pinctrl-bcm2835", "pinctrl-bcm2711", "pinctrl-rp1")
"""Label of the chip behind the 40-pin header: Pi 0 to 3, Pi 4, Pi 5."""


def chip_paths() -> list[str]:
    """Return the chips' device files in the order of their numbers. Raises GpioError if there are none."""
    paths = [path for path in glob(f"{_CHIP_PATH}*") if re.fullmatch(r"\d+", path.removeprefix(_CHIP_PATH))]
    if not paths:
        raise GpioError(f"this machine has no {_CHIP_PATH}*")
    return sorted(paths, key=lambda path: int(path.removeprefix(_CHIP_PATH)))


def find_header(label_of: Callable[[str], str]) -> tuple[str, str]:
    """Return path and label of the header's chip.

    `label_of` opens a chip and returns its label; what it raises is taken as the reason why it cannot be
    opened. Raises GpioError with what was found.
    """
    paths = chip_paths()
    found, denied = [], []
    for path in paths:
        try:
            label = label_of(path)
        except PermissionError:
            denied.append(path)
            found.append(f"{_name(path)} may not be opened (is this user in the group gpio?)")
        except Exception as error:  # pin libraries raise classes of their own
            found.append(f"{_name(path)} cannot be opened ({reason(error)})")
        else:
            if label in HEADER_LABELS:
                return path, label
            found.append(f"{_name(path)} is {label}")
    if denied == paths:
        raise GpioError(f"this user may not open {', '.join(paths)}; add it to the group gpio")
    raise GpioError(f"no Raspberry Pi header among the GPIO chips: {', '.join(found)}")


def chip_number(path: str) -> int:
    """Return the number of a chip, which is all that lgpio takes."""
    return int(path.removeprefix(_CHIP_PATH))


def _name(path: str) -> str:
    return path.rpartition("/")[2]
