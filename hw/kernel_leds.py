"""LEDs that the kernel drives, such as the activity LED of a board: files in /sys/class/leds."""

from contextlib import suppress
from pathlib import Path

from hw.colour import Colour
from hw.outputs import is_lit
from hw.problems import GpioError

_FOLDER = "/sys/class/leds"
_MOST_LISTED = 8
_NO_TRIGGER = "none"


class KernelLedOutput:
    """An LED of the kernel. What drove it before, its trigger, drives it again after `close`."""

    __slots__ = ("_brightness", "_is_open", "_lit_level", "_trigger", "name", "replaced_trigger")

    def __init__(self, name: str, led: str) -> None:
        """Take the LED over and darken it. `led` is its name in /sys/class/leds.

        Raises GpioError: there is no such LED, it has colours of its own, or it may not be written.
        """
        self.name = name
        folder = Path(_FOLDER) / led
        self._brightness, self._trigger = folder / "brightness", folder / "trigger"
        self.replaced_trigger: str | None = None
        """What drove the LED until now, such as "mmc0"; None if nothing did."""
        if not self._brightness.exists():
            raise GpioError(_missing(led))
        if (folder / "multi_intensity").exists():
            raise GpioError(f"{led} is a multi-colour LED, and only LEDs of one colour can be used")
        try:
            self._lit_level = int((folder / "max_brightness").read_text())
            trigger = _active_trigger(self._trigger)
            if trigger != _NO_TRIGGER:
                self._trigger.write_text(_NO_TRIGGER)
                self.replaced_trigger = trigger
            self._brightness.write_text("0")
        except PermissionError as error:
            raise GpioError(f"this user may not write {error.filename}; allow it by a udev rule") from None
        self._is_open = True

    def set(self, lit: bool | Colour) -> None:
        """Light or darken the LED. Raises OSError, as when the LED has vanished."""
        self._brightness.write_text(str(self._lit_level if is_lit(lit) else 0))

    def close(self) -> None:
        """Darken the LED and give it back to its trigger. Raises nothing; closing again is harmless."""
        if not self._is_open:
            return
        self._is_open = False
        with suppress(OSError):
            self.set(False)
        if self.replaced_trigger is not None:
            with suppress(OSError):
                self._trigger.write_text(self.replaced_trigger)


def _active_trigger(path: Path) -> str:
    """Return the trigger in brackets, as in "none [mmc0] timer". Not every LED can have one."""
    try:
        words = path.read_text().split()
    except FileNotFoundError:
        return _NO_TRIGGER
    return next((word[1:-1] for word in words if word.startswith("[")), _NO_TRIGGER)


def _missing(led: str) -> str:
    folder = Path(_FOLDER)
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError:
        names = []
    if not names:
        return f"this machine has no LEDs in {folder}"
    more = ", ..." if len(names) > _MOST_LISTED else ""
    return f"there is no LED {led} in {folder}; there are {', '.join(names[:_MOST_LISTED])}{more}"
