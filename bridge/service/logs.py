"""Log lines: one an event, for people or as JSON.

14:32:46.123 INFO    master connected     outstation=pole-12 peer=10.1.1.5:4021
{"time": "2026-11-22T14:32:46.123Z", "level": "info", "event": "master connected", "outstation": ...}

Where standard error is systemd's journal, each line begins with its priority, as sd-daemon(3) has it: `<4>`.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

from bridge.service.streams import is_journal

_PLAIN_VALUE_BREAKERS = frozenset(' "=')


class TextFormatter(logging.Formatter):
    """Readable lines. Times are UTC; whoever keeps the log (journald) adds the date."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        clock = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S.%f")[:-3]
        fields = "".join(f" {key}={_plain(value)}" for key, value in _fields(record).items() if value != "")
        # What asyncio reports of a failed callback has several lines.
        event = "; ".join(record.getMessage().splitlines())
        return f"{clock} {record.levelname:<7} {event:<20}{fields}".rstrip()


class JsonFormatter(logging.Formatter):
    """One JSON object a line. As in a readable line, a field that is empty is not there."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **{key: value for key, value in _fields(record).items() if value != ""},
        }
        return json.dumps(line, ensure_ascii=False, default=str)


_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG_PRIORITY = 7
"""syslog's, which the journal takes off a line and files it by."""


class PriorityFormatter(logging.Formatter):
    """Lines of another formatter, each after its priority."""

    def __init__(self, lines: logging.Formatter) -> None:
        super().__init__()
        self._lines = lines

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return f"<{priority_of(record.levelno)}>{self._lines.format(record)}"


def priority_of(level: int) -> int:
    """Return syslog's priority of a level of `logging`."""
    return next((priority for least, priority in _PRIORITIES if level >= least), _DEBUG_PRIORITY)


_FORMATTERS = {"text": TextFormatter, "json": JsonFormatter}


def set_up(level: str, log_format: str, stream: TextIO | None = None) -> None:
    """Log to `stream` (standard error). `level` and `log_format` are values of the configuration."""
    handler = logging.StreamHandler(stream or sys.stderr)
    lines = _FORMATTERS[log_format]()
    handler.setFormatter(PriorityFormatter(lines) if stream is None and is_journal() else lines)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # asyncio's own debug lines are about its selector, not about masters and lines.
    logging.getLogger("asyncio").setLevel(logging.WARNING)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    fields: dict[str, object] = dict(getattr(record, "fields", {}))
    if record.exc_info and record.exc_info[1] is not None:
        fields["error"] = repr(record.exc_info[1])
    return fields


def _plain(value: object) -> str:
    text = str(value)
    # Quoting as JSON also keeps control characters of a device's error text out of the log.
    if not text or not text.isprintable() or _PLAIN_VALUE_BREAKERS & set(text):
        return json.dumps(text, ensure_ascii=False)
    return text
