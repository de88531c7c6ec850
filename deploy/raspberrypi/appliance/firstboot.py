"""Every boot, before the network: what is on the card takes effect. See `plan` for what that is.

It ends within seconds, whatever is on the card, and never keeps anything else from starting. Where config.txt
must say something else for the lines of bridge.toml, the box starts again, once: see `firmware`, `restart`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Final

from . import files, mounts, restart
from .places import CONFIGURATION, Places

TIME_LIMIT_S: Final = 25
"""For reading and checking. A right configuration takes a tenth of a second, on an emulated board ten."""


class TooLongError(Exception):
    """The time is over. No OSError, as TimeoutError is: those are taken for a file that cannot be read."""


def main(arguments: Sequence[str]) -> int:
    """Run it and say on the console what is wrong; 1 only if this program itself failed."""
    return run(Places())


def run(places: Places, firmware: Any = None) -> int:
    """Do all of it at these places; return the exit status. Raises nothing.

    `firmware` is a `firmware.Firmware`, by default that of this machine.
    """
    try:
        firmware = firmware or _firmware(places)
        # Before the card, and with a time of its own: what is wrong there must not cost the configuration.
        boot = _booted(firmware)
        with _time_limit():
            plan = _plan(places, boot)
    except Exception as error:
        # Whatever it was, the bridge must have what it had.
        print(f"firstboot: {type(error).__name__}: {error}", file=sys.stderr)
        _last_resort(places, f"firstboot failed: {type(error).__name__}: {error}")
        return 1
    from .apply import apply

    failures = apply(plan, places, firmware.write(plan))
    for line in (*plan.problems, *plan.notes, *(f"firstboot: {failure}" for failure in failures)):
        print(line, file=sys.stderr)
    firmware.restart()
    return 0


def _firmware(places: Places) -> Any:
    # Here, as below, for the case that it is this that fails.
    from . import boot_slot, firmware, media

    return firmware.Firmware(places, boot_slot.BootSlots(media.Media()))


def _plan(places: Places, boot: Any) -> Any:
    from . import plan

    card = plan.Card(problem=_problem_of_card(places))
    if card.problem is None:
        names = [*plan.FILES, *(f"{name}.txt" for name in plan.FILES)]
        found = {name: files.read(places.card, name) for name in names}
        card = plan.Card({name: each for name, each in found.items() if each != files.Source(name)})
    kept = {name: files.read(places.kept, name) for name in plan.FILES}
    return plan.make(card, kept, boot, is_kept=restart.is_kept(places))


def _booted(firmware: Any) -> Any:
    try:
        with _time_limit():
            return firmware.look()
    except (OSError, TooLongError) as error:
        # Then the lines of config.txt stay as they are.
        print(f"firstboot: {error}", file=sys.stderr)
        return None


def _problem_of_card(places: Places) -> str | None:
    """Return why nothing can be read from the card, or None."""
    try:
        mountinfo = places.mounts.read_text(encoding="utf-8", errors="replace")
        if mounts.mounted_from(mountinfo, places.card) is None:
            return "its first partition cannot be mounted; flash the card anew, or replace it"
        os.listdir(places.card)
    except OSError as error:
        return f"its first partition cannot be read: {error.strerror}; flash the card anew, or replace it"
    return None


def _last_resort(places: Places, problem: str) -> None:
    """Have the bridge run with what was right last, unchecked, on a network with DHCP."""
    with contextlib.suppress(OSError):
        places.own_run.mkdir(mode=0o755, parents=True, exist_ok=True)
        (places.own_run / "configuration-error").write_text(f"{problem}\n", encoding="utf-8")
    with contextlib.suppress(OSError):
        shutil.copyfile(places.kept / CONFIGURATION, places.own_run / CONFIGURATION)
        (places.own_run / CONFIGURATION).chmod(0o644)
    with contextlib.suppress(OSError):
        folder = places.run / "systemd/network"
        folder.mkdir(parents=True, exist_ok=True)
        text = "[Match]\nType=ether\n\n[Network]\nDHCP=yes\nLinkLocalAddressing=yes\n"
        (folder / "10-rtu-bridge-wired.network").write_text(text, encoding="utf-8")


@contextlib.contextmanager
def _time_limit() -> Iterator[None]:
    def end(_number: int, _frame: object) -> None:
        raise TooLongError(f"reading the card took longer than {TIME_LIMIT_S} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(TIME_LIMIT_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
