"""From the files of the card, and those that were right last, to what is to be done. Pure.

Each file stands for itself:

    ===========================================  ====================  ==========================  ==========
    on the card                                  what runs             kept as the last good one   an error?
    ===========================================  ====================  ==========================  ==========
    right                                        it                    it                          no
    wrong, empty, too long, unreadable           the last good one     as it was                   yes
    bridge.toml is not there                     the last good one     as it was                   yes
    another is not there                         nothing of it         nothing                     no
    the whole card is missing or unreadable      the last good ones    as they were                yes
    ===========================================  ====================  ==========================  ==========

With no last good `bridge.toml` no bridge runs, nothing listens for masters, and config.txt stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from bridge.endpoints.endpoint import Endpoint
from bridge.errors import ConfigurationError
from bridge.service.configuration import config
from bridge.service.configuration.config import Configuration
from hw.board import DEFAULT_BOARD

from . import firewall, firmware_lines, network, preseed, settings
from .files import Source
from .firmware_lines import Boot
from .places import CONFIGURATION, PRESEED, SETTINGS
from .settings import DEFAULT_HOSTNAME, Settings

T = TypeVar("T")

FILES: Final = (CONFIGURATION, SETTINGS, PRESEED)
OWN: Final = "rtu-bridge-appliance"
MARKER: Final = f"{OWN}/configuration-error"
CONFIG_TXT: Final = f"{OWN}/config.txt"
"""What the firmware read: `rtu-bridge hardware` looks there."""
NETWORKS: Final = "systemd/network"
RUN_FILES: Final = (
    f"{OWN}/bridge.toml",
    f"{OWN}/firewall.nft",
    f"{OWN}/authorized_keys",
    f"{OWN}/wpa_supplicant.conf",
    CONFIG_TXT,
    MARKER,
    f"{NETWORKS}/10-rtu-bridge-wired.network",
    f"{NETWORKS}/20-rtu-bridge-wireless.network",
    "systemd/resolved.conf.d/50-rtu-bridge.conf",
    "systemd/timesyncd.conf.d/50-rtu-bridge.conf",
)
"""All that may be made below /run; one that a plan does not have is removed."""
_NOT_KEPT: Final = "the card: its data partition cannot be used, so nothing is kept; replace the card"
_SECRET: Final = frozenset({f"{OWN}/wpa_supplicant.conf"})


@dataclass(frozen=True, slots=True)
class Card:
    """What is on the card. With a `problem` it could not be read at all, and `files` is empty."""

    files: Mapping[str, Source] = field(default_factory=dict)
    problem: str | None = None

    def source(self, name: str) -> Source:
        """Return what was found under a name."""
        return self.files.get(name, Source(name))


@dataclass(frozen=True, slots=True)
class RunFile:
    """A file below /run."""

    name: str
    text: str
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done.

    `keep` are the last good files by name, None where there is to be none. `problems` and `notes` are lines
    for people; `hostname` is set at once. Without `has_configuration` no bridge is to run. `lines_file` is
    what the slot's `places.LINES` is to be, None if it stays; with `restarts` the firmware is to read
    it at once.
    """

    hostname: str
    has_configuration: bool
    run_files: tuple[RunFile, ...]
    keep: Mapping[str, bytes | None]
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    lines_file: bytes | None = None
    restarts: bool = False


@dataclass(frozen=True, slots=True)
class _Choice(Generic[T]):
    value: T | None
    octets: bytes | None
    problems: tuple[str, ...] = ()


def make(card: Card, kept: Mapping[str, Source], boot: Boot | None = None, *, is_kept: bool = True) -> Plan:
    """Return what is to be done about these files. Raises nothing that is about their content.

    `boot` is None on a machine without such firmware, or where its partition cannot be read. Without
    `is_kept` the data partition is missing, and nothing is there after a restart.
    """
    bridge = _choose(CONFIGURATION, card, kept, _configuration)
    own = _choose(SETTINGS, card, kept, settings.parse)
    imager = _choose(PRESEED, card, kept, preseed.parse)
    merged = (own.value or Settings()).over(imager.value or Settings())
    problems = (*bridge.problems, *own.problems, *imager.problems)
    if card.problem is not None:
        problems = (f"the card: {card.problem}", *problems)
    lines_file, firmware_notes = _firmware(bridge.value, boot)
    return Plan(
        hostname=merged.hostname or DEFAULT_HOSTNAME,
        has_configuration=bridge.value is not None,
        run_files=tuple(_run_files(bridge, merged, problems, boot)),
        keep={CONFIGURATION: bridge.octets, SETTINGS: own.octets, PRESEED: imager.octets},
        problems=problems,
        notes=(
            *merged.notes,
            *(bridge.value.warnings if bridge.value is not None else ()),
            *firmware_notes,
            *(() if is_kept else (_NOT_KEPT,)),
        ),
        lines_file=lines_file,
        restarts=lines_file is not None and boot is not None and boot.may_restart,
    )


