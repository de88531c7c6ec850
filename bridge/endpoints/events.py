"""Log records of what happens: an event's name and its fields. `bridge.service.logs` formats them."""

from __future__ import annotations

import logging

_logger = logging.getLogger("bridge")


def note(event: str, *, level: int = logging.INFO, **fields: object) -> None:
    """Log one event, such as ``note("master connected", outstation="pole-12", peer="10.1.1.5:4021")``."""
    if _logger.isEnabledFor(level):
        _logger.log(level, event, extra={"fields": fields})


def warn(event: str, **fields: object) -> None:
    """Log an event that an operator should look at."""
    note(event, level=logging.WARNING, **fields)
