"""After each boot: a slot on trial becomes the default when all is well, or the old one is booted again.

Any other boot: what became of an update that did not come to stay is written on the card.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from . import files, health, mounts
from .apply import Writable, lines
from .health import Verdict, Watch
from .media import Media
from .places import RESULT, Places
from .slots import Slot, SlotError, autoboot_text, default_slot, running_slot
from .trial import Note, Phase, Situation, situation, told
from .update import read_note
from .update_command import NETIF_STATE

_PAUSE_S: Final = 2.0


def main(arguments: Sequence[str]) -> int:
    """Do what this boot needs; 1 when the old slot is booted again."""
    places = Places()
    try:
        cmdline = places.cmdline.read_text(encoding="ascii", errors="replace")
        running = running_slot(cmdline)
    except (OSError, SlotError) as error:
        print(f"commit: {error}", file=sys.stderr)
        return 0
    look = partial(health.observe, places.own_run / "bridge.toml", NETIF_STATE)

    def decide(note: Note | None) -> tuple[Verdict, str]:
        watch = Watch(note.expected if note is not None else None, time.monotonic())
        verdict = health.watched(watch, look, time.monotonic, lambda: time.sleep(_PAUSE_S))
        return verdict, watch.missing

    status = Committer(places, Media(), mounts.writable).after_boot(running, decide)
    if status == 0:
        # The fallback's timer finds it.
        files.write(places.own_run / "settled", b"")
    else:
        subprocess.run(["systemctl", "--no-block", "reboot"], check=True, timeout=60)
    return status


class Committer:
    """What is done after a boot."""

    def __init__(self, places: Places, media: Media, writable: Writable) -> None:
        self._places = places
        self._media = media
        self._writable = writable

    def after_boot(self, running: Slot, decide: Callable[[Note | None], tuple[Verdict, str]]) -> int:
        """Settle what this boot is; `decide` tells whether a trial is well. 1: boot the old slot again."""
        note = read_note(self._places)
        # A note of another slot is about another update.
        own_note = note if note is not None and note.slot is running else None
        now = situation(running, self._default(), note, is_tryboot=self._is_tryboot())
        if now is Situation.TRIAL:
            self._remember(own_note, Phase.BEGUN)
            verdict, missing = decide(own_note)
            return self._commit(running) if verdict is Verdict.COMMIT else self._revert(own_note, missing)
        if now is Situation.FELL_BACK and note is not None:
            self._tell(told(note))
        if note is not None:
            self._forget()
        return 0

    def _commit(self, running: Slot) -> int:
        try:
            with self._writable(self._places.card):
                self._media.replace(self._places.autoboot, autoboot_text(running))
            if self._default() is not running:
                raise OSError(f"{self._places.autoboot} reads differently than it was written")
        except OSError as error:
            # Not the default: whatever is done now, the next boot is that of the old slot.
            print(f"commit: {error}", file=sys.stderr)
            return 1
        self._tell(f"update: slot {running.value} is well and is booted from now on")
        self._forget()
        return 0

    def _revert(self, note: Note | None, missing: str) -> int:
        print(f"commit: not well: {missing}; the old slot is booted again", file=sys.stderr)
        self._remember(note, Phase.FAILED, missing)
        return 1

    def _default(self) -> Slot | None:
        try:
            return default_slot(files.read(self._places.card, self._places.autoboot.name).octets or b"")
        except SlotError:
            return None

    def _is_tryboot(self) -> bool:
        """Return whether the firmware says that this slot was to be tried."""
        try:
            return any((self._places.bootloader / "tryboot").read_bytes())
        except OSError:
            return False

    def _remember(self, note: Note | None, phase: Phase, reason: str = "") -> None:
        if note is not None:
            self._keep(note.at(phase, reason).dump())

    def _forget(self) -> None:
        self._keep(None)

    def _keep(self, octets: bytes | None) -> None:
        try:
            self._media.note(self._places.trial, octets)
        except OSError as error:
            # Only what is told depends on it.
            print(f"commit: {error}", file=sys.stderr)

    def _tell(self, sentence: str) -> None:
        print(sentence, file=sys.stderr)
        path = self._places.card / RESULT
        try:
            with self._writable(self._places.card):
                files.write(path, lines((sentence,)) or b"")
        except OSError as error:
            print(f"commit: {error}", file=sys.stderr)
