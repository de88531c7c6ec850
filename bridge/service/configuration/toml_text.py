"""A file of TOML is read, or one line says what is wrong with it, and where."""

from __future__ import annotations

import re
import stat
import tomllib
from pathlib import Path
from typing import Any, Final

from bridge.errors import ConfigurationError
from bridge.service.configuration.schema import shortened

_LONGEST_OCTETS: Final = 256 * 1024
"""Far more than hundreds of outstations need, and little enough that whatever it says is read in seconds."""
_READ_PROBLEMS: Final[tuple[tuple[type[OSError], str], ...]] = (
    (FileNotFoundError, "there is no such file; name one that exists"),
    (IsADirectoryError, "is a directory; name a file in it"),
    (PermissionError, "may not be read by this user; give it the permission, or run as another user"),
)


def read_text(path: Path, source_name: str) -> str:
    """Return the text of a file of TOML. Raises `ConfigurationError`, with a line of what is wrong."""
    try:
        # Before it is opened: to open a pipe waits for whoever writes, and a device may not end.
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise ConfigurationError([f"{source_name}: is no regular file; name a file of TOML text"])
        with path.open("rb") as file:
            octets = file.read(_LONGEST_OCTETS + 1)
    except OSError as error:
        unusual = f"cannot be read: {error.strerror}; name a readable file"
        problem = next((text for kind, text in _READ_PROBLEMS if isinstance(error, kind)), unusual)
        raise ConfigurationError([f"{source_name}: {problem}"]) from None
    if len(octets) > _LONGEST_OCTETS:
        limit = f"{_LONGEST_OCTETS // 1024} KiB"
        raise ConfigurationError([f"{source_name}: is longer than {limit}; name a configuration file"])
    try:
        # Windows editors put a byte order mark in front; the file lies on the card's FAT partition.
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        problem = f"octet 0x{octets[error.start]:02X} is not UTF-8 text; save the file as UTF-8"
        raise ConfigurationError([f"{source_name}:{line}: {problem}"]) from None


_QUOTED_OR_COMMENT: Final = re.compile(r""""(?:[^"\\\n]|\\.)*"|'[^'\n]*'|#.*""")
_MOST_DOTS: Final = 100


def _refuse_deep_keys(text: str, source_name: str) -> None:
    """Refuse keys of thousands of parts: tomllib takes minutes for one that fills the file."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.count(".") > _MOST_DOTS and _QUOTED_OR_COMMENT.sub("", line).count(".") > _MOST_DOTS:
            problem = "is nested too deep; write tables of depth two"
            raise ConfigurationError([f"{source_name}:{number}: {problem}"])


def read_toml(text: str, source_name: str) -> dict[str, Any]:
    """Take TOML apart. Raises `ConfigurationError`, with a line of what is wrong."""
    _refuse_deep_keys(text, source_name)
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ConfigurationError([f"{source_name}: is nested too deep; write tables of depth two"]) from None
    # Not only TOMLDecodeError: a number of thousands of digits raises a plain ValueError.
    except ValueError as error:
        reason = str(error)
    raise ConfigurationError([_syntax_problem(source_name, reason, text)])


_LONGEST_REASON: Final = 120
"""tomllib quotes what it could not read."""
_OUTSTATION_HEADER: Final = re.compile(r"\s*\[\[?\s*outstation\s*\]")
_SYNTAX_REMEDIES: Final = (
    ("Cannot declare", "write each table once, under a name of its own"),
    ("Cannot overwrite", "write each key once"),
    ("", 'write one key = value a line, with "quotes" around text'),
)


def _syntax_problem(source_name: str, reason: str, text: str) -> str:
    """Turn tomllib's "reason (at line 4, column 2)" into a line of ours."""
    remedy = next(right for start, right in _SYNTAX_REMEDIES if reason.startswith(start))
    lines = text.splitlines()
    place = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", reason)
    if place is None:
        return f"{source_name}: {shortened(reason, _LONGEST_REASON)}; {remedy}"
    reason = shortened(reason[: place.start()], _LONGEST_REASON)
    if place[1] and _OUTSTATION_HEADER.match(text.split("\n")[int(place[1]) - 1]):
        # The same table twice, or a table and then an array of that name.
        remedy = "write [[outstation]], in two brackets, for each RTU"
    where = f"{place[1]}: column {place[2]}" if place[1] else f"{len(lines)}: end of file"
    return f"{source_name}:{where}: {reason}; {remedy}"
