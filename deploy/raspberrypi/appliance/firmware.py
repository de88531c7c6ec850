"""The firmware's part of a boot: the slot that it booted, what it read there, and what it is to read next."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from bridge.errors import ConfigurationError
from bridge.service.configuration.config import load
from hw.board import DEFAULT_BOARD

from . import files, firmware_lines, mounts, restart
from .boot_slot import BootSlots
from .firmware_lines import Boot
from .places import CONFIGURATION, LINES, Places
from .plan import Plan
from .slots import Slot, SlotError, default_slot, running_slot


class Firmware:
    """Of the computer that this is. On one without such firmware `look` finds nothing."""

    def __init__(
        self, places: Places, slots: BootSlots, start_again: Callable[[], None] = restart.now
    ) -> None:
        self._places = places
        self._slots = slots
        self._start_again = start_again
        self._device: Path | None = None
        self._is_to_restart = False

    def look(self) -> Boot | None:
        """Return what was booted; None where no such firmware did. Raises OSError."""
        try:
            model = self._model()
            running = running_slot(self._places.cmdline.read_text(encoding="ascii", errors="replace"))
        except (FileNotFoundError, SlotError):
            return None
        card = mounts.mounted_from(self._places.mounts.read_text(errors="replace"), self._places.card)
        if card is None:
            return None
        try:
            self._device = Path(mounts.partition(card, running.boot_partition))
        except ValueError:
            return None
        partition = self._slots.read(self._device)
        return Boot(model, partition, self._is_settled(running) and restart.is_possible(self._places))

    def write(self, plan: Plan) -> list[str]:
        """Write what a plan has for the firmware; return what failed."""
        if self._device is None:
            return []
        try:
            if plan.lines_file is None:
                restart.forget(self._places)
                return []
            may_restart = plan.restarts and self._counted()
            self._slots.write(self._device, plan.lines_file)
        except OSError as error:
            return [str(error)]
        self._is_to_restart = may_restart
        return []

    def restart(self) -> None:
        """Start again if what was written asks for it. All else must be done: the system goes down."""
        if not self._is_to_restart:
            return
        print(f"firstboot: {LINES} was changed: starting again, once", file=sys.stderr)
        try:
            self._start_again()
        except (OSError, subprocess.SubprocessError) as error:
            print(f"firstboot: {error}", file=sys.stderr)

    def prepare(self, device: Path) -> None:
        """Write into another slot what this one's configuration needs there. Raises OSError, ValueError.

        Before that slot is tried: a system on trial is not started again for it.
        """
        try:
            model = self._model()
            configuration = load(self._places.own_run / CONFIGURATION, DEFAULT_BOARD.led_pins)
        except (FileNotFoundError, ConfigurationError):
            return
        partition = self._slots.read(device)
        octets = firmware_lines.file_of(firmware_lines.wanted(configuration, model, partition).lines)
        if partition.lines_file not in (None, octets):
            self._slots.write(device, octets)

    def _counted(self) -> bool:
        try:
            restart.note(self._places)
        except OSError as error:
            print(f"firstboot: no restart, for it cannot be counted: {error}", file=sys.stderr)
            return False
        return True

    def _model(self) -> str:
        return self._places.model.read_bytes().rstrip(b"\0").decode(errors="replace")

    def _is_settled(self, running: Slot) -> bool:
        """Return whether the next boot is that of this slot: a system on trial would not come back."""
        try:
            octets = files.read(self._places.card, self._places.autoboot.name).octets or b""
            return default_slot(octets) is running
        except SlotError:
            return False
