"""What executing a request gives."""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from dataclasses import dataclass
from typing import Any

from bridge.application.function import Iin

_NOTHING = Iin(0)

Working = Generator[Awaitable[Any], Any, "Answer"]
"""A request being executed: it yields what a handler wants awaited, and returns the answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered with: objects and the indications that it adds."""

    objects: bytes = b""
    iin: Iin = _NOTHING