def _firmware(configuration: Configuration | None, boot: Boot | None) -> tuple[bytes | None, tuple[str, ...]]:
    """Return what to write for the firmware, None for nothing, and notes."""
    if configuration is None or boot is None or boot.partition.lines_file is None:
        return None, ()
    wanted = firmware_lines.wanted(configuration, boot.model, boot.partition)
    try:
        octets = firmware_lines.file_of(wanted.lines)
    except ValueError as error:
        return None, (*wanted.notes, f"config.txt: stays as it is: {error}")
    if octets == boot.partition.lines_file:
        return None, wanted.notes
    when = "the box starts again once" if boot.may_restart else "it takes effect at the next power-on"
    return octets, (*wanted.notes, f"config.txt: it was not so until now; {when}")


def _configuration(text: str, source_name: str) -> Configuration:
    return config.parse(text, source_name, DEFAULT_BOARD.led_pins)


def _choose(name: str, card: Card, kept: Mapping[str, Source], check: Callable[[str, str], T]) -> _Choice[T]:
    """Return what is in force of one file, what to keep of it, and what is wrong."""
    source = card.source(name)
    problems: tuple[str, ...] = ()
    if card.problem is None:
        if source.octets is None and source.problem is None and name != CONFIGURATION:
            return _Choice(None, None)
        try:
            return _Choice(check(_text(source, card), name), source.octets)
        except ConfigurationError as error:
            problems = error.problems
    last = kept.get(name, Source(name))
    if last.octets is None and last.problem is None:
        return _Choice(None, None, (*problems, *_without(name, card, is_wrong=False)))
    try:
        return _Choice(check(_text(last, card), name), last.octets, (*problems, *_instead(name, card)))
    except ConfigurationError:
        # It stays: another version of the program may read it.
        return _Choice(None, last.octets, (*problems, *_without(name, card, is_wrong=True)))


def _instead(name: str, card: Card) -> tuple[str, ...]:
    return () if card.problem is not None else (f"{name}: the one that was right last is in force",)


def _without(name: str, card: Card, *, is_wrong: bool) -> tuple[str, ...]:
    last = "the one that was right last is no longer" if is_wrong else "none was right before"
    if name == CONFIGURATION:
        return (f"{name}: {last}: no bridge runs, and nothing listens for masters",)
    if card.problem is not None and not is_wrong:
        return ()
    return (f"{name}: {last}: it counts as not there",)


def _text(source: Source, card: Card) -> str:
    """Return the text of a file that should be there. Raises `ConfigurationError`."""
    if source.problem is not None:
        raise ConfigurationError([f"{source.name}: {source.problem}"])
    if source.octets is None:
        # Windows hides what it takes for a known ending.
        twin = f"{source.name}.txt"
        right = f"rename {twin}, which is there" if twin in card.files else "put it on the card"
        raise ConfigurationError([f"{source.name}: is not there; {right}"])
    try:
        text = source.octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = source.octets.count(b"\n", 0, error.start) + 1
        problem = f"octet 0x{source.octets[error.start]:02X} is not UTF-8 text; save the file as UTF-8"
        raise ConfigurationError([f"{source.name}:{line}: {problem}"]) from None
    if not text.strip(" \t\r\n\0"):
        raise ConfigurationError([f"{source.name}: is empty; copy it to the card again"])
    return text


def _listeners(bridge: Configuration) -> list[Endpoint]:
    metrics = [] if bridge.metrics is None else [bridge.metrics.listen]
    return [*(server.listen for server in bridge.servers.values()), *metrics]


def _run_files(
    bridge: _Choice[Configuration], merged: Settings, problems: tuple[str, ...], boot: Boot | None
) -> list[RunFile]:
    keys = "".join(f"{key}\n" for key in merged.authorized_keys)
    listeners = _listeners(bridge.value) if bridge.value else []
    texts: dict[str, str | None] = {
        f"{OWN}/bridge.toml": bridge.octets.decode("utf-8-sig") if bridge.value and bridge.octets else None,
        f"{OWN}/firewall.nft": firewall.ruleset(listeners, with_ssh=bool(keys)),
        f"{OWN}/authorized_keys": keys or None,
        f"{OWN}/wpa_supplicant.conf": network.supplicant(merged.wlan) if merged.wlan else None,
        CONFIG_TXT: firmware_lines.in_force(boot.partition) if boot else None,
        MARKER: "".join(f"{problem}\n" for problem in problems) or None,
        f"{NETWORKS}/10-rtu-bridge-wired.network": network.wired_network(merged),
        f"{NETWORKS}/20-rtu-bridge-wireless.network": network.wireless_network() if merged.wlan else None,
        "systemd/resolved.conf.d/50-rtu-bridge.conf": network.resolver(),
        "systemd/timesyncd.conf.d/50-rtu-bridge.conf": network.time_servers(merged),
    }
    return [
        RunFile(name, texts[name] or "", 0o600 if name in _SECRET else 0o644)
        for name in RUN_FILES
        if texts[name] is not None
    ]
